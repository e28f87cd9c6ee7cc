//! Every way around the lock that we could think of.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use aurora_axum::{AuroraLayer, Guarded, Secured, secure};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{any, any_service, delete, get, post};
use support::{aurora, bearer, request, send};
use tower::{Layer, ServiceExt, service_fn};

thread_local! {
    /// Each test has a thread of its own, and its handlers run on it.
    static REACHED: Cell<usize> = const { Cell::new(0) };
}

/// A private handler: whoever reaches it got past the lock.
async fn secret() -> &'static str {
    REACHED.set(REACHED.get() + 1);
    "secret"
}

async fn open() -> &'static str {
    "open"
}

async fn service(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from(secret().await)))
}

#[derive(Clone)]
struct Host(&'static str);

/// One of everything that axum can route to.
fn private() -> Router {
    let nested = Router::new()
        .route("/", get(secret))
        .route("/deep/{id}", get(secret).delete(secret))
        .fallback(secret);
    let stateful = Router::new()
        .route("/state", get(|State(Host(name)): State<Host>| async move { [secret().await, name].concat() }))
        .with_state(Host("state"));
    Router::new()
        .route("/admin", get(secret))
        .route("/notes", get(secret).post(secret))
        .route("/notes/{id}", get(secret).patch(secret).delete(delete_note))
        .route("/any", any(secret))
        .route("/files/{*path}", get(secret))
        .route_service("/service", service_fn(service))
        .nest("/nested", nested)
        .nest_service("/mounted", any_service(service_fn(service)))
        .merge(Router::new().route("/merged", post(secret)))
        .merge(stateful)
}

async fn delete_note() -> &'static str {
    secret().await
}

fn public() -> Router {
    Router::new()
        .route("/", get(open))
        .route("/open", get(open))
        .route("/notes", delete(open))
        .nest("/assets", Router::new().route("/{*path}", get(open)))
        .nest_service(
            "/static",
            any_service(service_fn(|_: Request<Body>| async {
                Ok::<_, Infallible>(Response::new(Body::from("open")))
            })),
        )
}

const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"];

const PATHS: [&str; 44] = [
    "/admin",
    "/notes/7",
    "/any",
    "/files/a/b",
    "/service",
    "/nested",
    "/nested/",
    "/nested/deep/7",
    "/nested/nowhere",
    "/mounted",
    "/mounted/",
    "/mounted/x",
    "/merged",
    "/state",
    "/nowhere",
    "/nowhere/at/all",
    // A08: other spellings
    "//admin",
    "/admin/",
    "/admin//",
    "/./admin",
    "/x/../admin",
    "/%61dmin",
    "/%2e/admin",
    "/admin%2f",
    "/admin%00",
    "/admin;x",
    "/admin;x=/open",
    "/ADMIN",
    "/admin?x=/open",
    "/admin?access_token=x",
    "/open/../admin",
    "/open;/admin",
    "/open%2f..%2fadmin",
    "/open/",
    "//open",
    "/open/admin",
    "/assets",
    "/nested//deep/7",
    "/nested/%2e%2e/admin",
    "/auth/v10/user",
    "//auth/v1/user",
    "/AUTH/v1/user",
    "/auth%2fv1/user",
    "http://localhost/admin",
];

async fn app() -> (aurora_axum::Aurora, Secured) {
    let aurora = aurora().await;
    let app = secure(&aurora, private()).public(public());
    (aurora, app)
}

/// attack A08, asvs(V8.2.1)
#[tokio::test]
async fn nothing_private_answers_without_a_token() {
    let (_aurora, app) = app().await;
    let bypasses: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-http-method-override", "DELETE"), ("x-method-override", "GET")],
        &[("x-original-url", "/open"), ("x-rewrite-url", "/open"), ("x-forwarded-prefix", "/open")],
        &[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1"), ("host", "localhost")],
        &[("x-user-id", "1"), ("x-role", "service_role"), ("cookie", "sb-access-token=x; role=admin")],
        &[("origin", "https://spa.example.com"), ("access-control-allow-origin", "*")],
    ];
    let mut tried = 0;
    for method in METHODS {
        for path in PATHS {
            for headers in bypasses {
                let answer = send(&app, request(method, path, headers, Body::empty())).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
                assert!(!answer.text().contains("secret"), "{method} {path}");
                assert_eq!(answer.headers["x-sb-error-code"], "no_authorization", "{method} {path}");
                assert!(
                    !answer.headers.contains_key("allow"),
                    "which methods there are is told to nobody: {path}"
                );
                tried += 1;
            }
        }
    }
    assert_eq!(REACHED.get(), 0);
    println!("{tried} requests without a token: all 401, no handler reached");

    // The same with credentials that are none.
    for value in ["Bearer x.y.z", "Bearer ", "Basic YTpi", "bearer", "Bearer null", "Token x", ""] {
        for path in PATHS {
            let answer = send(&app, request("GET", path, &[("authorization", value)], Body::empty())).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {value}");
        }
    }
    assert_eq!(REACHED.get(), 0);
}

