use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};

use super::handlers::Answer;
use super::mailed::html;
use crate::mail::escape;
use crate::types::Error;

const STYLE: &str = "body{font:17px/1.5 system-ui,sans-serif;max-width:30rem;margin:18vh auto 0;padding:0 1.2rem;\
color:#222;background:#fff}h1{font-size:1.35rem;margin:0 0 .6rem}p{margin:0 0 1.4rem;color:#444}\
button{font:inherit;padding:.65rem 1.5rem;border:0;border-radius:.4rem;background:#1f6f4a;color:#fff;cursor:pointer}\
button:focus-visible{outline:3px solid #9bd3b8}@media(prefers-color-scheme:dark){body{background:#161a18;color:#eee}\
p{color:#bbb}}";

/// Asks whoever opened a link to press a button: programs that look at mails open links, and press nothing.
pub(super) fn page(prefix: &str, token: &str, kind: &str, to: &str) -> Answer {
    let (title, text, button) = match kind {
        "signup" => ("Confirm your address", "Press the button to finish your registration.", "Confirm"),
        "invite" => ("You were invited", "Press the button to accept the invitation.", "Accept"),
        "recovery" => ("Choose a new password", "Press the button to go on.", "Continue"),
        "email_change" => ("Change of address", "Press the button to agree to the new address.", "Agree"),
        _ => ("Sign in", "Press the button to sign in on this device.", "Sign in"),
    };
    let field = |name: &str, value: &str| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
    };
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{text} If you \
         did not ask for this, close the page.</p>\n<form method=\"post\" action=\"{}/verify/link\">{}{}{}\n\
         <button>{button}</button>\n</form>\n</main>\n</body>\n</html>\n",
        escape(prefix),
        field("token", token),
        field("type", kind),
        field("redirect_to", to),
    );
    let mut response = html(body);
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    // No `form-action`: browsers hold it against where the form's answer leads on to as well.
    let policy =
        format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).map_err(Error::internal)?);
    // Not no-referrer: browsers then post with the origin `null`, which is refused as any foreign one.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}
