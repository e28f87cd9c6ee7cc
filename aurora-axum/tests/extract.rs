//! What handlers are handed, and what their errors become.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::time::{Duration, Instant};

use aurora_axum::{Aurora, Caller, Code, CurrentUser, Error, Guarded, Json, Result, Secured, Valid, secure};
use aurora_core::types;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRef, State};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{Answer, aurora, bearer, request, send};
use validator::Validate;

#[derive(Serialize, sqlx::FromRow)]
struct Note {
    id: i64,
    title: String,
}

async fn list(db: Guarded) -> Result<Json<Vec<Note>>> {
    Ok(Json(db.query_as("SELECT id, title FROM notes ORDER BY id").fetch_all().await?))
}

#[derive(Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
struct NewNote {
    #[validate(length(min = 1, max = 10, message = "must be 1 to 10 characters"))]
    title: String,
    #[validate(range(max = 5))]
    stars: u8,
    #[serde(default)]
    #[validate(nested)]
    tags: Vec<Tag>,
}

#[derive(Deserialize, Serialize, Validate)]
struct Tag {
    #[validate(length(min = 2))]
    name: String,
}

async fn create(Valid(Json(note)): Valid<Json<NewNote>>) -> Json<NewNote> {
    Json(note)
}

async fn insert(
    db: Guarded,
    user: CurrentUser,
    Valid(Json(note)): Valid<Json<NewNote>>,
) -> Result<Json<Note>> {
    let query = db.query_as("INSERT INTO notes (owner, title) VALUES ($1, $2) RETURNING id, title");
    Ok(Json(query.bind(user.id().to_string()).bind(note.title).fetch_one().await?))
}

#[derive(Deserialize)]
struct Mine {
    sub: String,
    app_metadata: Value,
}

async fn me(user: CurrentUser<Mine>, plain: CurrentUser, caller: Caller) -> Json<Value> {
    let (id, session) = (user.id().to_string(), user.session().to_string());
    assert_eq!(caller.0.user_id(), Some(plain.id()));
    Json(json!({
        "id": id, "sub": user.claims().sub, "session": session, "email": plain.claims().email,
        "provider": user.claims().app_metadata,
    }))
}

#[derive(Clone)]
struct Host {
    name: &'static str,
}

