//! Sealed cells through `Guarded`, on both engines: what they hold is opened for whom the policy shows the row, what is
//! plain is not written, what was moved does not open, and a plain column is sealed while services write to it.
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
#[path = "common/rng.rs"]
mod rng;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aurora_core::crypto::{KeyOwner, KeyState, Purpose, Suite};
use aurora_core::guard::{RowKey, Sealed, SealedColumn};
use aurora_core::keys::Backups;
use aurora_core::types::{Code, Result, UserId};
use patients::{CONTRACT, DIAGNOSIS, DIARY, Host, WEIGHT, add, builder, read, user};

#[tokio::test]
async fn a_cell_is_opened_for_whom_the_policy_shows_the_row() {
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let (ann, ben) = (user(&aurora, "ann@example.com").await, user(&aurora, "ben@example.com").await);
        let (ann, ben) = (ann.guarded(), ben.guarded());
        let key = add(ann, "influenza").await;
        assert_eq!(read(ann, key).await.unwrap().as_deref(), Some("influenza"));
        assert_eq!(read(ben, key).await.unwrap().as_deref(), Some("influenza"), "she shares it");
        let cell: (RowKey, Sealed<i64>) =
            ann.query_as("SELECT id, weight FROM patients").fetch_one().await.unwrap();
        assert_eq!(ann.open(&WEIGHT, cell.0, &cell.1).await.unwrap(), 71);
        assert_eq!(format!("{:?}", cell.1), "Sealed(..)");
        ann.query("UPDATE patients SET shared = false WHERE id = $1").bind(key).execute().await.unwrap();
        assert_eq!(read(ben, key).await.unwrap(), None, "who does not see the row has nothing to open");

        // Found by what it is equal to, and by nothing else.
        let other = add(ann, "measles").await;
        for (text, found) in [("influenza", vec![key]), ("measles", vec![other]), ("influenz", Vec::new())] {
            let blind = ann.blind(&DIAGNOSIS, &text.to_owned()).await.unwrap();
            let query = ann.query_as("SELECT id FROM patients WHERE diagnosis_index = $1").bind(blind);
            let rows: Vec<(RowKey,)> = query.fetch_all().await.unwrap();
            assert_eq!(rows.into_iter().map(|(id,)| id).collect::<Vec<_>>(), found);
        }
        assert!(ann.blind(&WEIGHT, &71).await.unwrap_err().message().contains("no blind index"));

        // Changed, emptied, and put over another.
        let changed = ann.seal(&DIAGNOSIS, key, &"cold".to_owned()).await.unwrap();
        let update = "UPDATE patients SET diagnosis = $1 WHERE shared = false AND id = $2";
        assert_eq!(ann.query(update).bind(changed).bind(key).execute().await.unwrap().rows_affected(), 1);
        assert_eq!(read(ann, key).await.unwrap().as_deref(), Some("cold"));
        let upsert = "INSERT INTO patients (id, diagnosis, owner) VALUES ($1, $2, $3) \
            ON CONFLICT (id) DO UPDATE SET diagnosis = excluded.diagnosis";
        let again = ann.seal(&DIAGNOSIS, key, &"angina".to_owned()).await.unwrap();
        ann.query(upsert)
            .bind(key)
            .bind(again)
            .bind(ann.principal().user_id().unwrap())
            .execute()
            .await
            .unwrap();
        assert_eq!(read(ann, key).await.unwrap().as_deref(), Some("angina"));
        ann.query("UPDATE patients SET diagnosis = NULL WHERE id = $1").bind(key).execute().await.unwrap();
        aurora.close().await;
    }
}

