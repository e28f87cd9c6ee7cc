use std::fmt::Debug;

use super::Account;
use crate::store::HostTransaction;
use crate::types::{BoxFuture, Result};

/// What the host adds to a sign-up: its own profile row, in the same transaction.
///
/// Implementations are the host's. An error rolls the sign-up back and is what the client sees; a panic rolls it
/// back as well, and so does the end of the time that hooks have (`hook_time_limit`): [`Code::HookTimeout`]. The
/// writer's turn is held meanwhile: do nothing slow here, and write through the transaction that is lent only. Any
/// other would wait for this one's end.
///
/// [`Code::HookTimeout`]: crate::types::Code::HookTimeout
///
/// ```
/// use aurora_core::auth::{Account, SignUpHook};
/// use aurora_core::store::HostTransaction;
/// use aurora_core::types::{BoxFuture, Error, Result};
///
/// #[derive(Debug)]
/// struct Profiles;
///
/// impl SignUpHook for Profiles {
///     fn signed_up<'a>(&'a self, mut tx: HostTransaction<'a>, account: &'a Account) -> BoxFuture<'a, Result<()>> {
///         Box::pin(async move {
///             sqlx::query("INSERT INTO profiles (user_id) VALUES ($1)")
///                 .bind(account.id().to_string())
///                 .execute(tx.sqlite()?)
///                 .await
///                 .map_err(Error::internal)?;
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait SignUpHook: Send + Sync + Debug {
    /// Called for each new user, after Aurora's rows were written and before the commit.
    fn signed_up<'a>(
        &'a self,
        transaction: HostTransaction<'a>,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<()>>;
}
