use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, VARY,
};
use http::uri::Authority;
use http::{Method, Response, StatusCode, Uri};

use super::render::empty_response;
use crate::config::{Origin, Profile, Settings};
use crate::types::{Code, Error, Result};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-supabase-api-version, x-sb-error-code, x-aurora-reason, x-request-id, retry-after, link, x-total-count, content-range, content-length, etag, location, tus-resumable, tus-version, tus-extension, tus-max-size, upload-offset, upload-length, upload-expires",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Which pages may call from elsewhere. With cookies only where sessions may be in them, and then no site but our own.
#[derive(Debug)]
pub(super) struct Cors {
    allowed: Vec<Origin>,
    /// The site's own origin and the API's, as they were configured: no header says what is ours.
    own: Vec<Origin>,
    /// In development the site is also whatever name this machine is called by.
    development: bool,
    /// Whether pages of allowed origins may send our cookies along.
    credentials: bool,
}

impl Cors {
    pub(super) fn new(settings: &Settings) -> Self {
        let origin =
            |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/").parse::<Origin>().ok();
        let (site, api) = (origin(&settings.site_url), origin(settings.api_url()));
        let mut allowed = settings.cors_origins.clone();
        // To a page of the site, an API at another address is across origins.
        allowed.extend(site.clone().filter(|_| site != api));
        Self {
            allowed,
            own: site.into_iter().chain(api).collect(),
            development: settings.profile == Profile::Development,
            credentials: settings.cookies.is_on(),
        }
    }

    pub(super) fn allows(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.as_str() == origin)
    }

    /// The answer to a preflight; `None` for any other request.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Vec<u8>>> {
        if *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = one(headers, ORIGIN)?;
        let mut response = empty_response(StatusCode::NO_CONTENT);
        let out = response.headers_mut();
        out.insert(VARY, HeaderValue::from_static("origin, access-control-request-headers"));
        if !self.allows(origin) {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Some(response);
        }
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, headers.get(ORIGIN).cloned()?);
        out.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if self.credentials {
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        // A page of an allowed origin may send what it likes: none of our decisions rests on a header's absence.
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Lets a page of an allowed origin read the answer, and no cache give it to somebody else: unlike an answer to
    /// `Authorization`, one to a cookie may be kept by whoever stands between (RFC 9111 s3.5).
    pub(super) fn decorate(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.credentials {
            response.append(VARY, HeaderValue::from_static("cookie"));
        }
        if self.allowed.is_empty() {
            return;
        }
        response.append(VARY, HeaderValue::from_static("origin"));
        let (Some(origin), Some(value)) = (one(request, ORIGIN), request.get(ORIGIN)) else { return };
        if self.allows(origin) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value.clone());
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            if self.credentials {
                response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }

    /// In development, refuses a request for another host than this machine: a page whose name was pointed here (DNS
    /// rebinding) is of its own origin to the browser, and the name is all that gives it away. The site's own host and
    /// those of allowed origins were named by the developer.
    pub(super) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        if !self.development || (uri.authority().is_none() && !headers.contains_key(HOST)) {
            return Ok(());
        }
        let host = host(uri, headers).ok_or_else(refused)?;
        let named = |origin: &Origin| {
            origin.as_str().split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(host))
        };
        if is_loopback(host) || self.allowed.iter().chain(&self.own).any(named) {
            return Ok(());
        }
        Err(Error::new(
            Code::OriginNotAllowed,
            "Development answers to names of this machine only: localhost, 127.0.0.1, [::1], or the host of `site_url` or `api_url`",
        ))
    }

    /// Refuses a change that a page of a foreign origin asks for, `null` included. Programs send no origin.
    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        if method.is_safe() || !headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let origin = one(headers, ORIGIN).ok_or_else(refused)?;
        if self.allows(origin) || self.is_own(origin, uri, headers) {
            return Ok(());
        }
        Err(refused())
    }

    /// Whether `origin` is the site's own.
    pub(super) fn is_own(&self, origin: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        let same = |site: &Origin| site.as_str() == origin;
        // Of this machine: `check_host` has refused every other name.
        let host = host(uri, headers).filter(|host| self.development && is_loopback(host));
        let named = origin
            .split_once("://")
            .is_some_and(|(_, authority)| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)));
        self.own.iter().any(same) || named
    }
}

pub(super) fn refused() -> Error {
    Error::new(Code::OriginNotAllowed, "This origin is not allowed")
}

/// The host a request names; HTTP/2 names it in the request's target instead.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    one(headers, HOST).or_else(|| uri.authority().map(Authority::as_str))
}

/// Whether `host`, with or without a port, is a name of this machine that no one else can point elsewhere.
fn is_loopback(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// The header's value, if it is there once and readable.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn cors() -> Cors {
        let mut settings = Settings::production("https://app.example.com/start");
        settings.cors_origins.push("https://spa.example.com".parse().unwrap());
        Cors::new(&settings)
    }

    /// attacks S07, S08, asvs(V3.4.2, V3.5.1)
    #[test]
    fn origins_are_compared_whole() {
        let cors = cors();
        let asks = |origin: &str| {
            cors.check(
                &Method::POST,
                &Uri::from_static("/auth/v1/token"),
                &headers(&[("origin", origin), ("host", "10.0.0.7:8080")]),
            )
        };
        for origin in ["https://spa.example.com", "https://app.example.com"] {
            assert!(asks(origin).is_ok(), "{origin}");
        }
        let h2 = Uri::from_static("https://www.example.com/auth/v1/token");
        assert!(cors.check(&Method::POST, &h2, &headers(&[("origin", "https://www.example.com")])).is_err());
        for origin in [
            "null",
            "http://10.0.0.7:8080",
            "https://evil.test",
            "https://spa.example.com.evil.test",
            "https://evilspa.example.com",
            "http://spa.example.com",
            "https://spa.example.com:444",
            "",
        ] {
            assert!(asks(origin).is_err(), "{origin}");
            let mut response = HeaderMap::new();
            cors.decorate(&headers(&[("origin", origin)]), &mut response);
            assert!(!response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        }
        assert!(cors.check(&Method::POST, &Uri::from_static("/auth/v1/token"), &headers(&[])).is_ok());
    }

    #[test]
    fn preflights() {
        let cors = cors();
        let ask = |origin| {
            let asked = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "apikey"),
            ];
            cors.preflight(&Method::OPTIONS, &headers(&asked)).unwrap()
        };
        let allowed = ask("https://spa.example.com");
        assert_eq!(allowed.status(), 204);
        assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://spa.example.com");
        assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "apikey");
        assert!(!allowed.headers().contains_key("access-control-allow-credentials"));
        assert_eq!(ask("null").status(), 403);
        assert!(cors.preflight(&Method::OPTIONS, &headers(&[("origin", "null")])).is_none());
    }
}
