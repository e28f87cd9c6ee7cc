//! Files attacked again, with the code in hand: ways around a limit, another's upload, and everybody at once.

use aurora_core::types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::json;

use crate::store::{Ask, OWN_FOLDER, Reply, Store, User, pattern};

fn begin<'a>(store: &'a Store, user: &User, name: &str, kind: &str, length: usize) -> Ask<'a> {
    let said = [("bucketName", "notes"), ("objectName", name), ("contentType", kind)];
    let said: Vec<String> =
        said.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect();
    let ask = store.post("/upload/resumable").bearer(&user.token).with("tus-resumable", "1.0.0");
    ask.with("upload-length", &length.to_string()).with("upload-metadata", &said.join(","))
}

fn part<'a>(store: &'a Store, user: &User, path: &str, offset: usize, content: &[u8]) -> Ask<'a> {
    let ask = store.ask("PATCH", path).bearer(&user.token).with("tus-resumable", "1.0.0");
    let ask = ask.with("content-type", "application/offset+octet-stream");
    ask.with("upload-offset", &offset.to_string()).body(content.to_vec())
}

fn place(begun: &Reply) -> String {
    begun.header("location").strip_prefix("/storage/v1").unwrap().to_owned()
}

async fn usage(store: &Store) -> Vec<Vec<Option<String>>> {
    store.rows("SELECT bytes, files FROM aurora_file_usage").await
}

/// attack F06, asvs(V5.2.1, V5.2.2): a resumable upload keeps to what holds on every other way in, and leaves nothing
/// where it does not.
#[tokio::test]
async fn a_resumable_upload_is_no_way_around_a_limit() {
    let store = Store::with(OWN_FOLDER).await;
    store
        .bucket(
            "notes",
            &json!({"file_size_limit": 50_000, "allowed_mime_types": ["image/png", "text/plain"]}),
        )
        .await;
    let ann = store.user("ann@example.com").await;
    let name = format!("{}/a", ann.id);
    for (kind, length, status) in [
        ("text/plain", 50_001, 413),
        ("text/html", 10, 415),
        ("image/jpeg", 10, 415),
        ("text/plain\r\nx-evil: 1", 10, 415),
    ] {
        let refused = begin(&store, &ann, &name, kind, length).send().await;
        assert_eq!(refused.status.as_u16(), status, "{kind:?}: {}", refused.text());
    }
    for lie in [&b"<!doctype html><script>1</script>"[..], b"MZ\x90\0\x03\0\0\0", b"nothing of a picture"] {
        let begun = begin(&store, &ann, &name, "image/png", lie.len()).send().await;
        let path = place(&begun);
        // The lie is in two parts, neither of which shows it.
        assert_eq!(part(&store, &ann, &path, 0, &lie[..3]).send().await.status, 204);
        let refused = part(&store, &ann, &path, 3, &lie[3..]).send().await;
        assert_eq!(refused.status, 415, "{}", refused.text());
        let gone = store.ask("HEAD", &path).bearer(&ann.token).with("tus-resumable", "1.0.0").send().await;
        assert_eq!(gone.status, 404, "the upload is over");
    }
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (0, 0));
    assert!(store.rows("SELECT id FROM aurora_blobs").await.is_empty());
    assert_eq!(store.rows("SELECT id FROM storage_objects").await.len(), 0);
}

/// attack F03: an upload is its maker's, whoever knows its place.
#[tokio::test]
async fn nobody_goes_on_with_another_s_upload() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    let path = place(&begin(&store, &ann, &format!("{}/a", ann.id), "text/plain", 10).send().await);
    assert_eq!(part(&store, &ann, &path, 0, b"12345").send().await.status, 204);
    let signed =
        store.post(&format!("/object/upload/sign/notes/{}/b", bob.id)).bearer(&bob.token).send().await.json();
    let token = signed["token"].as_str().unwrap();
    let id = path.rsplit('/').next().unwrap().to_owned();
    for (method, path, by) in [
        ("HEAD", path.clone(), "bob"),
        ("DELETE", path.clone(), "bob"),
        ("DELETE", path.clone(), "service"),
        ("DELETE", path.clone(), "nobody"),
        ("DELETE", format!("/upload/resumable/sign/{id}"), "a link of bob's"),
        ("PATCH", path.clone(), "bob"),
        ("PATCH", path.clone(), "service"),
    ] {
        let ask = store.ask(method, &path).with("tus-resumable", "1.0.0").with("upload-offset", "5");
        let ask = ask.with("content-type", "application/offset+octet-stream");
        let ask = match by {
            "bob" => ask.bearer(&bob.token),
            "service" => ask.service(),
            "nobody" => ask,
            _ => ask.with("x-signature", token),
        };
        let ask = if method == "PATCH" { ask.body(b"evil!".to_vec()) } else { ask };
        let refused = ask.send().await;
        assert!([403, 404].contains(&refused.status.as_u16()), "{method} by {by}: {}", refused.status);
    }
    assert_eq!(part(&store, &ann, &path, 5, b"67890").send().await.status, 204);
    let whole = store.get(&format!("/object/notes/{}/a", ann.id)).bearer(&ann.token).send().await;
    assert_eq!(whole.body, b"1234567890");
}

