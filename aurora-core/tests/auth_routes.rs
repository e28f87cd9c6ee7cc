//! Every route has its denial, or a reason to have none. A new route that has neither fails here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use aurora_core::http::{Access, Http, Route};
use aurora_core::load::{Bucket, Limits, Quota};
use aurora_core::mail::Kind;
use common::mailed::{challenge, mail, open, post, press, with};
use common::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
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

const BUCKETS: [Bucket; 7] = [
    Bucket::Request,
    Bucket::SignUp,
    Bucket::SignIn,
    Bucket::Refresh,
    Bucket::Mail,
    Bucket::MailTo,
    Bucket::Factor,
];

fn name(route: &Route) -> String {
    format!("{} {}", route.method(), route.path())
}

fn set(limits: &mut Limits, bucket: Bucket, quota: Quota) {
    match bucket {
        Bucket::Request => limits.request = quota,
        Bucket::SignUp => limits.sign_up = quota,
        Bucket::SignIn => limits.sign_in = quota,
        Bucket::Refresh => limits.refresh = quota,
        Bucket::Mail => limits.mail = quota,
        Bucket::MailTo => limits.mail_to = quota,
        Bucket::Factor => limits.factor = quota,
        other => panic!("{other:?} is new"),
    }
}

/// Limits of which one is used up, and no other can be.
fn used_up(options: &mut Options, bucket: Bucket) {
    for roomy in BUCKETS {
        set(&mut options.limits, roomy, Quota::new(1_000, Duration::from_secs(60)));
    }
    set(&mut options.limits, bucket, Quota::new(0, Duration::from_secs(60)));
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
    for bucket in BUCKETS {
        let mut options = Options::default();
        options.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
        used_up(&mut options, bucket);
        let fixture = Fixture::with(options).await;
        for route in Http::ROUTES.iter().filter(|route| route.access() == Access::Public) {
            let path = match (route.path(), bucket) {
                ("/token", Bucket::Refresh) => "/token?grant_type=refresh_token",
                ("/token", _) => "/token?grant_type=password",
                // They answer with pages and redirects: below, with a good link.
                ("/verify", _) if route.method() == "GET" => continue,
                ("/verify/link", _) => continue,
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

/// What the next test asks with: links that were not used, and who is signed in.
struct Ready {
    /// A link whose press signs in.
    plain: String,
    /// One that leads to an exchange.
    challenged: String,
    tokens: [String; 4],
}

/// Made while nothing is limited, in the place of the database that is asked afterwards.
async fn ready(options: Options) -> Ready {
    let fixture = Fixture::with(options).await;
    let mut tokens = Vec::new();
    for number in 0..6 {
        tokens.push(fixture.sign_up(&format!("p{number}@example.com")).await.access());
    }
    let mut links = Vec::new();
    for (email, more) in [("p4@example.com", json!({})), ("p5@example.com", challenge())] {
        let asked = post(&fixture, "/recover", with(json!({ "email": email }), more)).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        links.push(mail(&fixture, Kind::Recovery, email).await.link.unwrap());
    }
    fixture.database.close().await;
    tokens.truncate(4);
    let [plain, challenged] = links.try_into().unwrap();
    Ready { plain, challenged, tokens: tokens.try_into().unwrap() }
}

/// Each way to ask the four routes that want a good link or a session, with what counts it.
async fn asked(fixture: &Fixture, ready: &Ready) -> Vec<(&'static str, &'static [Bucket], Reply)> {
    const LINK: &[Bucket] = &[Bucket::Request, Bucket::SignIn];
    const MAIL: &[Bucket] = &[Bucket::Request, Bucket::Mail, Bucket::MailTo];
    const BOTH: &[Bucket] = &[Bucket::Request, Bucket::SignIn, Bucket::Mail, Bucket::MailTo];
    let put = async |token: usize, body: Value| {
        fixture.call("PUT", "/user", Some(&ready.tokens[token]), body).await
    };
    let (to, checked) = (json!({ "email": "new@example.com" }), json!({ "current_password": PASSWORD }));
    let nonce = fixture.call("GET", "/reauthenticate", Some(&ready.tokens[3]), Value::Null).await;
    vec![
        ("GET /verify", LINK, open(fixture, &ready.plain).await),
        ("GET /verify", LINK, open(fixture, &ready.challenged).await),
        ("POST /verify/link", LINK, press(fixture, &ready.plain).await),
        ("POST /verify/link", LINK, press(fixture, &ready.challenged).await),
        ("PUT /user", LINK, put(0, json!({ "password": "another horse battery" })).await),
        ("PUT /user", MAIL, put(1, to.clone()).await),
        ("PUT /user", BOTH, put(2, with(to, checked)).await),
        ("GET /reauthenticate", MAIL, nonce),
    ]
}

/// asvs(V2.4.1): the same of routes that want a good link or a session: refused with nothing left of what counts
/// them, and served whatever else is used up.
#[tokio::test]
async fn the_limits_of_links_and_of_changes_hold() {
    let (mut refused, mut served) = (0, 0);
    for bucket in BUCKETS {
        let mut first = Options::default();
        used_up(&mut first, Bucket::Factor);
        let mut second = Options { path: first.path.clone(), ..Options::default() };
        second.start_key.clone_from(&first.start_key);
        used_up(&mut second, bucket);
        let ready = ready(first).await;
        let fixture = Fixture::with(second).await;
        let replies = asked(&fixture, &ready).await;
        for (place, (route, counted, reply)) in replies.iter().enumerate() {
            let told = reply.headers.get("x-sb-error-code").map(|code| code.to_str().unwrap());
            let wanted = match bucket {
                _ if !counted.contains(&bucket) => None,
                Bucket::Mail | Bucket::MailTo => Some("over_email_send_rate_limit"),
                _ => Some("over_request_rate_limit"),
            };
            let status = reply.status.as_u16();
            assert_eq!(told, wanted, "{bucket:?} {route}, way {place}: {status} {}", reply.text);
            match wanted {
                None => assert!([200, 303].contains(&status), "{bucket:?} {route}: {status} {}", reply.text),
                // A link's reader is sent back to the site with the reason.
                Some(_) => assert!([429, 303].contains(&status), "{bucket:?} {route}: {status}"),
            }
            refused += usize::from(wanted.is_some());
            served += usize::from(wanted.is_none());
        }
        for route in Http::ROUTES {
            let ways: Vec<_> = replies.iter().filter(|(asked, ..)| *asked == name(route)).collect();
            let counted = ways.iter().any(|(_, counted, _)| counted.contains(&bucket));
            let listed = route.buckets().contains(&bucket);
            assert!(ways.is_empty() || counted == listed, "{}: {bucket:?} listed: {listed}", name(route));
        }
    }
    println!("8 ways to ask 4 routes, 7 limits: {refused} refused, {served} served");
    assert_eq!((refused, served), (20, 36));
}

/// asvs(V2.4.1): every route of users and of the service counts as a request, before it is looked at who asks.
#[tokio::test]
async fn the_limit_of_requests_holds_for_everybody() {
    let mut options = Options::default();
    used_up(&mut options, Bucket::Request);
    let fixture = Fixture::with(options).await;
    let mut tried = 0;
    for route in Http::ROUTES.iter().filter(|route| route.access() != Access::Public) {
        let path = route.path().replace("{id}", "00000000-0000-4000-8000-000000000000");
        for token in [None, Some(SERVICE_KEY)] {
            let reply = fixture.call(route.method(), &path, token, Value::Null).await;
            assert_eq!(reply.code(), "over_request_rate_limit", "{}: {}", name(route), reply.text);
        }
        assert!(route.buckets().contains(&Bucket::Request), "{}", name(route));
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
    println!("{tried} routes of users and of the service with no request left");
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
