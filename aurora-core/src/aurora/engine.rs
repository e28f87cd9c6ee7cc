//! The one place that knows which engine the URL chose.

use std::path::PathBuf;
use std::sync::Arc;

use super::database::{Database, HostMigrations, Place};
use super::{postgres, sqlite};
use crate::config::Profile;
use crate::crypto::Keyring;
use crate::env::{Clock, Entropy};
use crate::guard::{Guard, GuardOptions};
use crate::policy::Policies;
use crate::store::{self, PostgresDatabase, PostgresOwner, SqliteDatabase};
use crate::types::Result;

/// A database whose schema is there, before its keys are.
pub(super) enum Opening {
    Sqlite(SqliteDatabase),
    Postgres(postgres::Opening),
}

/// A database that is open.
pub(super) enum Engine {
    Sqlite(SqliteDatabase),
    Postgres(PostgresDatabase),
}

impl Opening {
    pub(super) async fn start(database: Database, profile: Profile, clock: &dyn Clock) -> Result<Self> {
        Ok(match database.0 {
            Place::Sqlite { url } => Self::Sqlite(SqliteDatabase::open(&url, clock).await?),
            Place::Postgres(place) => Self::Postgres(postgres::Opening::start(*place, profile, clock).await?),
        })
    }

    pub(super) async fn migrate(&self, migrations: HostMigrations) -> Result<()> {
        match self {
            Self::Sqlite(store) => sqlite::migrate(store, &migrations.sqlite()).await,
            Self::Postgres(opening) => opening.migrate(migrations.postgres()).await,
        }
    }

    /// Where the root key lies unless the host says otherwise: beside the file.
    pub(super) fn key_path(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(store) => Some(store.path().with_extension("key")),
            Self::Postgres(_) => None,
        }
    }

    /// Where the wrapped keys are read from and put into.
    pub(super) fn keys(&self) -> Arc<dyn store::Database> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(opening) => opening.keys(),
        }
    }

    /// Opens it for service. The owner, where there is one, for what is left to install.
    pub(super) async fn finish(self, keyring: &Keyring) -> Result<(Engine, Option<PostgresOwner>)> {
        match self {
            Self::Sqlite(store) => Ok((Engine::Sqlite(store), None)),
            Self::Postgres(opening) => {
                let (database, owner) = opening.finish(keyring).await?;
                Ok((Engine::Postgres(database), owner))
            }
        }
    }
}

impl Engine {
    pub(super) fn shared(&self) -> Arc<dyn store::Database> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(super) async fn guard(
        &self,
        owner: Option<&PostgresOwner>,
        policies: &Policies,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
        options: GuardOptions,
    ) -> Result<Guard> {
        match self {
            Self::Sqlite(store) => {
                let writer = store.writer().clone();
                Guard::open(store.path(), policies, writer, Arc::clone(clock), entropy, options).await
            }
            Self::Postgres(store) => Guard::open_postgres(store.clone(), owner, policies, options).await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
