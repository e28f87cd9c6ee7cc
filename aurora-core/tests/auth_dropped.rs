//! Clients that go away in the middle of what a mail, a factor or a role began.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;
#[path = "common/dropped.rs"]
mod dropped;
#[path = "common/totp.rs"]
mod totp;

use std::time::Duration;

use aurora_core::auth::{
    ComeBack, Credentials, FactorWish, Granter, IssuedSession, OtpWish, UserRole, Verified, VerifyType,
};
use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aurora_core::types::{Code, Principal, Result, RoleName, Secret};
use common::mailed::{confirmed, mail_since, options};
use common::{Fixture, PASSWORD};
use dropped::dropped_at;

const ANN: &str = "ann@example.com";

async fn fixture() -> Fixture {
    let mut options = options();
    let roomy = Quota::new(1_000_000, Duration::from_secs(60));
    (options.limits.factor, options.limits.guesses) = (roomy, roomy);
    (options.limits.mail, options.limits.mail_to) = (roomy, roomy);
    Fixture::with(options).await
}

/// How often a flow was dropped, and what was left of it. How many polls a flow takes is the engine's and the machine's
/// affair: it is dropped at each until it ends, three times over and until one drop was early enough to undo it.
#[derive(Debug, Default)]
struct Drops {
    polls: u32,
    rounds: u32,
    most: u32,
    before: u32,
    after: u32,
}

impl Drops {
    /// At which poll the next one is dropped.
    fn next(&mut self) -> Option<u32> {
        if self.rounds >= 3 && self.before > 0 {
            return None;
        }
        assert!(self.rounds < 60, "no flow was dropped before its end: {self:?}");
        self.polls += 1;
        Some(self.polls)
    }

    fn seen(&mut self, unfinished: bool) {
        self.most = self.most.max(self.polls);
        if !unfinished {
            self.rounds += 1;
            self.polls = 0;
        }
    }
}

async fn recorded(fixture: &Fixture, action: &str) -> i64 {
    fixture.count(&format!("SELECT count(*) FROM aurora_audit WHERE action = '{action}'")).await
}

/// What a client that saw no answer finds when it asks again: it is done now, or had been before.
fn again<T>(reply: Result<T>, done_before: Code) -> Option<T> {
    match reply {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert_eq!(error.code(), done_before, "{error:?}");
            None
        }
    }
}

/// fault K32: by a code of a mail one session begins, whenever its reader goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_dropped_at_any_poll_opens_one_session() {
    let fixture = fixture().await;
    confirmed(&fixture, ANN).await;
    // The registration's own mail is not what is waited for below.
    fixture.send_mails().await;
    let mut drops = Drops::default();
    while let Some(polls) = drops.next() {
        let (client, old) = (fixture.client(), fixture.mailbox.mails());
        let wish =
            OtpWish { email: ANN.to_owned(), create_user: false, data: None, back: ComeBack::default() };
        fixture.auth.send_otp(wish, &client).await.unwrap();
        let mail = mail_since(&fixture, &old, ANN).await;
        assert_eq!(mail.kind, Kind::MagicLink);
        let code = Secret::new(mail.code.unwrap());
        let records = recorded(&fixture, "login").await;
        let sessions = fixture.count("SELECT count(*) FROM auth_sessions").await;
        let verify = async || fixture.auth.verify_code(ANN, &code, VerifyType::MagicLink, &client).await;
        let unfinished = dropped_at(polls, async { verify().await.unwrap() }).await;
        if unfinished {
            match again(verify().await, Code::OtpExpired) {
                Some(Verified::Session(_)) => drops.before += 1,
                Some(Verified::HalfChanged) => panic!("no address changed"),
                None => drops.after += 1,
            }
        }
        assert_eq!(recorded(&fixture, "login").await, records + 1, "dropped at poll {polls}");
        let now = fixture.count("SELECT count(*) FROM auth_sessions").await;
        assert_eq!(now, sessions + 1, "dropped at poll {polls}");
        drops.seen(unfinished);
        // A code that was used already counts as a wrong one, until its time is over.
        fixture.advance(3_700);
    }
    println!("a code: {drops:?}");
}

/// Somebody whose factor counts.
struct Person {
    seed: String,
    factor: aurora_core::types::FactorId,
}

impl Person {
    async fn new(fixture: &Fixture) -> Self {
        confirmed(fixture, ANN).await;
        let principal = Self::sign_in(fixture).await;
        let wish = FactorWish::default();
        let enrolled = fixture.auth.enroll_factor(&principal, wish, &fixture.client()).await.unwrap();
        let person = Self { seed: enrolled.secret.expose().to_owned(), factor: enrolled.id };
        person.raise(fixture, &principal).await;
        person
    }

    async fn sign_in(fixture: &Fixture) -> Principal {
        let credentials = Credentials { email: ANN.to_owned(), password: PASSWORD.into() };
        let session = fixture.auth.sign_in(credentials, &fixture.client()).await.unwrap();
        principal(fixture, &session).await
    }

    /// A code that was not used, and its challenge.
    async fn asked(&self, fixture: &Fixture, who: &Principal) -> (aurora_core::types::ChallengeId, Secret) {
        fixture.advance(60);
        let asked = fixture.auth.challenge_factor(who, self.factor, &fixture.client()).await.unwrap();
        (asked.id, Secret::new(totp::code_at(&self.seed, fixture.now().as_seconds())))
    }

