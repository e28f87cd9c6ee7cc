//! Cells that are sealed before they reach the database, and opened for those whom the policy shows the row.
//!
//! 1. A column is declared once ([`SealedColumn`]), and its rows' keys are made before the INSERT ([`RowKey`]): a value
//!    is sealed for its table, column and row, and opens nowhere else.
//! 2. A plain value cannot be written by mistake. What is written into a sealed column is a bound [`Sealed`] for that
//!    column and for the row that the statement names, or NULL; any other statement is refused before it runs.
//! 3. A plain value is never read: what does not open is an error.
//! 4. The database sees bytes. No SQL expression looks into them; what is equal is found by a [`Blind`] index, where
//!    one was asked for.

mod column;
mod content;
mod encrypt;
mod key;
mod place;
mod value;
mod vault;
mod writes;

pub(crate) use column::Declared;
pub use column::SealedColumn;
pub use content::Content;
pub use encrypt::Encrypted;
pub use key::RowKey;
pub(crate) use place::CellPlace;
pub(super) use value::Noted;
pub use value::{Blind, Sealed};
pub(crate) use vault::Vault;
