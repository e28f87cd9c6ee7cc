use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use http::Uri;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};

use super::mailer::TIME_LIMIT;
use super::{MailError, Mailer, Rendered};
use crate::types::{BoxFuture, Code, Error, Result, Secret};
use crate::validate::printable;

/// For one mail, from the connection to the server's last word. Less than the outbox gives, by more than the good-bye:
/// a mail that was taken in the last moment is not cut off and sent again.
const LIMIT: Duration = Duration::from_secs(TIME_LIMIT.as_secs() - 2);
/// For the good-bye, when the mail has been taken already.
const GOOD_BYE: Duration = Duration::from_secs(1);
const USAGE: &str = "write it as smtps://user:password@host:465, or smtp://host:587?tls=required";

/// Sends by SMTP, each mail over a connection of its own. Cargo feature `smtp`.
///
/// | URL | |
/// | --- | --- |
/// | `smtps://user:password@host:465` | TLS from the first byte (RFC 8314): the one to take |
/// | `smtp://user:password@host:587?tls=required` | `STARTTLS`, or nothing is sent |
/// | `smtp://127.0.0.1:25` | in clear, to this machine alone |
/// | `smtp://relay.internal:25?tls=insecure_none` | in clear, by name and without a password; production refuses it |
/// | `..?tls=insecure_none_even_in_production` | the same, where somebody else encrypts the way: a service mesh |
///
/// User and password are percent-encoded in it. Certificates are verified against the roots that browsers trust, or
/// against one of the host's own.
///
/// ```
/// use aurora_core::mail::Smtp;
/// let url = "smtps://notes:p%40ss@mail.example.com".into();
/// let smtp = Smtp::from_url(&url, "Notes <no-reply@notes.example.com>").unwrap();
/// assert!(!format!("{smtp:?}").contains("p@ss"));
/// assert!(Smtp::from_url(&"smtp://mail.example.com".into(), "no-reply@notes.example.com").is_err());
/// ```
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    login: Option<Credentials>,
    sender: Mailbox,
    hello: ClientId,
    limit: Duration,
}

#[derive(Clone)]
enum Tls {
    FromTheFirstByte(TlsParameters),
    Upgrade(TlsParameters),
    None,
    /// In clear to another machine, and production was told that this is meant.
    NoneEvenInProduction,
}