#[tokio::test]
async fn a_signed_in_user_passes_and_public_is_open() {
    let (aurora, app) = app().await;
    let bearer = bearer(&aurora, "ann@example.com").await;
    let signed = [("authorization", bearer.as_str())];
    for (method, path) in [
        ("GET", "/admin"),
        ("HEAD", "/admin"),
        ("POST", "/notes"),
        ("PATCH", "/notes/7"),
        ("BREW", "/any"),
        ("GET", "/files/a/b"),
        ("POST", "/service"),
        ("GET", "/nested"),
        ("DELETE", "/nested/deep/7"),
        ("GET", "/nested/nowhere"),
        ("GET", "/mounted/x"),
        ("POST", "/merged"),
        ("GET", "/state"),
    ] {
        let answer = send(&app, request(method, path, &signed, Body::empty())).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
    }
    for (method, path, status) in [("GET", "/nowhere", 404), ("PUT", "/admin", 405), ("GET", "/admin/", 404)]
    {
        let answer = send(&app, request(method, path, &signed, Body::empty())).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/open"),
        ("HEAD", "/open"),
        ("GET", "/assets/x"),
        ("GET", "/static/x"),
        ("DELETE", "/notes"),
    ] {
        let answer = send(&app, request(method, path, &[], Body::empty())).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
        assert!(!answer.text().contains("secret"));
    }
    // One path, one method public and the others private.
    for method in ["PUT", "PATCH", "TRACE", "OPTIONS"] {
        let before = REACHED.get();
        let answer = send(&app, request(method, "/notes", &[], Body::empty())).await;
        assert!([401, 405].contains(&answer.status.as_u16()), "{method}: {}", answer.status);
        assert_eq!(REACHED.get(), before);
    }
    assert_eq!(support::get(&app, "/notes", &[]).await.status, 401);
    // The scheme's case is free (RFC 9110), a second header and a token in the query are not.
    let token = bearer.trim_start_matches("Bearer ");
    let lower = format!("bearer {token}");
    assert_eq!(support::get(&app, "/admin", &[("authorization", &lower)]).await.status, 200);
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(support::get(&app, "/admin", &twice).await.status, 400);
    assert_eq!(support::get(&app, &format!("/admin?access_token={token}"), &[]).await.status, 401);
}

#[tokio::test]
async fn a_wildcard_takes_only_what_nobody_else_takes_and_conflicts_do_not_start() {
    let aurora = aurora().await;
    let app = secure(&aurora, private()).public(Router::new().route("/{*path}", any(open)));
    let before = REACHED.get();
    for path in ["/admin", "/notes/7", "/any", "/files/a/b", "/nested/deep/7", "/state"] {
        assert_eq!(support::get(&app, path, &[]).await.status, 401, "{path}");
    }
    assert_eq!(support::get(&app, "/page", &[]).await.status, 200);
    let spa = secure(&aurora, private()).public(Router::new().fallback(open));
    assert_eq!(support::get(&spa, "/page", &[]).await.status, 200, "a public fallback was declared public");
    assert_eq!(support::get(&spa, "/admin", &[]).await.status, 401);
    assert_eq!(support::get(&spa, "/nested/nowhere", &[]).await.status, 401);
    let locked = secure(&aurora, Router::new().fallback(secret)).public(public());
    assert_eq!(support::get(&locked, "/page", &[]).await.status, 401);
    assert_eq!(REACHED.get(), before);

    let starts = |private: Router, public: Router| {
        std::panic::catch_unwind(AssertUnwindSafe(|| secure(&aurora, private).public(public))).is_ok()
    };
    assert!(starts(Router::new().route("/x", get(secret)), Router::new().route("/x", post(open))));
    assert!(!starts(Router::new().route("/x", get(secret)), Router::new().route("/x", get(open))));
    assert!(!starts(Router::new().route("/x/{a}", get(secret)), Router::new().route("/x/{b}", get(open))));
    assert!(!starts(Router::new().fallback(secret), Router::new().fallback(open)));
}

#[tokio::test]
async fn our_routes_and_preflights_come_first() {
    let (_aurora, app) = app().await;
    assert_eq!(support::get(&app, "/auth/v1/health", &[]).await.status, 200);
    assert_eq!(support::get(&app, "/auth/v1/user", &[]).await.status, 401);
    assert_eq!(support::get(&app, "/auth/v1/nowhere", &[]).await.status, 404);
    let preflight = [
        ("origin", "https://spa.example.com"),
        ("access-control-request-method", "DELETE"),
        ("access-control-request-headers", "authorization"),
    ];
    for path in ["/notes/7", "/auth/v1/user", "/nowhere"] {
        let answer = send(&app, request("OPTIONS", path, &preflight, Body::empty())).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "https://spa.example.com");
        let foreign = [("origin", "https://evil.test"), preflight[1]];
        let answer = send(&app, request("OPTIONS", path, &foreign, Body::empty())).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    // A 401 is readable for an allowed page, which signs in again because of it.
    let answer = support::get(&app, "/admin", &[preflight[0]]).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://spa.example.com");
    // Public routes under our prefix are ours.
    let shadow = secure(&_aurora, Router::new()).public(Router::new().route("/auth/v1/user", get(open)));
    assert_eq!(support::get(&shadow, "/auth/v1/user", &[]).await.status, 401);
}

