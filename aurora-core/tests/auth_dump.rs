//! A copy of the database opens no door: every value of every table and every text of the journal is tried as each
//! kind of credential (promise 3).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;
#[path = "common/dump.rs"]
mod dump;
#[path = "common/totp.rs"]
mod totp;

use std::collections::BTreeSet;
use std::time::Duration;

use aurora_core::load::Quota;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::{Fixture, Options, PASSWORD};
use dump::values;
use http::Request;
use serde_json::json;

/// The readable texts of a file, as `strings` finds them.
fn texts(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let runs = bytes.split(|byte| !byte.is_ascii_graphic());
    runs.filter(|run| (16..4_096).contains(&run.len())).map(<[u8]>::to_vec).collect()
}

fn spellings(value: &[u8]) -> Vec<String> {
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![hex, STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value)];
    all.extend(String::from_utf8(value.to_vec()));
    all
}

async fn is_a_credential(fixture: &Fixture, text: &str) -> Option<&'static str> {
    for token in [text.to_owned(), format!("art_{text}")] {
        if fixture.refresh(&token).await.status == 200 {
            return Some("refresh token");
        }
    }
    let peer = aurora_core::http::Peer::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
    for (name, value) in [("authorization", format!("Bearer {text}")), ("apikey", text.to_owned())] {
        let Ok(value) = http::HeaderValue::from_str(&value) else { continue };
        let (head, ()) = Request::get("/").header(name, value).body(()).unwrap().into_parts();
        if fixture.http.admit(&head, peer).await.is_ok() {
            return Some("token or key");
        }
    }
    None
}

/// attack R08
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_database_opens_no_door() {
    let mut options = Options::default();
    let roomy = Quota::new(1_000_000, Duration::from_secs(1));
    (options.limits.guesses, options.limits.refresh, options.limits.sign_in) = (roomy, roomy, roomy);
    (options.limits.request, options.limits.sign_up, options.limits.factor) = (roomy, roomy, roomy);
    let fixture = Fixture::with(options).await;
    let mut live = fixture.sign_up("ann@example.com").await;
    for _ in 0..3 {
        live = fixture.refresh(&live.refresh()).await;
    }
    fixture.sign_in("ann@example.com", "not the password").await;
    let factor = Factor::of(&fixture, "bob@example.com").await;

    // The search finds what is a credential, and there are values to search.
    assert_eq!(is_a_credential(&fixture, &live.refresh()).await, Some("refresh token"));
    assert_eq!(is_a_credential(&fixture, &live.access()).await, Some("token or key"));
    let mut all = values(&fixture).await;
    let in_tables = all.len();
    let file = fixture.copy();
    let said = String::from_utf8_lossy(&file);
    assert!(said.contains("ann@example.com") && said.len() > 20_000, "the copy is one");
    all.extend(texts(&file));
    println!("{in_tables} values in tables, {} with the texts of file and journal", all.len());
    assert!(all.contains(b"ann@example.com".as_slice()));
    for value in &all {
        for text in spellings(value) {
            let door = is_a_credential(&fixture, &text).await;
            assert_eq!(door, None, "{text:.80} is a door");
        }
    }
    opens_no_account(&fixture, &all, in_tables).await;
    mints_no_token(&fixture, &all, &live).await;
    factor.is_nowhere_in(&fixture, &all, in_tables).await;
}

/// Neither as a password, nor by a dictionary: with the hash and the right word, but without the key.
async fn opens_no_account(fixture: &Fixture, all: &BTreeSet<Vec<u8>>, in_tables: usize) {
    for value in all.iter().take(in_tables) {
        let Ok(text) = std::str::from_utf8(value) else { continue };
        if text.len() >= 8 {
            assert_eq!(fixture.sign_in("ann@example.com", text).await.status, 400, "{text:.80}");
        }
    }
    let stored = fixture.database.rows("SELECT password FROM auth_users").await.swap_remove(0).swap_remove(0);
    let stored = stored.unwrap();
    let parts: Vec<&str> = stored.split('$').collect();
    let (salt, hash) = (parts[parts.len() - 2], parts[parts.len() - 1]);
    let decode = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).unwrap();
    let params = argon2::Params::new(8_192, 5, 1, Some(32)).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut guessed = [0; 32];
    argon.hash_password_into(PASSWORD.as_bytes(), &decode(salt), &mut guessed).unwrap();
    assert_ne!(decode(hash), guessed, "a dictionary needs the key");
}

