//! Recovery codes, and what goes with a factor.

use std::collections::BTreeSet;

use aurora_core::mail::Kind;
use serde_json::{Value, json};

use crate::common::PASSWORD;
use crate::{
    add, challenge_and_verify, claims, fixture, generate, made, mails, methods, now_code, post, recover,
    refused, two, with_factor,
};

/// asvs(V6.5.1, V6.5.2, V6.5.3, V15.4.1): ten of 80 random bits, each good once, also for many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recovery_codes_are_good_once() {
    let (here, there) = two().await;
    let ann = with_factor(&here, "ann@example.com").await;
    there.advance(30);
    let codes = generate(&here, &ann.token).await;
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
    assert!(codes.iter().all(|code| code.len() == 16), "sixteen characters of five bits: {codes:?}");
    let weak = here.sign_in("ann@example.com", PASSWORD).await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..20 {
        let fixture = if number % 2 == 0 { here.clone() } else { there.clone() };
        let (token, code) = (weak.access(), codes[0].clone());
        crowd.spawn(async move { recover(&fixture, &token, &code).await });
    }
    let mut good = Vec::new();
    while let Some(reply) = crowd.join_next().await {
        let reply = reply.unwrap();
        if reply.status == 200 {
            good.push(reply);
        } else {
            refused(&reply, 422, "mfa_verification_failed");
        }
    }
    assert_eq!(good.len(), 1);
    let raised = good.pop().unwrap();
    assert_eq!(
        (&claims(&raised.access())["aal"], methods(&raised.access())),
        (&json!("aal2"), vec!["mfa/recovery_code".into(), "password".into()])
    );
    let used = here.audit().await.into_iter().find(|row| row.action == "recovery_code_used").unwrap();
    assert_eq!(used.payload["left"], "9");
    // Another user's code is none, in whatever spelling; one's own is typed as people do.
    let bob = with_factor(&here, "bob@example.com").await;
    refused(&recover(&here, &bob.token, &codes[1]).await, 422, "mfa_verification_failed");
    let lower = codes[1].to_lowercase();
    let typed = format!("{} {}-{} {}", &lower[..4], &lower[4..8], &lower[8..12], &lower[12..]);
    let raised = recover(&here, &raised.access(), &typed).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    // New ones stand in for the old; making them wants a factor of the last ten minutes.
    let again = "/factors/recovery-codes/regenerate";
    let next = made(&post(&here, again, &raised.access(), json!({})).await);
    refused(&recover(&here, &raised.access(), &codes[2]).await, 422, "mfa_verification_failed");
    here.advance(601);
    let stale = post(&here, again, &raised.access(), json!({})).await;
    refused(&stale, 403, "insufficient_aal");
    assert_eq!(stale.json["step_up"], json!({ "aal": "aal2", "max_age": 600 }));
    assert_eq!(recover(&here, &raised.access(), &next[0]).await.status, 200);
    for text in ["", "x", &"A".repeat(100_000)] {
        assert!(matches!(recover(&here, &raised.access(), text).await.status.as_u16(), 400 | 422));
    }
}

