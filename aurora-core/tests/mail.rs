//! Mails on both engines: from the outbox through SMTP to a real server.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;
mod mail_server;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_core::env::SystemEntropy;
use aurora_core::jobs::Jobs;
use aurora_core::mail::{Kind, Message, Smtp, Template, Templates};
use common::mail::{CODE, LINK, confirmation, notice, put, records, to, waiting};
use common::{Fixture, Options, PASSWORD};
use mail_server::{Server, certificates};
use serde_json::json;

const SENDER: &str = "Notes <no-reply@notes.example.com>";

fn smtp(url: &str) -> Smtp {
    Smtp::from_url(&url.into(), SENDER).unwrap()
}

/// A fixture whose mails go to that server.
async fn sending_to(server: &Server) -> Fixture {
    Fixture::with(to(smtp(&format!("smtp://127.0.0.1:{}", server.port)))).await
}

/// asvs(V1.3.11)
#[tokio::test]
async fn a_mail_arrives_with_its_headers_and_both_parts() {
    let server = Server::plain();
    let fixture = sending_to(&server).await;
    put(&fixture, &confirmation("Ann.Lee+tag@Example.com")).await;
    let id = fixture.database.rows("SELECT id FROM aurora_outbox").await[0][0].clone().unwrap();
    assert_eq!(fixture.send_mails().await, 1);
    let mail = server.wait("mail", 1).await.remove(0);
    println!("{}", mail["raw"].as_str().unwrap());
    assert_eq!(mail["sender"], "no-reply@notes.example.com");
    assert_eq!(mail["recipients"], json!(["ann.lee+tag@example.com"]));
    assert_eq!(mail["from"], "\"Notes\" <no-reply@notes.example.com>");
    assert_eq!(mail["to"], "ann.lee+tag@example.com");
    assert_eq!(mail["subject"], "Confirm your address");
    assert_eq!(mail["id"], format!("<{id}@notes.example.com>"));
    assert_eq!(mail["date"], "2027-01-15T08:00:00.000Z");
    assert_eq!(mail["automatic"], "auto-generated");
    assert_eq!(mail["attachments"], 0);
    let text = mail["text"].as_str().unwrap();
    assert!(text.lines().any(|line| line == LINK), "whole and alone: {text}");
    assert!(text.contains(CODE) && text.contains("within 1 hour"), "{text}");
    let html = mail["html"].as_str().unwrap();
    assert!(html.contains(&format!("<a href=\"{}\"", LINK.replace('&', "&amp;"))), "{html}");
    assert!(html.contains(CODE));
    assert_eq!(waiting(&fixture).await, 0);
    let recorded = records(&fixture).await;
    let details = json!({ "kind": "confirmation", "mail": id, "tries": "1" });
    assert_eq!(recorded, [("mail_sent".to_owned(), details)]);
    assert_eq!(fixture.send_mails().await, 0, "once");
}

