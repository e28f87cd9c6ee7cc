//! What a host hands to the builder takes part in the service that it builds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "common/project.rs"]
mod project;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aurora_core::auth::{
    BeforeUserCreated, CustomClaims, HookError, PasswordDecision, PasswordVerification, PasswordVerified,
    TokenIssue, UserCreation,
};
use aurora_core::config::Profile;
use aurora_core::env::{ManualClock, SystemEntropy};
use aurora_core::http::Peer;
use aurora_core::mail::{Kind, MailError, Mailbox, Mailer, Rendered, Template, Templates};
use aurora_core::session::token::VerifyKey;
use aurora_core::types::{BoxFuture, Result, Timestamp};
use aurora_core::validate::{BreachedPasswords, HashPrefix, HashSuffix};
use aurora_core::{Aurora, Builder, Database};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::Request;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn builder() -> Builder {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("builder-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&url).unwrap())
        .key_file(folder.join("app.key"))
        .configure(|settings| (settings.passwords.memory_kib, settings.passwords.passes) = (8_192, 5))
}

async fn post(aurora: &Aurora, path: &str, body: Value) -> (u16, Value) {
    let ask = Request::post(format!("/auth/v1{path}"))
        .header("content-type", "application/json")
        .header("x-supabase-api-version", "2024-01-01");
    let peer = Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let answer = aurora.http().call(ask.body(body.to_string().into_bytes()).unwrap(), peer).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

async fn get(aurora: &Aurora, path: &str, token: &str) -> (u16, String) {
    ask(aurora, "GET", path, token).await
}

/// Asks with a bearer token: the status and the code.
async fn ask(aurora: &Aurora, method: &str, path: &str, token: &str) -> (u16, String) {
    let ask = Request::builder()
        .method(method)
        .uri(format!("/auth/v1{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("x-supabase-api-version", "2024-01-01");
    let peer = Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let answer = aurora.http().call(ask.body(Vec::new()).unwrap(), peer).await;
    let said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    (answer.status().as_u16(), said["code"].as_str().unwrap_or_default().to_owned())
}

async fn sign_up(aurora: &Aurora) -> (u16, Value) {
    post(aurora, "/signup", json!({ "email": "ann@example.com", "password": PASSWORD })).await
}

async fn sign_in(aurora: &Aurora) -> (u16, Value) {
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    post(aurora, "/token?grant_type=password", body).await
}

/// Does at every place what it says.
#[derive(Clone, Copy, Debug)]
enum Hook {
    Refuses,
    Says,
    Hangs,
}

impl BeforeUserCreated for Hook {
    fn may_be_created<'a>(
        &'a self,
        creation: &'a UserCreation,
    ) -> BoxFuture<'a, std::result::Result<(), HookError>> {
        let way = creation.way.to_string();
        Box::pin(async move {
            match self {
                Self::Refuses => Err(HookError::refuse(403, format!("no {way} today"))),
                Self::Says => Ok(()),
                Self::Hangs => std::future::pending().await,
            }
        })
    }
}

impl CustomClaims for Hook {
    fn claims<'a>(&'a self, _: &'a TokenIssue) -> BoxFuture<'a, std::result::Result<String, HookError>> {
        Box::pin(async { Ok(r#"{"plan":"pro"}"#.to_owned()) })
    }
}

impl PasswordVerified for Hook {
    fn password_verified<'a>(
        &'a self,
        _: &'a PasswordVerification,
    ) -> BoxFuture<'a, std::result::Result<PasswordDecision, HookError>> {
        Box::pin(async { Ok(PasswordDecision::Reject(Some("not on a Sunday".to_owned()))) })
    }
}

#[tokio::test]
async fn a_hook_before_new_users_is_asked() {
    let aurora = builder().before_user_created(Arc::new(Hook::Refuses)).build().await.unwrap();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!((status, &said["message"]), (403, &json!("no signup today")), "{said}");
    assert_eq!(sign_in(&aurora).await.1["code"], "invalid_credentials", "nobody was made");
    aurora.close().await;
    let aurora = builder().before_user_created(Arc::new(Hook::Says)).build().await.unwrap();
    assert_eq!(sign_up(&aurora).await.0, 200);
    aurora.close().await;
}

#[tokio::test]
async fn claims_of_the_host_s_are_in_tokens() {
    let aurora = builder().custom_claims(Arc::new(Hook::Says)).build().await.unwrap();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!(status, 200, "{said}");
    let principal = aurora.auth().sessions().admit(said["access_token"].as_str().unwrap()).await.unwrap();
    let claims: Value = serde_json::from_str(principal.claims()).unwrap();
    assert_eq!((&claims["plan"], &claims["email"]), (&json!("pro"), &json!("ann@example.com")));
    aurora.close().await;
}

#[tokio::test]
async fn a_hook_after_a_right_password_is_asked() {
    let aurora = builder().password_verified(Arc::new(Hook::Refuses)).build().await.unwrap();
    assert_eq!(sign_up(&aurora).await.0, 200);
    let (status, said) = sign_in(&aurora).await;
    assert_eq!((status, &said["message"]), (400, &json!("not on a Sunday")), "{said}");
    aurora.close().await;
}

/// The host's limit, not the five seconds of the default.
#[tokio::test]
async fn a_hook_has_the_host_s_time_limit() {
    let limit = Duration::from_millis(70);
    let hanging = builder().before_user_created(Arc::new(Hook::Hangs)).hook_time_limit(limit);
    let aurora = hanging.build().await.unwrap();
    let start = Instant::now();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!((status, &said["code"]), (422, &json!("hook_timeout")), "{said}");
    let sentence = said["message"].as_str().unwrap();
    assert!(sentence.contains("0.070000 seconds"), "{sentence}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    aurora.close().await;
}

/// Keeps what it was given.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Rendered>>);

impl Mailer for Kept {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, std::result::Result<(), MailError>> {
        Box::pin(async move {
            self.0.lock().unwrap().push(mail.clone());
            Ok(())
        })
    }
}

impl Kept {
    /// The mails, once there are so many.
    async fn wait_for(&self, count: usize) -> Vec<Rendered> {
        let start = Instant::now();
        loop {
            let mails = self.0.lock().unwrap().clone();
            if mails.len() >= count {
                return mails;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{} of {count} mails came", mails.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The last hook that names a kind sends it, and the mailer what none names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_of_a_kind_go_to_the_hook_that_names_it() {
    let [first, last, others] = [(); 3].map(|()| Arc::new(Kept::default()));
    let aurora = builder()
        .mailer(others.clone())
        .send_mail(&[Kind::Recovery, Kind::MagicLink], first.clone())
        .send_mail(&[Kind::Recovery], last.clone())
        .configure(|settings| settings.sign_ups.autoconfirm = aurora_core::config::Autoconfirm::Off)
        .build()
        .await
        .unwrap();
    let (_, user) = sign_up(&aurora).await;
    let confirmation = others.wait_for(1).await;
    assert_eq!(confirmation[0].kind, Kind::Confirmation);
    aurora.auth().confirm_email(user["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    for path in ["/recover", "/otp"] {
        assert_eq!(post(&aurora, path, json!({ "email": "ann@example.com" })).await.0, 200, "{path}");
    }
    let (recovery, link) = (last.wait_for(1).await, first.wait_for(1).await);
    aurora.close().await;
    assert_eq!((recovery.len(), recovery[0].kind), (1, Kind::Recovery));
    assert_eq!((link.len(), link[0].kind), (1, Kind::MagicLink));
    assert_eq!(others.wait_for(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_in_the_host_s_words() {
    let template = Template {
        subject: "Your way back".to_owned(),
        text: "It is {{ code }}.\n{{ link }}\n".to_owned(),
        html: "<p>{{ code }} <a href=\"{{ link }}\">back</a></p>".to_owned(),
    };
    let kept = Arc::new(Kept::default());
    let templates = Templates::default().with(Kind::Recovery, &template).unwrap();
    let aurora = builder().mailer(kept.clone()).templates(templates).build().await.unwrap();
    assert_eq!(sign_up(&aurora).await.0, 200);
    assert_eq!(post(&aurora, "/recover", json!({ "email": "ann@example.com" })).await.0, 200);
    let mails = kept.wait_for(1).await;
    aurora.close().await;
    let mail = mails.iter().find(|mail| mail.kind == Kind::Recovery).unwrap();
    let (code, link) = (mail.code.as_deref().unwrap(), mail.link.as_deref().unwrap());
    assert_eq!(mail.subject, "Your way back");
    assert_eq!(mail.text, format!("It is {code}.\n{link}\n"));
    assert!(mail.html.starts_with(&format!("<p>{code} ")), "{}", mail.html);
}

/// Without a mailer development keeps mails for its page; the builder's own is used instead of that.
#[tokio::test]
async fn a_mailer_is_used_instead_of_development_s_page() {
    let aurora = builder().build().await.unwrap();
    assert!(aurora.auth().outbox().mailbox().is_some());
    aurora.close().await;
    let aurora = builder().mailer(Arc::new(Mailbox::default())).build().await.unwrap();
    assert!(aurora.auth().outbox().mailbox().is_none());
    aurora.close().await;
}

/// Knows one password, by its hash alone.
#[derive(Debug, Default)]
struct Known(AtomicU32);

impl BreachedPasswords for Known {
    fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let asked = prefix.to_string();
        Box::pin(async move {
            let suffix = hash.strip_prefix(&asked);
            suffix.map(str::parse).into_iter().collect()
        })
    }
}

#[tokio::test]
async fn a_source_of_breached_passwords_is_asked() {
    let source = Arc::new(Known::default());
    let aurora = builder().breached_passwords(source.clone()).build().await.unwrap();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!((status, &said["code"]), (422, &json!("weak_password")), "{said}");
    assert_eq!(said["weak_password"]["reasons"], json!(["pwned"]), "{said}");
    assert_eq!(source.0.load(Ordering::SeqCst), 1);
    let other = json!({ "email": "ann@example.com", "password": "another horse battery" });
    assert_eq!(post(&aurora, "/signup", other).await.0, 200);
    assert_eq!(source.0.load(Ordering::SeqCst), 2);
    aurora.close().await;
}

/// The public half of [`project::EC`].
fn another_key() -> VerifyKey {
    let mut key: Value = serde_json::from_str(project::EC).unwrap();
    let members = key.as_object_mut().unwrap();
    members.remove("d");
    members.remove("key_ops");
    VerifyKey::from_jwk(&key.to_string()).unwrap()
}

/// asvs(V9.1.3, V9.2.3): a key that was given besides lets our users in, in our name and in nobody else's, until the
/// session ends that its token names; it names no application.
#[tokio::test]
async fn another_key_signs_for_our_users_alone() {
    let aurora = builder().verify_key(another_key()).build().await.unwrap();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!(status, 200, "{said}");
    let own = said["access_token"].as_str().unwrap();
    let header = json!({ "alg": "ES256", "kid": "project-ec", "typ": "JWT" });
    let signed = |changes: Value| {
        let mut claims = project::part(own, 1);
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        project::es256(&header, &claims)
    };
    assert_ne!(project::part(own, 0)["kid"], header["kid"], "Aurora signs with a key of its own");
    assert_eq!(get(&aurora, "/user", own).await.0, 200);
    assert_eq!(get(&aurora, "/user", &signed(json!({}))).await.0, 200);
    let bad = (403, "bad_jwt".to_owned());
    for changes in [
        json!({ "iss": "https://another.example.com/auth/v1" }),
        json!({ "aud": "another" }),
        json!({ "role": "service_role" }),
        json!({ "exp": 1_700_000_000, "iat": 1_699_999_000 }),
    ] {
        assert_eq!(get(&aurora, "/user", &signed(changes.clone())).await, bad, "{changes}");
    }
    let service = project::es256(&header, &json!({ "role": "service_role", "exp": 4_000_000_000_u64 }));
    assert_eq!(get(&aurora, "/admin/users", &service).await, bad);
    let token = signed(json!({}));
    assert_eq!(ask(&aurora, "POST", "/logout", own).await.0, 204);
    assert_eq!(get(&aurora, "/user", &token).await, (403, "session_not_found".to_owned()), "it ends with it");
    aurora.close().await;
    let aurora = builder().build().await.unwrap();
    assert_eq!(get(&aurora, "/user", &token).await, bad, "a key that was not given");
    aurora.close().await;
}

/// asvs(V9.2.1): an access token lives as long as the setting says, in what the client is told and in what is
/// let in.
#[tokio::test]
async fn an_access_token_lives_as_long_as_it_was_set() {
    const START: i64 = 1_800_000_000;
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START)));
    let hour = Duration::from_secs(3_600);
    let aurora = builder()
        .configure(move |settings| settings.tokens.access_lifetime = hour)
        .environment(clock.clone(), Arc::new(SystemEntropy))
        .build()
        .await
        .unwrap();
    let (status, said) = sign_up(&aurora).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!((&said["expires_in"], &said["expires_at"]), (&json!(3_600), &json!(START + 3_600)), "{said}");
    let token = said["access_token"].as_str().unwrap();
    let claims = project::part(token, 1);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START), &json!(START + 3_600)), "{claims}");
    for (seconds, wanted) in [(0, 200), (3_599, 200), (3_600, 403), (3_601, 403)] {
        clock.set(Timestamp::from_seconds(START + seconds));
        let (status, code) = get(&aurora, "/user", token).await;
        assert_eq!(status, wanted, "after {seconds} s: {code}");
        assert_eq!(code == "bad_jwt", wanted == 403, "after {seconds} s: {code}");
    }
    let body = json!({ "refresh_token": said["refresh_token"] });
    let (status, next) = post(&aurora, "/token?grant_type=refresh_token", body).await;
    assert_eq!((status, &next["expires_in"]), (200, &json!(3_600)), "{next}");
    aurora.close().await;
}
