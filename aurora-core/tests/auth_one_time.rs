//! Links and codes of every kind: what a copy of the database gives for a code, and when they are over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;
#[path = "common/dump.rs"]
mod dump;

use std::collections::BTreeSet;

use aurora_core::mail::{Kind, Rendered};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use common::mailed::{by_code, by_link, by_service, confirmed, mail, options, post, token};
use common::{Fixture, Reply};
use dump::values;
use serde_json::{Value, json};

/// A mail of each kind that carries a code, with the `type` that its link and code are shown as.
struct Sent {
    kind: &'static str,
    to: &'static str,
    mail: Rendered,
}

/// Who reads the nonce, and changes an address.
struct Everyone {
    sent: Vec<Sent>,
    dan: Reply,
    fay: Reply,
}

/// Nobody's codes share an address, so that each is good.
async fn everyone(fixture: &Fixture) -> Everyone {
    fixture.sign_up("ann@example.com").await;
    by_service(fixture, "POST", "/invite", json!({ "email": "ben@example.com" })).await;
    for (email, path) in [("cyd@example.com", "/otp"), ("eve@example.com", "/recover")] {
        confirmed(fixture, email).await;
        assert_eq!(post(fixture, path, json!({ "email": email })).await.status, 200);
    }
    let dan = confirmed(fixture, "dan@example.com").await;
    let change = json!({ "email": "new@example.com" });
    assert_eq!(fixture.call("PUT", "/user", Some(&dan.access()), change).await.status, 200);
    let fay = confirmed(fixture, "fay@example.com").await;
    assert_eq!(fixture.call("GET", "/reauthenticate", Some(&fay.access()), Value::Null).await.status, 200);
    let mut sent = Vec::new();
    for (kind, of, to) in [
        ("signup", Kind::Confirmation, "ann@example.com"),
        ("invite", Kind::Invite, "ben@example.com"),
        ("magiclink", Kind::MagicLink, "cyd@example.com"),
        ("recovery", Kind::Recovery, "eve@example.com"),
        ("email_change", Kind::EmailChangeCurrent, "dan@example.com"),
        ("email_change", Kind::EmailChangeNew, "new@example.com"),
        ("", Kind::Reauthentication, "fay@example.com"),
    ] {
        sent.push(Sent { kind, to, mail: mail(fixture, of, to).await });
    }
    Everyone { sent, dan, fay }
}

/// A pending code as the table has it.
struct Stored {
    id: String,
    user: String,
    purpose: String,
    address: String,
    code: String,
}

async fn stored(fixture: &Fixture) -> Vec<Stored> {
    let rows = if common::on_postgres() {
        "SELECT id, user_id, purpose, address, encode(code_hash, 'hex') FROM auth.one_time_tokens"
    } else {
        "SELECT id, user_id, purpose, address, lower(hex(code_hash)) FROM auth_one_time_tokens"
    };
    let rows = fixture.database.rows(rows).await.into_iter();
    rows.map(|row| {
        let [id, user, purpose, address, code] = row.try_into().unwrap();
        let (id, user) = (id.unwrap(), user.unwrap());
        let (purpose, address) = (purpose.unwrap(), address.unwrap());
        Stored { id, user, purpose, address, code: code.unwrap() }
    })
    .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What may be hashed for a code: it alone, and beside what stands in its row, in every order and with every usual
/// joint.
fn messages(row: &Stored, code: &str) -> BTreeSet<Vec<u8>> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let (address, purpose, label) = (bytes(&row.address), bytes(&row.purpose), bytes("one-time code"));
    let ids = [bytes(&row.user), unhex(&row.user), bytes(&row.id), unhex(&row.id)];
    let mut lists: Vec<Vec<&[u8]>> = vec![Vec::new()];
    let all: Vec<&[u8]> = [&address, &purpose, &label].into_iter().chain(&ids).map(Vec::as_slice).collect();
    for one in &all {
        lists.push(vec![one]);
        lists.extend(all.iter().filter(|two| two != &one).map(|two| vec![*one, *two]));
    }
    let three = [address.as_slice(), &purpose, &label];
    for [one, two, three] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        .map(|order| order.map(|index| three[index]))
    {
        lists.push(vec![one, two, three]);
    }
    let mut found = BTreeSet::new();
    for list in &lists {
        for place in 0..=list.len() {
            let mut parts = list.clone();
            parts.insert(place, code.as_bytes());
            for joint in ["", ":", "|", "\0", " ", ".", "-", "/", "\n", ",", ";", "_", "$"] {
                found.insert(parts.join(joint.as_bytes()));
            }
            for width in [1, 2, 4, 8] {
                let counted = parts.iter().flat_map(|part| {
                    let length = (part.len() as u64).to_be_bytes();
                    [&length[8 - width..], part].concat()
                });
                found.insert(counted.collect());
            }
        }
    }
    found
}

