//! The outbox on both engines: what a person with a copy of the database learns of a mail, and what a developer sees.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aurora_core::mail::{Delivery, Kind, MailError, Mailbox, Mailer, Message, Rendered};
use aurora_core::types::BoxFuture;
use common::mail::{CODE, LINK, confirmation, notice, put, records, to, waiting};
use common::{Fixture, Options};
use serde_json::json;

/// attack E03
#[tokio::test]
async fn a_copy_of_the_database_tells_nothing_of_a_mail() {
    let fixture = Fixture::new().await;
    let message = confirmation("ann.lee@example.com");
    put(&fixture, &message).await;
    let database = fixture.database.shared();
    let mut transaction = database.begin().await.unwrap();
    fixture.auth.outbox().put_nothing(&mut *transaction, &message).await.unwrap();
    transaction.commit().await.unwrap();
    let sizes = fixture.database.rows("SELECT DISTINCT length(sealed) FROM aurora_outbox").await;
    println!("both are {} bytes", sizes[0][0].as_ref().unwrap());
    assert_eq!(sizes.len(), 1, "nothing is as big as a mail: {sizes:?}");
    assert_eq!(waiting(&fixture).await, 2);
    let copy = fixture.copy();
    let holds = |text: &str| copy.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("confirmation_sent_at") && copy.len() > 20_000, "the copy is one");
    for secret in ["ann.lee", "T0K3N", CODE, "Confirm your address", "doctype"] {
        assert!(!holds(secret), "{secret}");
    }
    assert_eq!(fixture.send_mails().await, 1, "nothing goes to nobody");
    assert_eq!((fixture.mailbox.mails().len(), waiting(&fixture).await), (1, 0));
    assert_eq!(records(&fixture).await.len(), 1, "and leaves no record");
    assert_eq!(fixture.mailbox.mails()[0].link.as_deref(), Some(LINK));
}

/// attack C03
#[tokio::test]
async fn a_mail_that_was_moved_to_another_row_is_not_sent() {
    let fixture = Fixture::new().await;
    put(&fixture, &notice("ann@example.com")).await;
    fixture.execute("UPDATE aurora_outbox SET id = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'").await;
    assert_eq!(
        (fixture.send_mails().await, waiting(&fixture).await),
        (0, 1),
        "it may be for another process to read"
    );
    fixture.advance(3 * 86_400);
    assert_eq!((fixture.send_mails().await, waiting(&fixture).await), (0, 0));
    let row = fixture.audit().await.pop().unwrap();
    assert_eq!((row.action.as_str(), &row.payload["reason"]), ("mail_failed", &json!("it does not open")));
}

/// Panics at its first mail, and takes the others.
#[derive(Debug, Default)]
struct Clumsy(AtomicUsize);

impl Mailer for Clumsy {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>> {
        let turn = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            assert_ne!(turn, 0, "a host's bug");
            if turn == 1 { Err(MailError::permanent(format!("no {}", mail.to))) } else { Ok(()) }
        })
    }
}

#[tokio::test]
async fn a_mailer_that_panics_loses_no_mail() {
    let fixture = Fixture::with(to(Clumsy::default())).await;
    for number in 0..3 {
        put(&fixture, &notice(&format!("user{number}@example.com"))).await;
    }
    assert_eq!((fixture.send_mails().await, waiting(&fixture).await), (1, 1));
    fixture.advance(121);
    assert_eq!((fixture.send_mails().await, waiting(&fixture).await), (1, 0));
    let reasons: Vec<String> =
        records(&fixture).await.iter().map(|(_, one)| one["reason"].to_string()).collect();
    assert!(reasons.contains(&"\"no ..\"".to_owned()), "{reasons:?}");
}

/// Never answers for the first address until it is mended, and takes the others.
#[derive(Debug, Default)]
struct Stuck {
    mended: AtomicBool,
    asked: AtomicUsize,
}

impl Mailer for Stuck {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            if mail.to.as_str() == "user0@example.com" {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if !self.mended.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
            }
            Ok(())
        })
    }
}

