//! What is kept of a person: handed out, and erased for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Aurora, Builder};
use crate::audit::{Action, Kind};
use crate::config::Profile;
use crate::crypto::{FIRST_FREE, KeyOwner, KeyState, Purpose, TRIES};
use crate::guard::{RowKey, Sealed, Unguarded};
use crate::keys::ErasureLedger;
use crate::store::{HostTransaction, KeyRow, Transaction};
use crate::types::{Code, Error, Result, TenantId, Timestamp, UserId, quote};

/// A table of the host's whose rows are about a person.
#[derive(Clone, Debug)]
pub(super) struct Personal {
    table: String,
    column: String,
}

/// What an erasure did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Erased {
    /// Whether there was such a user; their keys may have outlived them.
    pub user: bool,
    /// Rows of the host's [personal tables](Builder::personal_data), those that went by themselves not counted.
    pub rows: u64,
    /// Data keys that were destroyed.
    pub keys: u64,
}

impl Builder {
    /// A table whose rows are about the person that `column` names: [`Aurora::export`] hands them out, and
    /// [`Aurora::erase`] deletes those that no foreign key lets go along.
    pub fn personal_data(mut self, table: impl Into<String>, column: impl Into<String>) -> Self {
        self.personal.push(Personal { table: table.into(), column: column.into() });
        self
    }

    /// Where it is kept who was erased. By default in a file beside the key file, with `.erased` behind its name; it
    /// belongs beside the backups, and never into one.
    pub fn erasure_ledger(mut self, ledger: Arc<dyn ErasureLedger>) -> Self {
        self.ledger = Some(ledger);
        self
    }
}

impl Aurora {
    /// Erases a person: their account, what hangs on it, their files, rows of the host's [personal tables](Builder::personal_data),
    /// and every data key of theirs, so that what was sealed for them cannot be read again, in a backup either once it
    /// is read back through a start of Aurora. It is in the ledger before it is answered. Processes that hold one of
    /// the keys forget it within five minutes.
    ///
    /// # Errors
    /// [`Code::UserNotFound`] where there is neither a user nor a key of theirs; [`Code::ForeignKeyViolation`] where rows
    /// of the host's refer to them and are not declared: nothing was erased then; [`Code::Configuration`] without a
    /// ledger.
    pub async fn erase(&self, user: UserId, reason: &str) -> Result<Erased> {
        self.erase_owner(&KeyOwner::User(user), reason, true).await
    }

    /// Makes everything unreadable that was sealed for a tenant: their data keys are destroyed, and the ledger says so.
    /// Rows stay, with cells that do not open ([`Code::KeyDestroyed`]).
    pub async fn erase_tenant(&self, tenant: &TenantId, reason: &str) -> Result<Erased> {
        self.erase_owner(&KeyOwner::Tenant(tenant.clone()), reason, true).await
    }

    async fn erase_owner(&self, owner: &KeyOwner, reason: &str, in_ledger: bool) -> Result<Erased> {
        let record = self.record(Kind::Security, Action::PERSON_ERASED, reason)?.target(owner);
        let ledger = self.0.ledger.as_ref().ok_or_else(no_ledger)?;
        let now = self.now();
        let mut transaction = self.0.database.shared().begin().await?;
        let mut erased = Erased::default();
        let mut ended = Vec::new();
        if let KeyOwner::User(user) = owner {
            erased.rows = self.delete_personal(&mut *transaction, *user).await?;
            if let Some(files) = &self.0.files {
                erased.rows += files.erase_of(&mut *transaction, *user).await?;
            }
            let deleted = transaction.delete_user(*user, now).await?;
            erased.user = deleted.is_some();
            ended = deleted.unwrap_or_default();
        }
        // Who would make a key for them waits, and then finds that there is to be none.
        transaction.lock_keys_of(&owner.to_string()).await?;
        erased.keys = transaction.destroy_keys_of(&owner.to_string(), now).await?;
        if erased == Erased::default() {
            return Err(Error::new(Code::UserNotFound, "nothing is kept of them"));
        }
        if transaction.keys_of(&owner.to_string()).await?.is_empty() {
            none_from_now_on(&mut *transaction, owner, now).await?;
        }
        let record = record.with("rows", erased.rows).with("keys", erased.keys);
        self.0.audit.write(&mut *transaction, record).await?;
        // Before the commit: killed here, the next start finishes it. And not before all else has worked.
        if in_ledger {
            ledger.append(owner, now).await?;
        }
        transaction.commit().await?;
        self.0.auth.sessions().ended(&ended);
        self.0.auth.sessions().parts().keyring.forget();
        Ok(erased)
    }

