use std::future::Future;
use std::str::FromStr;

use super::Guarded;
use crate::types::{Code, Error, Result};

/// What a path names by its id: how a host's type is read, for the `Owned<T>` of the adapters.
///
/// ```
/// use aurora_core::guard::{Guarded, Load};
/// use aurora_core::types::Result;
///
/// #[derive(sqlx::FromRow)]
/// struct Note {
///     id: i64,
///     title: String,
/// }
///
/// impl Load for Note {
///     type Id = i64;
///     const NAME: &'static str = "note";
///
///     async fn load(db: &Guarded, id: i64) -> Result<Option<Self>> {
///         db.query_as("SELECT id, title FROM notes WHERE id = $1").bind(id).fetch_optional().await
///     }
/// }
/// ```
pub trait Load: Sized + Send {
    /// What stands in the path. What does not parse as one names nothing.
    type Id: FromStr + Send;

    /// What it is called where it is missing: `no such note`.
    const NAME: &'static str;

    /// The path's parameter.
    const PARAMETER: &'static str = "id";

    /// Reads it as the caller. `None` where there is none that they may see.
    fn load(db: &Guarded, id: Self::Id) -> impl Future<Output = Result<Option<Self>>> + Send;
}

impl Guarded {
    /// The `T` that the path's parameter names, if the caller may see it.
    ///
    /// [`Code::NotFound`], 404, whether it does not exist, is somebody else's, is of a table that the caller may not
    /// read, or the text cannot be an id: which of them nobody learns.
    pub async fn owned<T: Load>(&self, parameter: Option<&str>) -> Result<T> {
        let missing = || Error::new(Code::NotFound, format!("no such {}", T::NAME));
        let Some(id) = parameter.and_then(|text| text.parse().ok()) else { return Err(missing()) };
        match T::load(self, id).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(missing()),
            Err(error) if error.code() == Code::InsufficientPrivilege => Err(missing().with_source(error)),
            Err(error) => Err(error),
        }
    }
}