impl Smtp {
    /// The server behind `url`; `sender` is what mails come from, `Notes <no-reply@notes.example.com>`.
    ///
    /// # Errors
    /// [`Code::Configuration`] says what is wrong with either, and repeats nothing of the URL.
    pub fn from_url(url: &Secret, sender: &str) -> Result<Self> {
        let uri: Uri = url.expose().parse().map_err(|_| wrong("the mail server's URL is not one"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("the mail server's URL names no server"));
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let login = login(authority.as_str())?;
        let asked = uri.query().unwrap_or_default();
        let parameters =
            || TlsParameters::new(host.clone()).map_err(|_| wrong("the mail server's name is not one"));
        let (tls, port) = match (scheme, asked) {
            ("smtps", "") => (Tls::FromTheFirstByte(parameters()?), 465),
            ("smtp", "tls=required") => (Tls::Upgrade(parameters()?), 587),
            ("smtp", "tls=insecure_none") => (Tls::None, 25),
            ("smtp", "tls=insecure_none_even_in_production") => (Tls::NoneEvenInProduction, 25),
            ("smtp", "") if is_loopback(&host) => (Tls::None, 25),
            ("smtp", "") => return Err(wrong("mails would cross the network in clear: add ?tls=required")),
            _ => return Err(wrong("the mail server's URL has another scheme or parameter")),
        };
        if matches!(tls, Tls::None | Tls::NoneEvenInProduction) && login.is_some() && !is_loopback(&host) {
            return Err(wrong("the mail server's password would cross the network in clear"));
        }
        let sender: Mailbox = sender.parse().map_err(|_| {
            let shown = printable(sender, 80);
            Error::new(
                Code::Configuration,
                format!("`{shown}` is no sender; write it as Notes <no-reply@example.com>"),
            )
        })?;
        let hello = ClientId::Domain(sender.email.domain().to_owned());
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host, port, tls, login, sender, hello, limit: LIMIT })
    }

    /// Trusts certificates that this one vouches for, in PEM, and no others: a CA of the host's own.
    ///
    /// # Errors
    /// [`Code::Configuration`] if it is no certificate, or there is no TLS to use it for.
    pub fn root_certificate(mut self, pem: &[u8]) -> Result<Self> {
        let no_certificate =
            || Error::new(Code::Configuration, "the mail server's root is no certificate in PEM");
        let certificate = Certificate::from_pem(pem).map_err(|_| no_certificate())?;
        let parameters = TlsParameters::builder(self.host.clone())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate)
            .build()
            .map_err(|_| no_certificate())?;
        self.tls = match self.tls {
            Tls::FromTheFirstByte(_) => Tls::FromTheFirstByte(parameters),
            Tls::Upgrade(_) => Tls::Upgrade(parameters),
            Tls::None | Tls::NoneEvenInProduction => return Err(wrong("a root certificate is for TLS")),
        };
        Ok(self)
    }

    /// What this machine calls itself to the server (`EHLO`); the sender's domain unless it is said.
    #[must_use]
    pub fn hello_name(mut self, name: &str) -> Self {
        self.hello = ClientId::Domain(name.chars().filter(char::is_ascii_graphic).collect());
        self
    }

    /// How long one mail may take. 28 seconds unless it is said, and at most: the outbox gives it 30.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit.min(LIMIT);
        self
    }

    fn composed(&self, mail: &Rendered) -> Result<(Address, Vec<u8>), MailError> {
        let broken = |_| MailError::permanent("the mail cannot be composed");
        // An `Email` is stricter than the crate's own check in all that could end a command or a header.
        let (local, domain) = mail.to.as_str().rsplit_once('@').unwrap_or_default();
        let to = Address::new_dangerous(local, domain);
        let sender = &self.sender.email;
        let micros = u64::try_from(mail.created_at.as_micros()).unwrap_or_default();
        let message = Message::builder()
            .message_id(Some(format!("<{}@{}>", mail.id, sender.domain())))
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .from(self.sender.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(printable(&mail.subject, 200))
            // RFC 3834: nobody's absence note answers to it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .envelope(Envelope::new(Some(sender.clone()), vec![to.clone()]).map_err(broken)?)
            .multipart(
                // Drawn from the mail's id: the same mail is the same bytes at every try.
                MultiPart::alternative()
                    .boundary(format!("aurora-{}", mail.id))
                    .singlepart(SinglePart::plain(lines(&mail.text)))
                    .singlepart(SinglePart::html(lines(&mail.html))),
            )
            .map_err(broken)?;
        Ok((to, message.formatted()))
    }

    /// Whatever goes wrong here is about the server or our account with it, not about the mail.
    async fn connected(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let from_the_first_byte = match &self.tls {
            Tls::FromTheFirstByte(parameters) => Some(parameters.clone()),
            Tls::Upgrade(_) | Tls::None | Tls::NoneEvenInProduction => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, from_the_first_byte, None).await?;
        if let Tls::Upgrade(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(login) = &self.login {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], login).await?;
        }
        Ok(connection)
    }

    async fn hand_over(&self, mail: &Rendered) -> Result<AsyncSmtpConnection, MailError> {
        let (to, bytes) = self.composed(mail)?;
        let mut connection = self.connected().await.map_err(|error| later(&error))?;
        let sender = Mail::new(Some(self.sender.email.clone()), Vec::new());
        connection.command(sender).await.map_err(|error| later(&error))?;
        // From here on a refusal is about this mail.
        connection.command(Rcpt::new(to, Vec::new())).await.map_err(|error| refused(&error))?;
        connection.command(Data).await.map_err(|error| refused(&error))?;
        connection.message(&bytes).await.map_err(|error| refused(&error))?;
        Ok(connection)
    }
}

impl Mailer for Smtp {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let sent = tokio::time::timeout(self.limit, self.hand_over(mail)).await;
            let mut connection =
                sent.map_err(|_| MailError::temporary("the mail server did not answer in time"))??;
            // Taken; how the server takes leave changes nothing.
            let _ = tokio::time::timeout(GOOD_BYE, connection.quit()).await;
            Ok(())
        })
    }

    fn in_clear_to(&self) -> Option<&str> {
        (matches!(self.tls, Tls::None) && !is_loopback(&self.host)).then_some(&self.host)
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = match self.tls {
            Tls::FromTheFirstByte(_) => "from the first byte",
            Tls::Upgrade(_) => "required",
            Tls::None | Tls::NoneEvenInProduction => "none",
        };
        let mut out = f.debug_struct("Smtp");
        out.field("host", &self.host).field("port", &self.port).field("tls", &tls).finish_non_exhaustive()
    }
}

fn later(error: &SmtpError) -> MailError {
    MailError::temporary(told(error))
}

fn refused(error: &SmtpError) -> MailError {
    if error.is_permanent() { MailError::permanent(told(error)) } else { later(error) }
}

/// The server's code, and its finer one (RFC 3463) if it gave one. Its words are left out: they repeat what was sent
/// to it.
fn told(error: &SmtpError) -> String {
    let Some(code) = error.status() else {
        return printable(&error.to_string(), 200);
    };
    let said = error.to_string();
    let finer = said.split(|c: char| !(c.is_ascii_digit() || c == '.')).find(|word| {
        let numbers: Vec<&str> = word.split('.').collect();
        numbers.len() == 3 && numbers.iter().all(|number| (1..=3).contains(&number.len()))
    });
    format!("the mail server answered {code}{}", finer.map(|finer| format!(" {finer}")).unwrap_or_default())
}

