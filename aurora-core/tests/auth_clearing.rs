//! Users who never confirmed, and anonymous ones who cannot come back, are cleared away; nobody else is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aurora_core::auth::NewUser;
use aurora_core::env::SystemEntropy;
use aurora_core::jobs::{Jobs, Wake};
use aurora_core::mail::Kind;
use common::mailed::{by_link, by_service, confirmed, mail, options, post, token};
use common::{Fixture, Options};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

fn with_host_tables() -> Options {
    let mut options = options();
    options.settings.sign_ups.keep_anonymous = Some(Duration::from_secs(30 * DAY));
    options.schema = "CREATE TABLE profiles (user_id TEXT REFERENCES auth_users (id) ON DELETE CASCADE);
        CREATE TABLE invoices (user_id TEXT REFERENCES auth_users (id));
        CREATE TABLE orders (user_id TEXT REFERENCES auth_users (id) DEFERRABLE INITIALLY DEFERRED);";
    options.postgres_schema =
        "CREATE TABLE profiles (user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE);
        CREATE TABLE invoices (user_id uuid REFERENCES auth.users (id));
        CREATE TABLE orders (user_id uuid REFERENCES auth.users (id) DEFERRABLE INITIALLY DEFERRED);";
    options
}

async fn left(fixture: &Fixture) -> Vec<String> {
    let rows =
        fixture.database.rows("SELECT email FROM auth_users WHERE email IS NOT NULL ORDER BY email").await;
    let name = |email: &str| email.trim_end_matches("@example.com").to_owned();
    rows.into_iter().map(|row| name(row[0].as_deref().unwrap())).collect()
}

/// The records of what was cleared away: how many, and why.
async fn told(fixture: &Fixture) -> Vec<(String, String)> {
    let all = fixture.audit().await;
    let cleared = all.into_iter().filter(|row| row.payload["how"] == "cleared away");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    cleared
        .map(|row| {
            assert_eq!(
                (row.actor.as_str(), row.action.as_str(), row.target),
                ("service", "user_deleted", None)
            );
            (text(&row.payload["users"]), text(&row.payload["why"]))
        })
        .collect()
}

/// asvs(V14.2.7)
#[tokio::test]
async fn who_never_confirmed_is_cleared_away_after_a_week() {
    let fixture = Fixture::with(with_host_tables()).await;
    for name in ["gone", "profiled", "invoiced", "ordered", "renewed", "linked"] {
        let user = fixture.sign_up(&format!("{name}@example.com")).await.user_id();
        for (owner, table) in [("profiled", "profiles"), ("invoiced", "invoices"), ("ordered", "orders")] {
            if owner == name {
                fixture.execute(&format!("INSERT INTO {table} VALUES ('{user}')")).await;
            }
        }
    }
    post(&fixture, "/otp", json!({ "email": "otp@example.com" })).await;
    confirmed(&fixture, "confirmed@example.com").await;
    // Whom the service brought stays, whatever strangers ask for at the address.
    let imported = NewUser {
        email: "imported@example.com".parse().unwrap(),
        password_hash: None,
        confirmed: false,
        user_metadata: None,
        app_metadata: None,
    };
    fixture.auth.create_user(imported).await.unwrap();
    by_service(&fixture, "POST", "/admin/users", json!({ "email": "added@example.com" })).await;
    by_service(&fixture, "POST", "/invite", json!({ "email": "invited@example.com" })).await;
    let wish = json!({ "type": "magiclink", "email": "generated@example.com" });
    by_service(&fixture, "POST", "/admin/generate_link", wish).await;
    for name in ["imported", "added", "invited", "generated"] {
        let email = format!("{name}@example.com");
        fixture.sign_up(&email).await;
        post(&fixture, "/resend", json!({ "type": "signup", "email": email })).await;
        post(&fixture, "/otp", json!({ "email": email })).await;
    }
    let everybody = left(&fixture).await;
    assert_eq!(everybody.len(), 12, "{everybody:?}");
    fixture.advance(6 * DAY);
    post(&fixture, "/resend", json!({ "type": "signup", "email": "renewed@example.com" })).await;
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 0);
    fixture.advance(DAY - 60);
    post(&fixture, "/recover", json!({ "email": "linked@example.com" })).await;
    let link = token(&mail(&fixture, Kind::Recovery, "linked@example.com").await);
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 0, "to the second");
    fixture.advance(61);
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 3);
    let stay = [
        "added",
        "confirmed",
        "generated",
        "imported",
        "invited",
        "invoiced",
        "linked",
        "ordered",
        "renewed",
    ];
    assert_eq!(left(&fixture).await, stay);
    for (table, rows) in [("profiles", 0), ("invoices", 1), ("orders", 1), ("auth_users", 9)] {
        assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    assert_eq!(by_link(&fixture, "recovery", &link).await.status, 200, "a link that is good is good");
    let counted: u64 = told(&fixture).await.iter().map(|(users, _)| users.parse::<u64>().unwrap()).sum();
    assert_eq!(counted, 3);
    assert!(told(&fixture).await.iter().all(|(_, why)| why == "never confirmed"));
    // The address is free again, and those who are held on to do not keep others from being cleared away.
    fixture.sign_up("gone@example.com").await;
    fixture.advance(8 * DAY);
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 2, "gone and renewed");
    println!("12 users: 3 cleared away, 2 held on to by foreign keys, 7 stay");
}

