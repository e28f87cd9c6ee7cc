//! What Supabase Storage's clients see.

use serde_json::{Value, json};

use crate::store::{OWN_FOLDER, Store, pattern};

const ALL: &str = "
    CREATE POLICY buckets ON storage.buckets FOR SELECT USING (TRUE);
    CREATE POLICY everything ON storage.objects FOR ALL TO authenticated USING (TRUE) WITH CHECK (TRUE);
";

#[tokio::test]
async fn buckets_are_made_told_changed_and_deleted() {
    let store = Store::with(OWN_FOLDER).await;
    let ann = store.user("ann@example.com").await;
    let refused = store.post("/bucket").bearer(&ann.token).json(&json!({"id": "mine"})).send().await;
    assert_eq!(refused.told(), ("403".to_owned(), "AccessDenied".to_owned()), "{}", refused.text());
    store
        .bucket("notes", &json!({"public": true, "file_size_limit": "1KB", "allowed_mime_types": ["text/*"]}))
        .await;
    let told = store.get("/bucket/notes").bearer(&ann.token).send().await.json();
    assert_eq!(told["id"], "notes");
    assert_eq!((&told["public"], &told["file_size_limit"]), (&json!(true), &json!(1000)));
    assert_eq!(told["allowed_mime_types"], json!(["text/*"]));
    let again = store.post("/bucket").service().json(&json!({"id": "notes"})).send().await;
    assert_eq!(again.told(), ("409".to_owned(), "KeyAlreadyExists".to_owned()));
    let changed =
        store.ask("PUT", "/bucket/notes").service().json(&json!({"public": false, "file_size_limit": null}));
    assert_eq!(changed.send().await.json()["message"], "Successfully updated");
    let told = store.get("/bucket/notes").service().send().await.json();
    assert_eq!((&told["public"], &told["file_size_limit"]), (&json!(false), &Value::Null));
    assert_eq!(told["allowed_mime_types"], json!(["text/*"]), "what was not said stays");
    let theirs =
        store.ask("PUT", "/bucket/notes").bearer(&ann.token).json(&json!({"public": true})).send().await;
    assert_eq!(theirs.told().1, "NoSuchBucket");
    store.bucket("other", &json!({})).await;
    let listed = store.get("/bucket?limit=1&offset=1").service().send().await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!("other")));
    let path = format!("/object/notes/{}/a.txt", ann.id);
    store.post(&path).bearer(&ann.token).with("content-type", "text/plain").body(b"a".to_vec()).send().await;
    let full = store.ask("DELETE", "/bucket/notes").service().send().await;
    assert_eq!(full.told().0, "409", "{}", full.text());
    let emptied = store.post("/bucket/notes/empty").service().send().await;
    assert_eq!(emptied.status, 200, "{}", emptied.text());
    assert_eq!(store.blobs_on_disk(), 0);
    assert_eq!(
        store.ask("DELETE", "/bucket/notes").service().send().await.json()["message"],
        "Successfully deleted"
    );
    assert_eq!(store.get("/bucket/notes").service().send().await.told().1, "NoSuchBucket");
    let audit = store.audit().await;
    for action in ["bucket_created", "bucket_updated", "bucket_deleted", "object_removed"] {
        assert!(audit.iter().any(|one| one == action), "{action}: {audit:?}");
    }
}

