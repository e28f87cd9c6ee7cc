//! What strangers and other users may not do with files.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aurora_core::files::{Asker, Entry, Listing, Upload};
use aurora_core::http::{FileBody, Peer, arriving};
use aurora_core::types::{Code, Principal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use serde_json::{Value, json};

use crate::store::{OWN_FOLDER, Store, pattern};

/// Whoever is signed in may put files anywhere; they see and change their own.
const OWN_FILES: &str = "
    CREATE POLICY buckets ON storage.buckets FOR SELECT TO authenticated USING (id = 'notes');
    CREATE POLICY put ON storage.objects FOR INSERT TO authenticated WITH CHECK (bucket_id = 'notes');
    CREATE POLICY see ON storage.objects FOR SELECT TO authenticated USING (owner_id = auth.uid()::text);
    CREATE POLICY change ON storage.objects FOR UPDATE TO authenticated
        USING (owner_id = auth.uid()::text) WITH CHECK (owner_id = auth.uid()::text);
    CREATE POLICY remove ON storage.objects FOR DELETE TO authenticated USING (owner_id = auth.uid()::text);
";

/// Sends a form that never comes to its file. Answers the code, and how many bytes of it were taken.
async fn endless_form(store: &Store, method: &str, path: &str) -> (String, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let pieces = futures_util::stream::iter(0..1024).map(move |_| {
        counted.fetch_add(65_536, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65_536]))
    });
    let request = Request::builder()
        .method(method)
        .uri(format!("/storage/v1{path}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(arriving(pieces))
        .unwrap();
    let answer = store.aurora.http().stream(request, Peer::from(IpAddr::from([127, 0, 0, 1]))).await;
    let FileBody::Whole(body) = answer.into_body() else { panic!("a refusal is whole") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    (body["code"].as_str().unwrap().to_owned(), taken.load(Ordering::SeqCst))
}

/// attack F06, asvs(V5.2.1): nothing is kept of a form of strangers but what may come before its file. What a refused
/// body lingers for is dropped as it comes.
#[tokio::test]
async fn a_form_that_never_reaches_its_file_is_refused() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let lingering = 9 << 20;
    let (code, taken) = endless_form(&store, "POST", "/object/notes/x").await;
    assert_eq!(code, "EntityTooLarge");
    assert!(taken <= lingering, "{taken} bytes were taken");
    let (code, taken) = endless_form(&store, "PUT", "/object/upload/sign/notes/x?token=no").await;
    assert_eq!(code, "InvalidSignature", "the token is looked at first");
    assert!(taken <= lingering, "{taken} bytes were taken");
}

/// attack F03: a token that may replace what is there replaces what was there, or its owner's own.
#[tokio::test]
async fn a_signed_upload_replaces_nobody_else_s_file() {
    let store = Store::with(OWN_FILES).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    let sign = async |name: &str| {
        let ask = store.post(&format!("/object/upload/sign/notes/{name}")).bearer(&ann.token);
        let signed = ask.with("x-upsert", "true").send().await;
        assert_eq!(signed.status, 200, "{}", signed.text());
        (
            signed.json()["url"].as_str().unwrap().to_owned(),
            signed.json()["token"].as_str().unwrap().to_owned(),
        )
    };
    let (url, token) = sign("x.txt").await;
    let put = store.post("/object/notes/x.txt").bearer(&bob.token).body(b"of Bob".to_vec()).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    let refused = store.ask("PUT", &url).body(b"of Ann".to_vec()).send().await;
    assert_eq!(refused.told().0, "409", "{}", refused.text());
    let said = format!("bucketName {},objectName {}", STANDARD.encode("notes"), STANDARD.encode("x.txt"));
    let begun = store
        .post("/upload/resumable/sign")
        .with("x-signature", &token)
        .with("tus-resumable", "1.0.0")
        .with("upload-length", "4")
        .with("content-type", "application/offset+octet-stream")
        .with("upload-metadata", &said)
        .body(b"Ann!".to_vec())
        .send()
        .await;
    assert_eq!(begun.status, 409, "in parts neither: {}", begun.text());
    let got = store.get("/object/notes/x.txt").bearer(&bob.token).send().await;
    assert_eq!(got.body, b"of Bob");
    // Their own, as often as they like; and what was there when it was signed.
    let (url, _) = sign("mine.txt").await;
    for content in [b"one", b"two"] {
        let put = store.ask("PUT", &url).body(content.to_vec()).send().await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let (url, _) = sign("mine.txt").await;
    assert_eq!(store.ask("PUT", &url).body(b"three".to_vec()).send().await.status, 200);
    let got = store.get("/object/notes/mine.txt").bearer(&ann.token).send().await;
    assert_eq!(got.body, b"three");
    // Removed since, and somebody else's by now.
    assert_eq!(store.ask("DELETE", "/object/notes/mine.txt").bearer(&ann.token).send().await.status, 200);
    let put = store.post("/object/notes/mine.txt").bearer(&bob.token).body(b"of Bob".to_vec()).send().await;
    assert_eq!(put.status, 200);
    let refused = store.ask("PUT", &url).body(b"of Ann".to_vec()).send().await;
    assert_eq!(refused.told().0, "409", "{}", refused.text());
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (2, 0));
}

/// attack F06: the same on every way in.
#[tokio::test]
async fn what_is_noted_of_a_file_is_small() {
    let store = Store::with(OWN_FILES).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let noted = |length: usize| json!({ "a": "x".repeat(length) }).to_string();
    let raw = async |name: &str, noted: String| {
        let ask = store.post(&format!("/object/notes/{name}")).bearer(&ann.token);
        ask.with("x-metadata", &STANDARD.encode(noted)).body(b"x".to_vec()).send().await
    };
    let form = async |name: &str, noted: String| {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{noted}\r\n--b\r\nContent-Disposition: \
             form-data; name=\"\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n"
        );
        let ask = store.post(&format!("/object/notes/{name}")).bearer(&ann.token);
        ask.with("content-type", "multipart/form-data; boundary=b").body(form.into_bytes()).send().await
    };
    let parts = async |name: &str, noted: String| {
        let said = [("bucketName", "notes"), ("objectName", name), ("metadata", &noted)];
        let said: Vec<String> =
            said.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect();
        let ask = store.post("/upload/resumable").bearer(&ann.token).with("tus-resumable", "1.0.0");
        ask.with("upload-length", "1").with("upload-metadata", &said.join(",")).send().await
    };
    for (at, length, is_taken) in [(1, 8_000, true), (2, 8_192, false), (3, 40_000, false)] {
        let answers = [
            raw(&format!("raw{at}"), noted(length)).await,
            form(&format!("form{at}"), noted(length)).await,
            parts(&format!("parts{at}"), noted(length)).await,
        ];
        for answer in answers {
            assert_eq!(answer.status.is_success(), is_taken, "{length}: {}", answer.text());
            if !is_taken {
                assert_eq!(answer.told().1, "InvalidRequest");
                assert_eq!(answer.json()["message"], "metadata takes at most 8192 bytes");
            }
        }
    }
    let mut upload = Upload::new("notes".parse().unwrap(), "function".parse().unwrap());
    upload.user_metadata = serde_json::from_str(&noted(9_000)).unwrap();
    let asker = Asker::new(Principal::user(ann.id.parse().unwrap()));
    let refused = store.files().upload(&asker, &upload, futures_util::stream::empty().boxed()).await;
    assert_eq!(refused.unwrap_err().code(), Code::ValidationFailed);
    let listed =
        store.post("/object/list/notes").bearer(&ann.token).json(&json!({"prefix": ""})).send().await;
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    // Ten thousand of them fit into memory: a list does not read them.
    let listing = Listing { limit: 10, ..Listing::default() };
    let page = store.files().list(&asker, &"notes".parse().unwrap(), &listing).await.unwrap();
    for entry in &page.entries {
        let Entry::Object(name, object) = entry else { panic!("no folder") };
        assert_eq!(object.user_metadata, None, "{name}");
    }
    let name = "raw1".parse().unwrap();
    let info = store.files().info(&asker, &"notes".parse().unwrap(), &name).await.unwrap();
    assert!(info.user_metadata.is_some());
}

