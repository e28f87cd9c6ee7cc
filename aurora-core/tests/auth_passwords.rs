//! Which passwords may be set, over the wire: length, what they are made of, breaches, and nothing about their kinds
//! of characters.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aurora_core::auth::NewUser;
use aurora_core::config::CookieSessions;
use aurora_core::types::{BoxFuture, Error, Result};
use aurora_core::validate::{
    BreachedPasswords, HashPrefix, HashSuffix, NewPassword, OfflineList, RangeApi, is_breached,
};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use common::{Fixture, Options, PASSWORD, Reply};
use serde_json::{Value, json};

const LENGTH: &str = "Password should be at least 8 characters.";
const WORDS: &str = "Password should not be made of your e-mail address or of this service's name, please choose another one.";
const GUESSED: &str = "Password is too easy to guess, please choose a longer one, such as several words that do \
    not belong together.";
const PWNED: &str = "Password is known to be weak and easy to guess, please choose a different one.";

async fn sign_up(fixture: &Fixture, email: &str, password: &str) -> Reply {
    fixture.call("POST", "/signup", None, json!({ "email": email, "password": password })).await
}

async fn set(fixture: &Fixture, token: &str, password: &str) -> Reply {
    fixture.call("PUT", "/user", Some(token), json!({ "password": password })).await
}

fn assert_refused(reply: &Reply, reasons: &[&str], message: &str, what: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (422, "weak_password"), "{what}: {}", reply.text);
    assert_eq!(reply.json["weak_password"], json!({ "reasons": reasons }), "{what}");
    assert_eq!(reply.json["message"], message, "{what}");
    assert_eq!(reply.headers["x-sb-error-code"], "weak_password");
}

/// The SHA-1 as ranges name it: five digits and the other 35.
fn hash(password: &str) -> (String, String) {
    let mut digits = String::new();
    for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref() {
        digits.push_str(&format!("{byte:02X}"));
    }
    let rest = digits.split_off(5);
    (digits, rest)
}

/// attack P06, asvs(V6.2.5, V6.2.8, V6.2.9): every length up to 1024 bytes, any composition, exactly as typed.
#[tokio::test]
async fn long_and_foreign_passwords_are_kept_as_they_are_typed() {
    let fixture = Fixture::new().await;
    let words =
        "harbour lamp kettle orbit velvet pigeon quarry maple thunder biscuit ladder walnut comet ribbon ";
    let of = |length: usize| words.repeat(12).chars().take(length).collect::<String>();
    let (at_128, at_129, at_1024) = (of(128), of(129), of(1_024));
    let passwords = [
        "k7Gq2xWp",
        "only lower case letters",
        "ONLY UPPER CASE LETTERS",
        "83920174650192",
        "~^`~-^=`-~^`",
        "  spaces   at both ends  ",
        "e\u{301}te\u{301} a\u{300} la mer",
        "пароль длинный и чужой",
        "🔑🌲🚲🎺🧊🪁🐙🛶",
        &of(64),
        &at_128,
        &at_129,
        &at_1024,
    ];
    for (number, password) in passwords.iter().enumerate() {
        let email = format!("user{number}@example.com");
        let reply = sign_up(&fixture, &email, password).await;
        assert_eq!(reply.status, 200, "{password:?}: {}", reply.text);
        let chars: Vec<char> = password.chars().collect();
        let start = |length: usize| chars.iter().take(length).collect::<String>();
        let swapped: String = chars
            .iter()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        let others = [
            password.trim().to_owned(),
            start(chars.len() - 1),
            start(72),
            start(100),
            start(128),
            format!("{}#", start(chars.len() - 1)),
            format!("{password} "),
            swapped,
            password.replace("e\u{301}", "é").replace("a\u{300}", "à"),
            password.split_whitespace().collect::<Vec<_>>().join(" "),
        ];
        let mut wrong = 0;
        for other in others.iter().filter(|other| *other != password && other.len() <= 1_024) {
            assert_eq!(fixture.sign_in(&email, other).await.code(), "invalid_credentials", "{other:?}");
            // The right one gives the guesses back.
            assert_eq!(fixture.sign_in(&email, password).await.status, 200, "{password:?}");
            wrong += 1;
        }
        println!("{} characters, {} bytes: accepted; {wrong} others are not it", chars.len(), password.len());
        assert!(wrong > 2);
    }
    let too_long = sign_up(&fixture, "long@example.com", &of(1_025)).await;
    assert_eq!((too_long.status.as_u16(), too_long.code()), (400, "validation_failed"), "refused, not cut");
}

