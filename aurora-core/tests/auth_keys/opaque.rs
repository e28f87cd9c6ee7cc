//! Opaque keys of ours.

use std::time::{Duration, Instant};

use aurora_core::auth::NewApiKey;
use aurora_core::session::{ApiKeyKind, ApiScope};
use aurora_core::types::{Code, Role};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::common::{Fixture, Options, SERVICE_KEY};
use crate::project::{encode, part};
use crate::{ask, bearer, common, enters, secret};

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
