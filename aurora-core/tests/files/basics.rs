use http::StatusCode;
use serde_json::json;

use crate::store::{OWN_FOLDER, Store, pattern};

#[tokio::test]
async fn a_file_goes_in_and_comes_out_as_its_owner_s_alone() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    for length in [0, 1, 16_383, 16_384, 16_385, 300_000] {
        let content = pattern(length);
        let path = format!("/object/notes/{}/{length}.bin", ann.id);
        let put = store.post(&path).bearer(&ann.token).body(content.clone()).send().await;
        assert_eq!(put.status, 200, "{}", put.text());
        assert_eq!(put.json()["Key"], format!("notes/{}/{length}.bin", ann.id));
        let got = store.get(&path).bearer(&ann.token).send().await;
        assert_eq!((got.status, got.body.len()), (StatusCode::OK, length));
        assert!(got.body == content, "{length}");
        assert_eq!(got.header("content-length"), length.to_string());
        for other in [Some(&bob.token), None] {
            let mut ask = store.get(&path);
            if let Some(token) = other {
                ask = ask.bearer(token);
            }
            let refused = ask.send().await;
            assert_eq!(
                (refused.status, refused.json()["code"].as_str()),
                (StatusCode::BAD_REQUEST, Some("NoSuchKey"))
            );
        }
    }
    let foreign = store
        .post(&format!("/object/notes/{}/x.txt", ann.id))
        .bearer(&bob.token)
        .body(b"x".to_vec())
        .send()
        .await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.json()["statusCode"].as_str()),
        (400, Some("403")),
        "{}",
        foreign.text()
    );
    assert_eq!(store.blobs_on_disk(), 6, "a refused upload leaves nothing");
    let actions: Vec<String> = store.audit().await;
    assert_eq!(actions.iter().filter(|action| *action == "object_uploaded").count(), 6, "{actions:?}");
    let part = store
        .get(&format!("/object/notes/{}/300000.bin", ann.id))
        .bearer(&ann.token)
        .with("range", "bytes=16380-32770")
        .send()
        .await;
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), "bytes 16380-32770/300000");
    assert!(part.body == pattern(300_000)[16_380..32_771]);
}

#[tokio::test]
async fn a_folder_keeps_the_contract_of_a_blob_store() {
    let store = aurora_core::files::LocalBlobs::open(crate::store::scratch().join("files")).await.unwrap();
    let passed = aurora_core::testing::blobs::conforms(&store).await.unwrap();
    println!("{passed:#?}");
}
