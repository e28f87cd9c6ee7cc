//! Posts of 1,000 people in 20 organisations with 50 permissions, for us and for PocketBase, and our server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aurora_axum::{Aurora, Database, Guarded, Profile};
use aurora_core::load::{Limits, Quota};
use axum::routing::get;
use axum::{Json, Router};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::data;
use crate::serve::{free_port, say};

/// One rule in both languages.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// The kind of server that runs it: see [`crate::serve`].
    pub(super) server: &'static str,
    /// PocketBase's list rule.
    pub(super) rule: &'static str,
    policy: &'static str,
}

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "author",
        server: "posts-author",
        rule: "author = @request.auth.id",
        policy: "CREATE POLICY p ON posts FOR SELECT TO authenticated USING (author = auth.uid()::text);",
    },
    Shape {
        name: "relation",
        server: "posts-relation",
        rule: "author.organization.name != 'org-7'",
        policy: "CREATE POLICY p ON posts FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM people
          JOIN orgs ON orgs.id = people.org_id WHERE people.id = posts.author AND orgs.name <> 'org-7'));",
    },
    Shape {
        name: "multi-relation",
        server: "posts-multi",
        // Every permission of the author has to be active, and there has to be one.
        rule: "author.permissions.active = true",
        policy: "CREATE POLICY p ON posts FOR SELECT TO authenticated USING (
          EXISTS (SELECT 1 FROM people_permissions pp JOIN permissions q ON q.id = pp.permission_id
            WHERE pp.person_id = posts.author AND q.active)
          AND NOT EXISTS (SELECT 1 FROM people_permissions pp JOIN permissions q ON q.id = pp.permission_id
            WHERE pp.person_id = posts.author AND NOT q.active));",
    },
];

const AROUND: &str = "
ALTER TABLE posts ENABLE ROW LEVEL SECURITY; ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE orgs ENABLE ROW LEVEL SECURITY; ALTER TABLE permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE people_permissions ENABLE ROW LEVEL SECURITY;
CREATE POLICY known ON people FOR SELECT TO authenticated USING (true);
CREATE POLICY known ON orgs FOR SELECT TO authenticated USING (true);
CREATE POLICY known ON permissions FOR SELECT TO authenticated USING (true);
CREATE POLICY known ON people_permissions FOR SELECT TO authenticated USING (true);
";

const SCHEMA: &str = "
CREATE TABLE orgs (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE people (id TEXT PRIMARY KEY, org_id INTEGER NOT NULL);
CREATE TABLE permissions (id INTEGER PRIMARY KEY, active BOOLEAN NOT NULL);
CREATE TABLE people_permissions (person_id TEXT NOT NULL, permission_id INTEGER NOT NULL,
  PRIMARY KEY (person_id, permission_id));
CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)
INSERT INTO orgs SELECT i, 'org-' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49)
INSERT INTO permissions SELECT i, i % 10 <> 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO people SELECT printf('00000000-0000-4000-8000-%012d', i), i % 20 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
INSERT INTO people_permissions SELECT printf('00000000-0000-4000-8000-%012d', i / 3), (i + (i % 3) * 17) % 50 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO posts SELECT i, 'post ' || i, printf('%.200c', 'x'),
  printf('00000000-0000-4000-8000-%012d', (i * 7919) % 1000) FROM n;
CREATE INDEX posts_author ON posts (author);
";

const PEER: &str = "
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)
INSERT INTO orgs (id, name) SELECT printf('o%014d', i), 'org-' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49)
INSERT INTO permissions (id, active) SELECT printf('q%014d', i), i % 10 <> 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT OR IGNORE INTO users (id, email, password, tokenKey)
SELECT printf('u%014d', i), printf('u%d@example.com', i), '-', printf('%050d', i) FROM n;
UPDATE users SET organization = printf('o%014d', substr(id, 2) % 20), permissions = json_array(
  printf('q%014d', (substr(id, 2) * 3) % 50), printf('q%014d', (substr(id, 2) * 3 + 18) % 50),
  printf('q%014d', (substr(id, 2) * 3 + 36) % 50));
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO posts (id, title, body, author) SELECT printf('p%014d', i), 'post ' || i, printf('%.200c', 'x'),
  printf('u%014d', (i * 7919) % 1000) FROM n;