#[derive(Clone)]
struct Name(&'static str);

impl FromRef<Host> for Name {
    fn from_ref(host: &Host) -> Self {
        Self(host.name)
    }
}

async fn fail() -> Result<()> {
    Err(types::Error::internal("SELECT password FROM users: the disk /var/data is full").into())
}

async fn blow() {
    panic!("the secret is 42");
}

async fn busy() -> Result<()> {
    Err(types::Error::overloaded(7).into())
}

async fn app() -> (Aurora, Secured) {
    let aurora = aurora().await;
    let private = Router::new()
        .route("/notes", get(list).post(insert))
        .route("/me", get(me))
        .route(
            "/state",
            get(|State(Name(name)): State<Name>, db: Guarded| async move {
                drop(db);
                name
            }),
        )
        .with_state(Host { name: "host" });
    let public = Router::new()
        .route("/public/notes", get(list).post(insert))
        .route("/who", get(|Caller(who): Caller| async move { who.role().as_str() }))
        .route("/create", post(create))
        .route("/fail", get(fail))
        .route("/blow", get(blow))
        .route("/busy", get(busy))
        .route("/gone", get(|| async { Err::<(), _>(Error::new(Code::NotFound, "no such note")) }));
    let app = secure(&aurora, private).public(public);
    (aurora, app)
}

async fn post_json(app: &Secured, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    send(app, request("POST", path, &headers, body)).await
}

/// asvs(V8.2.2, V8.3.3)
#[tokio::test]
async fn handlers_see_the_callers_rows() {
    let (aurora, app) = app().await;
    let (ann, bob) = (bearer(&aurora, "ann@example.com").await, bearer(&aurora, "bob@example.com").await);
    let made = post_json(&app, "/notes", &[("authorization", &ann)], r#"{"title":"mine","stars":1}"#).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let titles = async |path, bearer: Option<&String>| {
        let headers: Vec<_> = bearer.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = support::get(&app, path, &headers).await;
        let notes = answer.json();
        notes
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles("/notes", Some(&ann)).await, ["public", "mine"]);
    assert_eq!(titles("/notes", Some(&bob)).await, ["public"]);
    assert_eq!(titles("/public/notes", None).await, ["public"]);
    assert_eq!(titles("/public/notes", Some(&ann)).await, ["public", "mine"]);
    assert_eq!(support::get(&app, "/who", &[]).await.text(), "anon");
    assert_eq!(support::get(&app, "/who", &[("authorization", &ann)]).await.text(), "authenticated");
    // A wrong token is not "nobody".
    assert_eq!(support::get(&app, "/public/notes", &[("authorization", "Bearer a.b.c")]).await.status, 401);
    assert_eq!(post_json(&app, "/public/notes", &[], r#"{"title":"x","stars":1}"#).await.status, 401);
}

#[tokio::test]
async fn claims_and_the_hosts_own_state() {
    let (aurora, app) = app().await;
    let ann = bearer(&aurora, "ann@example.com").await;
    let me = support::get(&app, "/me", &[("authorization", &ann)]).await.json();
    assert_eq!((me["id"].as_str(), me["email"].as_str()), (me["sub"].as_str(), Some("ann@example.com")));
    assert_eq!(support::get(&app, "/state", &[("authorization", &ann)]).await.text(), "host");
}

/// attack S06
#[tokio::test]
async fn a_body_is_json_that_says_so() {
    let (_aurora, app) = app().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", ""] {
        for (path, body) in
            [("/create", r#"{"title":"a","stars":1}"#), ("/auth/v1/signup", r#"{"email":"a@b.c"}"#)]
        {
            let answer = send(&app, request("POST", path, &[("content-type", kind)], body)).await;
            assert_eq!(answer.status, 415, "{path} {kind}");
        }
    }
    assert_eq!(send(&app, request("POST", "/create", &[], "{}")).await.status, 415);
}

/// attack V02, asvs(V2.2.1, V2.2.2)
#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_by_field() {
    let (_aurora, app) = app().await;
    let good = r#"{"title":"a","stars":1,"tags":[{"name":"xy"}]}"#;
    assert_eq!(post_json(&app, "/create", &[], good).await.status, 200);
    for (body, told) in [
        (
            r#"{"title":"","stars":9,"tags":[{"name":"ok"},{"name":"x"}]}"#,
            "`stars` fails `range`; `tags[1].name` fails `length`; `title` must be 1 to 10 characters",
        ),
        (r#"{"title":5,"stars":1}"#, "`title` has the wrong type"),
        (r#"{"stars":1}"#, "`title` is required"),
        (r#"{"title":"a","stars":1,"owner":"eve"}"#, "`owner` is not a known field"),
        (r#"{"title":"a","stars":300}"#, "`stars` has a value that is not allowed"),
        (r#"{"title":"a","stars":1,"tags":[{}]}"#, "`tags[0].name` is required"),
        (r#"{"title":"a","title":"b","stars":1}"#, "body names `title` twice"),
    ] {
        let answer = post_json(&app, "/create", &[], body).await;
        assert_eq!((answer.status.as_u16(), answer.message().as_str()), (400, told), "{body}");
    }
    let deep = format!(r#"{{"title":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for body in [&b"{\"title\":\"\xff\"}"[..], b"[]", b"null", b"", b"{", deep.as_bytes()] {
        let answer = post_json(&app, "/create", &[], body.to_vec()).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains("aurora") && !answer.text().contains("NewNote"), "{}", answer.text());
    }
}

/// attack V01
#[tokio::test]
async fn a_body_without_end_ends_at_the_limit() {
    let (_aurora, app) = app().await;
    for path in ["/create", "/auth/v1/signup"] {
        let start = Instant::now();
        let served = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&served);
        let endless = std::iter::repeat_with(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 * 1024]))
        });
        let body = Body::from_stream(futures_stream(endless));
        let answer = post_json(&app, path, &[], body).await;
        assert_eq!(answer.status, 413, "{path}");
        let read = served.load(std::sync::atomic::Ordering::SeqCst) * 64;
        assert!(read < 4 * 1024 && start.elapsed() < Duration::from_secs(2), "{path}: {read} KiB");
        println!("{path}: 413 after {read} KiB of an endless body");
    }
    // A compressed body is not unpacked: it is not JSON.
    let bomb = post_json(&app, "/create", &[("content-encoding", "gzip")], vec![0x1f, 0x8b, 8, 0]).await;
    assert_eq!(bomb.status, 400);
}

fn futures_stream<I: Iterator + Unpin + Send + 'static>(
    items: I,
) -> impl futures_core::Stream<Item = I::Item> + Send {
    struct Items<I>(I);
    impl<I: Iterator + Unpin> futures_core::Stream for Items<I> {
        type Item = I::Item;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<I::Item>> {
            std::task::Poll::Ready(self.0.next())
        }
    }
    Items(items)
}

/// attacks A09, V03
#[tokio::test]
async fn odd_credentials_are_refused_and_nothing_panics() {
    let (aurora, app) = app().await;
    let ann = bearer(&aurora, "ann@example.com").await;
    let (huge, list) = (format!("Bearer {}", "a".repeat(64 * 1024)), format!("{ann}, {ann}"));
    let dots = format!("Bearer {}", ".".repeat(10_000));
    for value in
        [huge.as_bytes(), list.as_bytes(), dots.as_bytes(), b"Bearer \xff\xfe", b"\xff", b"Bearer a b c"]
    {
        for path in ["/notes", "/public/notes", "/auth/v1/user"] {
            let mut request = request("GET", path, &[], Body::empty());
            let value = axum::http::HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert("authorization", value.clone());
            request.headers_mut().insert("cookie", value);
            let answer = send(&app, request).await;
            assert!([400, 401, 403, 431].contains(&answer.status.as_u16()), "{path}: {}", answer.status);
        }
    }
}

/// attack V04, asvs(V16.5.1, V16.5.4)
#[tokio::test]
async fn failures_of_ours_say_nothing_but_the_requests_id_and_in_development_why() {
    // V04; that production sends no `reason` is tested where it is rendered (auth_reasons).
    let (_aurora, app) = app().await;
    for path in ["/fail", "/blow"] {
        let sent = "7b1d2f0a-9d5e-4c53-8f0e-0d6f6b6f2a11";
        let answer = support::get(&app, path, &[("x-request-id", sent)]).await;
        assert_eq!(answer.status, 500);
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let expected =
            json!({"code": "unexpected_failure", "message": "Internal server error", "error_id": id});
        let mut said = answer.json();
        let reason = said.as_object_mut().unwrap().remove("reason").expect("development says why");
        assert_eq!(said, expected);
        assert!(reason.as_str().is_some_and(|text| !text.is_empty() && text.len() <= 300), "{reason}");
        assert!(answer.headers.contains_key("x-aurora-reason"));
        assert_ne!(id, sent, "a client that is no declared proxy names no request");
        // The other shape, for a client that asked for none; and a fresh id.
        let mut request = request("GET", path, &[], Body::empty());
        request.headers_mut().remove("x-supabase-api-version");
        let answer = send(&app, request).await;
        assert_eq!(answer.json()["msg"], "Internal server error");
        assert_eq!(answer.json()["error_id"], answer.headers["x-request-id"].to_str().unwrap());
    }
    let busy = support::get(&app, "/busy", &[]).await;
    assert_eq!((busy.status.as_u16(), &busy.headers["retry-after"]), (503, &"7".parse().unwrap()));
    let gone = support::get(&app, "/gone", &[]).await;
    assert_eq!(gone.status.as_u16(), 404);
    assert_eq!(
        (&gone.json()["code"], &gone.json()["message"]),
        (&json!("not_found"), &json!("no such note"))
    );
}
