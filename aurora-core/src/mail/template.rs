use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::message::{Kind, Message, Placeholder};
use super::words;
use crate::types::{Code, Error, Result, Timestamp};
use crate::validate::printable;

/// The wording of one kind of mail: plain text and HTML say the same.
///
/// What stands in double braces is filled in: `{{ link }}`, `{{ code }}`, `{{ lifetime }}`, `{{ email }}`,
/// `{{ new_email }}`, `{{ device }}`, `{{ site }}`, `{{ time }}`, as far as the kind has it. In HTML the values are
/// escaped for text and for quoted attributes; put none into a script, a style or an attribute without quotes.
#[derive(Clone, Debug)]
pub struct Template {
    /// One line.
    pub subject: String,
    /// For readers of plain text. A link stands on a line of its own, so that no reader breaks it.
    pub text: String,
    /// For everyone else: a whole document.
    pub html: String,
}

/// How mails are worded. The default is Aurora's own wording, in English; a host replaces what it likes.
///
/// ```
/// use aurora_core::mail::{Kind, Template, Templates};
/// let mine = |text: &str| Template {
///     subject: "Your code".into(),
///     text: text.into(),
///     html: "<p>{{ code }}</p>".into(),
/// };
/// assert!(Templates::default().with(Kind::Reauthentication, &mine("It is {{ code }}.\n")).is_ok());
/// let error = Templates::default().with(Kind::Reauthentication, &mine("Hello,\n{{ cod }}\n")).unwrap_err();
/// assert!(error.message().starts_with("the text of the mail `reauthentication`, line 2: `{{ cod }}`"));
/// ```
#[derive(Clone)]
pub struct Templates(BTreeMap<Kind, Parsed>);

/// A mail in its words.
pub(super) struct Worded {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

#[derive(Clone)]
struct Parsed {
    subject: Vec<Piece>,
    text: Vec<Piece>,
    html: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Subject,
    Text,
    Html,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "HTML",
        }
    }
}

impl Default for Templates {
    /// A test holds every kind to be among them.
    fn default() -> Self {
        let parsed = |kind: &Kind| Some((*kind, parse(*kind, &words::template(*kind)).ok()?));
        Self(Kind::ALL.iter().filter_map(parsed).collect())
    }
}

impl Templates {
    /// Words one kind of mail otherwise.
    ///
    /// # Errors
    /// [`Code::Configuration`] names kind, part and line of a placeholder that the kind does not have, of a link in
    /// plain text that does not stand alone on its line, and a part that carries neither link nor code where the
    /// kind has them.
    pub fn with(mut self, kind: Kind, template: &Template) -> Result<Self> {
        self.0.insert(kind, parse(kind, template)?);
        Ok(self)
    }

    pub(super) fn word(&self, message: &Message, site: &str, now: Timestamp) -> Result<Worded> {
        let parsed = self.0.get(&message.kind).ok_or_else(|| Error::internal("a mail without a template"))?;
        let fill = |pieces: &[Piece], part| fill(pieces, part, message, site, now);
        Ok(Worded {
            subject: fill(&parsed.subject, Part::Subject)?,
            text: fill(&parsed.text, Part::Text)?,
            html: fill(&parsed.html, Part::Html)?,
        })
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Templates").field(&self.0.len()).finish()
    }
}

fn parse(kind: Kind, template: &Template) -> Result<Parsed> {
    let subject = template.subject.trim();
    if subject.is_empty() || subject.chars().any(char::is_control) {
        return Err(wrong(format!("the subject of the mail `{kind}` is not one line of text")));
    }
    let parsed = Parsed {
        subject: read(kind, Part::Subject, subject)?,
        text: read(kind, Part::Text, &template.text)?,
        html: read(kind, Part::Html, &template.html)?,
    };
    let is_key = |piece: &Piece| matches!(piece, Piece::Value(Placeholder::Link | Placeholder::Code));
    for (part, pieces) in [(Part::Text, &parsed.text), (Part::Html, &parsed.html)] {
        if kind.carries_a_key() && !pieces.iter().any(is_key) {
            let part = part.name();
            return Err(wrong(format!(
                "the {part} of the mail `{kind}` has neither `{{{{ link }}}}` nor `{{{{ code }}}}`"
            )));
        }
    }
    Ok(parsed)
}