/// attack F02, asvs(V5.2.2): a bucket's types hold for what is moved into it, by what it begins with.
#[tokio::test]
async fn a_move_evades_no_bucket_s_types() {
    let store = Store::with(
        "CREATE POLICY everything ON storage.objects FOR ALL TO authenticated USING (TRUE) WITH CHECK (TRUE);",
    )
    .await;
    store.bucket("notes", &json!({})).await;
    store.bucket("pictures", &json!({"allowed_mime_types": ["image/png"], "file_size_limit": 1000})).await;
    let ann = store.user("ann@example.com").await;
    let put = async |name: &str, content: &[u8]| {
        let ask = store.post(&format!("/object/notes/{name}")).bearer(&ann.token);
        let put = ask.with("content-type", "image/png").body(content.to_vec()).send().await;
        assert_eq!(put.status, 200, "{}", put.text());
    };
    put("page.png", b"<html><script>alert(1)</script>").await;
    put("large.png", &[b"\x89PNG\r\n\x1a\n".to_vec(), pattern(2_000)].concat()).await;
    put("small.png", &[b"\x89PNG\r\n\x1a\n".to_vec(), pattern(500)].concat()).await;
    // What a row says of its size is its owner's to change.
    let said = if crate::store::on_postgres() {
        "'{\"size\": 1, \"mimetype\": \"image/png\"}'::jsonb"
    } else {
        "'{\"size\": 1, \"mimetype\": \"image/png\"}'"
    };
    store.execute(&format!("UPDATE storage_objects SET metadata = {said} WHERE name = 'large.png'")).await;
    let move_it = async |name: &str| {
        let asked = json!({"bucketId": "notes", "sourceKey": name, "destinationKey": name, "destinationBucket": "pictures"});
        store.post("/object/move").bearer(&ann.token).json(&asked).send().await
    };
    assert_eq!(move_it("page.png").await.told().1, "InvalidMimeType");
    assert_eq!(move_it("large.png").await.told().1, "EntityTooLarge");
    let moved = move_it("small.png").await;
    assert_eq!(moved.status, 200, "{}", moved.text());
}