/// Every value, and what it spells: whether one is a hash that needs no key, or begins as one does.
struct Search(BTreeSet<Vec<u8>>, u64);

impl Search {
    fn over(values: &BTreeSet<Vec<u8>>) -> Self {
        let mut all = values.clone();
        for value in values {
            let is_hex = value.len() % 2 == 0 && value.iter().all(u8::is_ascii_hexdigit);
            if let (true, Ok(text)) = (is_hex, std::str::from_utf8(value)) {
                all.insert(unhex(text));
            }
            for alphabet in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                all.extend(alphabet.decode(value));
            }
        }
        Self(all, 0)
    }

    fn holds(&mut self, form: &[u8]) -> bool {
        self.1 += 1;
        let cuts = [form.len(), 32, 28, 20, 16].into_iter().filter(|cut| *cut <= form.len());
        cuts.map(|cut| &form[..cut]).any(|form| self.0.contains(form))
    }

    fn finds(&mut self, message: &[u8]) -> bool {
        let digests = [
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            &digest::SHA224,
            &digest::SHA256,
            &digest::SHA384,
            &digest::SHA512,
            &digest::SHA512_256,
            &digest::SHA3_256,
        ];
        // Whole: an id alone is there, and is no code's.
        self.0.contains(message)
            || digests.into_iter().any(|kind| {
                let once = digest::digest(kind, message);
                self.holds(once.as_ref())
                    || self.holds(digest::digest(kind, once.as_ref()).as_ref())
                    || self.holds(digest::digest(kind, hex(once.as_ref()).as_bytes()).as_ref())
            })
    }
}

/// A million codes are tried in a second, if one can be tried without the root key. So the right one is: over every
/// form that needs no key, and with everything that the tables hold as the key.
///
/// attack E03
#[tokio::test]
async fn a_dump_gives_no_code_by_trying_a_million() {
    let fixture = Fixture::with(options()).await;
    let everyone = everyone(&fixture).await;
    let (rows, all) = (stored(&fixture).await, values(&fixture).await);
    let mut tried = 0;
    for Sent { to, mail, .. } in &everyone.sent {
        let code = mail.code.as_deref().unwrap();
        let own = |row: &&Stored| row.address == *to && row.purpose == mail.kind.to_string();
        let of = rows.iter().filter(own).collect::<Vec<_>>();
        assert_eq!(of.len(), 1, "{to}: one pending code");
        let row = of[0];
        assert!(all.contains(&unhex(&row.code)), "what is searched holds what is stored");
        let mut search = Search::over(&all);
        let messages = messages(row, code);
        for message in &messages {
            assert!(!search.finds(message), "{}: {:?}", row.purpose, String::from_utf8_lossy(message));
        }
        let plain: Vec<String> = [
            code.to_owned(),
            format!("{}{code}", row.address),
            format!("{}{code}", row.purpose),
            format!("{}{}{code}", row.address, row.purpose),
            format!("{}{}{code}", row.purpose, row.address),
        ]
        .into();
        for key in &all {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            for message in &plain {
                let tag = hmac::sign(&key, message.as_bytes());
                assert!(!search.holds(tag.as_ref()), "{}: {message}", row.purpose);
            }
        }
        tried += search.1;
    }
    assert_eq!(everyone.sent.len(), 7);
    println!("7 kinds of codes, {tried} forms of the right one, {} values", all.len());
    assert!(tried > 100_000);

    // The search finds what can be found: a hash of purpose, address and code without a key.
    let invited = &everyone.sent[1];
    let row = rows.iter().find(|row| row.address == invited.to).unwrap();
    let code = invited.mail.code.clone().unwrap();
    let weak = digest::digest(&digest::SHA256, format!("{}{}{code}", row.purpose, row.address).as_bytes());
    let (table, weak) = if common::on_postgres() {
        ("auth.one_time_tokens", format!("'\\x{}'", hex(weak.as_ref())))
    } else {
        ("auth_one_time_tokens", format!("x'{}'", hex(weak.as_ref())))
    };
    fixture.execute(&format!("UPDATE {table} SET code_hash = {weak} WHERE id = '{}'", row.id)).await;
    let all = values(&fixture).await;
    let mut search = Search::over(&all);
    let found = messages(row, &code).iter().any(|message| search.finds(message));
    assert!(found, "a code that is hashed without a key is found");
}