/// No value is a key: not of an access token, not of the hashes and successors of refresh tokens.
async fn mints_no_token(fixture: &Fixture, all: &BTreeSet<Vec<u8>>, live: &common::Reply) {
    let access = live.access();
    let payload = access.split('.').nth(1).unwrap();
    let kid =
        fixture.call("GET", "/.well-known/jwks.json", None, json!(null)).await.json["keys"][0]["kid"].clone();
    let refresh = live.refresh();
    let raw = URL_SAFE_NO_PAD.decode(&refresh[4..]).unwrap();
    let plain = [digest::digest(&digest::SHA256, &raw), digest::digest(&digest::SHA256, refresh.as_bytes())];
    for hash in plain {
        assert!(!all.contains(hash.as_ref()), "a plain hash would tell a stolen token from a guess");
    }
    for key in all {
        let header = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string();
        let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(fixture.user(&forged).await.code(), "bad_jwt");
        let successor = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &raw);
        let guess = format!("art_{}", URL_SAFE_NO_PAD.encode(successor));
        assert_eq!(fixture.refresh(&guess).await.status, 400);
        assert!(!all.contains(successor.as_ref()), "a value is the key of another");
    }
}

/// A second factor that counts, with its recovery codes.
struct Factor {
    token: String,
    seed: String,
    codes: Vec<String>,
}

impl Factor {
    async fn of(fixture: &Fixture, email: &str) -> Self {
        let token = fixture.sign_up(email).await.access();
        let call =
            async |path: String, token: String, body| fixture.call("POST", &path, Some(&token), body).await;
        let enrolled =
            call("/factors".to_owned(), token.clone(), json!({ "factor_type": "totp" })).await.json;
        let (id, seed) = (enrolled["id"].as_str().unwrap(), enrolled["totp"]["secret"].as_str().unwrap());
        let asked = call(format!("/factors/{id}/challenge"), token.clone(), json!({})).await.json;
        let code = totp::code_at(seed, fixture.now().as_seconds());
        let answer = json!({ "challenge_id": asked["id"], "code": code });
        let token = call(format!("/factors/{id}/verify"), token, answer).await.access();
        let told = call("/factors/recovery-codes".to_owned(), token.clone(), json!({})).await.json;
        let codes = told["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
        Self { token, seed: seed.to_owned(), codes: codes.collect() }
    }

    /// No value holds the seed, makes its codes as a key, is a recovery code, or a hash of one that needs no key.
    async fn is_nowhere_in(&self, fixture: &Fixture, all: &BTreeSet<Vec<u8>>, in_tables: usize) {
        let seed = data_encoding::BASE32_NOPAD.decode(self.seed.as_bytes()).unwrap();
        let now = fixture.now().as_seconds();
        assert_eq!(totp::by_key(&seed, now), totp::code_at(&self.seed, now));
        let grouped = |code: &String| [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-");
        let mut secrets = vec![seed.clone(), self.seed.clone().into_bytes()];
        secrets.extend(self.codes.iter().map(|code| code.clone().into_bytes()));
        secrets.extend(self.codes.iter().map(|code| grouped(code).into_bytes()));
        let bytes = |code: &String| data_encoding::BASE32_NOPAD.decode(code.as_bytes()).unwrap();
        secrets.extend(self.codes.iter().map(bytes));
        let hashes: Vec<Vec<u8>> =
            secrets.iter().map(|secret| digest::digest(&digest::SHA256, secret).as_ref().to_vec()).collect();
        secrets.extend(hashes);
        for value in all {
            for secret in &secrets {
                let holds = value.windows(secret.len()).any(|part| part == secret);
                assert!(!holds, "{:.80?}", String::from_utf8_lossy(value));
            }
            if value.len() <= 64 {
                assert_ne!(totp::by_key(value, now), totp::by_key(&seed, now), "a value is the seed");
            }
        }
        let mut tried = 0;
        for value in all.iter().take(in_tables) {
            for text in spellings(value).into_iter().filter(|text| text.len() < 200) {
                let body = json!({ "code": text });
                let path = "/factors/recovery-codes/verify";
                let reply = fixture.call("POST", path, Some(&self.token), body).await;
                assert_ne!(reply.status, 200, "{text:.80}");
                tried += 1;
            }
        }
        let body = json!({ "code": self.codes[0] });
        let right = fixture.call("POST", "/factors/recovery-codes/verify", Some(&self.token), body).await;
        assert_eq!(right.status, 200, "{}", right.text);
        println!("{tried} spellings tried as recovery codes, {} secrets searched for", secrets.len());
    }
}

/// attack C07: the same file under another key is refused at start, not given new keys.
#[tokio::test]
async fn another_key_file_is_refused() {
    let first = Options::default();
    let path = first.path.clone();
    let fixture = Fixture::with(first).await;
    fixture.sign_up("ann@example.com").await;
    fixture.database.close().await;
    let refused = tokio::spawn(Fixture::with(Options { path, ..Options::default() })).await;
    assert!(refused.is_err());
}
