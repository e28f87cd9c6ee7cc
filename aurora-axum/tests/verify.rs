//! Another service, on axum: it verifies tokens and issues none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../../aurora-core/tests/common/another_service.rs"]
mod another_service;
#[path = "../../aurora-core/tests/common/project.rs"]
mod project;

use std::sync::Arc;

use another_service::{Answer, Ask, Issued, Issuer, Misfit, failure, me};
use aurora_axum::verify::{Lock, Verified, Verifier};
use aurora_axum::{Principal, Result};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::routing::get;
use axum::{Extension, Router};
use tower::ServiceExt;

fn service(verifier: Arc<Verifier>) -> Router {
    Router::new()
        .route(
            "/me",
            get(async |user: Verified, Extension(principal): Extension<Principal>| {
                assert_eq!(principal.user_id(), Some(user.id()));
                me(&user)
            }),
        )
        .route("/issuer", get(async |user: Verified<Issued>| user.claims().iss.clone()))
        .route("/misfit", get(async |_: Verified<Misfit>| ()))
        .route("/fails", get(async || -> Result<()> { Err(failure().into()) }))
        .route("/panics", get(panics))
        .layer(Lock::new(verifier))
        .route("/outside", get(async |_: Verified| ()))
}

async fn panics() {
    panic!("the disk is on fire");
}

async fn ask(verifier: Arc<Verifier>, ask: Ask) -> Answer {
    let mut request = Request::get(ask.path);
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    let response = service(verifier).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let body = String::from_utf8(body).unwrap();
    Answer { status: head.status.as_u16(), headers: headers.collect(), body }
}

#[tokio::test]
async fn a_good_token_passes() {
    another_service::a_good_token_passes(ask).await;
}

/// attacks J01, J02, asvs(V8.2.1, V9.1.2, V9.2.1, V9.2.2, V9.2.3)
#[tokio::test]
async fn everything_else_is_refused() {
    another_service::everything_else_is_refused(ask).await;
}

#[tokio::test]
async fn without_a_key_set_nobody_passes() {
    another_service::without_a_key_set_nobody_passes(ask).await;
}

#[tokio::test]
async fn a_sign_out_is_not_seen_before_the_token_expires() {
    another_service::a_sign_out_is_not_seen(ask).await;
}

#[tokio::test]
async fn failures_keep_their_shape() {
    another_service::failures_keep_their_shape(ask).await;
}

/// The extractor outside of the lock fails closed.
#[tokio::test]
async fn outside_of_the_lock_nobody_is_verified() {
    let issuer = Issuer::start().await;
    let outside = ask(issuer.verifier(), Ask::new("/outside", &[])).await;
    assert_eq!((outside.status, outside.header("x-sb-error-code")), (500, "unexpected_failure"));
}

/// Which routes there are, and by which methods, is told to nobody outside.
#[tokio::test]
async fn a_refusal_names_no_route() {
    let issuer = another_service::Issuer::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in
        [("GET", "/me"), ("PUT", "/me"), ("DELETE", "/fails"), ("GET", "/nowhere"), ("PUT", "/nowhere")]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = service(issuer.verifier()).oneshot(request).await.unwrap();
        // The server writes a length under every answer.
        let told = |name: &str| !["x-request-id", "content-length"].contains(&name);
        let headers: std::collections::BTreeMap<_, _> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
        let headers: Vec<_> = headers.into_iter().filter(|(name, _)| told(name)).collect();
        seen.insert(format!("{} {headers:?}", response.status()));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(seen.iter().all(|one| one.starts_with("401")), "{seen:#?}");
}
