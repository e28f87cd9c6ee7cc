//! Every route has its denial, or a reason to have none. A new route that has neither fails here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use aurora_core::http::{Access, Http, Route};
use aurora_core::load::{Bucket, Quota};
use common::{Fixture, Options, PASSWORD, SERVICE_KEY};
use serde_json::{Value, json};

/// Routes that anyone may call, and what they ask for instead of a session.
const PUBLIC: &[(&str, &str)] = &[
    ("POST /signup", "becomes a user"),
    ("POST /token", "a password, a refresh token or a verifier"),
    ("GET /settings", "which ways of signing in are on"),
    ("GET /health", "that it runs"),
    ("GET /.well-known/jwks.json", "public keys"),
    ("POST /recover", "a mail to the address's owner"),
    ("POST /otp", "a mail to the address's owner"),
    ("POST /magiclink", "a mail to the address's owner"),
    ("POST /resend", "a mail to the address's owner"),
    ("POST /verify", "a link's token or a code"),
    ("GET /verify", "a page that changes nothing"),
    ("POST /verify/link", "a link's token"),
    ("GET /authorize", "switched off"),
    ("POST /sso", "switched off"),
    ("GET /mailbox", "development alone, while no mailer is set"),
    ("GET /mailbox.json", "development alone, while no mailer is set"),
];

fn name(route: &Route) -> String {
    format!("{} {}", route.method(), route.path())
}

/// attack A08, asvs(V8.2.1, V8.3.1): whoever adds a route says who may call it: for a user or the service it
/// is refused to everybody else here, and a public one stands in the list above with its reason.
#[tokio::test]
async fn no_route_without_its_denial() {
    let fixture = Fixture::new().await;
    let ann = fixture.sign_up("ann@example.com").await;
    let (mut asked, mut public) = (0, BTreeSet::new());
    for route in Http::ROUTES {
        let path = route.path().replace("{id}", &ann.user_id());
        let body = if ["POST", "PUT"].contains(&route.method()) { json!({}) } else { Value::Null };
        let ask = async |token: Option<&str>| {
            let reply = fixture.call(route.method(), &path, token, body.clone()).await;
            (reply.status.as_u16(), reply.code().to_owned())
        };
        let is = |code: &str, status: u16| (status, code.to_owned());
        let (nobody, garbage) = (ask(None).await, ask(Some("a.b.c")).await);
        match route.access() {
            Access::User => {
                assert_eq!(nobody, is("no_authorization", 401), "{}", name(route));
                assert_eq!(garbage, is("bad_jwt", 403), "{}", name(route));
                assert_eq!(ask(Some(SERVICE_KEY)).await.0, 401, "{}: the service is no user", name(route));
                asked += 3;
            }
            Access::Service => {
                assert_eq!(nobody, is("not_admin", 403), "{}", name(route));
                assert_eq!(garbage, is("bad_jwt", 403), "{}", name(route));
                assert_eq!(ask(Some(&ann.access())).await, is("not_admin", 403), "{}", name(route));
                asked += 3;
            }
            Access::Public => {
                assert!(
                    PUBLIC.iter().any(|(known, _)| *known == name(route)),
                    "{} asks for no session: say in this list why, or make it ask for one",
                    name(route)
                );
                public.insert(name(route));
            }
            other => panic!("{}: {other:?} is for routes of a host", name(route)),
        }
    }
    let listed: BTreeSet<String> = PUBLIC.iter().map(|(known, _)| (*known).to_owned()).collect();
    assert_eq!(public, listed, "a reason for a route that is not there or not public");
    println!("{asked} denials, {} public routes with a reason", public.len());
    assert_eq!(asked, 3 * (Http::ROUTES.len() - public.len()));
}

/// asvs(V2.4.1): the limit that the list of routes names is the one that holds: with nothing left of it, the route
/// answers nobody.
#[tokio::test]
async fn the_limits_that_are_listed_hold() {
    let mut tried = 0;
    for bucket in
        [Bucket::Request, Bucket::SignUp, Bucket::SignIn, Bucket::Refresh, Bucket::Mail, Bucket::MailTo]
    {
        let mut options = Options::default();
        options.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
        let roomy = Quota::new(1_000, Duration::from_secs(60));
        (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
        let none = Quota::new(0, Duration::from_secs(60));
        let limits = &mut options.limits;
        match bucket {
            Bucket::Request => limits.request = none,
            Bucket::SignUp => limits.sign_up = none,
            Bucket::SignIn => limits.sign_in = none,
            Bucket::Refresh => limits.refresh = none,
            Bucket::Mail => limits.mail = none,
            Bucket::MailTo => limits.mail_to = none,
            other => panic!("{other:?} is new"),
        }
        let fixture = Fixture::with(options).await;
        for route in Http::ROUTES.iter().filter(|route| route.access() == Access::Public) {
            let path = match (route.path(), bucket) {
                ("/token", Bucket::Refresh) => "/token?grant_type=refresh_token",
                ("/token", _) => "/token?grant_type=password",
                // A page for a press; the press itself is counted.
                ("/verify", _) if route.method() == "GET" => continue,
                ("/verify/link" | "/mailbox" | "/mailbox.json", _) => continue,
                (path, _) => path,
            };
            let body = json!({
                "email": "ann@example.com", "password": PASSWORD, "type": "signup", "token": "000000",
                "refresh_token": "x",
            });
            let body = if route.method() == "GET" { Value::Null } else { body };
            let reply = fixture.call(route.method(), path, None, body).await;
            let refused = [429, 503].contains(&reply.status.as_u16());
            assert_eq!(
                refused,
                route.buckets().contains(&bucket),
                "{bucket:?} {}: {}",
                name(route),
                reply.text
            );
            tried += 1;
        }
    }
    println!("{tried} routes, each with one limit used up");
}

/// asvs(V2.4.1): the same for what is asked with a second factor, by somebody who is signed in.
#[tokio::test]
async fn the_limit_of_factors_holds() {
    let mut options = Options::default();
    options.limits.factor = Quota::new(0, Duration::from_secs(60));
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    let mut tried = 0;
    for route in Http::ROUTES.iter().filter(|route| route.access() == Access::User) {
        let path = route.path().replace("{id}", "00000000-0000-4000-8000-000000000000");
        if path == "/logout" {
            continue;
        }
        let body = json!({ "factor_type": "totp", "challenge_id": "00000000-0000-4000-8000-000000000000", "code": "000000" });
        let body = if ["POST", "PUT"].contains(&route.method()) { body } else { Value::Null };
        let reply = fixture.call(route.method(), &path, Some(&ann.access()), body).await;
        let limited = route.buckets().contains(&Bucket::Factor);
        assert_eq!(reply.status == 429, limited, "{}: {}", name(route), reply.text);
        tried += usize::from(limited);
    }
    assert_eq!(tried, 9);
    println!("{tried} routes of factors with their limit used up");
}
