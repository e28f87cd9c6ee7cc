//! Keys that are given, keys that name an application, and the API at an address of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;
#[path = "common/project.rs"]
mod project;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use aurora_core::auth::NewApiKey;
use aurora_core::http::Peer;
use aurora_core::session::token::{ProjectKeys, SigningKey, TokenKeys, TokenOptions, VerifyKey};
use aurora_core::session::{ApiKeyKind, ApiScope};
use aurora_core::types::{Code, Role, Secret};
use aws_lc_rs::digest::{SHA256, digest};
use common::{Fixture, Given, Options, PASSWORD, Reply, SERVICE_KEY};
use http::Request;
use project::{EC, ED, OCT, RSA, SECRET, encode, es256, hs256, legacy, part};
use serde_json::{Value, json};

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

/// asvs(V9.1.2): each kind of given key signs under its own name, verifies after a restart, and is published without its
/// private half; a secret is not published at all.
#[tokio::test]
async fn every_given_key_signs_and_verifies_after_a_restart() {
    for (text, algorithm, kid) in [
        (EC, "ES256", "project-ec"),
        (ED, "EdDSA", "project-ed"),
        (RSA, "RS256", "project-rsa"),
        (OCT, "HS256", "project-hs"),
    ] {
        let options = project_of(text);
        let (path, start_key) = (options.path.clone(), options.start_key.clone());
        let first = Fixture::with(options).await;
        let session =
            ask(&first, "POST", "/signup", &[], json!({"email": "ann@example.com", "password": PASSWORD}))
                .await;
        let token = session.access();
        assert_eq!(part(&token, 0), json!({"alg": algorithm, "kid": kid, "typ": "JWT"}));
        assert_eq!(first.count("SELECT count(*) FROM aurora_signing_keys").await, 0, "{kid}: none is made");
        let jwks = ask(&first, "GET", "/.well-known/jwks.json", &[], Value::Null).await.json;
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), usize::from(algorithm != "HS256"), "{kid}");
        for key in keys {
            assert_eq!((key["kid"].as_str(), key["alg"].as_str()), (Some(kid), Some(algorithm)));
            for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(member).is_none(), "{kid} publishes {member}");
            }
        }
        let again = Options { path, start_key, ..project_of(text) };
        let second = Fixture::with(again).await;
        let user = ask(&second, "GET", "/user", &[("authorization", &bearer(&token))], Value::Null).await;
        assert_eq!(user.status, 200, "{kid}: {}", user.text);
        let refresh = json!({"refresh_token": session.refresh()});
        assert_eq!(ask(&second, "POST", "/token?grant_type=refresh_token", &[], refresh).await.status, 200);
        println!("{algorithm}: signed as {kid}, verified after a restart");
    }
}

/// attacks J01, J02, J04: the algorithm is the key's, and the key is its own.
#[tokio::test]
async fn one_key_s_token_is_not_another_s() {
    let all = format!("[{EC},{},{},{}]", public(ED), public(RSA), only_verifies(OCT));
    let fixture = Fixture::with(project_of(&all)).await;
    let person = json!({"email": "ann@example.com", "password": PASSWORD});
    let token = ask(&fixture, "POST", "/signup", &[], person).await.access();
    let claims = part(&token, 1);
    let refused = async |what: &str, forged: String| {
        for path in ["/user", "/sessions"] {
            let reply = ask(&fixture, "GET", path, &[("authorization", &bearer(&forged))], Value::Null).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (403, "bad_jwt"), "{what}");
        }
        assert_eq!(
            enters(&fixture, &[("authorization", &bearer(&forged))]).await,
            Err((401, Code::BadJwt)),
            "{what}"
        );
    };
    let mut tried = 0;
    // The public half of each key as the secret of HS256, in every spelling, under every name.
    for kid in ["project-ec", "project-ed", "project-rsa", "project-hs", "hs256"] {
        for text in [EC, ED, RSA] {
            let jwk: Value = serde_json::from_str(&public(text)).unwrap();
            let raw = jwk["x"].as_str().or(jwk["n"].as_str()).unwrap();
            for secret in [public(text), raw.to_owned(), jwk.to_string()] {
                let header = json!({"alg": "HS256", "kid": kid, "typ": "JWT"});
                refused("a public key as secret", hs256(&header, &claims, secret.as_bytes())).await;
                tried += 1;
            }
        }
    }
    // The right signature under another name or algorithm.
    let (body, signature) = token.split_once('.').unwrap().1.split_once('.').unwrap();
    for kid in ["project-ed", "project-rsa", "project-hs", "project-ec"] {
        for algorithm in ["ES256", "EdDSA", "RS256", "HS256", "none", "ES384", "PS256"] {
            if (kid, algorithm) == ("project-ec", "ES256") {
                continue;
            }
            let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"}).to_string();
            refused("a swapped header", format!("{}.{body}.{signature}", encode(header))).await;
            tried += 1;
        }
    }
    // The secret's own token under the name of another key, or of none.
    for header in [
        json!({"alg": "HS256", "kid": "project-ec", "typ": "JWT"}),
        json!({"alg": "ES256", "kid": "project-hs", "typ": "JWT"}),
        json!({"alg": "HS256", "typ": "JWT"}),
    ] {
        refused("the secret elsewhere", hs256(&header, &claims, SECRET.as_bytes())).await;
        tried += 1;
    }
    let right =
        hs256(&json!({"alg": "HS256", "kid": "project-hs", "typ": "JWT"}), &claims, SECRET.as_bytes());
    let user = ask(&fixture, "GET", "/user", &[("authorization", &bearer(&right))], Value::Null).await;
    assert_eq!(user.status, 200, "the project's own secret verifies: {}", user.text);
    println!("{tried} swapped tokens, none verifies");
}