/// attack C07
#[tokio::test]
async fn nothing_but_a_value_of_that_cell_is_written() {
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let ann = user(&aurora, "ann@example.com").await.guarded().clone();
        let (key, other) = (add(&ann, "influenza").await, add(&ann, "measles").await);
        let cell = ann.seal(&DIAGNOSIS, key, &"cold".to_owned()).await.unwrap();
        let weight = ann.seal(&WEIGHT, key, &80).await.unwrap();
        let read_back: (RowKey, Sealed<String>) = ann
            .query_as("SELECT id, diagnosis FROM patients WHERE id = $1")
            .bind(key)
            .fetch_one()
            .await
            .unwrap();
        let mut refused = 0;
        let mut fails = |outcome: Result<_>, what: &str| {
            let error = outcome.map(|_: aurora_core::guard::Done| ()).unwrap_err();
            assert_eq!(error.code(), Code::StatementNotSupported, "{what}: {error}");
            assert!(!error.message().contains("cold"), "{error}");
            refused += 1;
        };
        let update = "UPDATE patients SET diagnosis = $1 WHERE id = $2";
        fails(ann.query(update).bind(b"cold".to_vec()).bind(key).execute().await, "plain bytes");
        fails(ann.query(update).bind(cell.clone()).bind(other).execute().await, "another row");
        fails(ann.query(update).bind(weight).bind(key).execute().await, "another column");
        fails(ann.query(update).bind(read_back.1).bind(key).execute().await, "a value that was read");
        fails(
            ann.query(update).bind(cell.clone()).bind(key.to_string()).execute().await,
            "a key that is no RowKey",
        );
        let blind = ann.blind(&DIAGNOSIS, &"cold".to_owned()).await.unwrap();
        fails(ann.query(update).bind(blind).bind(key).execute().await, "a blind index");
        let index = "UPDATE patients SET diagnosis_index = $1 WHERE id = $2";
        fails(ann.query(index).bind(vec![0; 32]).bind(key).execute().await, "a plain index");
        let literal = if host.place.is_some() { "'\\x636f6c64'" } else { "x'636f6c64'" };
        for text in [
            format!("UPDATE patients SET diagnosis = {literal} WHERE id = $2"),
            "UPDATE patients SET diagnosis = $1".to_owned(),
            "UPDATE patients SET diagnosis = $1 WHERE id = $2 OR shared".to_owned(),
            "UPDATE patients SET diagnosis = coalesce($1, diagnosis) WHERE id = $2".to_owned(),
            "UPDATE patients SET diagnosis = \"default\" WHERE id = $2 AND diagnosis <> $1".to_owned(),
            "UPDATE patients SET diagnosis = $1 FROM auth_users u WHERE u.id = $2".to_owned(),
            "UPDATE patients SET (diagnosis, weight) = ($1, $1) WHERE id = $2".to_owned(),
            "UPDATE patients SET id = $2 WHERE id = $2 AND diagnosis = $1".to_owned(),
            "UPDATE patients SET diagnosis = weight WHERE id = $2 AND weight <> $1".to_owned(),
            "UPDATE patients SET \"DIAGNOSIS\" = $1 WHERE shared AND id <> $2".to_owned(),
            "INSERT INTO patients SELECT * FROM patients WHERE id <> $2 AND diagnosis <> $1".to_owned(),
            "INSERT INTO patients (id, diagnosis) SELECT $2, diagnosis FROM patients WHERE diagnosis <> $1".to_owned(),
            "INSERT INTO patients (diagnosis, owner) VALUES ($1, $2)".to_owned(),
            "INSERT INTO patients (id, diagnosis) VALUES ($2, NULL) ON CONFLICT (owner) DO UPDATE SET diagnosis = $1"
                .to_owned(),
            "INSERT INTO patients (id) VALUES ($2) ON CONFLICT (id) DO UPDATE SET diagnosis = excluded.weight \
             WHERE excluded.weight <> $1"
                .to_owned(),
            "WITH a AS (SELECT 1) UPDATE patients SET diagnosis = $1 WHERE id = $2 OR id = $2".to_owned(),
        ] {
            fails(ann.query(&text).bind(cell.clone()).bind(key).execute().await, &text);
        }
        if host.place.is_some() {
            for text in [
                "UPDATE ONLY patients SET diagnosis = $1 WHERE id <> $2",
                "UPDATE ONLY (patients) SET diagnosis = $1 WHERE id <> $2",
                "UPDATE patients * SET diagnosis = $1 WHERE id <> $2",
            ] {
                fails(ann.query(text).bind(cell.clone()).bind(key).execute().await, text);
            }
        }
        // Nor by sqlx's own queries, where nobody knows what was bound.
        let raw = match &host.place {
            None => sqlx::query(update).bind(cell).bind(key).execute(ann.sqlite().unwrap()).await.err(),
            Some(_) => sqlx::query(update).bind(cell).bind(key).execute(ann.postgres().unwrap()).await.err(),
        };
        assert!(raw.unwrap().to_string().contains("bind a RowKey"));
        assert_eq!(read(&ann, key).await.unwrap().as_deref(), Some("influenza"), "nothing changed");
        println!("{}: {refused} writes refused", if host.place.is_some() { "PostgreSQL" } else { "SQLite" });
        aurora.close().await;
    }
}

