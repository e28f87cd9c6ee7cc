//! What a file is: by what its sender says, and by how it begins.

/// How many bytes of a file are looked at.
pub(super) const LOOKED_AT: usize = 1024;

/// The media type in its plain form, lower case without parameters; `None` if it is none.
pub(super) fn media_type(text: &str) -> Option<String> {
    let plain = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let (kind, name) = plain.split_once('/')?;
    (plain.len() <= 127 && token(kind) && token(name)).then_some(plain)
}

/// The type that the first bytes of a file show, if they show one.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    let start = lower.trim_start();
    if start.contains("<svg") && start.starts_with('<') {
        return Some("image/svg+xml");
    }
    if ["<!doctype html", "<html", "<head", "<body", "<script", "<iframe"]
        .iter()
        .any(|tag| start.starts_with(tag))
    {
        return Some("text/html");
    }
    infer::get(head).map(|found| found.mime_type())
}

/// Whether files of the kind always begin in a way that [`sniff`] knows.
fn is_always_known(declared: &str) -> bool {
    let known = [
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/bmp",
        "image/tiff",
        "image/avif",
        "image/heif",
        "application/pdf",
        "application/zip",
        "application/gzip",
        "video/mp4",
        "video/webm",
        "audio/mpeg",
    ];
    known.contains(&declared)
}

/// Whether a bucket that takes `allowed` takes a file that is said to be `declared` and begins like `found`.
///
/// What is said has to be on the list, and what is found may not contradict it: an HTML page that says it is a picture
/// is refused where only pictures are taken.
pub(super) fn is_allowed(allowed: &[String], declared: &str, found: Option<&str>) -> bool {
    let listed = |kind: &str| {
        allowed.iter().any(|pattern| match pattern.strip_suffix("/*") {
            Some("*") => true,
            Some(family) => kind.split_once('/').is_some_and(|(own, _)| own == family),
            None => pattern == kind || pattern == "*",
        })
    };
    if !listed(declared) {
        return false;
    }
    match found {
        Some(found) => found == declared || listed(found) || is_container(found, declared),
        None => !is_always_known(declared),
    }
}

/// Types whose files begin like those of another: documents that are archives or XML inside.
fn is_container(found: &str, declared: &str) -> bool {
    match found {
        "application/zip" => {
            declared.contains("openxml") || declared.contains("opendocument") || declared.ends_with("+zip")
        }
        "text/xml" | "application/xml" => declared.ends_with("xml") && declared != "image/svg+xml",
        _ => false,
    }
}

/// Whether a browser may show the type in place: pictures, sound, films, plain text and PDF, which run nothing on
/// this origin. Everything else, HTML and SVG before all, is saved to a file.
pub fn is_passive(kind: &str) -> bool {
    matches!(
        kind,
        "image/png"
            | "image/jpeg"
            | "image/gif"
            | "image/webp"
            | "image/avif"
            | "image/bmp"
            | "image/x-icon"
            | "image/vnd.microsoft.icon"
            | "text/plain"
            | "application/pdf"
            | "application/json"
    ) || kind.starts_with("audio/")
        || kind.starts_with("video/")
}

/// The type that a file is sent as: what it was said to be, unless that is something that a browser runs, applies or
/// does not know. A page of whatever origin that names the file as its script or its style gets neither.
pub fn sent_as(kind: &str) -> &str {
    const BYTES: &str = "application/octet-stream";
    // Languages of scripts and of styles, and what brings them along.
    const RUNS: [&str; 8] = ["script", "wasm", "xsl", "html", "manifest", "flash", "java", "php"];
    let inert = match kind.split_once('/') {
        Some(("image" | "audio" | "video" | "font" | "model", _)) => true,
        Some(("text", name)) => {
            matches!(
                name,
                "plain" | "csv" | "tab-separated-values" | "markdown" | "calendar" | "vcard" | "rtf"
            )
        }
        Some(("application", name)) => !name.ends_with("xml") && !RUNS.iter().any(|part| name.contains(part)),
        _ => false,
    };
    if inert { kind } else { BYTES }
}

/// The type that a name's ending stands for.
pub(super) fn by_ending(name: &str) -> &'static str {
    let ending = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, ending)| ending);
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "json" => "application/json",
        "xml" => "text/xml",
        "zip" => "application/zip",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    /// attack F02, asvs(V5.2.2)
    #[test]
    fn what_a_file_begins_with_counts() {
        let pictures = vec!["image/*".to_owned()];
        assert!(is_allowed(&pictures, "image/png", sniff(PNG)));
        assert!(!is_allowed(&pictures, "text/html", sniff(PNG)), "said to be something else");
        for page in ["<html>", "  <!DOCTYPE html><p>", "<script>alert(1)</script>", "\u{feff}<body onload=x>"]
        {
            assert_eq!(sniff(page.as_bytes()), Some("text/html"), "{page}");
            assert!(!is_allowed(&pictures, "image/png", sniff(page.as_bytes())), "{page}");
        }
        assert!(!is_allowed(&pictures, "image/png", sniff(b"nothing of the kind")));
        let only = vec!["image/png".to_owned()];
        let drawing = sniff(b"<?xml version=\"1.0\"?><svg xmlns=\"\">");
        assert_eq!(drawing, Some("image/svg+xml"));
        assert!(!is_allowed(&only, "image/png", drawing));
        assert!(is_allowed(&["*/*".to_owned()], "text/csv", sniff(b"a,b\n1,2\n")));
        let report = "application/vnd.openxmlformats-officedocument.wordprocessingml.document".to_owned();
        assert!(is_allowed(std::slice::from_ref(&report), &report, Some("application/zip")));
    }

    #[test]
    fn media_types_are_plain() {
        assert_eq!(media_type("Text/HTML; charset=utf-8").as_deref(), Some("text/html"));
        for text in ["", "text", "/", "a/", "text/html\r\nx: y", "a b/c", &format!("a/{}", "x".repeat(200))] {
            assert_eq!(media_type(text), None, "{text:?}");
        }
        assert!(is_passive("image/png") && !is_passive("image/svg+xml") && !is_passive("text/html"));
        assert_eq!(by_ending("a/b.PNG"), "image/png");
        assert_eq!(by_ending("a.b/c"), "application/octet-stream");
    }
}
