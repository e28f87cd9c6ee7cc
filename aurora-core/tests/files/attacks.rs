//! What files are attacked with.

use std::time::Duration;

use serde_json::json;

use crate::store::{OWN_FOLDER, Store, pattern};

/// attack F01, asvs(V5.3.2, V5.3.1)
#[tokio::test]
async fn no_name_reaches_the_disk() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let before: Vec<_> =
        std::fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in [
        "../x",
        "..%2fx",
        "%2e%2e%2fx",
        "a/../../x",
        "a/..%2f..%2fx",
        "%2fetc%2fpasswd",
        "a%00.png",
        "a%5c..%5cx",
        "%c0%ae%c0%ae%2fx",
        "%ff",
        "a%0d%0aset-cookie:x",
        "a//b",
        "a/./b",
        "%e2%80%aegpj.exe",
    ] {
        for (method, path) in
            [("POST", "/object/notes/"), ("GET", "/object/notes/"), ("POST", "/object/sign/notes/")]
        {
            let answer = store
                .ask(method, &format!("{path}{name}"))
                .service()
                .json(&json!({"expiresIn": 9}))
                .send()
                .await;
            assert_eq!(answer.told().1, "InvalidKey", "{method} {path}{name}: {}", answer.text());
        }
    }
    for bucket in ["..", "%2e%2e", "a%2fb", "a%00"] {
        let answer = store.post(&format!("/object/{bucket}/x")).service().body(b"x".to_vec()).send().await;
        assert_eq!(answer.told().1, "InvalidKey", "{bucket}: {}", answer.text());
    }
    // What looks like a path or a device is a name like others.
    for name in ["%252e%252e/x", "CON", "a/..b", ".hidden", "C:/x"] {
        let answer = store.post(&format!("/object/notes/{name}")).service().body(b"x".to_vec()).send().await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    let after: Vec<_> =
        std::fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before.len(), after.len(), "nothing lies beside the folder");
    for folder in std::fs::read_dir(store.folder.join("files")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        }
    }
}

/// attack F01: a folder that is a link is not opened: whoever planted it would choose where files lie.
#[cfg(unix)]
#[tokio::test]
async fn a_planted_link_is_not_followed() {
    let folder = crate::store::scratch();
    let (files, elsewhere) = (folder.join("files"), folder.join("elsewhere"));
    std::fs::create_dir(&files).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, files.join("ab")).unwrap();
    let refused = aurora_core::files::LocalBlobs::open(&files).await.unwrap_err();
    assert!(refused.message().contains("is not a folder"), "{refused}");
}

/// attack F02, asvs(V5.4.1, V5.4.2, V3.2.1)
#[tokio::test]
async fn what_is_downloaded_runs_nowhere() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("open", &json!({"public": true})).await;
    let page = b"<html><script>alert(document.cookie)</script>".to_vec();
    let drawing = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    for (name, kind, content) in [
        ("a.html", "text/html", &page),
        ("a.svg", "image/svg+xml", &drawing),
        ("a.xml", "application/xml", &drawing),
        ("a.js", "text/javascript", &page),
        ("a", "application/octet-stream", &page),
        ("a.odd", "x/y", &page),
    ] {
        store
            .post(&format!("/object/open/{name}"))
            .service()
            .with("content-type", kind)
            .body(content.clone())
            .send()
            .await;
        let got = store.get(&format!("/object/public/open/{name}")).send().await;
        assert_eq!(got.status, 200);
        assert!(got.header("content-disposition").starts_with("attachment; filename="), "{name}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert!(got.header("content-security-policy").contains("sandbox"), "{name}");
    }
    let picture = b"\x89PNG\r\n\x1a\n0000".to_vec();
    store.post("/object/open/p.png").service().with("content-type", "image/png").body(picture).send().await;
    let shown = store.get("/object/public/open/p.png").send().await;
    assert_eq!(
        (shown.header("content-disposition"), shown.header("content-type")),
        (String::new(), "image/png".to_owned())
    );
    let named = store.get("/object/public/open/p.png?download=a%22%0d%0ax%3a%20y%E2%80%AE.png").send().await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"a_x_ y.png\"; filename*=UTF-8''a%22x%3A%20y.png"
    );
    assert!(named.headers.get("x").is_none());
    let odd =
        store.post("/object/open/t").service().with("content-type", "text/html\tx").body(page).send().await;
    assert_eq!(odd.status, 400);
}

