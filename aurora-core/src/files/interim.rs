use crate::crypto::{AwsLc, Cipher as _, KeyedCipher, Keyring, Purpose};
use crate::env::{Entropy, random};
use crate::types::{Error, Result};

pub(super) const CHUNK: u64 = 16_384;
pub(super) const SEALED_CHUNK: u64 = 16_400;
pub(super) const HEAD: u64 = 24;

pub(super) struct Context<'a> {
    pub(super) owner: &'a str,
    pub(super) bucket: &'a str,
    pub(super) object: &'a str,
    pub(super) generation: &'a str,
}

pub(super) fn sealed_length(plain: u64) -> u64 {
    HEAD + plain + (plain / CHUNK + 1) * 16
}

fn keyed(keyring: &Keyring, context: &Context<'_>, head: &[u8]) -> Result<Box<dyn KeyedCipher>> {
    let parts = [context.owner, context.bucket, context.object, context.generation].map(str::as_bytes);
    let [a, b, c, d] = parts;
    AwsLc.keyed(&keyring.mac(Purpose::Credential, "files interim", &[a, b, c, d, head]))
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *to = from;
    }
    nonce
}

pub(super) struct Sealer {
    cipher: Box<dyn KeyedCipher>,
    head: Option<[u8; 24]>,
    chunk: Vec<u8>,
    number: u64,
}

impl Sealer {
    pub(super) fn new(keyring: &Keyring, context: &Context<'_>, entropy: &dyn Entropy) -> Result<Self> {
        let head = random::<24>(entropy)?;
        let cipher = keyed(keyring, context, &head)?;
        Ok(Self { cipher, head: Some(head), chunk: Vec::new(), number: 0 })
    }

    pub(super) fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.head.take().into_iter().flatten());
        while !plain.is_empty() {
            let room = (CHUNK as usize).saturating_sub(self.chunk.len()).min(plain.len());
            let (now, later) = plain.split_at(room);
            self.chunk.extend_from_slice(now);
            plain = later;
            if self.chunk.len() as u64 == CHUNK {
                self.seal(out)?;
            }
        }
        Ok(())
    }

    fn seal(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let tag = self.cipher.seal(nonce(self.number), &mut self.chunk)?;
        out.append(&mut self.chunk);
        out.extend_from_slice(&tag);
        self.number += 1;
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.push(&[], out)?;
        self.seal(out)
    }
}

pub(super) struct Opener(Box<dyn KeyedCipher>);

impl Opener {
    pub(super) fn new(keyring: &Keyring, context: &Context<'_>, head: &[u8]) -> Result<Self> {
        Ok(Self(keyed(keyring, context, head)?))
    }

    pub(super) fn chunk(&mut self, number: u64, _last: bool, data: &mut Vec<u8>) -> Result<()> {
        self.0.open(nonce(number), data)?;
        let length = data.len().checked_sub(16).ok_or_else(|| Error::internal("short"))?;
        data.truncate(length);
        Ok(())
    }
}
