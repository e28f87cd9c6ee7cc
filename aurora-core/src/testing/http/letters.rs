//! What the readers of mails do: they look into the mailbox, open a link, press its button.

use std::time::Duration;

use serde_json::Value;

use super::wire::{Answer, Ask};
use super::{Run, SPA, expect};
use crate::types::{Error, Result};

/// RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// What is said beforehand by a client with that verifier.
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// For how long a mail may be under way. Its job is woken at once.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A mail that carries a link or a code.
#[derive(Clone, Debug)]
pub(super) struct Letter(Value);

impl Letter {
    fn text(&self, member: &str) -> &str {
        self.0.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn code(&self) -> &str {
        self.text("code")
    }

    /// Another code of as many digits.
    pub(super) fn wrong_code(&self) -> &'static str {
        if self.code() == "000000" { "000001" } else { "000000" }
    }

    /// The link's path and query.
    pub(super) fn path(&self) -> Result<String> {
        let link = self.text("link");
        let missing = || Error::internal(format!("no link to the service in {}", self.0));
        let (_, rest) = link.split_once("://").ok_or_else(missing)?;
        let start = rest.find('/').ok_or_else(missing)?;
        rest.get(start..).map(str::to_owned).ok_or_else(missing)
    }

    pub(super) fn token(&self) -> Result<String> {
        Ok(parameter(&self.path()?, "token"))
    }
}

/// A parameter of a query or of a fragment; empty where there is none.
pub(super) fn parameter(place: &str, name: &str) -> String {
    let parts = place.split(['?', '#']).skip(1);
    let mut pairs = parts.flat_map(|part| url::form_urlencoded::parse(part.as_bytes()));
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Where an answer leads.
pub(super) fn place(answer: &Answer) -> String {
    answer.header("location").unwrap_or_default().to_owned()
}

impl Run<'_> {
    /// The mail of that kind to that address, once it is there, that was not read before.
    pub(super) async fn letter(&mut self, kind: &str, to: &str) -> Result<Letter> {
        for _ in 0..TRIES {
            let answer = Ask::get("/auth/v1/mailbox.json").send(&self.line).await?;
            let json = answer.json()?;
            for mail in json.pointer("/mails").and_then(Value::as_array).into_iter().flatten() {
                let letter = Letter(mail.clone());
                let id = letter.text("id").to_owned();
                if letter.text("kind") == kind && letter.text("to") == to && !self.read.contains(&id) {
                    self.read.push(id);
                    return Ok(letter);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::internal(format!("no mail `{kind}` to {to}")))
    }

    /// Opens the link of a mail, as its reader or a mail scanner does, and finds a button.
    pub(super) async fn opened(&mut self, name: &str, letter: &Letter) -> Result<()> {
        let page = self.ask(name, Ask::get(&letter.path()?), 200).await?;
        let text = String::from_utf8_lossy(&page.body).into_owned();
        expect(
            "a button and no script",
            text.contains("<form method=\"post\"") && !text.contains("<script"),
        )?;
        expect("the page is framed by nobody", {
            let policy = page.header("content-security-policy").unwrap_or_default();
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'")
        })
    }

    /// Opens the link of a mail that was asked for with a challenge: where it leads.
    pub(super) async fn followed(&mut self, name: &str, letter: &Letter) -> Result<String> {
        Ok(place(&self.ask(name, Ask::get(&letter.path()?), 303).await?))
    }

    /// Presses the button of the page: where it leads.
    pub(super) async fn pressed(&mut self, name: &str, letter: &Letter) -> Result<String> {
        let ask = press(letter)?.with("origin", &self.origin()).with("sec-fetch-site", "same-origin");
        Ok(place(&self.ask(name, ask, 303).await?))
    }

    /// The button, as a page of somebody else's would press it.
    pub(super) async fn pressed_elsewhere(&mut self, name: &str, letter: &Letter) -> Result<()> {
        let ask = press(letter)?.with("origin", "https://evil.example").dated();
        self.refused(name, ask, 403, "origin_not_allowed").await.map(drop)
    }
}

fn press(letter: &Letter) -> Result<Ask> {
    let path = letter.path()?;
    let fields = ["token", "type", "redirect_to"].map(|name| (name, parameter(&path, name)));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let ask = Ask::new("POST", "/auth/v1/verify/link").text(&body);
    Ok(ask.with("content-type", "application/x-www-form-urlencoded"))
}

/// A path that asks to be led back to a page of the allowed origin.
pub(super) fn back_to(path: &str, page: &str) -> String {
    let target: String = url::form_urlencoded::byte_serialize(format!("{SPA}{page}").as_bytes()).collect();
    format!("{path}?redirect_to={target}")
}
