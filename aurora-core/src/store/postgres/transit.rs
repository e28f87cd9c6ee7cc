use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What a URL leaves open is decided for whoever is on the way between: to another machine the server shows a
/// certificate of its name, or there is no connection. libpq's own default encrypts if the server offers it, and asks
/// nobody who that server is.
pub(super) fn verified_by_default(options: PgConnectOptions, query: &str) -> PgConnectOptions {
    let named = |part: &str| part.starts_with("sslmode=") || part.starts_with("ssl-mode=");
    let is_open = !query.split('&').any(named) && matches!(options.get_ssl_mode(), PgSslMode::Prefer);
    if is_open && leaves_this_machine(&options) { options.ssl_mode(PgSslMode::VerifyFull) } else { options }
}

/// What somebody on the way could do to a connection; `None` if nobody is, or nobody can.
pub(crate) fn exposure(options: &PgConnectOptions) -> Option<&'static str> {
    if !leaves_this_machine(options) {
        return None;
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => None,
        // The public authorities are always among those that are believed, and vouch for everybody's names.
        PgSslMode::VerifyCa => Some("is encrypted to whoever has a certificate of any name"),
        PgSslMode::Require => Some("is encrypted to whoever answers"),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => Some("is in clear, or can be made so"),
    }
}

fn leaves_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    options.get_socket().is_none() && !host.starts_with('/') && !is_here
}

/// What to do about a connection that failed before the server was believed.
pub(super) fn mend(cause: &str) -> &'static str {
    const MENDS: [(&str, &str); 6] = [
        (
            "does not support TLS",
            ": switch it on there (`ssl = on`); on a network that is nobody else's write ?sslmode=disable",
        ),
        ("UnknownIssuer", ": name who vouches for its certificate, ?sslrootcert=/path/to/ca.pem"),
        (
            "BadSignature",
            ": the authority in ?sslrootcert= has this one's name and another key; name the right one",
        ),
        ("CaUsedAsEndEntity", ": its certificate is an authority's; issue one for the server with it"),
        ("not valid for name", ": connect by a name that its certificate holds, or issue one for this name"),
        ("certificate expired", ": renew the server's certificate"),
    ];
    MENDS.iter().find(|(word, _)| cause.contains(word)).map_or("", |(_, mend)| mend)
}

#[cfg(test)]
mod tests {
    use crate::store::postgres::database::connect_options;

    use super::*;

    /// asvs(V12.3.2)
    #[test]
    fn another_machine_shows_its_certificate_unless_the_url_says_otherwise() {
        let mode = |url: &str| format!("{:?}", connect_options(url).unwrap().0.get_ssl_mode());
        for url in [
            "postgres://u:p@db/app",
            "postgres://u:p@10.0.0.7/app?pgbouncer=true",
            "postgres://u:p@db.example.com:6432/app?application_name=sslmode",
            "postgres://u:p@[fd00::7]/app",
            "postgres://u:p@localhost.evil.test/app",
        ] {
            assert_eq!(mode(url), "VerifyFull", "{url}");
            assert_eq!(exposure(&connect_options(url).unwrap().0), None, "{url}");
        }
        for url in [
            "postgres://u:p@localhost/app",
            "postgres://u:p@127.0.0.1:6432/app",
            "postgres://u:p@[::1]/app",
            "postgres://u@db/app?host=/var/run/postgresql",
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/app",
        ] {
            assert_eq!(mode(url), "Prefer", "{url}");
            assert_eq!(exposure(&connect_options(url).unwrap().0), None, "{url}");
        }
        for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let options = connect_options(&format!("postgres://u:p@db/app?sslmode={mode}")).unwrap().0;
            assert!(exposure(&options).is_some(), "{mode}");
        }
    }
}
