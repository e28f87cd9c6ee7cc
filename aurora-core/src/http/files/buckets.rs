use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::FileOperation as Do;
use super::{Asked, FileAnswer, ok, path};
use crate::files::{Asker, BucketRules, Content};
use crate::http::Http;
use crate::http::body::decoded;
use crate::types::{Code, Error, Result};

#[derive(Deserialize)]
struct BucketBody {
    id: Option<String>,
    name: Option<String>,
    public: Option<bool>,
    #[serde(default, deserialize_with = "said")]
    file_size_limit: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    allowed_mime_types: Option<Value>,
}

/// Tells `null` from what was not said.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl BucketBody {
    /// These rules over others.
    fn over(&self, mut rules: BucketRules) -> Result<BucketRules> {
        if let Some(public) = self.public {
            rules.public = public;
        }
        if let Some(limit) = &self.file_size_limit {
            rules.file_size_limit = size(limit)?;
        }
        if let Some(types) = &self.allowed_mime_types {
            rules.allowed_mime_types = serde_json::from_value(types.clone())
                .map_err(|_| Error::new(Code::ValidationFailed, "allowed_mime_types is a list of texts"))?;
        }
        Ok(rules)
    }
}

/// Bytes, or a text such as `20MB`; nothing for `null` and `0`.
fn size(limit: &Value) -> Result<Option<u64>> {
    let wrong =
        || Error::new(Code::ValidationFailed, "file_size_limit is a number of bytes, or a text such as 20MB");
    let bytes = match limit {
        Value::Null => 0,
        Value::Number(number) => number.as_u64().ok_or_else(wrong)?,
        Value::String(text) => {
            let text = text.trim().to_ascii_uppercase();
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
            let unit: u64 = match text.get(digits.len()..).unwrap_or_default().trim() {
                "" | "B" => 1,
                "KB" => 1_000,
                "MB" => 1_000_000,
                "GB" => 1_000_000_000,
                _ => return Err(wrong()),
            };
            digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    Ok((bytes > 0).then_some(bytes))
}

impl Http {
    pub(super) async fn buckets(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        let asker = self.asker(asked).await?;
        let files = asked.files;
        match asked.found.route.operation {
            Do::ListBuckets => self.list_buckets(asked, &asker).await,
            Do::CreateBucket => {
                let body: BucketBody = self.small(&asked.head.headers, body).await?;
                let missing =
                    || Error::new(Code::ValidationFailed, "body must have required property 'name'");
                let name = body.id.as_deref().or(body.name.as_deref()).ok_or_else(missing)?;
                let rules = body.over(BucketRules::default())?;
                files.create_bucket(&asker, &name.parse()?, &rules).await?;
                ok(&json!({ "name": name }))
            }
            Do::ReadBucket => {
                let bucket = files.bucket(&asker, &path::bucket(asked.found.bucket)?).await?;
                ok(&bucket.to_json())
            }
            Do::UpdateBucket => {
                let body: BucketBody = self.small(&asked.head.headers, body).await?;
                let name = path::bucket(asked.found.bucket)?;
                let bucket = files.bucket(&asker, &name).await?;
                let rules = body.over(BucketRules {
                    public: bucket.public,
                    file_size_limit: bucket.file_size_limit,
                    allowed_mime_types: bucket.allowed_mime_types,
                })?;
                files.update_bucket(&asker, &name, &rules).await?;
                ok(&json!({ "message": "Successfully updated" }))
            }
            Do::DeleteBucket => {
                files.delete_bucket(&asker, &path::bucket(asked.found.bucket)?).await?;
                ok(&json!({ "message": "Successfully deleted" }))
            }
            _ => {
                files.empty_bucket(&asker, &path::bucket(asked.found.bucket)?).await?;
                ok(&json!({ "message": "Successfully emptied" }))
            }
        }
    }

    async fn list_buckets(&self, asked: &Asked<'_>, asker: &Asker) -> FileAnswer {
        let query = asked.head.uri.query();
        let mut buckets = asked.files.buckets(asker).await?;
        if let Some(search) = decoded(query, "search")? {
            let search = search.to_lowercase();
            buckets.retain(|bucket| bucket.id.to_lowercase().contains(&search));
        }
        match decoded(query, "sortColumn")?.as_deref() {
            Some("created_at") => buckets.sort_by(|a, b| a.created_at.cmp(&b.created_at)),
            Some("updated_at") => buckets.sort_by(|a, b| a.updated_at.cmp(&b.updated_at)),
            _ => {}
        }
        if decoded(query, "sortOrder")?.as_deref() == Some("desc") {
            buckets.reverse();
        }
        let number = |name: &str| -> Result<Option<usize>> {
            let wrong = || Error::new(Code::ValidationFailed, format!("`{name}` is a number"));
            decoded(query, name)?.map(|text| text.parse().map_err(|_| wrong())).transpose()
        };
        let (offset, limit) = (number("offset")?.unwrap_or(0), number("limit")?.unwrap_or(usize::MAX));
        let page: Vec<Value> =
            buckets.iter().skip(offset).take(limit).map(|bucket| bucket.to_json()).collect();
        ok(&Value::Array(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_texts() {
        for (limit, bytes) in [
            (json!(null), None),
            (json!(0), None),
            (json!(5), Some(5)),
            (json!("20MB"), Some(20_000_000)),
            (json!("1 gb"), Some(1_000_000_000)),
            (json!("7"), Some(7)),
        ] {
            assert_eq!(size(&limit).unwrap(), bytes, "{limit}");
        }
        for limit in
            [json!(-1), json!("MB"), json!("1TB"), json!("99999999999999999999"), json!([]), json!(1.5)]
        {
            assert!(size(&limit).is_err(), "{limit}");
        }
    }
}
