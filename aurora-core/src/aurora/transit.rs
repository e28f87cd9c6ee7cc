use super::database::{Database, Place, Run};
use crate::config::{Profile, Weakness};
use crate::http::Tls;
use crate::mail::Mailer;
use crate::store;
use crate::types::Result;

/// A certificate that every browser warns of, and whose key was made for one machine.
pub(super) fn certificate(profile: Profile, tls: Option<&Tls>) -> Option<Weakness> {
    let refused = profile == Profile::Production && tls.is_some_and(Tls::is_for_development);
    refused.then(|| {
        Weakness::new(
            "the TLS certificate is the one for development",
            "give .tls(Tls::files(\"fullchain.pem\", \"privkey.pem\")) a certificate of an authority",
        )
    })
}

/// Connections to a database that somebody on the way could read or answer.
pub(super) fn database(profile: Profile, database: &Database) -> Result<Vec<Weakness>> {
    let Place::Postgres(place) = &database.0 else { return Ok(Vec::new()) };
    if profile == Profile::Development || place.trust_the_network {
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
    let exposed = connections.iter().filter_map(|options| {
        let what = store::exposure(options)?;
        let text = format!(
            "the connection to PostgreSQL at `{}` as `{}` {what}",
            options.get_host(),
            options.get_username()
        );
        Some(Weakness::new(
            text,
            "write ?sslmode=verify-full, and ?sslrootcert=ca.pem for an authority of your own",
        ))
    });
    Ok(exposed.collect())
}

/// Mails that somebody on the way could read, with the links that sign in.
pub(super) fn mailer(profile: Profile, mailer: Option<&dyn Mailer>) -> Option<Weakness> {
    let server = mailer.and_then(Mailer::in_clear_to).filter(|_| profile == Profile::Production)?;
    Some(Weakness::new(
        format!("mails, with links that sign in, go in clear to `{server}`"),
        "write smtps://.. or smtp://..?tls=required",
    ))
}
