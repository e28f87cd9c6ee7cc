//! Root keys in a transit engine: OpenBao, which speaks as Vault does. `scripts/test-vault` starts it, and says where it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

mod crypto_support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aurora_core::config::Profile;
use aurora_core::crypto::{
    Context, KeyOwner, KeyProvider, Keyring, Purpose, VaultProvider, VaultToken, VaultTransit,
};
use aurora_core::env::SystemClock;
use aurora_core::types::{Code, Error, Result, Secret};
use aurora_core::{Aurora, Database};
use crypto_support::{Memory, entropy};

fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test-vault start FOLDER"))
}

fn roots() -> String {
    told("AURORA_TEST_VAULT_ROOTS")
}

/// What an administrator types.
fn bao(arguments: &[&str]) -> String {
    let mut command = Command::new(told("AURORA_TEST_VAULT_PROGRAM"));
    command.args(arguments).env("BAO_ADDR", told("AURORA_TEST_VAULT"));
    command.env("BAO_CACERT", roots()).env("BAO_TOKEN", told("AURORA_TEST_VAULT_TOKEN"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A mount and a key of this test's own, and a token that may do with it what the guide says, and nothing else.
struct Transit {
    mount: String,
    token: String,
}

impl Transit {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mount = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        bao(&["secrets", "enable", &format!("-path={mount}"), "transit"]);
        bao(&["write", "-f", &format!("{mount}/keys/aurora")]);
        let policy = format!(
            "path \"{mount}/encrypt/aurora\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/decrypt/aurora\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/keys/aurora\" {{ capabilities = [\"read\"] }}"
        );
        let file = std::env::temp_dir().join(format!("{mount}.hcl"));
        std::fs::write(&file, policy).unwrap();
        bao(&["policy", "write", &mount, file.to_str().unwrap()]);
        std::fs::remove_file(&file).unwrap();
        let token = bao(&["token", "create", &format!("-policy={mount}"), "-field=token"]);
        Self { mount, token }
    }

    fn at(&self, address: &str) -> VaultTransit {
        let token = VaultToken::Text(Secret::new(self.token.clone()));
        VaultTransit::at(address, "aurora", token).mount(&self.mount).roots(roots())
    }

    async fn provider(&self) -> Arc<VaultProvider> {
        Arc::new(self.at(&told("AURORA_TEST_VAULT")).connect().await.unwrap())
    }

    fn rotate(&self) {
        bao(&["write", "-f", &format!("{}/keys/aurora/rotate", self.mount)]);
    }
}

async fn ring(provider: &Arc<VaultProvider>, store: &Memory) -> Result<Keyring> {
    Keyring::open(provider.clone(), Arc::new(store.clone()), Arc::new(SystemClock), entropy()).await
}

fn tenant(name: &str) -> KeyOwner {
    KeyOwner::Tenant(name.parse().unwrap())
}

#[tokio::test]
async fn data_keys_are_wrapped_by_vault_alone() {
    let (transit, store) = (Transit::new(), Memory::default());
    let provider = transit.provider().await;
    assert_eq!(provider.current_id(), format!("vault:{}/aurora:v1", transit.mount));
    let keys = ring(&provider, &store).await.unwrap();
    let owner = tenant("acme");
    let context = Context::Field { owner: &owner, table: "t", column: "c", row: b"1" };
    let sealed = keys.data_key(&owner, Purpose::Field).await.unwrap().seal(&context, b"flu").unwrap();
    // Another process, by its own connection.
    let other = ring(&transit.provider().await, &store).await.unwrap();
    assert_eq!(other.key_of(&sealed).await.unwrap().unseal(&context, &sealed).unwrap().expose(), b"flu");
    for key in store.0.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(&key.wrapped).into_owned();
        assert!(text[1..].starts_with(&format!("vault:{}/aurora:v1vault:v1:", transit.mount)), "{text}");
    }
    let shown = format!("{provider:?} {:?} {keys:?}", transit.at("https://127.0.0.1:1"));
    assert!(shown.contains("aurora") && !shown.contains(&transit.token), "{shown}");
}

/// attack C03
#[tokio::test]
async fn what_is_wrapped_opens_for_nothing_else() {
    let (transit, store) = (Transit::new(), Memory::default());
    let provider = transit.provider().await;
    let root = provider.current_id();
    let wrapped = provider.wrap(&[7; 32], b"key 1 of acme").await.unwrap();
    let opened = provider.unwrap(&root, &wrapped, b"key 1 of acme").await.unwrap();
    assert_eq!(opened.expose(), [7; 32]);
    let mut refused = 0;
    let mut no = async |root: &str, wrapped: &[u8], context: &[u8], code: Code| {
        let error = provider.unwrap(root, wrapped, context).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        refused += 1;
    };
    for context in [&b""[..], b"key 2 of acme", b"key 1 of acm", b"key 1 of acme "] {
        no(&root, &wrapped, context, Code::UnexpectedFailure).await;
    }
    for at in [0, 6, 9, 20, wrapped.len() - 1] {
        let mut changed = wrapped.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        no(&root, &changed, b"key 1 of acme", Code::UnexpectedFailure).await;
        no(&root, &wrapped[..at], b"key 1 of acme", Code::UnexpectedFailure).await;
    }
    no(&root.replace(":v1", ":v2"), &wrapped, b"key 1 of acme", Code::UnexpectedFailure).await;
    for other in ["", "1234567890abcdef", "vault:transit/aurora:v1"] {
        no(other, &wrapped, b"key 1 of acme", Code::Configuration).await;
    }
    // In the store: a key at another's place.
    ring(&provider, &store).await.unwrap();
    {
        let mut keys = store.0.lock().unwrap();
        let (a, b) = (keys[0].wrapped.clone(), keys[1].wrapped.clone());
        (keys[0].wrapped, keys[1].wrapped) = (b, a);
    }
    let error = ring(&provider, &store).await.unwrap_err();
    assert!(error.code() == Code::Configuration && error.message().contains("is damaged"), "{error}");
    // Another engine's key of the same name.
    let another = Transit::new().provider().await;
    let error = another.unwrap(&root, &wrapped, b"key 1 of acme").await.unwrap_err();
    assert!(error.message().contains("supply what this database was made with"), "{error}");
    println!("wrapped keys: {refused} of another place or changed, refused");
}

/// asvs(V11.2.2), fault K22
#[tokio::test]
async fn a_rotated_root_wraps_anew_and_opens_what_was() {
    let transit = Transit::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vault-{}", transit.mount));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let start = async || {
        let builder = Aurora::builder()
            .profile(Profile::Development)
            .database(Database::url(&url).unwrap())
            .key_provider(transit.provider().await);
        builder.build().await
    };
    let first = start().await.unwrap();
    let old = first.keys().roots().await.unwrap();
    let before = bao(&["read", "-field=latest_version", &format!("{}/keys/aurora", transit.mount)]);
    assert_eq!((before.as_str(), old.len()), ("1", 1));
    let dump = async || {
        use sqlx::Connection as _;
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let query = sqlx::query_scalar::<_, Vec<u8>>("SELECT wrapped FROM aurora_keys ORDER BY id");
        query.fetch_all(&mut connection).await.unwrap()
    };
    let kept = dump().await;

    transit.rotate();
    // A service that runs and one that starts: what is wrapped opens, by the version that wrapped it.
    let second = start().await.unwrap();
    let (root, keys) = first.rotate_root_key().await.unwrap();
    assert_eq!(root, format!("vault:{}/aurora:v2", transit.mount));
    assert_eq!((keys, first.rotate_root_key().await.unwrap().1), (kept.len() as u64, 0));
    assert_eq!(first.keys().roots().await.unwrap().into_keys().collect::<Vec<_>>(), [root]);
    second.close().await;
    let records = first.keys().list(0).await.unwrap();
    assert!(records.iter().all(|key| key.root.ends_with(":v2")), "data keys alone were wrapped");

    // The former version is given up in Vault: what is wrapped anew opens, an old copy says why it does not.
    let config = format!("{}/keys/aurora/config", transit.mount);
    bao(&["write", &config, "min_decryption_version=2"]);
    first.close().await;
    start().await.unwrap().close().await;
    let provider = transit.provider().await;
    let context = b"any";
    let length = usize::from(kept[0][0]);
    let (name, wrapped) = (&kept[0][1..=length], &kept[0][length + 1..]);
    let error = provider.unwrap(std::str::from_utf8(name).unwrap(), wrapped, context).await.unwrap_err();
    assert!(error.code() == Code::Configuration, "{error:?}");
    assert!(error.message().contains("min_decryption_version"), "{error}");
    println!("{} data keys wrapped anew", keys);
}

