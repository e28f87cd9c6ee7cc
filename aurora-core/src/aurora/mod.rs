//! Wires the rooms: reads the configuration, asks every room for its weaknesses, opens what is needed in order.

mod builder;
mod database;
mod engine;
mod files;
mod hooks;
mod keys;
mod mail;
mod maintain;
mod open;
mod person;
mod postgres;
mod reading;
mod routes;
mod sealed;
mod sqlite;
mod token;
mod transit;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use builder::Builder;
pub(crate) use builder::{PolicyFunction, read_policies};
pub use database::{Database, HostMigrations, Migrations};
pub use person::Erased;

use engine::Engine;

use crate::audit::{Action, Actor, AuditSink, Kind, Record};
use crate::auth::Auth;
use crate::config::Settings;
use crate::crypto::KeyPlace;
use crate::env::Clock;
use crate::files::Files;
use crate::guard::{Guard, Guarded, Unguarded};
use crate::http::Http;
use crate::jobs::Jobs;
use crate::keys::{DataKeys, ErasureLedger};
use crate::types::{Code, Error, Principal, Result, Timestamp};

/// Aurora in a service. Cheap to clone.
#[derive(Clone)]
pub struct Aurora(Arc<Inner>);

struct Inner {
    auth: Auth,
    http: Http,
    files: Option<Files>,
    guard: Guard,
    keys: DataKeys,
    sealed: Vec<sealed::Column>,
    personal: Vec<person::Personal>,
    ledger: Option<Arc<dyn ErasureLedger>>,
    database: Engine,
    jobs: Jobs,
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    key_file: Option<KeyPlace>,
}

impl Aurora {
    /// Starts from production's defaults: nothing is created or confirmed by itself, and a weakness stops the start.
    pub fn builder() -> Builder {
        Builder::new()
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

    /// The keys that data is sealed with, and what becomes of them.
    pub fn keys(&self) -> &DataKeys {
        &self.0.keys
    }

    /// Where the root key lies, if in a file.
    pub fn key_file(&self) -> Option<&Path> {
        self.0.key_file.as_ref().map(KeyPlace::path)
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

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Ends the jobs, then closes the database after running writes have ended.
    pub async fn close(&self) {
        self.0.jobs.close().await;
        self.0.database.close().await;
    }

    fn record(&self, kind: Kind, action: Action, reason: &str) -> Result<Record> {
        if reason.trim().is_empty() {
            return Err(Error::new(Code::ValidationFailed, "a reason is needed, for the audit log"));
        }
        Ok(Record::new(self.0.clock.now(), kind, Actor::Service, action).with("reason", reason))
    }

    async fn write(&self, record: Record) -> Result<()> {
        let mut transaction = self.0.database.shared().begin().await?;
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await
    }
}

impl fmt::Debug for Aurora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aurora").field("profile", &self.settings().profile).finish_non_exhaustive()
    }
}
