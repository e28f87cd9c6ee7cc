//! Where links may lead.

use url::{Position, Url};

use crate::config::Settings;

/// `wanted`, if the site or the list allows it, else the site's own address. Never an error: a mail still goes out,
/// and whoever asked for another place learns nothing.
pub(super) fn chosen(settings: &Settings, wanted: Option<&str>) -> String {
    match wanted.filter(|wanted| !wanted.is_empty()) {
        Some(wanted) if is_allowed(settings, wanted) => wanted.to_owned(),
        _ => settings.site_url.clone(),
    }
}

/// Whether `wanted` is of the site's own origin, or matches an entry of the list.
///
/// An entry is a URL in which `*` stands for characters but `.` and `/`, and `**` in its path for any. Scheme, host
/// and port are compared as parts of a URL, never as text: `https://app.example.com.evil.test` is another host.
pub(super) fn is_allowed(settings: &Settings, wanted: &str) -> bool {
    // What browsers repair, we do not take: a backslash, a tab or a line break makes another URL of it.
    if wanted.len() > 2_048
        || !wanted.is_ascii()
        || wanted.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\' || byte == b' ')
    {
        return false;
    }
    let Ok(url) = Url::parse(wanted) else { return false };
    // Nor a host that is written in another way than it is read: 2130706433 is 127.0.0.1.
    let read = &url[..Position::AfterHost];
    let as_written = wanted.get(..read.len()).is_some_and(|start| start.eq_ignore_ascii_case(read));
    if !as_written || url.fragment().is_some() {
        return false;
    }
    if matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file" | "blob" | "about")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return false;
    }
    let site = Url::parse(&settings.site_url).ok();
    if site.is_some_and(|site| site.host().is_some() && origin(&site) == origin(&url)) {
        return true;
    }
    settings.redirects.iter().any(|entry| matches_entry(entry, &url))
}

fn origin(url: &Url) -> (String, Option<String>, Option<u16>) {
    (url.scheme().to_owned(), url.host_str().map(ToOwned::to_owned), url.port_or_known_default())
}

fn matches_entry(entry: &str, url: &Url) -> bool {
    let Some((scheme, rest)) = entry.split_once("://") else { return false };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if scheme != url.scheme() {
        return false;
    }
    let host = url.host_str().unwrap_or_default();
    let (wanted_host, wanted_port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let port_agrees = match wanted_port {
        Some(port) => url.port_or_known_default() == Some(port),
        None => url.port().is_none(),
    };
    let mut shown = if url.path().is_empty() { "/".to_owned() } else { url.path().to_owned() };
    if let Some(query) = url.query() {
        shown.push('?');
        shown.push_str(query);
    }
    port_agrees
        && glob(wanted_host.as_bytes(), host.as_bytes(), false)
        && glob(path.as_bytes(), shown.as_bytes(), true)
}

/// `*` stands for anything but `.` and `/`, `**` for anything where `across` says so.
fn glob(pattern: &[u8], text: &[u8], across: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] if across => {
            (0..=text.len()).any(|at| glob(rest, text.get(at..).unwrap_or_default(), across))
        }
        [b'*', rest @ ..] => {
            let stop = text.iter().position(|byte| matches!(byte, b'.' | b'/')).unwrap_or(text.len());
            (0..=stop).any(|at| glob(rest, text.get(at..).unwrap_or_default(), across))
        }
        [first, rest @ ..] => {
            text.split_first().is_some_and(|(byte, left)| byte == first && glob(rest, left, across))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attacks S09, S10
    #[test]
    fn only_the_site_and_the_list() {
        let mut settings = Settings::production("https://app.example.com");
        settings.redirects = [
            "https://*.preview.example.com/**",
            "https://other.example.com/welcome",
            "myapp://signed-in",
            "http://localhost:3000/**",
        ]
        .map(str::to_owned)
        .to_vec();
        for wanted in [
            "https://app.example.com",
            "https://app.example.com/a?b=c",
            "https://app.example.com:443/",
            "https://x-1.preview.example.com/deep/er?q=1",
            "https://other.example.com/welcome",
            "myapp://signed-in",
            "http://localhost:3000/auth/callback",
        ] {
            assert!(is_allowed(&settings, wanted), "{wanted}");
        }
        for wanted in [
            "",
            "/relative",
            "//evil.test",
            "https://evil.test",
            "https://app.example.com.evil.test",
            "https://app.example.com@evil.test/",
            "https://evil.test\\@app.example.com",
            "https://app.example.com\\.evil.test",
            "http://app.example.com",
            "https://app.example.com:8443/",
            "https://a.b.preview.example.com/",
            "https://preview.example.com/",
            "https://evil.test/.preview.example.com/",
            "https://evil.test#.preview.example.com/",
            "https://evil.test?.preview.example.com/",
            "https://other.example.com/welcome/more",
            "https://other.example.com/",
            "myapp://signed-in.evil",
            "otherapp://signed-in",
            "https://app.example.com/#access_token=x",
            "myapp://signed-in.attacker",
            "http://2130706433:3000/",
            "https://app.example.com/%0d%0aSet-Cookie:a=b\r\n",
            "javascript:alert(1)",
            "JavaScript://app.example.com/%0aalert(1)",
            "data:text/html,x",
            "https://app.example.com\t.evil.test",
            "http://localhost:3001/",
            "https://app.example.com/\u{e9}",
        ] {
            assert!(!is_allowed(&settings, wanted), "{wanted}");
            assert_eq!(chosen(&settings, Some(wanted)), "https://app.example.com");
        }
    }
}