/// attack C03, attack C07, asvs(V11.3.3)
#[tokio::test]
async fn what_was_moved_or_is_plain_does_not_open() {
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let ann = user(&aurora, "ann@example.com").await.guarded().clone();
        let (key, other) = (add(&ann, "influenza").await, add(&ann, "measles").await);
        let moves = [
            format!(
                "UPDATE patients SET diagnosis = (SELECT diagnosis FROM patients WHERE id = '{other}') WHERE id = '{key}'"
            ),
            format!("UPDATE patients SET diagnosis = weight WHERE id = '{key}'"),
            match &host.place {
                None => {
                    format!("UPDATE patients SET diagnosis = CAST('influenza' AS BLOB) WHERE id = '{key}'")
                }
                Some(_) => format!("UPDATE patients SET diagnosis = 'influenza'::bytea WHERE id = '{key}'"),
            },
            match &host.place {
                None => format!("UPDATE patients SET diagnosis = x'' WHERE id = '{key}'"),
                Some(_) => format!("UPDATE patients SET diagnosis = '' WHERE id = '{key}'"),
            },
        ];
        for statement in moves {
            // Somebody with the database, not the keys.
            host.execute(&statement).await;
            let error = read(&ann, key).await.unwrap_err();
            assert_eq!(error.code(), Code::UnexpectedFailure, "{statement}");
            assert_eq!(error.message(), "Internal server error");
        }
        assert_eq!(read(&ann, other).await.unwrap().as_deref(), Some("measles"));
        aurora.close().await;
    }
}

/// fault K23
#[tokio::test]
async fn cells_of_a_tenant_and_of_a_person_go_with_their_keys() {
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let user = user(&aurora, "ann@example.com").await;
        let nobody = user.guarded();
        let in_tenant = |name: &str| {
            let principal = nobody.principal().in_tenant(name.parse().unwrap());
            aurora.guarded(principal)
        };
        let (acme, other) = (in_tenant("acme"), in_tenant("other"));
        let key = acme.row_key().unwrap();
        let contract = serde_json::json!({ "until": 2030 });
        let error = nobody.seal(&CONTRACT, key, &contract).await.unwrap_err();
        assert_eq!(error.code(), Code::InsufficientPrivilege, "{error}");
        acme.query("INSERT INTO patients (id, contract, diary, owner) VALUES ($1, $2, $3, $4)")
            .bind(key)
            .bind(acme.seal(&CONTRACT, key, &contract).await.unwrap())
            .bind(acme.seal(&DIARY, key, &"dear diary".to_owned()).await.unwrap())
            .bind(nobody.principal().user_id().unwrap())
            .execute()
            .await
            .unwrap();
        let cells = async || -> (Sealed<serde_json::Value>, Sealed<String>) {
            acme.query_as("SELECT contract, diary FROM patients").fetch_one().await.unwrap()
        };
        let (sealed, diary) = cells().await;
        assert_eq!(acme.open(&CONTRACT, key, &sealed).await.unwrap(), contract);
        assert!(other.open(&CONTRACT, key, &sealed).await.is_err(), "another tenant's principal");
        assert_eq!(nobody.open(&DIARY, key, &diary).await.unwrap(), "dear diary");

        // Their keys end: what they sealed is gone, and nothing of anybody else's.
        let owner = KeyOwner::User(nobody.principal().user_id().unwrap());
        let theirs = |keys: Vec<aurora_core::keys::DataKeyInfo>| {
            keys.into_iter().find(|key| key.owner == owner && key.purpose == Purpose::Field).unwrap().id
        };
        let former = theirs(aurora.keys().list(0).await.unwrap());
        let next = aurora.keys().rotate(&owner, Purpose::Field).await.unwrap();
        aurora.keys().activate(next).await.unwrap();
        assert_eq!(aurora.keys().advance().await.unwrap().resealed, 1);
        let (_, again) = cells().await;
        assert_eq!(nobody.open(&DIARY, key, &again).await.unwrap(), "dear diary");
        assert_eq!(
            aurora.keys().list(0).await.unwrap().iter().find(|key| key.id == former).unwrap().state,
            KeyState::DecryptOnly
        );
        let error = aurora.keys().destroy(former, Backups::NoneNeedsIt).await.unwrap_err();
        assert!(error.message().contains("a process may still hold it"), "{error}");
        aurora.close().await;
    }
}