#[tokio::test]
async fn objects_are_listed_moved_copied_and_removed() {
    let store = Store::with(ALL).await;
    store.bucket("notes", &json!({})).await;
    store.bucket("other", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for name in ["a.txt", "b/c.txt", "b/d/e.txt", "b.txt", "z.txt", "ä/ö.txt"] {
        let put =
            store.post(&format!("/object/notes/{}", name.replace('ä', "%C3%A4").replace('ö', "%C3%B6")));
        let put = put
            .bearer(&ann.token)
            .with("content-type", "text/plain")
            .body(name.as_bytes().to_vec())
            .send()
            .await;
        assert_eq!(put.status, 200, "{name}: {}", put.text());
    }
    let list = async |body: Value| -> Vec<String> {
        let listed = store.post("/object/list/notes").bearer(&ann.token).json(&body).send().await.json();
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list(json!({"prefix": ""})).await, ["b", "ä", "a.txt", "b.txt", "z.txt"]);
    assert_eq!(list(json!({"prefix": "b"})).await, ["d", "c.txt"]);
    assert_eq!(list(json!({"prefix": "", "limit": 2, "offset": 1})).await, ["ä", "a.txt"]);
    assert_eq!(list(json!({"prefix": "", "sortBy": {"column": "name", "order": "desc"}})).await[2], "z.txt");
    assert_eq!(list(json!({"prefix": "", "search": "Z"})).await, ["z.txt"]);
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"prefix": "", "limit": 2, "cursor": cursor, "with_delimiter": true});
        let page = store.post("/object/list-v2/notes").bearer(&ann.token).json(&body).send().await.json();
        seen.extend(
            page["folders"]
                .as_array()
                .unwrap()
                .iter()
                .chain(page["objects"].as_array().unwrap())
                .map(|one| one["key"].as_str().unwrap().to_owned()),
        );
        cursor = page["nextCursor"].clone();
        if page["hasNext"] == json!(false) {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["a.txt", "b.txt", "b/", "z.txt", "ä/"]);
    let moved = json!({"bucketId": "notes", "sourceKey": "a.txt", "destinationKey": "n/a.txt", "destinationBucket": "other"});
    let moved = store.post("/object/move").bearer(&ann.token).json(&moved).send().await;
    assert_eq!(moved.json()["message"], "Successfully moved");
    let there = store.get("/object/other/n/a.txt").bearer(&ann.token).send().await;
    assert_eq!(there.body, b"a.txt", "what was sealed in one bucket is read in another");
    assert_eq!(store.get("/object/notes/a.txt").bearer(&ann.token).send().await.told().1, "NoSuchKey");
    let copied = json!({"bucketId": "notes", "sourceKey": "b/c.txt", "destinationKey": "copy.txt"});
    let copied_again = store.post("/object/copy").bearer(&ann.token).json(&copied);
    assert_eq!(copied_again.send().await.json()["Key"], "notes/copy.txt");
    assert_eq!(store.post("/object/copy").bearer(&ann.token).json(&copied).send().await.told().0, "409");
    assert_eq!(store.get("/object/notes/copy.txt").bearer(&ann.token).send().await.body, b"b/c.txt");
    let info = store.get("/object/info/notes/copy.txt").bearer(&ann.token).send().await.json();
    assert_eq!((&info["size"], &info["content_type"]), (&json!(7), &json!("text/plain")));
    let head = store.ask("HEAD", "/object/notes/copy.txt").bearer(&ann.token).send().await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length"), head.body.len()),
        (200, "7".to_owned(), 0)
    );
    let removed = store.ask("DELETE", "/object/notes").bearer(&ann.token);
    let removed =
        removed.json(&json!({"prefixes": ["copy.txt", "b/c.txt", "never.txt"]})).send().await.json();
    assert_eq!(removed.as_array().unwrap().len(), 2);
    assert_eq!(store.blobs_on_disk(), 5);
    let usage = store.rows("SELECT bytes, files FROM aurora_file_usage").await;
    assert_eq!(usage[0][1].as_deref(), Some("5"), "{usage:?}");
}

