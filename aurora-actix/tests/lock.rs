//! Every way around the lock that we could think of, on actix.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::HttpResponse;
use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::{self, ServiceConfig};
use aurora_actix::{Caller, CurrentUser, Guarded, Secured, Valid, secure};
use aurora_core::config::Profile;
use aurora_core::testing::TestClient;
use aurora_core::{Aurora, Database};

thread_local! {
    /// Each test has a thread of its own, and its handlers run on it.
    static REACHED: Cell<usize> = const { Cell::new(0) };
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 4711);

async fn secret() -> &'static str {
    REACHED.set(REACHED.get() + 1);
    "secret"
}

async fn open() -> &'static str {
    "open"
}

/// One of everything that actix can route to.
fn private(app: &mut ServiceConfig) {
    let nested = web::scope("/nested")
        .route("/deep/{id}", web::get().to(secret))
        .service(web::resource("/resource").route(web::get().to(secret)).route(web::delete().to(secret)))
        .default_service(web::to(secret));
    app.route("/admin", web::get().to(secret))
        .service(web::resource("/notes").route(web::get().to(secret)).route(web::post().to(secret)))
        .route("/notes/{id}", web::get().to(secret))
        .service(web::resource("/any").to(secret))
        .service(web::resource("/files/{path:.*}").to(secret))
        .service(web::resource(["/one", "/other"]).to(secret))
        .service(nested)
        .service(web::redirect("/redirect", "/admin"))
        .route("/brew", web::method(Method::from_bytes(b"BREW").unwrap()).to(secret));
}

fn public(app: &mut ServiceConfig) {
    app.route("/", web::get().to(open))
        .route("/open", web::get().to(open))
        .route("/notes", web::delete().to(open))
        .service(web::scope("/assets").route("/{path:.*}", web::get().to(open)))
        // Never reached: what no route takes is the lock's.
        .default_service(web::to(open));
}

