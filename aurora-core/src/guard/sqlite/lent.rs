use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use crate::store::LentTransaction;
use crate::types::Result;

use super::pool::Lease;

/// A guarded transaction that goes on with statements of ours. Dropped, its connection goes through recovery and is
/// rolled back.
#[derive(Debug)]
pub(super) struct Lent(Lease);

impl Lent {
    pub(super) fn begin(mut lease: Lease) -> Result<Self> {
        lease.connection()?.lend();
        Ok(Self(lease))
    }
}

#[async_trait]
impl LentTransaction for Lent {
    fn connection(&mut self) -> &mut SqliteConnection {
        self.0.held().inner()
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let connection = self.0.connection()?;
        connection.take_back().await?;
        connection.commit().await
    }
}
