//! Keys and tokens that a project brings.

use aurora_core::session::token::{ProjectKeys, SigningKey, TokenKeys, TokenOptions, VerifyKey};
use aurora_core::types::{Code, Role};
use serde_json::{Value, json};

use crate::common::{Fixture, Given, Options, PASSWORD};
use crate::project::{EC, ED, OCT, RSA, SECRET, encode, es256, hs256, legacy, part};
use crate::{ask, bearer, enters, project_of};

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
