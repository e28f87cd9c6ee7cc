//! A dump of the database opens no door: every value of every table, and every text in the bytes of file, WAL and
//! shm, is tried as each kind of credential; nothing in it mints one or falls to a dictionary without the key file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail; clippy exempts the test functions, not what they call"
)]

mod bytes;
#[path = "../faults/mod.rs"]
mod faults;

use std::collections::BTreeSet;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use aurora_core::auth::{NewUser, UserChange};
use aurora_core::crypto::{
    Context, DatabaseKeys, KeyFile, KeyFileProvider, KeyProvider, Keyring, Purpose, SecretBytes,
};
use aurora_core::env::{Entropy, SystemClock, SystemEntropy};
use aurora_core::http::Peer;
use aurora_core::store::{Database as _, SqliteDatabase};
use aurora_core::types::{BoxFuture, Code, FamilyId, Result, Timestamp};
use aurora_core::{Aurora, Builder};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::{hex, parts, spellings};
use faults::{Answer, Place, client, plain, refresh, secret, sign_in, sign_up};
use jsonwebtoken::{Algorithm as Jws, EncodingKey, Header};
use serde_json::{Value, json};
use sqlx::Row as _;

const SERVICE_KEY: &str = "sb_secret_9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3y";
const ANON_KEY: &str = "sb_publishable_Xw0nB4mLk7sJd1hGf5aPz8oIu3y2";
const IMPORTED: &str = "imported password one";
const SLEEPING: &str = "imported password two";

fn service(place: &Place) -> Builder {
    place.builder().configure(|settings| {
        settings.api_keys.service.push(SERVICE_KEY.into());
        settings.api_keys.anon.push(ANON_KEY.into());
        settings.tokens.reuse_grace = std::time::Duration::ZERO;
    })
}

/// What opens doors right now, as its holders have it.
#[derive(Default)]
struct Live {
    passwords: Vec<(String, String)>,
    access: Vec<String>,
    refresh: Vec<String>,
    /// Every refresh token ever given, the used ones too.
    chains: Vec<Vec<String>>,
}

impl Live {
    fn take(&mut self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{answer:?}");
        self.access.push(answer.text("access_token"));
    }
}

/// Sign-ups, sign-ins, refreshes, imports, a ban, a sign-out, wrong passwords, a change of password.
async fn live(aurora: &Aurora) -> Live {
    let mut live = Live::default();
    for number in 0..5 {
        let email = format!("user{number}@example.test");
        let first = sign_up(aurora, &email).await;
        live.take(&first);
        let signed_in = sign_in(aurora, &email, faults::PASSWORD).await;
        live.take(&signed_in);
        let mut chain = vec![signed_in.text("refresh_token")];
        for _ in 0..3 {
            let next = refresh(aurora, chain.last().unwrap()).await;
            live.take(&next);
            chain.push(next.text("refresh_token"));
        }
        live.refresh.push(chain.last().unwrap().clone());
        live.refresh.push(first.text("refresh_token"));
        live.chains.push(chain);
        live.passwords.push((email.clone(), faults::PASSWORD.to_owned()));
        assert_eq!(sign_in(aurora, &email, "not the password").await.status, 400);
    }
    let user = aurora.auth().sessions().admit(&live.access[0]).await.unwrap();
    let change = UserChange { password: Some(secret("changed password 7")), ..UserChange::default() };
    aurora.auth().update_user(&user, change, &client()).await.unwrap();
    live.passwords[0].1 = "changed password 7".to_owned();
    // The change ended this session.
    live.refresh.remove(0);
    live.chains.remove(0);
    for (email, password) in [("old@example.test", IMPORTED), ("sleeping@example.test", SLEEPING)] {
        let new = NewUser {
            email: email.parse().unwrap(),
            password_hash: Some(bcrypt::hash(password, 4).unwrap()),
            confirmed: true,
            user_metadata: None,
            app_metadata: None,
        };
        aurora.auth().create_user(new).await.unwrap();
        live.passwords.push((email.to_owned(), password.to_owned()));
    }
    live.take(&sign_in(aurora, "old@example.test", IMPORTED).await);
    let gone = sign_up(aurora, "banned@example.test").await;
    let user = aurora.auth().sessions().admit(&gone.text("access_token")).await.unwrap().user_id().unwrap();
    aurora.auth().ban(user, Timestamp::from_seconds(9_000_000_000)).await.unwrap();
    let mut alive = Vec::new();
    for token in live.access.drain(..) {
        if faults::admits(aurora, &token).await {
            alive.push(token);
        }
    }
    live.access = alive;
    live
}

