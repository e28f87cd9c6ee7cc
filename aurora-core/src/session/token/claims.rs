use std::sync::Arc;

use serde::Serialize;

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

/// `aud` and `role` of every user's token.
pub(super) const AUTHENTICATED: &str = "authenticated";

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

/// An access token that verified. Only [`TokenKeys::verify`](super::TokenKeys::verify) makes one.
#[derive(Clone)]
pub struct VerifiedToken {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) claims: Arc<str>,
    pub(super) roles: Option<Vec<String>>,
}

impl VerifiedToken {
    /// `sub`.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// `session_id`.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// `iat`.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`, without leeway.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `user_roles`, if it says anything of roles. What it said when it was issued: what counts is what
    /// [`Sessions::admit`](crate::session::Sessions::admit) makes of it.
    pub fn roles(&self) -> Option<&[String]> {
        self.roles.as_deref()
    }

    /// The payload: a JSON object without duplicate members.
    pub fn claims(&self) -> &Arc<str> {
        &self.claims
    }
}

/// Claims hold addresses; they stay out of logs.
impl std::fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("user", &self.user)
            .field("session", &self.session)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
