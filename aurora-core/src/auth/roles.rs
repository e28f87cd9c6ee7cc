use std::collections::BTreeSet;

use super::{Auth, no_bearer};
use crate::audit::{Action, Actor, Record};
use crate::session::{Client, MOST_ROLES, MoreClaims};
use crate::store::{RoleRow, Transaction, User};
use crate::types::{Code, Error, Permission, Principal, Result, Role, RoleName, UserId};

/// What a user needs to give and take roles.
const MAY_GRANT: &str = "roles.grant";
/// The highest rank.
const HIGHEST: i64 = 1000;
/// Permissions of one role. They are laid over the claims of whoever holds it, at each of their transactions.
const MOST_PERMISSIONS: usize = 64;

/// Who gives or takes a role.
#[derive(Clone, Copy, Debug)]
pub enum Granter<'a> {
    /// The service itself, which may all; with the reason that the audit log keeps. What the command line is.
    Service(&'a str),
    /// A user, within what they may: see [`Auth::grant_role`].
    User {
        /// Who.
        principal: &'a Principal,
        /// From where.
        client: &'a Client,
    },
}

/// A role that users hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRole {
    /// What it is called: in `user_roles` of the claims, and in `TO` of a policy.
    pub name: RoleName,
    /// How high it stands, 0 to 1000: a user gives and takes only what stands no higher than they do.
    pub rank: u16,
    /// What it lets its holders do, at most 64.
    pub permissions: Vec<Permission>,
}

/// Roles and who holds them. A change counts at once in this process and within a second in every other, for access
/// tokens that were given out before as well.
impl Auth {
    /// Every role, by name.
    pub async fn roles(&self) -> Result<Vec<UserRole>> {
        self.database().read().await?.roles().await?.into_iter().map(UserRole::of).collect()
    }

    /// The roles that a user holds, by name.
    pub async fn roles_of(&self, user: UserId) -> Result<Vec<RoleName>> {
        self.database().read().await?.roles_of(user).await
    }

    /// Who holds a role, by id, those after `after`, at most 1000.
    pub async fn holders_of(&self, role: &RoleName, after: Option<UserId>) -> Result<Vec<UserId>> {
        self.database().read().await?.holders(role, after).await
    }

    /// Makes a role, or, if it is there, makes it as it is given. The service's own word, with its reason.
    ///
    /// [`Code::ValidationFailed`] for a rank above 1000 or more than 64 permissions.
    pub async fn define_role(&self, role: UserRole, reason: &str) -> Result<()> {
        let row = self.row(role)?;
        let mut transaction = self.database().begin().await?;
        transaction.take_roles_turn().await?;
        let is_new = transaction.insert_role(&row).await?;
        if !is_new {
            transaction.update_role(&row).await?;
        }
        let permissions: Vec<&str> = row.permissions.iter().map(Permission::as_str).collect();
        let record = self
            .named_by_service(Action::ROLE_DEFINED, reason)
            .target(&row.name)
            .with("new", is_new)
            .with("rank", row.rank)
            .with("permissions", permissions.join(" "));
        self.finish(transaction, record).await
    }

    /// Deletes a role and takes it from whoever holds it. [`Code::NotFound`].
    pub async fn delete_role(&self, role: &RoleName, reason: &str) -> Result<()> {
        let mut transaction = self.database().begin().await?;
        transaction.take_roles_turn().await?;
        if !transaction.delete_role(role).await? {
            return Err(no_such_role());
        }
        self.finish(transaction, self.named_by_service(Action::ROLE_DELETED, reason).target(role)).await
    }

    /// Gives a user a role. `false` if they held it already.
    ///
    /// A user who gives it holds the permission `roles.grant` and a role of the same rank or a higher one, may do all
    /// that it lets its holders do, and does not give it to somebody who stands above them. Whatever of that fails is
    /// [`Code::InsufficientPrivilege`], recorded. [`Code::NotFound`] and [`Code::UserNotFound`] are told to those only
    /// who may grant at all; [`Code::ValidationFailed`] where a token has no room for one role more.
    pub async fn grant_role(&self, by: Granter<'_>, user: UserId, role: &RoleName) -> Result<bool> {
        self.change_role(by, user, role, Change::Grant).await
    }

    /// Takes a role from a user, within the same bounds. `false` if they did not hold it.
    pub async fn revoke_role(&self, by: Granter<'_>, user: UserId, role: &RoleName) -> Result<bool> {
        self.change_role(by, user, role, Change::Revoke).await
    }