/// What the official client asks of recovery codes beside making and using them.
#[tokio::test]
async fn recovery_codes_are_counted_made_again_and_removed() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let bob = with_factor(&fixture, "bob@example.com").await;
    let (path, again) = ("/factors/recovery-codes", "/factors/recovery-codes/regenerate");
    let status = async |token: &str| fixture.call("GET", path, Some(token), Value::Null).await;
    let remove = async |token: &str| fixture.call("DELETE", path, Some(token), Value::Null).await;
    for none in [
        status(&ann.token).await,
        post(&fixture, again, &ann.token, json!({})).await,
        remove(&ann.token).await,
    ] {
        refused(&none, 404, "mfa_factor_not_found");
    }

    let first = post(&fixture, path, &ann.token, json!({ "friendly_name": "on paper" })).await;
    let (id, codes) = (first.json["id"].clone(), made(&first));
    assert_eq!((&first.json["type"], &first.json["total"]), (&json!("recovery_code"), &json!(10)));
    let is_bare = |code: &String| code.len() == 16 && code.chars().all(|c| c.is_ascii_alphanumeric());
    assert!(codes.len() == 10 && codes.iter().all(is_bare), "{codes:?}");
    // Another session may ask how many there are, at the first level, and for no more.
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    let told = status(&weak).await;
    let of_ann = |left: u32| json!({ "id": id, "type": "recovery_code", "total": 10, "remaining": left });
    assert_eq!((told.status.as_u16(), &told.json), (200, &of_ann(10)));
    refused(&status(&bob.token).await, 404, "mfa_factor_not_found");
    refused(&post(&fixture, again, &weak, json!({})).await, 403, "insufficient_aal");
    refused(&remove(&weak).await, 422, "insufficient_aal");
    refused(&post(&fixture, path, &ann.token, json!({})).await, 422, "mfa_verified_factor_exists");
    assert_eq!(status(&weak).await.json, of_ann(10), "what was refused changed nothing");

    let second = post(&fixture, again, &ann.token, json!({})).await;
    assert_eq!(second.json["id"], id);
    refused(&recover(&fixture, &weak, &codes[0]).await, 422, "mfa_verification_failed");
    let codes = made(&second);
    let raised = recover(&fixture, &weak, &codes[0]).await.access();
    assert_eq!(status(&raised).await.json, of_ann(9));
    let bobs = post(&fixture, path, &bob.token, json!({})).await;
    assert_ne!(bobs.json["id"], id);
    assert_eq!(remove(&raised).await.json, json!({ "id": id }));
    refused(&status(&raised).await, 404, "mfa_factor_not_found");
    refused(&recover(&fixture, &raised, &codes[1]).await, 422, "mfa_verification_failed");
    assert_eq!(status(&bob.token).await.json["remaining"], 10, "another's stay");
    assert_eq!(
        fixture.user(&raised).await.json["factors"][0]["id"],
        ann.factor.as_str(),
        "so does the factor"
    );

    let told = mails(&fixture, Kind::RecoveryCodesChanged).await;
    assert_eq!(told, 4, "each owner is told: thrice Ann, once Bob");

    let records: Vec<_> = fixture.audit().await.into_iter().filter(|row| row.actor == ann.id).collect();
    let made: Vec<_> = records.iter().filter(|row| row.action == "recovery_codes_generated").collect();
    assert_eq!(made.iter().map(|row| &row.payload["instead_of"]).collect::<Vec<_>>(), ["0", "10"]);
    let removed = records.iter().find(|row| row.action == "recovery_codes_removed").unwrap();
    assert_eq!((&removed.payload["left"], removed.kind.as_str()), (&json!("9"), "security"));
    assert_eq!(removed.target.as_deref(), Some(ann.id.as_str()));
    let denied = records.iter().filter(|row| row.action == "factor_refused");
    let reasons: Vec<&str> = denied.map(|row| row.payload["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "no recovery codes",
            "no recovery codes",
            "needs a fresh factor",
            "needs aal2",
            "recovery codes exist",
            "wrong recovery code",
            "wrong recovery code",
        ]
    );
}

/// asvs(V6.5.6): a lost factor goes, and what it raised with it.
#[tokio::test]
async fn a_factor_takes_along_what_it_raised() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let (second, _, here) = add(&fixture, &ann.token, "tablet").await;
    generate(&fixture, &here.access()).await;
    // Another device, by the first factor; this one was raised by the second last.
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let there =
        challenge_and_verify(&fixture, &weak.access(), &ann.factor, &now_code(&fixture, &ann.secret)).await;
    assert_eq!(there.status, 200, "{}", there.text);
    let gone =
        fixture.call("DELETE", &format!("/factors/{}", ann.factor), Some(&here.access()), Value::Null).await;
    assert_eq!(gone.json, json!({ "id": ann.factor }));
    refused(&fixture.user(&there.access()).await, 403, "session_not_found");
    let kept = fixture.refresh(&here.refresh()).await;
    assert_eq!(claims(&kept.access())["aal"], "aal2", "the factor that raised it is there");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 10);
    let last = fixture.call("DELETE", &format!("/factors/{second}"), Some(&kept.access()), Value::Null).await;
    assert_eq!(last.status, 200, "{}", last.text);
    let fallen = fixture.refresh(&kept.refresh()).await;
    assert_eq!(
        (&claims(&fallen.access())["aal"], methods(&fallen.access())),
        (&json!("aal1"), vec!["password".to_owned()])
    );
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 0);
    assert_eq!(fallen.json["user"].get("factors"), None);
    let path = format!("/factors/{second}/challenge");
    refused(&post(&fixture, &path, &fallen.access(), json!({})).await, 404, "mfa_factor_not_found");
}
