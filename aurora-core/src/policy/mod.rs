//! Row policies: what PostgreSQL's `CREATE POLICY` text means, as SQL that SQLite can run.
//!
//! 1. Pure: no I/O, no clock, no randomness. The schema and the claims come in as values.
//! 2. Policy text never passes through. It is parsed, checked, typed and printed from our own form; every
//!    column is qualified, every identifier quoted, every inner table given an alias that nothing can capture.
//! 3. What is outside the subset is refused with file, line, construct and what to write instead; nothing is
//!    dropped silently, and all errors are reported at once.
//! 4. PostgreSQL decides what a policy means: permissive policies are ORed, restrictive ones ANDed, none means
//!    deny, NULL means deny, an inner table answers under its own policies, recursion is an error (42P17).
//! 5. Where SQLite's values differ from PostgreSQL's, the lowered text calls functions of ours
//!    ([`functions`]).
//! 6. A rewriting that changes NULL to false, or back, happens only where no `NOT` stands above.
//!
//! ```
//! use aurora_core::policy::{Column, Command, Names, Policies, Predicate, Schema, Table};
//! use aurora_core::types::Role;
//!
//! struct Plain;
//! impl Names for Plain {
//!     fn row(&self, column: &str) -> String { format!("\"notes\".\"{column}\"") }
//!     fn table(&self, table: &str) -> String { format!("\"{table}\"") }
//!     fn owner_table(&self, table: &str) -> String { format!("\"{table}\"") }
//!     fn function(&self, name: &str) -> String { name.to_owned() }
//! }
//!
//! let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
//!             CREATE POLICY own ON notes FOR SELECT TO authenticated USING (owner = auth.uid());";
//! let schema = Schema { tables: vec![Table::new("notes", vec![Column::new("owner", "TEXT")])] };
//! let lowered = Policies::parse(text, "policies.sql").unwrap().lower(&schema).unwrap();
//!
//! let Predicate::Expr(own) = lowered.using("notes", Role::Authenticated, Command::Select) else { panic!() };
//! assert_eq!(own.render(&Plain), r#"("notes"."owner" = (SELECT auth_uid_text()))"#);
//! assert!(matches!(lowered.using("notes", Role::Anon, Command::Select), Predicate::False));
//! ```

mod arithmetic;
mod arrays;
mod builtins;
mod calls;
mod catalog;
mod check;
mod coerce;
mod constant;
mod convert;
mod duplicate;
mod error;
mod evaluate;
mod expr;
mod forms;
pub mod functions;
mod grants;
mod held;
mod hidden;
mod host;
mod index;
mod inline;
mod known;
mod lint;
mod lower;
mod names;
mod one_row;
mod operators;
mod optimise;
mod overloads;
mod parse;
mod pattern;
pub(crate) mod postgres;
mod predicate;
mod prefix;
mod query;
mod raw;
mod reach;
mod regex;
mod render;
mod routine;
mod schema;
mod select;
mod spelling;
mod through;
mod tokens;
mod values;

pub use error::{PolicyError, PolicyErrors, PolicyWarning};
pub use evaluate::{
    AsValue, BindError, Bound, Clause, Compiled, Decision, EvaluationError, Explainer, Explanation, Fact,
    FactValue, Facts, Outcome, Record, Row, RowLayout, ValueRef,
};
pub use grants::Columns;
pub use index::WantedIndex;
pub use known::Known;
pub use lower::Lowered;
pub use parse::Policies;
pub use predicate::{Check, Lowering, Predicate};
pub use render::Names;
pub use schema::{Column, Command, Index, Schema, Table};
