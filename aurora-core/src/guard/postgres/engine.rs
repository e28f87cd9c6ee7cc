//! A database whose policies are those of the file, and who acts through it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

use crate::policy::postgres::TENANT_CLAIM;
use crate::policy::{Lowered, Policies};
use crate::store::{Bind, BoundTransaction, Mode, PostgresDatabase, PostgresOwner};
use crate::types::{Code, Error, Principal, Result, Role};

use super::super::options::GuardOptions;
use super::catalog::Live;
use super::install::{ForeignPolicies, apply, difference};
use super::wall;

/// The role that sees every row, and its claims.
const SERVICE: &str = "aurora_service";
const SERVICE_CLAIMS: &str = r#"{"role":"service_role"}"#;

/// The guard over one PostgreSQL database.
#[derive(Debug)]
pub(in crate::guard) struct Engine {
    database: PostgresDatabase,
    lowered: Lowered,
    /// The file was checked, so that it is known which tables it names.
    checked: bool,
    pub(in crate::guard) options: GuardOptions,
}

impl Engine {
    /// Installs the policies where there is an owner to, and checks that the database has those of the file.
    pub(in crate::guard) async fn open(
        database: PostgresDatabase,
        owner: Option<&PostgresOwner>,
        policies: &Policies,
        options: GuardOptions,
    ) -> Result<Self> {
        if let Some(owner) = owner {
            let applied = apply(owner, policies, ForeignPolicies::Keep).await?;
            for change in applied.plan().changes() {
                tracing::info!(change, "policies");
            }
        }
        let bind = Bind::new(SERVICE, SERVICE_CLAIMS, Mode::ReadOnly);
        let mut transaction = database.begin_as(bind).await?;
        let connection = transaction.connection()?;
        read_as_written(connection).await?;
        let live = Live::read(connection).await?;
        transaction.rollback().await?;
        let checked = !policies.is_native_only();
        let lowered = if checked {
            let fits = policies.lower(&live.schema);
            fits.map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?
        } else {
            tracing::warn!("the policies were not checked: they hold on PostgreSQL only");
            Lowered::default()
        };
        let plan = difference(&policies.native().install(&live.schema), &live);
        for warning in plan.warnings() {
            tracing::warn!(warning, "policies");
        }
        if !plan.is_empty() {
            let text = format!(
                "the database does not have the policies of the file; run `policy apply` as its owner (and \
                 `policy plan` to see more):\n{plan}"
            );
            return Err(Error::new(Code::Configuration, text));
        }
        Ok(Self { database, lowered, checked, options })
    }

    pub(in crate::guard) fn lowered(&self) -> &Lowered {
        &self.lowered
    }

    pub(super) fn database(&self) -> &PostgresDatabase {
        &self.database
    }

    /// Whether the policy file leaves the table out, so that it does not exist for a principal.
    pub(super) fn leaves_out(&self, table: &str) -> bool {
        self.checked && !self.lowered.names(table)
    }
}

/// Wall one and the policy file rely on how strings are read.
async fn read_as_written(connection: &mut sqlx::postgres::PgConnection) -> Result<()> {
    let query = sqlx::query_scalar("SELECT current_setting('standard_conforming_strings')");
    let read: String =
        query.persistent(false).fetch_one(connection).await.map_err(super::error::statement_of_ours)?;
    if read == "on" {
        return Ok(());
    }
    Err(Error::new(
        Code::Configuration,
        "the database reads strings with backslashes; ALTER DATABASE .. SET standard_conforming_strings = on",
    ))
}

/// A guard and who acts through it.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Actor {
    engine: Arc<Engine>,
    principal: Principal,
    claims: Arc<OnceLock<Arc<str>>>,
    wall: Wall,
}

/// Whether host SQL is read before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wall {
    Stands,
    Taken,
}

impl Actor {
    pub(in crate::guard) fn new(engine: Arc<Engine>, principal: Principal) -> Self {
        Self { engine, principal, claims: Arc::new(OnceLock::new()), wall: Wall::Stands }
    }

    /// The same without wall one, for tests of the second.
    pub(in crate::guard) fn without_wall(mut self) -> Self {
        self.wall = Wall::Taken;
        self
    }

    pub(in crate::guard) fn as_service(&self) -> Self {
        Self::new(Arc::clone(&self.engine), Principal::service())
    }

    pub(in crate::guard) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(in crate::guard) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The text that runs, if wall one lets it through.
    pub(super) fn admit(&self, sql: &str) -> Result<wall::Admitted> {
        let admitted = match self.wall {
            Wall::Stands => wall::admit(sql, self.principal.role())?,
            Wall::Taken => wall::unchecked(sql, self.principal.role()),
        };
        if admitted.writes && self.principal.reads_only() {
            return Err(crate::guard::reads_only());
        }
        Ok(admitted)
    }

    /// A transaction as this principal. `limit` is what one statement may take.
    pub(super) async fn begin(&self, mode: Mode, limit: Duration) -> Result<BoundTransaction> {
        let role = match self.principal.role() {
            Role::Anon => "anon",
            Role::Authenticated => "authenticated",
            Role::Service => SERVICE,
        };
        let claims = self.claims.get_or_init(|| claims(&self.principal));
        // A function that a SELECT calls may write, too.
        let mode = match mode {
            Mode::ReadWrite | Mode::AsItMay if self.principal.reads_only() => Mode::ReadOnly,
            mode => mode,
        };
        let mut bind = Bind::new(role, claims, mode);
        bind.statement_timeout = Some(limit);
        bind.lock_timeout = Some(self.engine.options.statement_budget);
        self.engine.database.begin_as(bind).await
    }
}

/// The principal's claims, its tenant among them.
fn claims(principal: &Principal) -> Arc<str> {
    let Some(tenant) = principal.tenant() else { return Arc::from(principal.claims()) };
    let mut claims: Value = serde_json::from_str(principal.claims()).unwrap_or_default();
    if !claims.is_object() {
        claims = Value::Object(serde_json::Map::new());
    }
    if let Some(object) = claims.as_object_mut() {
        object.insert(TENANT_CLAIM.to_owned(), Value::String(tenant.to_string()));
    }
    Arc::from(claims.to_string())
}
