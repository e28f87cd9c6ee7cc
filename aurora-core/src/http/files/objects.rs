use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, ok, path, receive};
use crate::files::{self, Asker, BucketName, Content, Entry, Listing, ObjectName};
use crate::http::Http;
use crate::types::{Code, Error, Result};

#[derive(Deserialize)]
struct ListBody {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    offset: Option<usize>,
    search: Option<String>,
    #[serde(rename = "sortBy")]
    sort_by: Option<SortBy>,
}

#[derive(Deserialize)]
struct SortBy {
    column: Option<String>,
    order: Option<String>,
}

#[derive(Deserialize)]
struct PagesBody {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    cursor: Option<String>,
    with_delimiter: Option<bool>,
    #[serde(rename = "sortBy")]
    sort_by: Option<SortBy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MoveBody {
    bucket_id: String,
    source_key: String,
    destination_key: String,
    destination_bucket: Option<String>,
}

#[derive(Deserialize)]
struct RemoveBody {
    prefixes: Vec<String>,
}

impl Http {
    pub(super) async fn objects(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let asker = self.asker(asked).await?;
        let (files, headers) = (asked.files, &asked.head.headers);
        match asked.found.route.operation {
            Do::List => {
                let body: ListBody = self.small(headers, body).await?;
                let bucket = path::bucket(asked.found.bucket)?;
                ok(&Value::Array(list(asked, &asker, &bucket, &body).await?))
            }
            Do::ListPages => {
                let body: PagesBody = self.small(headers, body).await?;
                let bucket = path::bucket(asked.found.bucket)?;
                ok(&pages(asked, &asker, &bucket, &body).await?)
            }
            Do::Move | Do::Copy => {
                let body: MoveBody = self.small(headers, body).await?;
                let from: (BucketName, ObjectName) = (body.bucket_id.parse()?, body.source_key.parse()?);
                let bucket = body.destination_bucket.as_deref().unwrap_or(&body.bucket_id).parse()?;
                let to: (BucketName, ObjectName) = (bucket, body.destination_key.parse()?);
                if asked.found.route.operation == Do::Move {
                    files.rename(&asker, (&from.0, &from.1), (&to.0, &to.1)).await?;
                    return ok(&json!({ "message": "Successfully moved" }));
                }
                let existing = receive::existing(headers);
                let made = files.copy(&asker, (&from.0, &from.1), (&to.0, &to.1), existing).await?;
                ok(&json!({ "Key": made.key, "Id": made.id }))
            }
            Do::RemoveOne => {
                let (bucket, name) = (path::bucket(asked.found.bucket)?, path::object(asked.found.name)?);
                let removed = files.remove(&asker, &bucket, &[name]).await?;
                match removed.is_empty() {
                    true => Err(Error::new(Code::NoSuchObject, "Object not found")),
                    false => ok(&json!({ "message": "Successfully deleted" })),
                }
            }
            _ => {
                let body: RemoveBody = self.small(headers, body).await?;
                let bucket = path::bucket(asked.found.bucket)?;
                let names: Vec<ObjectName> =
                    body.prefixes.iter().map(|name| name.parse()).collect::<Result<_>>()?;
                let removed = files.remove(&asker, &bucket, &names).await?;
                ok(&Value::Array(removed.iter().map(|object| object.to_json()).collect()))
            }
        }
    }
}

/// One folder, folders first.
async fn list(asked: &Asked<'_>, asker: &Asker, bucket: &BucketName, body: &ListBody) -> Result<Vec<Value>> {
    let mut prefix = body.prefix.trim_start_matches('/').to_owned();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let mut entries = asked.files.list_all(asker, bucket, &prefix).await?;
    if let Some(search) = body.search.as_deref().filter(|search| !search.is_empty()) {
        let search = search.to_lowercase();
        entries.retain(|entry| entry.name().to_lowercase().starts_with(&search));
    }
    let sort = body.sort_by.as_ref();
    let column = sort.and_then(|sort| sort.column.as_deref()).unwrap_or("name");
    let by = |entry: &Entry| match (entry, column) {
        (Entry::Object(_, object), "created_at") => object.created_at.clone(),
        (Entry::Object(_, object), "updated_at") => object.updated_at.clone(),
        (Entry::Object(_, object), "last_accessed_at") => object.last_accessed_at.clone(),
        (entry, _) => entry.name().to_owned(),
    };
    if !["name", "created_at", "updated_at", "last_accessed_at"].contains(&column) {
        return Err(wrong("sortBy.column is name, created_at, updated_at or last_accessed_at"));
    }
    let descending = sort.and_then(|sort| sort.order.as_deref()) == Some("desc");
    entries.sort_by(|a, b| {
        let kind = |entry: &Entry| matches!(entry, Entry::Object(..));
        let order = by(a).cmp(&by(b));
        kind(a).cmp(&kind(b)).then(if descending { order.reverse() } else { order })
    });
    let page = entries.iter().skip(body.offset.unwrap_or(0)).take(body.limit.unwrap_or(100));
    Ok(page
        .map(|entry| match entry {
            Entry::Folder(name) => json!({
                "name": name, "id": null, "updated_at": null, "created_at": null, "last_accessed_at": null,
                "metadata": null,
            }),
            Entry::Object(name, object) => object.to_list_json(name),
        })
        .collect())
}

/// A page of all that begins alike.
async fn pages(asked: &Asked<'_>, asker: &Asker, bucket: &BucketName, body: &PagesBody) -> Result<Value> {
    let sort = body.sort_by.as_ref();
    let sort_by = match sort.and_then(|sort| sort.column.as_deref()) {
        None | Some("name") => files::SortBy::Name,
        Some("created_at") => files::SortBy::CreatedAt,
        Some("updated_at") => files::SortBy::UpdatedAt,
        Some(_) => return Err(wrong("sortBy.column is name, created_at or updated_at")),
    };
    let order = match sort.and_then(|sort| sort.order.as_deref()) {
        None | Some("asc") => files::Order::Ascending,
        Some("desc") => files::Order::Descending,
        Some(_) => return Err(wrong("sortBy.order is asc or desc")),
    };
    let listing = Listing {
        prefix: body.prefix.clone(),
        folders: body.with_delimiter.unwrap_or(false),
        sort_by,
        order,
        after: body.cursor.clone().filter(|cursor| !cursor.is_empty()),
        limit: body.limit.unwrap_or(1000).clamp(1, 1000),
    };
    let page = asked.files.list(asker, bucket, &listing).await?;
    let (mut folders, mut objects) = (Vec::new(), Vec::new());
    for entry in &page.entries {
        match entry {
            Entry::Folder(name) => {
                let key = format!("{}{name}/", body.prefix);
                folders.push(json!({ "name": key, "key": key }));
            }
            Entry::Object(_, object) => {
                let mut told = object.to_list_json(&object.name);
                if let Value::Object(told) = &mut told {
                    told.insert("key".to_owned(), json!(object.name));
                }
                objects.push(told);
            }
        }
    }
    Ok(json!({
        "hasNext": page.next.is_some(),
        "nextCursor": page.next,
        "folders": folders,
        "objects": objects,
    }))
}

fn wrong(what: &str) -> Error {
    Error::new(Code::ValidationFailed, what.to_owned())
}