/// The bytes of every value of every table.
async fn values(place: &Place, folder: &std::path::Path) -> BTreeSet<Vec<u8>> {
    let mut connection = plain(&folder.join("app.db")).await;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(tables.len() > 8, "{tables:?} of {}", place.folder().display());
    let mut found = BTreeSet::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_xinfo($1)")
            .bind(&table)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let list: Vec<String> = columns.iter().map(|column| format!("CAST(\"{column}\" AS BLOB)")).collect();
        let sql = format!("SELECT {} FROM \"{table}\"", list.join(", "));
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap() {
            for column in 0..columns.len() {
                found.extend(row.get::<Option<Vec<u8>>, _>(column).filter(|bytes| !bytes.is_empty()));
            }
        }
    }
    found
}

/// Tries a text as access token, key, refresh token and session id. `true` if any door opened or moved.
async fn opens(aurora: &Aurora, text: &str) -> bool {
    let peer = Peer::from(std::net::IpAddr::from([127, 0, 0, 1]));
    for (name, value) in [("authorization", format!("Bearer {text}")), ("apikey", text.to_owned())] {
        let Ok(value) = http::HeaderValue::from_str(&value) else { continue };
        let head =
            http::Request::builder().uri("/notes").header(name, value).body(()).unwrap().into_parts().0;
        if let Ok(admitted) = aurora.http().admit(&head, peer).await {
            let anyone = admitted.principal().role() == aurora_core::types::Role::Anon;
            if !anyone || name == "apikey" {
                return true;
            }
        }
    }
    match aurora.auth().refresh(&secret(text), &client()).await {
        Ok(_) => return true,
        Err(error) if error.code() == Code::RefreshTokenNotFound => {}
        Err(_) => return true,
    }
    if let Ok(session) = text.parse::<aurora_core::types::SessionId>() {
        let path = format!("/sessions/{session}");
        let answer = faults::call(aurora, "DELETE", &path, None, Value::Null).await;
        let user = faults::call(aurora, "GET", "/user", Some(text), Value::Null).await;
        return answer.status != 401 || ![401, 403].contains(&user.status);
    }
    false
}

