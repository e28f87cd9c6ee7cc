use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::config;
use crate::crypto::{Keyring, Purpose};
use crate::env::{Entropy, random};
use crate::store::RefreshToken;
use crate::types::{FamilyId, Result, Secret, Timestamp};

/// What stands in front of every refresh token, so that a secret scanner and a person know what they found.
const PREFIX: &str = "art_";
/// How far a token may lie behind and still be walked forward within the grace.
const LONGEST_WALK: i64 = 64;

/// A refresh token: 256 bits that only its holder has.
///
/// The first of a family is random; each next one is derived from the one before, so that whoever holds a token and
/// asks again gets the same answer, and nobody else can compute it.
#[derive(Clone)]
pub struct RefreshSecret(Zeroizing<[u8; 32]>);

impl RefreshSecret {
    /// The first of a family.
    pub(crate) fn first(entropy: &dyn Entropy) -> Result<Self> {
        Ok(Self(Zeroizing::new(random(entropy)?)))
    }

    /// Reads a token. `None` for a text that cannot be one: nothing needs to be looked up then.
    pub(crate) fn parse(token: &Secret) -> Option<Self> {
        let encoded = token.expose().strip_prefix(PREFIX)?;
        if encoded.len() != 43 {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// The token's text.
    pub(crate) fn text(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*self.0)))
    }

    /// What the database knows it by.
    pub(crate) fn hash(&self, keyring: &Keyring) -> [u8; 32] {
        keyring.mac(Purpose::Session, "refresh token hash", &[self.0.as_slice()])
    }

    /// The token `steps` after it in its family.
    pub(crate) fn successor(&self, keyring: &Keyring, family: FamilyId, steps: i64) -> Self {
        let mut secret = self.clone();
        for _ in 0..steps {
            let parts = [family.as_bytes().as_slice(), secret.0.as_slice()];
            secret = Self(Zeroizing::new(keyring.mac(Purpose::Session, "refresh token successor", &parts)));
        }
        secret
    }
}

impl std::fmt::Debug for RefreshSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshSecret(..)")
    }
}

/// What a refresh token that was found is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// It is the newest: exchange it.
    Rotate,
    /// It was exchanged; hand out the newest again, so many steps on.
    Reissue(i64),
    /// It was replayed: the family ends.
    Replay,
    /// Its session is over.
    Expired,
}

/// Decides, by the rules of this room's page.
pub(crate) fn decide(found: &RefreshToken, now: Timestamp, lifetimes: &config::Tokens) -> Decision {
    let session = &found.session;
    let behind = session.generation - found.generation;
    if now > session.expires_at || now > session.refreshed_at.plus(lifetimes.idle_lifetime) {
        return Decision::Expired;
    }
    match (behind, found.successor_used_at) {
        (0, _) => Decision::Rotate,
        (1, None) => Decision::Reissue(1),
        (2..=LONGEST_WALK, Some(used)) if now <= used.plus(lifetimes.reuse_grace) => {
            Decision::Reissue(behind)
        }
        _ => Decision::Replay,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Session;
    use crate::types::{SessionId, UserId};

    fn found(generation: i64, newest: i64, successor_used_at: Option<i64>) -> RefreshToken {
        let at = Timestamp::from_seconds(1_000);
        let session = Session {
            id: SessionId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            family: FamilyId::from_bytes([3; 16]),
            generation: newest,
            aal: "aal1".to_owned(),
            amr: "[]".to_owned(),
            user_agent: None,
            address: None,
            created_at: at,
            authenticated_at: at,
            refreshed_at: at,
            expires_at: at.plus(Duration::from_secs(365 * 86_400)),
        };
        RefreshToken {
            generation,
            successor_used_at: successor_used_at.map(Timestamp::from_seconds),
            session,
        }
    }

    #[test]
    fn the_rules() {
        let lifetimes = config::Tokens::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_000 + seconds);
        let idle = 30 * 86_400;
        // (place, newest, successor used at, now) -> decision
        let rules = [
            (0, 0, None, 0, Decision::Rotate),
            (5, 5, None, idle, Decision::Rotate),
            (5, 5, None, idle + 1, Decision::Expired),
            (4, 5, None, 3_600, Decision::Reissue(1)),
            (4, 5, None, idle, Decision::Reissue(1)),
            (3, 5, Some(1_000), 10, Decision::Reissue(2)),
            (3, 5, Some(1_000), 11, Decision::Replay),
            (0, 5, Some(500), 0, Decision::Replay),
            (0, 100, Some(1_000), 0, Decision::Replay),
            (6, 5, None, 0, Decision::Replay),
        ];
        for (place, newest, used, now, decision) in rules {
            assert_eq!(
                decide(&found(place, newest, used), at(now), &lifetimes),
                decision,
                "{place} of {newest}"
            );
        }
    }

    /// attack R10
    #[test]
    fn garbage_is_not_looked_up() {
        let long = "a".repeat(65_536);
        let padded = format!("art_{}=", "A".repeat(42));
        for text in [
            "",
            "art_",
            "a\0b",
            "art_AAAA",
            long.as_str(),
            padded.as_str(),
            &format!("brt_{}", "A".repeat(43)),
        ] {
            assert!(RefreshSecret::parse(&text.into()).is_none());
        }
        // 43 characters carry 258 bits: the last two must be zero, so that one token has one spelling.
        assert!(RefreshSecret::parse(&format!("art_{}B", "A".repeat(42)).into()).is_none());
        assert!(RefreshSecret::parse(&format!("art_{}", "A".repeat(43)).into()).is_some());
    }
}
