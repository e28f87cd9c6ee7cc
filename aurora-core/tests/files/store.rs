//! A service with files on a scratch database of either engine.
#![allow(unreachable_pub, dead_code, reason = "each test file uses a part")]

#[path = "../common/postgres.rs"]
pub mod postgres;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_core::config::Profile;
use aurora_core::crypto::Suite;
use aurora_core::env::{ManualClock, SystemEntropy};
use aurora_core::files::{FileOptions, Files};
use aurora_core::http::{FileBody, Peer, arriving};
use aurora_core::testing::TestClient;
use aurora_core::types::Timestamp;
use aurora_core::{Aurora, Builder, Database};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

pub const SERVICE_KEY: &str = "sb_secret_8fJ2kQ0vN5xY7zT1wB4mC6dR9aLs";

/// Whether the suites run on PostgreSQL.
pub fn on_postgres() -> bool {
    #[expect(clippy::disallowed_methods, reason = "`scripts/test` names the engine so")]
    let asked = std::env::var("AURORA_TEST_ENGINE");
    match asked.as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("AURORA_TEST_ENGINE is sqlite or postgres, not `{other}`"),
    }
}

/// Each user has a folder of their own name in the bucket `notes`; everybody sees the buckets.
pub const OWN_FOLDER: &str = "
    CREATE POLICY buckets ON storage.buckets FOR SELECT USING (TRUE);
    CREATE POLICY own ON storage.objects FOR ALL TO authenticated
        USING (bucket_id = 'notes' AND (storage.foldername(name))[1] = auth.uid()::text)
        WITH CHECK (bucket_id = 'notes' AND (storage.foldername(name))[1] = auth.uid()::text);
";

pub struct Store {
    pub aurora: Aurora,
    pub clock: Arc<ManualClock>,
    pub folder: PathBuf,
    pub url: String,
    pub policies: String,
}

pub struct User {
    pub id: String,
    pub token: String,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body broke off.
    pub broken: bool,
}

/// Bytes that show where they lie.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

pub fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The database that a folder stands for.
pub async fn url_of(folder: &Path) -> String {
    if !on_postgres() {
        return format!("sqlite://{}", folder.join("app.db").display());
    }
    let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
    postgres::Place::named(name).await.owner_url()
}

pub fn builder(folder: &Path, url: &str, policies: &str, clock: &Arc<ManualClock>) -> Builder {
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(url).unwrap())
        .key_file(folder.join("aurora.key"))
        .policies("policies.sql", policies)
        .configure(|settings| settings.api_keys.service.push(SERVICE_KEY.into()))
        .environment(clock.clone(), Arc::new(SystemEntropy))
        .files(folder.join("files"))
}

impl Store {
    pub async fn with(policies: &str) -> Self {
        Self::set(policies, |_| {}).await
    }

    /// What is sealed in it is sealed by that suite.
    pub async fn sealing(policies: &str, suite: Suite) -> Self {
        let folder = scratch();
        let url = url_of(&folder).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let aurora = builder(&folder, &url, policies, &clock).suite(suite).build().await.unwrap();
        Self { aurora, clock, folder, url, policies: policies.to_owned() }
    }

    pub async fn set(policies: &str, options: impl FnOnce(&mut FileOptions)) -> Self {
        Self::made(policies, |builder| builder.file_options(options)).await
    }

    pub async fn made(policies: &str, set: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = scratch();
        let url = url_of(&folder).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let aurora = set(builder(&folder, &url, policies, &clock)).build().await.unwrap();
        Self { aurora, clock, folder, url, policies: policies.to_owned() }
    }