    async fn raise(&self, fixture: &Fixture, who: &Principal) -> Principal {
        let (challenge, code) = self.asked(fixture, who).await;
        let client = fixture.client();
        let raised = fixture.auth.verify_factor(who, self.factor, challenge, &code, &client).await.unwrap();
        principal(fixture, &raised).await
    }
}

async fn principal(fixture: &Fixture, session: &IssuedSession) -> Principal {
    fixture.auth.sessions().admit(session.access_token.expose()).await.unwrap()
}

async fn level(fixture: &Fixture, who: &Principal) -> String {
    let session = who.session_id().unwrap();
    let rows = fixture.database.rows(&format!("SELECT aal FROM auth_sessions WHERE id = '{session}'")).await;
    rows[0][0].clone().unwrap()
}

/// fault K32: a code of a factor raises its session once, whenever its owner goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_factor_that_is_dropped_at_any_poll_raises_once() {
    let fixture = fixture().await;
    let person = Person::new(&fixture).await;
    let mut drops = Drops::default();
    while let Some(polls) = drops.next() {
        let (who, client) = (Person::sign_in(&fixture).await, fixture.client());
        let (challenge, code) = person.asked(&fixture, &who).await;
        let records = recorded(&fixture, "verification_attempted").await;
        let verify =
            async || fixture.auth.verify_factor(&who, person.factor, challenge, &code, &client).await;
        let unfinished = dropped_at(polls, async { verify().await.unwrap() }).await;
        if unfinished {
            // The challenge was used up with the code.
            match verify().await {
                Ok(_) => drops.before += 1,
                Err(error) => {
                    let used =
                        [Code::MfaVerificationFailed, Code::MfaChallengeExpired, Code::MfaFactorNotFound];
                    assert!(used.contains(&error.code()), "{error:?}");
                    drops.after += 1;
                }
            }
        }
        assert_eq!(level(&fixture, &who).await, "aal2", "dropped at poll {polls}");
        let now = recorded(&fixture, "verification_attempted").await;
        assert_eq!(now, records + 1, "dropped at poll {polls}");
        drops.seen(unfinished);
    }
    println!("a factor: {drops:?}");
}

/// fault K32: a recovery code is used up once, and with the session that it raises or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_code_that_is_dropped_at_any_poll_is_used_once() {
    let fixture = fixture().await;
    let person = Person::new(&fixture).await;
    let mut drops = Drops::default();
    let mut codes: Vec<Secret> = Vec::new();
    while let Some(polls) = drops.next() {
        let client = fixture.client();
        if codes.is_empty() {
            let raised = person.raise(&fixture, &Person::sign_in(&fixture).await).await;
            codes = fixture.auth.generate_recovery_codes(&raised, &client).await.unwrap().codes;
        }
        let (who, code) = (Person::sign_in(&fixture).await, codes.pop().unwrap());
        let records = recorded(&fixture, "recovery_code_used").await;
        let left = fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await;
        let verify = async || fixture.auth.verify_recovery_code(&who, &code, &client).await;
        let unfinished = dropped_at(polls, async { verify().await.unwrap() }).await;
        if unfinished {
            match again(verify().await, Code::MfaVerificationFailed) {
                Some(_) => drops.before += 1,
                None => drops.after += 1,
            }
        }
        assert_eq!(level(&fixture, &who).await, "aal2", "dropped at poll {polls}");
        assert_eq!(recorded(&fixture, "recovery_code_used").await, records + 1, "dropped at poll {polls}");
        let now = fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await;
        assert_eq!(now, left - 1, "dropped at poll {polls}");
        drops.seen(unfinished);
        fixture.advance(1);
    }
    println!("a recovery code: {drops:?}");
}

/// fault K32: a role is given with its record or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_dropped_at_any_poll_is_given_once() {
    let fixture = fixture().await;
    let ann = confirmed(&fixture, ANN).await;
    let id = ann.user_id().parse().unwrap();
    let editor: RoleName = "editor".parse().unwrap();
    let role = UserRole { name: editor.clone(), rank: 5, permissions: Vec::new().into_iter().collect() };
    fixture.auth.define_role(role, "test").await.unwrap();
    let mut drops = Drops::default();
    while let Some(polls) = drops.next() {
        let records = recorded(&fixture, "role_granted").await;
        let grant = async || fixture.auth.grant_role(Granter::Service("test"), id, &editor).await.unwrap();
        let unfinished = dropped_at(polls, grant()).await;
        if unfinished {
            if grant().await { drops.before += 1 } else { drops.after += 1 }
        }
        assert_eq!(recorded(&fixture, "role_granted").await, records + 1, "dropped at poll {polls}");
        // Where the drop came before this process looked, it looks within a second.
        let begun = std::time::Instant::now();
        while !fixture.auth.sessions().admit(&ann.access()).await.unwrap().has_role("editor") {
            assert!(begun.elapsed() < Duration::from_secs(2), "dropped at poll {polls}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(fixture.auth.revoke_role(Granter::Service("test"), id, &editor).await.unwrap());
        drops.seen(unfinished);
    }
    assert!(fixture.auth.roles_of(id).await.unwrap().is_empty());
    println!("a grant: {drops:?}");
}
