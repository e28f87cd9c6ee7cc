use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::transaction::{SqliteReader, SqliteWrite};
use super::{failure, is_unique_violation, statements};
use crate::store::{ReadRoles, RoleChange, RoleRow, WriteRoles};
use crate::types::{Error, Permission, Result, RoleName, Timestamp, UserId};

fn column<'r, T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
    row: &'r SqliteRow,
    name: &str,
) -> Result<T> {
    row.try_get(name).map_err(failure)
}

fn parsed<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T> {
    // A row that we did not write: our failure, not the client's.
    text.parse().map_err(|error: Error| Error::internal(error))
}

fn role(row: &SqliteRow) -> Result<RoleRow> {
    let permissions: Vec<String> =
        serde_json::from_str(column(row, "permissions")?).map_err(Error::internal)?;
    let mut permissions = permissions.iter().map(|name| parsed(name)).collect::<Result<Vec<Permission>>>()?;
    permissions.sort();
    Ok(RoleRow {
        name: parsed(column(row, "name")?)?,
        rank: column(row, "rank")?,
        permissions,
        created_at: Timestamp::from_micros(column(row, "created_at")?),
    })
}

fn change(row: &SqliteRow) -> Result<RoleChange> {
    let user: Option<&str> = column(row, "user_id")?;
    Ok(RoleChange { sequence: column(row, "sequence")?, user: user.map(parsed).transpose()? })
}

macro_rules! reads {
    ($type:ty) => {
        #[async_trait]
        impl ReadRoles for $type {
            async fn roles(&mut self) -> Result<Vec<RoleRow>> {
                let query = sqlx::query(statements::ROLES);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(role).collect()
            }

            async fn roles_of(&mut self, user: UserId) -> Result<Vec<RoleName>> {
                let query = sqlx::query(statements::ROLES_OF).bind(user.to_string());
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(|row| parsed(column(row, "role")?)).collect()
            }

            async fn holders(&mut self, role: &RoleName, after: Option<UserId>) -> Result<Vec<UserId>> {
                let after = after.map(|user| user.to_string()).unwrap_or_default();
                let query = sqlx::query(statements::HOLDERS).bind(role.as_str().to_owned()).bind(after);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(|row| parsed(column(row, "user_id")?)).collect()
            }

            async fn role_changes(&mut self, after: i64) -> Result<Vec<RoleChange>> {
                let query = sqlx::query(statements::ROLE_CHANGES).bind(after);
                let found = query.fetch_all(self.connection()).await.map_err(failure)?;
                found.iter().map(change).collect()
            }
        }
    };
}

reads!(SqliteReader);
reads!(SqliteWrite);

impl SqliteWrite {
    async fn add_permissions(&mut self, role: &RoleRow) -> Result<()> {
        for permission in &role.permissions {
            let query = sqlx::query(statements::INSERT_ROLE_PERMISSION)
                .bind(role.name.as_str().to_owned())
                .bind(permission.as_str().to_owned());
            query.execute(self.connection()).await.map_err(failure)?;
        }
        Ok(())
    }
}

#[async_trait]
impl WriteRoles for SqliteWrite {
    /// There is one writer.
    async fn take_roles_turn(&mut self) -> Result<()> {
        Ok(())
    }

    async fn insert_role(&mut self, role: &RoleRow) -> Result<bool> {
        let query = sqlx::query(statements::INSERT_ROLE)
            .bind(role.name.as_str().to_owned())
            .bind(role.rank)
            .bind(role.created_at.as_micros());
        match query.execute(self.connection()).await {
            Ok(_) => self.add_permissions(role).await.map(|()| true),
            Err(error) if is_unique_violation(&error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    async fn update_role(&mut self, role: &RoleRow) -> Result<bool> {
        let query = sqlx::query(statements::UPDATE_ROLE).bind(role.name.as_str().to_owned()).bind(role.rank);
        if query.execute(self.connection()).await.map_err(failure)?.rows_affected() == 0 {
            return Ok(false);
        }
        let query = sqlx::query(statements::DELETE_ROLE_PERMISSIONS).bind(role.name.as_str().to_owned());
        query.execute(self.connection()).await.map_err(failure)?;
        self.add_permissions(role).await.map(|()| true)
    }

    async fn delete_role(&mut self, role: &RoleName) -> Result<bool> {
        let query = sqlx::query(statements::DELETE_ROLE).bind(role.as_str().to_owned());
        Ok(query.execute(self.connection()).await.map_err(failure)?.rows_affected() == 1)
    }

    async fn grant_role(&mut self, user: UserId, role: &RoleName, by: &str, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(statements::GRANT_ROLE)
            .bind(user.to_string())
            .bind(role.as_str().to_owned())
            .bind(by.to_owned())
            .bind(now.as_micros());
        Ok(query.execute(self.connection()).await.map_err(failure)?.rows_affected() == 1)
    }

    async fn revoke_role(&mut self, user: UserId, role: &RoleName) -> Result<bool> {
        let query =
            sqlx::query(statements::REVOKE_ROLE).bind(user.to_string()).bind(role.as_str().to_owned());
        Ok(query.execute(self.connection()).await.map_err(failure)?.rows_affected() == 1)
    }

    async fn forget_role_changes(&mut self, now: Timestamp, horizon: Timestamp) -> Result<()> {
        let query = sqlx::query(statements::FORGET_ROLE_CHANGES).bind(horizon.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        let query = sqlx::query(statements::NOTE_ROLE_CHANGES).bind(now.as_micros());
        query.execute(self.connection()).await.map_err(failure)?;
        Ok(())
    }
}
