use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Auth;
use crate::audit::{Action, Actor};
use crate::crypto::Purpose;
use crate::session::{Client, RefreshSecret};
use crate::types::{Error, Principal, Result, Secret, SessionId};

/// What stands in front of every token against forged requests, for whoever finds one.
const PREFIX: &str = "csrf_";

impl Auth {
    /// Who holds a refresh token, used or not, in which session. `None` once the session is over.
    pub(crate) async fn holder(&self, refresh_token: &Secret) -> Result<Option<Principal>> {
        let Some(secret) = RefreshSecret::parse(refresh_token) else { return Ok(None) };
        let hash = secret.hash(&self.0.sessions.parts().keyring);
        let found = self.database().read().await?.refresh_token(&hash).await?;
        Ok(found.map(|found| {
            let session = found.session;
            let claims = format!(r#"{{"sub":"{}","role":"authenticated"}}"#, session.user);
            Principal::signed_in(session.user, session.id, claims.into())
        }))
    }

    /// What a page of the site's own sends with a change that a cookie signs.
    ///
    /// One for as long as its session lasts: tabs that refresh at the same time do not invalidate each other's.
    pub(crate) fn forgery_token(&self, session: SessionId) -> Secret {
        let keyring = &self.0.sessions.parts().keyring;
        let mac = keyring.mac(Purpose::Session, "csrf token", &[session.as_bytes().as_slice()]);
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    /// Records that a request by cookie was refused, and answers with the denial.
    pub(crate) async fn deny_forgery(
        &self,
        principal: Option<&Principal>,
        about: Forgery<'_>,
        client: &Client,
        denial: Error,
    ) -> Error {
        let actor = principal.map_or(Actor::Anonymous, Actor::of);
        let mut record = self.record(actor, Action::CSRF_REFUSED, client).with("route", about.path);
        if let Some(session) = principal.and_then(Principal::session_id) {
            record = record.target(session);
        }
        for (name, said) in [("origin", about.origin), ("site", about.site)] {
            if let Some(said) = said {
                record = record.with(name, said);
            }
        }
        self.deny(record, denial).await
    }
}

/// What is worth knowing of a forged request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgery<'a> {
    /// Its path, without the query.
    pub(crate) path: &'a str,
    /// `Origin`.
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub(crate) site: Option<&'a str>,
}
