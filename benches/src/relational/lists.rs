//! `relational lists`: a list of 20 as the table grows, guarded, by hand, and the policy as it is written (SQLite).

use std::rc::Rc;

use aurora_core::guard::Guarded;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Mutex;

use crate::data::{self, Folder, USER};
use crate::measure::{Side, median, point, quotient, rounds};

type Row = (i64, String);

const OWNER: &str = "owner = ?1";
/// The best that we found for the rule of `data::MEMBER`.
const MEMBER: &str = "id IN (SELECT id FROM notes WHERE owner = ?1 UNION ALL SELECT id FROM notes
  WHERE team_id IN (SELECT team_id FROM members WHERE user_id = ?1))";
const WRITTEN: &str =
    "owner = ?1 OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = ?1)";

pub(super) async fn run() {
    for rows in [1_000_u32, 10_000, 100_000, 1_000_000] {
        let folder = Folder::new(&format!("lists-{rows}"));
        let path = folder.0.join("app.db");
        data::fill_rows(&path, rows).await;
        let plain = Rc::new(Mutex::new(data::plain(&path, true).await));
        for (rule, policies, condition) in [("owner", data::OWNER, OWNER), ("member", data::MEMBER, MEMBER)] {
            let db = data::guarded(&path, policies).await;
            let mut sides = vec![hand(&plain, condition), ours(&db)];
            let times = rounds(&mut sides, 150, 20).await;
            drop(sides);
            let (by_hand, guarded) = (median(&times[0]) / 1e3, median(&times[1]) / 1e3);
            point(&format!("lists/{rule}-by-hand"), rows, by_hand, "us");
            point(&format!("lists/{rule}-guarded"), rows, guarded, "us");
            println!("# lists/{rule} over {rows} rows: {:.3} of by hand", quotient(&times[1], &times[0]).0);
        }
        let times = rounds(&mut [hand(&plain, WRITTEN)], 15, if rows > 100_000 { 1 } else { 5 }).await;
        point("lists/member-as-written", rows, median(&times[0]) / 1e3, "us");
    }
}

fn hand<'a>(plain: &Rc<Mutex<SqliteConnection>>, condition: &str) -> Side<'a> {
    let sql: Rc<str> =
        format!("SELECT id, title FROM notes WHERE {condition} ORDER BY id DESC LIMIT 20").into();
    let plain = Rc::clone(plain);
    (
        "by hand",
        Box::new(move |n| {
            let (plain, sql) = (Rc::clone(&plain), Rc::clone(&sql));
            Box::pin(async move {
                let mut connection = plain.lock().await;
                for _ in 0..n {
                    let query = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql.to_string())).bind(USER);
                    assert!(!query.fetch_all(&mut *connection).await.unwrap().is_empty());
                }
            })
        }),
    )
}

fn ours<'a>(db: &Guarded) -> Side<'a> {
    let db = db.clone();
    (
        "guarded",
        Box::new(move |n| {
            let db = db.clone();
            Box::pin(async move {
                for _ in 0..n {
                    let query = db.query_as::<Row>("SELECT id, title FROM notes ORDER BY id DESC LIMIT 20");
                    assert!(!query.fetch_all().await.unwrap().is_empty());
                }
            })
        }),
    )
}
