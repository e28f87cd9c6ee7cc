//! A policy file for PostgreSQL: the statements that install it.
//!
//! 1. The text is PostgreSQL's own, so it is cut and not parsed and printed: what is installed means what was
//!    written, but for the three changes below.
//! 2. `auth.uid()` and its kin become functions that verify who asks.
//! 3. A permissive policy that does not ask gets `(SELECT bound FROM aurora.identity) AND (..)`: a role that an injection
//!    switched to is worth nothing without a verified identity.
//!    In a table that its own policies read again, both stand without `SELECT`: `again` says why.
//! 4. Membership of the caller becomes an array where that is the same, and faster.

mod again;
mod grants;
mod identity;
pub(crate) mod lexer;
mod membership;
mod print;
mod read;

pub(crate) use grants::Grantee;
pub(crate) use identity::TENANT_CLAIM;
pub(crate) use print::{Installation, Installed, Policy, quote, quote_text};
pub(crate) use read::{Native, TableName, read};
