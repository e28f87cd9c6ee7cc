//! Another service, on actix: it verifies tokens and issues none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../../aurora-core/tests/common/another_service.rs"]
mod another_service;
#[path = "../../aurora-core/tests/common/project.rs"]
mod project;

use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::{self, ReqData};
use actix_web::{App, HttpResponse};
use another_service::{Answer, Ask, Issued, Issuer, Misfit, failure};
use aurora_actix::verify::{Lock, Verified, Verifier};
use aurora_actix::{Principal, Result};

async fn me(user: Verified, principal: ReqData<Principal>) -> String {
    assert_eq!(principal.user_id(), Some(user.id()));
    another_service::me(&user)
}

async fn issuer(user: Verified<Issued>) -> String {
    user.claims().iss.clone()
}

async fn misfit(_: Verified<Misfit>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn fails() -> Result<HttpResponse> {
    Err(failure().into())
}

async fn panics() -> HttpResponse {
    panic!("the disk is on fire");
}

async fn outside(_: Verified) -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn ask(verifier: Arc<Verifier>, ask: Ask) -> Answer {
    let locked = web::scope("")
        .route("/me", web::get().to(me))
        .route("/issuer", web::get().to(issuer))
        .route("/misfit", web::get().to(misfit))
        .route("/fails", web::get().to(fails))
        .route("/panics", web::get().to(panics))
        .default_service(web::to(HttpResponse::NotFound))
        .wrap(Lock::new(verifier));
    let app = App::new().route("/outside", web::get().to(outside)).service(locked);
    let service = init_service(app).await;
    let mut request = TestRequest::with_uri(&ask.path);
    for (name, value) in &ask.headers {
        request = request.append_header((*name, value.as_str()));
    }
    let response = match try_call_service(&service, request.to_request()).await {
        Ok(response) => {
            let response: ServiceResponse = response;
            response.into_parts().1
        }
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = to_bytes(response.into_body()).await.unwrap().to_vec();
    Answer { status, headers: headers.collect(), body: String::from_utf8(body).unwrap() }
}

#[actix_web::test]
async fn a_good_token_passes() {
    another_service::a_good_token_passes(ask).await;
}

/// attacks J01, J02, asvs(V8.2.1, V9.1.2, V9.2.1, V9.2.2, V9.2.3)
#[actix_web::test]
async fn everything_else_is_refused() {
    another_service::everything_else_is_refused(ask).await;
}

#[actix_web::test]
async fn without_a_key_set_nobody_passes() {
    another_service::without_a_key_set_nobody_passes(ask).await;
}

#[actix_web::test]
async fn a_sign_out_is_not_seen_before_the_token_expires() {
    another_service::a_sign_out_is_not_seen(ask).await;
}

#[actix_web::test]
async fn failures_keep_their_shape() {
    another_service::failures_keep_their_shape(ask).await;
}

/// The extractor outside of the lock fails closed.
#[actix_web::test]
async fn outside_of_the_lock_nobody_is_verified() {
    let issuer = Issuer::start().await;
    let outside = ask(issuer.verifier(), Ask::new("/outside", &[])).await;
    assert_eq!((outside.status, outside.header("x-sb-error-code")), (500, "unexpected_failure"));
}