/// attack F06, asvs(V5.2.1, V5.2.2): the same on every way in.
#[tokio::test]
async fn limits_are_counted_as_bytes_come() {
    let store = Store::set(OWN_FOLDER, |options| options.largest = 100_000).await;
    store
        .bucket(
            "notes",
            &json!({"file_size_limit": 50_000, "allowed_mime_types": ["image/png", "text/plain"]}),
        )
        .await;
    let ann = store.user("ann@example.com").await;
    let picture = |length: usize| [b"\x89PNG\r\n\x1a\n".to_vec(), pattern(length)].concat();
    let form = |content: &[u8], kind: &str| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\nContent-Type: {kind}\r\n\r\n"
        );
        [head.into_bytes(), content.to_vec(), b"\r\n--b--\r\n".to_vec()].concat()
    };
    let path = format!("notes/{}/f.png", ann.id);
    let signed = store.post(&format!("/object/upload/sign/{path}")).bearer(&ann.token).send().await.json();
    let signed = signed["url"].as_str().unwrap().to_owned();
    let send = async |way: &str, kind: &str, content: &[u8]| match way {
        "raw" => {
            store
                .post(&format!("/object/{path}"))
                .bearer(&ann.token)
                .with("content-type", kind)
                .body(content.to_vec())
                .send()
                .await
        }
        "put" => {
            store
                .ask("PUT", &format!("/object/{path}"))
                .bearer(&ann.token)
                .with("content-type", kind)
                .body(content.to_vec())
                .send()
                .await
        }
        "form" => {
            store
                .post(&format!("/object/{path}"))
                .bearer(&ann.token)
                .with("content-type", "multipart/form-data; boundary=b")
                .body(form(content, kind))
                .send()
                .await
        }
        _ => store.ask("PUT", &signed).with("content-type", kind).body(content.to_vec()).send().await,
    };
    for way in ["raw", "put", "form", "signed"] {
        let large = send(way, "image/png", &picture(50_000)).await;
        assert_eq!(large.told(), ("413".to_owned(), "EntityTooLarge".to_owned()), "{way}: {}", large.text());
        let kind = send(way, "image/jpeg", &picture(10)).await;
        assert_eq!(kind.json()["message"], "mime type image/jpeg is not supported", "{way}");
        assert_eq!(kind.told().0, "415");
        for lie in [&b"<html><script>1</script>"[..], b"MZ\x90\0\x03\0\0\0", b"nothing of a picture"] {
            assert_eq!(send(way, "image/png", lie).await.told().1, "InvalidMimeType", "{way}: {lie:?}");
        }
        let page = send(way, "text/plain", b"<!doctype html><script>1</script>").await;
        assert_eq!(page.told().1, "InvalidMimeType", "{way}: a page that says it is text");
    }
    // Lengths that lie, and a line that breaks.
    let lie = store
        .post(&format!("/object/{path}"))
        .bearer(&ann.token)
        .with("content-length", "9")
        .with("content-type", "text/plain");
    assert_eq!(lie.body(b"abc".to_vec()).send().await.status, 400);
    let told = store
        .post(&format!("/object/{path}"))
        .bearer(&ann.token)
        .with("content-length", "60000")
        .with("content-type", "text/plain");
    assert_eq!(told.send().await.told().1, "EntityTooLarge", "refused before a byte of it");
    let broken = store.post(&format!("/object/{path}")).bearer(&ann.token).with("content-type", "text/plain");
    assert_eq!(broken.body(pattern(40_000)).breaking_off().send().await.status, 400);
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (0, 0));
    assert_eq!(store.get(&format!("/object/{path}")).bearer(&ann.token).send().await.told().1, "NoSuchKey");
    assert!(store.rows("SELECT id FROM aurora_blobs").await.is_empty());
    assert_eq!(send("signed", "image/png", &picture(49_000)).await.status, 200);
}

