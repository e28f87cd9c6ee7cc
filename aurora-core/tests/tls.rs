//! TLS as adapters use it: what is refused before anything listens, what is spoken, and certificates that change.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "common/certificates.rs"]
mod certificates;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_core::config::{Network, Profile};
use aurora_core::env::{ManualClock, SystemEntropy};
use aurora_core::http::{Tls, Transport};
use aurora_core::mail::Smtp;
use aurora_core::types::{Code, Result, Timestamp};
use aurora_core::{Aurora, Builder, Database};
use certificates::{Authority, connect, open_to, replace, shown, trusting};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(5);

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn builder(folder: &Path, tls: Tls) -> Builder {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap()).tls(tls)
}

async fn transport(folder: &Path, tls: Tls) -> Result<Transport> {
    builder(folder, tls).build().await?.http().transport().await
}

/// Says back what it hears, to everybody.
async fn echo(transport: Transport, handshake: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let transport = transport.clone();
            tokio::spawn(async move {
                let Ok(socket) = transport.accept(socket, handshake).await else { return };
                let (mut read, mut write) = tokio::io::split(socket);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn says(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin), word: &[u8]) -> bool {
    let mut heard = vec![0; word.len()];
    stream.write_all(word).await.is_ok()
        && stream.flush().await.is_ok()
        && stream.read_exact(&mut heard).await.is_ok()
        && heard == word
}

/// A key that others may read is no key, either.
#[tokio::test]
async fn what_is_wrong_with_the_files_is_said_with_the_mend() {
    let folder = folder("files");
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.issue(&["localhost"]);
    let (certificate, key) = good.put(&folder);
    assert!(transport(&folder, Tls::files(&certificate, &key)).await.unwrap().is_encrypted());
    let locked = folder.join("locked.pem");
    let mut locking = Command::new("openssl");
    locking.args(["pkey", "-aes128", "-passout", "pass:secret", "-in"]).arg(&key).arg("-out").arg(&locked);
    assert!(locking.status().unwrap().success());
    let files = |name: &str, certificate: &str, key: &str| {
        let at = folder.join(name);
        std::fs::create_dir_all(&at).unwrap();
        let issued = certificates::Issued { certificate: certificate.to_owned(), key: key.to_owned() };
        issued.put(&at)
    };
    let expired = authority.issue_for(&["localhost"], 1_500_000_000, 1_600_000_000);
    let future = authority.issue_for(&["localhost"], 3_900_000_000, 4_000_000_000);
    let cut = &good.certificate[..good.certificate.len() / 2];
    let open = files("open", &good.certificate, &good.key);
    open_to(&open.1, 0o644);
    let of_a_group = files("group", &good.certificate, &good.key);
    open_to(&of_a_group.1, 0o660);
    let locked_key = std::fs::read_to_string(&locked).unwrap();
    for (name, (certificate, key), told) in [
        ("no certificate", (folder.join("nowhere.pem"), key.clone()), "name the file where it lies"),
        ("no key", (certificate.clone(), folder.join("nowhere.pem")), "name the file where it lies"),
        ("words", files("words", "a certificate", &good.key), "-----BEGIN CERTIFICATE-----"),
        ("half", files("half", cut, &good.key), "is not whole PEM"),
        ("swapped", files("swapped", &good.key, &good.certificate), "holds no certificate in PEM"),
        ("key in words", files("key", &good.certificate, "a key"), "-----BEGIN PRIVATE KEY-----"),
        ("passphrase", files("locked", &good.certificate, &locked_key), "openssl pkey -in"),
        ("another's", files("other", &good.certificate, &other.issue(&["a"]).key), "issued together"),
        ("expired", files("expired", &expired.certificate, &expired.key), "has expired (2020-09-13T"),
        ("of the future", files("future", &future.certificate, &future.key), "this machine's clock"),
        ("open to others", open, "(mode 644): chmod 600"),
        ("written by a group", of_a_group, "(mode 660): chmod 600"),
    ] {
        let error = transport(&folder, Tls::files(&certificate, &key)).await.unwrap_err();
        println!("{name}: {}", error.message());
        assert_eq!(error.code(), Code::Configuration, "{name}");
        assert!(error.message().contains(told), "{name}: {error}");
        assert!(error.message().contains(folder.to_str().unwrap()), "{name}: which file? {error}");
        assert!(!format!("{error:?}").contains("MIG"), "{name}: no key in an error");
    }
}

/// ASVS 12.1.1, 12.1.2.
#[tokio::test]
async fn tls_1_3_is_spoken_and_1_2_where_it_was_asked_for() {
    let folder = folder("versions");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
    let tls = Tls::files(&certificate, &key);
    let strict = echo(transport(&folder, tls.clone()).await.unwrap(), SOON).await;
    let lenient = echo(transport(&folder, tls.also_tls_1_2()).await.unwrap(), SOON).await;
    let (new, old) = (authority.trusted(&[&TLS13]), authority.trusted(&[&TLS12]));
    let mut stream = connect(strict, "localhost", &new).await.unwrap();
    assert!(says(&mut stream, b"hello").await);
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    println!("{:?} by {group:?}", stream.get_ref().1.negotiated_cipher_suite().unwrap());
    // Recorded today, not to be opened by a quantum computer later.
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    let error = connect(strict, "localhost", &old).await.unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    assert!(says(&mut connect(lenient, "localhost", &new).await.unwrap(), b"hello").await);
    let mut stream = connect(lenient, "localhost", &old).await.unwrap();
    assert!(says(&mut stream, b"hello").await);
    let suite = format!("{:?}", stream.get_ref().1.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.contains("ECDHE") && (suite.contains("GCM") || suite.contains("CHACHA20")), "{suite}");
}

#[tokio::test]
async fn http_1_1_is_agreed_on_and_nothing_else() {
    let folder = folder("alpn");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
    let address = echo(transport(&folder, Tls::files(certificate, key)).await.unwrap(), SOON).await;
    let mut config = authority.trusted(&[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(address, "localhost", &config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(address, "localhost", &config).await.is_err());
}

/// attack V01
#[tokio::test]
async fn a_handshake_has_its_time() {
    let folder = folder("slow");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
    let transport = transport(&folder, Tls::files(certificate, key)).await.unwrap();
    let address = echo(transport, Duration::from_millis(300)).await;
    for half in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(half).await.unwrap();
        let (begun, mut heard) = (Instant::now(), Vec::new());
        let ended = tokio::time::timeout(SOON, socket.read_to_end(&mut heard)).await;
        assert!(ended.is_ok() && begun.elapsed() < Duration::from_secs(2), "{half:?}");
        // At most an alert; nothing of what was sent.
        assert!(heard.len() <= 7, "{heard:?}");
    }
}

/// Waits until a new connection is shown another certificate than `before`.
async fn changed(address: SocketAddr, config: &rustls::ClientConfig, before: &[u8]) -> Option<Vec<u8>> {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        let now = shown(&connect(address, "localhost", config).await.unwrap());
        if now != before {
            return Some(now);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

#[tokio::test]
async fn a_new_certificate_is_shown_while_connections_stay_open() {
    let folder = folder("renewed");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
    let tls = Tls::files(&certificate, &key).look_every(Duration::from_millis(20));
    let address = echo(transport(&folder, tls).await.unwrap(), SOON).await;
    let config = authority.trusted(&[&TLS13]);
    let mut open = connect(address, "localhost", &config).await.unwrap();
    let first = shown(&open);
    assert!(says(&mut open, b"before").await);
    // What cannot be used is not shown: another's key, half a file, one that expired, one that is gone.
    let next = authority.issue(&["localhost"]);
    let expired = authority.issue_for(&["localhost"], 1_500_000_000, 1_600_000_000);
    for (new_certificate, new_key) in [
        (next.certificate.as_str(), None),
        (&next.certificate[..next.certificate.len() / 2], Some(next.key.as_str())),
        (&expired.certificate, Some(&expired.key)),
        ("", Some("")),
    ] {
        replace(&certificate, new_certificate);
        if let Some(new_key) = new_key {
            replace(&key, new_key);
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(shown(&connect(address, "localhost", &config).await.unwrap()), first);
    }
    std::fs::remove_file(&certificate).unwrap();
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(shown(&connect(address, "localhost", &config).await.unwrap()), first);
    assert!(says(&mut open, b"between").await);
    next.put(&folder);
    let second = changed(address, &config, &first).await.unwrap();
    assert_eq!(second, CertificateDer::from_pem_slice(next.certificate.as_bytes()).unwrap().to_vec());
    assert!(says(&mut open, b"after").await, "who was connected stays so");
    authority.issue(&["localhost"]).put(&folder);
    assert!(changed(address, &config, &second).await.is_some());
    assert!(says(&mut open, b"at last").await);
}

/// asvs(V16.3.3): what becomes of a new certificate is recorded, once, before it is shown; SIGHUP asks for a look.
#[tokio::test]
async fn a_change_of_the_certificate_is_recorded() {
    let folder = folder("recorded");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]).put(&folder);
    // Nobody waits for the files to be looked at by themselves.
    let tls = Tls::files(&certificate, &key).look_every(Duration::from_secs(3600));
    let aurora = builder(&folder, tls).build().await.unwrap();
    let address = echo(aurora.http().transport().await.unwrap(), SOON).await;
    let config = authority.trusted(&[&TLS13]);
    let first = shown(&connect(address, "localhost", &config).await.unwrap());
    let hang_up = || {
        let own = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &own]).status().unwrap().success());
    };
    let records = async |wanted: usize| {
        let begun = Instant::now();
        loop {
            let found = recorded(&folder).await;
            if found.len() >= wanted || begun.elapsed() > SOON {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The first look is the start's own.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let next = authority.issue(&["localhost"]);
    replace(&certificate, &next.certificate);
    for _ in 0..3 {
        hang_up();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let refused = records(1).await;
    assert_eq!(refused.len(), 1, "told once: {refused:?}");
    assert!(refused[0].0 == "certificate_refused" && refused[0].1.contains("not the one of the certificate"));
    assert!(!refused[0].1.contains("PRIVATE KEY"));
    next.put(&folder);
    hang_up();
    let second = changed(address, &config, &first).await.unwrap();
    let taken = records(2).await;
    let digest = sha256(&second);
    assert!(taken[1].0 == "certificate_taken" && taken[1].1.contains(&digest), "{taken:?}");
    // What cannot be recorded is not shown, and looked at again.
    sql(&folder, "ALTER TABLE aurora_audit RENAME TO gone").await;
    authority.issue(&["localhost"]).put(&folder);
    hang_up();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(shown(&connect(address, "localhost", &config).await.unwrap()), second);
    sql(&folder, "ALTER TABLE gone RENAME TO aurora_audit").await;
    hang_up();
    assert!(changed(address, &config, &second).await.is_some());
    assert_eq!(records(3).await.len(), 3);
    aurora.close().await;
}

/// Actions and payloads of what was recorded of certificates, oldest first.
async fn recorded(folder: &Path) -> Vec<(String, String)> {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let question = "SELECT action, payload FROM aurora_audit WHERE action LIKE 'certificate%' ORDER BY rowid";
    sqlx::query_as(question).fetch_all(&mut connection).await.unwrap()
}

async fn sql(folder: &Path, text: &'static str) {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_development_certificate_is_this_machine_alone() {
    let folder = folder("development");
    let file = folder.join("tls.pem");
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let start = async || {
        let builder = builder(&folder, Tls::development(&file));
        let built = builder.environment(clock.clone(), Arc::new(SystemEntropy)).build().await.unwrap();
        built.http().transport().await
    };
    start().await.unwrap();
    let first = std::fs::read(&file).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = |arguments: &[&str]| {
        let done =
            Command::new("openssl").args(["x509", "-noout", "-in"]).arg(&file).args(arguments).output();
        String::from_utf8(done.unwrap().stdout).unwrap()
    };
    let names = text(&["-ext", "subjectAltName,basicConstraints,extendedKeyUsage"]);
    println!("{names}");
    assert!(names.contains("DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n"), "{names}");
    assert!(names.contains("CA:FALSE") && names.contains("TLS Web Server Authentication"), "{names}");
    // The same one at the next start: a browser is told once.
    start().await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), first);
    clock.advance(Duration::from_secs(366 * 86_400));
    start().await.unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), first, "an expired one is made again");
    // Whatever else somebody named stays.
    std::fs::write(&file, "the key to something").unwrap();
    assert!(start().await.unwrap_err().message().contains("name another file"));
    assert_eq!(std::fs::read(&file).unwrap(), b"the key to something");
}

#[tokio::test]
async fn who_trusts_the_development_certificate_gets_through() {
    let folder = folder("trusted");
    let file = folder.join("tls.pem");
    let address = echo(transport(&folder, Tls::development(&file)).await.unwrap(), SOON).await;
    let root = CertificateDer::from_pem_file(&file).unwrap();
    let config = trusting(root, &[&TLS13]);
    assert!(says(&mut connect(address, "localhost", &config).await.unwrap(), b"hello").await);
    assert!(says(&mut connect(address, "127.0.0.1", &config).await.unwrap(), b"hello").await);
    assert!(connect(address, "notes.example.com", &config).await.is_err());
    assert!(connect(address, "localhost", &Authority::new().trusted(&[&TLS13])).await.is_err());
}

/// ASVS 12.2.1, 12.3.1.
#[tokio::test]
async fn production_refuses_clear_text_and_the_development_certificate() {
    let folder = folder("production");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["notes.example.com"]).put(&folder);
    let production = |tls: Option<Tls>, proxy: Option<&'static str>| {
        let url = format!("sqlite://{}", folder.join("app.db").display());
        let root = folder.join("root.key");
        if !root.exists() {
            aurora_core::crypto::KeyFile::create_new(&root, &SystemEntropy).unwrap();
        }
        let builder = Aurora::builder().database(Database::url(&url).unwrap()).key_file(root);
        let builder = builder.site_url("https://notes.example.com").configure(move |settings| {
            settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::InsecureEvenInProduction;
            settings.passwords.calibrate_to = None;
            settings.disk = aurora_core::config::Disk::Encrypted;
            settings.trusted_proxies.extend(proxy.map(|proxy| proxy.parse::<Network>().unwrap()));
        });
        match tls {
            Some(tls) => builder.tls(tls),
            None => builder,
        }
    };
    let refused = production(Some(Tls::development(folder.join("dev.pem"))), None).build().await.unwrap_err();
    assert!(refused.message().contains("the one for development"), "{refused}");
    let (everywhere, here) = ("0.0.0.0:443".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
    let clear = production(None, None).build().await.unwrap();
    let refused = clear.http().check_address(everywhere).unwrap_err();
    println!("{}", refused.message());
    assert!(refused.message().contains("in clear") && refused.message().contains("trusted_proxies"));
    clear.http().check_address(here).unwrap();
    for (url, is_refused) in [
        ("smtp://relay.internal?tls=insecure_none", true),
        ("smtp://relay.internal?tls=insecure_none_even_in_production", false),
        ("smtp://127.0.0.1:1025", false),
    ] {
        let smtp = Smtp::from_url(&url.into(), "Notes <no-reply@notes.example.com>").unwrap();
        let built = production(None, None).mailer(Arc::new(smtp)).build().await;
        let told = built.map_err(|error| error.message().to_owned()).err().unwrap_or_default();
        assert_eq!(told.contains("in clear to `relay.internal`"), is_refused, "{url}: {told}");
    }
    production(None, Some("10.0.0.0/8")).build().await.unwrap().http().check_address(everywhere).unwrap();
    let tls = production(Some(Tls::files(certificate, key)), None).build().await.unwrap();
    tls.http().check_address(everywhere).unwrap();
}
