//! Opening what is there, for commands that only look.

use super::Builder;
use super::database::{Database, Place};
use crate::store::sqlite_file;
use crate::types::{Code, Error, Result};

impl Builder {
    /// Builds without making, migrating or installing anything of the host's, and without jobs: what a command does
    /// that only looks. On SQLite Aurora's own tables are brought up to date all the same.
    pub(crate) fn reading(mut self) -> Result<Self> {
        self.migrations = None;
        self.database = self.database.map(Database::reading).transpose()?;
        self.reads = true;
        Ok(self)
    }
}

impl Database {
    fn reading(mut self) -> Result<Self> {
        match &mut self.0 {
            Place::Sqlite { url } => {
                let file = sqlite_file(url)?;
                if !file.exists() {
                    let text =
                        format!("there is no database `{}` yet; start the service once", file.display());
                    return Err(Error::new(Code::NotFound, text));
                }
            }
            Place::Postgres(place) => {
                place.migrate = None;
                place.installs = false;
            }
        }
        Ok(self)
    }
}