/// attack P20, asvs(V1.3.11)
#[tokio::test]
async fn no_value_adds_a_header_a_recipient_or_a_mail() {
    let server = Server::plain();
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let injected =
        "Evil\r\nBcc: eve@evil.test\r\nX-Evil: 1\r\n\r\n<b>body</b>\r\n.\r\nMAIL FROM:<eve@evil.test>";
    let own = Template {
        subject: "{{ device }} at {{ site }}, Grüße".to_owned(),
        text: "{{ device }}\n.\nRCPT TO:<eve@evil.test>\r\n.\r\nbare\rreturn\r.\rQUIT\n".to_owned(),
        html: "<p title=\"{{ device }}\">{{ device }}</p>".to_owned(),
    };
    let mut options = to(smtp(&url));
    options.templates = Templates::default().with(Kind::NewDevice, &own).unwrap();
    options.settings.site_url = "https://app.example.com/\r\nBcc: eve@evil.test".to_owned();
    let fixture = Fixture::with(options).await;
    for address in
        ["ann@example.com\r\nBcc: eve@evil.test", "ann@example.com>, <eve@evil.test", "a b@example.com"]
    {
        assert!(address.parse::<aurora_core::validate::Email>().is_err());
    }
    put(&fixture, &Message::new(Kind::NewDevice, "ann@example.com".parse().unwrap()).device(injected)).await;
    assert_eq!(fixture.send_mails().await, 1);
    let mail = server.wait("mail", 1).await.remove(0);
    println!("{}", mail["raw"].as_str().unwrap());
    let mut headers: Vec<&str> =
        mail["headers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    headers.sort_unstable();
    let expected =
        ["auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to"];
    assert_eq!(headers, expected);
    assert_eq!(mail["recipients"], json!(["ann@example.com"]));
    let subject = mail["subject"].as_str().unwrap();
    assert!(
        subject.starts_with("Evil??Bcc: eve@evil.test??X-Evil: 1") && subject.ends_with(", Grüße"),
        "{subject}"
    );
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("\n.\nRCPT TO:<eve@evil.test>\n.\nbare\nreturn\n.\nQUIT\n"), "{text:?}");
    assert!(
        !mail["raw"].as_str().unwrap().replace("\r\n", "").contains(['\r', '\n']),
        "one way to end a line"
    );
    assert!(!mail["html"].as_str().unwrap().contains("<b>"));
    for kind in ["mail", "sender", "recipient", "connection"] {
        assert_eq!(server.events(kind).len(), 1, "{kind}");
    }
}

/// asvs(V12.3.2)
#[tokio::test]
async fn certificates_are_verified_before_anything_is_said() {
    let made = certificates();
    let tls = json!({ "key": made.key, "cert": made.certificate, "user": "notes", "password": "p@ss:w/rd" });
    let mut implicit = tls.clone();
    implicit["secure"] = json!(true);
    let (implicit, upgraded, plain) = (Server::start(&implicit), Server::start(&tls), Server::plain());
    let first_byte = |host: &str| format!("smtps://notes:p%40ss%3Aw%2Frd@{host}:{}", implicit.port);
    let upgrade = |host: &str| format!("smtp://notes:p%40ss%3Aw%2Frd@{host}:{}?tls=required", upgraded.port);
    let trusting = |url: &str, root: &str| smtp(url).root_certificate(root.as_bytes()).unwrap();
    for (server, url) in [(&implicit, first_byte("localhost")), (&upgraded, upgrade("localhost"))] {
        let fixture = Fixture::with(to(trusting(&url, &made.authority))).await;
        put(&fixture, &confirmation("ann@example.com")).await;
        assert_eq!(fixture.send_mails().await, 1, "{url}");
        let mail = server.wait("mail", 1).await.remove(0);
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("notes")));
    }
    let said =
        || ["auth", "sender", "mail"].map(|kind| implicit.events(kind).len() + upgraded.events(kind).len());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = said();
    let refused = [
        ("an authority that nobody named", trusting(&first_byte("localhost"), &made.stranger)),
        ("the same after an upgrade", trusting(&upgrade("localhost"), &made.stranger)),
        ("no authority that browsers know", smtp(&first_byte("localhost"))),
        ("another name", trusting(&first_byte("127.0.0.1"), &made.authority)),
        ("another name after an upgrade", trusting(&upgrade("127.0.0.1"), &made.authority)),
        ("no upgrade", trusting(&format!("smtp://localhost:{}?tls=required", plain.port), &made.authority)),
    ];
    for (why, mailer) in refused {
        let fixture = Fixture::with(to(mailer)).await;
        put(&fixture, &confirmation("ann@example.com")).await;
        assert_eq!(fixture.send_mails().await, 0, "{why}");
        assert_eq!(waiting(&fixture).await, 1, "{why}: it waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(said(), before, "{why}: neither password nor mail was said");
    }
    assert_eq!(plain.events("sender").len(), 0);
    let wrong = format!("smtps://notes:wrong@localhost:{}", implicit.port);
    let fixture = Fixture::with(to(trusting(&wrong, &made.authority))).await;
    put(&fixture, &confirmation("ann@example.com")).await;
    assert_eq!(fixture.send_mails().await, 0);
    assert_eq!(waiting(&fixture).await, 1, "a wrong password of ours loses no mail");
    assert_eq!(records(&fixture).await, []);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
    let server = Server::plain();
    let fixture = sending_to(&server).await;
    for address in ["later2@example.com", "never@example.com", "unread@example.com"] {
        put(&fixture, &confirmation(address)).await;
    }
    assert_eq!(fixture.send_mails().await, 0);
    assert_eq!(waiting(&fixture).await, 1, "the one that may pass");
    let refused: Vec<String> = records(&fixture)
        .await
        .iter()
        .map(|(action, payload)| format!("{action}: {}", payload["reason"]))
        .collect();
    let mut sorted = refused.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "mail_failed: \"the mail server answered 550 5.1.1\"",
            "mail_failed: \"the mail server answered 554 5.6.0\""
        ]
    );
    assert_eq!(server.counted("recipient", 3).await, 3);
    assert_eq!(fixture.send_mails().await, 0);
    assert_eq!(server.counted("recipient", 3).await, 3, "not before its time");
    fixture.advance(36);
    assert_eq!(fixture.send_mails().await, 0);
    assert_eq!(server.counted("recipient", 4).await, 4);
    fixture.advance(72);
    assert_eq!(fixture.send_mails().await, 1);
    assert_eq!(server.wait("mail", 1).await[0]["recipients"], json!(["later2@example.com"]));
    let recorded = records(&fixture).await;
    assert_eq!(
        (recorded.len(), recorded[2].0.as_str(), &recorded[2].1["tries"]),
        (3, "mail_sent", &json!("3"))
    );
    assert_eq!(waiting(&fixture).await, 0);
}

