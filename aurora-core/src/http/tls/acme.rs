use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeType, Identifier, LetsEncrypt, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::order::{Challenges, Orders};
use super::pair::{Content, refuse_others, wrong};
use super::{Tls, files};
use crate::types::{BoxFuture, Error, Result, Timestamp};

/// For all of an order: two machines and a dozen requests.
const LONGEST: Duration = Duration::from_secs(300);

/// Certificates from an authority that asks by ACME (RFC 8555) whether the names lead here, by TLS-ALPN-01
/// (RFC 8737): on port 443, by the same listener. Cargo feature `acme`.
///
/// One process answers for a name; where several do, let a proxy have the certificate.
///
/// ```
/// use aurora_core::http::{Acme, Tls};
/// // With this line the host agrees to the authority's terms of service.
/// let acme = Acme::lets_encrypt(&["notes.example.com"], "data/acme").contact("mailto:ops@example.com");
/// let tls = Tls::acme(acme);
/// ```
#[derive(Clone, Debug)]
pub struct Acme {
    directory: String,
    names: Vec<String>,
    contacts: Vec<String>,
    folder: PathBuf,
    root: Option<PathBuf>,
}

impl Acme {
    /// From Let's Encrypt, for these names; account key, certificate and its key are kept in `folder`, each of mode
    /// 0600. Agrees to their terms of service.
    pub fn lets_encrypt(names: &[&str], folder: impl AsRef<Path>) -> Self {
        Self::of(LetsEncrypt::Production.url(), names, folder)
    }

    /// From the authority whose directory is at that URL: Let's Encrypt's staging, or one of the host's own.
    pub fn of(directory: &str, names: &[&str], folder: impl AsRef<Path>) -> Self {
        Self {
            directory: directory.to_owned(),
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            contacts: Vec::new(),
            folder: folder.as_ref().to_owned(),
            root: None,
        }
    }

    /// Whom the authority writes to: `mailto:ops@example.com`.
    #[must_use]
    pub fn contact(mut self, contact: &str) -> Self {
        self.contacts.push(contact.to_owned());
        self
    }

    /// The certificate, in PEM, that vouches for the authority's own server. Without it the system's roots do.
    #[must_use]
    pub fn directory_root(mut self, path: impl AsRef<Path>) -> Self {
        self.root = Some(path.as_ref().to_owned());
        self
    }

    /// Another authority has another account, and other names another certificate.
    fn file(&self, what: &str, of: &[&str]) -> PathBuf {
        let all = of.iter().fold(self.directory.clone(), |all, one| format!("{all}\n{one}"));
        let sum = digest(&SHA256, all.as_bytes());
        let name: String = sum.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{what}-{name}"))
    }

    fn account_file(&self) -> PathBuf {
        self.file("account", &[]).with_extension("json")
    }

    fn builder(&self) -> Result<AccountBuilder> {
        let builder = match &self.root {
            Some(root) => Account::builder_with_root(root),
            None => Account::builder(),
        };
        builder.map_err(failed)
    }

    async fn account(&self) -> Result<Account> {
        let file = self.account_file();
        if file.exists() {
            refuse_others("account key", &file)?;
            let text = Zeroizing::new(tokio::fs::read(&file).await.map_err(Error::internal)?);
            let known = serde_json::from_slice(&text).map_err(|_| {
                wrong(format!("`{}` is no account of ACME's: restore it, or remove it", file.display()))
            })?;
            return self.builder()?.from_credentials(known).await.map_err(failed);
        }
        let contacts: Vec<&str> = self.contacts.iter().map(String::as_str).collect();
        let wish =
            NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let made = self.builder()?.create(&wish, self.directory.clone(), None).await;
        let (account, known) = made.map_err(failed)?;
        let text = Zeroizing::new(serde_json::to_vec(&known).map_err(Error::internal)?);
        files::write(&file, &text).map_err(Error::internal)?;
        tracing::info!(directory = %self.directory, "made an ACME account");
        Ok(account)
    }

