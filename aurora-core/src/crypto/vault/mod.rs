//! Root keys in Vault, which never leave it: data keys are sent there to be wrapped and unwrapped.

mod https;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::https::{Answer, Client};
use super::cipher::does_not_open;
use super::{KeyProvider, SecretBytes};
use crate::types::{BoxFuture, Code, Error, Result, Secret};

/// A root's name has room for 64 bytes.
const LONGEST_NAME: usize = 64;
/// Kinds of keys that seal and take associated data.
const KINDS: [&str; 3] = ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

/// A key of the transit engine of HashiCorp Vault or OpenBao, before it was asked for. Cargo feature `vault`.
///
/// ```no_run
/// # async fn example() -> aurora_core::types::Result<()> {
/// use std::sync::Arc;
/// use aurora_core::{Aurora, crypto::{VaultToken, VaultTransit}};
/// let token = VaultToken::File("/run/vault/token".into());
/// let vault = VaultTransit::at("https://vault.example.com:8200", "aurora", token)
///     .roots("/etc/ssl/vault.pem")
///     .connect()
///     .await?;
/// let builder = Aurora::builder().key_provider(Arc::new(vault));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct VaultTransit {
    address: String,
    key: String,
    token: VaultToken,
    mount: String,
    namespace: Option<String>,
    roots: Option<PathBuf>,
}

/// What opens Vault.
#[derive(Clone, Debug)]
pub enum VaultToken {
    /// The token itself. It is not renewed: one that ends takes the service's keys with it.
    Text(Secret),
    /// The file in which an agent keeps one that is valid, read at each question.
    File(PathBuf),
}

impl VaultTransit {
    /// The key of that name at `https://host:port`. Plain `http` is for an agent on this machine alone.
    pub fn at(address: impl Into<String>, key: impl Into<String>, token: VaultToken) -> Self {
        let (address, key, mount) = (address.into(), key.into(), "transit".to_owned());
        Self { address, key, token, mount, namespace: None, roots: None }
    }

    /// Where the engine is mounted, if not at `transit`.
    #[must_use]
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.mount = mount.into();
        self
    }

    /// The namespace that the engine is in.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The certificates, in PEM, that vouch for Vault's own. Without it the system's roots do.
    #[must_use]
    pub fn roots(mut self, path: impl AsRef<Path>) -> Self {
        self.roots = Some(path.as_ref().to_owned());
        self
    }

    /// Asks for the key.
    ///
    /// # Errors
    /// [`Code::Configuration`], with the mend, for an address in clear, a token that is refused, a key that is not there
    /// or of a kind that does not seal with associated data; [`Code::OverCapacity`] when nobody answers.
    pub async fn connect(self) -> Result<VaultProvider> {
        let Self { address, key, token, mount, namespace, roots } = self;
        let named = |text: &str, more: &str| {
            let right = |byte: u8| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte);
            !text.is_empty() && text.bytes().all(right)
        };
        if !named(&key, "-_.") || !named(&mount, "-_./") || mount.starts_with('/') || mount.ends_with('/') {
            return Err(wrong("the name of Vault's key or mount has other than letters, digits and -_."));
        }
        let prefix = format!("vault:{mount}/{key}:v");
        // Twelve digits of versions are more than anybody makes.
        if prefix.len() + 12 > LONGEST_NAME {
            return Err(wrong("the names of Vault's mount and key together are longer than 40 bytes"));
        }
        let header = |text: String| {
            HeaderValue::try_from(text).map_err(|_| wrong("Vault's namespace is no text for a header"))
        };
        let namespace = namespace.map(header).transpose()?;
        let client = Client::new(&address, roots.as_deref())?;
        let provider =
            VaultProvider { client, prefix, key, token, mount, namespace, latest: AtomicU64::new(0) };
        provider.look().await?;
        Ok(provider)
    }
}

