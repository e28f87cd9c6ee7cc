use std::path::Path;
use std::time::Duration;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

use super::files;
use super::pair::{Content, wrong};
use crate::types::{Error, Result, Timestamp};

/// Names that lead to this machine and to no other.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Some browsers refuse what is valid for longer than 398 days.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// A clock that was set back does not make it one of the future.
const BEFORE: Duration = Duration::from_secs(86_400);

/// Makes the certificate in `file`, unless there is one that is good today.
pub(super) async fn prepare(file: &Path, now: Timestamp) -> Result<()> {
    if file.exists() {
        let before = Content::read(file, file).await?;
        if before.checked((file, file), now).is_ok() {
            return Ok(());
        }
        if !is_ours(&before) {
            let shown = file.display();
            let text =
                format!("`{shown}` holds something else than a development certificate: name another file");
            return Err(wrong(text));
        }
    }
    let made = make(now)?;
    files::write(file, made.as_bytes()).map_err(|error| {
        wrong(format!("cannot write the development certificate `{}`: {error}", file.display()))
            .with_source(error)
    })?;
    tracing::info!(file = %file.display(), "made a development certificate; a browser has to be told once");
    Ok(())
}

const TITLE: &str = "Aurora development certificate, for this machine alone";

/// Whether an expired or broken one may be replaced.
fn is_ours(content: &Content) -> bool {
    content.begins_with(TITLE.as_bytes())
}

fn make(now: Timestamp) -> Result<Zeroizing<String>> {
    let names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let mut asked = CertificateParams::new(names).map_err(Error::internal)?;
    let at = |time: Timestamp| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_seconds()).unwrap_or_default())
    };
    (asked.not_before, asked.not_after) = (at(now.minus(BEFORE)), at(now.plus(LIFETIME)));
    asked.distinguished_name.push(DnType::CommonName, TITLE);
    // Not an authority: whoever finds the key can be this machine, and vouch for no other name.
    asked.is_ca = IsCa::ExplicitNoCa;
    asked.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    asked.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(Error::internal)?;
    let certificate = asked.self_signed(&key).map_err(Error::internal)?;
    let private = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new(format!("{TITLE}\n{}{}", certificate.pem(), private.as_str())))
}
