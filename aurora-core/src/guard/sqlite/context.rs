//! What a connection knows while it runs a statement: for whom, which statement, and until when.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::policy::Known;
use crate::policy::functions::{Claims, Function};
use crate::types::{Role, Timestamp};

use super::super::names::Names;
use super::probe::Probe;

/// What the second wall lets through while one statement is prepared and runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The base table that a write goes to.
    pub(crate) target: Option<Arc<str>>,
    /// Whether the write reads a column of its target (PostgreSQL then applies SELECT policies too).
    pub(crate) reads_target: bool,
    /// The base tables that the statement reads through views, lower case.
    pub(crate) tables: Arc<HashSet<String>>,
    /// The common table expressions that it names, lower case.
    pub(crate) ctes: Arc<HashSet<String>>,
}

/// For whom a connection runs statements.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    pub(crate) claims: Arc<Claims>,
    /// What those claims decide.
    pub(crate) known: Known,
}

/// Whose SQL the connection is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The host's: both walls stand.
    Host,
    /// Ours: transaction words and TEMP objects. Never text that holds anything of the host's unrewritten.
    Own,
}

/// Facts about the host's schema that the authorizer decides by; the same for every connection.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// `(table, column)` pairs that foreign keys read, lower case.
    pub(crate) key_columns: HashSet<(String, String)>,
    /// For each table, those that a foreign key action on it may change, itself excluded, lower case.
    pub(crate) cascades: HashSet<(String, String)>,
    /// What puts an empty table in front of every table's own name; see `HostSchema::shadows`.
    pub(crate) shadows: String,
    /// The columns that a role may read of a view of ours, lower case; all of a view that is not named. By
    /// [`Names::for_all`].
    pub(crate) columns: HashMap<String, BTreeSet<String>>,
    /// What policies call of the host's own.
    pub(crate) functions: Vec<Function>,
    /// The tests' recording functions, where they asked for them.
    pub(crate) probe: Option<Probe>,
}

/// The state shared between a connection's owner and the callbacks on SQLite's worker thread.
pub(crate) struct Context {
    pub(super) names: Names,
    pub(super) schema: String,
    pub(super) facts: Arc<Facts>,
    state: Mutex<State>,
    /// Statements end when this is set: their future was dropped.
    cancelled: AtomicBool,
    /// Microseconds after `epoch` at which the running statement must end; 0 for never.
    deadline: AtomicU64,
    epoch: Instant,
    /// What the authorizer was asked about base tables, for the test that compares it with the parser's view.
    pub(super) recorder: Mutex<Option<Vec<String>>>,
}

pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) role: Option<Role>,
    pub(super) ticket: Ticket,
    /// When the statement began.
    pub(super) now: Timestamp,
}

impl Context {
    pub(super) fn new(names: Names, facts: Arc<Facts>) -> Self {
        let schema = names.schema();
        Self {
            names,
            schema,
            facts,
            state: Mutex::new(State {
                mode: Mode::Own,
                claims: None,
                role: None,
                ticket: Ticket::default(),
                now: Timestamp::default(),
            }),
            cancelled: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            epoch: Instant::now(),
            recorder: Mutex::new(None),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means a callback panicked; the state itself is always whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms the connection for one host statement.
    pub(super) fn arm(&self, caller: &Caller, ticket: &Ticket, now: Timestamp, budget: Duration) {
        let mut state = self.state();
        state.now = now;
        state.mode = Mode::Host;
        state.role = Some(caller.role);
        state.claims = Some(Arc::clone(&caller.claims));
        state.ticket = ticket.clone();
        drop(state);
        self.set_deadline(budget);
    }

    /// Arms the connection for a statement of ours.
    pub(super) fn arm_own(&self, budget: Duration) {
        self.state().mode = Mode::Own;
        self.set_deadline(budget);
    }

    /// Takes the identity off: until armed again, nothing may be read.
    pub(super) fn disarm(&self) {
        let mut state = self.state();
        state.mode = Mode::Host;
        state.role = None;
        state.claims = None;
        state.ticket = Ticket::default();
        drop(state);
        self.deadline.store(0, Ordering::Release);
        self.cancelled.store(false, Ordering::Release);
    }

    /// Ends the running statement as soon as SQLite looks up.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Lets statements run again after [`Context::cancel`].
    pub(super) fn revive(&self) {
        self.cancelled.store(false, Ordering::Release);
    }

    /// Whether the running statement is the host's.
    pub(super) fn runs_host_text(&self) -> bool {
        self.state().mode == Mode::Host
    }

    /// Whether the running statement must end now.
    pub(super) fn expired(&self) -> bool {
        if self.cancelled.load(Ordering::Acquire) {
            return true;
        }
        let deadline = self.deadline.load(Ordering::Acquire);
        deadline != 0 && self.micros_now() > deadline
    }

    fn set_deadline(&self, budget: Duration) {
        let budget = u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        self.deadline.store(self.micros_now().saturating_add(budget).max(1), Ordering::Release);
    }

    fn micros_now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context(..)")
    }
}
