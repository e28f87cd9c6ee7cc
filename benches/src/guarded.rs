//! Guarded statements against the best hand-written WHERE on an equal plain connection.

use std::rc::Rc;

use sqlx::sqlite::SqliteConnection;

use crate::data::{self, Folder, USER};
use crate::measure::{Side, compare, median, rounds};

type Row = (i64, String);
type Plain = Rc<tokio::sync::Mutex<SqliteConnection>>;

/// Keys of rows that the user owns: `(i * 7919) % 1000 = 42`.
fn keys() -> Vec<i64> {
    (1..=100_000_i64).filter(|i| (i * 7919) % 1000 == 42).collect()
}

fn hand<'a>(plain: &Plain, name: &'a str, sql: &'static str, keyed: bool) -> Side<'a> {
    let (plain, keys) = (Rc::clone(plain), Rc::new(keys()));
    (
        name,
        Box::new(move |n| {
            let (plain, keys) = (Rc::clone(&plain), Rc::clone(&keys));
            Box::pin(async move {
                let mut connection = plain.lock().await;
                for i in 0..n as usize {
                    let mut query = sqlx::query_as::<_, Row>(sql).bind(USER);
                    if keyed {
                        query = query.bind(keys[i % keys.len()]);
                    }
                    let rows = query.fetch_all(&mut *connection).await.unwrap();
                    assert!(!rows.is_empty());
                }
            })
        }),
    )
}

fn ours<'a>(db: &aurora_core::guard::Guarded, sql: &'static str, keyed: bool) -> Side<'a> {
    let (db, keys) = (db.clone(), Rc::new(keys()));
    (
        "guarded",
        Box::new(move |n| {
            let (db, keys) = (db.clone(), Rc::clone(&keys));
            Box::pin(async move {
                for i in 0..n as usize {
                    let mut query = db.query_as::<Row>(sql);
                    if keyed {
                        query = query.bind(keys[i % keys.len()]);
                    }
                    let rows = query.fetch_all().await.unwrap();
                    assert!(!rows.is_empty());
                }
            })
        }),
    )
}

pub(crate) async fn read() {
    let folder = Folder::new("read");
    let path = folder.0.join("app.db");
    data::fill(&path).await;
    let plain: Plain = Rc::new(tokio::sync::Mutex::new(data::plain(&path, true).await));
    let owner = data::guarded(&path, data::OWNER).await;
    let member = data::guarded(&path, data::MEMBER).await;

    let sql = "SELECT id, title FROM notes WHERE owner = ?1 AND id = ?2";
    let mut sides = vec![
        hand(&plain, "plain", sql, true),
        hand(&plain, "plain again", sql, true),
        ours(&owner, "SELECT id, title FROM notes WHERE id = ?1", true),
    ];
    compare("read-owner-key", 1.10, &mut sides, 300, 80).await;

    let sql = "SELECT id, title FROM notes WHERE owner = ?1 ORDER BY id DESC LIMIT 20";
    let mut sides = vec![
        hand(&plain, "plain", sql, false),
        hand(&plain, "plain again", sql, false),
        ours(&owner, "SELECT id, title FROM notes ORDER BY id DESC LIMIT 20", false),
    ];
    compare("read-owner-list", 1.10, &mut sides, 300, 40).await;

    let sql = "SELECT id, title FROM notes WHERE id = ?2 AND (owner = ?1 OR team_id IN \
               (SELECT team_id FROM members WHERE user_id = ?1))";
    let mut sides = vec![
        hand(&plain, "plain", sql, true),
        hand(&plain, "plain again", sql, true),
        ours(&member, "SELECT id, title FROM notes WHERE id = ?1", true),
    ];
    compare("read-member-key", 1.10, &mut sides, 300, 80).await;

    let sql = "SELECT id, title FROM notes WHERE owner = ?1 OR team_id IN \
               (SELECT team_id FROM members WHERE user_id = ?1) LIMIT 20";
    let text = "SELECT id, title FROM notes WHERE owner = ?1 OR EXISTS (SELECT 1 FROM members m \
                WHERE m.team_id = notes.team_id AND m.user_id = ?1) LIMIT 20";
    let mut sides = vec![
        hand(&plain, "plain", sql, false),
        hand(&plain, "plain again", sql, false),
        ours(&member, "SELECT id, title FROM notes LIMIT 20", false),
    ];
    compare("read-member-list", 1.10, &mut sides, 300, 40).await;
    // Apart from the others: its scans leave none of their pages in the cache.
    let times = rounds(&mut [hand(&plain, "policy as written", text, false)], 40, 10).await;
    println!("figure read-member-list.policy-as-written {:.2} us", median(&times[0]) / 1_000.0);
}

