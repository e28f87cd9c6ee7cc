//! How often one address asks for files.

use std::time::Duration;

use aurora_core::load::{Limits, Quota};
use serde_json::json;

use crate::store::{OWN_FOLDER, Store};

async fn limited(set: impl FnOnce(&mut Limits)) -> Store {
    let mut limits = Limits::default();
    set(&mut limits);
    Store::made(OWN_FOLDER, |builder| builder.limits(limits)).await
}

fn quota(burst: u32) -> Quota {
    Quota::new(burst, Duration::from_secs(3600))
}

/// asvs(V2.4.1): every route of files counts; what is over is told when to come back, and nothing was done.
#[tokio::test]
async fn an_address_asks_as_often_as_it_may() {
    let store = limited(|limits| limits.file = quota(3)).await;
    for _ in 0..3 {
        assert_eq!(store.get("/bucket").send().await.status, 200);
    }
    for (method, path) in [
        ("GET", "/bucket"),
        ("GET", "/object/public/b/a"),
        ("PUT", "/object/b/a"),
        ("OPTIONS", "/upload/resumable"),
    ] {
        let over = store.ask(method, path).send().await;
        assert_eq!(
            (over.status.as_u16(), over.header("x-sb-error-code").as_str()),
            (429, "over_request_rate_limit"),
            "{method} {path}"
        );
        assert!(over.header("retry-after").parse::<u32>().unwrap() > 1000);
    }
    let elsewhere = store.get("/bucket").from([192, 0, 2, 9]).send().await;
    assert_eq!(elsewhere.status, 200, "another address");
}

/// asvs(V2.4.1): changes are counted on every way in, those by a link too; the host's own service is not.
#[tokio::test]
async fn changes_are_counted_on_every_way_in() {
    let store = limited(|limits| limits.file_change = quota(4)).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = format!("/object/notes/{}/a", ann.id);
    let signed =
        store.post(&format!("/object/upload/sign/notes/{}/b", ann.id)).bearer(&ann.token).send().await.json();
    let link = signed["url"].as_str().unwrap().to_owned();
    assert_eq!(store.post(&path).bearer(&ann.token).body(b"1".to_vec()).send().await.status, 200);
    assert_eq!(store.ask("PUT", &link).body(b"2".to_vec()).send().await.status, 200);
    assert_eq!(store.ask("DELETE", &path).bearer(&ann.token).send().await.status, 200);
    let tus =
        |token: &'static str| store.post(token).with("tus-resumable", "1.0.0").with("upload-length", "3");
    let names = "bucketName bm90ZXM=,objectName Yg==";
    let signature = signed["token"].as_str().unwrap();
    for ask in [
        store.post(&path).bearer(&ann.token).body(b"1".to_vec()),
        store.ask("PUT", &path).bearer(&ann.token).body(b"1".to_vec()),
        store.ask("PUT", &link).body(b"2".to_vec()),
        store
            .post("/object/copy")
            .bearer(&ann.token)
            .json(&json!({"bucketId": "notes", "sourceKey": "a", "destinationKey": "b"})),
        store.post("/bucket").bearer(&ann.token).json(&json!({"id": "x"})),
        tus("/upload/resumable").bearer(&ann.token).with("upload-metadata", names),
        tus("/upload/resumable/sign").with("x-signature", signature).with("upload-metadata", names),
    ] {
        let over = ask.send().await;
        assert_eq!(over.status, 429, "{}", over.text());
    }
    assert_eq!(store.blobs_on_disk(), 1);
    for number in 0..9 {
        let put = store.post(&format!("/object/notes/service-{number}")).service().body(b"1".to_vec());
        assert_eq!(put.send().await.status, 200);
    }
    let read = store.get(&format!("/object/notes/{}/b", ann.id)).bearer(&ann.token).send().await;
    assert_eq!(read.body, b"2", "reading is not changing");
}

/// attack F03, asvs(V2.4.1): a list of guessed names, signatures or tokens ends.
#[tokio::test]
async fn whoever_is_refused_too_often_guesses_no_more() {
    let store = limited(|limits| limits.file_refused = quota(5)).await;
    store.bucket("open", &json!({"public": true})).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    assert_eq!(store.post("/object/open/a").service().body(b"1".to_vec()).send().await.status, 200);
    for _ in 0..20 {
        assert_eq!(store.get("/object/public/open/a").send().await.body, b"1", "what is there costs nothing");
        let own = store.get("/object/notes/mine").bearer(&ann.token).send().await;
        assert_eq!(own.told().1, "NoSuchKey", "nor does what a known user does not find");
    }
    for refused in [
        store.get("/object/public/open/guess-1"),
        store.get("/object/info/public/open/guess-2"),
        store.get("/object/sign/open/a?token=x.y"),
        store.get("/object/open/a").bearer("no token"),
        store.post("/object/notes/not/mine").bearer(&ann.token).body(b"1".to_vec()),
    ] {
        let refused = refused.send().await;
        assert!(refused.status != 200 && refused.status != 429, "{}", refused.text());
    }
    for over in [
        store.get("/object/public/open/guess-3"),
        store.get("/object/public/open/a"),
        store.get("/object/sign/open/a?token=x.y"),
        store.ask("PUT", "/object/upload/sign/open/a?token=x.y"),
        store.get("/object/open/a").bearer("no token"),
    ] {
        let over = over.send().await;
        assert_eq!(over.status, 429, "{}", over.text());
    }
    assert_eq!(store.get("/object/public/open/a").from([192, 0, 2, 9]).send().await.body, b"1");
    assert_eq!(store.get("/bucket").bearer(&ann.token).send().await.status, 200, "who is known goes on");
}