/// attack F05, asvs(V5.2.4)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_uploads_at_once_never_pass_the_quota() {
    let store = Store::set(OWN_FOLDER, |options| options.quota = Some(100_000)).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let uploads = (0..50).map(|number| {
        let (store, ann) = (&store, &ann);
        async move {
            let ask = store.post(&format!("/object/notes/{}/{number}.bin", ann.id)).bearer(&ann.token);
            ask.body(pattern(9_000)).send().await
        }
    });
    let answers = futures_util::future::join_all(uploads).await;
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert!(["quota_exceeded", "SlowDown"].contains(&refused.told().1.as_str()), "{}", refused.text());
    }
    let usage = store.rows("SELECT bytes, files FROM aurora_file_usage").await;
    let (bytes, files) = (
        usage[0][0].clone().unwrap().parse::<u64>().unwrap(),
        usage[0][1].clone().unwrap().parse::<usize>().unwrap(),
    );
    println!("{stored} of 50 stored, {bytes} bytes");
    assert!(bytes <= 100_000 && files == stored && stored > 0);
    assert_eq!((store.blobs_on_disk(), store.drafts_on_disk()), (stored, 0));
    // Whoever replaces counts the difference; whoever removes has room again.
    let path = format!("/object/notes/{}/x.bin", ann.id);
    assert_eq!(
        store.post(&path).bearer(&ann.token).body(pattern(99_000)).send().await.told().1,
        "quota_exceeded"
    );
    let names: Vec<String> = (0..50).map(|number| format!("{}/{number}.bin", ann.id)).collect();
    store.ask("DELETE", "/object/notes").bearer(&ann.token).json(&json!({"prefixes": names})).send().await;
    assert_eq!(store.post(&path).bearer(&ann.token).body(pattern(99_000)).send().await.status, 200);
    assert_eq!(store.ask("PUT", &path).bearer(&ann.token).body(pattern(1_000)).send().await.status, 200);
    assert_eq!(store.rows("SELECT bytes, files FROM aurora_file_usage").await[0][0].as_deref(), Some("1000"));
    // The service is not counted.
    assert_eq!(store.post("/object/notes/s.bin").service().body(pattern(300_000)).send().await.status, 200);
}

/// asvs(V5.2.4)
#[tokio::test]
async fn files_are_counted_too() {
    let store = Store::set(OWN_FOLDER, |options| options.quota_files = Some(2)).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for (number, status) in [(1, 200), (2, 200), (3, 400)] {
        let ask = store.post(&format!("/object/notes/{}/{number}", ann.id)).bearer(&ann.token);
        assert_eq!(ask.body(b"x".to_vec()).send().await.status, status);
    }
}

/// A row that a handler's SQL points at another's bytes opens nothing: they are sealed for their own object.
#[tokio::test]
async fn bytes_do_not_open_for_another_object() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    for (user, content) in [(&ann, &b"of Ann"[..]), (&bob, b"of Bob")] {
        let ask = store.post(&format!("/object/notes/{}/f.txt", user.id)).bearer(&user.token);
        assert_eq!(ask.body(content.to_vec()).send().await.status, 200);
    }
    let versions = store.rows("SELECT version, owner_id FROM storage_objects ORDER BY owner_id").await;
    let anns =
        versions.iter().find(|row| row[1].as_deref() == Some(ann.id.as_str())).unwrap()[0].clone().unwrap();
    let guarded = store.aurora.guarded(aurora_core::types::Principal::user(bob.id.parse().unwrap()));
    let table = if crate::store::on_postgres() { "storage.objects" } else { "storage_objects" };
    let forged = format!("UPDATE {table} SET version = '{anns}'");
    assert_eq!(
        guarded.query(&forged).execute().await.unwrap().rows_affected(),
        1,
        "the row is Bob's to change"
    );
    let got = store.get(&format!("/object/notes/{}/f.txt", bob.id)).bearer(&bob.token).send().await;
    assert_eq!(got.told().1, "NoSuchKey", "{}", got.text());
    // With the blob's row forged as well, as by whoever writes to the database: the bytes themselves do not open.
    let object = store.rows("SELECT id FROM storage_objects ORDER BY owner_id").await;
    let at = versions.iter().position(|row| row[1].as_deref() == Some(bob.id.as_str())).unwrap();
    let bobs = object[at][0].clone().unwrap();
    store
        .execute(&format!(
            "UPDATE aurora_blobs SET object = '{bobs}', owner = '{}' WHERE id = '{anns}'",
            bob.id
        ))
        .await;
    let got = store.get(&format!("/object/notes/{}/f.txt", bob.id)).bearer(&bob.token).send().await;
    assert!(got.status == 500 && !got.text().contains("of Ann"), "{} {}", got.status, got.text());
}