/// Cells of the other suite open for a service that seals by the default one, and are sealed again; more than a batch that
/// do not open, first by key, keep nobody from it.
#[tokio::test]
async fn cells_of_another_suite_are_sealed_again_behind_what_does_not_open() {
    for host in Host::both().await {
        let other = host.builder().await.suite(Suite::Stream256).build().await.unwrap();
        let user = user(&other, "ann@example.com").await;
        for number in 0..110 {
            add(user.guarded(), &format!("number {number}")).await;
        }
        other.close().await;
        let aurora = host.aurora().await;
        let ann = aurora.guarded(user.guarded().principal().clone());
        let last = add(&ann, "of the default suite").await;
        let former = add(&ann, "another").await;
        // What was moved to the first hundred and five does not open there.
        host.execute(
            "UPDATE patients SET diagnosis = (SELECT diagnosis FROM patients ORDER BY id DESC LIMIT 1) \
             WHERE id IN (SELECT id FROM patients ORDER BY id LIMIT 105)",
        )
        .await;
        let key = aurora.keys().rotate(&KeyOwner::Service, Purpose::Field).await.unwrap();
        aurora.keys().activate(key).await.unwrap();
        let progress = aurora.keys().advance().await.unwrap();
        assert_eq!((progress.resealed, progress.left), (7 + 112, 105), "{progress:?}");
        let cells: Vec<(RowKey, Sealed<String>)> =
            ann.query_as("SELECT id, diagnosis FROM patients ORDER BY id").fetch_all().await.unwrap();
        let mut opened = Vec::new();
        for (key, cell) in &cells[105..] {
            opened.push(ann.open(&DIAGNOSIS, *key, cell).await.unwrap());
        }
        // Keys of the same millisecond are in no order.
        assert_eq!(opened.iter().filter(|text| text.starts_with("number ")).count(), 5, "{opened:?}");
        for (key, text) in [(last, "of the default suite"), (former, "another")] {
            assert_eq!(read(&ann, key).await.unwrap().as_deref(), Some(text));
        }
        aurora.close().await;
    }
}

#[tokio::test]
async fn a_declaration_that_does_not_fit_stops_the_start() {
    const MISSING: SealedColumn<String> = SealedColumn::new("patient", "diagnosis");
    const NAMELESS: SealedColumn<String> = SealedColumn::new("patients", "nothing");
    const TEXT: SealedColumn<String> = SealedColumn::new("patients", "plain");
    const BLOBKEY: SealedColumn<String> = SealedColumn::new("patients", "diary").keyed_by("weight");
    const UNKEYED: SealedColumn<String> = SealedColumn::new("patients", "diary").keyed_by("owner");
    for host in Host::both().await {
        for (column, why) in [
            (MISSING, "there is no such table"),
            (NAMELESS, "there is no column `nothing`"),
            (TEXT, "sealed cells are bytes: declare it"),
            (UNKEYED, "`owner` does not name one row"),
            (BLOBKEY, "a RowKey is"),
        ] {
            let error = host.builder().await.sealed(&column).build().await.err().unwrap();
            assert_eq!(error.code(), Code::Configuration);
            assert!(error.message().contains(why), "{error}");
        }
        let aurora = host.aurora().await;
        let ann = user(&aurora, "ann@example.com").await.guarded().clone();
        let error = ann.seal(&NAMELESS, ann.row_key().unwrap(), &"x".to_owned()).await.unwrap_err();
        assert!(error.message().contains("is not declared"), "{error}");
        aurora.close().await;
    }
}

