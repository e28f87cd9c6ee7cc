//! A notes service over a scratch SQLite file, and a client without a socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing fixture fails the test")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_axum::{Aurora, Database, Profile, Secured};
use aurora_core::testing::TestClient;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use sqlx::{Connection, Executor, SqliteConnection};
use tower::ServiceExt;

const SCHEMA: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, \
     is_public BOOLEAN NOT NULL DEFAULT FALSE);";

const POLICIES: &str = "
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON notes TO anon;
    GRANT SELECT, INSERT ON notes TO authenticated;
    CREATE POLICY see ON notes FOR SELECT USING (is_public OR owner = auth.uid()::text);
    CREATE POLICY own ON notes FOR INSERT TO authenticated WITH CHECK (owner = auth.uid()::text);
";

/// The host's address in every request of a test.
pub const PEER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 4711);

pub fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("aurora-axum-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// An Aurora in development with an allowed origin.
pub async fn aurora() -> Aurora {
    let url = format!("sqlite://{}?mode=rwc", folder().join("app.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute(SCHEMA).await.unwrap();
    connection
        .execute("INSERT INTO notes (owner, title, is_public) VALUES ('-', 'public', 1), ('-', 'hidden', 0)")
        .await
        .unwrap();
    connection.close().await.unwrap();
    let url = url.trim_end_matches("?mode=rwc").to_owned();
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let builder = builder.policies("policies.sql", POLICIES);
    let builder =
        builder.configure(|settings| settings.cors_origins.push("https://spa.example.com".parse().unwrap()));
    builder.build().await.unwrap()
}

/// `Bearer ..` of a signed-in user.
pub async fn bearer(aurora: &Aurora, email: &str) -> String {
    TestClient::new(aurora).sign_in(email).await.unwrap().authorization()
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request that asks for the error shape of today.
pub fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(uri).header("x-supabase-api-version", "2024-01-01");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.extension(ConnectInfo(PEER)).body(body.into()).unwrap()
}

pub async fn send(app: &Secured, request: Request<Body>) -> Answer {
    let response = app.clone().into_service().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

pub async fn get(app: &Secured, uri: &str, headers: &[(&str, &str)]) -> Answer {
    send(app, request("GET", uri, headers, Body::empty())).await
}
