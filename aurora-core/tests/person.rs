//! What is kept of a person: handed out, erased, and erased again when a backup brings them back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and prints what it ran"
)]

#[path = "common/patients.rs"]
mod patients;

use aurora_core::guard::Sealed;
use aurora_core::types::{Code, UserId};
use aurora_core::{Aurora, Builder};
use patients::{CONTRACT, DIAGNOSIS, DIARY, Host, add, read, user};

async fn builder(host: &Host) -> Builder {
    host.builder().await.personal_data("patients", "owner")
}

async fn actions(aurora: &Aurora, host: &Host, action: &str) -> i64 {
    let _ = aurora;
    match &host.place {
        None => {
            use sqlx::Connection as _;
            let mut connection = sqlx::SqliteConnection::connect(&host.url).await.unwrap();
            let text = "SELECT count(*) FROM aurora_audit WHERE action = $1";
            sqlx::query_scalar(text).bind(action.to_owned()).fetch_one(&mut connection).await.unwrap()
        }
        Some(place) => {
            let text = "SELECT count(*) FROM aurora.audit WHERE action = $1";
            let mut connection = patients::postgres::superuser(&place.name).await;
            sqlx::query_scalar(text).bind(action.to_owned()).fetch_one(&mut connection).await.unwrap()
        }
    }
}

async fn diary(aurora: &Aurora, of: UserId, text: &str) -> aurora_core::guard::RowKey {
    let db = aurora.guarded(aurora_core::types::Principal::user(of));
    let key = db.row_key().unwrap();
    db.query("INSERT INTO patients (id, diary, owner, shared) VALUES ($1, $2, $3, true)")
        .bind(key)
        .bind(db.seal(&DIARY, key, &text.to_owned()).await.unwrap())
        .bind(of)
        .execute()
        .await
        .unwrap();
    key
}

#[tokio::test]
async fn a_person_is_handed_out_with_what_was_sealed_for_them() {
    for host in Host::both().await {
        let aurora = builder(&host).await.build().await.unwrap();
        let (ann, ben) = (user(&aurora, "ann@example.com").await, user(&aurora, "ben@example.com").await);
        let id = ann.guarded().principal().user_id().unwrap();
        add(ann.guarded(), "influenza").await;
        diary(&aurora, id, "dear diary").await;
        add(ben.guarded(), "measles").await;
        let kept = aurora.export(id, "she asked for it").await.unwrap();
        assert_eq!(kept["user"]["email"], "ann@example.com");
        assert_eq!(kept["sessions"].as_array().unwrap().len(), 1);
        let rows = kept["tables"]["patients"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "hers, and not what was shared with her");
        let of = |name: &str| rows.iter().find_map(|row| row[name].as_str().filter(|text| !text.is_empty()));
        assert_eq!(of("diary"), Some("dear diary"));
        assert!(rows.iter().any(|row| row["diagnosis"] == "influenza" && row["weight"] == 71), "{kept:#}");
        let text = kept.to_string();
        assert!(!text.contains("measles") && !text.contains("$argon2id$"), "{text}");
        assert_eq!(actions(&aurora, &host, "person_exported").await, 1);
        assert!(aurora.export(id, " ").await.is_err(), "a reason is needed");
        let nobody = "531d8831-8dd2-4b11-88f3-6f4626667cf0".parse().unwrap();
        assert_eq!(aurora.export(nobody, "why").await.unwrap_err().code(), Code::UserNotFound);
        aurora.close().await;
    }
}

/// Whoever never had a key is not given one by a request that was under way.
#[tokio::test]
async fn nothing_is_sealed_for_who_was_erased() {
    for host in Host::both().await {
        let aurora = builder(&host).await.build().await.unwrap();
        let ann = user(&aurora, "ann@example.com").await;
        let id = ann.guarded().principal().user_id().unwrap();
        let erased = aurora.erase(id, "she asked for it").await.unwrap();
        assert!(erased.user && erased.keys == 0, "{erased:?}");
        let late = aurora.guarded(aurora_core::types::Principal::user(id));
        let error = late.seal(&DIARY, late.row_key().unwrap(), &"late".to_owned()).await.unwrap_err();
        assert_eq!(error.code(), Code::KeyDestroyed, "{error:?}");
        assert_eq!(aurora.erase(id, "again").await.unwrap_err().code(), Code::UserNotFound);
        aurora.close().await;
    }
}

