use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE, VARY,
};
use http::{Method, Response, StatusCode};

use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, FileBody, ok, path, signed};
use crate::files::{Download, Object, is_passive, sent_as};
use crate::http::Http;
use crate::http::body::decoded;
use crate::http::render::empty_response;
use crate::types::{Code, Error, Result};

/// Nothing that a file holds runs with this origin's rights, whatever a browser takes it for.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// What a request asks for of a file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    Some(Range<u64>),
    Nothing,
}

impl Http {
    pub(super) async fn send(&self, asked: &Asked<'_>) -> FileAnswer {
        let (files, operation) = (asked.files, asked.found.route.operation);
        let (mut bucket, mut name) = (path::bucket(asked.found.bucket)?, path::object(asked.found.name)?);
        if operation == Do::SignedDownload {
            (bucket, name) = signed::meant(asked, bucket, name)?;
        }
        match operation {
            Do::Info => {
                return ok(&files.info(&self.asker(asked).await?, &bucket, &name).await?.to_info_json());
            }
            Do::PublicInfo => return ok(&files.public_info(&bucket, &name).await?.to_info_json()),
            _ => {}
        }
        // Twice: what was replaced between its row and its bytes is there anew.
        for last in [false, true] {
            let (download, anyone) = match operation {
                Do::PublicDownload => (files.public_download(&bucket, &name).await?, true),
                Do::SignedDownload => {
                    (files.signed_download(signed::token(asked)?, &bucket, &name).await?, false)
                }
                _ => (files.download(&self.asker(asked).await?, &bucket, &name).await?, false),
            };
            match answer(asked, &download, anyone).await {
                Err(error) if error.code() == Code::NotFound && !last => {}
                Err(error) if error.code() == Code::NotFound => {
                    return Err(Error::new(Code::NoSuchObject, "Object not found").with_source(error));
                }
                answered => return answered,
            }
        }
        Err(Error::internal("a file is asked for twice at the most"))
    }
}

