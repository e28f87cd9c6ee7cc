//! Keys that name an application, on the wire: those of the settings, opaque ones of the database, and JWTs that a
//! project's own key signed.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;

use super::Http;
use super::admit::unknown_key;
use crate::session::{ApiKeyKind, ApiScope, Fingerprint};
use crate::types::{ApiKeyId, Code, Error, RequestId, Result, Role};

/// What every key of Supabase's newer kinds begins with, and what a secret one does.
const OPAQUE: &str = "sb_";
const SECRET: &str = "sb_secret_";
const BEARER: &[u8] = b"bearer ";
/// Where the official client names its application.
pub(super) const APIKEY: HeaderName = HeaderName::from_static("apikey");
/// A page cannot take it back, whatever it says of itself. Node.js sends `sec-fetch-mode`, but not this.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a browser sends the request, which has no business with a secret key: whoever reads the page has it.
fn is_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(http::HeaderValue::as_bytes);
    headers.contains_key(FETCH_SITE) || agent.is_some_and(|agent| agent.starts_with(b"Mozilla/"))
}

fn in_browser() -> Error {
    Error::new(Code::NoAuthorization, "Forbidden use of secret API key in browser")
}

/// The opaque keys that a request shows.
fn opaque(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let apikey = headers.get_all(APIKEY).iter().map(HeaderValue::as_bytes);
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
    });
    // By their bytes: this is asked of every request, and most bring a token, which is long.
    let opaque = apikey.chain(bearer).filter(|text| text.starts_with(OPAQUE.as_bytes()) && text.is_ascii());
    opaque.filter_map(|text| std::str::from_utf8(text).ok())
}

impl Http {
    /// Whether there is anything to [look at](Self::look_at_keys).
    pub(super) fn shows_keys(&self, headers: &HeaderMap) -> bool {
        opaque(headers).next().is_some()
    }

    /// Before anything is decided on a key: what is known of the opaque ones is not older than half a second. Notes
    /// their use, and records secret ones that are known and refused.
    pub(super) async fn look_at_keys(&self, head: &Parts, address: IpAddr, request: RequestId) -> Result<()> {
        let (mut seen, browser) = (None, is_browser(&head.headers));
        for text in opaque(&head.headers) {
            // The official client sends one key twice.
            if seen.replace(text) == Some(text) {
                continue;
            }
            let (ours, secret) =
                (self.keys().role(&Fingerprint::of(text)).is_some(), text.starts_with(SECRET));
            if !ours {
                self.auth().sessions().api_keys().freshen().await?;
            }
            let known = self.auth().sessions().api_keys().find(text).filter(|_| !ours);
            let id = known.as_ref().map(|known| known.id);
            if browser && secret && (ours || id.is_some()) {
                self.record_refused(text, id, "browser", (head.uri.path(), address, request)).await?;
                return Err(in_browser());
            }
            match known {
                // Everybody has a publishable one, and an old page of the host's goes on to send it.
                Some(known) if known.revoked && known.kind == ApiKeyKind::Publishable => {}
                Some(known) if known.revoked => {
                    self.record_refused(text, id, "revoked", (head.uri.path(), address, request)).await?;
                }
                Some(known) => {
                    let now = self.auth().sessions().parts().clock.now();
                    self.auth().sessions().api_keys().note(&known, now).await;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The role that `text` is a key of; `None` for a text that is none.
    pub(super) fn key_role(
        &self,
        text: &str,
        fingerprint: &Fingerprint,
        headers: &HeaderMap,
    ) -> Result<Option<Role>> {
        if text.starts_with(SECRET) && is_browser(headers) {
            return Err(in_browser());
        }
        if let Some(role) = self.keys().role(fingerprint) {
            return Ok(Some(role));
        }
        if text.starts_with(OPAQUE) {
            return match self.auth().sessions().api_keys().find(text) {
                Some(known) if known.revoked => Err(unknown_key()),
                known => Ok(known.map(|known| known.kind.role())),
            };
        }
        self.auth().sessions().client(text, fingerprint)
    }

    /// Whether there are keys: without any, `apikey` means nothing.
    pub(super) fn has_keys(&self) -> bool {
        let sessions = self.auth().sessions();
        self.keys().any() || sessions.api_keys().any() || sessions.parts().tokens.names_clients()
    }

    /// Refuses a key that was made without that scope, and records it. Keys of the settings and JWTs have all.
    pub(super) async fn check_scope(
        &self,
        key: &str,
        scope: ApiScope,
        from: (&str, IpAddr, RequestId),
    ) -> Result<()> {
        let known = self
            .auth()
            .sessions()
            .api_keys()
            .find(key)
            .filter(|_| self.keys().role(&Fingerprint::of(key)).is_none());
        let Some(known) = known.filter(|known| !known.scopes.contains(&scope)) else { return Ok(()) };
        self.record_refused(key, Some(known.id), "scope", from).await?;
        Err(Error::new(Code::NotAdmin, format!("This key does not have the scope `{}`", scope.as_str())))
    }

    /// Once per key, address and minute.
    async fn record_refused(
        &self,
        key: &str,
        id: Option<ApiKeyId>,
        reason: &'static str,
        (path, address, request): (&str, IpAddr, RequestId),
    ) -> Result<()> {
        let hash = *Fingerprint::of(key).as_bytes();
        let now = self.auth().sessions().parts().clock.now();
        let write = self.auth().record_refused_key(id, reason, path, address, request);
        self.refusals().once((hash, address), now, write).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_send() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            is_browser(&headers)
        };
        assert!(with("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"));
        assert!(with("sec-fetch-site", "cross-site"));
        for agent in ["node", "curl/8.5.0", "python-httpx/0.28", "Deno/2.4", "supabase-js/2"] {
            assert!(!with("user-agent", agent), "{agent}");
        }
        assert!(!with("sec-fetch-mode", "cors"));
    }
}
