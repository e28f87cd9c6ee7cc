//! The contract of an adapter as a suite of HTTP exchanges: every adapter serves the same routes over a real socket,
//! and every adapter answers alike.
//!
//! An adapter's test serves, from an Aurora over [`SQLITE`] or [`POSTGRES`] with [`POLICIES`], the origin
//! `https://spa.example.com` and sessions in cookies, these routes:
//!
//! | route | |
//! | --- | --- |
//! | private `GET /notes` | the caller's notes as `[{"id", "title"}]`, by id |
//! | private `POST /notes` | `{"title"}`, validated to hold 1 to 80 characters: the new note |
//! | private `GET /notes/{id}` | `{"id", "title"}` by `Owned` |
//! | private `GET /touch` | a GET that should not: it writes a note `touched` and answers with it |
//! | private `GET /me` | `{"id", "email", "aal"}` of the current user |
//! | private `GET /vault` | `[{"id", "title"}]` of the table `vault` |
//! | private `GET /fresh` | `fresh`, if a second factor was used within 300 seconds |
//! | private `GET /broken` | fails with `Error::internal("the cause")` |
//! | private `GET /missing` | fails with `not_found`, "No such thing" |
//! | private `GET /panic` | panics |
//! | public `GET /open` | `open` |
//! | public `GET /own` | `own`, with the headers of [`OWN`] |
//! | public `GET /public` | as `GET /notes`, for whoever calls |
//!
//! [`conforms`] asks everything, fails at the first answer that is not the contract's, and gives back what was
//! answered without what differs from run to run, so that two adapters can be compared.
//!
//! Where the Aurora was given a certificate ([`Builder::tls`](crate::Builder::tls)) all of it is asked over TLS, and
//! nothing but that certificate is trusted.
//!
//! A second service confirms no address by itself, knows a key of the service's ([`by_mail`], [`roomy`]) and has files
//! with [`FILE_POLICIES`]; of the host's routes it serves whichever. [`conforms_by_mail`] takes the mails from its mailbox, and asks what a reader of
//! mails and an administrator ask. [`uncovered`] says which route of Aurora's was forgotten in both.

mod admin;
mod attacks;
mod cookies;
mod coverage;
mod factors;
mod files;
mod flows;
mod headers;
mod keys;
mod letters;
mod mailed;
mod routes;
mod sign_in_by_mail;
mod sources;
mod strangers;
mod told;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

pub use coverage::uncovered;
pub use sources::undeclared;
pub use strangers::refuses_strangers;
pub use told::Exchange;

use crate::Aurora;
use crate::config::{Autoconfirm, Settings};
use crate::http::HostRoutes;
use crate::load::{Limits, Quota};
use crate::types::{Error, Result};
use wire::{Answer, Ask, Line};

/// The notes on SQLite.
pub const SQLITE: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, \
    is_public BOOLEAN NOT NULL DEFAULT FALSE); CREATE TABLE vault (id INTEGER PRIMARY KEY, title TEXT NOT NULL);";

/// The notes on PostgreSQL.
pub const POSTGRES: &str = "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    owner text NOT NULL, title text NOT NULL, is_public boolean NOT NULL DEFAULT FALSE); \
    CREATE TABLE vault (id bigint PRIMARY KEY, title text NOT NULL);";

/// One note that everybody sees, one that nobody does, and one row that wants a second factor; on either engine.
pub const ROWS: &str = "INSERT INTO notes (owner, title, is_public) VALUES ('-', 'public', TRUE), ('-', 'hidden', FALSE); \
    INSERT INTO vault (id, title) VALUES (1, 'in the vault');";

/// Who may do what with the notes.
pub const POLICIES: &str = "
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON notes TO anon;
    GRANT SELECT, INSERT ON notes TO authenticated;
    CREATE ROLE editor;
    CREATE POLICY editors ON notes FOR SELECT TO editor USING (owner = '-');
    CREATE POLICY see ON notes FOR SELECT USING (is_public OR owner = auth.uid()::text);
    CREATE POLICY own ON notes FOR INSERT TO authenticated WITH CHECK (owner = auth.uid()::text);
    ALTER TABLE vault ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON vault TO authenticated;
    CREATE POLICY strong ON vault FOR SELECT TO authenticated USING (auth.jwt() ->> 'aal' = 'aal2');
";

/// Who may do what with the files of the second service, behind [`POLICIES`].
pub const FILE_POLICIES: &str = "
    CREATE POLICY suite ON storage.buckets FOR SELECT TO authenticated USING (id = 'suite');
    CREATE POLICY suite ON storage.objects FOR ALL TO authenticated
        USING (bucket_id = 'suite') WITH CHECK (bucket_id = 'suite');