/// asvs(V16.5.2): a mailer of the host's that hangs, or a hook that stands in for one, is cut off after 30 seconds: the
/// other mails go out meanwhile, and its own is tried again.
#[tokio::test]
async fn a_mailer_that_hangs_keeps_no_other_mail_back() {
    for is_hook in [false, true] {
        let stuck = Arc::new(Stuck::default());
        let mut options = to(Mailbox::default());
        options.delivery = Some(if is_hook {
            let otherwise = Box::new(Delivery::Mailbox(Mailbox::default()));
            Delivery::Split { kinds: vec![Kind::PasswordChanged], hook: stuck.clone(), otherwise }
        } else {
            Delivery::Mailer(stuck.clone())
        });
        let fixture = Fixture::with(options).await;
        for number in 0..4 {
            put(&fixture, &notice(&format!("user{number}@example.com"))).await;
        }
        let outbox = fixture.auth.outbox().clone();
        let sending = tokio::spawn(async move { outbox.send_due().await });
        // Both engines do their work in real time: the clock stands still only where nothing waits but the mailer.
        let others = async {
            while records(&fixture).await.len() < 3 || stuck.asked.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(12), others).await.unwrap();
        assert_eq!((stuck.asked.load(Ordering::SeqCst), waiting(&fixture).await), (1, 1), "hook: {is_hook}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15)).await;
        assert!(!sending.is_finished(), "it has 30 seconds");
        tokio::time::advance(Duration::from_secs(16)).await;
        tokio::time::resume();
        let sent = tokio::time::timeout(Duration::from_secs(20), sending).await;
        assert_eq!(sent.expect("the job waits for ever").unwrap().unwrap(), 3);
        assert_eq!(waiting(&fixture).await, 1, "it is kept");
        // A failed try, not a lease that ran out: its pause is within a fifth of thirty seconds.
        assert_eq!(fixture.send_mails().await, 0, "not at once");
        stuck.mended.store(true, Ordering::SeqCst);
        fixture.advance(37);
        assert_eq!((fixture.send_mails().await, waiting(&fixture).await), (1, 0), "hook: {is_hook}");
        let all = records(&fixture).await;
        assert!(all.iter().all(|(action, _)| action == "mail_sent"), "{all:?}");
        assert_eq!(all.iter().filter(|(_, one)| one["tries"] == "2").count(), 1, "{all:?}");
        println!("hook: {is_hook}, asked {} times, 4 sent", stuck.asked.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn without_a_mailer_links_are_an_error_and_notices_are_left_out() {
    let fixture = Fixture::with(Options { delivery: Some(Delivery::Nowhere), ..Options::default() }).await;
    let database = fixture.database.shared();
    let mut transaction = database.begin().await.unwrap();
    let outbox = fixture.auth.outbox();
    outbox.put(&mut *transaction, &notice("ann@example.com")).await.unwrap();
    let refused = outbox.put(&mut *transaction, &confirmation("ann@example.com")).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "email_provider_disabled");
    transaction.commit().await.unwrap();
    assert_eq!((waiting(&fixture).await, fixture.send_mails().await), (0, 0));
}

#[tokio::test]
async fn development_shows_its_mails() {
    let fixture = Fixture::new().await;
    put(&fixture, &confirmation("ann@example.com")).await;
    put(
        &fixture,
        &Message::new(Kind::NewDevice, "bob@example.com".parse().unwrap()).device("<script>x</script>"),
    )
    .await;
    let empty = fixture.call("GET", "/mailbox", None, json!(null)).await;
    assert!(empty.text.contains("No mail yet"));
    assert_eq!(fixture.send_mails().await, 2);
    let page = fixture.call("GET", "/mailbox", None, json!(null)).await;
    println!("{}", page.text);
    assert_eq!(page.status, 200);
    let link = LINK.replace('&', "&amp;");
    assert!(page.text.contains(&format!("<a href=\"{link}\" rel=\"noreferrer\">{link}</a>")));
    assert!(
        page.text.contains("Confirm your address")
            && page.text.contains("to ann@example.com at <time>2027-01-15")
    );
    assert!(
        page.text.contains(CODE) && page.text.contains("&lt;script&gt;") && !page.text.contains("<script")
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let json = fixture.call("GET", "/mailbox.json", None, json!(null)).await.json;
    assert_eq!(json["mails"].as_array().unwrap().len(), 2);
    let confirmation =
        json["mails"].as_array().unwrap().iter().find(|mail| mail["to"] == "ann@example.com").unwrap();
    assert_eq!((&confirmation["code"], &confirmation["link"]), (&json!(CODE), &json!(LINK)));
    assert_eq!(confirmation["kind"], "confirmation");
    assert_eq!(fixture.call("POST", "/mailbox", None, json!({})).await.status, 405);
}

#[tokio::test]
async fn the_mailbox_is_development_s_alone() {
    let elsewhere = to(Mailbox::default());
    for options in [Options::in_production(), elsewhere] {
        let fixture = Fixture::with(options).await;
        put(&fixture, &confirmation("ann@example.com")).await;
        fixture.send_mails().await;
        for path in ["/mailbox", "/mailbox.json"] {
            let reply = fixture.call("GET", path, None, json!(null)).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (404, "not_found"), "{path}");
            assert!(!reply.text.contains("ann") && !reply.text.contains(CODE));
        }
    }
}