    async fn change_role(
        &self,
        by: Granter<'_>,
        user: UserId,
        role: &RoleName,
        change: Change,
    ) -> Result<bool> {
        let mut transaction = self.database().begin().await?;
        // What is read of roles from here on stays: nobody loses theirs between the check and the change.
        transaction.take_roles_turn().await?;
        let record = self.record_of(by, change.action()).target(user).with("role", role);
        if let Some(denial) = self.denial(&mut *transaction, by, user, role).await? {
            drop(transaction);
            let record = self.record_of(by, Action::ROLE_CHANGE_FAILED).target(user).with("role", role);
            let record = record.with("reason", denial).with("change", change.as_str());
            let error = Error::new(Code::InsufficientPrivilege, "permission denied");
            return Err(self.deny(record, error).await);
        }
        let found = transaction.user(user).await?.filter(|user| user.deleted_at.is_none());
        let Some(found) = found else {
            return Err(Error::new(Code::UserNotFound, "User not found"));
        };
        if !transaction.roles().await?.iter().any(|row| row.name == *role) {
            return Err(no_such_role());
        }
        let changed = match change {
            Change::Grant => {
                let actor = record.actor().to_string();
                let granted = transaction.grant_role(user, role, &actor, self.now()).await?;
                self.check_room(&mut *transaction, &found).await?;
                granted
            }
            Change::Revoke => transaction.revoke_role(user, role).await?,
        };
        if changed {
            self.finish(transaction, record).await?;
        }
        Ok(changed)
    }

    /// Why this granter may not, if they may not.
    async fn denial(
        &self,
        transaction: &mut dyn Transaction,
        by: Granter<'_>,
        user: UserId,
        role: &RoleName,
    ) -> Result<Option<&'static str>> {
        let Granter::User { principal, .. } = by else { return Ok(None) };
        if principal.reads_only() {
            let sentence = "A request that only reads cannot give or take a role";
            return Err(Error::new(Code::ReadOnlyTransaction, sentence));
        }
        let granter = match (principal.role(), principal.user_id()) {
            (Role::Service, _) => return Ok(None),
            (Role::Authenticated, Some(granter)) => granter,
            _ => return Err(no_bearer()),
        };
        let known = transaction.roles().await?;
        let own = Standing::of(transaction, &known, granter).await?;
        if !own.permissions.contains(MAY_GRANT) {
            return Ok(Some("may not grant"));
        }
        let Some(role) = known.iter().find(|row| row.name == *role) else { return Ok(None) };
        if role.rank > own.rank {
            return Ok(Some("a role above one's own"));
        }
        if !role.permissions.iter().all(|permission| own.permissions.contains(permission.as_str())) {
            return Ok(Some("a permission that one does not have"));
        }
        let theirs = Standing::of(transaction, &known, user).await?;
        Ok((theirs.rank > own.rank).then_some("a user who stands above"))
    }

    /// Whether a token still has room for what a user holds.
    async fn check_room(&self, transaction: &mut dyn Transaction, user: &User) -> Result<()> {
        let roles = transaction.roles_of(user.id).await?;
        let more = MoreClaims::of_roles(&roles);
        let fits = self.0.sessions.check_claims(&user.app_metadata, &user.user_metadata, &more);
        if roles.len() <= MOST_ROLES && fits.is_ok() {
            return Ok(());
        }
        let sentence = "this user's token has no room for another role: at most 16, beside the metadata";
        Err(Error::new(Code::ValidationFailed, sentence))
    }

    fn row(&self, role: UserRole) -> Result<RoleRow> {
        let permissions: BTreeSet<Permission> = role.permissions.into_iter().collect();
        let rank = i64::from(role.rank);
        if rank > HIGHEST || permissions.len() > MOST_PERMISSIONS {
            let sentence = "a role has a rank of 0 to 1000 and at most 64 permissions";
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let permissions = permissions.into_iter().collect();
        Ok(RoleRow { name: role.name, rank, permissions, created_at: self.now() })
    }

    fn named_by_service(&self, action: Action, reason: &str) -> Record {
        Record::security(self.now(), Actor::Service, action).with("reason", reason)
    }

    fn record_of(&self, by: Granter<'_>, action: Action) -> Record {
        match by {
            Granter::Service(reason) => self.named_by_service(action, reason),
            Granter::User { principal, client } => self.record(Actor::of(principal), action, client),
        }
    }

    async fn finish(&self, mut transaction: Box<dyn Transaction>, record: Record) -> Result<()> {
        self.0.audit.write(&mut *transaction, record).await?;
        transaction.commit().await?;
        self.0.sessions.roles_changed().await;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Change {
    Grant,
    Revoke,
}

impl Change {
    fn action(self) -> Action {
        match self {
            Self::Grant => Action::ROLE_GRANTED,
            Self::Revoke => Action::ROLE_REVOKED,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }
}

/// How high somebody stands, and what they may. Without a role: below every role.
struct Standing {
    rank: i64,
    permissions: BTreeSet<String>,
}

impl Standing {
    /// As the database has it, not as a token says.
    async fn of(transaction: &mut dyn Transaction, known: &[RoleRow], user: UserId) -> Result<Self> {
        let held = transaction.roles_of(user).await?;
        let held: Vec<&RoleRow> = known.iter().filter(|row| held.contains(&row.name)).collect();
        Ok(Self {
            rank: held.iter().map(|row| row.rank).max().unwrap_or(-1),
            permissions: held.iter().flat_map(|row| &row.permissions).map(ToString::to_string).collect(),
        })
    }
}

impl UserRole {
    fn of(row: RoleRow) -> Result<Self> {
        let rank = u16::try_from(row.rank).map_err(Error::internal)?;
        Ok(Self { name: row.name, rank, permissions: row.permissions })
    }
}

fn no_such_role() -> Error {
    Error::new(Code::NotFound, "no such role")
}
