//! Wires the rooms: reads the configuration, asks every room for its weaknesses, opens what is needed in order.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::audit::{Action, Actor, AuditSink, DatabaseAudit, Kind, Record};
use crate::auth::{Auth, AuthParts, SignUpHook};
use crate::config::{Profile, Settings, Weakness};
use crate::crypto::{
    DatabaseKeys, KeyFile, KeyFileProvider, KeyProvider, KeyTextProvider, Keyring, PasswordHasher,
    PasswordParams, PasswordPool,
};
use crate::env::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::guard::{Guard, GuardOptions, Guarded, Unguarded};
use crate::http::Http;
use crate::load::{Limiter, Limits};
use crate::policy::Policies;
use crate::session::token::{TokenKeys, TokenOptions, VerifyKey};
use crate::session::{DatabaseSigningKeys, Sessions, SessionsParts};
use crate::store::{Database as _, SqliteDatabase};
use crate::types::{Code, Error, Principal, Result, Secret};

/// Aurora in a service. Cheap to clone.
#[derive(Clone)]
pub struct Aurora(Arc<Inner>);

struct Inner {
    auth: Auth,
    http: Http,
    guard: Guard,
    database: SqliteDatabase,
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    key_file: Option<PathBuf>,
}

/// Where the data lives: one SQLite file with the host's tables and Aurora's.
#[derive(Clone, Debug)]
pub struct Database {
    url: String,
}

impl Database {
    /// From a URL: `sqlite://data/app.db`, or `sqlite:/absolute/app.db`.
    ///
    /// # Errors
    /// [`Code::Configuration`] for another engine, or a database in memory: the guard opens the file several times.
    pub fn url(url: &str) -> Result<Self> {
        let wrong = |text: String| Err(Error::new(Code::Configuration, text));
        let Some((scheme, rest)) = url.split_once(':') else {
            return wrong(format!("`{url}` is not a database URL; write sqlite://path/to/app.db"));
        };
        match scheme {
            "sqlite" if rest.contains(":memory:") || rest.contains("mode=memory") => {
                wrong("a database in memory cannot be guarded; name a file".to_owned())
            }
            "sqlite" => Ok(Self { url: url.to_owned() }),
            "postgres" | "postgresql" => {
                wrong("PostgreSQL is planned; this release runs on sqlite://".to_owned())
            }
            other => wrong(format!("`{other}:` is not supported; write sqlite://path/to/app.db")),
        }
    }
}

/// The host's own migrations, kept in its own table (sqlx's `_sqlx_migrations`).
#[derive(Debug)]
pub struct Migrations {
    sqlite: sqlx::migrate::Migrator,
}

impl From<sqlx::migrate::Migrator> for Migrations {
    fn from(sqlite: sqlx::migrate::Migrator) -> Self {
        Self { sqlite }
    }
}

