//! Links and hosts that others made up.

use std::time::Duration;

use aurora_core::load::Quota;
use aurora_core::mail::Kind;
use aws_lc_rs::digest::{SHA256, digest};
use http::Request;
use serde_json::json;

use crate::common::mailed::{SITE, confirmed, location, mail, options, parameter, post, press, token};
use crate::common::{ANON_KEY, Fixture};
use crate::{common, fixture};

/// attack S09
#[tokio::test]
async fn links_lead_nowhere_else() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    for (wanted, expected) in [
        ("https://spa.example.com/a", "https://spa.example.com/a"),
        ("https://evil.test/", SITE),
        ("//evil.test", SITE),
        ("https://spa.example.com.evil.test/", SITE),
        ("https://spa.example.com@evil.test/", SITE),
        ("javascript:alert(1)", SITE),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        post(&fixture, &format!("/recover?redirect_to={encoded}"), json!({ "email": "ann@example.com" }))
            .await;
        fixture.send_mails().await;
        let mails = fixture.mailbox.mails();
        let recoveries = mails.iter().filter(|mail| mail.kind == Kind::Recovery);
        let newest = recoveries.max_by_key(|mail| mail.created_at).unwrap();
        let link = newest.link.clone().unwrap();
        assert_eq!(parameter(&link, "redirect_to"), expected, "{wanted}");
        // Nor does a link that was edited on its way.
        let edited = link.split("&redirect_to=").next().unwrap().to_owned() + "&redirect_to=" + &encoded;
        let pressed = press(&fixture, &edited).await;
        assert!(location(&pressed).starts_with(&format!("{expected}#")), "{wanted}: {}", location(&pressed));
        fixture.advance(1);
    }
}

/// attack E01
#[tokio::test]
async fn forged_hosts_are_in_no_mail() {
    let fixture = Fixture::with({
        let mut options = options();
        options.settings.profile = aurora_core::config::Profile::Production;
        options.settings.site_url = "https://app.example.com".to_owned();
        options
    })
    .await;
    confirmed(&fixture, "ann@example.com").await;
    let request = Request::post("/auth/v1/recover")
        .header("host", "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.test")
        .header("apikey", ANON_KEY)
        .header("content-type", "application/json")
        .body(br#"{"email":"ann@example.com"}"#.to_vec())
        .unwrap();
    assert_eq!(fixture.send(request, "192.0.2.1").await.status, 200);
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    assert!(mail.link.as_deref().unwrap().starts_with("https://app.example.com/auth/v1/verify?"));
    assert!(!mail.text.contains("evil") && !mail.html.contains("evil"));
}

/// attack E03
#[tokio::test]
async fn nothing_in_the_tables_is_a_token_or_a_code() {
    let fixture = fixture().await;
    confirmed(&fixture, "ann@example.com").await;
    post(&fixture, "/recover", json!({ "email": "ann@example.com" })).await;
    let mail = mail(&fixture, Kind::Recovery, "ann@example.com").await;
    let rows = if common::on_postgres() {
        "SELECT encode(link_hash, 'hex'), encode(code_hash, 'hex'), encode(sealed, 'hex') FROM auth.one_time_tokens"
    } else {
        "SELECT hex(link_hash), hex(code_hash), hex(sealed) FROM auth_one_time_tokens"
    };
    let rows = fixture.database.rows(rows).await;
    assert!(!rows.is_empty());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let code = mail.code.clone().unwrap();
    let forms = [
        hex(token(&mail).as_bytes()),
        hex(digest(&SHA256, token(&mail).as_bytes()).as_ref()),
        hex(code.as_bytes()),
        hex(digest(&SHA256, code.as_bytes()).as_ref()),
    ];
    for value in rows.iter().flatten().flatten() {
        for form in &forms {
            assert!(!value.to_lowercase().contains(form), "a row holds what opens a door");
        }
    }
}

#[tokio::test]
async fn mails_are_counted_alike_for_known_and_unknown() {
    let mut options = options();
    options.limits.mail_to = Quota::new(2, Duration::from_secs(120));
    let fixture = Fixture::with(options).await;
    confirmed(&fixture, "ann@example.com").await;
    fixture.send_mails().await;
    let mut seen = Vec::new();
    for email in ["ann@example.com", "bob@example.com"] {
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(post(&fixture, "/recover", json!({ "email": email })).await.code().to_owned());
        }
        seen.push(codes);
    }
    // Ann's registration counted as one.
    assert_eq!(seen[0], ["", "over_email_send_rate_limit", "over_email_send_rate_limit"]);
    assert_eq!(seen[1], ["", "", "over_email_send_rate_limit"]);
}
