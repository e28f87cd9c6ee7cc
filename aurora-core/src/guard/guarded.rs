use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lru::LruCache;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::env::{Clock, Entropy};
use crate::policy::functions::Claims;
use crate::policy::{Columns, Command, Lowered, Policies};
use crate::store::WriterLock;
use crate::types::{Code, Error, Principal, Result, Role};

use super::executor::GuardedExecutor;
use super::names::{Names, View};
use super::objects::{self, object};
use super::query::{FromRecord, Query, QueryAs, Runner};
use super::rewrite::{Need, Rewritten, Rules, rewrite};
use super::schema::{HostSchema, not_carried};
use super::sqlite::{Caller, Connection, Lease, Pool, Probe, engine_version};
use super::transaction::{Snapshot, Transaction};

/// Rewritten statements kept per process; a rewrite costs 6 to 30 microseconds.
const REWRITES: usize = 2_048;

/// The longest statement that is kept, in bytes: many long ones must not fill the memory.
const LONGEST_KEPT: usize = 8 * 1024;

/// The oldest SQLite the guard runs on: before it, the WAL-reset bug loses commits.
const OLDEST_ENGINE: i32 = 3_051_003;

/// How the guard runs statements. The defaults are the written ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardOptions {
    /// Connections that read; each costs about 1 MB once used. Default: the number of cores, at least 4.
    pub readers: usize,
    /// How long one statement may run. Default 5 s: an endless recursion ends, a report does not.
    pub statement_budget: Duration,
    /// How long an explicit transaction may hold the only writer. Default 5 s; then it is rolled back.
    pub longest_transaction: Duration,
    /// How long the rows of one statement may be read as a stream. Default 30 s; then the stream ends with
    /// [`Code::StatementTooLong`], and a snapshot it was read in ends too. In a transaction its own time counts.
    pub longest_stream: Duration,
    /// How long a statement waits for a connection. Default 5 s; then 503.
    pub acquire_deadline: Duration,
    /// Recording functions for tests.
    #[doc(hidden)]
    pub probe: Option<Probe>,
}

impl Default for GuardOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, NonZeroUsize::get);
        Self {
            readers: cores.max(4),
            statement_budget: Duration::from_secs(5),
            longest_transaction: Duration::from_secs(5),
            longest_stream: Duration::from_secs(30),
            acquire_deadline: Duration::from_secs(5),
            probe: None,
        }
    }
}

type Rewrites = LruCache<Box<str>, Arc<Rewritten>>;

/// The guard over one SQLite file: its policies, its names, its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    path: PathBuf,
    host: HostSchema,
    names: Names,
    lowered: Lowered,
    pub(super) pool: Arc<Pool>,
    /// By role, then by the host's text.
    cache: Mutex<[Rewrites; Role::ALL.len()]>,
    clock: Arc<dyn Clock>,
    pub(super) options: GuardOptions,
}

impl Guard {
    /// Opens the guard over the SQLite file at `path`, whose migrations have run.
    ///
    /// # Errors
    /// [`Code::Configuration`] names the policy (file, line, construct) or the part of the schema that cannot be
    /// carried, and what to write instead.
    pub async fn open(
        path: &Path,
        policies: &Policies,
        writer: WriterLock,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        options: GuardOptions,
    ) -> Result<Self> {
        if engine_version() < OLDEST_ENGINE {
            return Err(Error::new(
                Code::Configuration,
                "SQLite 3.51.3 or newer is needed (an older one loses commits); build with the bundled engine",
            ));
        }
        let plain = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
        let mut plain = plain.connect().await.map_err(Error::internal)?;
        let host = HostSchema::read(&mut plain).await?;
        sqlx::Connection::close(plain).await.map_err(Error::internal)?;
        let lowered = policies.lower(&host.catalog).map_err(|errors| {
            // A table that cannot be guarded at all: that is what its owner must hear first.
            let text = errors.to_string();
            let named = |name: &str| text.contains(&format!(" on {name}:"));
            match host.tables.iter().find(|table| table.refusal.is_some() && named(&table.name)) {
                Some(table) => {
                    not_carried("table", &table.name, table.refusal.as_deref().unwrap_or_default())
                }
                None => Error::new(Code::Configuration, text),
            }
        })?;
        let names = Names::draw(entropy)?;
        check_carried(&host, &names, &lowered)?;
        let mut facts = host.facts();
        facts.probe = options.probe.clone();
        facts.functions = lowered.functions().to_vec();
        facts.columns = readable(&host, &names, &lowered);
        let pool = Pool::new(
            path.to_owned(),
            names.clone(),
            Arc::new(facts),
            options.readers,
            writer,
            options.acquire_deadline,
        );
        let room = NonZeroUsize::new(REWRITES).unwrap_or(NonZeroUsize::MIN);
        let cache = Mutex::new(Role::ALL.map(|_| LruCache::new(room)));
        let path = path.to_owned();
        Ok(Self(Arc::new(Inner { path, host, names, lowered, pool, cache, clock, options })))
    }

