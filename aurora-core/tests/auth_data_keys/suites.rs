//! Values of another suite, in a service that seals by the default one.

use aurora_core::crypto::{KeyOwner, KeyState, Purpose, Suite};
use aurora_core::store::KeyRow;
use serde_json::json;

use crate::common::{self, Fixture, Options};

/// What one process sealed by the other suite opens in all of them, keeps its key, and is sealed again like the rest.
#[tokio::test]
async fn values_of_another_suite_count_and_are_sealed_again() {
    let options = Options { suite: Suite::Stream256, ..Options::default() };
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let there = Fixture::with(options).await;
    let here = Fixture::with(Options { path, start_key, ..Options::default() }).await;
    there.sign_up("ann@example.com").await;
    there.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await;
    let begin = |key: u32, suite: u8| [b"AU\x01", &[suite][..], &key.to_be_bytes()].concat();
    let count = async |begin: Vec<u8>| {
        let begin = data_encoding::HEXLOWER.encode(&begin);
        let hex = if common::on_postgres() { "encode(sealed, 'hex')" } else { "hex(sealed)" };
        let all = here.database.rows(&format!("SELECT {hex} FROM aurora_outbox")).await;
        all.iter().filter(|row| row[0].as_deref().unwrap().to_lowercase().starts_with(&begin)).count()
    };
    let mails = count(begin(5, 2)).await;
    assert!(mails > 0, "the other suite sealed them");
    // They hold their key, as those of the first suite do; and a hundred that do not open keep nothing from its turn.
    for number in 0..120 {
        let id = format!("00000000-0000-7000-8000-{number:012}");
        let copy = format!(
            "INSERT INTO aurora_outbox (id, sealed, tries, next_at, created_at) \
             SELECT '{id}', sealed, 0, next_at, created_at FROM aurora_outbox \
             WHERE CAST(id AS text) NOT LIKE '00000000-0000-7000-8000-%' LIMIT 1"
        );
        here.database.execute(&copy).await;
    }
    let keys = here.data_keys();
    let next = keys.rotate(&KeyOwner::Service, Purpose::Credential).await.unwrap();
    keys.activate(next).await.unwrap();
    let progress = keys.advance().await.unwrap();
    assert!(progress.resealed >= mails as u64 && progress.left == 120, "{progress:?}");
    assert_eq!((count(begin(5, 2)).await, count(begin(next, 1)).await), (120, mails));
    let damaged = "DELETE FROM aurora_outbox WHERE CAST(id AS text) LIKE '00000000-0000-7000-8000-%'";
    here.database.execute(damaged).await;
    assert_eq!(here.send_mails().await, mails, "they open");
}

/// More former keys than are read at once, one for each of many tenants, keep no other from being looked at.
#[tokio::test]
async fn no_former_key_is_passed_over_however_many_there_are() {
    let here = Fixture::with(Options::default()).await;
    here.sign_up("ann@example.com").await;
    here.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await;
    let mut write = here.database.shared().begin().await.unwrap();
    for id in 100..1_200 {
        let row = KeyRow {
            id,
            purpose: Purpose::Field.as_str().to_owned(),
            owner: format!("tenant:t{id}"),
            state: KeyState::DecryptOnly.as_str().to_owned(),
            wrapped: vec![1],
            created_at: here.now(),
            changed_at: Some(here.now()),
        };
        assert!(write.insert_key(&row).await.unwrap());
    }
    write.commit().await.unwrap();
    let keys = here.data_keys();
    assert_eq!(keys.rotate(&KeyOwner::Service, Purpose::Credential).await.unwrap(), 1_200);
    here.advance(60);
    let progress = keys.advance().await.unwrap();
    assert!(progress.activated == 1 && progress.resealed > 0 && progress.left == 0, "{progress:?}");
}
