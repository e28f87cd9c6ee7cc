use http::Method;

use crate::http::Access;
use crate::load::Bucket;

/// A route of files, below `/storage/v1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRoute {
    method: &'static str,
    path: &'static str,
    pub(super) operation: FileOperation,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileOperation {
    ListBuckets,
    CreateBucket,
    ReadBucket,
    UpdateBucket,
    DeleteBucket,
    EmptyBucket,
    List,
    ListPages,
    Move,
    Copy,
    SignMany,
    SignDownload,
    SignedDownload,
    SignUpload,
    SignedUpload,
    PublicDownload,
    PublicInfo,
    Info,
    Download,
    Upload,
    Replace,
    Remove,
    RemoveOne,
    UploadOptions,
    BeginUpload,
    UploadStanding,
    ContinueUpload,
    CancelUpload,
}

impl FileRoute {
    /// The method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path below `/storage/v1`; `{bucket}` stands for one segment, `{id}` as well, `{name}` for the rest.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Whether a token of a signed URL may stand for who asks.
    pub(super) fn is_signed(&self) -> bool {
        self.path.starts_with("/upload/resumable/sign")
    }

    /// Whether it is TUS's, which has statuses of its own.
    pub(super) fn is_resumable(&self) -> bool {
        self.path.starts_with("/upload/resumable")
    }

    /// Whether a link opens it for whoever has it, or its name does for anyone.
    pub(super) fn is_open(&self) -> bool {
        use FileOperation::{PublicDownload, PublicInfo, SignedDownload, SignedUpload};
        self.is_signed()
            || matches!(self.operation, PublicDownload | PublicInfo | SignedDownload | SignedUpload)
    }

    /// Whether it changes something, or asks for the right to in a transaction that writes.
    pub(super) fn changes(&self) -> bool {
        use FileOperation::{
            BeginUpload, CancelUpload, ContinueUpload, Copy, CreateBucket, DeleteBucket, EmptyBucket, Move,
            Remove, RemoveOne, Replace, SignUpload, SignedUpload, UpdateBucket, Upload,
        };
        matches!(
            self.operation,
            BeginUpload
                | CancelUpload
                | ContinueUpload
                | Copy
                | CreateBucket
                | DeleteBucket
                | EmptyBucket
                | Move
                | Remove
                | RemoveOne
                | Replace
                | SignUpload
                | SignedUpload
                | UpdateBucket
                | Upload
        )
    }

    /// What counts its requests; those that are refused are counted everywhere.
    pub fn buckets(&self) -> &'static [Bucket] {
        match self.changes() {
            true => &[Bucket::File, Bucket::FileChange, Bucket::FileRefused],
            false => &[Bucket::File, Bucket::FileRefused],
        }
    }

    /// Who gets past its door. Policies decide behind it: without one nobody sees anything, whoever they are.
    pub fn access(&self) -> Access {
        Access::Public
    }
}

const fn route(method: &'static str, path: &'static str, operation: FileOperation) -> FileRoute {
    FileRoute { method, path, operation }
}

