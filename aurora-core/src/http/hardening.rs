//! Headers that tell a browser what not to do with an answer.
//!
//! Each stands on every answer, ours and the host's, unless the handler said something else under that name.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::{Http, Tls};
use crate::config::{Profile, Settings};

/// What everybody gets, with the reason.
const ALWAYS: [(HeaderName, &str); 6] = [
    // A note that holds `<script>` stays the JSON that it was sent as (ASVS 3.4.4).
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Paths and queries are told to nobody else. Not `no-referrer`: pages then post with the origin `null`, which is
    // refused as any foreign one (ASVS 3.4.5).
    (REFERRER_POLICY, "same-origin"),
    // What a cookie opens is not loaded into the process of another site's page, where Spectre reads it. Names of the
    // same site may: the front end often is a neighbour. Does not concern CORS (ASVS 3.5.8).
    (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
    // A page that opened ours has no handle on it; what ours opens keeps one: that is how a provider's window tells
    // that someone signed in (ASVS 3.4.8).
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin-allow-popups"),
    // Nobody lays their page over ours and has it clicked; for browsers that do not know `frame-ancestors`.
    (X_FRAME_OPTIONS, "DENY"),
    // The least for a page of the host's, which breaks none that does without plugins, <base> and frames
    // (ASVS 3.4.3, 3.4.6). What runs in it the host's own policy says.
    (CONTENT_SECURITY_POLICY, "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
];

/// For answers of ours that are no page: if one is shown as such, nothing in it runs or loads.
const OURS: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// What is put on answers.
#[derive(Debug)]
pub(super) struct Hardening(Vec<(HeaderName, HeaderValue)>);

impl Hardening {
    pub(super) fn new(settings: &Settings, tls: Option<&Tls>) -> Self {
        let fixed = ALWAYS.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
        let hsts = settings.hsts.value().filter(|_| is_behind_tls(settings, tls));
        let hsts = hsts.map(|value| (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(value)));
        Self(fixed.chain(hsts).collect())
    }
}

/// Whether browsers come by TLS: to us, or to a proxy that was declared. Not in development: a browser that was told
/// once asks every other service on this machine's name by TLS as well, on all ports, for a year.
fn is_behind_tls(settings: &Settings, tls: Option<&Tls>) -> bool {
    let declared = !settings.trusted_proxies.is_empty() && settings.api_url().starts_with("https://");
    settings.profile == Profile::Production && (tls.is_some() || declared)
}

impl Http {
    /// What an answer of the host's still lacks of these headers. One that is there is the handler's own word.
    pub fn hardening(&self, is_there: impl Fn(&HeaderName) -> bool) -> HeaderMap {
        let lacking = self.headers().0.iter().filter(|(name, _)| !is_there(name));
        lacking.cloned().collect()
    }

    /// The same on an answer of our own.
    pub(super) fn harden(&self, answer: &mut HeaderMap) {
        answer.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(OURS));
        let lacking = self.hardening(|name| answer.contains_key(name));
        answer.extend(lacking);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hsts;

    fn hsts(change: impl FnOnce(&mut Settings), tls: Option<Tls>) -> Option<String> {
        let mut settings = Settings::production("https://app.example.com");
        change(&mut settings);
        let Hardening(headers) = Hardening::new(&settings, tls.as_ref());
        let found = headers.into_iter().find(|(name, _)| *name == STRICT_TRANSPORT_SECURITY);
        found.map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    /// ASVS 3.4.1.
    #[test]
    fn hsts_is_said_where_browsers_come_by_tls() {
        let tls = || Some(Tls::files("c.pem", "k.pem"));
        let behind = |settings: &mut Settings| settings.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
        let whole = Some("max-age=31536000; includeSubDomains".to_owned());
        assert_eq!(hsts(|_| {}, tls()), whole);
        assert_eq!(hsts(behind, None), whole);
        assert_eq!(hsts(|_| {}, None), None, "in clear, and nobody said that a proxy is there");
        assert_eq!(hsts(|settings| settings.hsts = Hsts::Off, tls()), None);
        assert_eq!(hsts(|settings| settings.hsts = Hsts::ThisName, tls()).unwrap(), "max-age=31536000");
        assert_eq!(hsts(|settings| settings.profile = Profile::Development, tls()), None);
    }
}