async fn fails(vault: VaultTransit) -> Error {
    let began = Instant::now();
    let error = vault.connect().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    error
}

/// A server on loopback that says one thing, or nothing.
fn saying(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, answer) = (socket.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                let _ = socket.read(&mut asked);
                match answer {
                    Some(answer) => drop(socket.write_all(answer.as_bytes())),
                    None => std::thread::sleep(Duration::from_secs(60)),
                }
            });
        }
    });
    format!("http://{address}")
}

/// asvs(V12.3.2, V16.5.3)
#[tokio::test]
async fn whatever_is_wrong_with_vault_no_key_is_made() {
    let transit = Transit::new();
    let address = told("AURORA_TEST_VAULT");
    let answer = |status: &str, body: &str| {
        saying(Some(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nlocation: https://elsewhere.example/\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )))
    };
    let plain = |text: &str| VaultToken::Text(Secret::new(text.to_owned()));
    let of = |address: &str, token: VaultToken| {
        VaultTransit::at(address, "aurora", token).mount(&transit.mount).roots(roots())
    };
    let key = |kind: &str, version: u64| {
        format!("{{\"data\":{{\"type\":\"{kind}\",\"latest_version\":{version}}}}}")
    };
    bao(&["write", &format!("{}/keys/signs", transit.mount), "type=ed25519"]);
    bao(&["write", &format!("{}/keys/derived", transit.mount), "derived=true"]);
    let root = || VaultToken::Text(Secret::new(told("AURORA_TEST_VAULT_TOKEN")));
    let named = |key: &str| VaultTransit::at(&address, key, root()).mount(&transit.mount).roots(roots());
    let huge = "x".repeat(2 << 20);
    let cases = [
        // In clear to another machine, in any profile.
        (of("http://192.0.2.1:8200", root()), Code::Configuration, "is in clear"),
        (of("http://vault.example.com", root()), Code::Configuration, "is in clear"),
        (of("ftp://127.0.0.1", root()), Code::Configuration, "begins with https://"),
        (of("https://user:word@127.0.0.1", root()), Code::Configuration, "scheme, host and port alone"),
        (of("https://127.0.0.1/v1", root()), Code::Configuration, "scheme, host and port alone"),
        (of(&address, plain("")), Code::Configuration, "token is empty"),
        (of(&address, plain("s.wrong-token-canary")), Code::Configuration, "Vault refuses the token"),
        (of(&address, VaultToken::File("/nowhere/token".into())), Code::Configuration, "/nowhere/token"),
        (named("nobody"), Code::Configuration, "has no key `nobody`"),
        (named("signs"), Code::Configuration, "cannot wrap"),
        (named("derived"), Code::Configuration, "cannot wrap"),
        (named("a/b"), Code::Configuration, "other than letters"),
        (named(&"k".repeat(60)), Code::Configuration, "longer than 40 bytes"),
        // A certificate that none of the named roots vouches for, and one of another host.
        (of(&address, root()).roots("/nowhere/roots.pem"), Code::Configuration, "/nowhere/roots.pem"),
        (of(&address.replace("127.0.0.1", "127.0.0.2"), root()), Code::OverCapacity, "busy"),
        (VaultTransit::at(&address, "aurora", root()), Code::Configuration, "not to be trusted"),
        // Nobody there, nobody answering, and answers that are none.
        (of("https://127.0.0.1:1", root()), Code::OverCapacity, "busy"),
        (of(&saying(None), root()), Code::OverCapacity, "busy"),
        (of(&answer("503 Sealed", "{\"errors\":[\"Vault is sealed\"]}"), root()), Code::OverCapacity, "busy"),
        (of(&answer("429 Slow", ""), root()), Code::OverCapacity, "busy"),
        (of(&answer("307 There", ""), root()), Code::Configuration, "another address"),
        (of(&answer("200 OK", "{}"), root()), Code::UnexpectedFailure, "Internal"),
        (of(&answer("200 OK", &huge), root()), Code::OverCapacity, "busy"),
        (of(&answer("200 OK", &key("rsa-2048", 1)), root()), Code::Configuration, "cannot wrap"),
    ];
    let count = cases.len();
    for (vault, code, text) in cases {
        let about = format!("{vault:?}");
        let error = fails(vault).await;
        assert!(error.code() == code && error.message().contains(text), "{about}: {error:?}");
        let shown = format!("{about} {error:?} {error}");
        assert!(!shown.contains("canary") && !shown.contains(&told("AURORA_TEST_VAULT_TOKEN")), "{shown}");
    }
    // Wrapped by another version than asked, or an answer that holds no key.
    let lies = answer(
        "200 OK",
        &key("aes256-gcm96", 3).replace("}}", ",\"ciphertext\":\"vault:v2:QUFB\",\"plaintext\":\"QUFB\"}}"),
    );
    let provider = of(&lies, root()).connect().await.unwrap();
    assert!(provider.wrap(&[1; 32], b"x").await.unwrap_err().code() == Code::UnexpectedFailure);
    let root = provider.current_id();
    assert!(
        provider.unwrap(&root, b"vault:v3:QUFB", b"x").await.unwrap_err().code() == Code::UnexpectedFailure
    );
    println!("{} ways to fail, each closed", count + 2);
}

/// Passes bytes on to Vault while it is let.
struct Line {
    address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Line {
    fn new() -> Self {
        let to = told("AURORA_TEST_VAULT").trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, open) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let lets = Arc::clone(&open);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (near, far) = (socket.unwrap(), TcpStream::connect(&to).unwrap());
                for (mut from, mut into) in
                    [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
                {
                    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                    let lets = Arc::clone(&lets);
                    std::thread::spawn(move || {
                        let mut piece = [0; 16_384];
                        while lets.load(Ordering::SeqCst) {
                            match from.read(&mut piece) {
                                Ok(0) => break,
                                Ok(length) if into.write_all(&piece[..length]).is_err() => break,
                                Ok(_) => {}
                                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                                Err(_) => break,
                            }
                        }
                        let _ = (
                            from.shutdown(std::net::Shutdown::Both),
                            into.shutdown(std::net::Shutdown::Both),
                        );
                    });
                }
            }
        });
        Self { address, open }
    }
}