async fn answer(asked: &Asked<'_>, download: &Download, anyone: bool) -> FileAnswer {
    let (object, size) = (download.object(), download.size());
    let mut response = empty_response(StatusCode::OK).map(FileBody::Whole);
    let asked_headers = &asked.head.headers;
    describe(response.headers_mut(), object, anyone, decoded(asked.head.uri.query(), "download")?)?;
    if anyone || matches!(asked.found.route.operation, Do::SignedDownload) {
        // A link that opens it for whoever has it is there to be shown in other sites' pages, too.
        let everywhere = HeaderValue::from_static("cross-origin");
        response.headers_mut().insert(HeaderName::from_static("cross-origin-resource-policy"), everywhere);
    }
    if matches_etag(asked_headers, &object.etag()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = match part(asked_headers, size, &object.etag()) {
        Part::All => 0..size,
        Part::Some(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let told = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
            put(response.headers_mut(), CONTENT_RANGE, &told)?;
            range
        }
        Part::Nothing => {
            let error = Error::new(Code::RangeNotSatisfiable, "The requested range is not satisfiable");
            let mut refused: Response<FileBody> =
                super::answer::failed(&error, None, asked.id).map(FileBody::Whole);
            put(refused.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"))?;
            return Ok(refused);
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if asked.head.method != Method::HEAD {
        *response.body_mut() = FileBody::Stream(download.content(range).await?);
    }
    Ok(response)
}

/// What a browser has to know to do no harm with it.
fn describe(headers: &mut HeaderMap, object: &Object, anyone: bool, download: Option<String>) -> Result<()> {
    let kind = object.content_type();
    put(headers, CONTENT_TYPE, sent_as(kind))?;
    put(headers, ETAG, &object.etag())?;
    if let Some(at) = http_date(&object.updated_at) {
        put(headers, LAST_MODIFIED, &at)?;
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    // What not everybody may see is kept by nobody between.
    let kept = object.cache_control();
    if anyone {
        put(headers, CACHE_CONTROL, kept)?;
    } else {
        put(headers, CACHE_CONTROL, &private(kept))?;
        headers.append(VARY, HeaderValue::from_static("authorization, apikey, cookie"));
    }
    let file = object.name.rsplit('/').next().unwrap_or_default();
    let disposition = match download {
        Some(named) if !named.is_empty() => attachment(&named),
        Some(_) => attachment(file),
        None if is_passive(kind) => return Ok(()),
        None => attachment(file),
    };
    put(headers, CONTENT_DISPOSITION, &disposition)
}

/// How long the one who asked may keep it. Whatever else its maker said is for caches that others share.
fn private(kept: &str) -> String {
    let mut said = "private".to_owned();
    for part in kept.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        let is_age = part.strip_prefix("max-age=").is_some_and(|seconds| seconds.parse::<u32>().is_ok());
        if is_age || part == "no-cache" || part == "no-store" {
            said.push_str(", ");
            said.push_str(&part);
        }
    }
    said
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<()> {
    headers.insert(name, HeaderValue::from_str(value).map_err(Error::internal)?);
    Ok(())
}

/// RFC 6266 with RFC 8187: the name in plain letters for old readers, then as it is. No byte of it ends the value.
fn attachment(name: &str) -> String {
    let marks = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().filter(|c| !marks(*c)).take(255).collect();
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " -_.()".contains(c) { c } else { '_' })
        .collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let said = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    said.is_some_and(|said| {
        said.split(',')
            .map(|one| one.trim())
            .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

/// The single range that is asked for (RFC 9110 s14). What is no range, or several, is all of it.
fn part(headers: &HeaderMap, size: u64, etag: &str) -> Part {
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if said(IF_RANGE).is_some_and(|condition| condition != etag) {
        return Part::All;
    }
    let Some((first, last)) = said(RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Part::All;
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More than fits is beyond every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Part::Nothing,
            Some(_) if size == 0 => Part::Nothing,
            Some(count) => Part::Some(size.saturating_sub(count)..size),
            None => Part::All,
        },
        (first, "") => match number(first) {
            Some(first) if first >= size => Part::Nothing,
            Some(first) => Part::Some(first..size),
            None => Part::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => Part::All,
            (Some(first), Some(_)) if first >= size => Part::Nothing,
            (Some(first), Some(last)) => Part::Some(first..last.saturating_add(1).min(size)),
            _ => Part::All,
        },
    }
}

/// A moment as HTTP writes it.
pub(super) fn http_date(moment: &str) -> Option<String> {
    let (date, time) = moment.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month_name = months.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    // Zeller's congruence, from Saturday.
    let (y, m) = if month < 3 { (year - 1, month + 12) } else { (year, month) };
    let weekday = (day + (13 * (m + 1)) / 5 + y + y / 4 - y / 100 + y / 400).rem_euclid(7);
    let weekdays = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];
    let weekday = weekdays.get(usize::try_from(weekday).ok()?)?;
    Some(format!("{weekday}, {day:02} {month_name} {year:04} {} GMT", time.get(..8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack F02, asvs(V5.4.1, V5.4.2)
    #[test]
    fn no_name_leaves_its_header() {
        assert_eq!(attachment("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        let odd = attachment("\"; filename=evil.exe\r\nx-y: z\u{202e}gpj.ä");
        assert_eq!(
            odd,
            "attachment; filename=\"__ filename_evil.exex-y_ zgpj._\"; \
             filename*=UTF-8''%22%3B%20filename%3Devil.exex-y%3A%20zgpj.%C3%A4"
        );
        assert!(HeaderValue::from_str(&odd).is_ok());
    }

    /// attack F05
    #[test]
    fn ranges_are_single_and_within() {
        let of = |range: &str, size| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, range.parse().unwrap());
            part(&headers, size, "\"e\"")
        };
        assert_eq!(of("bytes=0-", 10), Part::Some(0..10));
        assert_eq!(of("bytes=2-4", 10), Part::Some(2..5));
        assert_eq!(of("bytes=2-99999999999999999999999", 10), Part::Some(2..10));
        assert_eq!(of("bytes=-3", 10), Part::Some(7..10));
        assert_eq!(of("bytes=-300", 10), Part::Some(0..10));
        for beyond in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(of(beyond, 10), Part::Nothing, "{beyond}");
        }
        assert_eq!(of("bytes=0-", 0), Part::Nothing);
        for all in ["bytes=0-,0-,0-", "bytes=a-b", "bytes=4-2", "lines=1-2", "bytes=", "bytes=--1"] {
            assert_eq!(of(all, 10), Part::All, "{all}");
        }
    }

    #[test]
    fn moments_are_told_as_http_has_them() {
        assert_eq!(
            http_date("2026-11-23T18:04:05.000000Z").as_deref(),
            Some("Mon, 23 Nov 2026 18:04:05 GMT")
        );
        assert_eq!(http_date("2000-01-01T00:00:00Z").as_deref(), Some("Sat, 01 Jan 2000 00:00:00 GMT"));
    }
}