async fn aurora() -> Aurora {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("aurora-actix-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    builder.build().await.unwrap()
}

async fn app() -> (Aurora, Secured) {
    let aurora = aurora().await;
    let app = secure(&aurora, private).public(public);
    (aurora, app)
}

struct Answer {
    status: StatusCode,
    code: Option<String>,
    allow: bool,
    body: String,
}

async fn send(app: &Secured, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let service = init_service(app.app()).await;
    let mut request = TestRequest::with_uri(path)
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .peer_addr(PEER)
        .insert_header(("host", "localhost"));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let (response, head) = match try_call_service(&service, request.to_request()).await {
        Ok(response) => {
            let response: ServiceResponse = response;
            let (_, response) = response.into_parts();
            let head = (response.status(), response.headers().clone());
            (response, head)
        }
        Err(error) => {
            let response = error.error_response();
            let head = (response.status(), response.headers().clone());
            (response, head)
        }
    };
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Answer {
        status: head.0,
        code: head.1.get("x-sb-error-code").map(|code| code.to_str().unwrap().to_owned()),
        allow: head.1.contains_key("allow"),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

const PATHS: [&str; 34] = [
    "/admin",
    "/notes/7",
    "/any",
    "/files/a/b",
    "/files/",
    "/one",
    "/other",
    "/nested",
    "/nested/",
    "/nested/deep/7",
    "/nested/resource",
    "/nested/nowhere",
    "/redirect",
    "/brew",
    "/nowhere",
    "/nowhere/at/all",
    "//admin",
    "/admin/",
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
    "/open/../admin",
    "/open%2f..%2fadmin",
    "/open/",
    "//open",
    "/auth/v10/user",
    "/assetsx/admin",
];

/// attack A08, asvs(V8.2.1)
#[actix_web::test]
async fn nothing_private_answers_without_a_token() {
    let (_aurora, app) = app().await;
    let bypasses: [&[(&str, &str)]; 5] = [
        &[],
        &[("x-http-method-override", "DELETE"), ("x-method-override", "GET")],
        &[("x-original-url", "/open"), ("x-rewrite-url", "/open"), ("x-forwarded-prefix", "/open")],
        &[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")],
        &[("x-user-id", "1"), ("x-role", "service_role"), ("cookie", "sb-access-token=x; role=admin")],
    ];
    let mut tried = 0;
    for method in METHODS {
        for path in PATHS {
            for headers in bypasses {
                let answer = send(&app, method, path, headers).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
                assert_eq!(answer.code.as_deref(), Some("no_authorization"), "{method} {path}");
                assert!(!answer.allow && !answer.body.contains("secret"), "{method} {path}: {}", answer.body);
                tried += 1;
            }
        }
    }
    for value in ["Bearer x.y.z", "Bearer ", "Basic YTpi", "bearer", "Bearer null", "Token x", ""] {
        for path in PATHS {
            let answer = send(&app, "GET", path, &[("authorization", value)]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {value}");
            tried += 1;
        }
    }
    assert_eq!(REACHED.get(), 0);
    println!("{tried} requests without a token: all 401, no handler reached");
}

#[actix_web::test]
async fn a_signed_in_user_passes_and_public_is_open() {
    let (aurora, app) = app().await;
    let bearer = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap().authorization();
    let signed = [("authorization", bearer.as_str())];
    for (method, path) in [
        ("GET", "/admin"),
        ("POST", "/notes"),
        ("GET", "/notes/7"),
        ("PATCH", "/any"),
        ("GET", "/files/a/b"),
        ("GET", "/other"),
        ("GET", "/nested/deep/7"),
        ("DELETE", "/nested/resource"),
        ("GET", "/nested/nowhere"),
        ("BREW", "/brew"),
    ] {
        let before = REACHED.get();
        let answer = send(&app, method, path, &signed).await;
        assert_eq!((answer.status, REACHED.get()), (StatusCode::OK, before + 1), "{method} {path}");
    }
    assert_eq!(send(&app, "GET", "/nowhere", &signed).await.status, 404);
    for (method, path) in [("GET", "/"), ("GET", "/open"), ("GET", "/assets/x"), ("DELETE", "/notes")] {
        let answer = send(&app, method, path, &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "open"), "{method} {path}");
    }
}

/// A public catch-all hides private routes. It never opens them.
#[actix_web::test]
async fn a_public_catch_all_opens_nothing() {
    let aurora = aurora().await;
    let all = |app: &mut ServiceConfig| {
        app.service(web::resource("/{path:.*}").to(open));
    };
    let app = secure(&aurora, private).public(all);
    for path in PATHS.into_iter().filter(|path| !path.starts_with("//")) {
        let answer = send(&app, "GET", path, &[]).await;
        assert!(!answer.body.contains("secret"), "{path}");
    }
    assert_eq!(REACHED.get(), 0);
}

/// Each extractor outside of `secure` fails closed.
#[actix_web::test]
async fn extractors_outside_of_the_lock_give_nothing() {
    #[derive(serde::Deserialize, validator::Validate)]
    struct Nothing {}
    let app = actix_web::App::new()
        .route("/caller", web::get().to(async |_: Caller| HttpResponse::Ok()))
        .route("/user", web::get().to(async |_: CurrentUser| HttpResponse::Ok()))
        .route("/db", web::get().to(async |_: Guarded| HttpResponse::Ok()))
        .route("/body", web::get().to(async |_: Valid<web::Json<Nothing>>| HttpResponse::Ok()));
    let service = init_service(app).await;
    for path in ["/caller", "/user", "/db", "/body"] {
        let answer = try_call_service(&service, TestRequest::with_uri(path).to_request()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

/// Data that the host shares is there in either half.
#[actix_web::test]
async fn handlers_share_the_hosts_data() {
    let aurora = aurora().await;
    let app = secure(&aurora, |app: &mut ServiceConfig| {
        app.route("/private", web::get().to(async |name: web::Data<String>| name.to_string()));
    })
    .public(|app: &mut ServiceConfig| {
        app.route("/public", web::get().to(async |name: web::Data<String>| name.to_string()));
    })
    .configure(|app: &mut ServiceConfig| {
        app.app_data(web::Data::new("shared".to_owned()));
    });
    let bearer = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap().authorization();
    for path in ["/public", "/private"] {
        let answer = send(&app, "GET", path, &[("authorization", &bearer)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "shared"), "{path}");
    }
}

/// A handler sees the id that the answer names, never one of a stranger's.
#[actix_web::test]
async fn a_request_s_id_is_ours() {
    let app = secure(&aurora().await, |_| {}).public(|app: &mut ServiceConfig| {
        let id = async |request: actix_web::HttpRequest| {
            format!("{:?}", request.headers().get_all("x-request-id").collect::<Vec<_>>())
        };
        app.route("/id", web::get().to(id));
    });
    let forged = "11111111-1111-4111-8111-111111111111";
    let answer = send(&app, "GET", "/id", &[("x-request-id", forged)]).await;
    assert!(
        answer.body.len() > 30 && !answer.body.contains(forged) && !answer.body.contains(','),
        "{}",
        answer.body
    );
}

/// asvs(V2.4.1): files are counted by the address of the socket.
#[actix_web::test]
async fn an_address_asks_for_files_as_often_as_it_may() {
    let mut limits = aurora_core::load::Limits::default();
    limits.file = aurora_core::load::Quota::new(2, std::time::Duration::from_secs(3600));
    let folder = std::env::temp_dir().join(format!("aurora-actix-{}-files", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
    let aurora = builder.limits(limits).files(folder.join("files")).build().await.unwrap();
    let app = secure(&aurora, |_: &mut ServiceConfig| {});
    for status in [200, 200, 429, 429] {
        let answer = send(&app, "GET", "/storage/v1/bucket", &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        let wanted = (status == 429).then_some("over_request_rate_limit");
        assert_eq!(answer.code.as_deref(), wanted);
    }
    assert_eq!(send(&app, "PUT", "/storage/v1/object/b/a", &[]).await.status, 429);
}
