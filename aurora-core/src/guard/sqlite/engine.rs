//! Everything one guarded SQLite file needs: what host SQL is rewritten with, and where it runs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::env::{Clock, Entropy};
use crate::policy::{Columns, Command, Known, Lowered, Policies};
use crate::store::WriterLock;
use crate::types::{Code, Error, Result, Role};

use super::super::names::{Names, View};
use super::super::objects::{self, object};
use super::super::options::GuardOptions;
use super::super::rewrite::{Need, Rewritten, Rules, rewrite};
use super::super::schema::{HostSchema, not_carried};
use super::connection::Connection;
use super::ffi::engine_version;
use super::pool::{Lease, Pool};

/// Rewritten statements kept per process; a rewrite costs 6 to 30 microseconds.
const REWRITES: usize = 2_048;

/// The longest statement that is kept, in bytes: many long ones must not fill the memory.
const LONGEST_KEPT: usize = 8 * 1024;

/// The oldest SQLite the guard runs on: before it, the WAL-reset bug loses commits.
const OLDEST_ENGINE: i32 = 3_051_003;

type Rewrites = LruCache<Box<str>, Arc<Rewritten>>;

/// The guard over one SQLite file: its policies, its names, its connections.
#[derive(Debug)]
pub(in crate::guard) struct Engine {
    path: PathBuf,
    host: HostSchema,
    names: Names,
    lowered: Lowered,
    pub(in crate::guard) pool: Arc<Pool>,
    /// By role, then by the host's text.
    cache: Mutex<[Rewrites; Role::ALL.len()]>,
    clock: Arc<dyn Clock>,
    pub(in crate::guard) options: GuardOptions,
}

impl Engine {
    /// Opens the guard over the SQLite file at `path`, whose migrations have run.
    ///
    /// # Errors
    /// [`Code::Configuration`] names the policy (file, line, construct) or the part of the schema that cannot be
    /// carried, and what to write instead.
    pub(in crate::guard) async fn open(
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
        Ok(Self { path, host, names, lowered, pool, cache, clock, options })
    }

    pub(in crate::guard) fn lowered(&self) -> &Lowered {
        &self.lowered
    }

    pub(in crate::guard) fn path(&self) -> &Path {
        &self.path
    }

    /// The names that this process keeps secret, for tests that give them to the attacker: the schema, then each
    /// table's outer view, inner view and trigger for `authenticated`, the hidden columns and a function.
    pub(in crate::guard) fn secret_names_for_tests(&self) -> Vec<String> {
        let names = &self.names;
        let mut secrets = vec![names.schema()];
        for position in 0..self.host.tables.len() {
            let role = Role::Authenticated;
            secrets.push(names.outer(position, role, Known::NOTHING));
            secrets.push(names.inner(position, role, View::Select, Known::NOTHING));
            secrets.push(names.trigger(position, role, "beforeinsert"));
        }
        secrets.extend([names.visible(), names.row(), names.function("auth_uid"), names.function("deny")]);
        secrets
    }

    fn rules(&self, role: Role, known: Known) -> Rules<'_> {
        Rules { host: &self.host, names: &self.names, lowered: &self.lowered, role, known }
    }

    pub(in crate::guard) fn names(&self) -> &Names {
        &self.names
    }

    pub(in crate::guard) fn now(&self) -> crate::types::Timestamp {
        self.clock.now()
    }

    fn kept(&self, role: Role, key: &str) -> Option<Arc<Rewritten>> {
        let mut caches = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        caches.get_mut(role as usize)?.get(key).cloned()
    }

    /// The statement as it runs for whoever is in that role and of whom that is known.
    pub(in crate::guard) fn rewrite(&self, role: Role, known: Known, sql: &str) -> Result<Arc<Rewritten>> {
        let key = key(known, sql);
        if let Some(kept) = self.kept(role, &key) {
            return Ok(kept);
        }
        let mut rewritten = rewrite(self.rules(role, known), sql)?;
        let mut reached = Vec::new();
        for need in std::mem::take(&mut rewritten.needs) {
            self.unfold(role, need, &mut reached)?;
        }
        let table = |need: &Need| match need {
            Need::Inner(position, ..) => {
                self.host.tables.get(*position).map(|table| table.name.to_ascii_lowercase())
            }
            Need::Outer(..) | Need::Triggers(_) => None,
        };
        rewritten.ticket.tables = Arc::new(reached.iter().filter_map(table).collect());
        rewritten.needs = reached;
        let rewritten = Arc::new(rewritten);
        if sql.len() <= LONGEST_KEPT {
            let mut caches = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(cache) = caches.get_mut(role as usize) {
                cache.put(Box::from(&*key), Arc::clone(&rewritten));
            }
        }
        Ok(rewritten)
    }

    /// A connection fit for the statement.
    pub(in crate::guard) async fn lease(&self, rewritten: &Rewritten) -> Result<Lease> {
        if rewritten.writes { self.pool.writer().await } else { self.pool.reader().await }
    }

    /// Makes what the statement's text names, where this connection lacks it.
    pub(in crate::guard) async fn prepare(
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
                let made = object(self.rules(role, Known::NOTHING), *need)?;
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
            open.extend(
                object(self.rules(role, Known::NOTHING), need)?.needs.into_iter().map(|inner| (inner, false)),
            );
        }
        Ok(())
    }
}

/// What a rewritten statement is kept by. No statement holds a NUL, so that none is another's key.
fn key(known: Known, sql: &str) -> Cow<'_, str> {
    match known.number() {
        0 => Cow::Borrowed(sql),
        number => Cow::Owned(format!("{number}\0{sql}")),
    }
}

/// The columns that may be read of each view, where that is not all: what the engine is asked by.
fn readable(host: &HostSchema, names: &Names, lowered: &Lowered) -> HashMap<String, BTreeSet<String>> {
    let mut readable = HashMap::new();
    for (position, table) in host.tables.iter().enumerate() {
        for role in Role::ALL {
            if let Columns::Only(columns) = lowered.columns(&table.name, role, Command::Select) {
                let inner = |view| names.inner(position, role, view, Known::NOTHING);
                let shown = [View::Select, View::SelectOne, View::SelectFew, View::SelectByKey].map(inner);
                for view in shown.into_iter().chain([names.outer(position, role, Known::NOTHING)]) {
                    readable.insert(Names::for_all(&view).to_owned(), columns.clone());
                }
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
            let known = Known::NOTHING;
            let rules = Rules { host, names, lowered, role, known };
            let mut needs = object(rules, Need::Inner(position, View::Select, known))?.needs;
            needs.extend(object(rules, Need::Triggers(position)).map_err(objects::at_start)?.needs);
            // What a SECURITY DEFINER function reads may be a table that the file does not name.
            for need in needs.into_iter().filter(|need| matches!(need, Need::Inner(_, View::Owner, _))) {
                object(rules, need)?;
            }
        }
    }
    Ok(())
}