fn read(kind: Kind, part: Part, text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let (mut line, mut rest) = (1, text);
    let mut at_line_start = true;
    while let Some((before, after)) = rest.split_once("{{") {
        line += before.matches('\n').count();
        let at = || format!("the {} of the mail `{kind}`, line {line}", part.name());
        let Some((name, after)) = after.split_once("}}") else {
            return Err(wrong(format!("{}: `{{{{` is not closed", at())));
        };
        let name = name.trim();
        let Some(value) = Placeholder::of(kind).find(|value| value.name() == name) else {
            let known: Vec<&str> = Placeholder::of(kind).map(Placeholder::name).collect();
            let shown = printable(name, 40);
            return Err(wrong(format!(
                "{}: `{{{{ {shown} }}}}` is nothing that this mail has; it has {}",
                at(),
                known.join(", ")
            )));
        };
        let line_before = before.rsplit_once('\n').map(|(_, last)| last);
        let opens =
            line_before.map_or(at_line_start && before.trim().is_empty(), |last| last.trim().is_empty());
        let closes = after.split('\n').next().is_none_or(|last| last.trim().is_empty());
        if part == Part::Text && value == Placeholder::Link && !(opens && closes) {
            let rule = "`{{ link }}` has to stand on a line of its own, or readers of mail may break it";
            return Err(wrong(format!("{}: {rule}", at())));
        }
        pieces.push(Piece::Literal(before.to_owned()));
        pieces.push(Piece::Value(value));
        (rest, at_line_start) = (after, false);
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    Ok(pieces)
}

fn fill(pieces: &[Piece], part: Part, message: &Message, site: &str, now: Timestamp) -> Result<String> {
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => filled.push_str(text),
            Piece::Value(value) => {
                let value = value_of(*value, message, site, now)?;
                filled.push_str(&if part == Part::Html { escape(&value) } else { value });
            }
        }
    }
    Ok(filled)
}

/// The value, on one line: nothing in it ends a header, or a paragraph.
fn value_of(value: Placeholder, message: &Message, site: &str, now: Timestamp) -> Result<String> {
    let missing = || Error::internal(format!("a mail `{}` without its `{}`", message.kind, value.name()));
    let text = match value {
        Placeholder::Link => {
            let link = message.link.as_ref().ok_or_else(missing)?.expose();
            let plain = |byte: u8| byte.is_ascii_graphic();
            if !(link.starts_with("https://") || link.starts_with("http://")) || !link.bytes().all(plain) {
                return Err(Error::internal("a link in a mail is no URL of the web"));
            }
            link.to_owned()
        }
        Placeholder::Code => message.code.as_ref().ok_or_else(missing)?.expose().to_owned(),
        Placeholder::Email => message.to.to_string(),
        Placeholder::NewEmail => message.new_email.as_ref().ok_or_else(missing)?.to_string(),
        Placeholder::Site => site.to_owned(),
        Placeholder::Lifetime => human(message.lifetime.ok_or_else(missing)?),
        Placeholder::Device => message.device.clone().unwrap_or_else(|| "an unknown device".to_owned()),
        Placeholder::Time => minute(now),
    };
    Ok(printable(&text, usize::MAX))
}