/// A refusal of the sender is about the service's account there; every mail would be lost to a misspelt address.
#[tokio::test]
async fn a_sender_that_is_refused_loses_no_mail() {
    let server = Server::plain();
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let fixture =
        Fixture::with(to(Smtp::from_url(&url.as_str().into(), "banned@notes.example.com").unwrap())).await;
    put(&fixture, &notice("ann@example.com")).await;
    assert_eq!(fixture.send_mails().await, 0);
    assert_eq!((server.counted("sender", 1).await, server.events("recipient").len()), (1, 0));
    assert_eq!(waiting(&fixture).await, 1);
}

#[tokio::test]
async fn after_three_days_it_is_given_up() {
    let server = Server::plain();
    let fixture = sending_to(&server).await;
    put(&fixture, &notice("later@example.com")).await;
    for _ in 0..71 {
        fixture.send_mails().await;
        fixture.advance(3_600);
    }
    assert_eq!((waiting(&fixture).await, records(&fixture).await.len()), (1, 0));
    let tried = server.counted("recipient", 1).await;
    assert!((36..75).contains(&tried), "{tried} tries in three days");
    fixture.advance(3_600);
    fixture.send_mails().await;
    assert_eq!(waiting(&fixture).await, 0);
    let recorded = records(&fixture).await;
    let reason = &recorded[0].1["reason"];
    assert_eq!((recorded.len(), recorded[0].0.as_str()), (1, "mail_failed"));
    assert_eq!(reason, "it could not be sent for three days");
    assert_eq!(server.counted("recipient", tried).await, tried, "not tried once more");
}

/// attack E03
#[tokio::test]
async fn what_has_expired_is_not_sent_any_more() {
    let server = Server::plain();
    let fixture = sending_to(&server).await;
    put(&fixture, &confirmation("ann@example.com").lifetime(Duration::from_secs(600))).await;
    put(&fixture, &notice("ann@example.com")).await;
    fixture.advance(600);
    assert_eq!(fixture.send_mails().await, 1, "what carries nothing does not expire");
    assert_eq!(server.wait("mail", 1).await[0]["subject"], "Your password was changed");
    let mut recorded = records(&fixture).await;
    recorded.sort_by(|one, two| one.0.cmp(&two.0));
    assert_eq!(
        (recorded[0].0.as_str(), &recorded[0].1["reason"]),
        ("mail_failed", &json!("what it carries has expired"))
    );
    assert_eq!((recorded.len(), waiting(&fixture).await), (2, 0));
    // It is tried more often, so that it is not the pause that lets it expire.
    put(&fixture, &confirmation("later6@example.com").lifetime(Duration::from_secs(600))).await;
    for _ in 0..59 {
        fixture.send_mails().await;
        fixture.advance(10);
    }
    assert_eq!(waiting(&fixture).await, 0);
    assert_eq!(server.wait("mail", 2).await[1]["recipients"], json!(["later6@example.com"]));
}

