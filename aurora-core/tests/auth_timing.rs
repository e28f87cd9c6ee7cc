//! Whether an address exists cannot be told from how long the answer takes. Alone in its program: other tests that
//! hash beside it would be what is measured.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use aurora_core::load::Quota;
use common::{Fixture, Options, PASSWORD};

/// Samples a side: a leak of a tenth shows in the short run, one of a hundredth in the long one (`AURORA_LONG=1`).
fn samples() -> usize {
    if std::env::var_os("AURORA_LONG").is_some() { 2_000 } else { 60 }
}

/// attack P01: one body, and by a rank test one distribution of times.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_banned_unconfirmed_and_wrong_take_the_same_time() {
    let mut options = Options::in_production();
    options.limits.guesses = Quota::new(100_000, Duration::from_secs(60));
    options.limits.request = Quota::new(100_000, Duration::from_secs(60));
    options.limits.sign_in = Quota::new(100_000, Duration::from_secs(60));
    let fixture = Fixture::with(options).await;
    fixture.sign_up("ann@example.com").await;
    let banned = fixture.sign_up("bob@example.com").await.user_id().parse().unwrap();
    fixture.auth.ban(banned, fixture.now().plus(Duration::from_secs(86_400))).await.unwrap();
    fixture.sign_up("cid@example.com").await;
    fixture.execute("UPDATE auth_users SET email_confirmed_at = NULL WHERE email = 'cid@example.com'").await;
    assert_eq!(fixture.sign_in("cid@example.com", PASSWORD).await.code(), "email_not_confirmed");
    let wrong = "ann@example.com";
    for other in ["eve@example.com", "bob@example.com", "cid@example.com"] {
        // Noise of the machine passes by at the second or third attempt, or changes its sign; a leak is there every
        // time, in one direction.
        let mut seen: Vec<f64> = Vec::new();
        let alike = loop {
            let score = compare(&fixture, wrong, other).await;
            seen.push(score);
            // |z| under 2.58: p over 0.01.
            if score.abs() < 2.58 || seen[0].signum() != score.signum() {
                break true;
            }
            if seen.len() == 4 {
                break false;
            }
        };
        println!("{other}: z = {seen:.2?}");
        assert!(alike, "{other} is told from {wrong}: z = {seen:.2?}");
    }
}

/// The z score of a Mann-Whitney test between the times of two addresses, asked in an order that alternates.
async fn compare(fixture: &Fixture, one: &str, other: &str) -> f64 {
    let samples = samples();
    let mut times = Vec::with_capacity(2 * samples);
    for round in 0..samples {
        let pair = if round % 2 == 0 { [(0, one), (1, other)] } else { [(1, other), (0, one)] };
        for (group, email) in pair {
            let started = Instant::now();
            let reply = fixture.sign_in(email, "a wrong password").await;
            times.push((started.elapsed(), group));
            assert_eq!(reply.text, r#"{"code":"invalid_credentials","message":"Invalid login credentials"}"#);
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