/// `10 minutes`, `1 hour`, `7 days`.
fn human(lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    let (count, unit) = match seconds {
        s if s >= 2 * 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `2026-11-23 05:10 UTC`.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    let (date, clock) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    format!("{date} {clock} UTC")
}

/// For text and for attributes in quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn wrong(text: String) -> Error {
    Error::new(Code::Configuration, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://app.example.com";

    fn message(kind: Kind) -> Message {
        Message::new(kind, "ann@example.com".parse().unwrap())
            .link("https://app.example.com/auth/v1/verify?token=abc&type=x")
            .code("493817")
            .new_email("o'neil@example.com".parse().unwrap())
            .device("Firefox <on> Linux")
            .lifetime(Duration::from_secs(3_600))
    }

    fn template(subject: &str, text: &str, html: &str) -> Template {
        Template { subject: subject.to_owned(), text: text.to_owned(), html: html.to_owned() }
    }

    #[test]
    fn the_default_words_every_kind_in_both_parts() {
        let templates = Templates::default();
        for &kind in Kind::ALL {
            let worded = templates.word(&message(kind), SITE, Timestamp::from_seconds(0)).unwrap();
            let all = [&worded.subject, &worded.text, &worded.html];
            assert!(all.iter().all(|part| !part.contains("{{") && !part.is_empty()), "{kind}");
            assert!(worded.subject.len() < 78 && !worded.subject.contains('\n'), "{kind}");
            assert!(worded.text.lines().all(|line| line.len() <= 78), "{kind}: {}", worded.text);
            assert!(worded.html.starts_with("<!doctype html>"), "{kind}");
            for remote in ["src=", "<script", "url(", "<link", "@import"] {
                assert!(!worded.html.contains(remote), "{kind} loads something: {remote}");
            }
            let has = |value: Placeholder| kind.own_values().contains(&value);
            let link = "https://app.example.com/auth/v1/verify?token=abc&type=x";
            assert_eq!(worded.text.lines().any(|line| line == link), has(Placeholder::Link), "{kind}");
            assert_eq!(worded.html.contains(&escape(link)), has(Placeholder::Link), "{kind}");
            for part in [&worded.text, &worded.html] {
                assert_eq!(part.contains("493817"), has(Placeholder::Code), "{kind}");
                assert_eq!(part.contains("1 hour"), has(Placeholder::Lifetime), "{kind}");
            }
            assert!(worded.text.contains(SITE), "{kind} says where it is from");
        }
    }

    #[test]
    fn what_is_wrong_with_a_template_is_named_with_its_place() {
        let refused = |kind, one: &Template| {
            let error = Templates::default().with(kind, one).unwrap_err();
            assert_eq!(error.code(), Code::Configuration);
            error.message().to_owned()
        };
        let recovery = Kind::Recovery;
        assert_eq!(
            refused(recovery, &template("Hello", "one\ntwo {{ cod }}", "{{ code }}")),
            "the text of the mail `recovery`, line 2: `{{ cod }}` is nothing that this mail has; it has link, code, \
             email, site, lifetime, time"
        );
        assert_eq!(
            refused(recovery, &template("Hello {{ new_email }}", "{{ code }}", "{{ code }}")),
            "the subject of the mail `recovery`, line 1: `{{ new_email }}` is nothing that this mail has; it has \
             link, code, email, site, lifetime, time"
        );
        assert_eq!(
            refused(recovery, &template("Hello", "{{ code }}", "<p>\n\n{{ code </p>")),
            "the HTML of the mail `recovery`, line 3: `{{` is not closed"
        );
        let alone = "the text of the mail `recovery`, line 2: `{{ link }}` has to stand on a line of its own, or \
                     readers of mail may break it";
        for text in ["x\nhere: {{ link }}", "x\n{{ link }}.\n", "x\n{{ code }} {{ link }}"] {
            assert_eq!(refused(recovery, &template("Hello", text, "{{ link }}")), alone, "{text}");
        }
        assert_eq!(
            refused(recovery, &template("Hello", "nothing", "{{ link }}")),
            "the text of the mail `recovery` has neither `{{ link }}` nor `{{ code }}`"
        );
        for subject in ["", " \t", "two\nlines", "two\r\nBcc: eve@evil.test"] {
            assert_eq!(
                refused(recovery, &template(subject, "{{ code }}", "{{ code }}")),
                "the subject of the mail `recovery` is not one line of text"
            );
        }
    }

    /// attack P20
    #[test]
    fn values_neither_end_a_line_nor_open_an_element() {
        let own = template("At {{ device }}", "{{ device }}\n", "<p title=\"{{ device }}\">{{ device }}</p>");
        let templates = Templates::default().with(Kind::NewDevice, &own).unwrap();
        let device = "\"><script>x</script>\r\nBcc: eve@evil.test\r\n\r\n'&";
        let message = Message::new(Kind::NewDevice, "ann@example.com".parse().unwrap()).device(device);
        let worded = templates.word(&message, SITE, Timestamp::from_seconds(0)).unwrap();
        assert_eq!(worded.subject, "At \"><script>x</script>??Bcc: eve@evil.test????'&");
        assert_eq!(worded.text.lines().count(), 1);
        let escaped = "&quot;&gt;&lt;script&gt;x&lt;/script&gt;??Bcc: eve@evil.test????&#39;&amp;";
        assert_eq!(worded.html, format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn a_mail_without_what_it_carries_is_an_error() {
        let templates = Templates::default();
        let now = Timestamp::from_seconds(0);
        let bare = Message::new(Kind::Confirmation, "ann@example.com".parse().unwrap());
        assert!(templates.word(&bare, SITE, now).is_err());
        for link in ["javascript:alert(1)", "https://a b", "https://a/\r\nx", "//evil.test", ""] {
            assert!(templates.word(&message(Kind::Confirmation).link(link), SITE, now).is_err(), "{link:?}");
        }
    }

    #[test]
    fn lifetimes_as_people_say_them() {
        for (seconds, said) in [
            (30, "30 seconds"),
            (60, "1 minute"),
            (600, "10 minutes"),
            (5_400, "90 minutes"),
            (3_600, "1 hour"),
            (86_400, "24 hours"),
            (7 * 86_400, "7 days"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), said);
        }
        assert_eq!(minute(Timestamp::from_seconds(1_800_000_000)), "2027-01-15 08:00 UTC");
    }
}
