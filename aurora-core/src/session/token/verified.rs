use std::sync::Arc;

use crate::types::{SessionId, Timestamp, UserId};

/// `aud` and `role` of every user's token.
pub(super) const AUTHENTICATED: &str = "authenticated";
/// The members of the claims that say who holds what. The first stands in the token; the second is laid over it where
/// sessions are known, so that a role may give more than a token could carry.
pub(crate) const USER_ROLES: &str = "user_roles";
pub(crate) const USER_PERMISSIONS: &str = "user_permissions";

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
