//! What the environment may set: `PORT`, `DATA_DIR`, `DATABASE_URL`, `SITE_URL`, `CONFIRM_EMAILS`, `SERVICE_KEY`,
//! `APP_ORIGIN`, `COOKIE_SESSIONS`, `ANONYMOUS`; `TLS_CERTIFICATE` and `TLS_KEY`, or `TLS_DEVELOPMENT`; and what a Supabase project brings: `API_URL`, `JWT_SECRET`,
//! `JWT_KEYS`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

// Of the adapter that the app is on.
use super::Tls;

/// Where the app listens and keeps its data.
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) database_url: String,
    pub(crate) key_file: PathBuf,
    /// Its public address.
    pub(crate) site_url: String,
    /// What it encrypts with.
    pub(crate) tls: Option<Tls>,
    /// A front end of another origin: its pages may call, and links in mails may lead there.
    pub(crate) app_origin: Option<String>,
    /// Whether a page may have its session in cookies.
    pub(crate) cookie_sessions: bool,
    /// Whether a registration waits for its mail, which the mailbox page shows.
    pub(crate) confirm_emails: bool,
    /// Whether somebody may sign in whom nobody knows.
    pub(crate) anonymous: bool,
    /// The key with which a service of yours administers users. None: nobody does.
    pub(crate) service_key: Option<String>,
    /// Where clients find this service, if the front end is elsewhere.
    pub(crate) api_url: Option<String>,
    /// A project's HS256 secret, which its `anon` and `service_role` keys are signed with.
    pub(crate) jwt_secret: Option<String>,
    /// A project's signing keys, as a JSON array of JWKs.
    pub(crate) jwt_keys: Option<String>,
}

impl Settings {
    /// Reads the environment and makes the data folder, readable by its owner alone.
    pub(crate) fn from_environment() -> Result<Self, Box<dyn std::error::Error>> {
        let port = match variable("PORT") {
            Some(text) => {
                text.parse::<u16>().map_err(|_| format!("PORT must be a port number, not `{text}`"))?
            }
            None => 8080,
        };
        let data = PathBuf::from(variable("DATA_DIR").unwrap_or_else(|| "data".to_owned()));
        private_folder(&data)
            .map_err(|error| format!("cannot make DATA_DIR `{}`: {error}", data.display()))?;
        // Development listens on loopback only.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let tls = match (variable("TLS_CERTIFICATE"), variable("TLS_KEY"), variable("TLS_DEVELOPMENT")) {
            (Some(certificate), Some(key), None) => Some(Tls::files(certificate, key)),
            (None, None, Some(_)) => Some(Tls::development(data.join("tls.pem"))),
            (None, None, None) => None,
            _ => return Err("set TLS_CERTIFICATE and TLS_KEY, or TLS_DEVELOPMENT, or none of them".into()),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        Ok(Self {
            address,
            site_url: variable("SITE_URL").unwrap_or_else(|| format!("{scheme}://{address}")),
            tls,
            app_origin: variable("APP_ORIGIN"),
            cookie_sessions: variable("COOKIE_SESSIONS").is_some(),
            database_url: variable("DATABASE_URL")
                .unwrap_or_else(|| format!("sqlite://{}", data.join("quickstart.db").display())),
            key_file: data.join("aurora.key"),
            confirm_emails: variable("CONFIRM_EMAILS").is_some(),
            anonymous: variable("ANONYMOUS").is_some(),
            service_key: variable("SERVICE_KEY"),
            api_url: variable("API_URL"),
            jwt_secret: variable("JWT_SECRET"),
            jwt_keys: variable("JWT_KEYS"),
        })
    }

    /// Says what the app is, where it is and what to try first.
    #[expect(clippy::print_stdout, reason = "the greeting is for the person who starts the app")]
    pub(crate) fn greet(&self, what: &str) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.address);
        // Nobody else vouches for the development certificate.
        let tls = self.tls.as_ref().filter(|tls| tls.is_for_development());
        let trust = tls.map(|tls| format!(" --cacert {}", tls.certificate().display())).unwrap_or_default();
        println!("{what}: {url}");
        println!("Keys are in {}, outside the database.", self.key_file.display());
        println!("Mails that it would send: {url}/auth/v1/mailbox");
        println!();
        println!("Sign up, write a note, list your notes:");
        println!();
        println!(
            r#"TOKEN=$(curl -s{trust} {url}/auth/v1/signup -H 'Content-Type: application/json' -d '{{"email":"ada-'$(date +%s)'@example.com","password":"quiet harbour lamp 41"}}' | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')"#
        );
        println!(
            r#"curl -s{trust} {url}/notes -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"title":"First light","body":"Only I can read this."}}'"#
        );
        println!(r#"curl -s{trust} {url}/notes -H "Authorization: Bearer $TOKEN""#);
    }
}

#[expect(clippy::disallowed_methods, reason = "the binary's own settings; the library reads no environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(unix)]
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}
