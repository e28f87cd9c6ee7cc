use std::fmt;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;

use crate::store::PostgresOptions;
use crate::types::{Code, Error, Result};

/// Where the data lives, the host's tables and Aurora's: an SQLite file or a PostgreSQL database.
///
/// ```no_run
/// use aurora_core::Database;
/// # fn main() -> aurora_core::types::Result<()> {
/// let embedded = Database::url("sqlite://app.db")?;
/// let server = Database::url("postgres://app_run:..@db/app")?.migrate_url("postgres://app_owner:..@db/app")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Sqlite { url: String },
    Postgres(Box<Postgres>),
}

#[derive(Clone)]
pub(super) struct Postgres {
    pub(super) run: Run,
    pub(super) migrate: Option<String>,
    pub(super) options: PostgresOptions,
    pub(super) accept_vulnerable: bool,
    pub(super) trust_the_network: bool,
    /// Whether the owner, where it is known, sets up what is missing.
    pub(super) installs: bool,
}

#[derive(Clone)]
pub(super) enum Run {
    Url(String),
    Pool(PgPool),
}

impl Database {
    /// From a URL: `sqlite://app.db`, `sqlite:/absolute/app.db`, or `postgres://role:password@host/app`.
    ///
    /// A PostgreSQL URL names the run role, which owns nothing; the owner's stands in
    /// [`migrate_url`](Self::migrate_url). In development one URL is enough, the owner's (`NOSUPERUSER CREATEROLE`
    /// will do): Aurora then makes the run role `aurora_run_<database>` by itself. `?pgbouncer=true` says that a
    /// pooler in transaction mode stands before the server. A server on another machine shows a certificate of its
    /// name (`sslmode=verify-full`) unless the URL says otherwise, which production refuses.
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
            "sqlite" => Ok(Self(Place::Sqlite { url: url.to_owned() })),
            "postgres" | "postgresql" => Ok(Self::postgres(Run::Url(url.to_owned()))),
            other => wrong(format!(
                "`{other}:` is not supported; write sqlite://path/to/app.db or postgres://role@host/database"
            )),
        }
    }

    /// The database and role of a pool of the host's. Aurora checks the role, and opens connections of its own.
    pub fn pool(pool: PgPool) -> Self {
        Self::postgres(Run::Pool(pool))
    }

    /// The owner's URL on PostgreSQL: with it the schema is made and upgraded, the host's migrations run and the
    /// policies are installed at start, and the connection is closed again. Without it a DBA has run what
    /// `setup --print-sql` prints.
    pub fn migrate_url(self, url: &str) -> Result<Self> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(Error::new(
                Code::Configuration,
                "`migrate_url` is the URL of PostgreSQL's owner, postgres://",
            ));
        }
        let url = url.to_owned();
        self.change(|place| place.migrate = Some(url))
    }

    /// How connections to PostgreSQL are kept, and where names are looked up.
    pub fn postgres_options(self, options: PostgresOptions) -> Result<Self> {
        self.change(|place| place.options = options)
    }

    /// Starts in production on a PostgreSQL that has CVE-2026-14666: the plan cached for one role may be run for
    /// another. Upgrade the server instead.
    pub fn insecure_accept_cve_2026_14666(self) -> Result<Self> {
        self.change(|place| place.accept_vulnerable = true)
    }

    /// Starts in production although the connection to PostgreSQL is in clear, or to a server that shows no
    /// certificate: somebody else encrypts the way there and says who is at its end, such as a service mesh.
    pub fn insecure_trust_the_network(self) -> Result<Self> {
        self.change(|place| place.trust_the_network = true)
    }

    fn postgres(run: Run) -> Self {
        Self(Place::Postgres(Box::new(Postgres {
            run,
            migrate: None,
            options: PostgresOptions::default(),
            accept_vulnerable: false,
            trust_the_network: false,
            installs: true,
        })))
    }

    fn change(mut self, change: impl FnOnce(&mut Postgres)) -> Result<Self> {
        match &mut self.0 {
            Place::Postgres(place) => change(place),
            Place::Sqlite { .. } => {
                return Err(Error::new(
                    Code::Configuration,
                    "this is a setting of PostgreSQL's; the database is SQLite",
                ));
            }
        }
        Ok(self)
    }
}

/// Prints no password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite { url } => f.debug_struct("Database").field("url", url).finish(),
            Place::Postgres(_) => f.write_str("Database(postgres)"),
        }
    }
}

/// The host's own migrations, kept in its own table (sqlx's `_sqlx_migrations`): for each engine that the service
/// may run on.
#[derive(Debug)]
pub struct Migrations {
    /// In SQLite's dialect.
    pub sqlite: Migrator,
    /// In PostgreSQL's dialect.
    pub postgres: Migrator,
}

/// What [`Builder::migrations`](super::Builder::migrations) takes: [`Migrations`] for both engines, or one migrator
/// for whichever engine the URL names.
#[derive(Debug)]
pub struct HostMigrations(Either);

#[derive(Debug)]
enum Either {
    Each(Migrations),
    Any(Migrator),
}

impl HostMigrations {
    pub(super) fn sqlite(self) -> Migrator {
        match self.0 {
            Either::Each(each) => each.sqlite,
            Either::Any(any) => any,
        }
    }

    pub(super) fn postgres(self) -> Migrator {
        match self.0 {
            Either::Each(each) => each.postgres,
            Either::Any(any) => any,
        }
    }
}

impl From<Migrations> for HostMigrations {
    fn from(each: Migrations) -> Self {
        Self(Either::Each(each))
    }
}

impl From<Migrator> for HostMigrations {
    fn from(any: Migrator) -> Self {
        Self(Either::Any(any))
    }
}
