//! Who sees everything, and through which pool: the service's handle, and a host's own connections.

use aurora_core::config::Profile;
use aurora_core::types::{Code, Principal};
use aurora_core::{Aurora, Database};

use crate::attacks::rows;
use crate::fixture::{ANN, POLICIES, Place, ROWS, SCHEMA, run, superuser};

fn builder(place: &Place, database: Database) -> aurora_core::Builder {
    let key = std::env::temp_dir().join(format!("{}.key", place.name));
    Aurora::builder()
        .profile(Profile::Development)
        .site_url("http://localhost:3000")
        .database(database)
        .key_file(key)
        .policies("policies.sql", POLICIES)
}

#[tokio::test]
async fn the_service_sees_all_and_leaves_a_record() {
    let place = Place::new(SCHEMA, ROWS).await;
    let owner = crate::fixture::owner_url(&place.name);
    let aurora = builder(&place, Database::url(&owner).unwrap()).build().await.unwrap();
    let all = aurora.unguarded("a test of the service").await.unwrap();
    for (sql, count) in [
        ("SELECT count(*) FROM notes", 5),
        ("SELECT count(*) FROM teams", 2),
        ("SELECT count(*) FROM secrets", 1),
        ("SELECT count(*) FROM pg_policy WHERE polname = 'aurora service'", 5),
    ] {
        assert_eq!(all.query_as::<(i64,)>(sql).fetch_one().await.unwrap(), (count,), "{sql}");
    }
    let done = all.query("UPDATE notes SET stars = 3").execute().await.unwrap();
    assert_eq!(done.rows_affected(), 5);
    let mut tx = all.begin().await.unwrap();
    tx.query("DELETE FROM notes WHERE id = 4").execute().await.unwrap();
    tx.commit().await.unwrap();
    // Aurora's own tables are nobody's but its stores'.
    assert!(all.query("SELECT * FROM auth.users").execute().await.is_err());
    assert!(all.query("SELECT * FROM aurora.identity_keys").execute().await.is_err());
    let ann = aurora.acting_as(Principal::user(ANN.parse().unwrap()), "a test").await.unwrap();
    assert_eq!(rows(&ann, "SELECT id FROM notes").await.unwrap().len(), 3);
    let mut connection = superuser(&place.name).await;
    let (records,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM aurora.audit WHERE payload::text LIKE '%a test of the service%'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(records, 1);
    aurora.close().await;
}

/// attack G01, asvs(V13.2.2): a host's own pool is taken once its role was looked at.
#[tokio::test]
async fn g01_a_hosts_pool_is_taken_if_its_role_may_do_nothing_more() {
    let place = Place::new(SCHEMA, ROWS).await;
    let owner = crate::fixture::owner_url(&place.name);
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_lazy_with(place.run.clone());
    let database = Database::pool(pool).migrate_url(&owner).unwrap();
    let aurora = builder(&place, database).build().await.unwrap();
    let ann = aurora.acting_as(Principal::user(ANN.parse().unwrap()), "a test").await.unwrap();
    assert_eq!(rows(&ann, "SELECT id FROM notes").await.unwrap().len(), 3);
    aurora.close().await;
    run(
        &mut superuser(&place.name).await,
        "DO $$ BEGIN CREATE ROLE guard_bypass LOGIN BYPASSRLS PASSWORD 'x';
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )
    .await;
    let wide = place.run.clone().username("guard_bypass").password("x");
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_lazy_with(wide);
    let refused =
        builder(&place, Database::pool(pool).migrate_url(&owner).unwrap()).build().await.unwrap_err();
    assert_eq!(refused.code(), Code::Configuration);
    assert!(refused.message().contains("skips row policies"), "{refused}");
}
