//! Whether somebody has an address cannot be told from how long an answer to a mail's request takes. Alone in its
//! program, as `auth_timing` is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use aurora_core::config::{Mails, Profile};
use common::mailed::{confirmed, options, post};
use common::{Fixture, Reply};
use serde_json::json;

/// Samples a side.
fn samples() -> usize {
    if std::env::var_os("AURORA_LONG").is_some() { 300 } else { 16 }
}

/// What is asked, and of whom: one who is known, and one who is not.
const ASKED: [(&str, &str, &str); 6] = [
    ("/recover", "ann@example.com", "eve@example.com"),
    ("/otp", "ann@example.com", "eve@example.com"),
    ("/magiclink", "waits@example.com", "eve@example.com"),
    ("/resend", "waits@example.com", "eve@example.com"),
    ("/verify", "ann@example.com", "eve@example.com"),
    ("/signup", "waits@example.com", "new"),
];

/// attack E07, attack P15: one body, and by a rank test one distribution of times.
#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_take_the_same_time() {
    // The default; and none, whose figures are printed beside it.
    let steps = [Mails::default().answer_step, Duration::ZERO];
    for step in steps {
        let mut options = options();
        options.settings.profile = Profile::Production;
        options.settings.mails.answer_step = step;
        let roomy = aurora_core::load::Quota::new(1_000_000, Duration::from_secs(60));
        (options.limits.mail, options.limits.mail_to, options.limits.guesses) = (roomy, roomy, roomy);
        (options.limits.request, options.limits.sign_up, options.limits.sign_in) = (roomy, roomy, roomy);
        let fixture = Fixture::with(options).await;
        confirmed(&fixture, "ann@example.com").await;
        fixture.sign_up("waits@example.com").await;
        for (path, known, unknown) in ASKED {
            // Noise of the machine passes by at the second or third attempt, or changes its sign; a leak is there
            // every time, in one direction.
            let mut seen: Vec<f64> = Vec::new();
            let alike = loop {
                let score = compare(&fixture, path, known, unknown, step).await;
                seen.push(score);
                // |z| under 2.58: p over 0.01.
                if score.abs() < 2.58 || seen[0].signum() != score.signum() {
                    break true;
                }
                if seen.len() == 4 || step.is_zero() {
                    break false;
                }
            };
            println!("{path}, answers at steps of {step:?}: z = {seen:.2?}");
            assert!(alike || step.is_zero(), "{path}: {known} is told from {unknown}: z = {seen:.2?}");
        }
    }
}

/// The z score of a Mann-Whitney test between the times of two addresses, asked in an order that alternates.
async fn compare(fixture: &Fixture, path: &str, known: &str, unknown: &str, step: Duration) -> f64 {
    let samples = samples();
    let mut times = Vec::with_capacity(2 * samples);
    for round in 0..samples {
        let pair = if round % 2 == 0 { [(0, known), (1, unknown)] } else { [(1, unknown), (0, known)] };
        for (group, email) in pair {
            let email = if email == "new" {
                format!("new{}@example.com", fixture.count("SELECT count(*) FROM auth_users").await)
            } else {
                email.to_owned()
            };
            let started = Instant::now();
            let reply = ask(fixture, path, &email).await;
            times.push((started.elapsed(), group));
            assert!(started.elapsed() >= step, "{path}: an answer before its time");
            let expected = if path == "/verify" { 403 } else { 200 };
            assert_eq!(reply.status.as_u16(), expected, "{}", reply.text);
        }
    }
    times.sort();
    let ranks: usize =
        times.iter().enumerate().filter(|(_, (_, group))| *group == 0).map(|(rank, _)| rank + 1).sum();
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let (n, ranks) = (samples as f64, ranks as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    (u - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt()
}

async fn ask(fixture: &Fixture, path: &str, email: &str) -> Reply {
    let body = match path {
        "/resend" => json!({ "type": "signup", "email": email }),
        "/verify" => json!({ "type": "email", "email": email, "token": "no such code" }),
        "/signup" => json!({ "email": email, "password": "a password of mine" }),
        "/otp" | "/magiclink" => json!({ "email": email, "create_user": false }),
        _ => json!({ "email": email }),
    };
    post(fixture, path, body).await
}
