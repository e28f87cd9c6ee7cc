//! The command line for a host's own binary, since only the host knows its tables, functions and keys.
//!
//! 1. A command prints to standard output what it found and did, and fails with an error when a script should stop.
//! 2. Nothing is changed by a command whose name does not say so: `check`, `plan`, `explain`, `list` and `show` only
//!    read. They run no migrations of the host's, install no policies and make no file; what Aurora keeps on SQLite is
//!    brought up to date.
//! 3. No secret is printed, but for the key that `api-keys create` makes, once.
//!
//! ```no_run
//! # async fn start() -> aurora_core::types::Result<()> {
//! let builder = aurora_core::Aurora::builder();
//! let Some(aurora) = aurora_core::cli::run(builder).await? else { return Ok(()) };
//! // no command was given: serve
//! # Ok(()) }
//! ```

mod api_keys;
mod columns;
mod commands;
mod explain;
mod keys;
mod person;
mod report;
mod roles;

use std::ffi::OsString;
use std::io::Write as _;

use clap::error::ErrorKind;

use crate::types::{Code, Error, Result};
use crate::{Aurora, Builder};

/// Runs the command that the program's arguments name and answers `None`; without one of ours, builds.
///
/// # Errors
/// What [`Builder::build`] or the command found. The findings themselves were printed.
pub async fn run(builder: Builder) -> Result<Option<Aurora>> {
    run_with(builder, std::env::args_os()).await
}

/// The same for arguments of the host's choosing, the program's name first.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    builder: Builder,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<Aurora>> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    if !commands::NAMES.contains(&first) {
        return builder.build().await.map(Some);
    }
    match commands::parser().try_get_matches_from(&arguments) {
        Ok(matches) => commands::run(builder, &matches).await.map(|()| None),
        Err(problem) if problem.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print(&problem.to_string())?;
            Err(Error::new(Code::ValidationFailed, "which of these?"))
        }
        Err(problem) if problem.use_stderr() => {
            let text = problem.to_string();
            Err(Error::new(Code::ValidationFailed, text.trim_start_matches("error: ").trim_end().to_owned()))
        }
        Err(help) => print(&help.to_string()).map(|()| None),
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::internal)
}