/// Wraps data keys by a key of Vault's transit engine: a [`KeyProvider`] over a network.
///
/// Each version of Vault's key is a root key; the latest wraps. What a data key is, and for whom, is associated data:
/// Vault opens it for nothing else. The policy of its token is `update` on `transit/encrypt/<key>` and
/// `transit/decrypt/<key>`, and `read` on `transit/keys/<key>`.
pub struct VaultProvider {
    client: Client,
    /// What the names of its roots begin with.
    prefix: String,
    key: String,
    token: VaultToken,
    mount: String,
    namespace: Option<HeaderValue>,
    latest: AtomicU64,
}

#[derive(Deserialize)]
struct Answered<T> {
    data: T,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u64,
    #[serde(default)]
    derived: bool,
}

#[derive(Serialize)]
struct Encrypt<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
    key_version: u64,
}

#[derive(Serialize)]
struct Decrypt<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

impl VaultProvider {
    /// Reads which version is the latest.
    async fn look(&self) -> Result<()> {
        let answer = self.ask(Method::GET, "keys", None).await?;
        let key: Key = self.read(&answer, "keys")?;
        if !KINDS.contains(&key.kind.as_str()) || key.derived {
            let kinds = KINDS.join(", ");
            let text = format!("Vault's key `{}` cannot wrap: make one of {kinds}, not derived", self.key);
            return Err(wrong(text));
        }
        if key.latest_version < self.latest.load(Ordering::Relaxed) {
            return Err(wrong(
                "Vault's key has fewer versions than it had: it was restored from an old copy",
            ));
        }
        self.latest.store(key.latest_version, Ordering::Relaxed);
        Ok(())
    }

    async fn encrypt(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>> {
        let version = self.latest.load(Ordering::Relaxed);
        let plaintext = Zeroizing::new(STANDARD.encode(data_key));
        let associated_data = &STANDARD.encode(context);
        let body = Encrypt { plaintext: &plaintext, associated_data, key_version: version };
        let answer = self.ask(Method::POST, "encrypt", Some(bytes_of(&body)?)).await?;
        let Encrypted { ciphertext } = self.read(&answer, "encrypt")?;
        // Under any other version it would not be found again by its root's name.
        if !ciphertext.starts_with(&format!("vault:v{version}:")) {
            return Err(Error::internal("Vault wrapped under another version than it was asked to"));
        }
        Ok(ciphertext.into_bytes())
    }

    async fn decrypt(&self, root: &str, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let version = root.strip_prefix(&self.prefix).ok_or_else(|| self.other(root))?;
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| does_not_open())?;
        if !ciphertext.starts_with(&format!("vault:v{version}:")) {
            return Err(does_not_open());
        }
        let body = bytes_of(&Decrypt { ciphertext, associated_data: &STANDARD.encode(context) })?;
        let answer = self.ask(Method::POST, "decrypt", Some(body)).await?;
        let Decrypted { plaintext } = self.read(&answer, "decrypt")?;
        let plaintext = Zeroizing::new(plaintext);
        let mut key = Zeroizing::new([0; 33]);
        match STANDARD.decode_slice(plaintext.as_bytes(), key.as_mut_slice()) {
            Ok(32) => Ok(SecretBytes::new(key.iter().take(32).copied().collect())),
            _ => Err(does_not_open()),
        }
    }

    async fn ask(&self, method: Method, what: &str, body: Option<Zeroizing<Vec<u8>>>) -> Result<Answer> {
        let token = self.token.read().await?;
        let path = format!("/v1/{}/{what}/{}", self.mount, self.key);
        let (authority, body) = (self.client.authority(), body.map(Bytes::from_owner).unwrap_or_default());
        self.client
            .send(|| {
                let mut request = Request::builder()
                    .method(method.clone())
                    .uri(&path)
                    .header(header::HOST, &authority)
                    .header(header::CONTENT_TYPE, "application/json")
                    .header("x-vault-request", "true")
                    .header("x-vault-token", token.clone());
                if let Some(namespace) = &self.namespace {
                    request = request.header("x-vault-namespace", namespace.clone());
                }
                request.body(Full::new(body.clone())).map_err(Error::internal)
            })
            .await
    }

