//! TUS 1.0.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::store::{Ask, OWN_FOLDER, Reply, Store, User, pattern};

fn begin<'a>(store: &'a Store, user: &User, name: &str, length: usize) -> Ask<'a> {
    let said = [
        ("bucketName", "notes"),
        ("objectName", name),
        ("contentType", "text/plain"),
        ("cacheControl", "60"),
    ];
    let said: Vec<String> =
        said.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect();
    store
        .post("/upload/resumable")
        .bearer(&user.token)
        .with("tus-resumable", "1.0.0")
        .with("upload-length", &length.to_string())
        .with("upload-metadata", &said.join(","))
}

async fn part(
    store: &Store,
    user: &User,
    location: &str,
    offset: usize,
    content: &[u8],
    digest: Option<&str>,
) -> Reply {
    let path = location.strip_prefix("/storage/v1").unwrap();
    let mut ask = store
        .ask("PATCH", path)
        .bearer(&user.token)
        .with("tus-resumable", "1.0.0")
        .with("content-type", "application/offset+octet-stream")
        .with("upload-offset", &offset.to_string());
    if let Some(digest) = digest {
        ask = ask.with("upload-checksum", digest);
    }
    ask.body(content.to_vec()).send().await
}

fn digest(content: &[u8]) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    format!("sha256 {}", STANDARD.encode(sum.as_ref()))
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stood() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    let (name, content) = (format!("{}/film.bin", ann.id), pattern(200_000));
    let options = store.ask("OPTIONS", "/upload/resumable").send().await;
    assert_eq!((options.status.as_u16(), options.header("tus-version").as_str()), (204, "1.0.0"));
    assert_eq!(
        begin(&store, &bob, &name, 200_000).send().await.status,
        403,
        "policies are asked before any content"
    );
    let begun = begin(&store, &ann, &name, 200_000).send().await;
    assert_eq!(
        (begun.status.as_u16(), begun.header("upload-offset").as_str()),
        (201, "0"),
        "{}",
        begun.text()
    );
    let location = begun.header("location");
    let first = part(&store, &ann, &location, 0, &content[..70_000], None).await;
    assert_eq!(
        (first.status.as_u16(), first.header("upload-offset").as_str()),
        (204, "70000"),
        "{}",
        first.text()
    );
    assert_eq!(part(&store, &ann, &location, 0, &content[..10], None).await.status, 409);
    assert_eq!(part(&store, &bob, &location, 70_000, &content[70_000..], None).await.status, 404);
    assert_eq!(
        store.get(&format!("/object/notes/{name}")).bearer(&ann.token).send().await.told().1,
        "NoSuchKey"
    );
    let path = location.strip_prefix("/storage/v1").unwrap().to_owned();
    let standing = store.ask("HEAD", &path).bearer(&ann.token).with("tus-resumable", "1.0.0").send().await;
    assert_eq!(
        (standing.header("upload-offset"), standing.header("upload-length")),
        ("70000".to_owned(), "200000".to_owned())
    );
    assert_eq!(store.ask("HEAD", &path).bearer(&ann.token).send().await.status, 412, "which version is said");
    let last =
        part(&store, &ann, &location, 70_000, &content[70_000..], Some(&digest(&content[70_000..]))).await;
    assert_eq!(
        (last.status.as_u16(), last.header("upload-offset").as_str()),
        (204, "200000"),
        "{}",
        last.text()
    );
    let got = store.get(&format!("/object/notes/{name}")).bearer(&ann.token).send().await;
    assert!(got.body == content);
    assert_eq!(
        (got.header("content-type"), got.header("cache-control")),
        ("text/plain".to_owned(), "private, max-age=60".to_owned())
    );
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (1, 0), "the parts are gone");
    assert_eq!(
        store.rows("SELECT bytes, files FROM aurora_file_usage").await[0],
        [Some("200000".to_owned()), Some("1".to_owned())]
    );
    assert_eq!(part(&store, &ann, &location, 200_000, b"", None).await.status, 404);
}

/// attack F06, faults K35: what comes after a break is held against its digest.
#[tokio::test]
async fn other_bytes_than_their_digest_says_are_refused() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let location = begin(&store, &ann, &format!("{}/a", ann.id), 100).send().await.header("location");
    assert_eq!(part(&store, &ann, &location, 0, &pattern(50), Some(&digest(&pattern(50)))).await.status, 204);
    let wrong = part(&store, &ann, &location, 50, &[7; 50], Some(&digest(&pattern(50)))).await;
    assert_eq!((wrong.status.as_u16(), wrong.told().1.as_str()), (460, "digest_mismatch"));
    assert_eq!(part(&store, &ann, &location, 50, &[7; 51], None).await.told().1, "EntityTooLarge");
    assert_eq!(part(&store, &ann, &location, 50, b"x", Some("md5 AAAA")).await.status, 400);
    assert_eq!(store.blobs_on_disk(), 1, "nothing of a refused part stays");
    assert_eq!(part(&store, &ann, &location, 50, &pattern(50), None).await.header("upload-offset"), "100");
}