    /// Whether what is kept will do: until two thirds of its life are over.
    async fn is_good(&self, now: Timestamp) -> bool {
        let file = self.certificate();
        let Ok(content) = Content::read(&file, &file).await else { return false };
        let Ok(pair) = content.checked((&file, &file), now) else { return false };
        pair.until.since(now) > pair.until.since(pair.from) / 3
    }

    async fn order(&self, challenges: &Challenges) -> Result<()> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(failed)?;
        prove(&mut order, challenges).await?;
        match order.poll_ready(&RetryPolicy::default()).await.map_err(failed)? {
            OrderStatus::Ready => {}
            other => {
                let mend = "does each name lead here, on port 443, past every firewall?";
                return Err(wrong(format!("the ACME server did not believe the names ({other:?}): {mend}")));
            }
        }
        let key = KeyPair::generate().map_err(Error::internal)?;
        let mut asked = CertificateParams::new(self.names.clone()).map_err(Error::internal)?;
        asked.distinguished_name = rcgen::DistinguishedName::new();
        let request = asked.serialize_request(&key).map_err(Error::internal)?;
        order.finalize_csr(request.der()).await.map_err(failed)?;
        let chain = order.poll_certificate(&RetryPolicy::default()).await.map_err(failed)?;
        let private = Zeroizing::new(key.serialize_pem());
        let both = Zeroizing::new(format!("{}\n{}", chain.trim_end(), private.as_str()));
        files::write(&self.certificate(), both.as_bytes()).map_err(Error::internal)?;
        tracing::info!(names = ?self.names, "a certificate came by ACME");
        Ok(())
    }
}

/// Shows for each name what the authority looks for.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<()> {
    let mut asked = order.authorizations();
    while let Some(authorization) = asked.next().await {
        let mut authorization = authorization.map_err(failed)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(wrong(
                "the ACME server offers no TLS-ALPN-01: take another, or .tls(Tls::files(..))".to_owned(),
            ));
        };
        let Identifier::Dns(name) = challenge.identifier().identifier.clone() else {
            return Err(wrong("the ACME server asks for something else than a name".to_owned()));
        };
        let answer = challenge.key_authorization();
        challenges.put(&name, shown(&name, answer.digest().as_ref())?);
        challenge.set_ready().await.map_err(failed)?;
    }
    Ok(())
}

/// RFC 8737 s3: a certificate of the name, and the digest in an extension.
fn shown(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>> {
    let mut asked = CertificateParams::new(vec![name.to_owned()]).map_err(Error::internal)?;
    if digest.len() != 32 {
        return Err(wrong("the ACME challenge is of another kind".to_owned()));
    }
    asked.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
    let key = KeyPair::generate().map_err(Error::internal)?;
    let certificate = asked.self_signed(&key).map_err(Error::internal)?;
    let signing = any_supported_type(&key.into()).map_err(Error::internal)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
}

/// What an ACME server says of a failure has no secret in it.
fn failed(error: instant_acme::Error) -> Error {
    wrong(format!("ACME: {error}")).with_source(error)
}

impl Orders for Acme {
    fn certificate(&self) -> PathBuf {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.file("certificate", &names).with_extension("pem")
    }

    fn renew<'a>(&'a self, challenges: &'a Challenges, now: Timestamp) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.is_good(now).await {
                return Ok(());
            }
            files::private_folder(&self.folder).map_err(|error| {
                wrong(format!("cannot make the folder `{}`: {error}", self.folder.display()))
            })?;
            let ordered = tokio::time::timeout(LONGEST, self.order(challenges)).await;
            challenges.clear();
            ordered.map_err(|_| wrong("the ACME server took more than five minutes".to_owned()))?
        })
    }
}

impl Tls {
    /// A certificate that is ordered where there is none yet, and again when two thirds of its life are over. Until
    /// the first one is there, handshakes fail.
    pub fn acme(acme: Acme) -> Self {
        Self::ordered(Arc::new(acme))
    }
}
