//! A signing key from its publication to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aurora_core::session::token::SigningKeyState;
use aurora_core::types::Code;

use crate::common::{Fixture, Options};
use crate::{DAY, PUBLISHED, actions, common, kid, published, states, two};

/// attack J16, asvs(V13.3.4): a key is published before it signs, and verifies as long as a token of it can
/// live; a process that has not heard of it takes its tokens all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lives_from_its_publication_to_its_end() {
    use SigningKeyState::{Active, Pending, Retired, VerifyOnly};
    let (here, there) = two().await;
    let session = here.sign_up("ann@example.com").await;
    let first = kid(&session);
    assert_eq!(here.auth.advance_signing_keys().await.unwrap(), 0);
    let next = here.auth.prepare_signing_key().await.unwrap();
    assert_eq!(there.auth.prepare_signing_key().await.unwrap(), next, "one at a time");
    assert_eq!(states(&here).await, [Active, Pending]);
    assert_eq!(published(&here).await, [first.clone(), next.clone()], "known before it signs");
    here.advance(PUBLISHED - 1);
    assert_eq!(here.auth.advance_signing_keys().await.unwrap(), 0);
    let early = here.refresh(&session.refresh()).await;
    assert_eq!(kid(&early), first);
    here.advance(1);
    // Both processes' jobs at once: one moves the keys.
    let (one, two) = tokio::join!(here.auth.advance_signing_keys(), there.auth.advance_signing_keys());
    println!("moved {:?} and {:?}", one.as_ref().unwrap(), two.as_ref().unwrap());
    assert_eq!(one.unwrap() + two.unwrap(), 2, "one signs, one verifies");
    here.auth.sessions().reload_keys().await.unwrap();
    assert_eq!(states(&here).await, [VerifyOnly, Active]);
    let session = here.refresh(&early.refresh()).await;
    assert_eq!(kid(&session), next);
    for token in [early.access(), session.access()] {
        assert_eq!(here.user(&token).await.status, 200);
        assert_eq!(there.user(&token).await.status, 200);
    }
    // The longest that a token may live, and the time for which a process may not have heard.
    here.advance(3_600 + PUBLISHED - 1);
    assert_eq!(there.auth.advance_signing_keys().await.unwrap(), 0);
    assert_eq!(published(&there).await.len(), 2);
    here.advance(1);
    assert_eq!(there.auth.advance_signing_keys().await.unwrap(), 1);
    assert_eq!(states(&there).await, [Retired, Active]);
    assert_eq!(published(&there).await, [next]);
    let sealed = if common::on_postgres() { "octet_length(sealed)" } else { "length(sealed)" };
    assert_eq!(
        here.count(&format!("SELECT {sealed} FROM aurora_signing_keys ORDER BY id")).await,
        0,
        "wiped"
    );
    assert_eq!(actions(&here).await, ["signing_key_published", "signing_key_rotated", "signing_key_retired"]);
    // It starts again with what is left.
    assert_eq!(here.refresh(&session.refresh()).await.status, 200);
    here.auth.sessions().reload_keys().await.unwrap();
}