/// No byte of a file lies on the disk as it is.
#[tokio::test]
async fn the_disk_holds_no_plaintext() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let secret = b"the wind in the willows ".repeat(4000);
    store.post(&format!("/object/notes/{}/f.txt", ann.id)).bearer(&ann.token).body(secret).send().await;
    let mut files = 0;
    let mut folders = vec![store.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(16).any(|window| window == b"wind in the will"), "{:?}", entry.path());
        }
    }
    assert!(files > 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Without a policy nobody sees or writes a thing, and without files the routes say so.
#[tokio::test]
async fn no_policy_no_access() {
    let store = Store::with("").await;
    store.bucket("notes", &json!({})).await;
    store.post("/object/notes/a").service().body(b"a".to_vec()).send().await;
    let ann = store.user("ann@example.com").await;
    assert_eq!(store.get("/bucket").bearer(&ann.token).send().await.json(), json!([]));
    assert_eq!(store.get("/object/notes/a").bearer(&ann.token).send().await.told().1, "NoSuchKey");
    assert_eq!(
        store.post("/object/notes/b").bearer(&ann.token).body(b"b".to_vec()).send().await.told().0,
        "403"
    );
    let removed = store
        .ask("DELETE", "/object/notes")
        .bearer(&ann.token)
        .json(&json!({"prefixes": ["a"]}))
        .send()
        .await;
    assert_eq!(removed.json(), json!([]));
    let bad = store.get("/object/notes/a").bearer("garbage").send().await;
    assert_eq!(bad.told().1, "InvalidJWT");
    assert_eq!(store.get("/nowhere").send().await.told().0, "404");
    assert_eq!(store.ask("PATCH", "/bucket").send().await.status, 405);
}

/// Whoever is not signed in is counted, all of them as one, and a URL that they signed is counted, too.
#[tokio::test]
async fn strangers_have_a_quota_of_their_own() {
    let policies =
        "CREATE POLICY drop ON storage.objects FOR INSERT TO anon WITH CHECK (bucket_id = 'notes');";
    let store = Store::set(policies, |options| options.quota = Some(10_000)).await;
    store.bucket("notes", &json!({})).await;
    store.post("/object/notes/service.bin").service().body(pattern(50_000)).send().await;
    let put =
        async |name: &str| store.post(&format!("/object/notes/{name}")).body(pattern(6_000)).send().await;
    assert_eq!(put("a").await.status, 200);
    assert_eq!(put("b").await.told().1, "quota_exceeded");
    let signed = store.post("/object/upload/sign/notes/c").send().await.json();
    let by_url = store.ask("PUT", signed["url"].as_str().unwrap()).body(pattern(6_000)).send().await;
    assert_eq!(by_url.told().1, "quota_exceeded", "{}", by_url.text());
    let owners = store.rows("SELECT owner, bytes FROM aurora_file_usage ORDER BY owner").await;
    assert_eq!(owners[1], [Some("anon".to_owned()), Some("6000".to_owned())]);
}