/// A bucket that is hidden and one that is not there are answered alike.
#[tokio::test]
async fn a_hidden_bucket_is_as_if_it_were_not_there() {
    let store = Store::with(OWN_FILES).await;
    for bucket in ["notes", "secret"] {
        store.bucket(bucket, &json!({"file_size_limit": 10, "allowed_mime_types": ["image/png"]})).await;
    }
    let ann = store.user("ann@example.com").await;
    let content = b"\x89PNG\r\n\x1a\n".to_vec();
    let put = store.post("/object/notes/a.png").bearer(&ann.token).with("content-type", "image/png");
    assert_eq!(put.body(content.clone()).send().await.status, 200);
    let said = |bucket: &str| {
        format!("bucketName {},objectName {}", STANDARD.encode(bucket), STANDARD.encode("b.html"))
    };
    let ask = async |way: &str, bucket: &str| {
        let body = json!({"bucketId": "notes", "sourceKey": "a.png", "destinationKey": "b.html", "destinationBucket": bucket});
        let ask = match way {
            "upload" => store.post(&format!("/object/{bucket}/b.html")).body(pattern(100)),
            "sign" => store.post(&format!("/object/upload/sign/{bucket}/b.html")),
            "parts" => store
                .post("/upload/resumable")
                .with("tus-resumable", "1.0.0")
                .with("upload-length", "100")
                .with("upload-metadata", &said(bucket)),
            way => store.post(&format!("/object/{way}")).json(&body),
        };
        let answer = ask.bearer(&ann.token).send().await;
        assert!(answer.status.is_client_error(), "{way}: {}", answer.text());
        (answer.status, answer.text())
    };
    for way in ["upload", "sign", "parts", "move", "copy"] {
        assert_eq!(ask(way, "secret").await, ask(way, "absent").await, "{way}");
    }
}