    /// The same database and folder in another process, at another time.
    pub async fn again(folder: &Path, url: &str, policies: &str, now: i64) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(now)));
        let large = |options: &mut FileOptions| options.largest = 1 << 40;
        let aurora = builder(folder, url, policies, &clock).file_options(large).build().await.unwrap();
        Self { aurora, clock, folder: folder.to_owned(), url: url.to_owned(), policies: policies.to_owned() }
    }

    pub fn files(&self) -> &Files {
        self.aurora.files().unwrap()
    }

    pub async fn user(&self, email: &str) -> User {
        let signed = TestClient::new(&self.aurora).sign_in(email).await.unwrap();
        User { id: signed.user().to_string(), token: signed.token().expose().to_owned() }
    }

    /// A user of that id, past Aurora.
    pub async fn adopt(&self, id: &str) {
        let insert = if on_postgres() {
            "INSERT INTO auth.users (id, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, \
             updated_at) VALUES ('ID', 'adopted@example.com', now(), '{}', '{}', now(), now())"
        } else {
            "INSERT INTO auth_users (id, email, email_confirmed_at, app_metadata, user_metadata, created_at, updated_at) \
             VALUES ('ID', 'adopted@example.com', 1, '{}', '{}', 1, 1)"
        };
        self.execute(&insert.replace("ID", id)).await;
    }

    pub async fn bucket(&self, name: &str, rules: &Value) {
        let mut body = json!({ "id": name, "name": name });
        for (key, value) in rules.as_object().unwrap() {
            body[key] = value.clone();
        }
        let made = self.post("/bucket").service().json(&body).send().await;
        assert_eq!(made.status, 200, "{}", made.text());
    }

    pub fn get(&self, path: &str) -> Ask<'_> {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str) -> Ask<'_> {
        self.ask("POST", path)
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        let request = Request::builder().method(method).uri(format!("/storage/v1{path}"));
        Ask { store: self, request, pieces: Vec::new(), from: [127, 0, 0, 1] }
    }

    pub fn blobs_on_disk(&self) -> usize {
        self.stored(|name| name != "drafts")
    }

    pub fn drafts_on_disk(&self) -> usize {
        self.stored(|name| name == "drafts")
    }

    fn stored(&self, which: impl Fn(&str) -> bool) -> usize {
        let folders = std::fs::read_dir(self.folder.join("files")).unwrap().map(Result::unwrap);
        let folders = folders.filter(|folder| which(folder.file_name().to_str().unwrap()));
        folders.map(|folder| std::fs::read_dir(folder.path()).unwrap().count()).sum()
    }

    /// The actions of every audit record, oldest first.
    pub async fn audit(&self) -> Vec<String> {
        let rows = self.rows("SELECT action FROM aurora_audit ORDER BY at, action").await;
        rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
    }

    /// A statement past Aurora.
    pub async fn execute(&self, sql: &str) {
        if on_postgres() {
            let sql = spell(sql);
            let name = self.folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
            let mut connection = postgres::Place { name }.superuser().await;
            postgres::run(&mut connection, &sql).await;
            return;
        }
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    /// Rows of a question past Aurora, as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        use sqlx::{Row as _, ValueRef as _};
        if on_postgres() {
            let sql = spell(sql);
            let name = self.folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
            let mut connection = postgres::Place { name }.superuser().await;
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            let value = |row: &sqlx::postgres::PgRow, at: usize| {
                let raw = row.try_get_raw(at).unwrap();
                (!raw.is_null()).then(|| raw.as_str().unwrap().to_owned())
            };
            return rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect();
        }
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
        let value = |row: &sqlx::sqlite::SqliteRow, at: usize| {
            row.try_get::<Option<String>, _>(at)
                .or_else(|_| {
                    row.try_get::<Option<i64>, _>(at).map(|number| number.map(|number| number.to_string()))
                })
                .unwrap()
        };
        rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect()
    }
}

/// A statement of a test's, in PostgreSQL's names.
fn spell(sql: &str) -> String {
    sql.replace("aurora_", "aurora.").replace("storage_", "storage.")
}

/// Takes the audit table away.
pub fn no_audit() -> &'static str {
    if on_postgres() {
        "ALTER TABLE aurora.audit RENAME TO gone"
    } else {
        "ALTER TABLE aurora_audit RENAME TO gone"
    }
}

pub struct Ask<'a> {
    store: &'a Store,
    request: http::request::Builder,
    pieces: Vec<Result<Bytes, std::io::Error>>,
    from: [u8; 4],
}

impl Ask<'_> {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// From another address than this machine's.
    pub fn from(mut self, address: [u8; 4]) -> Self {
        self.from = address;
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub fn service(self) -> Self {
        self.with("apikey", SERVICE_KEY)
    }

    pub fn json(self, body: &Value) -> Self {
        self.with("content-type", "application/json").body(body.to_string().into_bytes())
    }

    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.pieces = body.chunks(40_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        self
    }

    /// The line breaks after what was sent.
    pub fn breaking_off(mut self) -> Self {
        self.pieces.push(Err(std::io::Error::other("gone")));
        self
    }

    pub async fn send(self) -> Reply {
        let body = arriving(futures_util::stream::iter(self.pieces));
        let peer = Peer::from(IpAddr::from(self.from));
        let response = self.store.aurora.http().stream(self.request.body(body).unwrap(), peer).await;
        let (head, body) = response.into_parts();
        let (mut read, mut broken) = (Vec::new(), false);
        match body {
            FileBody::Whole(body) => read = body,
            FileBody::Stream(mut pieces) => {
                while let Some(piece) = pieces.next().await {
                    match piece {
                        Ok(piece) => read.extend_from_slice(&piece),
                        Err(_) => broken = true,
                    }
                }
            }
        }
        Reply { status: head.status, headers: head.headers, body: read, broken }
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The status that Supabase's clients read, and the code.
    pub fn told(&self) -> (String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (text("statusCode"), text("code"))
    }
}