/// attack F06: of parts that come at once at one place one counts, and nothing of the others stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parts_at_one_place_one_counts() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let name = format!("{}/a", ann.id);
    let path = place(&begin(&store, &ann, &name, "text/plain", 40_000).send().await);
    let parts: Vec<Vec<u8>> = (0..12_u8).map(|number| vec![b'a' + number; 20_000]).collect();
    let answers = join_all(parts.iter().map(|content| part(&store, &ann, &path, 0, content).send())).await;
    let taken: Vec<usize> = (0..12).filter(|&at| answers[at].status == 204).collect();
    assert_eq!(taken.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        assert!([409, 503].contains(&answer.status.as_u16()), "{}", answer.text());
    }
    assert_eq!(usage(&store).await, [[Some("20000".to_owned()), Some("1".to_owned())]]);
    // The last one as well: whoever asks twice at the end gets one file.
    let last = vec![b'z'; 20_000];
    let answers = join_all((0..6).map(|_| part(&store, &ann, &path, 20_000, &last).send())).await;
    assert!(answers.iter().any(|answer| answer.status == 204));
    let whole = store.get(&format!("/object/notes/{name}")).bearer(&ann.token).send().await;
    assert!(whole.body == [parts[taken[0]].clone(), last].concat());
    store.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let report = store.files().sweep().await.unwrap();
    assert_eq!((store.blobs_on_disk(), report.missing), (1, 0), "{report:?}");
    assert_eq!(usage(&store).await, [[Some("40000".to_owned()), Some("1".to_owned())]]);
}

/// attack F05: whoever replaces one file at once leaves one of the contents, whole, and counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_replacements_at_once_one_stays_whole() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = format!("/object/notes/{}/a", ann.id);
    for round in 0..3 {
        let contents: Vec<Vec<u8>> =
            (0..16).map(|number| vec![number; 10_000 + usize::from(number)]).collect();
        let puts = contents
            .iter()
            .map(|content| store.ask("PUT", &path).bearer(&ann.token).body(content.clone()).send());
        let (answers, removed) = tokio::join!(join_all(puts), async {
            if round == 1 {
                drop(store.ask("DELETE", &path).bearer(&ann.token).send().await);
            }
        });
        let () = removed;
        for answer in &answers {
            assert!(answer.status == 200 || answer.status == 503, "{}", answer.text());
        }
        let found = store.get(&path).bearer(&ann.token).send().await;
        let wanted = contents.iter().find(|content| **content == found.body);
        assert!(wanted.is_some() || (round == 1 && found.told().1 == "NoSuchKey"), "{}", found.status);
        store.clock.advance(std::time::Duration::from_secs(10));
        store.files().sweep().await.unwrap();
        let (bytes, files) = wanted.map_or((0, 0), |content| (content.len(), 1));
        assert_eq!(
            usage(&store).await,
            [[Some(bytes.to_string()), Some(files.to_string())]],
            "round {round}"
        );
        assert_eq!(store.rows("SELECT id FROM aurora_blobs WHERE doomed_at IS NULL").await.len(), files);
    }
}

/// attack F05, asvs(V5.2.4): a copy is a file like another.
#[tokio::test]
async fn copies_count() {
    let store = Store::set(OWN_FOLDER, |options| options.quota = Some(100_000)).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let name = |name: &str| format!("{}/{name}", ann.id);
    let put = store.post(&format!("/object/notes/{}", name("a"))).bearer(&ann.token).body(pattern(40_000));
    assert_eq!(put.send().await.status, 200);
    let copies = (0..8).map(|number| {
        let body = json!({"bucketId": "notes", "sourceKey": name("a"), "destinationKey": name(&format!("copy-{number}"))});
        store.post("/object/copy").bearer(&ann.token).json(&body).send()
    });
    let answers = join_all(copies).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert!(["quota_exceeded", "SlowDown"].contains(&refused.told().1.as_str()), "{}", refused.text());
    }
    assert_eq!(usage(&store).await, [[Some("80000".to_owned()), Some("2".to_owned())]]);
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (2, 0));
}

