use std::sync::Arc;

use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;

use super::database::{Postgres, Run};
use crate::config::Profile;
use crate::crypto::{Keyring, Purpose};
use crate::env::Clock;
use crate::store::{self, PostgresDatabase, PostgresOptions, PostgresOwner};
use crate::types::{Code, Error, Result, Secret};

/// One process at a time applies the host's steps. `host` in bytes after ours.
const HOST_LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(107114611208802)";

/// A PostgreSQL database whose schema is there, before there is a key to bind identities with.
pub(super) struct Opening {
    state: State,
    options: PostgresOptions,
    installs: bool,
}

enum State {
    /// The run role is the caller's; the owner may be here to set up.
    Run { database: PostgresDatabase, owner: Option<PostgresOwner> },
    /// Development with the owner's URL alone: the run role is made once there are keys.
    OwnerAlone(PostgresOwner),
}

impl Opening {
    pub(super) async fn start(place: Postgres, profile: Profile, clock: &dyn Clock) -> Result<Self> {
        let mut options = place.options;
        options.refuse_vulnerable_server |= profile == Profile::Production && !place.accept_vulnerable;
        let owner = match &place.migrate {
            Some(url) => Some(PostgresOwner::open(url).await?),
            None => None,
        };
        if let Some(owner) = &owner {
            owner.migrate(clock.now()).await?;
        }
        let state = match (place.run, owner) {
            (Run::Url(url), None) if profile == Profile::Development => {
                let alone = PostgresOwner::open(&url).await?;
                if alone.is_owner().await? {
                    if place.installs {
                        alone.migrate(clock.now()).await?;
                    }
                    State::OwnerAlone(alone)
                } else {
                    alone.close().await;
                    State::Run { database: PostgresDatabase::open(&url, &options).await?, owner: None }
                }
            }
            (Run::Url(url), owner) => {
                admit(owner.as_ref(), &store::run_role_of(&url)?).await?;
                State::Run { database: PostgresDatabase::open(&url, &options).await?, owner }
            }
            (Run::Pool(pool), owner) => {
                admit(owner.as_ref(), pool.connect_options().get_username()).await?;
                State::Run { database: PostgresDatabase::of_pool(&pool, &options).await?, owner }
            }
        };
        Ok(Self { state, options, installs: place.installs })
    }

    /// The host's migrations, as the owner. Without one they are the DBA's, as the schema is.
    pub(super) async fn migrate(&self, mut migrations: Migrator) -> Result<()> {
        let Some(owner) = self.owner() else {
            tracing::info!("no `migrate_url`: the host's migrations are not run by this process");
            return Ok(());
        };
        // The lock lies in a transaction of its own, so that it works behind a pooler and ends with the process;
        // sqlx's own is a session's.
        let mut turn = owner.begin().await?;
        sqlx::query(HOST_LOCK).execute(turn.connection()?).await.map_err(Error::internal)?;
        let options = owner.options().clone().disable_statement_logging();
        let mut connection = options.connect().await.map_err(Error::internal)?;
        migrations.set_locking(false);
        let outcome = migrations.run(&mut connection).await;
        let closed = sqlx::Connection::close(connection).await;
        turn.rollback().await?;
        outcome.map_err(|error| {
            Error::new(Code::Configuration, format!("the host's migrations failed: {error}"))
        })?;
        closed.map_err(Error::internal)
    }

    pub(super) fn keys(&self) -> Arc<dyn store::Database> {
        match &self.state {
            State::Run { owner: Some(owner), .. } | State::OwnerAlone(owner) => owner.store(),
            State::Run { database, owner: None } => Arc::new(database.clone()),
        }
    }

    pub(super) async fn finish(self, keyring: &Keyring) -> Result<(PostgresDatabase, Option<PostgresOwner>)> {
        let (database, owner) = match self.state {
            State::Run { database, owner } => (database, owner),
            State::OwnerAlone(owner) => {
                let connect = owner.make_run_role(&run_password(keyring)).await?;
                (PostgresDatabase::connect(connect, &self.options).await?, Some(owner))
            }
        };
        let keyring = keyring.clone();
        let derive = move |generation: u32| {
            keyring.mac(Purpose::Session, "postgres identity key", &[&generation.to_be_bytes()])
        };
        match (database.bind_identity(&derive).await, &owner) {
            (Ok(()), _) => {}
            // The owner's word counts: what lies there is of another root, or was put there by somebody else.
            (Err(error), Some(owner)) if error.code() == Code::Configuration => {
                let next = owner.identity_generation().await?.saturating_add(1);
                tracing::warn!(generation = next, "the database's identity key is renewed");
                owner.install_identity(next, &derive(next)).await?;
                database.bind_identity(&derive).await?;
            }
            (Err(error), _) => return Err(error),
        }
        match owner {
            // Whoever only looks installs no policies.
            Some(owner) if !self.installs => {
                owner.close().await;
                Ok((database, None))
            }
            owner => Ok((database, owner)),
        }
    }

    fn owner(&self) -> Option<&PostgresOwner> {
        match &self.state {
            State::Run { owner, .. } => owner.as_ref(),
            State::OwnerAlone(owner) => Some(owner),
        }
    }
}

async fn admit(owner: Option<&PostgresOwner>, role: &str) -> Result<()> {
    match owner {
        Some(owner) => owner.admit_run_role(role).await,
        None => Ok(()),
    }
}

/// Every process that holds the root key finds the same one; nobody else does.
fn run_password(keyring: &Keyring) -> Secret {
    let bytes = keyring.mac(Purpose::Session, "postgres run role password", &[]);
    Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
