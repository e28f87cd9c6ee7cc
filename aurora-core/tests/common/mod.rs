//! Sign-in and its wire over a scratch SQLite file, or a PostgreSQL database where `AURORA_TEST_ENGINE=postgres` asks
//! for it, on a clock that the test moves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing fixture fails the test"
)]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(dead_code, reason = "each test file uses a part")]

pub mod engine;
pub mod mail;
pub mod mailed;
pub mod postgres;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aurora_core::audit::{AuditSink, DatabaseAudit};
use aurora_core::auth::{Auth, AuthParts, Hooks, SignUpHook};
use aurora_core::config::{Profile, Settings};
use aurora_core::crypto::{
    DatabaseKeys, KeyTextProvider, Keyring, PasswordHasher, PasswordParams, PasswordPool, Suite,
};
use aurora_core::env::{Clock, Entropy, ManualClock, SystemEntropy};
use aurora_core::http::{Http, Peer};
use aurora_core::jobs::Wake;
use aurora_core::keys::{DataKeys, DataKeysParts};
use aurora_core::load::{Limiter, Limits, Quota};
use aurora_core::mail::{Delivery, Mailbox, Outbox, OutboxParts, Templates};
use aurora_core::session::token::{TokenKeys, TokenOptions};
use aurora_core::session::{Client, DatabaseSigningKeys, Sessions, SessionsParts};
use aurora_core::store::Database;
use aurora_core::types::{RequestId, Timestamp};
use aurora_core::validate::BreachedPasswords;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};

#[allow(unused_imports, reason = "each test file uses a part")]
pub use engine::{Engine, connect, host_writes, missing_audit, on_postgres};

pub const PASSWORD: &str = "correct horse battery";
pub const ANON_KEY: &str = "sb_publishable_for_tests";
pub const SERVICE_KEY: &str = "sb_secret_8fJ2kQ0vN5xY7zT1wB4mC6dR9aLs";

/// What may be chosen before the fixture stands.
pub struct Options {
    pub settings: Settings,
    pub limits: Limits,
    pub breached: Option<Arc<dyn BreachedPasswords>>,
    pub hook: Option<Arc<dyn SignUpHook>>,
    pub hooks: Hooks,
    pub audit: Option<Arc<dyn AuditSink>>,
    /// Where mails go instead of the fixture's mailbox.
    pub delivery: Option<Delivery>,
    pub templates: Templates,
    pub path: PathBuf,
    pub schema: &'static str,
    /// The same for PostgreSQL. The host's role for hooks may use what it makes.
    pub postgres_schema: &'static str,
    pub now: Timestamp,
    pub start_key: String,
    pub wrap: Option<Wrap>,
    /// What signs instead of keys in the database.
    pub given: Option<Given>,
    pub pool: PasswordPool,
    pub entropy: Arc<dyn Entropy>,
    /// What new values are sealed by.
    pub suite: Suite,
}

/// Puts something before the database that sign-in sees.
pub type Wrap = Box<dyn FnOnce(Arc<dyn Database>) -> Arc<dyn Database> + Send>;

/// Makes the keys that were given.
pub type Given = Box<dyn FnOnce(TokenOptions) -> TokenKeys + Send>;

impl Default for Options {
    fn default() -> Self {
        let mut settings = Settings::development();
        settings.api_keys.anon.push(ANON_KEY.into());
        settings.api_keys.service.push(SERVICE_KEY.into());
        settings.cors_origins.push("https://spa.example.com".parse().unwrap());
        let mut limits = Limits::default();
        let roomy = Quota::new(10_000, Duration::from_secs(60));
        (limits.request, limits.sign_up, limits.sign_in, limits.refresh) = (roomy, roomy, roomy, roomy);
        Self {
            settings,
            limits,
            breached: None,
            hook: None,
            hooks: Hooks::default(),
            audit: None,
            delivery: None,
            templates: Templates::default(),
            path: scratch(),
            schema: "",
            postgres_schema: "",
            now: Timestamp::from_seconds(1_800_000_000),
            start_key: key_text(),
            wrap: None,
            given: None,
            pool: PasswordPool::new(2, 512, Duration::from_secs(60)),
            entropy: Arc::new(SystemEntropy),
            suite: Suite::default(),
        }
    }
}

impl Options {
    /// Answers as production gives them, autoconfirm all the same.
    pub fn in_production() -> Self {
        let mut options = Self::default();
        options.settings.profile = Profile::Production;
        options
    }
}