/// One way to end a line: servers that take another for one can be made to see a second mail (CVE-2023-51764).
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// User and password of an authority, if they are there.
fn login(authority: &str) -> Result<Option<Credentials>> {
    let Some((login, _)) = authority.rsplit_once('@') else { return Ok(None) };
    let missing = || wrong("the mail server's URL names a user without a password");
    let (user, password) = login.split_once(':').ok_or_else(missing)?;
    let text =
        |text: &str| decoded(text).ok_or_else(|| wrong("the mail server's URL is not percent-encoded"));
    Ok(Some(Credentials::new(text(user)?, text(password)?)))
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn wrong(what: &str) -> Error {
    Error::new(Code::Configuration, format!("{what}; {USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Kind;
    use crate::types::Timestamp;

    const SENDER: &str = "Notes <no-reply@notes.example.com>";

    fn from(url: &str) -> Result<Smtp> {
        Smtp::from_url(&url.into(), SENDER)
    }

    #[test]
    fn urls_are_safe_or_named_otherwise() {
        let port = |url| from(url).unwrap().port;
        assert_eq!(port("smtps://mail.example.com"), 465);
        assert_eq!(port("smtps://u:p%40%2F@mail.example.com:2465"), 2465);
        assert_eq!(port("smtp://u:p@mail.example.com?tls=required"), 587);
        assert_eq!(port("smtp://relay.internal?tls=insecure_none"), 25);
        for local in ["smtp://127.0.0.1:1025", "smtp://localhost", "smtp://[::1]:25", "smtp://u:p@127.0.0.1"]
        {
            assert!(matches!(from(local).unwrap().tls, Tls::None), "{local}");
        }
        for refused in [
            "",
            "mail.example.com",
            "smtp://mail.example.com",
            "smtp://u:s3cret@mail.example.com",
            "smtp://u:s3cret@mail.example.com?tls=insecure_none",
            "smtp://mail.example.com?tls=opportunistic",
            "smtps://mail.example.com?tls=none",
            "https://u:s3cret@mail.example.com",
            "smtps://s3cret@mail.example.com",
            "smtps://u:s3cret%zz@mail.example.com",
            "smtps://u:s3cret%2@mail.example.com",
        ] {
            let error = from(refused).unwrap_err();
            assert_eq!(error.code(), Code::Configuration, "{refused}");
            assert!(!format!("{error:?}").contains("s3cret"), "{refused}");
        }
        assert!(Smtp::from_url(&"smtps://mail.example.com".into(), "nobody").is_err());
        assert!(Smtp::from_url(&"smtps://mail.example.com".into(), "a@b.de\r\nBcc: x@y.de").is_err());
    }

    #[test]
    fn who_sends_in_clear_says_so() {
        let clear = |url| from(url).unwrap().in_clear_to().map(str::to_owned);
        assert_eq!(clear("smtp://relay.internal?tls=insecure_none").as_deref(), Some("relay.internal"));
        for safe in [
            "smtps://mail.example.com",
            "smtp://mail.example.com?tls=required",
            "smtp://127.0.0.1:1025",
            "smtp://localhost?tls=insecure_none",
            "smtp://relay.internal?tls=insecure_none_even_in_production",
        ] {
            assert_eq!(clear(safe), None, "{safe}");
        }
        assert!(from("smtp://u:p@relay.internal?tls=insecure_none_even_in_production").is_err());
    }

    #[test]
    fn debug_holds_no_password() {
        let printed = format!("{:?}", from("smtps://user:s3cret@mail.example.com").unwrap());
        assert_eq!(
            printed,
            "Smtp { host: \"mail.example.com\", port: 465, tls: \"from the first byte\", .. }"
        );
    }

    /// attack P20, asvs(V1.3.11)
    #[test]
    fn what_a_mail_says_adds_no_header_and_no_command() {
        let smtp = from("smtps://mail.example.com").unwrap();
        let mail = Rendered {
            id: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".to_owned(),
            kind: Kind::NewDevice,
            to: "ann@example.com".parse().unwrap(),
            subject: "Hello\r\nBcc: eve@evil.test\r\n\r\nGrüße".to_owned(),
            text: "one\r\n.\r\nMAIL FROM:<eve@evil.test>\r\nbare\rreturn, bare\nfeed\n".to_owned(),
            html: "<p>ä</p>".to_owned(),
            link: None,
            code: None,
            created_at: Timestamp::from_seconds(1_800_000_000),
        };
        let (to, bytes) = smtp.composed(&mail).unwrap();
        assert_eq!(to.to_string(), "ann@example.com");
        assert!(bytes.is_ascii());
        let (head, body) = std::str::from_utf8(&bytes).unwrap().split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split(':').next())
            .collect();
        println!("{head}");
        assert!(!names.contains(&"Bcc"), "{names:?}");
        assert_eq!(names.len(), 8, "{names:?}");
        assert!(head.contains("<6f9619ff-8b86-4d01-b42d-00cf4fc964ff@notes.example.com>"));
        assert!(body.contains("aurora-6f9619ff"));
        assert_eq!(smtp.composed(&mail).unwrap().1, bytes, "the same bytes at every try");
    }
}
