//! Rows to write. Every call makes new ones, so that checks do not meet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::store::{Identity, Session, User};
use crate::types::{FamilyId, Result, SessionId, Timestamp, UserId};

/// Later than any clock that ran before, with microseconds that no floating point keeps.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_123_457);

pub(super) fn fresh() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
    let process = std::process::id().to_be_bytes();
    let mut bytes = [0x5a; 16];
    for (to, from) in bytes.iter_mut().zip(process.into_iter().chain(number)) {
        *to = from;
    }
    bytes
}

pub(super) fn hash() -> [u8; 32] {
    let mut hash = [7; 32];
    for (to, from) in hash.iter_mut().zip(fresh()) {
        *to = from;
    }
    hash
}

pub(super) fn user_id() -> UserId {
    UserId::from_random(fresh())
}

/// A user with everything set, and addresses of their own.
pub(super) fn user() -> Result<User> {
    let id = user_id();
    let at = |seconds: u64| Some(NOW.minus(Duration::from_micros(seconds * 1_000_003)));
    Ok(User {
        id,
        email: Some(format!("{id}@example.com").parse()?),
        email_confirmed_at: at(1),
        new_email: Some(format!("new-{id}@example.com").parse()?),
        email_change_sent_at: at(2),
        confirmation_sent_at: at(3),
        recovery_sent_at: at(5),
        reauthentication_sent_at: at(6),
        invited_at: at(7),
        password: Some("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned()),
        app_metadata:
            r#"{"provider":"email","providers":["email"],"z":{"a":[1.5,-0.1,1e+300,null,true],"b":1}}"#
                .to_owned(),
        user_metadata: "{\"a\":\"\u{7f}\u{fffd} \\\\ \u{1f980} ''\",\"bb\":\"x\",\"n\":9007199254740993}"
            .to_owned(),
        banned_until: None,
        last_sign_in_at: at(4),
        created_at: NOW.minus(Duration::from_secs(50)),
        updated_at: NOW,
        deleted_at: at(8),
        contested_at: at(9),
        is_anonymous: true,
        identities: Vec::new(),
        factors: Vec::new(),
    })
}

pub(super) fn identity(user: UserId) -> Identity {
    Identity {
        id: user_id(),
        provider: "email".to_owned(),
        provider_id: user.to_string(),
        created_at: NOW.as_micros() - 7,
        updated_at: NOW.as_micros(),
        last_sign_in_at: None,
    }
}

pub(super) fn session(user: UserId) -> Session {
    Session {
        id: SessionId::from_random(fresh()),
        user,
        family: FamilyId::from_random(fresh()),
        generation: 0,
        aal: "aal1".to_owned(),
        amr: r#"[{"method":"password","timestamp":1900000000}]"#.to_owned(),
        user_agent: Some("agent/1.0 (\u{e9})".to_owned()),
        address: Some("2001:db8::1".to_owned()),
        created_at: NOW,
        authenticated_at: NOW.plus(Duration::from_micros(1)),
        refreshed_at: NOW.plus(Duration::from_micros(2)),
        expires_at: NOW.plus(Duration::from_secs(365 * 86_400)),
    }
}
