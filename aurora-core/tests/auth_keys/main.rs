//! Keys that are given, keys that name an application, and the API at an address of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/project.rs"]
mod project;

mod given;
mod opaque;

use std::net::IpAddr;

use aurora_core::auth::NewApiKey;
use aurora_core::http::Peer;
use aurora_core::session::token::{ProjectKeys, TokenKeys, TokenOptions};
use aurora_core::session::{ApiKeyKind, ApiScope};
use aurora_core::types::{Code, Role, Secret};
use http::Request;
use serde_json::Value;

use common::{Fixture, Given, Options, Reply};

fn given(text: String) -> Given {
    Box::new(move |options: TokenOptions| {
        let (signing, verify) = ProjectKeys::parse(&Secret::new(text)).unwrap().into_parts();
        TokenKeys::with_signing_key(signing.expect("a key that signs"), verify, options).unwrap()
    })
}

/// A project with these keys, and none in the settings.
fn project_of(text: &str) -> Options {
    let mut options = Options { given: Some(given(text.to_owned())), ..Options::default() };
    options.settings.api_keys = aurora_core::config::ApiKeys::default();
    options
}

async fn ask(fixture: &Fixture, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    let mut request = Request::builder().method(method).uri(format!("/auth/v1{path}"));
    request = request.header("x-supabase-api-version", "2024-01-01");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.header("content-type", "application/json");
    }
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    fixture.send(request.body(body).unwrap(), "192.0.2.1").await
}

/// The role in which a host's own route is entered, or the refusal's status and code.
async fn enters(fixture: &Fixture, headers: &[(&str, &str)]) -> Result<Role, (u16, Code)> {
    let mut request = Request::get("/notes");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let peer = Peer::from("192.0.2.1".parse::<IpAddr>().unwrap());
    match fixture.http.admit(&head, peer).await {
        Ok(admitted) => Ok(admitted.principal().role()),
        Err(rejection) => {
            let code = rejection.error().code();
            Err((rejection.into_response().status().as_u16(), code))
        }
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn secret(name: &str, scopes: &[ApiScope]) -> NewApiKey {
    NewApiKey { kind: ApiKeyKind::Secret, name: name.to_owned(), scopes: scopes.to_vec() }
}
