//! A policy file for PostgreSQL: the statements that install it.
//!
//! 1. The text is PostgreSQL's own, so it is cut and not parsed and printed: what is installed means what was
//!    written, but for the three changes below.
//! 2. `auth.uid()` and its kin become functions that verify who asks.
//! 3. What decides for whom a policy holds asks for that role's identity: a policy for one role does so itself, and
//!    beside others stands a restrictive one for each role. A role that an injection switched to, and back again
//!    before the policies are asked, is worth nothing. In a table that its own policies read again, they are functions
//!    instead of subqueries: `again` says why.
//! 4. Membership of the caller becomes an array where that is the same, and faster; what is asked of the identity alone
//!    is asked once.

mod again;
mod grants;
mod identity;
mod joined;
mod kinds;
pub(crate) mod lexer;
mod membership;
mod print;
mod read;

pub(crate) use grants::Grantee;
pub(crate) use identity::TENANT_CLAIM;
pub(crate) use print::{Installation, Installed, Policy, quote_text};
pub(crate) use read::{Native, TableName, read};
