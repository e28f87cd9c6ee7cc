//! Who is slowed down, and who is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aurora_core::crypto::PasswordPool;
use aurora_core::load::Quota;
use common::{Fixture, Options, PASSWORD};
use http::Request;
use serde_json::json;

/// attacks P09, P10, P11, asvs(V6.3.1)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_are_few_and_lock_no_one_out() {
    let fixture = Arc::new(Fixture::new().await);
    let victim = fixture.sign_up("ann@example.com").await;
    let guess = json!({ "email": "ann@example.com", "password": "a wrong guess" });
    let mut tasks = Vec::new();
    for number in 0..100 {
        let (fixture, guess) = (Arc::clone(&fixture), guess.clone());
        let from = format!("203.0.113.{number}");
        tasks.push(tokio::spawn(async move {
            fixture.call_from(&from, "POST", "/token?grant_type=password", None, guess).await.status.as_u16()
        }));
    }
    let mut evaluated = 0;
    for task in tasks {
        match task.await.unwrap() {
            400 => evaluated += 1,
            429 => {}
            other => panic!("{other}"),
        }
    }
    assert!(evaluated <= 5, "{evaluated}");
    // The victim's session goes on, and so does a sign-in from where the victim is signed in.
    assert_eq!(fixture.user(&victim.access()).await.status, 200);
    assert_eq!(fixture.refresh(&victim.refresh()).await.status, 200);
    let stranger = json!({ "email": "ann@example.com", "password": PASSWORD });
    let limited =
        fixture.call_from("203.0.113.7", "POST", "/token?grant_type=password", None, stranger).await;
    assert_eq!((limited.status.as_u16(), limited.code()), (429, "over_request_rate_limit"));
    assert!(limited.headers.contains_key("retry-after"));
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200, "a known address");
    // An unknown account is limited alike: the limit does not tell which exist.
    let ghost = json!({ "email": "ghost@example.com", "password": "a wrong guess" });
    let mut codes = Vec::new();
    for _ in 0..7 {
        let reply =
            fixture.call_from("203.0.113.9", "POST", "/token?grant_type=password", None, ghost.clone()).await;
        codes.push(reply.status.as_u16());
    }
    assert_eq!(codes, [400, 400, 400, 400, 400, 429, 429]);
}

/// attacks P12, T01, T02, asvs(V2.4.1, V4.1.3, V15.3.4): one source with many accounts is throttled, whatever it
/// says about its address.
#[tokio::test]
async fn one_source_is_one_source() {
    let mut options = Options::default();
    options.limits.sign_in = Quota::new(10, Duration::from_secs(600));
    options.settings.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
    let fixture = Fixture::with(options).await;
    let attempt = async |from: &str, forwarded: Option<String>, number: usize| {
        let mut request =
            Request::post("/auth/v1/token?grant_type=password").header("content-type", "application/json");
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded).header("x-real-ip", "9.9.9.9");
        }
        let body = json!({ "email": format!("user{number}@example.com"), "password": "password1" });
        fixture.send(request.body(body.to_string().into_bytes()).unwrap(), from).await.status.as_u16()
    };
    let mut limited = 0;
    for number in 0..20 {
        let status = attempt("198.51.100.7", Some(format!("1.2.3.{number}")), number).await;
        limited += usize::from(status == 429);
    }
    assert_eq!(limited, 10, "headers of an undeclared peer mean nothing");
    let mut limited = 0;
    for number in 0..20 {
        let status = attempt("10.0.0.1", Some(format!("1.2.3.{number}, 198.51.100.8")), number).await;
        limited += usize::from(status == 429);
    }
    assert_eq!(limited, 10, "behind a declared proxy the last foreign address counts");
    let mut limited = 0;
    for number in 0..20 {
        let status = attempt(&format!("2001:db8:0:1::{number:x}"), None, number).await;
        limited += usize::from(status == 429);
    }
    assert_eq!(limited, 10, "a /64 is one source");
}

/// attack P09: a guess that no one checked is no guess: an overload locks no one out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_overload_costs_no_guess() {
    let options = Options { pool: PasswordPool::new(1, 0, Duration::from_secs(5)), ..Options::default() };
    let fixture = Arc::new(Fixture::with(options).await);
    let ann = loop {
        let reply = fixture.sign_up("ann@example.com").await;
        if reply.status == 200 {
            break reply.access();
        }
    };
    for change in [false, true] {
        let ask = move |fixture: Arc<Fixture>, ann: String| async move {
            let wrong = "a wrong guess";
            let reply = if change {
                let body = json!({ "email": "ann@new.example.com", "current_password": wrong });
                fixture.call("PUT", "/user", Some(&ann), body).await
            } else {
                let body = json!({ "email": "ann@example.com", "password": wrong });
                fixture.call_from("203.0.113.7", "POST", "/token?grant_type=password", None, body).await
            };
            reply.status.as_u16()
        };
        let (mut evaluated, mut busy) = (0, 0);
        // Four at once and fewer than there are guesses, so that none is turned away by the limit.
        let running: Vec<_> = (0..4).map(|_| tokio::spawn(ask(Arc::clone(&fixture), ann.clone()))).collect();
        for answer in running {
            match answer.await.unwrap() {
                400 => evaluated += 1,
                503 => busy += 1,
                other => panic!("{other}"),
            }
        }
        assert!(busy > 0, "the pool was never full");
        loop {
            match ask(Arc::clone(&fixture), ann.clone()).await {
                400 => evaluated += 1,
                503 => {}
                429 => break,
                other => panic!("{other}"),
            }
        }
        assert_eq!(evaluated, 5, "change: {change}");
    }
}

/// attack P09, asvs(V2.4.1): a new password costs hashes: it is counted as a sign-in, per address.
#[tokio::test]
async fn new_passwords_are_counted_as_sign_ins() {
    let mut options = Options::default();
    options.limits.sign_in = Quota::new(3, Duration::from_secs(600));
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await.access();
    let put = async |body| fixture.call("PUT", "/user", Some(&ann), body).await.status.as_u16();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(put(json!({ "password": PASSWORD })).await);
    }
    assert_eq!(seen, [422, 422, 422, 429, 429]);
    let guess = json!({ "email": "ann@new.example.com", "current_password": PASSWORD });
    assert_eq!(put(guess).await, 429);
    assert_eq!(put(json!({ "data": { "a": 1 } })).await, 200, "what costs no hash is not counted");
    assert_eq!(put(json!({ "password": "x" })).await, 429, "a refusal of a password writes a record");
}
