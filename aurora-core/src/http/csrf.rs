use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, ORIGIN};
use http::{Method, Uri};
use subtle::ConstantTimeEq as _;

use super::cors::{Cors, refused};
use crate::load::address_key;
use crate::types::{Code, Error, Result, Secret, Timestamp};

pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
pub(super) const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What a request may do that a cookie signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Reads,
    Changes,
}

impl Effect {
    /// What a method says of itself (RFC 9110 s9.2.1).
    pub(super) fn of(method: &Method) -> Self {
        if method.is_safe() { Self::Reads } else { Self::Changes }
    }
}

/// Which page asks, by what its browser says of it. No page can write these headers.
impl Cors {
    /// Refuses a change that is not asked for by a page of the site's own, or by an allowed origin of the same site.
    /// Where a browser says nothing of the site, the origin has to be there, and the site's own.
    pub(super) fn check_change(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let origin = once(headers, ORIGIN)?;
        let own = origin.map(|origin| self.is_own(origin, uri, headers));
        let listed = origin.is_some_and(|origin| self.allows(origin));
        let allowed = match once(headers, SITE)? {
            Some("same-origin") => own.unwrap_or(true) || listed,
            Some("same-site") => listed,
            Some(_) => false,
            None => own.unwrap_or(false),
        };
        if allowed { Ok(()) } else { Err(refused()) }
    }

    /// Refuses to answer a foreign page's script, image or frame as the user. A link that a person follows is a read
    /// like one that they type.
    pub(super) fn check_read(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let origin = once(headers, ORIGIN)?;
        let own = origin.map(|origin| self.is_own(origin, uri, headers));
        let listed = origin.is_some_and(|origin| self.allows(origin));
        let followed = *method == Method::GET
            && once(headers, MODE)? == Some("navigate")
            && once(headers, DESTINATION)? == Some("document");
        let allowed = match once(headers, SITE)? {
            Some("same-origin" | "none") => true,
            Some(_) if followed => true,
            Some("same-site") => listed,
            Some(_) => false,
            None => own.unwrap_or(true) || listed,
        };
        if allowed { Ok(()) } else { Err(refused()) }
    }
}

/// Refuses a change without the token of its session.
pub(super) fn check_token(headers: &HeaderMap, expected: &Secret) -> Result<()> {
    let invalid = |text: &'static str| Error::new(Code::CsrfTokenInvalid, text);
    let mut values = headers.get_all(TOKEN).iter();
    match (values.next(), values.next()) {
        (Some(sent), None) if bool::from(sent.as_bytes().ct_eq(expected.expose().as_bytes())) => Ok(()),
        (None, _) => Err(invalid("A change by cookie needs the header X-CSRF-Token")),
        _ => Err(invalid("X-CSRF-Token is not that of this session")),
    }
}

/// The header's value, if it is there; a second one, or one that is no text, is as good as foreign.
fn once(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| refused()),
        (Some(_), Some(_)) => Err(refused()),
    }
}

/// How long one record speaks for its address: a page that posts all day fills no log.
const EACH: Duration = Duration::from_secs(60);
/// More addresses than attack at a time; beyond, records are written that would not be needed.
const MOST: usize = 4_096;

/// When a forged request was last recorded, by the address that it came from: whose /64 is one.
#[derive(Debug, Default)]
pub(super) struct Forgeries(Mutex<HashMap<[u8; 9], Timestamp>>);

impl Forgeries {
    /// Whether this is the first from there within a minute.
    pub(super) fn is_new(&self, address: IpAddr, now: Timestamp) -> bool {
        let recent = |at: &Timestamp| *at <= now && now.since(*at) < EACH;
        let address = address_key(address);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&address).is_some_and(recent) {
            return false;
        }
        if seen.len() >= MOST {
            seen.retain(|_, at| recent(at));
        }
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(address, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CookieSessions, Settings};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn cors() -> Cors {
        let mut settings = Settings::production("https://app.example.com");
        settings.cookies = CookieSessions::On;
        settings.cors_origins.push("https://spa.example.com".parse().unwrap());
        Cors::new(&settings)
    }