fn key_text() -> String {
    use aurora_core::crypto::KeyFile;
    let path = scratch().with_extension("key");
    let key = KeyFile::create_new(&path, &SystemEntropy).unwrap();
    key.to_text().expose().to_owned()
}

/// A path in a fresh directory.
pub fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("auth-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory.join("app.db")
}

#[derive(Clone)]
pub struct Fixture {
    pub http: Http,
    pub auth: Auth,
    /// What [`Fixture::send_mails`] sends to. No job runs.
    pub mailbox: Mailbox,
    pub clock: Arc<ManualClock>,
    pub database: Engine,
    pub keyring: Keyring,
    pub tokens: TokenKeys,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Reply {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().or(self.json["error_code"].as_str()).unwrap_or_default()
    }

    pub fn access(&self) -> String {
        self.json["access_token"].as_str().unwrap_or_else(|| panic!("no session: {}", self.text)).to_owned()
    }

    pub fn refresh(&self) -> String {
        self.json["refresh_token"].as_str().unwrap_or_else(|| panic!("no session: {}", self.text)).to_owned()
    }

    pub fn user_id(&self) -> String {
        self.json["user"]["id"].as_str().or(self.json["id"].as_str()).expect("user").to_owned()
    }
}

/// One row of the audit table.
#[derive(Clone, Debug)]
pub struct Row_ {
    pub actor: String,
    pub kind: String,
    pub action: String,
    pub target: Option<String>,
    pub request: Option<String>,
    pub payload: Value,
    pub sequence: Option<i64>,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(options.now));
        Self::on(options, clock).await
    }

    pub async fn on(options: Options, clock: Arc<ManualClock>) -> Self {
        let entropy = options.entropy;
        let opening = Engine::open(&options.path, &*clock).await;
        let database = opening.engine;
        let schema = if on_postgres() { options.postgres_schema } else { options.schema };
        if !schema.is_empty() {
            database.execute(schema).await;
            if on_postgres() {
                database.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO aurora_service").await;
            }
        }
        let provider = KeyTextProvider::new(&options.start_key.as_str().into(), entropy.clone()).unwrap();
        let keys = Arc::new(DatabaseKeys::new(opening.keys));
        let keyring = Keyring::open(Arc::new(provider), keys, clock.clone(), entropy.clone()).await.unwrap();
        let keyring = keyring.with_suite(options.suite);
        database.bind(&keyring).await;
        keyring.move_to(Arc::new(DatabaseKeys::new(database.shared())));
        let mut shared = database.shared();
        if let Some(wrap) = options.wrap {
            shared = wrap(shared);
        }
        let mut token_options = TokenOptions::new(options.settings.issuer());
        token_options.lifetime = options.settings.tokens.access_lifetime;
        token_options.longest_written = options.settings.cookies.longest_token();
        let signing = Arc::new(DatabaseSigningKeys::new(Arc::clone(&shared)));
        let tokens = match options.given {
            Some(given) => given(token_options),
            None => TokenKeys::open(&keyring, signing, Vec::new(), token_options, &*clock).await.unwrap(),
        };
        let passwords = &options.settings.passwords;
        let params = PasswordParams::new(8_192, 5, 1).unwrap();
        assert_eq!(passwords.lanes, 1);
        let passwords = PasswordHasher::new(&keyring, params, options.pool, entropy.clone()).unwrap();
        let audit = options.audit.unwrap_or_else(|| Arc::new(DatabaseAudit::new(entropy.clone())));
        let mailbox = Mailbox::default();
        let outbox = Outbox::new(OutboxParts {
            site: options.settings.site_url.clone(),
            templates: options.templates,
            delivery: options.delivery.unwrap_or_else(|| Delivery::Mailbox(mailbox.clone())),
            database: Arc::clone(&shared),
            keyring: keyring.clone(),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            entropy: entropy.clone(),
            wake: Wake::default(),
        });
        let sessions = Sessions::open(SessionsParts {
            lifetimes: options.settings.tokens.clone(),
            database: shared,
            keyring: keyring.clone(),
            tokens: tokens.clone(),
            clock: clock.clone(),
            entropy,
        })
        .await
        .unwrap();
        let auth = Auth::new(AuthParts {
            settings: Arc::new(options.settings),
            sessions,
            passwords,
            limiter: Limiter::new(options.limits, &SystemEntropy).unwrap(),
            outbox,
            audit,
            breached_passwords: options.breached,
            sign_up_hook: options.hook,
            hooks: options.hooks,
        });
        Self { http: Http::new(auth.clone(), None), auth, mailbox, clock, database, keyring, tokens }
    }

    /// What becomes of the data keys. No job runs.
    pub fn data_keys(&self) -> DataKeys {
        DataKeys::new(DataKeysParts {
            keyring: self.keyring.clone(),
            database: self.database.shared(),
            places: Vec::new(),
            audit: Arc::new(DatabaseAudit::new(Arc::new(SystemEntropy))),
            clock: self.clock.clone(),
        })
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends what is due, as the job would.
    pub async fn send_mails(&self) -> usize {
        self.auth.outbox().send_due().await.unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn client(&self) -> Client {
        Client::new("192.0.2.1".parse().unwrap(), RequestId::from_bytes([1; 16])).with_user_agent("test")
    }

    pub async fn send(&self, request: Request<Vec<u8>>, from: &str) -> Reply {
        let address: IpAddr = from.parse().unwrap();
        let response = self.http.call(request, Peer::from(address)).await;
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: head.status, headers: head.headers, json, text }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Reply {
        self.call_from("192.0.2.1", method, path, token, body).await
    }

    pub async fn call_from(
        &self,
        from: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/auth/v1{path}"))
            .header("apikey", ANON_KEY)
            .header("user-agent", "test-agent/1.0")
            .header("x-supabase-api-version", "2024-01-01");
        request = request.header("authorization", format!("Bearer {}", token.unwrap_or(ANON_KEY)));
        let body = if body.is_null() {
            Vec::new()
        } else {
            request = request.header("content-type", "application/json;charset=UTF-8");
            body.to_string().into_bytes()
        };
        self.send(request.body(body).unwrap(), from).await
    }

    pub async fn sign_up(&self, email: &str) -> Reply {
        self.call("POST", "/signup", None, json!({ "email": email, "password": PASSWORD })).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Reply {
        let body = json!({ "email": email, "password": password });
        self.call("POST", "/token?grant_type=password", None, body).await
    }

    pub async fn refresh(&self, token: &str) -> Reply {
        self.call("POST", "/token?grant_type=refresh_token", None, json!({ "refresh_token": token })).await
    }

    pub async fn user(&self, token: &str) -> Reply {
        self.call("GET", "/user", Some(token), Value::Null).await
    }

    pub async fn audit(&self) -> Vec<Row_> {
        let records = "SELECT actor, kind, action, target, request_id, payload, sequence FROM aurora_audit \
            ORDER BY rowid";
        let rows = self.database.rows(records).await;
        rows.into_iter()
            .map(|row| {
                let [actor, kind, action, target, request, payload, sequence] = row.try_into().unwrap();
                Row_ {
                    actor: actor.unwrap(),
                    kind: kind.unwrap(),
                    action: action.unwrap(),
                    target,
                    request,
                    payload: serde_json::from_str(&payload.unwrap()).unwrap(),
                    sequence: sequence.map(|sequence| sequence.parse().unwrap()),
                }
            })
            .collect()
    }

    /// The actions recorded since `before` records.
    pub async fn actions_since(&self, before: usize) -> Vec<String> {
        self.audit().await.into_iter().skip(before).map(|row| row.action).collect()
    }

    /// What a copy consists of: the file with its journal, or what `pg_dump` writes.
    pub fn copy(&self) -> Vec<u8> {
        let place = match &self.database {
            Engine::Sqlite(database) => {
                let path = database.path();
                let mut file = std::fs::read(path).unwrap();
                file.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
                return file;
            }
            Engine::Postgres(_, place) => place,
        };
        let mut command = std::process::Command::new("pg_dump");
        let dumped = command.args(["--dbname", &place.superuser_url()]).output().unwrap();
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        let mut all = dumped.stdout;
        // A dump writes bytes in hexadecimal.
        let text = String::from_utf8(all.clone()).unwrap();
        for run in text.split(|c: char| c.is_whitespace()).filter_map(|run| run.strip_prefix("\\\\x")) {
            let pairs = run.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes: Result<Vec<u8>, _> = pairs.map(|pair| u8::from_str_radix(pair, 16)).collect();
            all.push(b'\n');
            all.extend(bytes.unwrap_or_default());
            all.push(b'\n');
        }
        all
    }

    pub async fn count(&self, statement: &str) -> i64 {
        self.database.rows(statement).await[0][0].as_ref().unwrap().parse().unwrap()
    }

    pub async fn execute(&self, statement: &str) {
        self.database.execute(statement).await;
    }
}
