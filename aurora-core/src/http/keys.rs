use aws_lc_rs::digest::{Digest, SHA256, digest};
use subtle::ConstantTimeEq;

use crate::config::ApiKeys;
use crate::types::Role;

/// The application keys, as hashes.
#[derive(Debug)]
pub(super) struct Keys {
    anon: Vec<Digest>,
    service: Vec<Digest>,
}

impl Keys {
    pub(super) fn new(keys: &ApiKeys) -> Self {
        let hashes = |keys: &[crate::types::Secret]| keys.iter().map(|key| hash(key.expose())).collect();
        Self { anon: hashes(&keys.anon), service: hashes(&keys.service) }
    }

    /// Whether any key was configured.
    pub(super) fn any(&self) -> bool {
        !self.anon.is_empty() || !self.service.is_empty()
    }

    /// The role that `text` is a key of. Takes as long for the first key as for none.
    pub(super) fn role(&self, text: &str) -> Option<Role> {
        let hash = hash(text);
        let among = |keys: &[Digest]| {
            keys.iter().fold(subtle::Choice::from(0), |found, key| found | key.as_ref().ct_eq(hash.as_ref()))
        };
        let (anon, service) = (among(&self.anon), among(&self.service));
        if bool::from(service) {
            Some(Role::Service)
        } else if bool::from(anon) {
            Some(Role::Anon)
        } else {
            None
        }
    }
}

fn hash(text: &str) -> Digest {
    digest(&SHA256, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_matched_whole() {
        let keys = Keys::new(&ApiKeys {
            anon: vec!["sb_publishable_a".into()],
            service: vec!["sb_secret_b".into()],
        });
        assert_eq!(keys.role("sb_publishable_a"), Some(Role::Anon));
        assert_eq!(keys.role("sb_secret_b"), Some(Role::Service));
        for text in ["", "sb_secret_", "sb_secret_b ", "SB_SECRET_B"] {
            assert_eq!(keys.role(text), None);
        }
    }
}