/// What is held goes on without Vault; who needs another key is told to come again; then it is as before, by the same
/// provider.
#[tokio::test]
async fn a_service_outlives_an_absence_of_vault() {
    let (transit, store, line) = (Transit::new(), Memory::default(), Line::new());
    let vault = transit.at(&format!("https://{}", line.address));
    let provider = Arc::new(vault.connect().await.unwrap());
    let keys = ring(&provider, &store).await.unwrap();
    let (acme, other) = (tenant("acme"), tenant("other"));
    keys.data_key(&acme, Purpose::Field).await.unwrap();
    line.open.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let own = Context::Own { purpose: Purpose::Credential, table: "t", column: "c", row: b"1" };
    keys.seal(&own, b"x").unwrap();
    keys.data_key(&acme, Purpose::Field).await.unwrap();
    let error = keys.data_key(&other, Purpose::Field).await.unwrap_err();
    assert_eq!(error.code(), Code::OverCapacity, "{error:?}");
    assert_eq!(provider.reload().await.unwrap_err().code(), Code::OverCapacity);
    assert_eq!(provider.current_id(), format!("vault:{}/aurora:v1", transit.mount), "what was known is kept");
    line.open.store(true, Ordering::SeqCst);
    keys.data_key(&other, Purpose::Field).await.unwrap();
}

/// The file of an agent that renews tokens: the next question is asked with the next token.
#[tokio::test]
async fn a_token_that_an_agent_replaces_is_read_again() {
    let transit = Transit::new();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.token", transit.mount));
    std::fs::write(&file, format!("{}\n", transit.token)).unwrap();
    let vault = VaultTransit::at(told("AURORA_TEST_VAULT"), "aurora", VaultToken::File(file.clone()));
    let provider = vault.mount(&transit.mount).roots(roots()).connect().await.unwrap();
    bao(&["token", "revoke", &transit.token]);
    let error = provider.wrap(&[1; 32], b"x").await.unwrap_err();
    assert!(error.message().contains("Vault refuses the token"), "{error}");
    let next = bao(&["token", "create", &format!("-policy={}", transit.mount), "-field=token"]);
    std::fs::write(&file, next).unwrap();
    provider.wrap(&[1; 32], b"x").await.unwrap();
}
