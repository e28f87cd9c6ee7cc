//! What of a person's lies here.

use serde_json::Value;

use super::record::{Object, ObjectRecord};
use super::{Files, sql};
use crate::store::{HostTransaction, Transaction};
use crate::types::{Error, Result, UserId};

/// Objects that a person's data names at the most, newest names left out.
const MOST: i64 = 100_000;

impl Files {
    /// Deletes a user's objects and unfinished uploads within `transaction`, and answers how many objects. Their bytes go
    /// with the next sweep; with the user's keys nobody reads them before.
    pub(crate) async fn erase_of(&self, transaction: &mut dyn Transaction, user: UserId) -> Result<u64> {
        let owner = user.to_string();
        // Waits for uploads of theirs that become true just now: none does so after.
        transaction.user(user).await?;
        transaction.delete_uploads_of(&owner).await?;
        let deleted = match transaction.host().await? {
            HostTransaction::Sqlite(connection) => {
                let delete = sqlx::query(sql::DELETE_OBJECTS_OF.sqlite).bind(owner.clone());
                delete.execute(connection).await.map(|done| done.rows_affected())
            }
            HostTransaction::Postgres(connection) => {
                let delete = sqlx::query(sql::DELETE_OBJECTS_OF.postgres).bind(owner.clone());
                delete.execute(connection).await.map(|done| done.rows_affected())
            }
        };
        transaction.doom_blobs_of_owner(&owner, self.now()).await?;
        deleted.map_err(Error::internal)
    }

    /// What is known of a user's objects. Their content is downloaded.
    pub(crate) async fn told_of(&self, user: UserId) -> Result<Value> {
        let guarded = self.unasked();
        let found = guarded
            .query_as::<ObjectRecord>(sql::OBJECTS_OF.on(&guarded))
            .bind(user.to_string())
            .bind(MOST)
            .fetch_all()
            .await?;
        let objects: Result<Vec<Object>> = found.into_iter().map(Object::try_from).collect();
        Ok(Value::Array(objects?.iter().map(Object::to_json).collect()))
    }
}
