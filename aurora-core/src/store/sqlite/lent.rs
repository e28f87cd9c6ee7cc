use std::fmt::Debug;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::transaction::SqliteWrite;
use crate::store::Transaction;
use crate::types::Result;

/// A write transaction that began elsewhere, on a connection that finds Aurora's own tables by their names.
///
/// The guard's, whose statements as a principal commit with ours. Dropped, it is rolled back.
#[async_trait]
pub(crate) trait LentTransaction: Send + Sync + Debug {
    /// The connection, inside of the transaction.
    fn connection(&mut self) -> &mut SqliteConnection;

    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// That transaction as the stores'.
pub(crate) fn go_on(lent: Box<dyn LentTransaction>) -> Box<dyn Transaction> {
    Box::new(SqliteWrite::Lent(lent))
}