/// What [`Aurora::builder`] gathers.
#[must_use = "nothing happens before build()"]
pub struct Builder {
    profile: Profile,
    changes: Vec<Change>,
    database: Option<Database>,
    migrations: Option<Migrations>,
    policies: Option<(String, String)>,
    key: Option<Key>,
    verify_keys: Vec<VerifyKey>,
    shared_secret: Option<Secret>,
    limits: Limits,
    guard: GuardOptions,
    hook: Option<Arc<dyn SignUpHook>>,
    audit: Option<Arc<dyn AuditSink>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

type Change = Box<dyn FnOnce(&mut Settings) + Send>;

enum Key {
    File(PathBuf),
    Text(Secret),
    Provider(Arc<dyn KeyProvider>),
}

impl Aurora {
    /// Starts from production's defaults: nothing is created or confirmed by itself, and a weakness stops the start.
    pub fn builder() -> Builder {
        Builder {
            profile: Profile::Production,
            changes: Vec::new(),
            database: None,
            migrations: None,
            policies: None,
            key: None,
            verify_keys: Vec::new(),
            shared_secret: None,
            limits: Limits::default(),
            guard: GuardOptions::default(),
            hook: None,
            audit: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// The sign-in flows as plain functions.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// The wire, for adapters.
    pub fn http(&self) -> &Http {
        &self.0.http
    }

    /// What the service chose.
    pub fn settings(&self) -> &Settings {
        self.0.auth.settings()
    }

    /// The guard over the host's tables.
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// Where the root key lies, if in a file.
    pub fn key_file(&self) -> Option<&Path> {
        self.0.key_file.as_deref()
    }

    /// A handle for a principal that a request or a test already proved.
    pub fn guarded(&self, principal: Principal) -> Guarded {
        self.0.guard.guarded(principal)
    }

    /// Outside a request: acts as `principal`. The reason stands in the audit log before the handle exists.
    pub async fn acting_as(&self, principal: Principal, reason: &str) -> Result<Guarded> {
        let record = self.record(Kind::Security, Action::ACTING_AS, reason)?.target(Actor::of(&principal));
        let record = match principal.tenant() {
            Some(tenant) => record.tenant(tenant.clone()),
            None => record,
        };
        self.write(record).await?;
        Ok(self.0.guard.guarded(principal))
    }

    /// A handle that sees every row of the host's tables. The reason stands in the audit log before it exists.
    pub async fn unguarded(&self, reason: &str) -> Result<Unguarded> {
        self.write(self.record(Kind::Access, Action::UNGUARDED, reason)?).await?;
        Ok(self.0.guard.unguarded())
    }

    /// Closes the database after running writes have ended.
    pub async fn close(&self) {
        self.0.database.close().await;
    }

    fn record(&self, kind: Kind, action: Action, reason: &str) -> Result<Record> {
        if reason.trim().is_empty() {
            return Err(Error::new(Code::ValidationFailed, "a reason is needed, for the audit log"));
        }
        Ok(Record::new(self.0.clock.now(), kind, Actor::Service, action).with("reason", reason))
    }

    async fn write(&self, record: Record) -> Result<()> {
        let mut transaction = self.0.database.begin().await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await
    }
}

impl fmt::Debug for Aurora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aurora").field("profile", &self.settings().profile).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Builder {
    /// Where the service runs; [`Profile::Production`] unless said otherwise.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Changes the settings, after the profile's defaults.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// The public address of the site, such as `https://app.example.com`.
    pub fn site_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.configure(move |settings| settings.site_url = url)
    }

    /// The database.
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// The host's migrations. They run after Aurora's own, so that they may reference `auth_users`.
    pub fn migrations(mut self, migrations: impl Into<Migrations>) -> Self {
        self.migrations = Some(migrations.into());
        self
    }

    /// The row policies: `CREATE POLICY` in PostgreSQL's syntax. `file` is what errors call it.
    pub fn policies(mut self, file: &str, text: &str) -> Self {
        self.policies = Some((file.to_owned(), text.to_owned()));
        self
    }

    /// The file that holds the root key, outside the database. In development it is created on the first start.
    pub fn key_file(mut self, path: impl AsRef<Path>) -> Self {
        self.key = Some(Key::File(path.as_ref().to_owned()));
        self
    }

    /// The root key itself (`aurora-key-1:..`), as a secret store or an environment variable hands it over.
    pub fn key(mut self, text: Secret) -> Self {
        self.key = Some(Key::Text(text));
        self
    }

    /// What wraps data keys: a KMS of the host's.
    pub fn key_provider(mut self, provider: Arc<dyn KeyProvider>) -> Self {
        self.key = Some(Key::Provider(provider));
        self
    }

    /// Accepts access tokens of this key too, beside our own.
    pub fn verify_key(mut self, key: VerifyKey) -> Self {
        self.verify_keys.push(key);
        self
    }