    async fn delete_personal(&self, transaction: &mut dyn Transaction, user: UserId) -> Result<u64> {
        let mut rows = 0;
        for Personal { table, column } in &self.0.personal {
            let delete = format!("DELETE FROM {} WHERE {} = $1", quote(table), quote(column));
            let delete = sqlx::AssertSqlSafe(delete);
            let done = match transaction.host().await? {
                HostTransaction::Sqlite(connection) => {
                    sqlx::query(delete).bind(user).execute(connection).await.map(|done| done.rows_affected())
                }
                HostTransaction::Postgres(connection) => {
                    sqlx::query(delete).bind(user).execute(connection).await.map(|done| done.rows_affected())
                }
            };
            rows += done.map_err(|error| {
                let violated =
                    error.as_database_error().is_some_and(|error| error.is_foreign_key_violation());
                let code = if violated { Code::ForeignKeyViolation } else { Code::UnexpectedFailure };
                Error::new(code, format!("rows of {table} cannot be deleted")).with_source(error)
            })?;
        }
        Ok(rows)
    }

    /// Erases again whoever the ledger names and who is here all the same: somebody read a backup back. One who cannot be
    /// erased is told, and does not stop the others.
    pub(super) async fn erase_again(&self) -> Result<()> {
        let Some(ledger) = &self.0.ledger else { return Ok(()) };
        for owner in ledger.read().await? {
            let mut reader = self.0.database.shared().read().await?;
            let keys = reader.keys_of(&owner.to_string()).await?;
            let mut here = keys.iter().any(|key| key.state != KeyState::Destroyed.as_str());
            if let KeyOwner::User(user) = owner {
                here |= reader.user(user).await?.is_some();
            }
            drop(reader);
            if !here {
                continue;
            }
            match self.erase_owner(&owner, "erased before, and back with a backup", false).await {
                Ok(_) => tracing::warn!(%owner, "somebody who was erased was back, and is erased again"),
                Err(error) if self.settings().profile == Profile::Production => {
                    let sentence = format!(
                        "{owner} was erased, is back with a backup, and cannot be erased again: mend what is told \
                         below, or delete what is theirs by hand"
                    );
                    return Err(Error::new(Code::Configuration, sentence).with_source(error));
                }
                Err(error) => tracing::error!(%owner, ?error, "somebody who was erased is back"),
            }
        }
        Ok(())
    }

    /// What is kept of a person, as JSON: the account, sessions, roles, what is known of their files, and rows of the host's
    /// [personal tables](Builder::personal_data) with their sealed cells opened. Bytes are hexadecimal. No password, hash or
    /// seed is in it. That it was handed out stands in the audit log first.
    pub async fn export(&self, user: UserId, reason: &str) -> Result<Value> {
        let account = self.0.auth.account(user).await?;
        let record = self.record(Kind::Access, Action::PERSON_EXPORTED, reason)?.target(user);
        self.write(record).await?;
        let mut reader = self.0.database.shared().read().await?;
        let sessions = reader.sessions_of(user).await?;
        let roles = reader.roles_of(user).await?;
        drop(reader);
        let sessions: Vec<Value> = sessions
            .iter()
            .map(|session| {
                json!({
                    "id": session.id, "user_agent": session.user_agent, "address": session.address,
                    "created_at": session.created_at.to_string(), "refreshed_at": session.refreshed_at.to_string(),
                })
            })
            .collect();
        let everything = self.0.guard.unguarded();
        let mut tables = Map::new();
        for personal in &self.0.personal {
            tables.insert(personal.table.clone(), self.personal_rows(&everything, personal, user).await?);
        }
        let files = match &self.0.files {
            Some(files) => files.told_of(user).await?,
            None => Value::Array(Vec::new()),
        };
        Ok(json!({
            "files": files,
            "user": serde_json::from_str::<Value>(&account.to_json()?).map_err(Error::internal)?,
            "sessions": sessions,
            "roles": roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tables": tables,
        }))
    }

