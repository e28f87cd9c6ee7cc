//! The host's own code within the flows: what it may decide, and what it cannot break.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_core::auth::{
    Account, BeforeUserCreated, CustomClaims, HookError, Hooks, PasswordDecision, PasswordVerification,
    PasswordVerified, SignUpHook, TokenIssue, UserCreation,
};
use aurora_core::config::Autoconfirm;
use aurora_core::load::Quota;
use aurora_core::mail::{Delivery, Kind, MailError, Mailbox, Mailer, Rendered};
use aurora_core::store::HostTransaction;
use aurora_core::types::BoxFuture;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Fixture, Options, PASSWORD, Reply, SERVICE_KEY};
use serde_json::{Value, json};

/// What no client may read.
const INNER: &str = "the host's inner text";

/// What a hook does next.
#[derive(Clone, Debug, Default)]
enum Mood {
    #[default]
    Go,
    Refuse,
    Fail,
    Panic,
    Hang,
    Say(String),
}

/// Every hook of these tests: it does what it was told last, and counts what it was asked.
#[derive(Debug, Default)]
struct Told {
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Told {
    fn now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// Does what it was told; the text it was told to say.
    async fn act(&self, seen: String) -> Result<Option<String>, HookError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(seen);
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Go => Ok(None),
            Mood::Say(text) => Ok(Some(text)),
            Mood::Refuse => Err(HookError::refuse(403, "Only people of example.org")),
            Mood::Fail => Err(std::io::Error::other(INNER))?,
            Mood::Hang => std::future::pending().await,
            Mood::Panic => {
                tokio::task::yield_now().await;
                panic!("{INNER}")
            }
        }
    }
}

impl BeforeUserCreated for Told {
    fn may_be_created<'a>(&'a self, creation: &'a UserCreation) -> BoxFuture<'a, Result<(), HookError>> {
        let from = creation.client.as_ref().map(|client| client.address().to_string());
        Box::pin(async move { self.act(format!("{} {from:?}", creation.way)).await.map(drop) })
    }
}

impl CustomClaims for Told {
    fn claims<'a>(&'a self, issue: &'a TokenIssue) -> BoxFuture<'a, Result<String, HookError>> {
        Box::pin(async move { Ok(self.act(issue.method.clone()).await?.unwrap_or_else(|| "{}".to_owned())) })
    }
}

impl PasswordVerified for Told {
    fn password_verified<'a>(
        &'a self,
        verification: &'a PasswordVerification,
    ) -> BoxFuture<'a, Result<PasswordDecision, HookError>> {
        let whose = format!("{verification:?} {}", verification.account.to_json().unwrap());
        Box::pin(async move {
            Ok(match self.act(whose).await?.as_deref() {
                None => PasswordDecision::Continue,
                Some("") => PasswordDecision::Reject(None),
                Some("out") => PasswordDecision::RejectAndEndSessions(Some("Out\r\nwith you".to_owned())),
                Some(text) => PasswordDecision::Reject(Some(text.to_owned())),
            })
        })
    }
}

async fn with(hooks: impl FnOnce(Arc<Told>) -> Hooks, autoconfirm: bool) -> (Fixture, Arc<Told>) {
    let told = Arc::new(Told::default());
    // As production answers: nothing but the safe sentence.
    let mut options = Options::in_production();
    if !autoconfirm {
        options.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
    }
    options.settings.sign_ups.anonymous = true;
    let roomy = Quota::new(1_000, Duration::from_secs(60));
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    options.hooks = Hooks { time_limit: Duration::from_millis(200), ..hooks(Arc::clone(&told)) };
    (Fixture::with(options).await, told)
}

fn before(told: Arc<Told>) -> Hooks {
    Hooks { before_user_created: Some(told), ..Hooks::default() }
}

fn custom(told: Arc<Told>) -> Hooks {
    Hooks { custom_claims: Some(told), ..Hooks::default() }
}

fn verified(told: Arc<Told>) -> Hooks {
    Hooks { password_verified: Some(told), ..Hooks::default() }
}

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn answer(reply: &Reply) -> (u16, &str, &str) {
    assert!(!reply.text.contains("inner"), "{}", reply.text);
    (reply.status.as_u16(), reply.code(), reply.json["message"].as_str().unwrap_or_default())
}

