use subtle::ConstantTimeEq;

use crate::config::ApiKeys;
use crate::session::Fingerprint;
use crate::types::Role;

/// The application keys, as hashes.
#[derive(Debug)]
pub(super) struct Keys {
    anon: Vec<Fingerprint>,
    service: Vec<Fingerprint>,
}

impl Keys {
    pub(super) fn new(keys: &ApiKeys) -> Self {
        let hashes =
            |keys: &[crate::types::Secret]| keys.iter().map(|key| Fingerprint::of(key.expose())).collect();
        Self { anon: hashes(&keys.anon), service: hashes(&keys.service) }
    }

    /// Whether any key was configured.
    pub(super) fn any(&self) -> bool {
        !self.anon.is_empty() || !self.service.is_empty()
    }

    /// The role that a text of this fingerprint is a key of. Takes as long for the first key as for none.
    pub(super) fn role(&self, text: &Fingerprint) -> Option<Role> {
        let among = |keys: &[Fingerprint]| {
            keys.iter()
                .fold(subtle::Choice::from(0), |found, key| found | key.as_bytes().ct_eq(text.as_bytes()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_matched_whole() {
        let keys = Keys::new(&ApiKeys {
            anon: vec!["sb_publishable_a".into()],
            service: vec!["sb_secret_b".into()],
        });
        let role = |text| keys.role(&Fingerprint::of(text));
        assert_eq!(role("sb_publishable_a"), Some(Role::Anon));
        assert_eq!(role("sb_secret_b"), Some(Role::Service));
        for text in ["", "sb_secret_", "sb_secret_b ", "SB_SECRET_B"] {
            assert_eq!(role(text), None);
        }
    }
}