    async fn personal_rows(
        &self,
        everything: &Unguarded,
        personal: &Personal,
        user: UserId,
    ) -> Result<Value> {
        let Personal { table, column } = personal;
        let found = self.0.guard.schema().table(table).ok_or_else(|| {
            Error::new(Code::Configuration, format!("personal data: there is no table {table}"))
        })?;
        let (name, whose) = (quote(table), quote(column));
        let object = if everything.is_postgres() {
            "row_to_json(of_person)::text".to_owned()
        } else {
            let cell = |column: &crate::policy::Column| {
                let (key, name) = (column.name.replace('\'', "''"), quote(&column.name));
                format!("'{key}', CASE WHEN typeof({name}) = 'blob' THEN hex({name}) ELSE {name} END")
            };
            format!("json_object({})", found.columns.iter().map(cell).collect::<Vec<_>>().join(", "))
        };
        let sealed: Vec<_> = self.0.sealed.iter().filter(|column| column.declared.table == table).collect();
        let key = sealed.first().map(|column| column.declared.key);
        let shown = key.map_or_else(|| "''".to_owned(), |key| format!("CAST({} AS TEXT)", quote(key)));
        let select = format!("SELECT {shown}, {object} FROM {name} AS of_person WHERE {whose} = $1");
        let rows: Vec<(String, String)> = everything.query_as(&select).bind(user).fetch_all().await?;
        let mut opened: BTreeMap<(RowKey, &str), Value> = BTreeMap::new();
        for column in &sealed {
            let (key, cell) = (quote(column.declared.key), quote(column.declared.column));
            let select =
                format!("SELECT {key}, {cell} FROM {name} WHERE {whose} = $1 AND {cell} IS NOT NULL");
            let cells: Vec<(RowKey, Sealed<()>)> =
                everything.query_as(&select).bind(user).fetch_all().await?;
            for (key, cell) in cells {
                let shown = match column.shown(everything, key, &cell).await {
                    // Written by somebody who was erased: nobody can read it, and the rest is theirs to have.
                    Err(error) if error.code() == Code::KeyDestroyed => Value::Null,
                    shown => shown?,
                };
                opened.insert((key, column.declared.column), shown);
            }
        }
        let mut shown = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let mut row: Map<String, Value> = serde_json::from_str(&row).map_err(Error::internal)?;
            if let Ok(key) = key.parse::<RowKey>() {
                for column in &sealed {
                    if let Some(value) = opened.remove(&(key, column.declared.column)) {
                        row.insert(column.declared.column.to_owned(), value);
                    }
                }
            }
            shown.push(Value::Object(row));
        }
        Ok(Value::Array(shown))
    }
}

/// The row of a destroyed key for one who never had any: a request that is under way makes none either.
async fn none_from_now_on(transaction: &mut dyn Transaction, owner: &KeyOwner, now: Timestamp) -> Result<()> {
    for _ in 0..TRIES {
        let id = transaction.newest_key().await?.max(FIRST_FREE - 1).saturating_add(1);
        let row = KeyRow {
            id,
            purpose: Purpose::Field.as_str().to_owned(),
            owner: owner.to_string(),
            state: KeyState::Destroyed.as_str().to_owned(),
            wrapped: Vec::new(),
            created_at: now,
            changed_at: Some(now),
        };
        // Taken where another process made a key at this moment.
        if transaction.insert_key(&row).await? {
            return Ok(());
        }
    }
    Err(Error::overloaded(1))
}

fn no_ledger() -> Error {
    let sentence = "it is kept nowhere who was erased, so that a backup would bring them back: name a place with \
                    Builder::erasure_ledger(..)";
    Error::new(Code::Configuration, sentence)
}
