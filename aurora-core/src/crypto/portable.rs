use crate::types::Result;

use super::cipher::{Cipher, KeyedCipher, TAG, does_not_open};

/// AES-256-GCM in plain Rust, through the crate `aes-gcm`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Cipher for Portable {
    fn keyed(&self, key: &[u8; 32]) -> Result<Box<dyn KeyedCipher>> {
        use aes_gcm::{Aes256Gcm, KeyInit};
        Ok(Box::new(PortableKeyed(Aes256Gcm::new(key.into()))))
    }
}

struct PortableKeyed(aes_gcm::Aes256Gcm);

impl KeyedCipher for PortableKeyed {
    fn seal(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<[u8; 16]> {
        use aes_gcm::AeadInOut;
        let tag = self.0.encrypt_inout_detached(&nonce.into(), &[], data.into());
        Ok(tag.map_err(|_| does_not_open())?.into())
    }

    fn open(&self, nonce: [u8; 12], data: &mut [u8]) -> Result<()> {
        use aes_gcm::AeadInOut;
        let at = data.len().checked_sub(TAG).ok_or_else(does_not_open)?;
        let (text, tag) = data.split_at_mut(at);
        let tag: [u8; TAG] = (&*tag).try_into().map_err(|_| does_not_open())?;
        if self.0.decrypt_inout_detached(&nonce.into(), &[], (&mut *text).into(), &tag.into()).is_err() {
            zeroize::Zeroize::zeroize(text);
            return Err(does_not_open());
        }
        Ok(())
    }
}