fn public(jwk: &str) -> String {
    let mut key: Value = serde_json::from_str(jwk).unwrap();
    for member in ["d", "p", "q", "dp", "dq", "qi", "key_ops"] {
        key.as_object_mut().unwrap().remove(member);
    }
    key.to_string()
}

fn only_verifies(jwk: &str) -> String {
    let mut key: Value = serde_json::from_str(jwk).unwrap();
    key["key_ops"] = json!(["verify"]);
    key.to_string()
}

/// asvs(V11.6.1)
#[tokio::test]
async fn keys_are_read_as_supabase_writes_them_and_nothing_else() {
    let parse = |text: &str| ProjectKeys::parse(&text.into());
    for text in [
        EC.to_owned(),
        format!("[{EC}]"),
        format!(r#" {{"keys":[{EC},{}]}}"#, public(RSA)),
        format!("[{}, {OCT}]", only_verifies(EC)),
    ] {
        assert!(parse(&text).unwrap().into_parts().0.is_some(), "{text:.60}");
    }
    let (signing, verify) = parse(&format!("[{},{}]", only_verifies(EC), public(ED))).unwrap().into_parts();
    assert!(signing.is_none() && verify.len() == 2);
    let swap = |key: &str, member: &str, other: &str| {
        let (mut key, other): (Value, Value) =
            (serde_json::from_str(key).unwrap(), serde_json::from_str(other).unwrap());
        key[member] = other[member].clone();
        key.to_string()
    };
    let other_rsa_e = RSA.replace(r#""e":"AQAB""#, r#""e":"Aw""#);
    assert_ne!(other_rsa_e, RSA);
    for (what, text) in [
        ("two that sign", format!("[{EC},{ED}]")),
        ("nothing", String::new()),
        ("no key", "{}".to_owned()),
        ("a number", "7".to_owned()),
        ("a member twice", EC.replace(r#""kty":"EC""#, r#""kty":"EC","kty":"EC""#)),
        ("another kind", EC.replace("P-256", "P-521")),
        ("halves of two keys", swap(EC, "d", ED)),
        ("halves of two keys", swap(ED, "d", EC)),
        ("an RSA key with another exponent", other_rsa_e),
        ("an RSA key without its primes", RSA.replace(r#""p":"#, r#""pp":"#)),
        ("another algorithm", EC.replace("ES256", "RS256")),
        ("a key to encrypt with", RSA.replace(r#""use":"sig""#, r#""use":"enc""#)),
        ("a short secret", r#"{"kty":"oct","k":"c2hvcnQ"}"#.to_owned()),
        ("a secret for another algorithm", OCT.replace("HS256", "HS512")),
        ("a name that is empty", EC.replace("project-ec", "")),
    ] {
        let error = parse(&text).expect_err(what);
        assert_eq!(error.code(), Code::Configuration, "{what}");
        let d = part_of(EC, "d");
        assert!(!format!("{error:?}").contains(&d), "{what}: the error repeats the key");
        println!("{what}: {error}");
    }
    assert!(SigningKey::from_jwk(&public(EC).as_str().into()).is_err(), "a public key does not sign");
    let shown = format!("{:?}", SigningKey::from_jwk(&EC.into()).unwrap());
    assert!(!shown.contains(&part_of(EC, "d")), "{shown}");
}

fn part_of(jwk: &str, member: &str) -> String {
    serde_json::from_str::<Value>(jwk).unwrap()[member].as_str().unwrap().to_owned()
}

/// attack J09: a JWT of the project's secret names an application, if it names nobody else.
#[tokio::test]
async fn a_project_s_own_jwt_names_an_application() {
    let fixture = Fixture::with(project_of(&format!("[{EC},{}]", only_verifies(OCT)))).await;
    let (anon, service) = (legacy("anon"), legacy("service_role"));
    // As the official client sends them: in both headers.
    let both = |key: &str| [("apikey".to_owned(), key.to_owned()), ("authorization".to_owned(), bearer(key))];
    let headers = |key: &[(String, String); 2]| [key[0].clone(), key[1].clone()];
    let anon_headers = headers(&both(&anon));
    let anon_headers: Vec<(&str, &str)> =
        anon_headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let service_headers = headers(&both(&service));
    let service_headers: Vec<(&str, &str)> =
        service_headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let person = json!({"email": "ann@example.com", "password": PASSWORD});
    let session = ask(&fixture, "POST", "/signup", &anon_headers, person).await;
    assert_eq!(session.status, 200, "{}", session.text);
    assert_eq!(ask(&fixture, "GET", "/user", &anon_headers, Value::Null).await.code(), "no_authorization");
    let with_user = [("apikey", anon.as_str()), ("authorization", &bearer(&session.access()))];
    assert_eq!(ask(&fixture, "GET", "/user", &with_user, Value::Null).await.status, 200);
    assert_eq!(enters(&fixture, &anon_headers).await, Ok(Role::Anon));
    assert_eq!(enters(&fixture, &with_user).await, Ok(Role::Authenticated));
    assert_eq!(enters(&fixture, &service_headers).await, Ok(Role::Service));
    let listed = ask(&fixture, "GET", "/admin/users", &service_headers, Value::Null).await;
    assert_eq!(listed.json["users"].as_array().unwrap().len(), 1);
    assert_eq!(ask(&fixture, "GET", "/admin/users", &anon_headers, Value::Null).await.code(), "not_admin");
    let used: Vec<_> =
        fixture.audit().await.into_iter().filter(|row| row.action == "unguarded_access").collect();
    assert_eq!(used.len(), 1, "once a minute");
    assert!(!used[0].payload.to_string().contains("eyJ"));
    refused_jwts(&fixture).await;
}

async fn refused_jwts(fixture: &Fixture) {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let exp = 1_983_812_996;
    let signed = |claims: Value| hs256(&header, &claims, SECRET.as_bytes());
    let service = legacy("service_role");
    let (_, rest) = service.split_once('.').unwrap();
    let (body, _) = rest.split_once('.').unwrap();
    let sub = "7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11";
    let claims = json!({ "role": "service_role", "exp": exp });
    let cases = [
        ("a person's", signed(json!({ "role": "service_role", "exp": exp, "sub": sub }))),
        ("nobody's, said so", signed(json!({ "role": "service_role", "exp": exp, "sub": null }))),
        ("a session's", signed(json!({ "role": "service_role", "exp": exp, "session_id": sub }))),
        ("another role", signed(json!({ "role": "supabase_admin", "exp": exp }))),
        ("the users' role", signed(json!({ "role": "authenticated", "exp": exp }))),
        ("no role", signed(json!({ "exp": exp }))),
        ("for ever", signed(json!({ "role": "service_role" }))),
        ("a fraction", signed(json!({ "role": "service_role", "exp": 1_983_812_996.5 }))),
        ("over", signed(json!({ "role": "service_role", "exp": 1_799_999_999 }))),
        ("of tomorrow", signed(json!({ "role": "service_role", "exp": exp, "iat": 1_800_100_000 }))),
        ("another secret", hs256(&header, &claims, b"another secret of thirty-two bytes.")),
        ("the secret in base64", hs256(&header, &claims, encode(SECRET).as_bytes())),
        ("no algorithm", format!("{}.{body}.", encode(r#"{"alg":"none","typ":"JWT"}"#))),
        ("another algorithm", hs256(&json!({ "alg": "ES256", "typ": "JWT" }), &claims, SECRET.as_bytes())),
        (
            "another key's name",
            hs256(&json!({ "alg": "HS256", "kid": "project-ec", "typ": "JWT" }), &claims, SECRET.as_bytes()),
        ),
        (
            "an unknown name",
            hs256(&json!({ "alg": "HS256", "kid": "x", "typ": "JWT" }), &claims, SECRET.as_bytes()),
        ),
        (
            "a key brought along",
            hs256(&json!({ "alg": "HS256", "typ": "JWT", "jwk": {} }), &claims, SECRET.as_bytes()),
        ),
        ("a public key as secret", hs256(&header, &claims, public(EC).as_bytes())),
        ("cut", service[..service.len() - 2].to_owned()),
        ("four parts", format!("{service}.x")),
        ("garbage", "eyJ.eyJ.x".to_owned()),
    ];
    for (what, token) in &cases {
        let apikey = enters(fixture, &[("apikey", token)]).await;
        assert_eq!(apikey, Err((401, Code::NoAuthorization)), "{what}, in apikey");
        let as_bearer = enters(fixture, &[("authorization", &bearer(token))]).await;
        assert_eq!(as_bearer, Err((401, Code::BadJwt)), "{what}, as bearer");
        let admin =
            ask(fixture, "GET", "/admin/users", &[("authorization", &bearer(token))], Value::Null).await;
        assert_eq!(admin.status, 403, "{what}: {}", admin.text);
    }
    println!("{} JWTs that are no keys", cases.len());
}

/// attack J09: a key whose users are let in names no application, one of the project's does.
#[tokio::test]
async fn only_the_project_s_own_keys_name_applications() {
    let claims = json!({ "role": "service_role", "exp": 1_983_812_996 });
    let token = es256(&json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" }), &claims);
    let with = |ours: bool| -> Given {
        Box::new(move |options: TokenOptions| {
            let own = SigningKey::from_jwk(&ED.into()).unwrap();
            let verify = match ours {
                true => ProjectKeys::parse(&public(EC).as_str().into()).unwrap().into_parts().1,
                false => vec![VerifyKey::from_jwk(&public(EC)).unwrap()],
            };
            TokenKeys::with_signing_key(own, verify, options).unwrap()
        })
    };
    let foreign = Fixture::with(Options { given: Some(with(false)), ..project_of(ED) }).await;
    // Without keys `apikey` means nothing, and a service_role that a stranger signed opens nothing.
    assert_eq!(enters(&foreign, &[("apikey", &token)]).await, Ok(Role::Anon));
    assert_eq!(enters(&foreign, &[("authorization", &bearer(&token))]).await, Err((401, Code::BadJwt)));
    let own = Fixture::with(Options { given: Some(with(true)), ..project_of(ED) }).await;
    assert_eq!(enters(&own, &[("apikey", &token)]).await, Ok(Role::Service));
    assert_eq!(enters(&own, &[("authorization", &bearer(&token))]).await, Ok(Role::Service));
}

fn secret(name: &str, scopes: &[ApiScope]) -> NewApiKey {
    NewApiKey { kind: ApiKeyKind::Secret, name: name.to_owned(), scopes: scopes.to_vec() }
}

fn publishable(name: &str) -> NewApiKey {
    NewApiKey { kind: ApiKeyKind::Publishable, name: name.to_owned(), scopes: Vec::new() }
}

/// asvs(V8.2.1): what a key may do is in its scopes, and a refusal leaves its record.
#[tokio::test]
async fn an_opaque_key_does_what_its_scopes_say() {
    let fixture = Fixture::new().await;
    let (info, everyone) = fixture.auth.create_api_key(publishable("web")).await.unwrap();
    assert!(everyone.expose().starts_with("sb_publishable_") && info.scopes.is_empty());
    let (_, admin) = fixture.auth.create_api_key(secret("admin", &[ApiScope::Auth])).await.unwrap();
    let (data_info, data) = fixture.auth.create_api_key(secret("jobs", &[ApiScope::Data])).await.unwrap();
    let (_, both) = fixture.auth.create_api_key(secret("all", &ApiScope::ALL)).await.unwrap();
    let created: Vec<_> =
        fixture.audit().await.into_iter().filter(|row| row.action == "api_key_created").collect();
    assert_eq!(created.len(), 4);
    assert_eq!(created[0].target, Some(info.id.to_string()));
    assert_eq!(
        (created[2].payload["scopes"].as_str(), created[2].payload["name"].as_str()),
        (Some("data"), Some("jobs"))
    );
    for key in [&everyone, &admin, &data, &both] {
        let text = key.expose();
        for headers in [
            vec![("apikey", text.to_owned())],
            vec![("authorization", bearer(text))],
            vec![("apikey", text.to_owned()), ("authorization", bearer(text))],
        ] {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let admin_status = ask(&fixture, "GET", "/admin/users", &headers, Value::Null).await;
            let entered = enters(&fixture, &headers).await;
            let expected = match text {
                _ if text == everyone.expose() => ((403, "not_admin"), Ok(Role::Anon)),
                _ if text == admin.expose() => ((200, ""), Err((403, Code::NotAdmin))),
                _ if text == data.expose() => ((403, "not_admin"), Ok(Role::Service)),
                _ => ((200, ""), Ok(Role::Service)),
            };
            assert_eq!(((admin_status.status.as_u16(), admin_status.code()), entered), expected);
            // It is no token of anybody's.
            let user = ask(&fixture, "GET", "/user", &headers, Value::Null).await;
            assert_eq!((user.status.as_u16(), user.code()), (401, "no_authorization"));
        }
    }
    let refused: Vec<_> =
        fixture.audit().await.into_iter().filter(|row| row.action == "api_key_refused").collect();
    assert_eq!(refused.len(), 2, "once per key, address and minute: {refused:?}");
    assert!(refused.iter().all(|row| row.payload["reason"] == "scope" && row.kind == "security"));
    assert!(refused.iter().any(|row| row.target == Some(data_info.id.to_string())));
    // The keys of the settings go on as they were.
    assert_eq!(enters(&fixture, &[("apikey", SERVICE_KEY)]).await, Ok(Role::Service));
    for (what, new) in [
        ("no scope", secret("x", &[])),
        ("a scope too many", NewApiKey { scopes: vec![ApiScope::Auth], ..publishable("x") }),
        ("no name", publishable("  ")),
        ("a line break", publishable("a\nb")),
        ("a long name", publishable(&"x".repeat(65))),
    ] {
        let error = fixture.auth.create_api_key(new).await.expect_err(what);
        assert_eq!(error.code(), Code::ValidationFailed, "{what}");
    }
}

/// A revoked key opens nothing, here at once and elsewhere within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_in_every_process_within_a_second() {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let here = Fixture::with(options).await;
    let there = Fixture::with(Options { path, start_key, ..Options::default() }).await;
    let unknown = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";
    assert_eq!(enters(&there, &[("apikey", unknown)]).await, Err((401, Code::NoAuthorization)));
    for new in [secret("jobs", &ApiScope::ALL), publishable("web")] {
        let role = if new.kind == ApiKeyKind::Secret { Role::Service } else { Role::Anon };
        let (info, key) = here.auth.create_api_key(new).await.unwrap();
        let began = Instant::now();
        while enters(&there, &[("apikey", key.expose())]).await != Ok(role) {
            assert!(began.elapsed() < Duration::from_secs(1), "never seen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{} key made here, taken there after {:?}", info.kind.as_str(), began.elapsed());
        here.auth.revoke_api_key(info.id).await.unwrap();
        here.auth.revoke_api_key(info.id).await.unwrap();
        assert_eq!(enters(&here, &[("apikey", key.expose())]).await, Err((401, Code::NoAuthorization)));
        let began = Instant::now();
        while enters(&there, &[("authorization", &bearer(key.expose()))]).await == Ok(role) {
            assert!(began.elapsed() < Duration::from_secs(1), "still taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("and refused there {:?} after it was revoked", began.elapsed());
        let reply = ask(&there, "POST", "/signup", &[("apikey", key.expose())], json!({})).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "no_authorization"), "on our own routes too");
    }
    let rows = here.audit().await;
    let of = |action: &str| rows.iter().filter(|row| row.action == action).count();
    assert_eq!((of("api_key_created"), of("api_key_revoked")), (2, 2));
    let refused: Vec<_> = rows.iter().filter(|row| row.action == "api_key_refused").collect();
    assert!(refused.iter().any(|row| row.payload["reason"] == "revoked"));
    // The publishable one is everybody's: whoever sends it on writes nothing.
    let listed = here.auth.api_keys().await.unwrap();
    let secret = listed.iter().find(|key| key.kind == ApiKeyKind::Secret).unwrap().id.to_string();
    let publishable = listed.iter().find(|key| key.kind == ApiKeyKind::Publishable).unwrap().id.to_string();
    let of_target = |id: &str| refused.iter().filter(|row| row.target.as_deref() == Some(id)).count();
    assert_eq!((of_target(&secret), of_target(&publishable)), (2, 0), "one per process");
    let missing = here.auth.revoke_api_key("7f3e2f4e-7b8e-4f52-9a59-0d6f6b6f2a11".parse().unwrap()).await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
}

/// A secret key in a browser is a secret no more: refused and recorded, those of the settings too.
#[tokio::test]
async fn a_secret_key_is_refused_from_a_browser() {
    let fixture = Fixture::new().await;
    let (_, made) = fixture.auth.create_api_key(secret("jobs", &ApiScope::ALL)).await.unwrap();
    let (_, everyone) = fixture.auth.create_api_key(publishable("web")).await.unwrap();
    let firefox = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0");
    for key in [made.expose(), SERVICE_KEY, "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"] {
        for sign in [firefox, ("sec-fetch-site", "same-origin")] {
            for header in [("apikey", key.to_owned()), ("authorization", bearer(key))] {
                let headers = [sign, (header.0, header.1.as_str())];
                assert_eq!(enters(&fixture, &headers).await, Err((401, Code::NoAuthorization)), "{key:.14}");
                let reply = ask(&fixture, "GET", "/admin/users", &headers, Value::Null).await;
                assert_eq!(reply.status, 401);
                assert_eq!(reply.json["message"], "Forbidden use of secret API key in browser");
            }
        }
    }
    assert_eq!(enters(&fixture, &[firefox, ("apikey", everyone.expose())]).await, Ok(Role::Anon));
    assert_eq!(
        enters(&fixture, &[("user-agent", "node"), ("apikey", made.expose())]).await,
        Ok(Role::Service)
    );
    let refused: Vec<_> =
        fixture.audit().await.into_iter().filter(|row| row.action == "api_key_refused").collect();
    assert_eq!(refused.len(), 2, "of the two that are known: {refused:?}");
    assert!(refused.iter().all(|row| row.payload["reason"] == "browser"));
}

/// When a key was last used is known to the hour, and costs one write in it.
#[tokio::test]
async fn the_last_use_is_noted_to_the_hour() {
    let fixture = Fixture::new().await;
    let (info, key) = fixture.auth.create_api_key(publishable("web")).await.unwrap();
    assert_eq!(info.last_used_at, None);
    let used = async || fixture.auth.api_keys().await.unwrap().remove(0).last_used_at;
    let first = fixture.now();
    for _ in 0..3 {
        enters(&fixture, &[("apikey", key.expose())]).await.unwrap();
        assert_eq!(used().await, Some(first));
        fixture.advance(600);
    }
    fixture.advance(1_800);
    enters(&fixture, &[("apikey", key.expose())]).await.unwrap();
    assert_eq!(used().await, Some(fixture.now()));
    let listed = fixture.auth.api_keys().await.unwrap();
    let hint = &listed[0].hint;
    assert!(hint.len() == 4 && key.expose()["sb_publishable_".len()..].starts_with(hint.as_str()));
}

/// attack R08: what the database knows of a key is no key.
#[tokio::test]
async fn a_copy_of_the_database_holds_no_key() {
    let fixture = Fixture::new().await;
    let mut keys = Vec::new();
    for new in [secret("jobs", &ApiScope::ALL), publishable("web")] {
        let (info, key) = fixture.auth.create_api_key(new).await.unwrap();
        enters(&fixture, &[("apikey", key.expose())]).await.unwrap();
        keys.push((info, key));
    }
    let copy = fixture.copy();
    let holds = |needle: &[u8]| copy.windows(needle.len()).any(|window| window == needle);
    assert!(holds(keys[0].0.id.to_string().as_bytes()), "the copy is one");
    for (info, key) in &keys {
        let text = key.expose();
        let random = &text[info.kind.prefix().len()..][..22];
        let hash = digest(&SHA256, text.as_bytes());
        let random = random.as_bytes();
        assert!(!holds(text.as_bytes()) && !holds(random) && !holds(&random[4..]));
        assert!(
            !holds(hash.as_ref()) && !holds(encode(hash.as_ref()).as_bytes()),
            "nor a hash without a key"
        );
    }
    // Every value of its row, as it stands and as bytes in hexadecimal, is tried as a key.
    let columns = if common::on_postgres() { "encode(hash, 'hex')" } else { "hex(hash)" };
    let rows = fixture
        .database
        .rows(&format!("SELECT id, kind, name, hint, {columns}, scopes FROM aurora_api_keys"))
        .await;
    let mut tried = 0;
    for value in rows.into_iter().flatten().flatten() {
        for prefix in ["", "sb_secret_", "sb_publishable_"] {
            let entered = enters(&fixture, &[("apikey", &format!("{prefix}{value}"))]).await;
            assert_eq!(entered, Err((401, Code::NoAuthorization)), "{value}");
            tried += 1;
        }
    }
    println!("{tried} values of the table, none is a key");
}

/// Without the database no opaque key opens anything, and with it nothing is lost; a settings' key needs none.
#[tokio::test]
async fn without_the_database_an_opaque_key_opens_nothing() {
    let fixture = Fixture::new().await;
    let (_, key) = fixture.auth.create_api_key(publishable("web")).await.unwrap();
    fixture.execute("ALTER TABLE aurora_api_keys RENAME TO gone").await;
    let refused = enters(&fixture, &[("apikey", key.expose())]).await;
    assert_eq!(refused, Err((503, Code::OverCapacity)));
    assert_eq!(enters(&fixture, &[("apikey", common::ANON_KEY)]).await, Ok(Role::Anon));
    if !common::on_postgres() {
        fixture.execute("ALTER TABLE gone RENAME TO aurora_api_keys").await;
        assert_eq!(enters(&fixture, &[("apikey", key.expose())]).await, Ok(Role::Anon));
    }
}

/// In a project the API has an address of its own: tokens and links name it, and links lead back to the site.
#[tokio::test]
async fn the_api_has_an_address_of_its_own() {
    let mut options = Options::default();
    options.settings.site_url = "http://localhost:3000".to_owned();
    options.settings.api_url = Some("http://127.0.0.1:54321".to_owned());
    options.settings.cors_origins.clear();
    let fixture = Fixture::with(options).await;
    let session = fixture.sign_up("ann@example.com").await;
    assert_eq!(part(&session.access(), 1)["iss"], "http://127.0.0.1:54321/auth/v1");
    fixture.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await;
    fixture.send_mails().await;
    let mail = fixture.mailbox.mails().into_iter().find(|mail| mail.link.is_some()).unwrap();
    let link = mail.link.unwrap();
    assert!(link.starts_with("http://127.0.0.1:54321/auth/v1/verify?"), "{link}");
    assert!(link.contains("redirect_to=http%3A%2F%2Flocalhost%3A3000"), "{link}");
    assert!(mail.text.contains("http://localhost:3000"), "the mail speaks of the site");
    // A page of the site may call the API and read the answer; a page of the API may post to it; nobody else.
    for (origin, allowed, readable) in [
        ("http://localhost:3000", true, true),
        ("http://127.0.0.1:54321", true, false),
        ("http://localhost:3001", false, false),
        ("https://evil.test", false, false),
    ] {
        let headers = [("origin", origin), ("apikey", common::ANON_KEY), ("host", "127.0.0.1:54321")];
        let body = json!({ "email": "nobody@example.com", "password": "wrong wrong wrong" });
        let reply = ask(&fixture, "POST", "/token?grant_type=password", &headers, body).await;
        assert_eq!(reply.status == 400, allowed, "{origin}: {}", reply.text);
        let shown = reply.headers.get("access-control-allow-origin").is_some_and(|it| it == origin);
        assert_eq!(shown, readable, "{origin}");
    }
}
