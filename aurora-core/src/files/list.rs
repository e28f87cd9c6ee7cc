use std::collections::BTreeMap;

use super::page::Cursor;
use super::record::{Object, ObjectRecord};
use super::sql::{self, Sql};
use super::{Asker, BucketName, Files, Order, SortBy, name};
use crate::guard::Guarded;
use crate::types::{Code, Error, Result};

/// Rows that are read at once.
const PAGE: usize = 500;
/// Most entries of one folder that a list which is sorted or counted holds.
const MOST: usize = 10_000;
/// Behind every name that begins alike: no name holds it.
const LAST: char = '\u{10ffff}';
/// Behind every time.
const LATEST: &str = "~";

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
    /// By what entries are sorted; equal times by name. A folder is as old as the oldest object in it.
    pub sort_by: SortBy,
    /// Which of them come first.
    pub order: Order,
    /// What the page before said of the next one ([`Page::next`]).
    pub after: Option<String>,
    /// Most entries.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// What stands there.
    pub entries: Vec<Entry>,
    /// Where the next page goes on, for [`Listing::after`] of the same list; `None` at the end.
    pub next: Option<String>,
}

/// What is listed of which bucket, as somebody may see it.
struct Look<'a> {
    guarded: Guarded,
    bucket: &'a BucketName,
    listing: &'a Listing,
    after: Option<Cursor>,
    /// Behind all that begins with the prefix.
    end: String,
    limit: usize,
}

impl Files {
    /// What of a bucket `asker` may see. Names are compared by their bytes.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for a cursor of another list, and for more than 10,000 objects where folders are
    /// sorted by time: their oldest object has to be known first.
    pub async fn list(&self, asker: &Asker, bucket: &BucketName, listing: &Listing) -> Result<Page> {
        if listing.prefix.chars().any(name::is_refused) || listing.prefix.len() > 1024 {
            return Err(Error::new(Code::InvalidName, "Invalid prefix"));
        }
        let look = Look {
            guarded: self.of(asker),
            bucket,
            listing,
            after: listing.after.as_deref().map(|text| Cursor::read(text, listing)).transpose()?,
            end: format!("{}{LAST}", listing.prefix),
            limit: listing.limit.min(MOST),
        };
        match (listing.sort_by, listing.folders) {
            (SortBy::Name, _) => look.by_name().await,
            (_, false) => look.by_time().await,
            (_, true) => look.folders_by_time().await,
        }
    }

    /// All that stands in a folder, folders first, for lists that are sorted or counted.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] for a folder of more than 10,000 entries: list it page by page.
    pub async fn list_all(&self, asker: &Asker, bucket: &BucketName, prefix: &str) -> Result<Vec<Entry>> {
        let listing = Listing { prefix: prefix.to_owned(), folders: true, limit: MOST, ..Listing::default() };
        let page = self.list(asker, bucket, &listing).await?;
        if page.next.is_some() {
            return Err(too_many());
        }
        let mut entries = page.entries;
        entries.sort_by_key(|entry| matches!(entry, Entry::Object(..)));
        Ok(entries)
    }
}