/// attack F06: what may not be put into a bucket is not moved or copied there either.
#[tokio::test]
async fn a_move_is_no_way_into_another_bucket() {
    let policies = "
        CREATE POLICY buckets ON storage.buckets FOR SELECT USING (TRUE);
        CREATE POLICY see ON storage.objects FOR SELECT TO authenticated USING (owner_id = auth.uid()::text);
        CREATE POLICY put ON storage.objects FOR INSERT TO authenticated
            WITH CHECK (bucket_id = 'notes' AND owner_id = auth.uid()::text);
        CREATE POLICY change ON storage.objects FOR UPDATE TO authenticated USING (owner_id = auth.uid()::text);
    ";
    let store = Store::with(policies).await;
    for bucket in ["notes", "staff"] {
        store.bucket(bucket, &json!({"public": bucket == "staff"})).await;
    }
    let ann = store.user("ann@example.com").await;
    assert_eq!(store.post("/object/notes/a").bearer(&ann.token).body(b"a".to_vec()).send().await.status, 200);
    let body =
        json!({"bucketId": "notes", "sourceKey": "a", "destinationKey": "b", "destinationBucket": "staff"});
    for way in ["/object/move", "/object/copy"] {
        let refused = store.post(way).bearer(&ann.token).json(&body).send().await;
        assert_eq!(
            refused.told(),
            ("403".to_owned(), "AccessDenied".to_owned()),
            "{way}: {}",
            refused.text()
        );
    }
    assert_eq!(store.get("/object/public/staff/b").send().await.told().1, "NoSuchKey");
    let within = json!({"bucketId": "notes", "sourceKey": "a", "destinationKey": "b"});
    assert_eq!(store.post("/object/move").bearer(&ann.token).json(&within).send().await.status, 200);
    assert_eq!(store.get("/object/notes/b").bearer(&ann.token).send().await.body, b"a");
}

/// attack F03: a link to upload with ends with who signed it, a resumable upload by it too; and a link to download ends
/// with its object, its bucket and its place.
#[tokio::test]
async fn a_link_ends_with_its_user_and_its_object() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    for (email, is_banned) in [("banned@example.com", true), ("deleted@example.com", false)] {
        let user = store.user(email).await;
        let file = format!("notes/{}/a", user.id);
        let signed =
            store.post(&format!("/object/upload/sign/{file}")).bearer(&user.token).with("x-upsert", "true");
        let signed = signed.send().await.json();
        let (link, token) = (signed["url"].as_str().unwrap(), signed["token"].as_str().unwrap());
        let said = format!(
            "bucketName {},objectName {}",
            STANDARD.encode("notes"),
            STANDARD.encode(format!("{}/a", user.id))
        );
        let begun =
            store.post("/upload/resumable/sign").with("x-signature", token).with("tus-resumable", "1.0.0");
        let begun = begun.with("upload-length", "3").with("upload-metadata", &said).send().await;
        assert_eq!(begun.status, 201, "{}", begun.text());
        assert_eq!(store.ask("PUT", link).body(b"before".to_vec()).send().await.status, 200);
        let id = user.id.parse().unwrap();
        let auth = store.aurora.auth();
        if is_banned {
            let until = Timestamp::from_seconds(1_900_000_000);
            auth.ban(id, until).await.unwrap();
        } else {
            auth.delete_user(id).await.unwrap();
        }
        let late = store.ask("PUT", link).body(b"after".to_vec()).send().await;
        assert_eq!(
            late.told(),
            ("403".to_owned(), "InvalidSignature".to_owned()),
            "{email}: {}",
            late.text()
        );
        let part =
            store.ask("PATCH", &place(&begun)).with("x-signature", token).with("tus-resumable", "1.0.0");
        let part = part.with("content-type", "application/offset+octet-stream").with("upload-offset", "0");
        assert_eq!(part.body(b"abc".to_vec()).send().await.status, 403, "{email}");
    }
    let ann = store.user("ann@example.com").await;
    let file = format!("notes/{}/a", ann.id);
    assert_eq!(
        store.post(&format!("/object/{file}")).bearer(&ann.token).body(b"a".to_vec()).send().await.status,
        200
    );
    let sign =
        store.post(&format!("/object/sign/{file}")).bearer(&ann.token).json(&json!({"expiresIn": 600}));
    let link = sign.send().await.json()["signedURL"].as_str().unwrap().to_owned();
    let moved = json!({"bucketId": "notes", "sourceKey": format!("{}/a", ann.id), "destinationKey": format!("{}/b", ann.id)});
    assert_eq!(store.post("/object/move").bearer(&ann.token).json(&moved).send().await.status, 200);
    assert_eq!(store.get(&link).send().await.told().1, "NoSuchKey", "it lies elsewhere");
    let elsewhere = link.replace(&format!("{}/a?", ann.id), &format!("{}/b?", ann.id));
    assert_eq!(store.get(&elsewhere).send().await.told().1, "InvalidSignature");
    for range in ["bytes=0-", "bytes=5-"] {
        assert_eq!(store.get(&link).with("range", range).send().await.status, 400);
    }
}
