use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Http;
use super::body::{OtpBody, PkceBody, RecoverBody, ResendBody, VerifyBody, decoded, form, read_json};
use super::handlers::{Answer, ok};
use super::phone::{Asks, address};
use super::render::empty_response;
use super::verify_page;
use crate::auth::{Challenge, ComeBack, IssuedSession, OtpWish, Pressed, Verified, VerifyType};
use crate::session::Client;
use crate::types::{Code, Error, Result, Secret};

/// What Supabase's clients look for at the end of a link that did not work.
const EXPIRED_LINK: &str = "Email link is invalid or has expired";
/// What the first of two addresses is told.
const HALF: &str = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// Mails that are asked for, and what comes back of them.
impl Http {
    pub(super) async fn recover(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: RecoverBody = read_json(&head.headers, body)?;
        let email = wanted(address(body.email, None, Asks::Otp)?)?;
        let back = come_back(head, body.code_challenge, body.code_challenge_method)?;
        self.auth().recover(&email, back, client).await?;
        ok("{}".to_owned())
    }

    /// `/otp`, and `/magiclink`, which is its older name.
    pub(super) async fn otp(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: OtpBody = read_json(&head.headers, body)?;
        let email = wanted(address(body.email, body.phone.as_deref(), Asks::Otp)?)?;
        let wish = OtpWish {
            email,
            create_user: body.create_user.unwrap_or(true),
            data: body.data.map(|data| Value::Object(data).to_string()),
            back: come_back(head, body.code_challenge, body.code_challenge_method)?,
        };
        self.auth().send_otp(wish, client).await?;
        ok("{}".to_owned())
    }

    pub(super) async fn resend(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: ResendBody = read_json(&head.headers, body)?;
        let email = address(body.email, body.phone.as_deref(), Asks::Resend)?;
        let what = body.kind.unwrap_or_default().parse()?;
        let email = wanted(email)?;
        let back = come_back(head, body.code_challenge, body.code_challenge_method)?;
        self.auth().resend(what, &email, back, client).await?;
        ok("{}".to_owned())
    }

    pub(super) async fn reauthenticate(&self, head: &Parts, client: &Client) -> Answer {
        let principal = self.signed_in_to_change(head).await?;
        self.auth().send_nonce(&principal, client).await?;
        ok("{}".to_owned())
    }

    /// POST `/verify`: a code that was typed, or a link's token that a server of the host's took from it.
    pub(super) async fn verify(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: VerifyBody = read_json(&head.headers, body)?;
        let email = address(body.email, body.phone.as_deref(), Asks::Verify)?;
        let kind: VerifyType = body.kind.unwrap_or_default().parse()?;
        let present = |text: &Secret| !text.expose().is_empty();
        let verified = match (body.token_hash.filter(present), body.token.filter(present)) {
            (Some(token), _) => self.auth().verify_link(&token, kind, client).await?,
            (None, Some(code)) => self.auth().verify_code(&wanted(email)?, &code, kind, client).await?,
            (None, None) => {
                return Err(Error::new(Code::ValidationFailed, "Verify requires a token or a token hash"));
            }
        };
        match verified {
            Verified::Session(session) => self.give(head, &session, client).await,
            Verified::HalfChanged => ok(json!({ "msg": HALF, "code": "200" }).to_string()),
        }
    }

    /// GET `/verify`, where a mail's link leads. It changes nothing: mail scanners open links, too.
    ///
    /// With a challenge its reader is sent on, with what is worth nothing without the verifier. Without, or where the
    /// address waits for its confirmation, a page asks them to press a button.
    pub(super) async fn open_link(&self, head: &Parts, client: &Client) -> Answer {
        let query = head.uri.query();
        let token = Secret::new(decoded(query, "token")?.unwrap_or_default());
        let to = self.auth().redirect_target(decoded(query, "redirect_to")?.as_deref());
        let kind = decoded(query, "type")?.unwrap_or_default().parse::<VerifyType>();
        let looked = match kind {
            Ok(kind) => self.auth().look_at_link(&token, kind, client).await.map(|found| (kind, found)),
            Err(error) => Err(error),
        };
        match looked {
            Ok((_, Some(code))) => see_other(&with_query(&to, &[("code", &code)])),
            Ok((kind, None)) => verify_page::page(self.prefix(), token.expose(), kind.as_str(), &to),
            Err(error) => failed(&to, &error),
        }
    }

