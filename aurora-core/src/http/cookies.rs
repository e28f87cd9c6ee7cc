use std::time::Duration;

use http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::types::{Code, Error, Result};

/// A cookie of ours. Browsers take one of a `__Host-` name from this host alone, over a connection that nobody in
/// between can write to: no subdomain and no plain-text neighbour plants one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    Access,
    Refresh,
    /// The one that the site's own pages read.
    Csrf,
}

impl Name {
    pub(super) const ALL: [Self; 3] = [Self::Access, Self::Refresh, Self::Csrf];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Access => "__Host-aurora-access",
            Self::Refresh => "__Host-aurora-refresh",
            Self::Csrf => "__Host-aurora-csrf",
        }
    }
}

/// Longer ones are dropped by browsers, name and value together.
const LONGEST: usize = 4_096;

/// The cookie's value, if it was sent once. A second one is refused, not chosen from: whoever planted it knows which
/// one a server would choose. A value that is no text is an empty one, which opens nothing.
///
/// Several `Cookie` headers are one list, as HTTP/2 sends them (RFC 9113 s8.2.3). Nothing is unquoted or unescaped:
/// what we set needs neither.
pub(super) fn read(headers: &HeaderMap, name: Name) -> Result<Option<&str>> {
    let mut found = None;
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    for pair in pairs {
        let mut halves = pair.trim_ascii().splitn(2, |byte| *byte == b'=');
        let (Some(found_name), Some(value)) = (halves.next(), halves.next()) else { continue };
        if found_name != name.as_str().as_bytes() {
            continue;
        }
        if found.replace(value).is_some() {
            let text = format!("the cookie `{}` was sent twice", name.as_str());
            return Err(Error::new(Code::ValidationFailed, text));
        }
    }
    Ok(found.map(|value| std::str::from_utf8(value).unwrap_or_default()))
}

/// `Set-Cookie` for a value that needs no escape.
pub(super) fn set(name: Name, value: &str, lifetime: Duration) -> Result<HeaderValue> {
    if name.as_str().len() + 1 + value.len() > LONGEST {
        let text = "`user_metadata` and `app_metadata` are too large for a cookie";
        return Err(Error::new(Code::ValidationFailed, text));
    }
    let hidden = if name == Name::Csrf { "" } else { "; HttpOnly" };
    let text = format!(
        "{}={value}; Path=/; Secure{hidden}; SameSite=Lax; Max-Age={}",
        name.as_str(),
        lifetime.as_secs()
    );
    let mut value = HeaderValue::try_from(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Set-Cookie` that takes it away.
pub(super) fn clear(name: Name) -> Result<HeaderValue> {
    set(name, "", Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    /// attack V03, asvs(V15.3.7)
    #[test]
    fn a_cookie_counts_once_under_its_whole_name() {
        let read = |lines: &[&[u8]]| {
            let headers = sent(lines);
            read(&headers, Name::Access).map(|found| found.map(str::to_owned)).map_err(|error| error.code())
        };
        let given = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(read(&[b"__Host-aurora-access=a.b-c_d"]), given("a.b-c_d"));
        assert_eq!(read(&[b"x=1; __Host-aurora-access=a; y=\xff\xfe; z"]), given("a"));
        assert_eq!(read(&[b"x=1", b"__Host-aurora-access=a"]), given("a"));
        assert_eq!(read(&[b"__Host-aurora-access=\"a\""]), given("\"a\""));
        assert_eq!(read(&[b"__Host-aurora-access=a=b"]), given("a=b"));
        assert_eq!(read(&[b"__Host-aurora-access=%61"]), given("%61"));
        assert_eq!(read(&[b"__Host-aurora-access=\xff"]), given(""));
        for lines in [
            &[b"__Host-aurora-access=a; __Host-aurora-access=a".as_slice()] as &[&[u8]],
            &[b"__Host-aurora-access=a", b"__Host-aurora-access=b"],
            &[b"__Host-aurora-access=; __Host-aurora-access=b"],
        ] {
            assert_eq!(read(lines), Err(Code::ValidationFailed));
        }
        for other in [
            b"__Host-aurora-access".as_slice(),
            b"__host-aurora-access=a",
            b"aurora-access=a",
            b"x__Host-aurora-access=a",
            b"__Host-aurora-access =a",
            b"=__Host-aurora-access=a",
            b"\"x; __Host-aurora-access2=a\"",
            b"x=\"__Host-aurora-access=a\"",
            b"",
        ] {
            assert_eq!(read(&[other]), Ok(None), "{other:?}");
        }
    }

    /// attack S02, asvs(V3.3.1, V3.3.2, V3.3.3, V3.3.4, V3.3.5)
    #[test]
    fn what_is_set() {
        let month = Duration::from_secs(30 * 86_400);
        let access = set(Name::Access, "a.b.c", month).unwrap();
        let text = "__Host-aurora-access=a.b.c; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000";
        assert_eq!(access, text);
        assert!(
            !format!("{access:?}").contains("a.b.c"),
            "a log that prints headers does not print this one"
        );
        assert_eq!(
            set(Name::Csrf, "csrf_x", month).unwrap(),
            "__Host-aurora-csrf=csrf_x; Path=/; Secure; SameSite=Lax; Max-Age=2592000"
        );
        assert_eq!(
            clear(Name::Refresh).unwrap(),
            "__Host-aurora-refresh=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
        let room = LONGEST - Name::Access.as_str().len() - 1;
        assert!(set(Name::Access, &"x".repeat(room), month).is_ok());
        assert_eq!(
            set(Name::Access, &"x".repeat(room + 1), month).unwrap_err().code(),
            Code::ValidationFailed
        );
    }
}