#[tokio::test]
async fn anonymous_users_go_when_they_cannot_come_back() {
    let mut options = with_host_tables();
    options.settings.tokens.recent_sign_in = Duration::from_secs(365 * DAY);
    let fixture = Fixture::with(options).await;
    let mut sessions = Vec::new();
    for _ in 0..130 {
        sessions.push(post(&fixture, "/signup", json!({})).await);
    }
    fixture.advance(20 * DAY);
    let stays = fixture.refresh(&sessions[7].refresh()).await;
    let upgrading = fixture.refresh(&sessions[8].refresh()).await;
    fixture.advance(11 * DAY);
    // Every one of them has a session still, though most are over: no sign-in has swept them yet.
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 0);
    confirmed(&fixture, "ann@example.com").await;
    let asked = fixture.refresh(&upgrading.refresh()).await;
    fixture.call("PUT", "/user", Some(&asked.access()), json!({ "email": "new@example.com" })).await;
    let link = token(&mail(&fixture, Kind::EmailChangeNew, "new@example.com").await);
    fixture.call("POST", "/logout?scope=local", Some(&asked.access()), Value::Null).await;
    assert_eq!(fixture.auth.clear_away().await.unwrap(), 128);
    assert_eq!(fixture.user(&fixture.refresh(&stays.refresh()).await.access()).await.status, 200);
    assert_eq!(by_link(&fixture, "email_change", &link).await.status, 200, "on the way to be known");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_users").await, 3);
    assert_eq!(told(&fixture).await.iter().map(|(users, _)| users.parse::<u64>().unwrap()).sum::<u64>(), 128);
    println!("130 anonymous users in {} batches", told(&fixture).await.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_clears_at_a_time_and_none_where_everybody_is_kept() {
    // Shorter than the lease, so that there is something to do while it holds.
    let hasty = || {
        let mut options = options();
        options.settings.sign_ups.keep_unconfirmed = Some(Duration::from_secs(1_800));
        options
    };
    let one = hasty();
    let (path, start_key) = (one.path.clone(), one.start_key.clone());
    let here = Fixture::with(one).await;
    let there = Fixture::with(Options { path, start_key, ..hasty() }).await;
    let entropy = Arc::new(SystemEntropy);
    let (jobs, wakes) =
        ([Jobs::new(entropy.clone()), Jobs::new(entropy)], [Wake::default(), Wake::default()]);
    for ((jobs, fixture), wake) in jobs.iter().zip([&here, &there]).zip(&wakes) {
        jobs.start(fixture.auth.clearing().unwrap().unwrap().woken_by(wake));
    }
    let until = async |question: &str, wanted: i64| {
        for _ in 0..500 {
            if here.count(question).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(here.count(question).await, wanted, "{question}");
    };
    wakes[0].wake();
    until("SELECT count(*) FROM aurora_slots", 1).await;
    here.sign_up("gone@example.com").await;
    for fixture in [&here, &there] {
        fixture.advance(3_600);
    }
    // The first one renews its lease by clearing; the second one finds it taken.
    wakes[0].wake();
    until("SELECT count(*) FROM auth_users", 0).await;
    here.sign_up("next@example.com").await;
    for fixture in [&here, &there] {
        fixture.advance(3_600);
    }
    wakes[1].wake();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(here.count("SELECT count(*) FROM auth_users").await, 1);
    for fixture in [&here, &there] {
        fixture.advance(3_600);
    }
    wakes[1].wake();
    until("SELECT count(*) FROM auth_users", 0).await;
    for jobs in jobs {
        jobs.close().await;
    }
    assert_eq!(here.count("SELECT count(*) FROM aurora_slots").await, 0);
    let mut options = options();
    options.settings.sign_ups.keep_unconfirmed = None;
    assert!(Fixture::with(options).await.auth.clearing().unwrap().is_none());
}