/// After hundreds of writes, changes, rotations and an erasure no file of the service holds what a cell held, or a key.
#[tokio::test]
async fn a_byte_scan_finds_no_plaintext() {
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let ann = user(&aurora, "ann@example.com").await.guarded().clone();
        for round in 0..200 {
            let key = add(&ann, &format!("canary-of-cell-{round}")).await;
            let changed = ann.seal(&DIAGNOSIS, key, &format!("canary-changed-{round}")).await.unwrap();
            let update = "UPDATE patients SET diagnosis = $1 WHERE id = $2";
            ann.query(update).bind(changed).bind(key).execute().await.unwrap();
            let diary = ann.seal(&DIARY, key, &format!("canary-of-diary-{round}")).await.unwrap();
            let update = "UPDATE patients SET diary = $1 WHERE id = $2";
            ann.query(update).bind(diary).bind(key).execute().await.unwrap();
        }
        for purpose in [Purpose::Field, Purpose::Credential] {
            let next = aurora.keys().rotate(&KeyOwner::Service, purpose).await.unwrap();
            aurora.keys().activate(next).await.unwrap();
        }
        assert_eq!(aurora.keys().advance().await.unwrap().left, 0);
        let root = std::fs::read_to_string(host.folder.join("aurora.key")).unwrap();
        let root = root.trim_end().split(':').nth(1).unwrap().to_owned();
        let mut places: Vec<(String, Vec<u8>)> = ["app.db", "app.db-wal"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::fs::read(host.folder.join(name)).ok()?)))
            .collect();
        if let Some(place) = &host.place {
            let dumped = Command::new("pg_dump").args(["--dbname", &place.superuser_url()]).output().unwrap();
            assert!(dumped.status.success());
            places.push(("pg_dump".to_owned(), dumped.stdout));
        }
        let canary: Vec<u8> = b"canary-".to_vec();
        let hex = data_encoding::HEXLOWER.encode(&canary).into_bytes();
        let mut scanned = 0;
        for (name, bytes) in &places {
            scanned += bytes.len();
            for needle in [&canary, &hex, &root.as_bytes().to_vec()] {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_slice());
                assert!(!found, "{name} holds {}", String::from_utf8_lossy(needle));
            }
        }
        assert!(scanned > 100_000);
        println!("{scanned} bytes of {} places: no plaintext", places.len());
        aurora.close().await;
    }
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn encrypts() {
    let Ok(folder) = std::env::var("AURORA_PATH") else { return };
    let aurora =
        builder(&PathBuf::from(folder), &std::env::var("AURORA_URL").unwrap()).await.build().await.unwrap();
    println!("\nSTEP begun");
    let done = aurora.encrypt_column("patients.diagnosis", "plain", None).await.unwrap();
    println!("\nSTEP sealed {}", done.sealed);
}