    /// What the page of [`Http::open_link`] posts.
    pub(super) async fn press(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        let fields = form(&head.headers, body)?;
        let field =
            |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        let token = Secret::new(field("token").unwrap_or_default());
        let to = self.auth().redirect_target(field("redirect_to").as_deref());
        let kind = field("type").unwrap_or_default().parse::<VerifyType>();
        let pressed = match kind {
            Ok(kind) => self.auth().press_link(&token, kind, client).await.map(|pressed| (kind, pressed)),
            Err(error) => Err(error),
        };
        match pressed {
            // Worth nothing without the verifier.
            Ok((_, Pressed::Exchange(code))) => see_other(&with_query(&to, &[("code", code.expose())])),
            Ok((kind, Pressed::Verified(Verified::Session(session)))) => {
                see_other(&signed_in(&to, kind, &session))
            }
            Ok((_, Pressed::Verified(Verified::HalfChanged))) => {
                see_other(&with_fragment(&to, &[("message", HALF)]))
            }
            Err(error) => failed(&to, &error),
        }
    }

    /// `grant_type=pkce`.
    pub(super) async fn exchange(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: PkceBody = read_json(&head.headers, body)?;
        let (Some(code), Some(verifier)) = (body.auth_code, body.code_verifier) else {
            let sentence = "invalid request: both auth code and code verifier should be non-empty";
            return Err(Error::new(Code::ValidationFailed, sentence));
        };
        match self.auth().exchange(&code, &verifier, client).await? {
            Verified::Session(session) => self.give(head, &session, client).await,
            Verified::HalfChanged => ok(json!({ "msg": HALF, "code": "200" }).to_string()),
        }
    }
}

/// How the reader of a mail comes back, out of a request's query and body.
pub(super) fn come_back(head: &Parts, challenge: Option<String>, method: Option<String>) -> Result<ComeBack> {
    let challenge = match challenge.filter(|text| !text.is_empty()) {
        Some(text) => Some(Challenge::parse(&text, method.as_deref().unwrap_or("plain"))?),
        None => None,
    };
    Ok(ComeBack { redirect_to: decoded(head.uri.query(), "redirect_to")?, challenge })
}

fn wanted(email: Option<String>) -> Result<String> {
    email.ok_or_else(|| Error::new(Code::ValidationFailed, "An email address is required"))
}

fn signed_in(to: &str, kind: VerifyType, session: &IssuedSession) -> String {
    let expires_at = session.expires_at.as_seconds();
    let expires_in = expires_at - session.issued_at.as_seconds();
    let pairs = [
        ("access_token", session.access_token.expose()),
        ("expires_at", &expires_at.to_string()),
        ("expires_in", &expires_in.to_string()),
        ("refresh_token", session.refresh_token.expose()),
        ("sb", ""),
        ("token_type", "bearer"),
        ("type", kind.as_str()),
    ];
    with_fragment(to, &pairs)
}

/// Back to the site with the reason, in the query for servers and in the fragment for pages, as Supabase has it.
fn failed(to: &str, error: &Error) -> Answer {
    let (kind, sentence) = match error.code() {
        Code::OtpExpired => ("access_denied", EXPIRED_LINK),
        _ if error.status().is_server_error() => ("server_error", error.message()),
        _ => ("access_denied", error.message()),
    };
    let pairs = [("error", kind), ("error_code", error.code().as_str()), ("error_description", sentence)];
    let mut response = see_other(&with_fragment(&with_query(to, &pairs), &pairs))?;
    if let Ok(code) = HeaderValue::from_str(error.code().as_str()) {
        response.headers_mut().insert(super::render::ERROR_CODE, code);
    }
    Ok(response)
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn with_query(to: &str, pairs: &[(&str, &str)]) -> String {
    let joint = if to.contains('?') { '&' } else { '?' };
    format!("{to}{joint}{}", encoded(pairs))
}

fn with_fragment(to: &str, pairs: &[(&str, &str)]) -> String {
    format!("{to}#{}", encoded(pairs))
}

/// RFC 9110 s15.4.4. What it leads away from is told to nobody.
fn see_other(to: &str) -> Answer {
    let mut response = empty_response(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to).map_err(Error::internal)?);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// A page of ours.
pub(super) fn html(body: String) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into_bytes());
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