const TIMEOUT: &str = "Failed to reach hook within maximum time of 0.200000 seconds";

/// What each failure of a hook is to a client.
fn failures() -> [(Mood, (u16, &'static str, &'static str)); 4] {
    [
        (Mood::Refuse, (403, "unknown", "Only people of example.org")),
        (Mood::Fail, (500, "unexpected_failure", "Internal server error")),
        (Mood::Panic, (500, "unexpected_failure", "Internal server error")),
        (Mood::Hang, (422, "hook_timeout", TIMEOUT)),
    ]
}

async fn counts(fixture: &Fixture) -> [i64; 4] {
    let mut found = [0; 4];
    for (found, table) in
        found.iter_mut().zip(["auth_users", "auth_sessions", "auth_refresh_tokens", "aurora_outbox"])
    {
        *found = fixture.count(&format!("SELECT count(*) FROM {table}")).await;
    }
    found
}

/// asvs(V16.5.2, V16.5.3): a hook before a new user refuses, fails, panics or hangs: nobody was made, and
/// the next request is served.
#[tokio::test]
async fn a_new_user_is_the_hook_s_to_refuse() {
    let (fixture, told) = with(before, true).await;
    for (mood, wanted) in failures() {
        told.now(mood.clone());
        let before = fixture.audit().await.len();
        assert_eq!(answer(&fixture.sign_up("ann@example.com").await), wanted, "{mood:?}");
        let anonymous = fixture.call("POST", "/signup", None, json!({})).await;
        assert_eq!(answer(&anonymous), wanted, "{mood:?}");
        let invite = json!({ "email": "ann@example.com" });
        let invited = fixture.call("POST", "/invite", Some(SERVICE_KEY), invite).await;
        assert_eq!(answer(&invited), wanted, "{mood:?}");
        let link = json!({ "type": "magiclink", "email": "ann@example.com" });
        let link = fixture.call("POST", "/admin/generate_link", Some(SERVICE_KEY), link).await;
        assert_eq!(answer(&link), wanted, "{mood:?}");
        assert_eq!(counts(&fixture).await, [0; 4], "{mood:?}: nothing half done");
        let rows = fixture.audit().await.split_off(before);
        let refused = rows.iter().filter(|row| row.action == "signup_failed").collect::<Vec<_>>();
        assert_eq!(refused.len(), 4, "{rows:?}");
        assert!(refused.iter().all(|row| row.payload["hook"] == "before_user_created"));
        assert!(!format!("{rows:?}").contains("example.org"), "what it said is in no record");
    }
    assert_eq!(told.asked(), 16);
    let seen: BTreeSet<String> = told.seen.lock().unwrap().drain(..).collect();
    let address = "Some(\"192.0.2.1\")";
    let wanted = [
        format!("anonymous {address}"),
        "invite None".to_owned(),
        "link None".to_owned(),
        format!("signup {address}"),
    ];
    assert_eq!(seen, BTreeSet::from(wanted));
    told.now(Mood::Go);
    let ann = fixture.sign_up("ann@example.com").await;
    assert_eq!(ann.status, 200, "{}", ann.text);
    // The service's own word is asked of nobody.
    told.now(Mood::Refuse);
    told.asked();
    let body = json!({ "email": "bob@example.com", "password": PASSWORD });
    assert_eq!(fixture.call("POST", "/admin/users", Some(SERVICE_KEY), body).await.status, 200);
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(told.asked(), 0);
    println!("4 failures by 4 ways: 16 refusals, no row");
}