    /// Signs with HS256 and this secret instead of ES256: for services that know nothing else. Whoever can verify
    /// can then sign, and clients cannot verify by themselves.
    pub fn shared_secret(mut self, secret: Secret) -> Self {
        self.shared_secret = Some(secret);
        self
    }

    /// Other limits than the defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How guarded statements run.
    pub fn guard(mut self, options: GuardOptions) -> Self {
        self.guard = options;
        self
    }

    /// What the host adds to a sign-up's transaction.
    pub fn on_sign_up(mut self, hook: Arc<dyn SignUpHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Where audit records go instead of Aurora's own table.
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = Some(sink);
        self
    }

    /// Time and randomness from elsewhere, for tests.
    pub fn environment(mut self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        self.clock = clock;
        self.entropy = entropy;
        self
    }

    /// Opens everything.
    ///
    /// # Errors
    /// [`Code::Configuration`] names what is missing, weak or wrong, each with its one-line fix: settings, keys,
    /// policies (file, line, construct) and what of the schema cannot be guarded. Nothing listens before.
    pub async fn build(self) -> Result<Aurora> {
        let mut settings = match self.profile {
            Profile::Production => Settings::production(""),
            Profile::Development => Settings::development(),
        };
        for change in self.changes {
            change(&mut settings);
        }
        settings.profile = self.profile;
        let missing = |what: &str, fix: &str| Error::new(Code::Configuration, format!("{what}; {fix}"));
        let database = self.database.ok_or_else(|| {
            missing("no database is set", "add .database(Database::url(\"sqlite://data/app.db\")?)")
        })?;
        let (file, text) = self.policies.unwrap_or_default();
        let policies = Policies::parse(&text, &file)
            .map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?;
        let mut weaknesses = settings.weaknesses();
        if self.key.is_none() && settings.profile == Profile::Production {
            weaknesses.push(Weakness::new(
                "no root key is set",
                "add .key_file(path) or .key(text); make one with KeyFile::create_new",
            ));
        }
        refuse(&weaknesses)?;

        let (clock, entropy) = (self.clock, self.entropy);
        let store = SqliteDatabase::open(&database.url, &*clock).await?;
        if let Some(migrations) = self.migrations {
            migrate(&store, &migrations).await?;
        }
        let key = self.key.unwrap_or_else(|| Key::File(store.path().with_extension("key")));
        let shared: Arc<dyn crate::store::Database> = Arc::new(store.clone());
        let first_start = shared.read().await?.keys().await?.is_empty();
        let may_create = first_start && settings.profile == Profile::Development;
        let (provider, key_file) = open_key(key, may_create, &entropy)?;
        let keys = DatabaseKeys::new(Arc::clone(&shared));
        let keyring = Keyring::open(&*provider, &keys, &*clock, Arc::clone(&entropy)).await?;
        let mut options = TokenOptions::new(settings.issuer());
        options.lifetime = settings.tokens.access_lifetime;
        options.longest = options.longest.max(options.lifetime);
        let tokens = match &self.shared_secret {
            Some(secret) => TokenKeys::with_shared_secret(secret, self.verify_keys, options)?,
            None => {
                let store = Arc::new(DatabaseSigningKeys::new(Arc::clone(&shared)));
                TokenKeys::open(&keyring, store, self.verify_keys, options, &*clock).await?
            }
        };
        let passwords = hasher(&settings, &keyring, &entropy)?;
        let sessions = Sessions::open(SessionsParts {
            lifetimes: settings.tokens.clone(),
            database: Arc::clone(&shared),
            keyring,
            tokens,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        })
        .await?;
        let audit = self.audit.unwrap_or_else(|| Arc::new(DatabaseAudit::new(Arc::clone(&entropy))));
        let guard = Guard::open(
            store.path(),
            &policies,
            store.writer().clone(),
            Arc::clone(&clock),
            &*entropy,
            self.guard,
        )
        .await?;
        for warning in guard.policies().warnings() {
            tracing::warn!(%warning, "policy");
        }
        let auth = Auth::new(AuthParts {
            settings: Arc::new(settings),
            sessions,
            passwords,
            limiter: Limiter::new(self.limits, &*entropy)?,
            audit: Arc::clone(&audit),
            sign_up_hook: self.hook,
        });
        let http = Http::new(auth.clone());
        Ok(Aurora(Arc::new(Inner { auth, http, guard, database: store, audit, clock, key_file })))
    }
}

fn refuse(weaknesses: &[Weakness]) -> Result<()> {
    if weaknesses.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = weaknesses.iter().map(|weakness| format!("  - {weakness}")).collect();
    Err(Error::new(Code::Configuration, format!("Aurora does not start:\n{}", lines.join("\n"))))
}

/// `may_create` a missing file: never beside a database that has keys already, which a new root would not open and
/// which would hide that the old one has to be restored.
fn open_key(
    key: Key,
    may_create: bool,
    entropy: &Arc<dyn Entropy>,
) -> Result<(Arc<dyn KeyProvider>, Option<PathBuf>)> {
    match key {
        Key::Provider(provider) => Ok((provider, None)),
        Key::Text(text) => Ok((Arc::new(KeyTextProvider::new(&text, Arc::clone(entropy))?), None)),
        Key::File(path) => {
            if may_create && !path.exists() {
                match KeyFile::create_new(&path, &**entropy) {
                    Ok(_) => tracing::info!(
                        path = %path.display(),
                        "created the root key; keep a copy apart from the database"
                    ),
                    // Another process started at the same moment and was first.
                    Err(_) if path.exists() => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((Arc::new(KeyFileProvider::open(&path, Arc::clone(entropy))?), Some(path)))
        }
    }
}

fn hasher(settings: &Settings, keyring: &Keyring, entropy: &Arc<dyn Entropy>) -> Result<PasswordHasher> {
    let chosen = &settings.passwords;
    let mut params = PasswordParams::new(chosen.memory_kib, chosen.passes, chosen.lanes)?;
    if let Some(target) = chosen.calibrate_to {
        params = params.calibrate(target, chosen.most_passes)?;
    }
    let threads = match chosen.permits {
        0 => PasswordPool::default().threads,
        permits => permits,
    };
    PasswordHasher::new(
        keyring,
        params,
        PasswordPool::new(threads, chosen.queue, chosen.deadline),
        Arc::clone(entropy),
    )
}

/// The host's migrations on a connection of their own, while nobody else writes.
async fn migrate(store: &SqliteDatabase, migrations: &Migrations) -> Result<()> {
    let _turn = store.writer().acquire().await?;
    let options =
        SqliteConnectOptions::new().filename(store.path()).foreign_keys(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(Error::internal)?;
    // sqlx takes no lock on SQLite: another process that starts now may be applying the same step, and ours fails on
    // it, rolled back. As long as steps get done the next run begins behind them.
    let mut applied = applied_steps(&mut connection).await?;
    let mut outcome = migrations.sqlite.run(&mut connection).await;
    while outcome.is_err() {
        let now = applied_steps(&mut connection).await?;
        if now == applied {
            break;
        }
        applied = now;
        outcome = migrations.sqlite.run(&mut connection).await;
    }
    let closed = sqlx::Connection::close(connection).await;
    outcome
        .map_err(|error| Error::new(Code::Configuration, format!("the host's migrations failed: {error}")))?;
    closed.map_err(Error::internal)
}

async fn applied_steps(connection: &mut sqlx::SqliteConnection) -> Result<i64> {
    let table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'";
    let known: i64 = sqlx::query_scalar(table).fetch_one(&mut *connection).await.map_err(Error::internal)?;
    if known == 0 {
        return Ok(0);
    }
    let steps = "SELECT count(*) FROM _sqlx_migrations";
    sqlx::query_scalar(steps).fetch_one(connection).await.map_err(Error::internal)
}