impl Look<'_> {
    /// Forwards or backwards by name, over folders without reading them.
    async fn by_name(&self) -> Result<Page> {
        let back = self.listing.order == Order::Descending;
        let after = self.after.as_ref().map(|cursor| cursor.name.clone());
        let (mut from, mut end) = match (after, back) {
            (Some(after), false) => (after.max(self.listing.prefix.clone()), self.end.clone()),
            (Some(after), true) => (self.listing.prefix.clone(), after.min(self.end.clone())),
            (None, _) => (self.listing.prefix.clone(), self.end.clone()),
        };
        let mut page = Page::default();
        loop {
            let rows =
                self.rows(if back { sql::OBJECTS_BACK } else { sql::OBJECTS_FROM }, &from, &end).await?;
            let full = rows.len() == PAGE;
            for object in rows {
                // In a folder that was told.
                if object.name < from || object.name >= end {
                    continue;
                }
                if page.entries.len() == self.limit {
                    let last = if back { end } else { from };
                    page.next = Some(Cursor::of(self.listing, String::new(), last).text()?);
                    return Ok(page);
                }
                let entry = self.entry(object);
                match (&entry, back) {
                    (Entry::Folder(name), false) => from = format!("{}{name}/{LAST}", self.listing.prefix),
                    (Entry::Folder(name), true) => end = format!("{}{name}/", self.listing.prefix),
                    (Entry::Object(_, object), false) => from = behind(&object.name),
                    (Entry::Object(_, object), true) => end.clone_from(&object.name),
                }
                page.entries.push(entry);
            }
            if !full {
                return Ok(page);
            }
        }
    }

    /// Objects by a time, as the database sorts them.
    async fn by_time(&self) -> Result<Page> {
        let back = self.listing.order == Order::Descending;
        let statement = match (self.listing.sort_by, back) {
            (SortBy::UpdatedAt, false) => sql::BY_UPDATED,
            (SortBy::UpdatedAt, true) => sql::BY_UPDATED_BACK,
            (_, false) => sql::BY_CREATED,
            (_, true) => sql::BY_CREATED_BACK,
        };
        let first = || (if back { LATEST.to_owned() } else { String::new() }, String::new());
        let (at, name) =
            self.after.as_ref().map_or_else(first, |cursor| (cursor.at.clone(), cursor.name.clone()));
        let wanted = i64::try_from(self.limit + 1).map_err(Error::internal)?;
        let found = self
            .guarded
            .query_as::<ObjectRecord>(statement.on(&self.guarded))
            .bind(self.bucket.as_str().to_owned())
            .bind(self.listing.prefix.clone())
            .bind(self.end.clone())
            .bind(at)
            .bind(name)
            .bind(wanted);
        let objects: Vec<Object> =
            found.fetch_all().await?.into_iter().map(Object::try_from).collect::<Result<_>>()?;
        let timed = objects
            .into_iter()
            .map(|object| (self.time_of(&object), object.name.clone(), self.entry(object)));
        self.page_of(timed.collect())
    }

    /// Objects and folders by a time: all of them are looked at, since a folder is as old as its oldest object.
    async fn folders_by_time(&self) -> Result<Page> {
        let (mut folders, mut timed) = (BTreeMap::<String, String>::new(), Vec::new());
        let (mut from, mut seen) = (self.listing.prefix.clone(), 0);
        loop {
            let rows = self.rows(sql::OBJECTS_FROM, &from, &self.end).await?;
            let full = rows.len() == PAGE;
            seen += rows.len();
            if seen > MOST {
                return Err(too_many());
            }
            for object in rows {
                from = behind(&object.name);
                let (at, made, name) =
                    (self.time_of(&object), object.created_at.clone(), object.name.clone());
                match self.entry(object) {
                    Entry::Folder(folder) => {
                        let oldest = folders.entry(folder).or_insert_with(|| made.clone());
                        if made < *oldest {
                            *oldest = made;
                        }
                    }
                    entry => timed.push((at, name, entry)),
                }
            }
            if !full {
                break;
            }
        }
        timed.extend(folders.into_iter().map(|(folder, oldest)| {
            (oldest, format!("{}{folder}", self.listing.prefix), Entry::Folder(folder))
        }));
        timed.sort_by(|(at, name, _), (other, its, _)| (at, name).cmp(&(other, its)));
        if self.listing.order == Order::Descending {
            timed.reverse();
        }
        let is_behind = |at: &String, name: &String| match (&self.after, self.listing.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => (at, name) > (&after.at, &after.name),
            (Some(after), Order::Descending) => (at, name) < (&after.at, &after.name),
        };
        timed.retain(|(at, name, _)| is_behind(at, name));
        self.page_of(timed)
    }

    /// The first of them, and where the others begin.
    fn page_of(&self, mut timed: Vec<(String, String, Entry)>) -> Result<Page> {
        let more = timed.len() > self.limit;
        timed.truncate(self.limit);
        let next = match timed.last().filter(|_| more) {
            Some((at, name, _)) => Some(Cursor::of(self.listing, at.clone(), name.clone()).text()?),
            None => None,
        };
        Ok(Page { entries: timed.into_iter().map(|(_, _, entry)| entry).collect(), next })
    }

    fn time_of(&self, object: &Object) -> String {
        match self.listing.sort_by {
            SortBy::UpdatedAt => object.updated_at.clone(),
            SortBy::CreatedAt | SortBy::Name => object.created_at.clone(),
        }
    }

    /// How it is listed: by itself, or as the folder that it lies in.
    fn entry(&self, object: Object) -> Entry {
        let rest = object.name.get(self.listing.prefix.len()..).unwrap_or_default().to_owned();
        match rest.split_once('/').filter(|_| self.listing.folders) {
            Some((folder, _)) => Entry::Folder(folder.to_owned()),
            None => Entry::Object(rest, Box::new(object)),
        }
    }

    async fn rows(&self, statement: Sql, from: &str, end: &str) -> Result<Vec<Object>> {
        let found = self
            .guarded
            .query_as::<ObjectRecord>(statement.on(&self.guarded))
            .bind(self.bucket.as_str().to_owned())
            .bind(from.to_owned())
            .bind(end.to_owned())
            .bind(PAGE as i64);
        found.fetch_all().await?.into_iter().map(Object::try_from).collect()
    }
}

/// The first name that can stand behind `name`.
fn behind(name: &str) -> String {
    if name.ends_with(LAST) { name.to_owned() } else { format!("{name}\u{1}") }
}

fn too_many() -> Error {
    Error::new(Code::ValidationFailed, format!("more than {MOST} entries: list them page by page, by name"))
}