/// attack F02, asvs(V3.2.1): no file is a script or a style of another page's, and no cache between keeps what is one
/// person's.
#[tokio::test]
async fn what_runs_is_sent_as_bytes() {
    let store = Store::with(OWN_FILES).await;
    store.bucket("notes", &json!({})).await;
    store.bucket("open", &json!({"public": true})).await;
    for (kind, sent) in [
        ("text/javascript", "application/octet-stream"),
        ("application/x-javascript", "application/octet-stream"),
        ("text/css", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("application/wasm", "application/octet-stream"),
        ("text/x-odd", "application/octet-stream"),
        ("x/y", "application/octet-stream"),
        ("text/csv", "text/csv"),
        ("image/svg+xml", "image/svg+xml"),
        ("application/zip", "application/zip"),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
    ] {
        let ask = store.post("/object/open/f").service().with("x-upsert", "true").with("content-type", kind);
        assert_eq!(ask.body(b"x".to_vec()).send().await.status, 200);
        let got = store.get("/object/public/open/f").send().await;
        assert_eq!(got.header("content-type"), sent, "{kind}");
        let info = store.get("/object/info/public/open/f").send().await;
        assert_eq!(info.json()["content_type"], kind, "what was said stays noted");
    }
    let ann = store.user("ann@example.com").await;
    let put = store.post("/object/notes/a.txt").bearer(&ann.token);
    let put = put.with("cache-control", "public, max-age=60, s-maxage=9000, immutable, no-store");
    assert_eq!(put.body(b"x".to_vec()).send().await.status, 200);
    let got = store.get("/object/notes/a.txt").bearer(&ann.token).send().await;
    assert_eq!(got.header("cache-control"), "private, max-age=60, no-store");
    let varies: Vec<&str> = got.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(varies.join(", ").contains("authorization, apikey, cookie"), "{varies:?}");
}

/// A signed URL of any name leads to its file, and is recorded.
#[tokio::test]
async fn signed_urls_are_encoded_and_recorded() {
    let store = Store::with(OWN_FILES).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for (name, path) in [("a b?c#d.txt", "a%20b%3Fc%23d.txt"), ("ä/100%25.txt", "%C3%A4/100%2525.txt")] {
        let put = store.post(&format!("/object/notes/{path}")).bearer(&ann.token);
        assert_eq!(put.body(name.as_bytes().to_vec()).send().await.status, 200);
        let sign = store.post(&format!("/object/sign/notes/{path}")).bearer(&ann.token);
        let signed = sign.json(&json!({"expiresIn": 60})).send().await.json();
        let url = signed["signedURL"].as_str().unwrap();
        assert!(url.starts_with(&format!("/object/sign/notes/{path}?token=")), "{url}");
        assert_eq!(store.get(url).send().await.body, name.as_bytes());
        // The official client encodes what it is given once more.
        let twice = url.replace('%', "%25");
        assert_eq!(store.get(&twice).send().await.body, name.as_bytes());
        let sign = store.post(&format!("/object/upload/sign/notes/new{path}")).bearer(&ann.token);
        let signed = sign.send().await.json();
        let put = store.ask("PUT", signed["url"].as_str().unwrap()).body(b"x".to_vec()).send().await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let many = json!({"expiresIn": 60, "paths": ["a b?c#d.txt", "never"]});
    let many = store.post("/object/sign/notes").bearer(&ann.token).json(&many).send().await.json();
    assert_eq!(store.get(many[0]["signedURL"].as_str().unwrap()).send().await.body, b"a b?c#d.txt");
    let audit = store.audit().await;
    assert_eq!(audit.iter().filter(|action| *action == "object_signed").count(), 5, "{audit:?}");
}