#[tokio::test]
async fn what_is_there_is_replaced_only_when_asked() {
    let store = Store::with(ALL).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let put = async |content: &[u8], upsert: &str| {
        let ask = store.post("/object/notes/a.bin").bearer(&ann.token).with("x-upsert", upsert);
        ask.with("cache-control", "max-age=60").body(content.to_vec()).send().await
    };
    let first = put(b"one", "false").await.json();
    assert_eq!(put(b"two", "false").await.told(), ("409".to_owned(), "KeyAlreadyExists".to_owned()));
    assert_eq!(put(b"two", "true").await.json()["Id"], first["Id"], "it stays the same object");
    let got = store.get("/object/notes/a.bin").bearer(&ann.token).send().await;
    assert_eq!(
        (got.body.as_slice(), got.header("cache-control").as_str()),
        (&b"two"[..], "private, max-age=60")
    );
    assert_eq!(store.blobs_on_disk(), 1, "the former bytes are gone");
    let etag = got.header("etag");
    let kept = store.get("/object/notes/a.bin").bearer(&ann.token).with("if-none-match", &etag).send().await;
    assert_eq!((kept.status.as_u16(), kept.body.len()), (304, 0));
    let replaced =
        store.ask("PUT", "/object/notes/a.bin").bearer(&ann.token).body(pattern(70_000)).send().await;
    assert_eq!(replaced.status, 200);
    let got = store.get("/object/notes/a.bin").bearer(&ann.token).with("if-none-match", &etag).send().await;
    assert_eq!(got.body, pattern(70_000));
    assert_eq!(
        store.get("/object/notes/a.bin").bearer(&ann.token).with("range", "bytes=70000-").send().await.status,
        416
    );
}

#[tokio::test]
async fn forms_bring_their_words_first() {
    let store = Store::with(ALL).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let content = pattern(100_000);
    let mut form = b"--xyz\r\nContent-Disposition: form-data; name=\"cacheControl\"\r\n\r\n3600\r\n".to_vec();
    form.extend(b"--xyz\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n");
    form.extend(b"--xyz\r\nContent-Disposition: form-data; name=\"\"; filename=\"blob\"\r\nContent-Type: image/x-odd\r\n\r\n");
    form.extend(&content);
    form.extend(b"\r\n--xyz--\r\n");
    let kind = "multipart/form-data; boundary=xyz";
    let put = store
        .post("/object/notes/f.bin")
        .bearer(&ann.token)
        .with("content-type", kind)
        .body(form.clone())
        .send()
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    let got = store.get("/object/notes/f.bin").bearer(&ann.token).send().await;
    assert!(got.body == content);
    assert_eq!(
        (got.header("content-type"), got.header("cache-control")),
        ("image/x-odd".to_owned(), "private, max-age=3600".to_owned())
    );
    let info = store.get("/object/info/notes/f.bin").bearer(&ann.token).send().await.json();
    assert_eq!(info["metadata"], json!({"a": 1}));
    // A form that ends early is no file.
    form.truncate(form.len() / 2);
    let cut = store
        .post("/object/notes/cut.bin")
        .bearer(&ann.token)
        .with("content-type", kind)
        .body(form)
        .send()
        .await;
    assert_eq!(cut.status, 400, "{}", cut.text());
    let none = store
        .post("/object/notes/none.bin")
        .bearer(&ann.token)
        .with("content-type", kind)
        .body(b"--xyz--\r\n".to_vec())
        .send()
        .await;
    assert_eq!(none.status, 400);
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (1, 0));
}