/// asvs(V6.3.8): a hook that refuses addresses does not tell which of them are registered.
#[tokio::test]
async fn a_refusal_does_not_tell_who_is_registered() {
    let (fixture, told) = with(before, false).await;
    let registered = fixture.sign_up("ann@example.com").await;
    assert_eq!(registered.status, 200, "{}", registered.text);
    fixture.auth.confirm_email(registered.user_id().parse().unwrap()).await.unwrap();
    fixture.send_mails().await;
    let mails = fixture.mailbox.mails().len();
    told.now(Mood::Refuse);
    let known = fixture.sign_up("ann@example.com").await;
    let unknown = fixture.sign_up("eve@example.com").await;
    assert_eq!(answer(&known), answer(&unknown));
    assert_eq!(answer(&known).0, 403);
    told.asked();
    for address in ["ann@example.com", "eve@example.com"] {
        fixture.advance(120);
        let sent = fixture.call("POST", "/otp", None, json!({ "email": address })).await;
        assert_eq!((sent.status.as_u16(), sent.text.as_str()), (200, "{}"), "{address}");
        assert_eq!(told.asked(), 1, "{address}: asked of both");
    }
    fixture.send_mails().await;
    let sent = fixture.mailbox.mails().split_off(mails);
    assert_eq!(sent.len(), 1, "Ann signs in as before, and Eve gets nothing");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 1);
    // A failure is one for both.
    told.now(Mood::Panic);
    for address in ["ann@example.com", "eve@example.com"] {
        fixture.advance(120);
        let failed = fixture.call("POST", "/otp", None, json!({ "email": address })).await;
        assert_eq!(answer(&failed).0, 500, "{address}");
    }
}