/// A plain column is sealed while the service runs, killed, and started again, and every value is in exactly one of the
/// two columns.
#[tokio::test]
async fn a_plain_column_is_sealed_online() {
    const ROWS: usize = 1_500;
    let kills = std::env::var("AURORA_ROUNDS").map_or(4, |rounds| rounds.parse::<u32>().unwrap().min(40));
    for host in Host::both().await {
        let aurora = host.aurora().await;
        let ann = user(&aurora, "ann@example.com").await;
        let owner: UserId = ann.guarded().principal().user_id().unwrap();
        let mut rows = String::new();
        for row in 0..ROWS {
            let comma = if row == 0 { "" } else { "," };
            rows.push_str(&format!(
                "{comma}('{:08x}-0000-7000-8000-000000000000', '{owner}', 'case {row}')",
                row
            ));
        }
        host.execute(&format!("INSERT INTO patients (id, owner, plain) VALUES {rows}")).await;
        let mut rng = rng::Rng::seeded(3_311);
        let mut killed = 0;
        for _ in 0..kills {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "encrypts", "--nocapture", "--test-threads=1"])
                .env("AURORA_PATH", &host.folder)
                .env("AURORA_URL", &host.url)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(|line| line.ok());
            let mut steps = lines.filter(|line| line.starts_with("STEP "));
            steps.next().unwrap();
            let after = Duration::from_micros(rng.below(300_000) as u64);
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
            killed += usize::from(steps.next().is_none());
        }
        let done = aurora.encrypt_column("patients.diagnosis", "plain", None).await.unwrap();
        assert_eq!(aurora.encrypt_column("patients.diagnosis", "plain", None).await.unwrap().sealed, 0);
        let db = ann.guarded();
        let left: (i64,) =
            db.query_as("SELECT count(*) FROM patients WHERE plain IS NOT NULL").fetch_one().await.unwrap();
        assert_eq!(left.0, 0);
        let cells: Vec<(RowKey, Sealed<String>)> =
            db.query_as("SELECT id, diagnosis FROM patients ORDER BY id").fetch_all().await.unwrap();
        assert_eq!(cells.len(), ROWS);
        for (row, (key, cell)) in cells.iter().enumerate() {
            assert_eq!(db.open(&DIAGNOSIS, *key, cell).await.unwrap(), format!("case {row}"));
        }
        let blind = db.blind(&DIAGNOSIS, &"case 77".to_owned()).await.unwrap();
        let query =
            db.query_as::<(RowKey,)>("SELECT id FROM patients WHERE diagnosis_index = $1").bind(blind);
        assert_eq!(query.fetch_all().await.unwrap(), vec![(cells[77].0,)]);
        // Per writer, each with the key of the row's own.
        host.execute("UPDATE patients SET plain = 'dear diary'").await;
        let error = aurora.encrypt_column("patients.diary", "plain", None).await.unwrap_err();
        assert_eq!(error.code(), Code::ValidationFailed, "{error}");
        let error = aurora.encrypt_column("patients.weight", "plain", Some("owner")).await.unwrap_err();
        assert_eq!(error.code(), Code::ValidationFailed, "{error}");
        let sealed = aurora.encrypt_column("patients.diary", "plain", Some("owner")).await.unwrap().sealed;
        assert_eq!(sealed, ROWS as u64);
        let (diary,): (Sealed<String>,) = db
            .query_as("SELECT diary FROM patients WHERE id = $1")
            .bind(cells[3].0)
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(db.open(&DIARY, cells[3].0, &diary).await.unwrap(), "dear diary");
        let keys = aurora.keys().list(0).await.unwrap();
        assert!(keys.iter().any(|key| key.owner == KeyOwner::User(owner)), "with a key of the owner's");
        let error = aurora.encrypt_column("patients.plain", "plain", None).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        // What the service left beside a sealed cell is counted, and nobody guesses which of the two is right.
        host.execute("UPDATE patients SET plain = 'left behind' WHERE diagnosis IS NOT NULL").await;
        let both = aurora.encrypt_column("patients.diagnosis", "plain", None).await.unwrap();
        assert_eq!((both.sealed, both.both), (0, ROWS as u64));
        // A cell that does not fit is named, and bytes are not taken for a text.
        let error = aurora.encrypt_column("patients.weight", "plain", None).await.unwrap_err();
        assert_eq!(error.code(), Code::ValidationFailed, "{error}");
        assert!(error.to_string().contains("00000000-0000-7000-8000-000000000000"), "{error}");
        let error = aurora.encrypt_column("patients.weight", "diagnosis_index", None).await.unwrap_err();
        assert!(error.to_string().contains("holds bytes"), "{error}");
        println!("{ROWS} rows sealed, {killed} kills in the middle, {} rows in the last run", done.sealed);
        aurora.close().await;
    }
}