fn strict() -> Options {
    let mut options = Options::default();
    options.settings.site_url = "https://app.sandpiper.example".to_owned();
    options.settings.passwords.context_words = vec!["Kestrel Works".to_owned(), "Hannover".to_owned()];
    options
}

/// What is refused, for which reason, with which sentence. `{pwned}` is appended where it is known, too.
fn refusals() -> Vec<(&'static str, &'static [&'static str], String)> {
    let both = format!("{GUESSED} {PWNED}");
    vec![
        ("short", &["length"], LENGTH.to_owned()),
        ("ünïcöd€", &["length"], LENGTH.to_owned()),
        ("Sandpiper-2026", &["characters"], WORDS.to_owned()),
        ("app.sandpiper.example", &["characters"], WORDS.to_owned()),
        ("kestrel works 1999", &["characters"], WORDS.to_owned()),
        ("!!HANNOVER!!96", &["characters"], WORDS.to_owned()),
        ("annika.vogt1984", &["characters"], WORDS.to_owned()),
        ("vogtvogtvogtvogt", &["characters"], WORDS.to_owned()),
        ("annika.vogt@example.com", &["characters"], WORDS.to_owned()),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &["characters"], GUESSED.to_owned()),
        ("19.04.1984", &["characters"], GUESSED.to_owned()),
        ("password123", &["characters", "pwned"], both.clone()),
        ("qwertyuiop", &["characters", "pwned"], both),
    ]
}

/// attack P07, asvs(V6.2.1, V6.2.4, V6.2.11, V6.2.12): at registration, with the reason and a record of it.
#[tokio::test]
async fn sign_up_refuses_weak_passwords_with_their_reason() {
    let fixture = Fixture::with(strict()).await;
    for (password, reasons, message) in refusals() {
        let before = fixture.audit().await.len();
        let reply = sign_up(&fixture, "annika.vogt@example.com", password).await;
        assert_refused(&reply, reasons, &message, password);
        let records = fixture.audit().await.split_off(before);
        assert_eq!(records.len(), 1, "{password}");
        let record = &records[0];
        assert_eq!((record.action.as_str(), record.actor.as_str()), ("signup_failed", "anonymous"));
        assert_eq!(record.payload["reason"], "weak password");
        assert_eq!(record.payload["weak"], reasons.join(" "));
        assert_eq!(record.payload["code"], "weak_password");
        assert_eq!(record.request.as_deref(), reply.headers["x-request-id"].to_str().ok());
        assert!(!format!("{records:?}").contains(password), "a password in a record");
    }
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 0);
    println!("{} refusals", refusals().len());
    assert_eq!(sign_up(&fixture, "annika.vogt@example.com", "harbour lamp 41").await.status, 200);
}

/// attack P07, asvs(V6.2.1, V6.2.2, V6.2.4, V6.2.11, V6.2.12): and wherever one is changed, about every address of
/// the account.
#[tokio::test]
async fn a_change_refuses_weak_passwords_with_their_reason() {
    let mut options = strict();
    options.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
    let fixture = Fixture::with(options).await;
    let id = fixture.sign_up("annika.vogt@example.com").await.user_id();
    fixture.auth.confirm_email(id.parse().unwrap()).await.unwrap();
    let session = fixture.sign_in("annika.vogt@example.com", PASSWORD).await;
    let token = session.access();
    for (password, reasons, message) in refusals() {
        let before = fixture.audit().await.len();
        assert_refused(&set(&fixture, &token, password).await, reasons, &message, password);
        let records = fixture.audit().await.split_off(before);
        assert_eq!(records.len(), 1, "{password}");
        assert_eq!(
            (records[0].action.as_str(), records[0].actor.as_str()),
            ("user_change_failed", id.as_str())
        );
        assert_eq!(records[0].payload["reason"], "weak password");
        assert_eq!(records[0].payload["weak"], reasons.join(" "));
        assert!(!format!("{records:?}").contains(password), "a password in a record");
    }
    // A new address, in the same change and while it waits.
    let both = json!({ "email": "mireille@example.com", "password": "mireille-1977" });
    assert_refused(
        &fixture.call("PUT", "/user", Some(&token), both).await,
        &["characters"],
        WORDS,
        "new address",
    );
    let moved = fixture.call("PUT", "/user", Some(&token), json!({ "email": "mireille@example.com" })).await;
    assert_eq!(moved.json["new_email"], "mireille@example.com");
    assert_refused(&set(&fixture, &token, "mireille-1977").await, &["characters"], WORDS, "waiting address");
    assert_eq!(fixture.sign_in("annika.vogt@example.com", PASSWORD).await.status, 200, "nothing changed");
    assert_eq!(set(&fixture, &token, "harbour lamp 41").await.status, 200);
    assert_eq!(fixture.sign_in("annika.vogt@example.com", "harbour lamp 41").await.status, 200);
}