    /// A handle that acts as `principal`. No connection is taken before its first statement.
    pub fn guarded(&self, principal: Principal) -> Guarded {
        Guarded { guard: self.clone(), principal, claims: Arc::new(OnceLock::new()) }
    }

    /// A handle that sees every row. The caller writes the reason into the audit log first.
    pub(crate) fn unguarded(&self) -> Unguarded {
        Unguarded(self.guarded(Principal::service()))
    }

    /// What the policies were lowered to: grants, warnings and the indexes they want.
    pub fn policies(&self) -> &Lowered {
        &self.0.lowered
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The names that this process keeps secret, for tests that give them to the attacker: the schema, then each
    /// table's outer view, inner view and trigger for `authenticated`, the hidden columns and a function.
    #[doc(hidden)]
    pub fn secret_names_for_tests(&self) -> Vec<String> {
        let names = &self.0.names;
        let mut secrets = vec![names.schema()];
        for position in 0..self.0.host.tables.len() {
            let role = Role::Authenticated;
            secrets.push(names.outer(position, role));
            secrets.push(names.inner(position, role, View::Select));
            secrets.push(names.trigger(position, role, "beforeinsert"));
        }
        secrets.extend([names.visible(), names.row(), names.function("auth_uid"), names.function("deny")]);
        secrets
    }
}

impl Inner {
    fn rules(&self, role: Role) -> Rules<'_> {
        Rules { host: &self.host, names: &self.names, lowered: &self.lowered, role }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn now(&self) -> crate::types::Timestamp {
        self.clock.now()
    }

    fn kept(&self, role: Role, sql: &str) -> Option<Arc<Rewritten>> {
        let mut caches = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        caches.get_mut(role as usize)?.get(sql).cloned()
    }

    pub(super) fn rewrite(&self, role: Role, sql: &str) -> Result<Arc<Rewritten>> {
        if let Some(known) = self.kept(role, sql) {
            return Ok(known);
        }
        let mut rewritten = rewrite(self.rules(role), sql)?;
        let mut reached = Vec::new();
        for need in std::mem::take(&mut rewritten.needs) {
            self.unfold(role, need, &mut reached)?;
        }
        let table = |need: &Need| match need {
            Need::Inner(position, _) => {
                self.host.tables.get(*position).map(|table| table.name.to_ascii_lowercase())
            }
            Need::Outer(_) | Need::Triggers(_) => None,
        };
        rewritten.ticket.tables = Arc::new(reached.iter().filter_map(table).collect());
        rewritten.needs = reached;
        let rewritten = Arc::new(rewritten);
        if sql.len() <= LONGEST_KEPT {
            let mut caches = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(cache) = caches.get_mut(role as usize) {
                cache.put(Box::from(sql), Arc::clone(&rewritten));
            }
        }
        Ok(rewritten)
    }

    /// A connection fit for the statement.
    pub(super) async fn lease(&self, rewritten: &Rewritten) -> Result<Lease> {
        if rewritten.writes { self.pool.writer().await } else { self.pool.reader().await }
    }

    /// Makes what the statement's text names, where this connection lacks it.
    pub(super) async fn prepare(
        &self,
        connection: &mut Connection,
        role: Role,
        rewritten: &Rewritten,
    ) -> Result<()> {
        if connection.is_ready(rewritten.id) {
            return Ok(());
        }
        for need in &rewritten.needs {
            if !connection.has(role, *need) {
                let made = object(self.rules(role), *need)?;
                connection.make(role, *need, &made.statements).await?;
            }
        }
        connection.ready(rewritten.id);
        Ok(())
    }