#[tokio::test]
async fn who_was_erased_is_unreadable_and_stays_so() {
    for host in Host::both().await {
        let aurora = builder(&host).await.build().await.unwrap();
        let (ann, ben) = (user(&aurora, "ann@example.com").await, user(&aurora, "ben@example.com").await);
        let id = ann.guarded().principal().user_id().unwrap();
        let kept = add(ben.guarded(), "measles").await;
        let key = diary(&aurora, id, "dear diary").await;
        let select = "SELECT diary FROM patients WHERE id = $1";
        let query = ben.guarded().query_as(select).bind(key);
        let (copy,): (Sealed<String>,) = query.fetch_one().await.unwrap();
        assert_eq!(ben.guarded().open(&DIARY, key, &copy).await.unwrap(), "dear diary");
        // A backup of the file, for SQLite.
        let backup = host.place.is_none().then(|| {
            let (from, to) = (host.folder.join("app.db"), host.folder.join("backup.db"));
            std::fs::copy(&from, &to).unwrap();
            let _ = std::fs::copy(from.with_extension("db-wal"), to.with_extension("db-wal"));
            to
        });

        let erased = aurora.erase(id, "she asked for it").await.unwrap();
        assert!(erased.user && erased.rows == 1 && erased.keys == 1, "{erased:?}");
        let error = ben.guarded().open(&DIARY, key, &copy).await.unwrap_err();
        assert_eq!(error.code(), Code::KeyDestroyed, "a copy of the cell is of no use");
        assert_eq!(read(ben.guarded(), kept).await.unwrap().as_deref(), Some("measles"));
        assert_eq!(aurora.erase(id, "again").await.unwrap_err().code(), Code::UserNotFound);
        assert_eq!(actions(&aurora, &host, "person_erased").await, 1);
        let ledger = std::fs::read_to_string(host.folder.join("aurora.key.erased")).unwrap();
        assert!(
            ledger.trim_end().ends_with(&format!(" user:{id} .")) && ledger.lines().count() == 1,
            "{ledger}"
        );
        assert!(!ledger.contains("ann"), "an id, and nothing of hers");
        aurora.close().await;

        // The backup is read back, and the next start erases her again.
        let Some(backup) = backup else { continue };
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(host.folder.join(format!("app.db{suffix}")));
        }
        std::fs::copy(&backup, host.folder.join("app.db")).unwrap();
        let _ = std::fs::copy(backup.with_extension("db-wal"), host.folder.join("app.db-wal"));
        // A line that a crash cut off does not stop the start.
        let file = host.folder.join("aurora.key.erased");
        let ben_s = ben.guarded().principal().user_id().unwrap();
        let cut = format!("{ledger}2027-01-15T08:00:00Z user:{ben_s}\n2027-01-15T08:00:00Z user:{ben_s}");
        std::fs::write(&file, cut).unwrap();
        let aurora = builder(&host).await.build().await.unwrap();
        assert_eq!(aurora.export(id, "why").await.unwrap_err().code(), Code::UserNotFound);
        let ben = user(&aurora, "ben@example.com").await;
        let error = ben.guarded().open(&DIARY, key, &copy).await.unwrap_err();
        assert_eq!(error.code(), Code::KeyDestroyed, "the key of the backup is destroyed, too");
        aurora.close().await;
    }
}

#[tokio::test]
async fn a_tenant_s_cells_go_with_its_keys_and_rows_that_hold_on_stop_an_erasure() {
    for host in Host::both().await {
        let aurora = builder(&host).await.build().await.unwrap();
        let ann = user(&aurora, "ann@example.com").await;
        let acme: aurora_core::types::TenantId = "acme".parse().unwrap();
        let db = aurora.guarded(ann.guarded().principal().in_tenant(acme.clone()));
        let key = db.row_key().unwrap();
        let cell = db.seal(&CONTRACT, key, &serde_json::json!(1)).await.unwrap();
        assert_eq!(aurora.erase_tenant(&acme, "the contract ended").await.unwrap().keys, 1);
        assert_eq!(db.open(&CONTRACT, key, &cell).await.unwrap_err().code(), Code::KeyDestroyed);
        let again = db.seal(&CONTRACT, key, &serde_json::json!(1)).await.unwrap_err();
        assert_eq!(again.code(), Code::KeyDestroyed, "nothing new is sealed for who was erased");

        // A table that nobody declared holds on to her: nothing is erased, and nothing stands in the ledger.
        let (owner, users) = match &host.place {
            None => ("TEXT", "auth_users"),
            Some(_) => ("uuid", "auth.users"),
        };
        host.execute(&format!("CREATE TABLE orders (owner {owner} REFERENCES {users} (id))")).await;
        let id = ann.guarded().principal().user_id().unwrap();
        host.execute(&format!("INSERT INTO orders VALUES ('{id}')")).await;
        add(ann.guarded(), "influenza").await;
        let before = std::fs::read_to_string(host.folder.join("aurora.key.erased")).unwrap();
        let error = aurora.erase(id, "she asked").await.unwrap_err();
        assert_eq!(error.code(), Code::ForeignKeyViolation, "{error}");
        assert_eq!(std::fs::read_to_string(host.folder.join("aurora.key.erased")).unwrap(), before);
        let rows: (i64,) = ann.guarded().query_as("SELECT count(*) FROM patients").fetch_one().await.unwrap();
        assert_eq!(rows.0, 1, "her rows are there");
        let blind = ann.guarded().blind(&DIAGNOSIS, &"influenza".to_owned()).await;
        assert!(blind.is_ok());
        aurora.close().await;
    }
}