/// attack P07, asvs(V6.2.4, V6.2.12): the 3,000 commonest that are long enough, each of them, without zxcvbn.
#[tokio::test]
async fn the_commonest_passwords_are_refused() {
    let packed = include_bytes!("data/commonest-3000.z");
    let text = miniz_oxide::inflate::decompress_to_vec_zlib(packed).unwrap();
    let commonest: Vec<&str> = std::str::from_utf8(&text).unwrap().lines().collect();
    assert_eq!((commonest.len(), commonest[0]), (3_000, "password"));
    for password in &commonest {
        assert!(password.chars().count() >= 8, "{password}");
        let parsed = NewPassword::parse((*password).into(), 8).unwrap();
        assert!(is_breached(&parsed, &OfflineList).await.unwrap(), "{password}");
    }
    let mut options = Options::default();
    options.settings.passwords.weakest_score = 0;
    options.settings.passwords.shortest = 6;
    let fixture = Fixture::with(options).await;
    let some = commonest.iter().step_by(100).copied().chain(["123456", "monkey", "qwerty"]);
    let mut asked = 0;
    for password in some {
        assert_refused(&sign_up(&fixture, "x@y.de", password).await, &["pwned"], PWNED, password);
        asked += 1;
    }
    println!("{} on the list of {}; {asked} asked for over the wire", commonest.len(), OfflineList.count());
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 0);
}

/// What chance says about the offline list: passwords that nobody has are on it about once in 313,246.
#[tokio::test]
async fn what_is_on_no_list_is_rarely_taken_for_breached() {
    let tried = 60_000;
    let mut taken = 0;
    for number in 0..tried {
        let password = NewPassword::parse(format!("harbour {number} lamp {}", number * 7).into(), 8).unwrap();
        taken += usize::from(is_breached(&password, &OfflineList).await.unwrap());
    }
    println!("{taken} of {tried} taken for breached; expected {:.2}", f64::from(tried) / 313_246.0);
    assert!(taken <= 4, "{taken}");
}

/// A range source on this machine, which remembers what it was asked for.
fn local(known: &'static [&'static str], asked: Arc<Mutex<Vec<String>>>) -> RangeApi {
    RangeApi::new(move |prefix| {
        asked.lock().unwrap().push(prefix.to_string());
        let mut body = format!("{}:0\r\n", "0".repeat(35));
        for (start, rest) in known.iter().map(|password| hash(password)) {
            if start == prefix.as_str() {
                body.push_str(&format!("{rest}:216\r\n"));
            }
        }
        // Padding names the one that is asked for below: a row that counts nothing must not refuse it.
        let (start, rest) = hash("padding is no breach");
        if start == prefix.as_str() {
            body.push_str(&format!("{rest}:0\r\n"));
        }
        async move { Ok::<_, std::io::Error>(body) }
    })
}

