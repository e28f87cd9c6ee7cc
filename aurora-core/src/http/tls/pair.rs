use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, digest};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use crate::types::{Code, Error, Result, Timestamp};

/// A chain of a dozen certificates is a tenth of it.
const MOST_BYTES: usize = 1024 * 1024;

/// What two files hold.
pub(super) struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// A certificate that was checked, with its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) shown: Arc<CertifiedKey>,
    /// Its first moment.
    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "who orders asks how long it lives"))]
    pub(super) from: Timestamp,
    /// Its last moment.
    pub(super) until: Timestamp,
}

impl Pair {
    /// The certificate's SHA-256, as browsers show it, in digits.
    pub(super) fn name(&self) -> String {
        let own = self.shown.cert.first().map(|own| own.as_ref()).unwrap_or_default();
        digest(&SHA256, own).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Content {
    /// Reads both files, if nobody else may read the key.
    pub(super) async fn read(certificate: &Path, key: &Path) -> Result<Self> {
        let read = async |what: &str, path: &Path| {
            let text = || format!("cannot read the {what} `{}`", path.display());
            let bytes = tokio::fs::read(path).await.map_err(|error| {
                let mend = "name the file where it lies, and let this process's user read it";
                wrong(format!("{} ({error}): {mend}", text())).with_source(error)
            })?;
            if bytes.len() > MOST_BYTES {
                return Err(wrong(format!("{}: it is no certificate's, over 1 MiB", text())));
            }
            Ok(bytes)
        };
        refuse_others("TLS key", key)?;
        Ok(Self {
            certificate: read("TLS certificate", certificate).await?,
            key: Zeroizing::new(read("TLS key", key).await?),
        })
    }

    pub(super) fn begins_with(&self, text: &[u8]) -> bool {
        self.certificate.starts_with(text)
    }

    /// Tells one content from another, and holds nothing of the key.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&(self.certificate.len() as u64).to_be_bytes());
        context.update(&self.certificate);
        context.update(&self.key);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }

    /// Checks that the certificate is one, of that key, and valid at `now`.
    pub(super) fn checked(&self, (certificate, key): (&Path, &Path), now: Timestamp) -> Result<Pair> {
        let (shown, key_shown) = (certificate.display(), key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong(format!("`{shown}` is not whole PEM: put the certificate there again")))?;
        let Some(own) = chain.first() else {
            let mend = "it begins with -----BEGIN CERTIFICATE-----; name the chain (fullchain.pem)";
            return Err(wrong(format!("`{shown}` holds no certificate in PEM: {mend}")));
        };
        let (from, until) =
            valid(own, now).map_err(|what| wrong(format!("the certificate in `{shown}` {what}")))?;
        let locked = self.key.windows(9).any(|word| word == b"ENCRYPTED");
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            let mend = if locked {
                format!(
                    "it has a passphrase; take that off with `openssl pkey -in {key_shown} -out plain.pem`"
                )
            } else {
                "it begins with -----BEGIN PRIVATE KEY-----".to_owned()
            };
            wrong(format!("`{key_shown}` holds no private key that can be used: {mend}"))
        })?;
        let signing = any_supported_type(&private).map_err(|_| {
            let mend = "make an ECDSA P-256 key, or RSA of at least 2048 bits";
            wrong(format!("the key in `{key_shown}` is of a kind that TLS does not take: {mend}"))
        })?;
        let pair = CertifiedKey::new(chain, signing);
        pair.keys_match().map_err(|_| {
            let mend = "give the two files that were issued together";
            wrong(format!("the key in `{key_shown}` is not the one of the certificate in `{shown}`: {mend}"))
        })?;
        Ok(Pair { shown: Arc::new(pair), from, until })
    }
}

/// From when and until when a certificate is valid that is so at `now`; else what is wrong with it and the mend.
fn valid(
    certificate: &CertificateDer<'_>,
    now: Timestamp,
) -> std::result::Result<(Timestamp, Timestamp), String> {
    let unusable = || "is none that TLS takes: make one of X.509 version 3".to_owned();
    let read = EndEntityCert::try_from(certificate).map_err(|_| unusable())?;
    // Without an authority to trust no certificate is valid. Whether it is one of today is looked at before that.
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_seconds()).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        read.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
    };
    let seconds = |time: UnixTime| Timestamp::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match at(now) {
        Some(webpki::Error::CertExpired { not_after, .. }) => {
            Err(format!("has expired ({}): renew it", seconds(not_after)))
        }
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Err(format!("is not valid before {}: is this machine's clock right?", seconds(not_before)))
        }
        // The times themselves are told of moments at which it is not valid.
        _ => match (at(Timestamp::from_seconds(0)), at(Timestamp::from_seconds(253_402_300_800))) {
            (
                Some(webpki::Error::CertNotValidYet { not_before, .. }),
                Some(webpki::Error::CertExpired { not_after, .. }),
            ) => Ok((seconds(not_before), seconds(not_after))),
            _ => Err(unusable()),
        },
    }
}

pub(super) fn wrong(text: String) -> Error {
    Error::new(Code::Configuration, text)
}

/// As PostgreSQL has it: of this process's user and for nobody else, or of root's and for a group as well, since a
/// service that is not root reads what root put there through one.
#[cfg(unix)]
pub(super) fn refuse_others(what: &str, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // What is not there is told where it is read.
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let refused = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.mode() & refused != 0 {
        let (shown, mode) = (path.display(), metadata.mode() & 0o777);
        return Err(wrong(format!("{what} `{shown}` is open to others (mode {mode:o}): chmod 600 {shown}")));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn refuse_others(_what: &str, _path: &Path) -> Result<()> {
    Ok(())
}