/// attack R03: refreshes from both sides while the key changes again and again: nobody is signed out, nothing is 5xx.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_amid_a_flood_of_refreshes_loses_nobody() {
    let (here, there) = two().await;
    let mut sessions = Vec::new();
    for number in 0..12 {
        sessions.push(here.sign_up(&format!("user{number}@example.com")).await.refresh());
    }
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut running = tokio::task::JoinSet::new();
    for (number, mut token) in sessions.into_iter().enumerate() {
        let (mut one, mut other) = (here.clone(), there.clone());
        if number % 2 == 0 {
            std::mem::swap(&mut one, &mut other);
        }
        let done = Arc::clone(&done);
        running.spawn(async move {
            let (mut count, mut names) = (0, std::collections::BTreeSet::new());
            while !done.load(Ordering::SeqCst) || count < 5 {
                let reply = one.refresh(&token).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                for fixture in [&one, &other] {
                    let user = fixture.user(&reply.access()).await;
                    assert_eq!(user.status, 200, "{}", user.text);
                }
                (token, count) = (reply.refresh(), count + 1);
                names.insert(kid(&reply));
            }
            (count, names)
        });
    }
    for round in 0..6 {
        let by = if round % 2 == 0 { &here } else { &there };
        by.auth.rotate_signing_key().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    done.store(true, Ordering::SeqCst);
    let (mut refreshes, mut names) = (0, std::collections::BTreeSet::new());
    while let Some(one) = running.join_next().await {
        let (count, seen) = one.unwrap();
        refreshes += count;
        names.extend(seen);
    }
    println!("{refreshes} refreshes under {} keys, nobody lost", names.len());
    assert!(names.len() >= 3, "the keys changed while they came: {}", names.len());
    assert_eq!(here.count("SELECT count(*) FROM auth_sessions").await, 12);
    let active = states(&here).await.into_iter().filter(|state| *state == SigningKeyState::Active).count();
    assert_eq!(active, 1);
}

/// asvs(V13.3.4): without anybody's doing, a new key signs every 90 days.
#[tokio::test]
async fn the_calendar_rotates() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    for round in 1..=3_u64 {
        // The one that signs does so since before its predecessor was retired.
        let since = if round > 1 { 3_600 + PUBLISHED } else { 0 };
        fixture.advance(90 * DAY - 1 - since);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0, "round {round}");
        fixture.advance(1);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 1, "published");
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0, "once");
        fixture.advance(PUBLISHED);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 2, "it signs");
        fixture.advance(3_600 + PUBLISHED);
        assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 1, "the former is retired");
    }
    assert_eq!(published(&fixture).await.len(), 1);
    assert_ne!(published(&fixture).await[0], kid(&session));
    let mut off = Options::default();
    off.settings.tokens.rotate_every = None;
    let fixture = Fixture::with(off).await;
    fixture.advance(4_000 * DAY);
    assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0);
}

/// A key that was stolen ends by hand.
#[tokio::test]
async fn a_stolen_key_is_retired_by_hand() {
    let fixture = Fixture::new().await;
    let session = fixture.sign_up("ann@example.com").await;
    let stolen = kid(&session);
    let signs = fixture.auth.retire_signing_key(&stolen).await.unwrap_err();
    assert_eq!(signs.code(), Code::ValidationFailed);
    let new = fixture.auth.rotate_signing_key().await.unwrap();
    fixture.auth.retire_signing_key(&stolen).await.unwrap();
    fixture.auth.retire_signing_key(&stolen).await.unwrap();
    assert_eq!(fixture.user(&session.access()).await.code(), "bad_jwt");
    let again = fixture.refresh(&session.refresh()).await;
    assert_eq!((again.status.as_u16(), kid(&again)), (200, new.clone()), "nobody is signed out");
    // One that waited when the other was stolen never signs, and another may be made.
    let waited = fixture.auth.prepare_signing_key().await.unwrap();
    let new = fixture.auth.rotate_signing_key().await.unwrap();
    assert!(!published(&fixture).await.contains(&waited));
    assert_eq!(fixture.count("SELECT count(*) FROM aurora_signing_keys WHERE state = 'pending'").await, 0);
    let unknown = fixture.auth.retire_signing_key("nobody's").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    // One that waits may be given up, too; another takes its place.
    let waiting = fixture.auth.prepare_signing_key().await.unwrap();
    fixture.auth.retire_signing_key(&waiting).await.unwrap();
    fixture.advance(2 * PUBLISHED);
    assert_eq!(fixture.auth.advance_signing_keys().await.unwrap(), 0);
    assert_eq!(published(&fixture).await.last(), Some(&new));
    let wanted = "rotated retired published retired rotated published retired";
    let events = actions(&fixture).await;
    let events: Vec<&str> = events.iter().map(|action| &action["signing_key_".len()..]).collect();
    assert_eq!(events.join(" "), wanted);
}