/// attack R08
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_opens_no_door() {
    let place = Place::new("dump");
    let aurora = service(&place).build().await.unwrap();
    let live = live(&aurora).await;
    // As a thief copies it, while the service runs: file, WAL and shm.
    let stolen = place.path("stolen");
    std::fs::create_dir_all(&stolen).unwrap();
    let mut raw = Vec::new();
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        raw.push((name, std::fs::read(place.path(name)).unwrap()));
        std::fs::copy(place.path(name), stolen.join(name)).unwrap();
    }
    let values = values(&place, &stolen).await;

    let mut candidates: BTreeSet<String> = BTreeSet::new();
    let pieces: BTreeSet<Vec<u8>> =
        values.iter().flat_map(|value| parts(value)).chain(values.iter().cloned()).collect();
    for piece in &pieces {
        let decoded = [STANDARD_NO_PAD.decode(piece).ok(), URL_SAFE_NO_PAD.decode(piece).ok()];
        for bytes in decoded.into_iter().flatten().chain([piece.clone()]) {
            candidates.extend(spellings(&bytes));
        }
    }
    let of_tables = candidates.len();
    for (_, bytes) in &raw {
        for part in parts(bytes) {
            candidates.extend(String::from_utf8(part));
        }
    }
    let with_prefixes: Vec<String> = candidates
        .iter()
        .flat_map(|text| ["art_", "sb_secret_", "sb_publishable_"].map(|prefix| format!("{prefix}{text}")))
        .filter(|text| text.len() <= 80)
        .collect();
    candidates.extend(with_prefixes);
    let total = candidates.len();
    let texts: Vec<String> = candidates.into_iter().collect();
    let mut running = Vec::new();
    for chunk in texts.chunks(total.div_ceil(4)) {
        let (aurora, chunk) = (aurora.clone(), chunk.to_vec());
        running.push(tokio::spawn(async move {
            for text in chunk {
                assert!(!opens(&aurora, &text).await, "a value of the dump opens a door: {text}");
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    let guessed = as_passwords(&aurora, &values).await;
    let searched = search(&raw, &live, &place);
    println!(
        "{} values of tables, {of_tables} spellings of them, {total} candidates with the raw texts: each tried as \
         access token, key, refresh token and session; {guessed} as passwords; {searched} spellings of live secrets \
         searched in {} bytes",
        values.len(),
        raw.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    );
    // The same trial lets the real ones in.
    for text in
        live.access.iter().chain([&live.refresh[0]]).map(String::as_str).chain([SERVICE_KEY, ANON_KEY])
    {
        assert!(opens(&aurora, text).await, "a live credential");
    }
    for (email, password) in &live.passwords {
        assert_eq!(sign_in(&aurora, email, password).await.status, 200, "{email}");
    }
}

/// Every value as the password of a user, raw and in hex.
async fn as_passwords(aurora: &Aurora, values: &BTreeSet<Vec<u8>>) -> usize {
    let mut guesses: BTreeSet<String> =
        values.iter().filter_map(|value| String::from_utf8(value.clone()).ok()).collect();
    guesses.extend(values.iter().filter(|value| value.len() >= 16).map(|value| hex(value)));
    guesses.retain(|guess| guess.len() <= 200 && guess.len() >= 8);
    let guesses: Vec<String> = guesses.into_iter().collect();
    let mut running = Vec::new();
    for chunk in guesses.chunks(guesses.len().div_ceil(4)) {
        let (aurora, chunk) = (aurora.clone(), chunk.to_vec());
        running.push(tokio::spawn(async move {
            for guess in chunk {
                let answer = sign_in(&aurora, "user1@example.test", &guess).await;
                assert_eq!((answer.status, answer.code()), (400, "invalid_credentials"), "{guess}");
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    guesses.len()
}

/// The other way round: no live secret stands in the bytes, in any spelling. Stronger than trying every window.
fn search(raw: &[(&str, Vec<u8>)], live: &Live, place: &Place) -> usize {
    let key = std::fs::read_to_string(place.key()).unwrap();
    let root = URL_SAFE_NO_PAD.decode(key.trim().split(':').nth(1).unwrap()).unwrap();
    let mut secrets: Vec<Vec<u8>> = vec![root, key.trim().into(), SERVICE_KEY.into(), ANON_KEY.into()];
    secrets.extend(live.passwords.iter().map(|(_, password)| password.clone().into_bytes()));
    secrets.extend(live.access.iter().map(|token| token.clone().into_bytes()));
    for token in live.refresh.iter().chain(live.chains.iter().flatten()) {
        secrets.push(URL_SAFE_NO_PAD.decode(&token[4..]).unwrap());
        secrets.push(token.clone().into_bytes());
    }
    let mut needles: BTreeSet<Vec<u8>> = BTreeSet::new();
    for secret in &secrets {
        needles.insert(secret.clone());
        needles.extend(spellings(secret).into_iter().map(String::into_bytes));
        needles.insert(secret.iter().rev().copied().collect());
    }
    for (name, bytes) in raw {
        for needle in &needles {
            let first = needle[0];
            let mut at = 0;
            while let Some(found) = bytes[at..].iter().position(|byte| *byte == first) {
                at += found;
                assert!(!bytes[at..].starts_with(needle), "a live secret stands in {name}: {}", hex(needle));
                at += 1;
            }
        }
    }
    let address = b"user1@example.test";
    assert!(
        raw.iter().any(|(_, bytes)| bytes.windows(address.len()).any(|window| window == address)),
        "the search sees"
    );
    needles.len()
}

/// Gives the same guess for every data key: what a thief can make of a value in the dump.
#[derive(Debug)]
struct Guess {
    root: String,
    key: [u8; 32],
}

impl KeyProvider for Guess {
    fn current_id(&self) -> String {
        self.root.clone()
    }

    fn wrap<'a>(&'a self, _: &'a [u8; 32], _: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn unwrap<'a>(&'a self, _: &'a str, _: &'a [u8], _: &'a [u8]) -> BoxFuture<'a, Result<SecretBytes>> {
        Box::pin(async { Ok(SecretBytes::new(self.key.to_vec())) })
    }
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// A stored value as a key: itself, its beginning, or its hash.
fn keys_of(value: &[u8]) -> Vec<[u8; 32]> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, value);
    let mut keys: Vec<[u8; 32]> = vec![digest.as_ref().try_into().unwrap()];
    keys.extend(value.first_chunk::<32>());
    keys.extend(value.last_chunk::<32>());
    keys
}

/// attack R08
#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_dump_mints_a_token_or_opens_a_sealed_value() {
    let place = Place::new("dump-mint");
    let aurora = service(&place).build().await.unwrap();
    let live = live(&aurora).await;
    let values = values(&place, place.folder()).await;
    let database = SqliteDatabase::open(place.database().to_str().unwrap(), &SystemClock).await.unwrap();
    let mut reader = database.read().await.unwrap();
    let root = {
        let wrapped = reader.keys_of("").await.unwrap().remove(0).wrapped;
        String::from_utf8(wrapped[1..=usize::from(wrapped[0])].to_vec()).unwrap()
    };
    let signing = reader.signing_keys().await.unwrap().remove(0);
    drop(reader);
    let keys = Arc::new(DatabaseKeys::new(Arc::new(database.clone())));
    let provider = KeyFileProvider::open(&place.key(), entropy()).unwrap();
    let real =
        Keyring::open(Arc::new(provider), keys.clone(), Arc::new(SystemClock), entropy()).await.unwrap();

    let mut connection = place.plain().await;
    let hashes: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT hash FROM auth_refresh_tokens").fetch_all(&mut connection).await.unwrap();
    let families: Vec<String> =
        sqlx::query_scalar("SELECT family FROM auth_sessions").fetch_all(&mut connection).await.unwrap();
    let families: Vec<FamilyId> = families.iter().map(|family| family.parse().unwrap()).collect();
    let minted = |ring: &Keyring, from: &[u8]| -> Vec<[u8; 32]> {
        let label = "refresh token successor";
        families.iter().map(|family| ring.mac(Purpose::Session, label, &[family.as_bytes(), from])).collect()
    };
    let secrets: BTreeSet<Vec<u8>> = live
        .refresh
        .iter()
        .chain(live.chains.iter().flatten())
        .map(|token| URL_SAFE_NO_PAD.decode(&token[4..]).unwrap())
        .collect();
    // With the key file all of this works: so these are the right derivations to try.
    for chain in &live.chains {
        let bytes = |at: usize| URL_SAFE_NO_PAD.decode(&chain[at][4..]).unwrap();
        assert!(minted(&real, &bytes(0)).iter().any(|next| next[..] == bytes(1)), "the derivation is known");
        assert!(hashes.contains(&real.mac(Purpose::Session, "refresh token hash", &[&bytes(3)]).to_vec()));
    }
    let (column, row) = (signing.algorithm.as_str(), signing.kid.as_bytes());
    let context = Context::Own { purpose: Purpose::Signing, table: "signing key", column, row };
    let private = real.unseal(&context, &signing.sealed).expect("opens with the key file");
    for name in ["app.db", "app.db-wal"] {
        let bytes = std::fs::read(place.path(name)).unwrap();
        // PKCS#8: the private scalar stands at 36..68.
        let scalar = &private.expose()[36..68];
        assert!(!bytes.windows(32).any(|window| window == scalar), "the private key stands in {name}");
    }

    let (mut rings, mut derived, mut forged) = (0, 0, 0);
    let candidates: BTreeSet<[u8; 32]> = values.iter().flat_map(|value| keys_of(value)).collect();
    for key in &candidates {
        let guess = Guess { root: root.clone(), key: *key };
        let ring =
            Keyring::open(Arc::new(guess), keys.clone(), Arc::new(SystemClock), entropy()).await.unwrap();
        rings += 1;
        assert!(ring.unseal(&context, &signing.sealed).is_err(), "a value of the dump unseals");
        for from in &hashes {
            for next in minted(&ring, from) {
                derived += 1;
                assert!(!secrets.contains(&next[..]), "a value of the dump derives a live token");
            }
        }
    }
    // Access tokens signed with whatever stands there, under our key's name.
    let payload: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(live.access[1].split('.').nth(1).unwrap()).unwrap())
            .unwrap();
    for value in values.iter().map(Vec::as_slice).chain(candidates.iter().map(<[u8; 32]>::as_slice)) {
        for algorithm in [Jws::HS256, Jws::HS384] {
            let header = Header { kid: Some(signing.kid.clone()), ..Header::new(algorithm) };
            let token = jsonwebtoken::encode(&header, &payload, &EncodingKey::from_secret(value)).unwrap();
            assert!(!faults::admits(&aurora, &token).await, "signed with a value of the dump");
            forged += 1;
        }
    }
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned =
        format!("{}.{}.", encode(json!({"alg": "none", "kid": signing.kid, "typ": "JWT"})), encode(payload));
    assert!(!faults::admits(&aurora, &unsigned).await);
    println!(
        "{rings} key rings from values of the dump: none unseals; {derived} successors, {forged} signatures: none works"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn password_hashes_do_not_fall_to_a_dictionary() {
    let place = Place::new("dump-dictionary");
    let aurora = service(&place).build().await.unwrap();
    let live = live(&aurora).await;
    let mut connection = place.plain().await;
    let stored: Vec<(String, String)> =
        sqlx::query_as("SELECT email, password FROM auth_users WHERE password IS NOT NULL ORDER BY email")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let blobs: Vec<Vec<u8>> =
        values(&place, place.folder()).await.into_iter().filter(|value| value.len() == 32).take(40).collect();
    let database = SqliteDatabase::open(place.database().to_str().unwrap(), &SystemClock).await.unwrap();
    let provider = KeyFileProvider::open(&place.key(), entropy()).unwrap();
    let keys = Arc::new(DatabaseKeys::new(Arc::new(database)));
    let real =
        Keyring::open(Arc::new(provider), keys.clone(), Arc::new(SystemClock), entropy()).await.unwrap();
    let pepper = real.mac(Purpose::Password, "argon2 secret", &[]);
    let (mut tried, mut keyed) = (0, 0);
    for (email, password) in &live.passwords {
        let (_, hash) = stored.iter().find(|(owner, _)| owner == email).unwrap();
        assert!(!hash.starts_with("$2"), "{email}: an imported hash lies there for any dictionary: {hash}");
        if !hash.starts_with("$argon2id$") {
            continue;
        }
        keyed += 1;
        assert!(argon2_matches(hash, password, &pepper), "with the key file the dictionary finds {email}");
        assert!(!argon2_matches(hash, password, b""), "{email} falls without the key file");
        let secrets = if keyed == 1 { &blobs[..] } else { &[] };
        for secret in secrets {
            assert!(!argon2_matches(hash, password, secret), "{email} falls with a value of the dump");
        }
        tried += 1 + secrets.len();
    }
    for name in ["app.db", "app.db-wal"] {
        let bytes = std::fs::read(place.path(name)).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"$2b$04$"), "an imported hash stands in {name}");
    }
    println!(
        "{keyed} Argon2id hashes, the right password, {tried} secrets: none matches without the key file"
    );
}

fn argon2_matches(hash: &str, password: &str, secret: &[u8]) -> bool {
    let parts: Vec<&str> = hash.split('$').collect();
    let number = |name: &str| -> u32 {
        let found = parts[3].split(',').find_map(|part| part.strip_prefix(name));
        found.unwrap().parse().unwrap()
    };
    let (salt, wanted) =
        (STANDARD_NO_PAD.decode(parts[4]).unwrap(), STANDARD_NO_PAD.decode(parts[5]).unwrap());
    let params = Params::new(number("m="), number("t="), number("p="), Some(wanted.len())).unwrap();
    let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut out = vec![0; wanted.len()];
    argon2.hash_password_into(password.as_bytes(), &salt, &mut out).unwrap();
    out == wanted
}

/// attack C07
#[tokio::test]
async fn a_stolen_database_does_not_start_under_another_key() {
    let (place, thief) = (Place::new("dump-key"), Place::new("dump-thief"));
    service(&place).build().await.unwrap().close().await;
    std::fs::copy(place.database(), thief.database()).unwrap();
    KeyFile::create_new(&thief.key(), &SystemEntropy).unwrap();
    let error = service(&thief).build().await.unwrap_err();
    println!("{error}");
    assert_eq!(error.code(), Code::Configuration);
    assert!(error.to_string().starts_with("the database's keys belong to root key `"), "{error}");
    std::fs::remove_file(thief.key()).unwrap();
    assert!(service(&thief).build().await.is_err(), "nor is a new one made for it");
}
