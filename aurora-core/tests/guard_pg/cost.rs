//! What the guard costs against the same policies driven by hand. Run by name: it measures, it does not judge.

use std::time::Instant;

use sqlx::{Connection as _, Executor as _};

use crate::fixture::{ANN, Fixture, POLICIES, ROWS, SCHEMA, run};

const READ: &str = "SELECT id, title FROM notes WHERE team_id = $1 ORDER BY id LIMIT 20";
const WRITE: &str = "UPDATE notes SET stars = stars + 1 WHERE id = $1";

#[tokio::test]
#[ignore = "a measurement"]
async fn the_guard_against_row_security_by_hand() {
    let many = format!(
        "{ROWS} INSERT INTO notes (title, owner, team_id) SELECT 'n' || g, 'x', 1 + g % 2 FROM generate_series(1, 20000) g; ANALYZE;"
    );
    let fixture = Fixture::build(SCHEMA, &many, POLICIES, Default::default(), 1).await.unwrap();
    // By hand: the same tables in another database, plain policies on `current_setting`, the role set in the transaction.
    let plain = crate::fixture::Place::new(SCHEMA, &many).await;
    let mut hand = crate::fixture::superuser(&plain.name).await;
    let uid = "(SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'sub'))";
    let text = format!(
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO authenticated;
         CREATE POLICY own ON notes TO authenticated USING (owner = {uid});
         CREATE POLICY m ON members FOR SELECT TO authenticated USING (user_id = {uid});
         CREATE POLICY team ON notes FOR SELECT TO authenticated
           USING (team_id = ANY (ARRAY(SELECT m.team_id FROM members m WHERE m.user_id = {uid})));"
    );
    run(&mut hand, &text).await;
    hand.close().await.unwrap();
    let mut hand = sqlx::ConnectOptions::connect(&plain.run).await.unwrap();
    let claims = format!(r#"{{"sub":"{ANN}","role":"authenticated"}}"#);
    let ann = fixture.ann();
    let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..800 {
        for (kind, sql) in [READ, WRITE].into_iter().enumerate() {
            let start = Instant::now();
            let query = ann.query_as::<(i64, String)>(sql).bind(1_i64);
            if kind == 0 {
                assert_eq!(query.fetch_all().await.unwrap().len(), 20);
            } else {
                ann.query(sql).bind(1_i64).execute().await.unwrap();
            }
            let guarded = start.elapsed();
            let start = Instant::now();
            hand.execute("BEGIN").await.unwrap();
            let set = sqlx::query(
                "SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)",
            );
            set.bind(&claims).execute(&mut hand).await.unwrap();
            let query = sqlx::query(sql).bind(1_i64);
            assert_eq!(query.fetch_all(&mut hand).await.unwrap().len(), if kind == 0 { 20 } else { 0 });
            hand.execute("COMMIT").await.unwrap();
            if round >= 100 {
                ours[kind].push(guarded);
                theirs[kind].push(start.elapsed());
            }
        }
    }
    for (kind, name) in ["read", "write"].into_iter().enumerate() {
        ours[kind].sort();
        theirs[kind].sort();
        let (us, them) = (ours[kind][ours[kind].len() / 2], theirs[kind][theirs[kind].len() / 2]);
        println!(
            "{name}: guarded {us:?}, by hand {them:?}, ratio {:.2}",
            us.as_secs_f64() / them.as_secs_f64()
        );
    }
}
