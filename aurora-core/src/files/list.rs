use super::record::{Object, ObjectRecord};
use super::{Asker, BucketName, Files, name, sql};
use crate::guard::Guarded;
use crate::types::{Code, Error, Result};

/// Rows that are read at once.
const PAGE: usize = 500;
/// Most entries of one folder that a list which is sorted or counted holds.
const MOST: usize = 10_000;
/// Behind every name that begins alike: no name holds it.
const LAST: char = '\u{10ffff}';

/// What stands in a folder.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A folder, by its name in the one that is listed. There is no row for it.
    Folder(String),
    /// An object, with its name in the folder.
    Object(String, Box<Object>),
}

impl Entry {
    /// What it is called in the folder.
    pub fn name(&self) -> &str {
        match self {
            Self::Folder(name) | Self::Object(name, _) => name,
        }
    }
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// What names begin with.
    pub prefix: String,
    /// Whether what lies in folders below is one entry a folder.
    pub folders: bool,
    /// The last name of the page before.
    pub after: Option<String>,
    /// Most entries.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// What stands there, by name.
    pub entries: Vec<Entry>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<String>,
}

impl Files {
    /// What of a bucket `asker` may see, by the bytes of their names.
    pub async fn list(&self, asker: &Asker, bucket: &BucketName, listing: &Listing) -> Result<Page> {
        if listing.prefix.chars().any(name::is_refused) || listing.prefix.len() > 1024 {
            return Err(Error::new(Code::InvalidName, "Invalid prefix"));
        }
        let guarded = self.of(asker);
        let limit = listing.limit.min(MOST);
        let end = format!("{}{LAST}", listing.prefix);
        let mut from = match &listing.after {
            Some(after) => behind(after),
            None => listing.prefix.clone(),
        };
        let mut page = Page::default();
        'rows: loop {
            let rows = rows(&guarded, bucket, &from, &end).await?;
            let full = rows.len() == PAGE;
            for object in rows {
                if object.name < from {
                    continue;
                }
                if page.entries.len() == limit {
                    page.next = page.entries.last().map(|last| match last {
                        Entry::Folder(name) => format!("{}{name}/{LAST}", listing.prefix),
                        Entry::Object(_, object) => object.name.clone(),
                    });
                    break 'rows;
                }
                let rest = object.name.get(listing.prefix.len()..).unwrap_or_default().to_owned();
                match rest.split_once('/').filter(|_| listing.folders) {
                    Some((folder, _)) => {
                        // Over all that lies in it, without reading it.
                        from = format!("{}{folder}/{LAST}", listing.prefix);
                        page.entries.push(Entry::Folder(folder.to_owned()));
                    }
                    None => {
                        from = behind(&object.name);
                        page.entries.push(Entry::Object(rest, Box::new(object)));
                    }
                }
            }
            if !full {
                break;
            }
        }
        Ok(page)
    }

    /// All that stands in a folder, folders first, for lists that are sorted or counted.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for a folder of more than 10,000 entries: list it page by page.
    pub async fn list_all(&self, asker: &Asker, bucket: &BucketName, prefix: &str) -> Result<Vec<Entry>> {
        let listing = Listing { prefix: prefix.to_owned(), folders: true, after: None, limit: MOST };
        let page = self.list(asker, bucket, &listing).await?;
        if page.next.is_some() {
            let sentence = format!("more than {MOST} entries: list them page by page");
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        let mut entries = page.entries;
        entries.sort_by_key(|entry| matches!(entry, Entry::Object(..)));
        Ok(entries)
    }
}

/// The first name that can stand behind `name`.
fn behind(name: &str) -> String {
    if name.ends_with(LAST) { name.to_owned() } else { format!("{name}\u{1}") }
}

async fn rows(guarded: &Guarded, bucket: &BucketName, from: &str, end: &str) -> Result<Vec<Object>> {
    let found = guarded
        .query_as::<ObjectRecord>(sql::OBJECTS_FROM.on(guarded))
        .bind(bucket.as_str().to_owned())
        .bind(from.to_owned())
        .bind(end.to_owned())
        .bind(PAGE as i64);
    found.fetch_all().await?.into_iter().map(Object::try_from).collect()
}