/// attack P07, asvs(V6.2.12): what only the host's source knows is refused, and of it only five digits are told.
#[tokio::test]
async fn a_breach_that_the_hosts_source_knows_is_refused() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let known = ["quiet harbour lamp 41", "  spaces   count  "];
    let breached = local(&["quiet harbour lamp 41", "  spaces   count  "], Arc::clone(&asked));
    let fixture = Fixture::with(Options { breached: Some(Arc::new(breached)), ..Options::default() }).await;
    for password in known {
        assert_refused(&sign_up(&fixture, "ann@example.com", password).await, &["pwned"], PWNED, password);
    }
    for accepted in ["padding is no breach", "spaces   count", "Quiet harbour lamp 41"] {
        let email = format!("{}@x.de", asked.lock().unwrap().len());
        let reply = sign_up(&fixture, &email, accepted).await;
        assert_eq!(reply.status, 200, "{accepted}: {}", reply.text);
        assert_refused(&set(&fixture, &reply.access(), known[0]).await, &["pwned"], PWNED, "a change");
    }
    let expected: Vec<String> =
        [known[0], known[1], "padding is no breach", known[0], "spaces   count", known[0]]
            .iter()
            .chain(&["Quiet harbour lamp 41", known[0]])
            .map(|password| hash(password).0)
            .collect();
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(asked.lock().unwrap()[0].len(), 5);
    // Nobody is asked about what is refused already.
    for password in ["short", "password123", "ann-1999"] {
        assert_eq!(sign_up(&fixture, "ann@example.com", password).await.code(), "weak_password");
    }
    assert_eq!(asked.lock().unwrap().len(), expected.len());
    let failed = fixture.audit().await.into_iter().filter(|row| row.payload["weak"] == "pwned").count();
    assert_eq!(failed, 2 + 3);
}

/// Fails in a way of its own, and counts.
#[derive(Debug)]
struct Broken(AtomicUsize, How);

#[derive(Clone, Copy, Debug)]
enum How {
    Fails,
    Hangs,
    AnswersNonsense,
}

impl BreachedPasswords for Broken {
    fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let how = self.1;
        Box::pin(async move {
            match how {
                How::Fails => Err(Error::internal(format!("GET https://range.example/{prefix}: timed out"))),
                How::Hangs => std::future::pending().await,
                How::AnswersNonsense => {
                    let page =
                        RangeApi::new(|_| async { Ok::<_, std::io::Error>("<html>502</html>".to_owned()) });
                    page.range(prefix).await
                }
            }
        })
    }
}

mod heard {
    use std::fmt::Write;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    /// Hears warnings.
    pub(super) struct Warnings(pub(super) Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }
}

/// A source that is down closes neither registration nor the way to a new password; the commonest are refused all the
/// same, and each time it is logged, without the digits that were asked for.
///
/// attack P07
#[tokio::test]
async fn a_source_that_fails_is_logged_and_closes_nothing() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let _heard = tracing::subscriber::set_default(heard::Warnings(Arc::clone(&lines)));
    for how in [How::Fails, How::Hangs, How::AnswersNonsense] {
        let source = Arc::new(Broken(AtomicUsize::new(0), how));
        let mut options = Options { breached: Some(source.clone()), ..Options::default() };
        options.settings.passwords.breached_deadline = Duration::from_millis(150);
        options.settings.passwords.weakest_score = 0;
        let fixture = Fixture::with(options).await;
        lines.lock().unwrap().clear();
        let start = Instant::now();
        let reply = sign_up(&fixture, "ann@example.com", "quiet harbour lamp 41").await;
        assert_eq!(reply.status, 200, "{how:?}: {}", reply.text);
        assert_eq!(set(&fixture, &reply.access(), "another harbour lamp").await.status, 200, "{how:?}");
        let took = start.elapsed();
        assert_refused(&sign_up(&fixture, "x@y.de", "password1").await, &["pwned"], PWNED, "the list");
        let heard = lines.lock().unwrap().clone();
        println!("{how:?}: {took:?}, {heard:?}");
        assert!(took < Duration::from_secs(10), "{how:?}: {took:?}");
        assert_eq!((heard.len(), source.0.load(Ordering::SeqCst)), (2, 2), "{heard:?}");
        assert!(heard.iter().all(|line| line.contains("the source of breached passwords")), "{heard:?}");
        for password in ["quiet harbour lamp 41", "another harbour lamp"] {
            let (prefix, _) = hash(password);
            assert!(!heard.iter().any(|line| line.contains(&prefix) || line.contains(password)), "{heard:?}");
        }
        if let How::Fails = how {
            assert!(
                heard[0].ends_with("Internal server error: GET https://range.example/*****: timed out"),
                "{heard:?}"
            );
        }
    }
}