/// The same code to the same address at the same moment: alike under one root key, different under another.
///
/// attack E03
#[tokio::test]
async fn what_is_stored_of_a_code_depends_on_the_root_key() {
    let asked = async |fixture: &Fixture| {
        let reply = post(fixture, "/recover", json!({ "email": "ann@example.com" })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let mut rows = stored(fixture).await;
        rows.retain(|row| row.purpose == "recovery");
        rows.iter().map(|row| (row.id.clone(), row.code.clone())).collect::<Vec<_>>()
    };
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let mut options = options();
        options.settings.mails.test_codes.push(("ann@example.com".to_owned(), "493817".to_owned()));
        let fixture = Fixture::with(options).await;
        let user = json!({ "id": "0197f5b2-7c1e-7a40-9d35-5b8c0e2f4a61", "email": "ann@example.com",
            "email_confirm": true });
        let made = by_service(&fixture, "POST", "/admin/users", user).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let first = asked(&fixture).await;
        assert_eq!(mail(&fixture, Kind::Recovery, "ann@example.com").await.code.as_deref(), Some("493817"));
        fixture.advance(1);
        let again = asked(&fixture).await;
        let new = again.iter().find(|row| !first.contains(row)).unwrap();
        assert_eq!(new.1, first[0].1, "nothing but address, purpose, code and key goes in");
        seen.insert(new.1.clone());
    }
    assert_eq!(seen.len(), 2, "another key, another hash");
}

/// Every link and every code is good until the last second of its time, and dead at its end.
///
/// attack E03, asvs(V6.5.5)
#[tokio::test]
async fn links_and_codes_are_dead_after_their_time() {
    let mut shown = 0;
    for (by, over) in [("link", false), ("link", true), ("code", false), ("code", true)] {
        let fixture = Fixture::with(options()).await;
        let everyone = everyone(&fixture).await;
        let lifetime = fixture.auth.settings().mails.lifetime.as_secs();
        fixture.advance(if over { lifetime } else { lifetime - 1 });
        let access = fixture.refresh(&everyone.fay.refresh()).await.access();
        for Sent { kind, to, mail } in &everyone.sent {
            let code = mail.code.clone().unwrap();
            let reply = match (by, *kind) {
                (_, "") => {
                    let body = json!({ "password": format!("a brand new one {by}"), "nonce": code });
                    fixture.call("PUT", "/user", Some(&access), body).await
                }
                ("link", kind) => by_link(&fixture, kind, &token(mail)).await,
                (_, kind) => by_code(&fixture, kind, to, &code).await,
            };
            let dead = if kind.is_empty() { "reauthentication_not_valid" } else { "otp_expired" };
            let refused = if over { dead } else { "" };
            let said = if over { reply.code() } else { "" };
            assert_eq!(said, refused, "{by} of {:?}, over: {over}: {}", mail.kind, reply.text);
            assert_eq!(reply.status == 200, !over);
            shown += 1;
        }
        let path = format!("/admin/users/{}", everyone.dan.user_id());
        let user = by_service(&fixture, "GET", &path, Value::Null).await;
        let expected = if over { "dan@example.com" } else { "new@example.com" };
        assert_eq!(user.json["email"], expected, "{}", user.text);
        let sessions = fixture.count("SELECT count(*) FROM auth_sessions").await;
        println!("by {by}, over: {over}: {sessions} sessions");
    }
    assert_eq!(shown, 28);
}
