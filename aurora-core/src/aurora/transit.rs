use super::Builder;
use super::database::{Database, Place, Run};
use crate::config::Weakness;
use crate::http::Tls;
use crate::mail::Mailer;
use crate::store;
use crate::types::Result;

impl Builder {
    /// What `serve` encrypts with. Without it the wire is in clear, for a proxy on the way that speaks TLS
    /// (`Settings::trusted_proxies`) or for this machine alone.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// What production refuses about ways that lead out of this machine.
pub(super) fn weaknesses(
    tls: Option<&Tls>,
    database: &Database,
    mailer: Option<&dyn Mailer>,
) -> Result<Vec<Weakness>> {
    let mut found = exposed(database)?;
    if tls.is_some_and(Tls::is_for_development) {
        // Every browser warns of it, and its key was made for one machine.
        found.push(Weakness::new(
            "the TLS certificate is the one for development",
            "give .tls(Tls::files(\"fullchain.pem\", \"privkey.pem\")) a certificate of an authority",
        ));
    }
    if let Some(server) = mailer.and_then(Mailer::in_clear_to) {
        found.push(Weakness::new(
            format!("mails, with links that sign in, go in clear to `{server}`"),
            "write smtps://.. or smtp://..?tls=required",
        ));
    }
    Ok(found)
}

/// Connections to a database that somebody on the way could read or answer.
fn exposed(database: &Database) -> Result<Vec<Weakness>> {
    let Place::Postgres(place) = &database.0 else { return Ok(Vec::new()) };
    if place.trust_the_network {
        return Ok(Vec::new());
    }
    let mut connections = Vec::new();
    match &place.run {
        Run::Url(url) => connections.push(store::connect_options_of(url)?),
        Run::Pool(pool) => connections.push((*pool.connect_options()).clone()),
    }
    if let Some(url) = &place.migrate {
        connections.push(store::connect_options_of(url)?);
    }
    let found = connections.iter().filter_map(|options| {
        let what = store::exposure(options)?;
        let (host, role) = (options.get_host(), options.get_username());
        let text = format!("the connection to PostgreSQL at `{host}` as `{role}` {what}");
        Some(Weakness::new(
            text,
            "write ?sslmode=verify-full, and ?sslrootcert=ca.pem for an authority of your own",
        ))
    });
    Ok(found.collect())
}
