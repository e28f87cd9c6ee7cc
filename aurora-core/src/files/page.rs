//! Where a list goes on: what a client is handed and brings back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::list::Listing;
use crate::types::{Code, Error, Result};

/// Longer is no cursor of ours: names have bounds.
const LONGEST: usize = 4096;

/// By what a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// By the bytes of names.
    #[default]
    Name,
    /// By when they were made.
    CreatedAt,
    /// By when they last changed.
    UpdatedAt,
}

/// Which come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Order {
    /// The least, the oldest.
    #[default]
    #[serde(rename = "asc")]
    Ascending,
    /// The greatest, the newest.
    #[serde(rename = "desc")]
    Descending,
}

/// The last entry of a page by what the list is sorted by: what comes or goes elsewhere meanwhile moves nothing. It
/// opens nothing, so whoever writes one themselves sees what they may see.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    by: SortBy,
    order: Order,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) at: String,
    pub(super) name: String,
}

impl Cursor {
    pub(super) fn of(listing: &Listing, at: String, name: String) -> Self {
        Self { by: listing.sort_by, order: listing.order, at, name }
    }

    /// A cursor of the same list.
    pub(super) fn read(text: &str, listing: &Listing) -> Result<Self> {
        let wrong = || Error::new(Code::ValidationFailed, "the cursor is not one of this list");
        if text.len() > LONGEST {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        // PostgreSQL takes no such text.
        let plain = !cursor.at.contains('\0') && !cursor.name.contains('\0');
        if plain && cursor.by == listing.sort_by && cursor.order == listing.order {
            Ok(cursor)
        } else {
            Err(wrong())
        }
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).map_err(Error::internal)?))
    }
}
