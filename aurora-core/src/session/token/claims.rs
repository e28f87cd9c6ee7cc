use serde::Serialize;

use super::verified::AUTHENTICATED;
use crate::types::{AuthenticationMethod, Code, Error, Result, SessionId, Timestamp, UserId};

/// What an access token says, in Supabase's claims. Issuer, audience, role and expiry are added by the keys.
#[derive(Clone, Debug)]
pub struct AccessClaims {
    /// `sub`.
    pub user: UserId,
    /// `session_id`.
    pub session: SessionId,
    /// `email`; empty when there is none.
    pub email: String,
    /// `phone`; empty when there is none.
    pub phone: String,
    /// `app_metadata`: a JSON object, written by the service alone.
    pub app_metadata: String,
    /// `user_metadata`: a JSON object, written by the user. Policies must not decide on it.
    pub user_metadata: String,
    /// `aal`: `aal1`, or `aal2` after a second factor.
    pub assurance: &'static str,
    /// `amr`, newest first.
    pub methods: Vec<AuthenticationMethod>,
    /// `is_anonymous`.
    pub is_anonymous: bool,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
}

#[derive(Serialize)]
struct Wire<'a> {
    iss: &'a str,
    sub: UserId,
    aud: &'static str,
    exp: i64,
    iat: i64,
    email: &'a str,
    phone: &'a str,
    app_metadata: serde_json::Map<String, serde_json::Value>,
    user_metadata: serde_json::Map<String, serde_json::Value>,
    role: &'static str,
    aal: &'a str,
    amr: Vec<Method<'a>>,
    session_id: SessionId,
    is_anonymous: bool,
    #[serde(flatten)]
    more: &'a serde_json::Map<String, serde_json::Value>,
}

/// The members that every token has, and those that mean something to whoever verifies one.
pub(crate) const OWN_CLAIMS: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "email",
    "phone",
    "app_metadata",
    "user_metadata",
    "role",
    "aal",
    "amr",
    "session_id",
    "is_anonymous",
];

#[derive(Serialize)]
struct Method<'a> {
    method: &'a str,
    timestamp: i64,
}

impl AccessClaims {
    /// The payload's JSON.
    pub(super) fn to_json(
        &self,
        issuer: &str,
        lifetime: std::time::Duration,
        more: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Vec<u8>> {
        // A second `sub` behind the first would be another user to some readers.
        if let Some(own) = OWN_CLAIMS.iter().find(|own| more.contains_key(**own)) {
            return Err(Error::internal(format!("the claim `{own}` is the token's own")));
        }
        let object = |name: &str, text: &str| {
            serde_json::from_str(text).map_err(|error| {
                Error::new(Code::ValidationFailed, format!("`{name}` must be a JSON object"))
                    .with_source(error)
            })
        };
        let methods = self.methods.iter();
        let wire = Wire {
            iss: issuer,
            sub: self.user,
            aud: AUTHENTICATED,
            exp: self.issued_at.plus(lifetime).as_seconds(),
            iat: self.issued_at.as_seconds(),
            email: &self.email,
            phone: &self.phone,
            app_metadata: object("app_metadata", &self.app_metadata)?,
            user_metadata: object("user_metadata", &self.user_metadata)?,
            role: AUTHENTICATED,
            aal: self.assurance,
            amr: methods.map(|m| Method { method: &m.method, timestamp: m.at.as_seconds() }).collect(),
            session_id: self.session,
            is_anonymous: self.is_anonymous,
            more,
        };
        serde_json::to_vec(&wire).map_err(Error::internal)
    }
}
