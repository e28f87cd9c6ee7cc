use async_trait::async_trait;

use crate::types::{Permission, Result, RoleName, Timestamp, UserId};

/// A role as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleRow {
    /// What it is called.
    pub name: RoleName,
    /// How high it stands, 0 to 1000: nobody gives or takes what stands above them.
    pub rank: i64,
    /// What it lets its holders do, ascending.
    pub permissions: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// That roles changed: whose tokens say something old now.
///
/// Triggers of the database write it, so that a host's own statement leaves one, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleChange {
    /// Ascends in the order of commits.
    pub sequence: i64,
    /// Who holds other roles than before; `None`: a role itself became another.
    pub user: Option<UserId>,
}

/// Questions about roles.
#[async_trait]
pub trait ReadRoles: Send {
    /// Every role, by name.
    async fn roles(&mut self) -> Result<Vec<RoleRow>>;

    /// The roles that a user holds, by name.
    async fn roles_of(&mut self, user: UserId) -> Result<Vec<RoleName>>;

    /// Who holds a role, by id, those after `after`, at most 1000.
    async fn holders(&mut self, role: &RoleName, after: Option<UserId>) -> Result<Vec<UserId>>;

    /// Changes of roles after `sequence`, ascending, at most 10000.
    async fn role_changes(&mut self, after: i64) -> Result<Vec<RoleChange>>;
}

/// Changes of roles.
#[async_trait]
pub trait WriteRoles: ReadRoles {
    /// Waits until no other transaction changes roles: what is read of them from here on stays until this one ends.
    /// Comes before any user is read in the transaction.
    async fn take_roles_turn(&mut self) -> Result<()>;

    /// Adds a role with its permissions. `false` if the name is taken.
    async fn insert_role(&mut self, role: &RoleRow) -> Result<bool>;

    /// Writes rank and permissions of a role. `false` if it is gone.
    async fn update_role(&mut self, role: &RoleRow) -> Result<bool>;

    /// Deletes a role and takes it from whoever holds it. `false` if it was gone.
    async fn delete_role(&mut self, role: &RoleName) -> Result<bool>;

    /// Gives a user a role. `false` if they held it. `by` is the actor's name in the audit log.
    async fn grant_role(&mut self, user: UserId, role: &RoleName, by: &str, now: Timestamp) -> Result<bool>;

    /// Takes a role from a user. `false` if they did not hold it.
    async fn revoke_role(&mut self, user: UserId, role: &RoleName) -> Result<bool>;

    /// Dates changes that have no date yet with `now`, and forgets those dated before `horizon`.
    async fn forget_role_changes(&mut self, now: Timestamp, horizon: Timestamp) -> Result<()>;
}
