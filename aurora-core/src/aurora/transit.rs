use crate::config::{Profile, Weakness};
use crate::http::Tls;

/// A certificate that every browser warns of, and whose key was made for one machine.
pub(super) fn weakness(profile: Profile, tls: Option<&Tls>) -> Option<Weakness> {
    let refused = profile == Profile::Production && tls.is_some_and(Tls::is_for_development);
    refused.then(|| {
        Weakness::new(
            "the TLS certificate is the one for development",
            "give .tls(Tls::files(\"fullchain.pem\", \"privkey.pem\")) a certificate of an authority",
        )
    })
}
