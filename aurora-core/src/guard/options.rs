use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::sealed::Vault;
use super::sqlite::Probe;
use super::telling::Telling;

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
    /// [`Code::StatementTooLong`](crate::types::Code), and a snapshot it was read in ends too. In a transaction
    /// its own time counts.
    pub longest_stream: Duration,
    /// How long a statement waits for a connection. Default 5 s; then 503.
    pub acquire_deadline: Duration,
    /// Whether the log says which clause hid or refused a row. Development has it, production never.
    pub(crate) telling: Option<Telling>,
    /// The columns that are sealed.
    pub(crate) sealed: Option<Arc<Vault>>,
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
            telling: None,
            sealed: None,
            probe: None,
        }
    }
}
