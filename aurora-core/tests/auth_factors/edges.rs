//! Names and numbers, strangers, the service.

use std::time::Duration;

use aurora_core::mail::Kind;
use serde_json::{Value, json};

use crate::common::{Fixture, PASSWORD};
use crate::{
    add, answer, by_service, challenge, challenge_and_verify, enroll, fixture, generate, mails, now_code,
    options, post, refused, with_factor,
};

#[tokio::test]
async fn names_kinds_and_numbers() {
    let fixture = fixture().await;
    let session = fixture.sign_up("ann@example.com").await;
    let token = session.access();
    // One that never counted gives way to another of its name.
    let (one, two) = (enroll(&fixture, &token, "phone").await, enroll(&fixture, &token, "phone").await);
    assert_ne!(one.json["id"], two.json["id"]);
    assert_eq!(fixture.user(&token).await.json["factors"].as_array().unwrap().len(), 1);
    enroll(&fixture, &token, "old").await;
    fixture.advance(301);
    let (factor, _, raised) = add(&fixture, &token, "phone").await;
    let factors = fixture.user(&raised.access()).await.json["factors"].clone();
    assert_eq!(factors.as_array().unwrap().len(), 1, "{factors}: what ran out is gone");
    let taken = enroll(&fixture, &raised.access(), "phone").await;
    refused(&taken, 422, "mfa_factor_name_conflict");
    assert_eq!(
        taken.json["message"],
        "A factor with the friendly name \"phone\" for this user already exists"
    );
    for number in 1..10 {
        let reply = enroll(&fixture, &raised.access(), &format!("phone {number}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    refused(&enroll(&fixture, &raised.access(), "one more").await, 422, "too_many_enrolled_mfa_factors");
    for (kind, status, code) in [
        ("phone", 422, "mfa_phone_enroll_not_enabled"),
        ("webauthn", 422, "mfa_webauthn_enroll_not_enabled"),
        ("sms", 400, "validation_failed"),
        ("", 400, "validation_failed"),
    ] {
        let body = json!({ "factor_type": kind, "friendly_name": "x", "phone": "+4912345" });
        refused(&post(&fixture, "/factors", &raised.access(), body).await, status, code);
    }
    for (name, text) in [("friendly_name", "x".repeat(101)), ("issuer", "a\nb".to_owned())] {
        let mut body = json!({ "factor_type": "totp" });
        body[name] = json!(text);
        refused(&post(&fixture, "/factors", &raised.access(), body).await, 400, "validation_failed");
    }
    let path = format!("/factors/{factor}");
    let removed = fixture.call("DELETE", &path, Some(&raised.access()), Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    let named = json!({ "factor_type": "totp", "issuer": "My Shop", "friendly_name": "shop" });
    let named = post(&fixture, "/factors", &token, named).await;
    let uri = named.json["totp"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/My%20Shop:ann%40example.com?"), "{uri}");
}

#[tokio::test]
async fn nobody_known_and_nobody_live_has_no_factor() {
    let mut chosen = options();
    chosen.settings.sign_ups.anonymous = true;
    let fixture = Fixture::with(chosen).await;
    let visitor = fixture.call("POST", "/signup", None, json!({})).await;
    let refusal = enroll(&fixture, &visitor.access(), "phone").await;
    refused(&refusal, 403, "no_authorization");
    assert_eq!(refusal.json["message"], "Anonymous user not allowed to perform these actions");
    let ann = with_factor(&fixture, "ann@example.com").await;
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let asked = challenge(&fixture, &weak.access(), &ann.factor).await;
    fixture.auth.ban(ann.id.parse().unwrap(), fixture.now().plus(Duration::from_secs(60))).await.unwrap();
    let code = now_code(&fixture, &ann.secret);
    refused(&answer(&fixture, &weak.access(), &ann.factor, &asked, &code).await, 403, "session_not_found");
}

/// asvs(V6.4.6, V6.5.6): the service sees and removes factors, and sees no seed.
#[tokio::test]
async fn the_service_removes_a_lost_factor() {
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    generate(&fixture, &ann.token).await;
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await;
    let path = format!("/admin/users/{}/factors", ann.id);
    let listed = by_service(&fixture, "GET", &path).await;
    assert_eq!(listed.json.as_array().unwrap().len(), 1, "{}", listed.text);
    assert_eq!((&listed.json[0]["id"], &listed.json[0]["status"]), (&json!(ann.factor), &json!("verified")));
    assert!(!listed.text.contains(&ann.secret));
    let nobody = "00000000-0000-4000-8000-000000000000";
    refused(&by_service(&fixture, "DELETE", &format!("{path}/{nobody}")).await, 404, "mfa_factor_not_found");
    refused(&by_service(&fixture, "DELETE", &format!("{path}/x")).await, 404, "validation_failed");
    refused(
        &by_service(&fixture, "GET", &format!("/admin/users/{nobody}/factors")).await,
        404,
        "user_not_found",
    );
    let eve = with_factor(&fixture, "eve@example.com").await;
    let foreign = format!("/admin/users/{}/factors/{}", eve.id, ann.factor);
    refused(&by_service(&fixture, "DELETE", &foreign).await, 404, "mfa_factor_not_found");
    refused(
        &fixture.call("DELETE", &format!("{path}/{}", ann.factor), Some(&ann.token), Value::Null).await,
        403,
        "not_admin",
    );
    let removed = by_service(&fixture, "DELETE", &format!("{path}/{}", ann.factor)).await;
    assert_eq!((&removed.json["id"], &removed.json["factor_type"]), (&json!(ann.factor), &json!("totp")));
    refused(&fixture.user(&ann.token).await, 403, "session_not_found");
    assert_eq!(fixture.user(&weak.access()).await.status, 200, "a first factor's session goes on");
    assert_eq!(by_service(&fixture, "GET", &path).await.text, "[]");
    assert_eq!(fixture.count("SELECT count(*) FROM auth_mfa_recovery_codes").await, 0);
    let record = fixture.audit().await.into_iter().find(|row| row.action == "factor_deleted").unwrap();
    assert_eq!((record.actor.as_str(), record.target), ("service", Some(ann.id.clone())));
    assert_eq!(mails(&fixture, Kind::FactorRemoved).await, 1);
    // Deleted users leave nothing, also those who are deleted but for the row.
    generate(&fixture, &eve.token).await;
    fixture.auth.retire_user(eve.id.parse().unwrap()).await.unwrap();
    let bob = with_factor(&fixture, "bob@example.com").await;
    fixture.auth.delete_user(bob.id.parse().unwrap()).await.unwrap();
    for table in ["auth_mfa_factors", "auth_mfa_challenges", "auth_mfa_recovery_codes"] {
        assert_eq!(fixture.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

/// asvs(V7.5.3): a route of the host's asks for a factor that was used lately, and says so.
#[tokio::test]
async fn a_route_asks_for_a_fresh_factor() {
    use aurora_core::http::{Claims, Peer};
    let fixture = fixture().await;
    let ann = with_factor(&fixture, "ann@example.com").await;
    let peer = Peer::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
    let within = Duration::from_secs(300);
    let admit = async |token: &str| {
        let request = http::Request::get("/pay")
            .header("authorization", format!("Bearer {token}"))
            .header("x-supabase-api-version", "2024-01-01");
        fixture.http.admit(&request.body(()).unwrap().into_parts().0, peer).await.unwrap()
    };
    let fresh = admit(&ann.token).await.fresh::<Claims>(within).unwrap();
    assert_eq!((fresh.id().to_string(), fresh.claims().aal.as_str()), (ann.id.clone(), "aal2"));
    fixture.advance(270);
    assert!(admit(&ann.token).await.fresh::<Claims>(within).is_ok(), "the last second");
    fixture.advance(1);
    let weak = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    for token in [&ann.token, &weak] {
        let admitted = admit(token).await;
        let error = admitted.fresh::<Claims>(within).unwrap_err();
        let response = admitted.error_response(&error);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(body["code"], "insufficient_aal");
        assert_eq!(body["step_up"], json!({ "aal": "aal2", "max_age": 300 }));
    }
    // A refresh is no use of the factor, a new code is.
    let refreshed = fixture.refresh(&ann.refresh).await.access();
    assert!(admit(&refreshed).await.fresh::<Claims>(within).is_err());
    let raised = challenge_and_verify(&fixture, &weak, &ann.factor, &now_code(&fixture, &ann.secret)).await;
    assert!(admit(&raised.access()).await.fresh::<Claims>(within).is_ok());
    assert!(admit(&weak).await.fresh::<Claims>(within).is_err(), "the token of before says what it said");
}