/// asvs(V6.2.10): who has a password that nobody could choose today signs in with it, and is told what is wrong with it,
/// in tokens' answers and in cookies'. The host's source is not asked, and nothing of it is written down.
#[tokio::test]
async fn passwords_from_before_go_on() {
    let source = Arc::new(Broken(AtomicUsize::new(0), How::Fails));
    let mut options = Options { breached: Some(source.clone()), ..Options::default() };
    options.settings.cookies = CookieSessions::On;
    let fixture = Fixture::with(options).await;
    let both = format!("{GUESSED} {PWNED}");
    for (name, password, reasons, message) in [
        ("old", "password1", &["characters", "pwned"][..], both.as_str()),
        ("ann", "abc", &["length"], LENGTH),
        ("maria", "Maria-2031", &["characters"], WORDS),
        ("bob", "quiet harbour lamp 41", &[], ""),
    ] {
        let email = format!("{name}@example.com");
        let new = NewUser {
            email: email.parse().unwrap(),
            password_hash: Some(bcrypt::hash(password, 4).unwrap()),
            confirmed: true,
            user_metadata: None,
            app_metadata: None,
        };
        fixture.auth.create_user(new).await.unwrap();
        let expected =
            if reasons.is_empty() { Value::Null } else { json!({ "message": message, "reasons": reasons }) };
        // Under the hash that was brought along, and under one of today's.
        for _ in 0..2 {
            let reply = fixture.sign_in(&email, password).await;
            assert_eq!((reply.status.as_u16(), &reply.json["weak_password"]), (200, &expected), "{name}");
            let refreshed = fixture.refresh(&reply.refresh()).await;
            assert_eq!((refreshed.status.as_u16(), refreshed.json.get("weak_password")), (200, None));
            fixture.advance(5 * 365 * 86_400);
        }
        let body = json!({ "email": email, "password": password }).to_string().into_bytes();
        let by_cookie = http::Request::post("/auth/v1/token?grant_type=password")
            .header("host", "127.0.0.1:8080")
            .header("origin", "http://127.0.0.1:8080")
            .header("sec-fetch-site", "same-origin")
            .header("x-aurora-session", "cookie")
            .header("content-type", "application/json");
        let reply = fixture.send(by_cookie.body(body).unwrap(), "192.0.2.1").await;
        assert_eq!((reply.status.as_u16(), &reply.json["weak_password"]), (200, &expected), "{}", reply.text);
        assert!(reply.json.get("access_token").is_none() && reply.headers.contains_key("set-cookie"));
        let wrong = fixture.sign_in(&email, "12345678").await;
        assert_eq!((wrong.code(), wrong.json.get("weak_password")), ("invalid_credentials", None));
    }
    assert_eq!(source.0.load(Ordering::SeqCst), 0);
    assert!(fixture.audit().await.iter().all(|row| row.payload.get("weak").is_none()));
    let session = fixture.sign_in("old@example.com", "password1").await;
    let again = set(&fixture, &session.access(), "password1").await;
    assert_refused(&again, &["characters", "pwned"], &both, "chosen anew");
}

/// What the host chooses: a score, words, a length; and production's gate on a score that does not exist.
#[tokio::test]
async fn the_host_chooses_how_strict() {
    let with = async |score: u8, shortest: usize| {
        let mut options = Options::default();
        options.settings.passwords.weakest_score = score;
        options.settings.passwords.shortest = shortest;
        Fixture::with(options).await
    };
    let strictest = with(4, 15).await;
    assert_eq!(
        sign_up(&strictest, "ann@example.com", "harbour lamp 4").await.json["message"],
        "Password should be at least 15 characters."
    );
    let guessed = sign_up(&strictest, "ann@example.com", "a long password").await;
    assert_refused(&guessed, &["characters"], GUESSED, "a score of 3");
    assert_eq!(sign_up(&strictest, "ann@example.com", "quiet harbour lamp 41").await.status, 200);
    let usual = with(2, 15).await;
    assert_eq!(sign_up(&usual, "ann@example.com", "a long password").await.status, 200);
    let lenient = with(0, 8).await;
    assert_eq!(sign_up(&lenient, "ann@example.com", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa").await.status, 200);
    let mut settings = aurora_core::config::Settings::development();
    settings.passwords.weakest_score = 5;
    let lines: Vec<String> = settings.weaknesses().iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["`passwords.weakest_score` lies outside 0 to 4; set it to 2"]);
}
