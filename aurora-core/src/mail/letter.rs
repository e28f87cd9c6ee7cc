//! What lies sealed in the outbox.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Rendered;
use super::message::Message;
use super::template::Worded;
use crate::store::OutboxRow;
use crate::types::{Error, Result, Timestamp, UserId};

/// Sizes are multiples of it, so that a row tells little of what it holds.
const STEP: usize = 1024;

/// A row's content.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Letter {
    Mail(Box<Mail>),
    /// Takes the same work and room as a mail, and goes to nobody.
    Nothing,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Mail {
    pub(super) kind: String,
    to: String,
    pub(super) user: Option<UserId>,
    subject: String,
    text: String,
    html: String,
    link: Option<String>,
    code: Option<String>,
    /// In microseconds. Later it is worthless.
    expires_at: Option<i64>,
}

impl Mail {
    pub(super) fn new(message: &Message, worded: Worded, now: Timestamp) -> Self {
        let exposed =
            |secret: &Option<crate::types::Secret>| secret.as_ref().map(|one| one.expose().to_owned());
        let lifetime = message.lifetime.filter(|_| message.kind.carries_a_key());
        Self {
            kind: message.kind.as_str().to_owned(),
            to: message.to.to_string(),
            user: message.user,
            subject: worded.subject,
            text: worded.text,
            html: worded.html,
            link: exposed(&message.link),
            code: exposed(&message.code),
            expires_at: lifetime.map(|lifetime| now.plus(lifetime).as_micros()),
        }
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.map(Timestamp::from_micros)
    }

    pub(super) fn rendered(self, row: &OutboxRow) -> Result<Rendered> {
        Ok(Rendered {
            id: row.id.clone(),
            kind: self.kind.parse()?,
            to: self.to.parse()?,
            subject: self.subject,
            text: self.text,
            html: self.html,
            link: self.link,
            code: self.code,
            created_at: row.created_at,
        })
    }
}

/// A mail's bytes, or as many that say nothing.
pub(super) fn bytes(mail: Mail, to_nobody: bool) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes =
        Zeroizing::new(serde_json::to_vec(&Letter::Mail(Box::new(mail))).map_err(Error::internal)?);
    let length = bytes.len().next_multiple_of(STEP);
    if to_nobody {
        bytes = Zeroizing::new(serde_json::to_vec(&Letter::Nothing).map_err(Error::internal)?);
    }
    // JSON ends where its value ends; blanks may follow.
    bytes.resize(length, b' ');
    Ok(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Letter> {
    serde_json::from_slice(bytes).map_err(|_| Error::internal("a letter that cannot be read"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mail::{Kind, Templates};

    fn mail(to: &str) -> Mail {
        let message = Message::new(Kind::Recovery, to.parse().unwrap())
            .link("https://app.example.com/verify?token=T0K3N")
            .code("493817")
            .lifetime(Duration::from_secs(600));
        let now = Timestamp::from_seconds(1_000);
        let worded = Templates::default().word(&message, "https://app.example.com", now).unwrap();
        Mail::new(&message, worded, now)
    }

    #[test]
    fn nothing_has_the_size_of_a_mail() {
        for to in ["a@b.de", "someone.with.a.long.name@subdomain.example.com"] {
            let (real, nobody) = (bytes(mail(to), false).unwrap(), bytes(mail(to), true).unwrap());
            assert_eq!(real.len(), nobody.len());
            assert_eq!(real.len() % STEP, 0);
            assert!(matches!(read(&nobody).unwrap(), Letter::Nothing));
            assert!(!String::from_utf8_lossy(&nobody).contains(to));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let Letter::Mail(mail) = read(&bytes(mail("ann@example.com"), false).unwrap()).unwrap() else {
            panic!("a mail")
        };
        assert_eq!(mail.expires_at(), Some(Timestamp::from_seconds(1_600)));
        let row = OutboxRow {
            id: "one".to_owned(),
            sealed: Vec::new(),
            tries: 0,
            next_at: Timestamp::default(),
            created_at: Timestamp::from_seconds(1_000),
        };
        let rendered = mail.rendered(&row).unwrap();
        assert_eq!((rendered.id.as_str(), rendered.kind), ("one", Kind::Recovery));
        assert_eq!((rendered.to.as_str(), rendered.code.as_deref()), ("ann@example.com", Some("493817")));
        assert!(read(b"{").is_err());
    }
}