/// Every route of files. What stands before another of the same form goes first, as in Supabase.
pub(in crate::http) const FILE_ROUTES: &[FileRoute] = &[
    route("GET", "/bucket", FileOperation::ListBuckets),
    route("POST", "/bucket", FileOperation::CreateBucket),
    route("GET", "/bucket/{bucket}", FileOperation::ReadBucket),
    route("PUT", "/bucket/{bucket}", FileOperation::UpdateBucket),
    route("DELETE", "/bucket/{bucket}", FileOperation::DeleteBucket),
    route("POST", "/bucket/{bucket}/empty", FileOperation::EmptyBucket),
    route("POST", "/object/list/{bucket}", FileOperation::List),
    route("POST", "/object/list-v2/{bucket}", FileOperation::ListPages),
    route("POST", "/object/move", FileOperation::Move),
    route("POST", "/object/copy", FileOperation::Copy),
    route("POST", "/object/sign/{bucket}", FileOperation::SignMany),
    route("POST", "/object/sign/{bucket}/{name}", FileOperation::SignDownload),
    route("GET", "/object/sign/{bucket}/{name}", FileOperation::SignedDownload),
    route("POST", "/object/upload/sign/{bucket}/{name}", FileOperation::SignUpload),
    route("PUT", "/object/upload/sign/{bucket}/{name}", FileOperation::SignedUpload),
    route("GET", "/object/info/public/{bucket}/{name}", FileOperation::PublicInfo),
    route("GET", "/object/info/authenticated/{bucket}/{name}", FileOperation::Info),
    route("GET", "/object/info/{bucket}/{name}", FileOperation::Info),
    route("GET", "/object/public/{bucket}/{name}", FileOperation::PublicDownload),
    route("GET", "/object/authenticated/{bucket}/{name}", FileOperation::Download),
    route("GET", "/object/{bucket}/{name}", FileOperation::Download),
    route("POST", "/object/{bucket}/{name}", FileOperation::Upload),
    route("PUT", "/object/{bucket}/{name}", FileOperation::Replace),
    route("DELETE", "/object/{bucket}/{name}", FileOperation::RemoveOne),
    route("DELETE", "/object/{bucket}", FileOperation::Remove),
    route("OPTIONS", "/upload/resumable", FileOperation::UploadOptions),
    route("POST", "/upload/resumable", FileOperation::BeginUpload),
    route("OPTIONS", "/upload/resumable/sign", FileOperation::UploadOptions),
    route("POST", "/upload/resumable/sign", FileOperation::BeginUpload),
    route("GET", "/upload/resumable/sign/{id}", FileOperation::UploadStanding),
    route("PATCH", "/upload/resumable/sign/{id}", FileOperation::ContinueUpload),
    route("DELETE", "/upload/resumable/sign/{id}", FileOperation::CancelUpload),
    route("GET", "/upload/resumable/{id}", FileOperation::UploadStanding),
    route("PATCH", "/upload/resumable/{id}", FileOperation::ContinueUpload),
    route("DELETE", "/upload/resumable/{id}", FileOperation::CancelUpload),
];

/// A route, and what stands in its braces, not decoded yet.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) route: &'static FileRoute,
    pub(super) bucket: &'a str,
    pub(super) name: &'a str,
}

/// The route of a path below the prefix; which methods there are instead, or that there is none. HEAD goes where GET
/// goes.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Option<String>> {
    let wanted = if *method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    let mut allowed: Vec<&str> = Vec::new();
    for route in FILE_ROUTES {
        let Some((bucket, name)) = matches(route.path, path) else { continue };
        if route.method == wanted {
            return Ok(Found { route, bucket, name });
        }
        if !allowed.contains(&route.method) {
            allowed.push(route.method);
        }
    }
    if allowed.is_empty() {
        return Err(None);
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    Err(Some(allowed.join(", ")))
}

/// What a span calls the route.
pub(super) fn name(method: &Method, path: &str) -> &'static str {
    find(method, path).map_or("", |found| found.route.path)
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let Some((before, after)) = pattern.split_once("{bucket}").or_else(|| pattern.split_once("{id}")) else {
        return (pattern == path).then_some(("", ""));
    };
    let rest = path.strip_prefix(before)?;
    if after == "/{name}" {
        let (bucket, name) = rest.split_once('/')?;
        return (!bucket.is_empty() && !name.is_empty()).then_some((bucket, name));
    }
    let bucket = rest.strip_suffix(after)?;
    (!bucket.is_empty() && !bucket.contains('/')).then_some((bucket, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_routes() {
        let to = |method: &Method, path| {
            find(method, path).map(|found| (found.route.path, found.bucket, found.name)).ok()
        };
        assert_eq!(to(&Method::GET, "/object/b/a/c.txt"), Some(("/object/{bucket}/{name}", "b", "a/c.txt")));
        assert_eq!(
            to(&Method::GET, "/object/public/b/a"),
            Some(("/object/public/{bucket}/{name}", "b", "a"))
        );
        assert_eq!(to(&Method::HEAD, "/object/info/b/a"), Some(("/object/info/{bucket}/{name}", "b", "a")));
        assert_eq!(to(&Method::POST, "/object/list/b"), Some(("/object/list/{bucket}", "b", "")));
        assert_eq!(to(&Method::DELETE, "/object/b"), Some(("/object/{bucket}", "b", "")));
        assert_eq!(to(&Method::POST, "/bucket/b/empty"), Some(("/bucket/{bucket}/empty", "b", "")));
        assert_eq!(
            to(&Method::POST, "/object/upload/sign/b/x/y"),
            Some(("/object/upload/sign/{bucket}/{name}", "b", "x/y"))
        );
        for path in ["/", "", "/bucket/", "/object/b/", "/object//a", "/Object/b/a"] {
            assert_eq!(to(&Method::GET, path), None, "{path}");
        }
        assert_eq!(find(&Method::PATCH, "/bucket").err(), Some(Some("GET, POST, HEAD, OPTIONS".to_owned())));
    }
}