";
/// What the host says itself of the answer of `/own`.
pub const OWN: [(&str, &str); 3] = [
    ("content-security-policy", "default-src 'self'; frame-ancestors 'self'"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "no-referrer"),
];

/// Those routes, as a host declares them.
pub fn routes() -> HostRoutes {
    let private =
        ["/notes", "/notes/{id}", "/touch", "/me", "/vault", "/fresh", "/broken", "/missing", "/panic"];
    let routes = private.iter().fold(HostRoutes::new(), |routes, path| routes.private("GET", path));
    routes.private("POST", "/notes").public("GET", "/open").public("GET", "/own").public("GET", "/public")
}

const SPA: &str = "https://spa.example.com";
const SERVICE_KEY: &str = "sb_secret_of_the_suite_alone_1aB7";

/// What a service is set to that [`conforms_by_mail`] asks, beside development's defaults.
pub fn by_mail(settings: &mut Settings) {
    settings.sign_ups.autoconfirm = Autoconfirm::Off;
    settings.sign_ups.anonymous = true;
    settings.redirects.push(format!("{SPA}/**"));
    // Nobody moves the clock of a service that runs.
    settings.tokens.reuse_grace = Duration::ZERO;
    settings.api_keys.service.push(SERVICE_KEY.into());
}

/// Limits that one address, from which the whole suite comes, does not use up.
pub fn roomy() -> Limits {
    let roomy = Quota::new(10_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.sign_up, limits.sign_in, limits.guesses) = (roomy, roomy, roomy);
    (limits.mail, limits.mail_to, limits.factor) = (roomy, roomy, roomy);
    limits
}

/// A service under test.
#[derive(Clone, Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub aurora: Aurora,
}

/// Asks everything.
///
/// # Errors
/// The first exchange that is not as the contract has it, by its name.
pub async fn conforms(served: &Served) -> Result<Vec<Exchange>> {
    let mut run = Run::new(served)?;
    expect("each declared route is asked for", strangers::refuses(&run.line, &routes()).await? == 13)?;
    for wrong in [HostRoutes::new().private("GET", "/open"), HostRoutes::new().public("GET", "/notes")] {
        let seen = strangers::refuses(&run.line, &wrong).await.is_err();
        expect("a route that is not as it was declared is seen", seen)?;
    }
    flows::all(&mut run).await?;
    mailed::all(&mut run).await?;
    routes::all(&mut run).await?;
    factors::all(&mut run).await?;
    attacks::all(&mut run).await?;
    keys::all(&mut run).await?;
    cookies::all(&mut run).await?;
    headers::all(&mut run).await?;
    Ok(run.seen)
}

/// Asks what mails lead to, and what the service's own key opens, of a service that is set [`by_mail`].
///
/// # Errors
/// The first exchange that is not as the contract has it, by its name.
pub async fn conforms_by_mail(served: &Served) -> Result<Vec<Exchange>> {
    let mut run = Run::new(served)?;
    sign_in_by_mail::all(&mut run).await?;
    admin::all(&mut run).await?;
    attacks::replayed(&mut run).await?;
    files::all(&mut run).await?;
    Ok(run.seen)
}

struct Run<'a> {
    served: &'a Served,
    line: Line,
    seen: Vec<Exchange>,
    /// Mails that were read.
    read: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(served: &'a Served) -> Result<Self> {
        let line = Line::to(served.address, served.aurora.http().tls())?;
        Ok(Self { served, line, seen: Vec::new(), read: Vec::new() })
    }

    /// The own origin of a page of the service's.
    fn origin(&self) -> String {
        let scheme = if self.served.aurora.http().tls().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.served.address)
    }

    /// Sends a request, asks for this status, and keeps what was answered.
    async fn ask(&mut self, name: &str, ask: Ask, status: u16) -> Result<Answer> {
        let route = coverage::route(ask.method(), ask.path(), &self.served.aurora.settings().prefix);
        let answer = ask.send(&self.line).await?;
        if answer.status != status {
            let text = String::from_utf8_lossy(&answer.body);
            let text = format!("{name}: {} and not {status}: {text}", answer.status);
            return Err(Error::internal(text));
        }
        headers::hardened(&answer).map_err(|what| Error::internal(format!("{name}: {what}")))?;
        self.seen.push(Exchange::new(name, route, &answer));
        Ok(answer)
    }

    /// An [`ask`](Self::ask) whose answer is a failure with this code, in either shape.
    async fn refused(&mut self, name: &str, ask: Ask, status: u16, code: &str) -> Result<Answer> {
        let answer = self.ask(name, ask, status).await?;
        let told = answer.header("x-sb-error-code");
        if told != Some(code) {
            return Err(Error::internal(format!("{name}: {told:?} and not {code}")));
        }
        Ok(answer)
    }
}

fn expect(name: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(format!("{name} does not hold"))) }
}
