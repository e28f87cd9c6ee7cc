//! The contract of [`store::Database`](crate::store::Database) as a suite that every store runs.
//!
//! A backend's test hands over two handles on one empty database, as two processes would hold them, and gets the
//! names of the checks that passed; the first that fails is an error which names it.
//!
//! ```
//! use std::sync::Arc;
//! use aurora_core::env::SystemClock;
//! use aurora_core::store::SqliteDatabase;
//! use aurora_core::testing::store::{self, Handles};
//!
//! # #[tokio::main]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-store-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! let path = dir.join("app.db").display().to_string();
//! let first = Arc::new(SqliteDatabase::open(&path, &SystemClock).await?);
//! let second = Arc::new(SqliteDatabase::open(&path, &SystemClock).await?);
//! let passed = store::conforms(&Handles { first, second }).await?;
//! assert!(passed.len() > 10);
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

mod clearing;
mod factors;
mod keys;
mod races;
mod records;
mod roles;
mod samples;
mod waiting;

use std::sync::Arc;

use crate::store::Database;
use crate::types::{BoxFuture, Error, Result};

/// Two handles on one database, as two processes hold them.
#[derive(Clone, Debug)]
pub struct Handles {
    /// One.
    pub first: Arc<dyn Database>,
    /// The other.
    pub second: Arc<dyn Database>,
}

type Check = for<'a> fn(&'a Handles) -> BoxFuture<'a, Result<()>>;

macro_rules! checks {
    ($($room:ident :: $name:ident,)+) => {
        const CHECKS: &[(&str, Check)] = &[$((stringify!($name), |handles| Box::pin($room::$name(handles))),)+];
    };
}

checks! {
    records::what_is_not_there_is_none,
    records::a_user_comes_back_as_written,
    records::a_taken_address_is_false_and_the_transaction_goes_on,
    records::an_identity_is_renewed,
    records::a_deleted_user_takes_all_along,
    records::sessions_are_listed_newest_first,
    records::a_rotation_is_a_chain,
    records::a_rotation_of_another_generation_is_refused,
    records::whatever_ends_a_session_leaves_a_revocation,
    records::a_sweep_ends_what_expired,
    records::keys_are_added_once,
    records::a_record_is_appended,
    races::a_dropped_transaction_leaves_nothing,
    races::a_reader_waits_for_no_writer,
    races::what_a_transaction_read_stays,
    races::one_address_has_one_user,
    races::a_token_is_rotated_once,
    races::no_revocation_is_missed,
    roles::a_role_comes_back_as_written,
    roles::whoever_gets_or_loses_a_role_is_told_of,
    roles::a_change_that_was_rolled_back_is_not_told,
    roles::changes_are_forgotten_when_they_are_old,
    waiting::a_mail_is_taken_when_due_and_comes_back,
    waiting::no_mail_is_taken_twice,
    waiting::a_slot_is_leased,
    clearing::the_newest_token_at_an_address_is_anybody_s,
    clearing::who_never_confirmed_is_found_page_by_page,
    clearing::who_is_anonymous_is_found_without_a_session,
    factors::a_factor_comes_back_as_written,
    factors::a_challenge_goes_once_and_with_its_factor,
    factors::a_step_is_used_once,
    factors::a_recovery_code_is_used_once,
    factors::a_rewritten_session_has_one_token,
    keys::an_api_key_is_noted_and_revoked_once,
    keys::a_signing_key_changes_its_state_once,
}

/// Runs every check, and answers their names.
///
/// # Errors
/// [`Code::UnexpectedFailure`](crate::types::Code::UnexpectedFailure), whose cause names the check and what it found.
pub async fn conforms(handles: &Handles) -> Result<Vec<&'static str>> {
    let mut passed = Vec::new();
    for (name, check) in CHECKS {
        check(handles).await.map_err(|error| Error::internal(format!("{name}: {error:?}")))?;
        passed.push(*name);
    }
    Ok(passed)
}

/// Fails with what was found instead.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::internal(format!("{what}: found {found:?}, wanted {wanted:?}")))
}

fn is(what: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(format!("not so: {what}"))) }
}

fn there<T>(what: &str, found: Option<T>) -> Result<T> {
    found.ok_or_else(|| Error::internal(format!("not there: {what}")))
}
