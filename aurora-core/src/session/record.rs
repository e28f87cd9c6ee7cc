use crate::store::Session;
use crate::types::{SessionId, Timestamp};

/// A session as its user sees it in a list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Which; what [`Auth::end_session`](crate::auth::Auth::end_session) takes.
    pub id: SessionId,
    /// What the device said about itself.
    pub device: Option<String>,
    /// Where it signed in or last refreshed from.
    pub address: Option<String>,
    /// Signed in.
    pub created_at: Timestamp,
    /// Last refreshed; an access token may have been used for its lifetime since.
    pub last_used_at: Timestamp,
    /// Over then, however busy.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl SessionInfo {
    pub(crate) fn new(session: Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            device: session.user_agent,
            address: session.address,
            created_at: session.created_at,
            last_used_at: session.refreshed_at,
            expires_at: session.expires_at,
            current: Some(session.id) == current,
        }
    }
}