#[tokio::test]
async fn a_layer_around_everything_does_not_open_the_lock() {
    let (_aurora, app) = app().await;
    let rewrite = tower::util::MapRequestLayer::new(|mut request: Request<Body>| {
        *request.uri_mut() = "/open".parse().unwrap();
        request
    });
    let app = app.layer(rewrite.clone()).layer(rewrite);
    assert_eq!(support::get(&app, "/admin", &[]).await.status, 401);
    assert_eq!(support::get(&app, "/open", &[]).await.text(), "open");
}

#[tokio::test]
async fn the_plain_layer_locks_any_service() {
    use http_body_util::{BodyExt, Full};
    let aurora = aurora().await;
    let bearer = bearer(&aurora, "ann@example.com").await;
    // As hyper has it: another body, and no axum in sight.
    let inner = service_fn(|request: Request<Full<bytes::Bytes>>| async move {
        let admitted = request.extensions().get::<aurora_core::http::Admitted>().unwrap();
        let text = admitted.principal().user_id().unwrap().to_string();
        Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from(text))))
    });
    let ask = |path: &str, authorization: Option<&str>| {
        let mut request = Request::builder().uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let request = request.body(Full::new(bytes::Bytes::new())).unwrap();
        AuroraLayer::new(&aurora).layer(inner).oneshot(request)
    };
    assert_eq!(ask("/x", None).await.unwrap().status(), 401);
    assert_eq!(ask("/auth/v1/health", None).await.unwrap().status(), 200);
    let passed = ask("/x", Some(&bearer)).await.unwrap();
    assert_eq!(
        (passed.status(), passed.into_body().collect().await.unwrap().to_bytes().len()),
        (StatusCode::OK, 36)
    );
}

#[tokio::test]
async fn handlers_outside_of_secure_fail_closed() {
    let bare = Router::new().route("/", get(|db: Guarded| async move { format!("{db:?}") }));
    let answer = bare.oneshot(request("GET", "/", &[], Body::empty())).await.unwrap();
    assert_eq!(answer.status(), 500);
}

/// attack S08:
/// DNS rebinding: in development every route, public ones included, answers to names of this machine only.
#[tokio::test]
async fn in_development_no_route_answers_to_another_host() {
    let (_aurora, app) = app().await;
    for path in ["/open", "/admin", "/auth/v1/health", "http://evil.test/open"] {
        let headers: &[(&str, &str)] =
            if path.starts_with('/') { &[("host", "evil.test:8080")] } else { &[] };
        let answer = send(&app, request("GET", path, headers, Body::empty())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.headers["x-sb-error-code"], "origin_not_allowed", "{path}");
    }
    // Nor which methods a route has.
    let answer = send(&app, request("PUT", "/admin", &[("host", "evil.test:8080")], Body::empty())).await;
    assert!(answer.status == StatusCode::FORBIDDEN && !answer.headers.contains_key("allow"));
    let answer = send(&app, request("GET", "/open", &[("host", "localhost:8080")], Body::empty())).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// asvs(V2.4.1): files are counted by the address of the socket.
#[tokio::test]
async fn an_address_asks_for_files_as_often_as_it_may() {
    let mut limits = aurora_core::load::Limits::default();
    limits.file = aurora_core::load::Quota::new(2, std::time::Duration::from_secs(3600));
    let folder = support::folder();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = aurora_axum::Aurora::builder().profile(aurora_axum::Profile::Development);
    let builder = builder.database(aurora_axum::Database::url(&url).unwrap()).limits(limits);
    let app = secure(&builder.files(folder.join("files")).build().await.unwrap(), Router::new());
    for status in [200, 200, 429, 429] {
        let answer = send(&app, request("GET", "/storage/v1/bucket", &[], Body::empty())).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
    }
    let mut elsewhere = request("PUT", "/storage/v1/object/b/a", &[], Body::from("x"));
    let again = send(&app, request("PUT", "/storage/v1/object/b/a", &[], Body::from("x"))).await;
    assert_eq!(again.status, 429);
    let peer = std::net::SocketAddr::from(([192, 0, 2, 8], 4711));
    elsewhere.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    assert_eq!(send(&app, elsewhere).await.status, 400);
}