#[tokio::test]
async fn what_broke_off_counts_and_what_expired_is_swept() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let name = format!("{}/a", ann.id);
    let location = begin(&store, &ann, &name, 100_000).send().await.header("location");
    let path = location.strip_prefix("/storage/v1").unwrap().to_owned();
    let broken = store.ask("PATCH", &path).bearer(&ann.token).with("tus-resumable", "1.0.0");
    let broken = broken.with("content-type", "application/offset+octet-stream").with("upload-offset", "0");
    assert_eq!(broken.body(pattern(40_000)).breaking_off().send().await.header("upload-offset"), "40000");
    let cancelled = begin(&store, &ann, &format!("{name}2"), 10).send().await.header("location");
    let cancelled = cancelled.strip_prefix("/storage/v1").unwrap().to_owned();
    let gone = store.ask("DELETE", &cancelled).bearer(&ann.token).with("tus-resumable", "1.0.0").send().await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        store.ask("HEAD", &cancelled).bearer(&ann.token).with("tus-resumable", "1.0.0").send().await.status,
        404
    );
    store.clock.advance(std::time::Duration::from_secs(90_000));
    let ann = store.user("ann@example.com").await;
    assert_eq!(part(&store, &ann, &location, 40_000, &pattern(10), None).await.status, 404, "it expired");
    let report = store.files().sweep().await.unwrap();
    assert_eq!((report.uploads, store.blobs_on_disk()), (1, 0), "{report:?}");
    assert_eq!(store.rows("SELECT bytes FROM aurora_file_usage").await[0][0].as_deref(), Some("0"));
}

#[tokio::test]
async fn with_its_beginning_and_by_a_signed_url() {
    let store = Store::set(OWN_FOLDER, |options| options.quota = Some(150_000)).await;
    store.bucket("notes", &json!({"allowed_mime_types": ["text/plain"]})).await;
    let ann = store.user("ann@example.com").await;
    let name = format!("{}/a.txt", ann.id);
    let whole = begin(&store, &ann, &name, 100_000).with("content-type", "application/offset+octet-stream");
    let whole = whole.body(pattern(100_000)).send().await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("upload-offset").as_str()),
        (201, "100000"),
        "{}",
        whole.text()
    );
    let over = begin(&store, &ann, &format!("{name}2"), 60_000).send().await;
    assert_eq!(over.told().1, "quota_exceeded", "before the first byte");
    let signed =
        store.post(&format!("/object/upload/sign/notes/{name}3")).bearer(&ann.token).send().await.json();
    let token = signed["token"].as_str().unwrap();
    let said =
        format!("bucketName {},objectName {}", STANDARD.encode("notes"), STANDARD.encode(format!("{name}3")));
    let ask = store.post("/upload/resumable/sign").with("x-signature", token).with("tus-resumable", "1.0.0");
    let begun = ask.with("upload-length", "4").with("upload-metadata", &said).send().await;
    assert_eq!(begun.status, 415, "no type, and an ending of none: {}", begun.text());
    let typed = format!("{said},contentType {}", STANDARD.encode("text/plain"));
    let ask = store.post("/upload/resumable/sign").with("x-signature", token).with("tus-resumable", "1.0.0");
    let begun = ask.with("upload-length", "4").with("upload-metadata", &typed).send().await;
    assert_eq!(begun.status, 201, "{}", begun.text());
    let path = begun.header("location").strip_prefix("/storage/v1").unwrap().to_owned();
    let go_on = |token: Option<&str>| {
        let ask = store.ask("PATCH", &path).with("tus-resumable", "1.0.0").with("upload-offset", "0");
        let ask = ask.with("content-type", "application/offset+octet-stream").body(b"text".to_vec());
        match token {
            Some(token) => ask.with("x-signature", token),
            None => ask,
        }
    };
    assert_eq!(go_on(None).send().await.status, 404, "whoever knows the place alone does not go on");
    assert_eq!(go_on(Some("x.y")).send().await.status, 403);
    assert_eq!(go_on(Some(token)).send().await.header("upload-offset"), "4");
    assert_eq!(store.get(&format!("/object/notes/{name}3")).bearer(&ann.token).send().await.body, b"text");
}