    /// An object and all it names, innermost first. Triggers may name each other's tables in a circle.
    fn unfold(&self, role: Role, need: Need, reached: &mut Vec<Need>) -> Result<()> {
        let mut open = vec![(need, false)];
        let mut entered = Vec::new();
        while let Some((need, left)) = open.pop() {
            if reached.contains(&need) {
                continue;
            }
            if left {
                reached.push(need);
                continue;
            }
            if entered.contains(&need) {
                continue;
            }
            entered.push(need);
            open.push((need, true));
            open.extend(object(self.rules(role), need)?.needs.into_iter().map(|inner| (inner, false)));
        }
        Ok(())
    }
}

/// The columns that may be read of each view, where that is not all: what the engine is asked by.
fn readable(host: &HostSchema, names: &Names, lowered: &Lowered) -> HashMap<String, BTreeSet<String>> {
    let mut readable = HashMap::new();
    for (position, table) in host.tables.iter().enumerate() {
        for role in Role::ALL {
            if let Columns::Only(columns) = lowered.columns(&table.name, role, Command::Select) {
                readable.insert(names.outer(position, role), columns.clone());
                readable.insert(names.inner(position, role, View::Select), columns);
            }
        }
    }
    readable
}

/// Refuses by name what cannot be guarded of the tables that policies speak of.
fn check_carried(host: &HostSchema, names: &Names, lowered: &Lowered) -> Result<()> {
    for (position, table) in host.tables.iter().enumerate() {
        if !lowered.names(&table.name) {
            continue;
        }
        if let Some(why) = &table.refusal {
            return Err(not_carried("table", &table.name, why));
        }
        for role in Role::ALL {
            let rules = Rules { host, names, lowered, role };
            let mut needs = object(rules, Need::Inner(position, View::Select))?.needs;
            needs.extend(object(rules, Need::Triggers(position)).map_err(objects::at_start)?.needs);
            // What a SECURITY DEFINER function reads may be a table that the file does not name.
            for need in needs.into_iter().filter(|need| matches!(need, Need::Inner(_, View::Owner))) {
                object(rules, need)?;
            }
        }
    }
    Ok(())
}

/// A principal and a pool: host SQL that runs through it sees and changes that principal's rows only.
///
/// No connection is taken before the first statement, and single statements autocommit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guarded {
    guard: Guard,
    principal: Principal,
    claims: Arc<OnceLock<Arc<Claims>>>,
}

impl Guarded {
    /// Who acts.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// A statement whose rows are not read.
    pub fn query<'a>(&'a self, sql: &'a str) -> Query<'a> {
        Query::new(Runner::Guarded(self), sql)
    }

    /// A statement whose rows become `T`, which derives `sqlx::FromRow`.
    pub fn query_as<'a, T: FromRecord>(&'a self, sql: &'a str) -> QueryAs<'a, T> {
        QueryAs::new(Runner::Guarded(self), sql)
    }

    /// A write transaction: it holds the only writer until it is committed or dropped, at most
    /// [`GuardOptions::longest_transaction`]. Dropped without [`Transaction::commit`] it is rolled back.
    pub async fn begin(&self) -> Result<Transaction> {
        Transaction::begin(self).await
    }

    /// A read transaction: every statement sees the database as it was at the first.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::begin(self).await
    }

    /// As an executor for the host's own `query!`, `query_as` and `QueryBuilder` on SQLite.
    pub fn sqlite(&self) -> Result<GuardedExecutor<'_>> {
        Ok(GuardedExecutor::new(self))
    }

    pub(super) fn guard(&self) -> &Inner {
        self.guard.inner()
    }

    pub(super) fn caller(&self) -> Caller {
        let claims = self.claims.get_or_init(|| Arc::new(Claims::of(&self.principal)));
        Caller { role: self.principal.role(), claims: Arc::clone(claims) }
    }

    /// The base tables the parser saw and those SQLite asked about, for the test that compares the two.
    #[doc(hidden)]
    pub async fn compare_readings(&self, sql: &str) -> Result<(Vec<String>, Vec<String>)> {
        let guard = self.guard();
        let caller = self.caller();
        let rewritten = guard.rewrite(caller.role, sql)?;
        let mut lease = guard.lease(&rewritten).await?;
        let connection = lease.connection()?;
        guard.prepare(connection, caller.role, &rewritten).await?;
        // A statement that sqlx prepared before is not asked about again.
        connection.forget().await?;
        connection.record(true);
        let explained: Arc<str> = Arc::clone(&rewritten.sql);
        let run = super::sqlite::Run {
            caller: &caller,
            ticket: &rewritten.ticket,
            now: guard.now(),
            budget: guard.options.statement_budget,
        };
        let outcome = connection.run(run, &explained, Default::default(), false, &mut Vec::new()).await;
        let seen = connection.record(false);
        outcome.map_err(|error| super::error::engine(guard.names(), error))?;
        Ok((rewritten.tables.iter().cloned().collect(), seen))
    }
}

/// A handle that sees and changes every row of the host's tables. Whoever makes one gives a reason, and the reason
/// stands in the audit log.
#[derive(Clone, Debug)]
pub struct Unguarded(Guarded);

impl Unguarded {
    /// A statement whose rows are not read.
    pub fn query<'a>(&'a self, sql: &'a str) -> Query<'a> {
        self.0.query(sql)
    }

    /// A statement whose rows become `T`.
    pub fn query_as<'a, T: FromRecord>(&'a self, sql: &'a str) -> QueryAs<'a, T> {
        self.0.query_as(sql)
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Transaction> {
        self.0.begin().await
    }

    /// A read transaction.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        self.0.snapshot().await
    }

    /// As an executor for the host's own sqlx queries on SQLite.
    pub fn sqlite(&self) -> Result<GuardedExecutor<'_>> {
        self.0.sqlite()
    }
}
