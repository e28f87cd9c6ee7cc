//! Development says why it denies; production does not; neither tells a secret.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::net::IpAddr;

use aurora_core::http::Peer;
use aurora_core::types::{Code, Error};
use common::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
use http::{HeaderMap, Request};
use serde_json::{Value, json};

/// Denials of every room, each with a piece of its reason.
async fn denials(fixture: &Fixture) -> Vec<(Reply, &'static str)> {
    let session = fixture.sign_up("ann@example.com").await;
    let used = session.refresh();
    let next = fixture.refresh(&used).await.refresh();
    fixture.refresh(&next).await;
    fixture.advance(60);
    let mut all = vec![
        (fixture.sign_in("ann@example.com", "canary-wrong").await, "wrong password"),
        (fixture.sign_in("eve@example.com", "canary-wrong").await, "unknown address"),
        (fixture.refresh(&used).await, "replayed"),
        (fixture.refresh("art_canary").await, "Refresh Token Not Found"),
        (fixture.user(&format!("{}x", session.access())).await, "signature does not verify"),
        (fixture.user("canary.canary.canary").await, "not base64url"),
        (
            fixture.call("PUT", "/user", Some("canary"), json!({ "password": "canary-new" })).await,
            "not three parts",
        ),
        (fixture.call("GET", "/nowhere", None, Value::Null).await, "No such route"),
        (fixture.call("DELETE", "/user", None, Value::Null).await, "Method not allowed"),
        (
            fixture.call("POST", "/signup", None, json!({ "email": ["canary"], "password": "canary" })).await,
            "`email` has the wrong type",
        ),
    ];
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    all.push((fixture.sign_in("ann@example.com", PASSWORD).await, common::missing_audit()));
    all
}

/// attack C08
#[tokio::test]
async fn development_says_why() {
    let fixture = Fixture::new().await;
    for (reply, why) in denials(&fixture).await {
        let reason = reply.json["reason"].as_str().unwrap_or_else(|| panic!("{}", reply.text));
        assert!(reason.contains(why), "{why}: {reason}");
        assert!(reason.chars().count() <= 300 && !reason.contains(['\n', '\r']), "{reason}");
        assert_eq!(reply.headers["x-aurora-reason"], reason);
        for secret in ["canary", PASSWORD, SERVICE_KEY, "eyJ", "art_", "$argon2"] {
            assert!(!reply.text.contains(secret), "{secret}: {}", reply.text);
        }
    }
}

/// attack V04, asvs(V15.2.3, V16.5.1)
#[tokio::test]
async fn production_does_not() {
    let fixture = Fixture::with(Options::in_production()).await;
    for (reply, why) in denials(&fixture).await {
        assert!(!reply.headers.contains_key("x-aurora-reason"), "{why}");
        assert!(reply.json.get("reason").is_none(), "{}", reply.text);
        for told in ["wrong password", "unknown address", "replayed", "signature does not", "aurora_audit"] {
            assert!(!reply.text.contains(told), "{}", reply.text);
        }
    }
}

/// The host's own routes: the door's refusals, and what its handlers fail with, a row policy's denial for one.
#[tokio::test]
async fn the_host_s_routes_say_as_much() {
    for (options, told) in [(Options::default(), true), (Options::in_production(), false)] {
        let fixture = Fixture::with(options).await;
        let peer = Peer::from("192.0.2.1".parse::<IpAddr>().unwrap());
        let ask = |token: Option<&str>| {
            let mut request = Request::get("/notes");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            request.body(()).unwrap().into_parts().0
        };
        let refused = fixture.http.admit(&ask(Some("canary.token")), peer).await.unwrap_err().into_response();
        let anonymous = fixture.http.admit(&ask(None), peer).await.unwrap();
        let locked = anonymous.clone().locked().unwrap_err().into_response();
        let policy = Error::new(
            Code::InsufficientPrivilege,
            "new row violates row-level security policy for \"notes\"",
        )
        .with_source("policy `own notes`");
        let denied =
            [anonymous.error_response(&policy), fixture.http.error_response(&policy, &HeaderMap::new())];
        let policy = "violates row-level security policy for \"notes\": policy `own notes`";
        let [first, second] = denied;
        let all =
            [(refused, "not three parts"), (locked, "valid Bearer token"), (first, policy), (second, policy)];
        for (response, why) in all {
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            let header = response.headers().get("x-aurora-reason").map(|value| value.to_str().unwrap());
            assert_eq!(body["reason"].as_str(), header);
            assert_eq!(header.is_some_and(|reason| reason.contains(why)), told, "{body}");
            assert!(!body.to_string().contains("canary"));
        }
    }
}