/// The server is dead, then hangs, then is back: with the job at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_blocks_no_request_and_loses_no_mail() {
    let port = Server::plain().kill();
    let options = to(smtp(&format!("smtp://127.0.0.1:{port}")).time_limit(Duration::from_secs(2)));
    let fixture = Fixture::with(options).await;
    fixture.sign_up("ann@example.com").await;
    let jobs = Jobs::new(Arc::new(SystemEntropy));
    jobs.start(fixture.auth.outbox().task());
    let mut longest = Duration::ZERO;
    for number in 0..10 {
        longest = longest.max(one_request(&fixture, number).await);
    }
    let silent = Server::start(&json!({ "port": port, "silent": true }));
    put(&fixture, &notice("first@example.com")).await;
    silent.wait("connection", 1).await;
    // It is being waited for while these are put.
    for number in 10..20 {
        longest = longest.max(one_request(&fixture, number).await);
    }
    drop(silent);
    println!("the slowest of 20 requests took {longest:?}");
    assert!(longest < Duration::from_millis(1_500), "{longest:?}");
    assert_eq!(waiting(&fixture).await, 21, "none is lost");
    let server = Server::again(port);
    let began = Instant::now();
    while server.mails().len() < 21 {
        assert!(began.elapsed() < Duration::from_secs(30), "{} arrived", server.mails().len());
        fixture.advance(130);
        fixture.auth.outbox().wake();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    jobs.close().await;
    let mut ids: Vec<String> = server.mails().iter().map(|mail| mail["id"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), server.mails().len(), waiting(&fixture).await), (21, 21, 0));
}

/// A mail is asked for, and somebody signs in. How long the first took: the second is mostly hashing.
async fn one_request(fixture: &Fixture, number: usize) -> Duration {
    let began = Instant::now();
    put(fixture, &notice(&format!("user{number}@example.com"))).await;
    let took = began.elapsed();
    assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    took
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn child() {
    let Ok(path) = std::env::var("AURORA_PATH") else { return };
    let mut options = to(smtp(&std::env::var("AURORA_URL").unwrap()));
    (options.path, options.start_key) = (path.into(), std::env::var("AURORA_KEY").unwrap());
    Fixture::with(options).await.send_mails().await;
    panic!("it should have been killed before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_taking_and_sending_another_process_sends() {
    let server = Server::plain();
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let options = to(smtp(&url));
    let (path, key) = (options.path.clone(), options.start_key.clone());
    let fixture = Fixture::with(options).await;
    put(&fixture, &confirmation("hang1@example.com")).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env("AURORA_PATH", path)
        .env("AURORA_KEY", key)
        .env("AURORA_URL", &url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    server.wait("recipient", 1).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((fixture.send_mails().await, waiting(&fixture).await), (0, 1), "it may still be at it");
    fixture.advance(121);
    assert_eq!(fixture.send_mails().await, 1);
    let mails = server.wait("mail", 1).await;
    assert_eq!((mails.len(), &mails[0]["recipients"]), (1, &json!(["hang1@example.com"])));
    assert_eq!(records(&fixture).await[0].1["tries"], "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_each_mail_once() {
    let server = Server::plain();
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let options = to(smtp(&url));
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let here = Fixture::with(options).await;
    let there = Fixture::with(Options { path, start_key, ..to(smtp(&url)) }).await;
    for number in 0..40 {
        put(&here, &confirmation(&format!("user{number}@example.com"))).await;
    }
    let (one, two) = tokio::join!(here.send_mails(), there.send_mails());
    println!("{one} and {two} sent");
    assert_eq!(one + two, 40);
    assert!(one > 0 && two > 0, "both were at it");
    let mut ids: Vec<String> =
        server.wait("mail", 40).await.iter().map(|mail| mail["id"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), server.mails().len()), (40, 40));
    assert_eq!(records(&here).await.len(), 40);
}