    /// What was answered, or why not. Nothing of what Vault says is repeated, but to tell causes apart.
    fn read<T: DeserializeOwned>(&self, answer: &Answer, what: &str) -> Result<T> {
        let Answer { status, body } = answer;
        let failed = || Error::overloaded(5).with_source(format!("Vault answered {status}"));
        match *status {
            StatusCode::OK => {
                let read = serde_json::from_slice(body).map(|read: Answered<T>| read.data);
                read.map_err(|_| Error::internal("Vault's answer could not be read"))
            }
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Err(wrong(format!(
                "Vault refuses the token for `{}/{what}/{}`: it has ended, or its policy lacks the path",
                self.mount, self.key
            ))),
            StatusCode::NOT_FOUND => Err(self.missing()),
            StatusCode::BAD_REQUEST => {
                let said = serde_json::from_slice(body).map(|said: Errors| said.errors).unwrap_or_default();
                let says = |what: &str| said.iter().any(|error| error.contains(what));
                Err(if says("too old") {
                    wrong(format!(
                        "Vault does not open with that version of `{}` any more: lower its min_decryption_version, \
                         and wrap the data keys anew before it is raised",
                        self.key
                    ))
                } else if says("key not found") {
                    self.missing()
                } else {
                    does_not_open()
                })
            }
            status if status.is_redirection() => Err(wrong(
                "Vault answers with another address: give that of the active node, or of what stands before all of them",
            )),
            _ => Err(failed()),
        }
    }

    fn missing(&self) -> Error {
        let Self { key, mount, .. } = self;
        wrong(format!(
            "Vault has no key `{key}` in `{mount}`: make it there (`vault write -f {mount}/keys/{key}`)"
        ))
    }

    fn other(&self, root: &str) -> Error {
        let theirs: String =
            root.chars().filter(|c| c.is_ascii_alphanumeric() || ":/-_.".contains(*c)).take(64).collect();
        let text = format!(
            "the database's keys belong to root key `{theirs}`, but Vault's `{}/{}` was given: supply what this \
             database was made with",
            self.mount, self.key
        );
        wrong(text)
    }
}

impl VaultToken {
    async fn read(&self) -> Result<HeaderValue> {
        let text = match self {
            Self::Text(secret) => Zeroizing::new(secret.expose().to_owned()),
            Self::File(path) => Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(|error| {
                let text = format!("cannot read Vault's token in `{}` ({error})", path.display());
                Error::new(Code::Configuration, text).with_source(error)
            })?),
        };
        let mut header = HeaderValue::try_from(text.trim())
            .ok()
            .filter(|header| !header.is_empty())
            .ok_or_else(|| wrong("Vault's token is empty, or no text for a header"))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl KeyProvider for VaultProvider {
    fn current_id(&self) -> String {
        format!("{}{}", self.prefix, self.latest.load(Ordering::Relaxed))
    }

    fn reload(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.look())
    }

    fn wrap<'a>(&'a self, data_key: &'a [u8; 32], context: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.encrypt(data_key, context))
    }

    fn unwrap<'a>(
        &'a self,
        root: &'a str,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretBytes>> {
        Box::pin(self.decrypt(root, wrapped, context))
    }
}

/// Names the key; no token.
impl fmt::Debug for VaultProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.client.authority();
        f.debug_struct("VaultProvider")
            .field("at", &at)
            .field("root", &self.current_id())
            .finish_non_exhaustive()
    }
}

fn bytes_of(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    // Roomy, so that it is not moved while it grows: what was left behind would not be wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *bytes, body).map_err(Error::internal)?;
    Ok(bytes)
}

fn wrong(text: impl Into<String>) -> Error {
    Error::new(Code::Configuration, text.into())
}