/// attack F03, asvs(V15.3.5)
#[tokio::test]
async fn a_signed_url_is_good_for_what_it_was_signed_for() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    let path = format!("notes/{}/a.txt", ann.id);
    store.post(&format!("/object/{path}")).bearer(&ann.token).body(b"secret".to_vec()).send().await;
    let sign = async |path: &str, token: &str, seconds: Value| {
        store
            .post(&format!("/object/sign/{path}"))
            .bearer(token)
            .json(&json!({"expiresIn": seconds}))
            .send()
            .await
    };
    assert_eq!(sign(&path, &bob.token, json!(60)).await.told().1, "NoSuchKey");
    for wrong in [json!(0), json!(u64::MAX), json!(i64::MAX), json!(-1), json!("x"), json!(40_000_000)] {
        assert_eq!(sign(&path, &ann.token, wrong.clone()).await.status, 400, "{wrong}");
    }
    let url = sign(&path, &ann.token, json!(60)).await.json()["signedURL"].as_str().unwrap().to_owned();
    let got = store.get(&url).send().await;
    assert_eq!((got.status.as_u16(), got.body.as_slice()), (200, &b"secret"[..]));
    let token = url.split("token=").nth(1).unwrap().to_owned();
    let denied = async |method: &str, path: &str| {
        let answer = store.ask(method, path).body(b"x".to_vec()).send().await;
        assert_eq!(
            answer.told(),
            ("403".to_owned(), "InvalidSignature".to_owned()),
            "{method} {path}: {}",
            answer.text()
        );
    };
    // Another path, another bucket, another use, another byte.
    denied("GET", &format!("/object/sign/notes/{}/b.txt?token={token}", ann.id)).await;
    denied("GET", &format!("/object/sign/other/{}/a.txt?token={token}", ann.id)).await;
    denied("PUT", &format!("/object/upload/sign/{path}?token={token}")).await;
    for at in [0, token.len() / 3, token.len() - 2] {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        denied("GET", &format!("/object/sign/{path}?token={}", String::from_utf8(altered).unwrap())).await;
    }
    denied("GET", &format!("/object/sign/{path}")).await;
    denied("GET", &format!("/object/sign/{path}?token=")).await;
    // Removed and made anew: it was signed for another object.
    store
        .ask("DELETE", "/object/notes")
        .bearer(&ann.token)
        .json(&json!({"prefixes": [format!("{}/a.txt", ann.id)]}))
        .send()
        .await;
    assert_eq!(store.get(&url).send().await.told().1, "NoSuchKey");
    store.post(&format!("/object/{path}")).bearer(&ann.token).body(b"another".to_vec()).send().await;
    assert_eq!(store.get(&url).send().await.told().1, "NoSuchKey");
    let url = sign(&path, &ann.token, json!(60)).await.json()["signedURL"].as_str().unwrap().to_owned();
    store.clock.advance(std::time::Duration::from_secs(61));
    denied("GET", &url).await;

    // To upload: as who signed it, once, and never to download.
    let file = format!("notes/{}/up.txt", ann.id);
    let refused = store.post(&format!("/object/upload/sign/{file}")).bearer(&bob.token).send().await;
    assert_eq!(refused.told().0, "403", "{}", refused.text());
    let signed = store.post(&format!("/object/upload/sign/{file}")).bearer(&ann.token).send().await.json();
    let url = signed["url"].as_str().unwrap();
    denied("GET", &url.replace("/upload/sign/", "/sign/")).await;
    let put = store.ask("PUT", url).body(b"by link".to_vec()).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(store.ask("PUT", url).body(b"again".to_vec()).send().await.told().0, "409");
    let got = store.get(&format!("/object/{file}")).bearer(&ann.token).send().await;
    assert_eq!(got.body, b"by link");
    let owners = store.rows("SELECT owner_id FROM storage_objects WHERE name LIKE '%up.txt'").await;
    assert_eq!(owners[0][0].as_deref(), Some(ann.id.as_str()));
    let many = store.post("/object/sign/notes").bearer(&ann.token);
    let many =
        many.json(&json!({"expiresIn": 60, "paths": [format!("{}/up.txt", ann.id), "no/such.txt", "../x"]}));
    let many = many.send().await.json();
    assert!(
        many[0]["signedURL"].is_string() && many[1]["signedURL"].is_null() && many[2]["error"].is_string()
    );
}

#[tokio::test]
async fn a_public_bucket_is_read_by_anyone_and_written_by_policy() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("open", &json!({"public": true})).await;
    store.bucket("notes", &json!({})).await;
    store
        .post("/object/open/p.png")
        .service()
        .with("cache-control", "max-age=31536000")
        .body(pattern(10))
        .send()
        .await;
    store.post("/object/notes/q.png").service().body(pattern(10)).send().await;
    let got = store.get("/object/public/open/p.png").send().await;
    assert_eq!((got.status.as_u16(), got.header("cache-control").as_str()), (200, "max-age=31536000"));
    assert_eq!(store.get("/object/info/public/open/p.png").send().await.json()["size"], 10);
    assert_eq!(store.get("/object/public/notes/q.png").send().await.told().0, "404");
    assert_eq!(
        store.get("/object/open/p.png").send().await.told().1,
        "NoSuchKey",
        "the other way asks policies"
    );
    let ann = store.user("ann@example.com").await;
    let refused = store.post("/object/open/x.png").bearer(&ann.token).body(pattern(10)).send().await;
    assert_eq!(refused.told().0, "403");
}
