//! What is sealed, and what is kept of somebody, from the command line.

use aurora_core::config::Profile;
use aurora_core::guard::SealedColumn;
use aurora_core::testing::TestClient;
use aurora_core::{Aurora, Database};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::{Host, POLICIES};

pub(crate) const DIAGNOSIS: SealedColumn<String> = SealedColumn::new("patients", "diagnosis");

const PATIENTS: &str = "
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON patients TO authenticated USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON patients TO authenticated;";
const SQLITE: &str = "CREATE TABLE patients (id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, \
    diagnosis_plain TEXT, diagnosis BLOB) STRICT";
const POSTGRES: &str = "CREATE TABLE patients (id uuid PRIMARY KEY, owner uuid NOT NULL, \
    diagnosis_plain text, diagnosis bytea)";

/// As the database's owner, with the service stopped.
async fn execute(host: &Host, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    match host.place {
        None => {
            let mut connection = sqlx::SqliteConnection::connect(&host.url).await.unwrap();
            sql.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Some(_) => {
            let mut connection = sqlx::PgConnection::connect(&host.url).await.unwrap();
            sql.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Columns are listed and sealed, a person's data handed out and erased, on both engines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_sealed_and_persons_exported_and_erased() {
    for host in [Host::on_sqlite(), Host::on_postgres().await] {
        assert_eq!(host.run(POLICIES, &[]).end, "serves");
        let aurora = Aurora::builder()
            .profile(Profile::Development)
            .database(Database::url(&host.url).unwrap())
            .key_file(host.path("root.key"))
            .policies("policies.sql", POLICIES);
        let aurora = aurora.build().await.unwrap();
        let ann = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap();
        let user = ann.user().to_string();
        aurora.close().await;
        execute(&host, if host.place.is_some() { POSTGRES } else { SQLITE }).await;
        let rows = format!(
            "INSERT INTO patients (id, owner, diagnosis_plain) VALUES \
             ('00000000-0000-7000-8000-000000000001', '{user}', 'a cold'), \
             ('00000000-0000-7000-8000-000000000002', '{user}', 'a broken toe')"
        );
        execute(&host, &rows).await;

        let policies = format!("{POLICIES}\n{PATIENTS}\n");
        assert_eq!(host.run(&policies, &[]).end, "serves");
        assert_eq!(host.ran(&policies, &["columns", "list"]), "patients.diagnosis\n");
        let encrypt = ["columns", "encrypt", "patients.diagnosis", "--from"];
        let said = host.ran(&policies, &[&encrypt[..], &["diagnosis_plain"]].concat());
        assert_eq!(said, "2 cells of patients.diagnosis are sealed\n");
        let said = host.ran(&policies, &[&encrypt[..], &["diagnosis_plain"]].concat());
        assert_eq!(said, "0 cells of patients.diagnosis are sealed\n");
        host.fails(&policies, &[&encrypt[..], &["diagnosis_plane"]].concat(), "does not exist");
        host.fails(&policies, &["columns", "encrypt", "patients.id", "--from", "owner"], "no sealed column");

        host.fails(&policies, &["person", "export", "--user", &user], "required");
        let who = ["--user", &user, "--reason", "asked for by mail of 3 May"];
        let export = host.ran(&policies, &[&["person", "export"], &who[..]].concat());
        for word in ["ann@example.com", "a cold", "a broken toe"] {
            assert!(export.contains(word), "{word}: {export}");
        }
        let erased = host.ran(&policies, &[&["person", "erase"], &who[..]].concat());
        assert!(erased.starts_with("erased: the account, 2 rows, "), "{erased}");
        host.fails(&policies, &[&["person", "erase"], &who[..]].concat(), "nothing is kept of them");
    }
}

/// The first start in production has no key file, and a command makes it, once.
#[test]
fn the_key_file_is_made_once_and_before_anything_else() {
    let host = Host::on_sqlite();
    let said = host.ran(POLICIES, &["keys", "create"]);
    assert!(said.starts_with("key file `") && said.contains("keep a copy apart"), "{said}");
    let text = std::fs::read_to_string(host.path("root.key")).unwrap();
    assert!(!said.contains(text.split(':').nth(1).unwrap()), "no key is shown");
    host.fails(POLICIES, &["keys", "create"], "exists");
    assert_eq!(std::fs::read_to_string(host.path("root.key")).unwrap(), text);
    assert!(!host.path("notes.db").exists(), "nothing else is made");
}