/// asvs(V16.5.2, V16.5.3): claims of the host's own stand in the token beside Aurora's, never in the place of
/// one; a failure leaves no account, no session and no token.
#[tokio::test]
async fn claims_of_the_host_s_own() {
    let (fixture, told) = with(custom, true).await;
    told.now(Mood::Say(r#"{"plan":"pro","tenant":{"id":7}}"#.to_owned()));
    let ann = fixture.sign_up("ann@example.com").await;
    let said = claims(&ann.access());
    assert_eq!((&said["plan"], &said["tenant"]["id"]), (&json!("pro"), &json!(7)));
    assert_eq!(said["sub"], ann.json["user"]["id"]);
    let seen = fixture.auth.sessions().admit(&ann.access()).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(seen.claims()).unwrap()["plan"], "pro");
    told.now(Mood::Say(r#"{"plan":"free"}"#.to_owned()));
    let next = fixture.refresh(&ann.refresh()).await;
    assert_eq!(claims(&next.access())["plan"], "free");
    assert_eq!(*told.seen.lock().unwrap(), ["password", "token_refresh"]);

    let mut wrong: Vec<(Mood, (u16, &str, &str))> = failures().into_iter().collect();
    let internal = (500, "unexpected_failure", "Internal server error");
    for own in [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "role",
        "aal",
        "amr",
        "session_id",
        "email",
        "phone",
        "is_anonymous",
        "app_metadata",
        "user_metadata",
        "user_roles",
        "user_permissions",
    ] {
        wrong.push((Mood::Say(json!({ own: "service_role", "plan": "x" }).to_string()), internal));
    }
    for text in ["", "[]", "{", r#"{"a":1,"a":2}"#] {
        wrong.push((Mood::Say(text.to_owned()), internal));
    }
    let large = json!({ "a": "x".repeat(5_000) }).to_string();
    let too_large = "Payload size exceeded size limit of 4096 bytes";
    wrong.push((Mood::Say(large), (422, "hook_payload_over_size_limit", too_large)));
    let before = counts(&fixture).await;
    for (mood, wanted) in &wrong {
        told.now(mood.clone());
        assert_eq!(answer(&fixture.sign_up("bob@example.com").await), *wanted, "{mood:?}");
        assert_eq!(answer(&fixture.sign_in("ann@example.com", PASSWORD).await), *wanted, "{mood:?}");
        assert_eq!(counts(&fixture).await, before, "{mood:?}: no account, no session");
    }
    // A refresh is put off: the official client keeps its session on 503, and drops it on anything else.
    let token = next.refresh();
    for (mood, _) in &wrong {
        told.now(mood.clone());
        let reply = fixture.refresh(&token).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (503, "over_capacity"), "{mood:?}");
        assert!(reply.headers.contains_key("retry-after"));
    }
    told.now(Mood::Go);
    let again = fixture.refresh(&token).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(claims(&again.access()).get("plan").is_none());
    assert_eq!(fixture.sign_up("bob@example.com").await.status, 200);
    println!("{} failures, each at a sign-up, a sign-in and a refresh", wrong.len());
}

/// asvs(V16.3.1): whoever knows the password may still be turned away, and only they learn of it.
#[tokio::test]
async fn a_right_password_is_not_all() {
    let (fixture, told) = with(verified, true).await;
    let ann = fixture.sign_up("ann@example.com").await;
    let rejected = "Further password verification attempts will be rejected.";
    let cases = [
        (Mood::Say(String::new()), (400, "invalid_credentials", rejected)),
        (Mood::Say("Not on Sundays".to_owned()), (400, "invalid_credentials", "Not on Sundays")),
    ];
    let sessions = counts(&fixture).await[1];
    for (mood, wanted) in cases {
        told.now(mood.clone());
        let before = fixture.audit().await.len();
        assert_eq!(answer(&fixture.sign_in("ann@example.com", PASSWORD).await), wanted, "{mood:?}");
        assert_eq!(told.asked(), 1);
        let row = fixture.audit().await.pop().unwrap();
        assert_eq!(fixture.audit().await.len(), before + 1);
        assert_eq!(
            (row.action.as_str(), row.payload["hook"].as_str()),
            ("login_failed", Some("password_verified"))
        );
        // Whoever does not know it is told what they are always told, and nobody is asked.
        for (email, password) in [("ann@example.com", "another horse"), ("eve@example.com", PASSWORD)] {
            let wrong = fixture.sign_in(email, password).await;
            assert_eq!(answer(&wrong), (400, "invalid_credentials", "Invalid login credentials"));
        }
        assert_eq!(told.asked(), 0);
        assert_eq!(counts(&fixture).await[1], sessions, "{mood:?}");
    }
    let told_of = told.seen.lock().unwrap().join("\n");
    assert!(told_of.contains("ann@example.com"));
    assert!(!told_of.contains(PASSWORD) && !told_of.contains("$argon2"), "it sees no password");
    assert_eq!(fixture.user(&ann.access()).await.status, 200);
}

#[tokio::test]
async fn a_failing_hook_lets_nobody_in_and_may_end_sessions() {
    for (mood, wanted) in failures() {
        let (fixture, told) = with(verified, true).await;
        let ann = fixture.sign_up("ann@example.com").await;
        told.now(mood.clone());
        assert_eq!(answer(&fixture.sign_in("ann@example.com", PASSWORD).await), wanted, "{mood:?}");
        assert_eq!(counts(&fixture).await[1], 1, "{mood:?}");
        told.now(Mood::Say("out".to_owned()));
        let out = fixture.sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(answer(&out), (400, "invalid_credentials", "Out??with you"));
        assert_eq!(fixture.user(&ann.access()).await.code(), "session_not_found");
        assert_eq!(counts(&fixture).await[1], 0);
        told.now(Mood::Go);
        assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    }
}

/// Writes the host's row, and hangs for addresses that begin with `hang`.
#[derive(Debug)]
struct Profiles;

impl SignUpHook for Profiles {
    fn signed_up<'a>(
        &'a self,
        mut tx: HostTransaction<'a>,
        account: &'a Account,
    ) -> BoxFuture<'a, aurora_core::types::Result<()>> {
        Box::pin(async move {
            let insert = "INSERT INTO profiles (user_id) VALUES ($1)";
            common::host_writes(&mut tx, insert, account.id(), None).await?;
            if account.email().is_some_and(|email| email.as_str().starts_with("hang")) {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

/// asvs(V2.3.3, V16.5.2): what the host writes beside a new user has a hook's time: nothing is kept of a sign-up at
/// which it hangs, and nobody else waits longer than that for the writer.
#[tokio::test]
async fn a_hook_in_the_sign_up_s_transaction_has_its_time() {
    for autoconfirm in [Autoconfirm::On, Autoconfirm::Off] {
        let mut options = Options {
            hook: Some(Arc::new(Profiles)),
            schema: "CREATE TABLE profiles (user_id TEXT PRIMARY KEY REFERENCES auth_users (id));",
            postgres_schema: "CREATE TABLE profiles (user_id uuid PRIMARY KEY REFERENCES auth.users (id));",
            hooks: Hooks { time_limit: Duration::from_millis(200), ..Hooks::default() },
            ..Options::in_production()
        };
        options.settings.sign_ups.autoconfirm = autoconfirm;
        let roomy = Quota::new(1_000, Duration::from_secs(60));
        (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
        let fixture = Fixture::with(options).await;
        let meanwhile = async {
            let hangs = async |number: usize| fixture.sign_up(&format!("hang{number}@example.com")).await;
            tokio::join!(hangs(0), fixture.sign_up("ann@example.com"), hangs(1))
        };
        let (first, ann, second) =
            tokio::time::timeout(Duration::from_secs(20), meanwhile).await.expect("a hook hangs for ever");
        for hung in [first, second] {
            assert_eq!(answer(&hung), (422, "hook_timeout", TIMEOUT), "{autoconfirm:?}");
        }
        assert_eq!(ann.status, 200, "{}", ann.text);
        let body = json!({ "email": "hang2@example.com", "password": PASSWORD });
        let added = fixture.call("POST", "/admin/users", Some(SERVICE_KEY), body).await;
        assert_eq!(answer(&added), (422, "hook_timeout", TIMEOUT), "{autoconfirm:?}");
        let sent = fixture.call("POST", "/otp", None, json!({ "email": "hang3@example.com" })).await;
        assert_eq!(answer(&sent), (422, "hook_timeout", TIMEOUT), "{autoconfirm:?}");
        assert_eq!(fixture.sign_up("bob@example.com").await.status, 200, "the writer's turn goes on");
        for table in ["auth_users", "auth_identities", "profiles"] {
            assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, 2, "{table}");
        }
        let hung = "SELECT count(*) FROM auth_users WHERE email LIKE 'hang%'";
        assert_eq!(fixture.count(hung).await, 0);
        let signed_up = fixture.audit().await.into_iter().filter(|row| row.action == "user_signedup").count();
        assert_eq!(signed_up, 2, "records of what was rolled back are, too");
        println!("{autoconfirm:?}: four hung, two signed up");
    }
}

/// A mail service of the host's for one kind.
#[derive(Debug, Default)]
struct Own(Told, Mutex<Vec<Rendered>>);

impl Mailer for Own {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            if let Err(error) = self.0.act(mail.kind.to_string()).await {
                return Err(MailError::temporary(format!("{error:?}")));
            }
            self.1.lock().unwrap().push(mail.clone());
            Ok(())
        })
    }
}

/// asvs(V16.5.2): mails of one kind by the host's hook, the others as before; what it does to itself costs no request and
/// no mail.
#[tokio::test]
async fn mails_of_a_kind_are_the_hook_s() {
    let (own, others) = (Arc::new(Own::default()), Mailbox::default());
    let mut options = Options::default();
    options.settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off;
    options.delivery = Some(Delivery::Split {
        kinds: vec![Kind::Recovery],
        hook: own.clone(),
        otherwise: Box::new(Delivery::Mailbox(others.clone())),
    });
    let fixture = Fixture::with(options).await;
    let ann = fixture.sign_up("ann@example.com").await;
    fixture.auth.confirm_email(ann.user_id().parse().unwrap()).await.unwrap();
    own.0.now(Mood::Panic);
    let asked = fixture.call("POST", "/recover", None, json!({ "email": "ann@example.com" })).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    assert_eq!(fixture.send_mails().await, 1, "the confirmation alone");
    assert_eq!(others.mails().len(), 1);
    assert_eq!(own.0.asked(), 1);
    own.0.now(Mood::Go);
    fixture.advance(130);
    assert_eq!(fixture.send_mails().await, 1);
    let sent = own.1.lock().unwrap().clone();
    assert_eq!((sent.len(), sent[0].kind, sent[0].to.as_str()), (1, Kind::Recovery, "ann@example.com"));
    assert!(sent[0].code.is_some() && sent[0].link.is_some());
    assert_eq!(others.mails().len(), 1);
    assert!(fixture.auth.outbox().mailbox().is_some(), "development's page goes on showing the others");
}
