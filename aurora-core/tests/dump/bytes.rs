//! Every text that bytes may hold, and every way to write bytes as text.

use super::*;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spellings of some bytes that could be a credential.
pub(crate) fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut all = vec![
        hex(bytes),
        hex(bytes).to_uppercase(),
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
    ];
    all.extend(std::str::from_utf8(bytes).ok().map(ToOwned::to_owned));
    all
}

/// The token-shaped parts of a text or of raw bytes: runs of the letters that tokens are made of.
pub(crate) fn parts(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for cut in [&b"\"{}[],:;=$ &?|<>()"[..], b"\"{}[],: ", b"\"{}[],:;=$ &?|<>()./+"] {
        let printable = |byte: &u8| byte.is_ascii_graphic() && !cut.contains(byte);
        found.extend(bytes.split(|byte| !printable(byte)).filter(|part| part.len() >= 8).map(<[u8]>::to_vec));
    }
    found
}