ANALYZE;
";

pub(super) async fn fill(path: &Path, rows: u32) {
    let mut connection = data::plain(path, false).await;
    run(&mut connection, SCHEMA, rows).await;
}

pub(super) async fn fill_peer(connection: &mut SqliteConnection, rows: u32, me: &str) {
    run(connection, PEER, rows).await;
    let mine: i64 = sqlx::query_scalar("SELECT count(*) FROM posts WHERE author = ?1")
        .bind(me)
        .fetch_one(connection)
        .await
        .unwrap();
    assert_eq!(mine, i64::from(rows / 1_000));
}

async fn run(connection: &mut SqliteConnection, script: &str, rows: u32) {
    let script = script.replace("{rows}", &rows.to_string());
    sqlx::raw_sql(AssertSqlSafe(script)).execute(connection).await.unwrap();
}

/// Author 42 becomes the user; then the statistics, as PocketBase has them.
pub(super) async fn adopt(path: &Path, user: &str) {
    let mut connection = data::plain(path, false).await;
    for statement in [
        "UPDATE posts SET author = ?1 WHERE author = '00000000-0000-4000-8000-000000000042'",
        "UPDATE people SET id = ?1 WHERE id = '00000000-0000-4000-8000-000000000042'",
        "UPDATE people_permissions SET person_id = ?1 WHERE person_id = '00000000-0000-4000-8000-000000000042'",
    ] {
        let done = sqlx::query(statement).bind(user).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0);
    }
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
}

pub(super) async fn build(folder: &Path, shape: &Shape) -> Aurora {
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.request, limits.sign_up, limits.sign_in, limits.refresh) = (wide, wide, wide, wide);
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&format!("sqlite://{}", folder.join("app.db").display())).unwrap())
        .policies("posts.sql", &format!("{AROUND}{}", shape.policy))
        .limits(limits)
        .build()
        .await
        .unwrap()
}

#[derive(serde::Serialize, sqlx::FromRow)]
struct Post {
    #[serde(serialize_with = "as_text")]
    id: i64,
    title: String,
    body: String,
    author: String,
}

/// PocketBase's ids are text of fifteen characters; both answer with those.
fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("p{id:014}"))
}

/// A page as PocketBase answers with one.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    items: Vec<T>,
    page: u32,
    per_page: u32,
    total_items: i64,
    total_pages: i64,
}

#[derive(serde::Serialize, sqlx::FromRow)]
struct Id {
    #[serde(serialize_with = "as_text")]
    id: i64,
}

async fn list(db: Guarded) -> aurora_axum::Result<Json<Page<Post>>> {
    let sql = "SELECT id, title, body, author FROM posts ORDER BY id DESC LIMIT 20";
    let items = db.query_as(sql).fetch_all().await?;
    Ok(Json(Page { items, page: 1, per_page: 20, total_items: -1, total_pages: -1 }))
}

/// What PocketBase answers with a total: a page of one id, and how many there are.
async fn count(db: Guarded) -> aurora_axum::Result<Json<Page<Id>>> {
    let mut snapshot = db.snapshot().await?;
    let items = snapshot.query_as("SELECT id FROM posts ORDER BY id DESC LIMIT 1").fetch_all().await?;
    let (total,): (i64,) = snapshot.query_as("SELECT count(*) FROM posts").fetch_one().await?;
    Ok(Json(Page { items, page: 1, per_page: 1, total_items: total, total_pages: total }))
}

/// The child's side: serves until it is stopped, if the kind is one of ours.
pub(crate) async fn server(kind: &str, folder: &Path) -> bool {
    let Some(shape) = SHAPES.iter().find(|shape| shape.server == kind) else { return false };
    let aurora = build(folder, shape).await;
    let routes = Router::new().route("/list", get(list)).route("/count", get(count));
    let app = aurora_axum::secure(&aurora, routes).public(Router::new());
    let port = free_port();
    say(port);
    aurora_axum::serve(app, SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    true
}