pub(crate) async fn write() {
    let folder = Folder::new("write");
    let (path, twin) = (folder.0.join("app.db"), folder.0.join("twin.db"));
    data::fill(&path).await;
    data::fill(&twin).await;
    let plain: Plain = Rc::new(tokio::sync::Mutex::new(data::plain(&twin, false).await));
    let db = data::guarded(&path, data::MEMBER).await;

    let insert = |name: &'static str| -> Side<'_> {
        let plain = Rc::clone(&plain);
        (
            name,
            Box::new(move |n| {
                let plain = Rc::clone(&plain);
                Box::pin(async move {
                    let mut connection = plain.lock().await;
                    for _ in 0..n {
                        sqlx::query("INSERT INTO notes (title, owner, team_id) VALUES ('t', ?1, 42)")
                            .bind(USER)
                            .execute(&mut *connection)
                            .await
                            .unwrap();
                    }
                })
            }),
        )
    };
    let guarded = db.clone();
    let ours: Side<'_> = (
        "guarded",
        Box::new(move |n| {
            let db = guarded.clone();
            Box::pin(async move {
                for _ in 0..n {
                    db.query("INSERT INTO notes (title, owner, team_id) VALUES ('t', ?1, 42)")
                        .bind(USER)
                        .execute()
                        .await
                        .unwrap();
                }
            })
        }),
    );
    compare("write-insert", 1.3, &mut [insert("plain"), insert("plain again"), ours], 300, 20).await;

    let three = |name: &'static str| -> Side<'_> {
        let plain = Rc::clone(&plain);
        (
            name,
            Box::new(move |n| {
                let plain = Rc::clone(&plain);
                Box::pin(async move {
                    let mut connection = plain.lock().await;
                    for _ in 0..n {
                        let mut tx =
                            sqlx::Connection::begin_with(&mut *connection, "BEGIN IMMEDIATE").await.unwrap();
                        sqlx::query("INSERT INTO notes (title, owner, team_id) VALUES ('t', ?1, 42)")
                            .bind(USER)
                            .execute(&mut *tx)
                            .await
                            .unwrap();
                        sqlx::query("UPDATE notes SET title = 'u' WHERE id = 58 AND owner = ?1")
                            .bind(USER)
                            .execute(&mut *tx)
                            .await
                            .unwrap();
                        sqlx::query("DELETE FROM notes WHERE id = 200000000 AND owner = ?1")
                            .bind(USER)
                            .execute(&mut *tx)
                            .await
                            .unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            }),
        )
    };
    let ours: Side<'_> = (
        "guarded",
        Box::new(move |n| {
            let db = db.clone();
            Box::pin(async move {
                for _ in 0..n {
                    let mut tx = db.begin().await.unwrap();
                    tx.query("INSERT INTO notes (title, owner, team_id) VALUES ('t', ?1, 42)")
                        .bind(USER)
                        .execute()
                        .await
                        .unwrap();
                    tx.query("UPDATE notes SET title = 'u' WHERE id = 58").execute().await.unwrap();
                    tx.query("DELETE FROM notes WHERE id = 200000000").execute().await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        }),
    );
    compare("write-transaction", 1.3, &mut [three("plain"), three("plain again"), ours], 300, 20).await;
}
