"""Opens what Aurora seals, written from docs/security/cryptography.md alone: reads a JSON object of cases from stdin and
prints what each holds, in hexadecimal."""

import hashlib
import json
import sys
from base64 import urlsafe_b64decode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
STREAM = b"aurora stream v1+HKDF_SHA_512+AES_256_GCM\0"


def framed(*parts):
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def message(key, context, sealed, suite=1):
    salt, commitment, chunks = sealed[:24], sealed[24:56], sealed[56:]
    if suite == 1:
        okm = HKDFExpand(SHA512(), 76, INFO + salt + context).derive(key)
        message_key, base, committed = okm[:32], int.from_bytes(okm[32:44], "big"), okm[44:]
        nonce = lambda number, last: (base ^ number).to_bytes(12, "big")
    else:
        okm = HKDF(SHA512(), 71, salt, STREAM + context).derive(key)
        message_key, committed, prefix = okm[:32], okm[32:64], okm[64:]
        nonce = lambda number, last: prefix + number.to_bytes(4, "big") + bytes([last])
    assert committed == commitment, "the commitment is another"
    assert len(chunks) % 16400 >= 16, "it was cut"
    plain, last = b"", len(chunks) // 16400
    for number in range(last + 1):
        chunk = chunks[number * 16400 : (number + 1) * 16400]
        plain += AESGCM(message_key).decrypt(nonce(number, number == last), chunk, None)
    return plain


def wrapping(line):
    prefix, key, checksum = line.split(":")
    key = urlsafe_b64decode(key + "=")
    assert urlsafe_b64decode(checksum) == hashlib.sha256(prefix.encode() + key).digest()[:6]
    derive = lambda info: HKDF(SHA512(), 32, b"aurora root key v1", info).derive(key)
    return derive(b"wrap data keys"), hashlib.sha256(derive(b"key id")).digest()[:8].hex()


def data_key(line, number, purpose, owner, wrapped):
    key, root = wrapping(line)
    length, owned = wrapped[0], [owner] if owner else []
    assert wrapped[1 : length + 1].decode() == root
    context = framed(b"aurora data key v1", root.encode(), number.to_bytes(4, "big"), purpose, *owned)
    return message(key, context, wrapped[length + 1 :])


cases = json.load(sys.stdin)
for case in cases["cases"]:
    sealed, parts = bytes.fromhex(case["sealed"]), [bytes.fromhex(part) for part in case["parts"]]
    assert sealed[:3] == b"AU\x01" and sealed[3] in (1, 2) and sealed[8] == 0
    number, purpose = int.from_bytes(sealed[4:8], "big"), case["purpose"].encode()
    key = data_key(cases["root"], number, purpose, case["owner"].encode(), bytes.fromhex(case["wrapped"]))
    print(message(key, sealed[:9] + framed(purpose) + framed(*parts), sealed[9:], sealed[3]).hex())
