//! Behind pgbouncer in transaction mode: each transaction may get another server connection.

use std::process::{Child, Command};
use std::time::Duration;

use aurora_core::guard::{Guard, GuardOptions};
use aurora_core::policy::Policies;
use aurora_core::store::{PostgresDatabase, PostgresOptions};
use aurora_core::types::Principal;
use futures_util::StreamExt as _;

use crate::attacks::rows;
use crate::fixture::{ANN, BOB, POLICIES, Place, ROWS, SCHEMA};

struct Pooler {
    process: Child,
    folder: std::path::PathBuf,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A pooler with two server connections for a role. Without the program, the test fails.
async fn start(place: &Place) -> Pooler {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let folder = std::env::temp_dir().join(format!("aurora-pgbouncer-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let users = folder.join("users.txt");
    let role = place.run.get_username();
    std::fs::write(&users, format!("\"{role}\" \"{}\"\n", crate::fixture::RUN_PASSWORD)).unwrap();
    let config = folder.join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = transaction\n\
         default_pool_size = 2\nmax_client_conn = 50\nuser = nobody\n",
        place.run.get_host(),
        place.run.get_port(),
        users.display()
    );
    std::fs::write(&config, text).unwrap();
    let process = Command::new("pgbouncer").arg("-q").arg(&config).spawn();
    let process = process.unwrap_or_else(|error| panic!("pgbouncer does not start ({error}): install it"));
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Pooler { process, folder, port }
}

#[tokio::test]
async fn each_is_who_they_are_behind_a_pooler() {
    let place = Place::new(SCHEMA, ROWS).await;
    let pooler = start(&place).await;
    let (role, password) = (place.run.get_username(), crate::fixture::RUN_PASSWORD);
    let url = format!(
        "postgres://{role}:{password}@127.0.0.1:{}/{}?sslmode=disable&pgbouncer=true",
        pooler.port, place.name
    );
    let options = PostgresOptions { connections: 6, store_connections: 2, ..PostgresOptions::default() };
    let database = PostgresDatabase::open(&url, &options).await.unwrap();
    database.bind_identity(&|generation| [u8::try_from(generation).unwrap(); 32]).await.unwrap();
    let policies = Policies::parse(POLICIES, "policies.sql").unwrap();
    let guard =
        Guard::open_postgres(database, Some(&place.owner), &policies, GuardOptions::default()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..6 {
        let (who, expected) = match number % 3 {
            0 => (Principal::user(ANN.parse().unwrap()), 3),
            1 => (Principal::user(BOB.parse().unwrap()), 3),
            _ => (Principal::anonymous(), 0),
        };
        let db = guard.guarded(who.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..20 {
                let found = rows(&db, "SELECT id FROM notes").await.unwrap();
                assert_eq!(found.len(), expected, "{who:?} in round {round}");
                let mut tx = db.begin().await.unwrap();
                let query = tx.query_as::<(String,)>("SELECT coalesce(auth.uid()::text, '') WHERE $1 > 0");
                let (uid,) = query.bind(1_i64).fetch_one().await.unwrap();
                assert_eq!(uid, who.user_id().map(|id| id.to_string()).unwrap_or_default());
                tx.commit().await.unwrap();
                let stream = db.query_as::<(i64,)>("SELECT id FROM notes WHERE id > $1").bind(0_i64).fetch();
                assert_eq!(stream.count().await, expected);
                if round % 5 == 0 {
                    let slow = db.query("SELECT count(*) FROM generate_series(1, 500000)").execute();
                    let _ = tokio::time::timeout(Duration::from_millis(2), slow).await;
                }
            }
        }));
    }
    let ran = tasks.len();
    for task in tasks {
        task.await.unwrap();
    }
    println!("{ran} clients over two server connections");
}
