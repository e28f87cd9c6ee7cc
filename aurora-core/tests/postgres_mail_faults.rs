//! Registration by mail under a PostgreSQL that is killed: nobody is lost, no mail is, and no code is good twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "common/cluster.rs"]
mod cluster;
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aurora_core::auth::{ComeBack, Credentials, SignUp, SignedUp, Verified, VerifyType};
use aurora_core::config::{Autoconfirm, Profile};
use aurora_core::load::{Limits, Quota};
use aurora_core::mail::{Kind, MailError, Mailer, Rendered};
use aurora_core::session::Client;
use aurora_core::types::{BoxFuture, Code, RequestId, Result, Secret, Timestamp};
use aurora_core::{Aurora, Database};
use cluster::Cluster;

const PASSWORD: &str = "quiet harbour lamp 41";
/// For how long a mail may be under way: one that was taken when the server died is tried again later.
const PATIENCE: Duration = Duration::from_secs(150);

/// Codes, and when they were asked for.
type Codes = BTreeSet<(Timestamp, String)>;

/// The codes of all mails that were sent, by their reader.
#[derive(Clone, Default, Debug)]
struct Letters(Arc<Mutex<BTreeMap<String, Codes>>>);

impl Letters {
    fn newest(&self, email: &str) -> Option<String> {
        self.0.lock().unwrap().get(email)?.last().map(|(_, code)| code.clone())
    }
}

impl Mailer for Letters {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, std::result::Result<(), MailError>> {
        if mail.kind == Kind::Confirmation {
            let code = mail.code.clone().unwrap();
            self.0
                .lock()
                .unwrap()
                .entry(mail.to.as_str().to_owned())
                .or_default()
                .insert((mail.created_at, code));
        }
        Box::pin(async { Ok(()) })
    }
}

async fn aurora(url: &str, letters: Letters) -> Aurora {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("aurora-mail-faults-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let wide = Quota::new(1_000_000, Duration::from_secs(60));
    let mut limits = Limits::default();
    (limits.request, limits.sign_up, limits.sign_in, limits.guesses) = (wide, wide, wide, wide);
    (limits.mail, limits.mail_to) = (wide, wide);
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(url).unwrap())
        .key_file(folder.join("aurora.key"))
        .configure(|settings| settings.sign_ups.autoconfirm = Autoconfirm::Off)
        .mailer(Arc::new(letters))
        .limits(limits)
        .build()
        .await
        .unwrap()
}

fn client() -> Client {
    Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestId::from_bytes([7; 16]))
}

/// How often the service said to come back.
#[derive(Default)]
struct Tally {
    denied: AtomicU64,
    redeemed: AtomicU64,
    /// A redemption that was answered 503 and had taken place.
    unheard: AtomicU64,
}

impl Tally {
    /// Asks until there is an answer; `true` beside it if one of those before may have been carried out unheard.
    async fn answered<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> (Result<T>, bool) {
        let mut unsure = false;
        loop {
            match ask().await {
                Err(error) if error.code() == Code::OverCapacity => {
                    self.denied.fetch_add(1, Ordering::SeqCst);
                    unsure = true;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => return (answer, unsure),
            }
        }
    }
}

/// One person, from the registration to a sign-in with its password.
async fn register(aurora: &Aurora, letters: &Letters, tally: &Tally, email: &str) {
    let auth = aurora.auth();
    let wish = || SignUp {
        email: email.to_owned(),
        password: PASSWORD.into(),
        data: None,
        back: ComeBack::default(),
    };
    let (signed_up, _) = tally.answered(|| async { auth.sign_up(wish(), &client()).await }).await;
    assert!(matches!(signed_up.unwrap(), SignedUp::Pending(_)), "{email}");

    let began = Instant::now();
    let (mut unsure, mut tried) = (false, BTreeSet::new());
    let used = loop {
        assert!(began.elapsed() < PATIENCE, "{email}: no mail with a good code, of {tried:?}");
        // Whoever was registered twice, the first time unheard, has two mails; the newest code is good alone. A wrong
        // one is counted, so that none is tried twice.
        let Some(code) = letters.newest(email).filter(|code| tried.insert(code.clone())) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let code = Secret::from(code.as_str());
        let verify = || async { auth.verify_code(email, &code, VerifyType::Signup, &client()).await };
        let (verified, may_have_been) = tally.answered(verify).await;
        unsure |= may_have_been;
        match verified {
            Ok(Verified::Session(session)) => {
                auth.sessions().admit(session.access_token.expose()).await.unwrap();
                break code;
            }
            Ok(other) => panic!("{email}: {other:?}"),
            Err(error) => assert_eq!(error.code(), Code::OtpExpired, "{email}: {error:?}"),
        }
        if unsure && signs_in(aurora, tally, email).await {
            tally.unheard.fetch_add(1, Ordering::SeqCst);
            break code;
        }
    };
    tally.redeemed.fetch_add(1, Ordering::SeqCst);
    let again = || async { auth.verify_code(email, &used, VerifyType::Signup, &client()).await };
    let (again, _) = tally.answered(again).await;
    assert_eq!(again.unwrap_err().code(), Code::OtpExpired, "{email}: a code that was good twice");
    assert!(signs_in(aurora, tally, email).await, "{email}: confirmed, and lost");
}

async fn signs_in(aurora: &Aurora, tally: &Tally, email: &str) -> bool {
    let right = || Credentials { email: email.to_owned(), password: PASSWORD.into() };
    let (answer, _) = tally.answered(|| async { aurora.auth().sign_in(right(), &client()).await }).await;
    match answer {
        Ok(_) => true,
        Err(error) if error.code() == Code::EmailNotConfirmed => false,
        Err(error) => panic!("{email}: {error:?}"),
    }
}

/// fault K10, by mail: the postmaster is killed and started again under registrations. What was in flight is 503;
/// every registration that was acknowledged gets its mail, its code is good once, and its password signs in.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_registration_and_no_mail() {
    const CLIENTS: usize = 4;
    let cluster = Cluster::start();
    let letters = Letters::default();
    let aurora = aurora(&cluster.database().await, letters.clone()).await;
    let (over, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..CLIENTS {
        let (aurora, letters) = (aurora.clone(), letters.clone());
        let (over, tally) = (Arc::clone(&over), Arc::clone(&tally));
        tasks.spawn(async move {
            let mut people = 0_u64;
            while !over.load(Ordering::SeqCst) {
                register(&aurora, &letters, &tally, &format!("p{place}n{people}@example.com")).await;
                people += 1;
            }
            people
        });
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        cluster.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.again();
        drop(cluster.connection().await);
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    over.store(true, Ordering::SeqCst);
    let people: u64 = tasks.join_all().await.into_iter().sum();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "3 kills, {people} people registered, {} codes redeemed ({} of them unheard), {} answered 503",
        count(&tally.redeemed),
        count(&tally.unheard),
        count(&tally.denied)
    );
    assert_eq!(count(&tally.redeemed), people);
    assert!(people >= CLIENTS as u64 && count(&tally.denied) > 0, "nobody was in flight");
    aurora.close().await;
}
