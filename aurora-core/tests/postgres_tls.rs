//! TLS to PostgreSQL: a server of its own with `ssl = on`, a certificate of an authority that the test made, and
//! everyone who should not be believed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "common/certificates.rs"]
mod certificates;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use aurora_core::config::{Autoconfirm, Profile};
use aurora_core::crypto::KeyFile;
use aurora_core::env::SystemEntropy;
use aurora_core::store::{PostgresDatabase, PostgresOptions, PostgresOwner};
use aurora_core::types::Code;
use aurora_core::{Aurora, Database};
use certificates::{Authority, Issued, open_to};

const PASSWORD: &str = "of-a-throw-away-server";

/// A PostgreSQL that ends with its holder.
struct Server {
    folder: PathBuf,
    port: u16,
}

/// PostgreSQL does not run as root.
fn unprivileged(program: &Path) -> Command {
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}

fn program(name: &str) -> PathBuf {
    if let Ok(folder) = std::env::var("PG_BIN") {
        return Path::new(&folder).join(name);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path());
    let newest =
        versions.max_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap());
    newest.unwrap().join("bin").join(name)
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    fn start(name: &str, shown: Option<&Issued>) -> Self {
        let folder = std::env::temp_dir().join(format!("aurora-pg-tls-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
        if let Some(shown) = shown {
            std::fs::write(folder.join("server.crt"), &shown.certificate).unwrap();
            std::fs::write(folder.join("server.key"), &shown.key).unwrap();
            open_to(&folder.join("server.key"), 0o600);
        }
        open_to(&folder, 0o755);
        done(Command::new("chown").args(["-R", "postgres"]).arg(&folder));
        let data = folder.join("data");
        let made =
            ["-U", "postgres", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"];
        done(
            unprivileged(&program("initdb"))
                .arg("-D")
                .arg(&data)
                .args(made)
                .arg(format!("--pwfile={}", folder.join("password").display())),
        );
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut options =
            format!("-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off", folder.display());
        if shown.is_some() {
            let file = |name: &str| folder.join(name).display().to_string();
            let (certificate, key) = (file("server.crt"), file("server.key"));
            options.push_str(&format!(" -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}"));
        }
        done(
            unprivileged(&program("pg_ctl"))
                .arg("-D")
                .arg(&data)
                .args(["-w", "-l"])
                .arg(folder.join("log"))
                .args(["start", "-o", &options]),
        );
        Self { folder, port }
    }

    fn url(&self, query: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres{query}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = unprivileged(&program("pg_ctl"));
        drop(command.arg("-D").arg(self.folder.join("data")).args(["-m", "immediate", "stop"]).output());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// What the owner's connection says; `None` if it was made.
async fn refused(url: &str) -> Option<String> {
    match PostgresOwner::open(url).await {
        Ok(owner) => {
            owner.close().await;
            None
        }
        Err(error) => {
            assert_eq!(error.code(), Code::Configuration);
            assert!(!format!("{error:?}").contains(PASSWORD), "no password in an error");
            Some(error.message().to_owned())
        }
    }
}

/// asvs(V12.3.2)
#[tokio::test]
async fn the_server_is_believed_by_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start("right", Some(&authority.issue(&["127.0.0.1"])));
    let root = server.folder.join("ca.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    let foreign = server.folder.join("other.pem");
    std::fs::write(&foreign, other.pem()).unwrap();
    let full = |root: &Path| server.url(&format!("?sslmode=verify-full&sslrootcert={}", root.display()));
    assert_eq!(refused(&full(&root)).await, None);
    let unknown = refused(&full(&foreign)).await.unwrap();
    println!("{unknown}");
    assert!(unknown.contains("sslrootcert="), "{unknown}");
    let public = refused(&server.url("?sslmode=verify-full")).await.unwrap();
    assert!(public.contains("sslrootcert="), "the roots that browsers trust did not issue it: {public}");
    // A name that leads here too, and that the certificate does not hold.
    let named = full(&root).replace("@127.0.0.1:", "@localhost:");
    let wrong = refused(&named).await.unwrap();
    println!("{wrong}");
    assert!(wrong.contains("connect by a name that its certificate holds"), "{wrong}");
    // What it is encrypted with is TLS 1.3, and the server says so.
    let owner = PostgresOwner::open(&full(&root)).await.unwrap();
    let mut connection = sqlx::ConnectOptions::connect(owner.options()).await.unwrap();
    let text = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let version: String = sqlx::query_scalar(text).fetch_one(&mut connection).await.unwrap();
    assert_eq!(version, "TLSv1.3");
    owner.close().await;
    let expired = authority.issue_for(&["127.0.0.1"], 1_500_000_000, 1_600_000_000);
    let server = Server::start("expired", Some(&expired));
    let root = server.folder.join("ca.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    let told = refused(&server.url(&format!("?sslmode=verify-full&sslrootcert={}", root.display()))).await;
    let told = told.unwrap();
    println!("{told}");
    assert!(told.contains("renew the server's certificate"), "{told}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_was_asked_for() {
    let server = Server::start("none", None);
    let told = refused(&server.url("?sslmode=verify-full")).await.unwrap();
    println!("{told}");
    assert!(told.contains("`ssl = on`") && told.contains("sslmode=disable"), "{told}");
    assert_eq!(refused(&server.url("")).await, None, "this machine's own needs none");
    let error = PostgresDatabase::open(&server.url("?sslmode=require"), &PostgresOptions::default()).await;
    assert!(error.unwrap_err().message().contains("`ssl = on`"));
}

#[tokio::test]
async fn production_refuses_to_reach_another_machine_in_clear() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pg-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = folder.join("root.key");
    let _ = std::fs::remove_file(&root);
    KeyFile::create_new(&root, &SystemEntropy).unwrap();
    let built = async |profile: Profile, database: Database| {
        let builder = Aurora::builder().profile(profile).database(database).key_file(&root);
        let builder = builder.site_url("https://notes.example.com");
        let builder = builder.configure(|settings| {
            settings.sign_ups.autoconfirm = Autoconfirm::InsecureEvenInProduction;
            settings.disk = aurora_core::config::Disk::Encrypted;
        });
        builder.build().await.unwrap_err().message().to_owned()
    };
    let url = |mode: &str| format!("postgres://run:{PASSWORD}@192.0.2.7:1/app?sslmode={mode}");
    for mode in ["disable", "prefer", "require"] {
        let told = built(Profile::Production, Database::url(&url(mode)).unwrap()).await;
        println!("{told}");
        assert!(
            told.contains("PostgreSQL at `192.0.2.7` as `run`") && told.contains("verify-full"),
            "{told}"
        );
        assert!(!told.contains(PASSWORD));
    }
    let safe = Database::url("postgres://run@db.invalid/app").unwrap();
    let owner = safe.migrate_url("postgres://owner@db.invalid/app?sslmode=disable").unwrap();
    let told = built(Profile::Production, owner).await;
    assert!(told.contains("as `owner` is in clear") && !told.contains("as `run`"), "{told}");
    // Who says that somebody else encrypts gets to the connection, which nobody answers here.
    let url = "postgres://run@db.invalid/app?sslmode=disable";
    let trusting = Database::url(url).unwrap().insecure_trust_the_network().unwrap();
    assert!(built(Profile::Production, trusting).await.contains("cannot connect"));
    let told = built(Profile::Development, Database::url(url).unwrap()).await;
    assert!(told.contains("cannot connect"), "{told}");
}
