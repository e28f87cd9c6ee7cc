use std::fmt;

use super::Factor;
use crate::types::{FamilyId, SessionId, Timestamp, UserId};
use crate::validate::Email;

/// A user, as stored.
#[derive(Clone)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The address to sign in with.
    pub email: Option<Email>,
    /// When the address was confirmed.
    pub email_confirmed_at: Option<Timestamp>,
    /// An address that waits for its confirmation.
    pub new_email: Option<Email>,
    /// When the confirmation of `new_email` was asked for.
    pub email_change_sent_at: Option<Timestamp>,
    /// When the confirmation of `email` was asked for.
    pub confirmation_sent_at: Option<Timestamp>,
    /// When a recovery of the password was asked for.
    pub recovery_sent_at: Option<Timestamp>,
    /// When a code to reauthenticate with was asked for.
    pub reauthentication_sent_at: Option<Timestamp>,
    /// When someone of the service invited them.
    pub invited_at: Option<Timestamp>,
    /// The password's hash, a PHC or bcrypt string.
    pub password: Option<String>,
    /// A JSON object that only the service writes, as serde_json prints a `Value`: a store may keep the value and
    /// not its spelling.
    pub app_metadata: String,
    /// A JSON object that the user writes, printed the same way.
    pub user_metadata: String,
    /// Refused until then.
    pub banned_until: Option<Timestamp>,
    /// The latest sign-in.
    pub last_sign_in_at: Option<Timestamp>,
    /// Registered.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
    /// Deleted, but for the row: they cannot sign in, and nothing of theirs is left but the id.
    pub deleted_at: Option<Timestamp>,
    /// Since then it is unknown whose password an unconfirmed row has: several people asked for the address.
    pub contested_at: Option<Timestamp>,
    /// Whether nobody knows who it is: signed in without an address.
    pub is_anonymous: bool,
    /// How this user signs in.
    pub identities: Vec<Identity>,
    /// Their second factors, in the order of enrolling. [`WriteFactors`](super::WriteFactors) changes them.
    pub factors: Vec<Factor>,
}

/// Names no one and prints no hash.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

impl User {
    /// Whether a ban holds at `now`.
    pub fn is_banned(&self, now: Timestamp) -> bool {
        self.banned_until.is_some_and(|until| until > now)
    }

    /// Whether a second factor of theirs counts.
    pub fn has_factor(&self) -> bool {
        self.factors.iter().any(Factor::is_verified)
    }
}

/// One way in which a user signs in.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Identity {
    /// The row, a UUID.
    pub id: UserId,
    /// `email`, or the name of an outside provider.
    pub provider: String,
    /// What the provider calls the user.
    pub provider_id: String,
    /// When it was added, microseconds.
    pub created_at: i64,
    /// When it last changed, microseconds.
    pub updated_at: i64,
    /// When it was last used, microseconds.
    pub last_sign_in_at: Option<i64>,
}

/// A signed-in device.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The chain of its refresh tokens.
    pub family: FamilyId,
    /// The newest refresh token's place in the chain, from 0.
    pub generation: i64,
    /// The authentication level, `aal1` or `aal2`.
    pub aal: String,
    /// How it was authenticated: a JSON array of `{method, timestamp}`, newest first.
    pub amr: String,
    /// What the device said about itself.
    pub user_agent: Option<String>,
    /// Where it signed in or last refreshed from.
    pub address: Option<String>,
    /// Signed in.
    pub created_at: Timestamp,
    /// Last proved who it is, by a password for instance.
    pub authenticated_at: Timestamp,
    /// Last refreshed.
    pub refreshed_at: Timestamp,
    /// Over then, however busy.
    pub expires_at: Timestamp,
}

/// What a mail carried to its reader: a link, or a code to type, each kept by its keyed hash alone.
#[derive(Clone)]
pub struct OneTimeToken {
    /// The row, a UUID.
    pub id: UserId,
    /// Whose.
    pub user: UserId,
    /// What it is good for.
    pub purpose: String,
    /// Where it was sent: it proves that address and no other.
    pub address: Email,
    /// The keyed hash of the link's token.
    pub link: [u8; 32],
    /// The keyed hash of the code.
    pub code: [u8; 32],
    /// The keyed hash of what the link is exchanged for by whoever holds the verifier (RFC 7636).
    pub exchange: Option<[u8; 32]>,
    /// The verifier's challenge and its method, `s256` or `plain`.
    pub challenge: Option<(String, String)>,
    /// What takes effect with its use, sealed.
    pub sealed: Option<Vec<u8>>,
    /// Wrong codes so far.
    pub tries: i64,
    /// Sent.
    pub created_at: Timestamp,
    /// Worthless from then.
    pub expires_at: Timestamp,
}

/// Prints no hash.
impl fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("OneTimeToken");
        out.field("user", &self.user).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// A mail that waits to be sent. Its content is sealed.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// The row, a UUID.
    pub id: String,
    /// Who it goes to and what it says, sealed.
    pub sealed: Vec<u8>,
    /// How often it was tried.
    pub tries: i64,
    /// Not before then.
    pub next_at: Timestamp,
    /// Asked for.
    pub created_at: Timestamp,
}

/// A refresh token that was found by its keyed hash, with its session.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its place in the chain, from 0.
    pub generation: i64,
    /// When the token after it was used; `None` while that one is unused or does not exist.
    pub successor_used_at: Option<Timestamp>,
    /// The session it belongs to.
    pub session: Session,
}

/// A session that ended, in the order of commits.
#[derive(Clone, Copy, Debug)]
pub struct Revocation {
    /// Ascending with every commit.
    pub sequence: i64,
    /// The session.
    pub session: SessionId,
}

/// A data key, wrapped under a key that lives outside the database.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its number.
    pub id: u32,
    /// What it is for.
    pub purpose: String,
    /// Whose data it protects; empty for the service's own.
    pub owner: String,
    /// `pending`, `active`, `decrypt-only` or `destroyed`.
    pub state: String,
    /// Encrypted under the root key; empty once destroyed.
    pub wrapped: Vec<u8>,
    /// Made.
    pub created_at: Timestamp,
    /// Last time that its state changed.
    pub changed_at: Option<Timestamp>,
}

/// A key that signs access tokens, its private half sealed.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// Its number.
    pub id: u32,
    /// The name that tokens carry.
    pub kid: String,
    /// The algorithm it is bound to.
    pub algorithm: String,
    /// The private half, sealed.
    pub sealed: Vec<u8>,
    /// The public half, a JWK.
    pub public_jwk: String,
    /// Whether it still signs.
    pub state: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came into its state; `None` if it was made in it.
    pub changed_at: Option<Timestamp>,
}

/// An audit record in its final shape.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// A random UUID.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// In which tenant.
    pub tenant: Option<String>,
    /// Who, without a name: a user's id, `anonymous`, `service`.
    pub actor: String,
    /// `security`, `data` or `access`.
    pub kind: String,
    /// What.
    pub action: String,
    /// To whom or what.
    pub target: Option<String>,
    /// Within which request.
    pub request: Option<String>,
    /// A canonical JSON object.
    pub payload: String,
    /// 32 random bytes.
    pub salt: [u8; 32],
    /// SHA-256 of salt and payload.
    pub commitment: [u8; 32],
}