    const OWN: &str = "https://app.example.com";
    const LISTED: &str = "https://spa.example.com";
    const SIBLING: &str = "https://evil.example.com";

    /// attacks S05, S07, asvs(V3.5.1, V3.5.3)
    #[test]
    fn who_may_ask_for_a_change() {
        let cors = cors();
        let uri = Uri::from_static("/notes");
        let ask = |pairs: &[(&str, &str)]| cors.check_change(&uri, &headers(pairs)).is_ok();
        assert!(ask(&[("sec-fetch-site", "same-origin"), ("origin", OWN)]));
        assert!(ask(&[("sec-fetch-site", "same-origin")]));
        assert!(ask(&[("sec-fetch-site", "same-site"), ("origin", LISTED)]));
        // A browser that says nothing of the site.
        assert!(ask(&[("origin", OWN)]));
        for refused in [
            &[] as &[(&str, &str)],
            &[("origin", LISTED)],
            &[("origin", SIBLING)],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", OWN), ("origin", OWN)],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "none"), ("origin", OWN)],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", OWN)],
            &[("sec-fetch-site", "cross-site"), ("origin", LISTED)],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-site"), ("origin", OWN)],
            &[("sec-fetch-site", "same-site"), ("origin", SIBLING)],
            &[("sec-fetch-site", "same-origin"), ("origin", SIBLING)],
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "Same-Origin"), ("origin", OWN)],
            &[("sec-fetch-site", ""), ("origin", OWN)],
            &[("sec-fetch-site", "same-origin, cross-site"), ("origin", OWN)],
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            assert!(!ask(refused), "{refused:?}");
        }
    }

    /// asvs(V3.5.3)
    #[test]
    fn who_may_read() {
        let cors = cors();
        let uri = Uri::from_static("/notes");
        let ask =
            |method: &Method, pairs: &[(&str, &str)]| cors.check_read(method, &uri, &headers(pairs)).is_ok();
        let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let from = |site: &'static str| [("sec-fetch-site", site), link[0], link[1]];
        for site in ["same-origin", "same-site", "cross-site", "none"] {
            assert!(ask(&Method::GET, &from(site)), "{site}");
        }
        assert!(!ask(&Method::HEAD, &from("cross-site")));
        assert!(ask(&Method::GET, &[("sec-fetch-site", "same-origin")]));
        assert!(ask(&Method::GET, &[("sec-fetch-site", "same-site"), ("origin", LISTED)]));
        assert!(ask(&Method::GET, &[]));
        assert!(ask(&Method::GET, &[("origin", OWN)]));
        for refused in [
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]
                as &[(&str, &str)],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "websocket")],
            &[("sec-fetch-site", "cross-site"), ("origin", LISTED)],
            &[("sec-fetch-site", "same-site"), ("origin", SIBLING)],
            &[("sec-fetch-site", "?")],
            &[("origin", SIBLING)],
            &[("origin", "null")],
        ] {
            assert!(!ask(&Method::GET, refused), "{refused:?}");
        }
    }

    #[test]
    fn one_record_an_address_and_minute() {
        let (forgeries, at) = (Forgeries::default(), |seconds: i64| Timestamp::from_seconds(1_000 + seconds));
        let address = |last: u32| IpAddr::from(std::net::Ipv4Addr::from(last));
        assert!(forgeries.is_new(address(1), at(0)));
        assert!(!forgeries.is_new(address(1), at(59)));
        assert!(forgeries.is_new(address(2), at(59)));
        assert!(forgeries.is_new(address(1), at(60)));
        for number in 0..10_000 {
            forgeries.is_new(address(number), at(60));
        }
        assert!(forgeries.0.lock().unwrap().len() <= MOST);
    }
}
