use std::sync::Arc;

use crate::config::{Profile, Settings, Weakness};
use crate::mail::{Delivery, Kind, Mailbox, Mailer};

/// A service whose users wait for a mail that nobody sends.
pub(super) fn weakness(settings: &Settings, has_mailer: bool) -> Option<Weakness> {
    let waits = settings.profile == Profile::Production && !settings.sign_ups.autoconfirm.is_on();
    (waits && !has_mailer).then(|| {
        Weakness::new(
            "addresses have to be confirmed, and no mailer is set",
            "add .mailer(Arc::new(Smtp::from_url(&url, \"Notes <no-reply@example.com>\")?)), with cargo feature `smtp`",
        )
    })
}

pub(super) fn delivery(settings: &Settings, mailer: Option<Arc<dyn Mailer>>) -> Delivery {
    match (mailer, settings.profile) {
        (Some(mailer), _) => Delivery::Mailer(mailer),
        (None, Profile::Development) => Delivery::Mailbox(Mailbox::default()),
        (None, Profile::Production) => Delivery::Nowhere,
    }
}

/// What sends mails of these kinds.
pub(super) type Hook = (Vec<Kind>, Arc<dyn Mailer>);

/// Whether no kind of mail is left to a mailer.
pub(super) fn covers(hooks: &[Hook]) -> bool {
    Kind::ALL.iter().all(|kind| hooks.iter().any(|(kinds, _)| kinds.contains(kind)))
}

/// The delivery with hooks before it, the last one first.
pub(super) fn routed(otherwise: Delivery, hooks: Vec<Hook>) -> Delivery {
    hooks.into_iter().fold(otherwise, |otherwise, (kinds, hook)| Delivery::Split {
        kinds,
        hook,
        otherwise: Box::new(otherwise),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::http::Peer;
    use crate::mail::Message;
    use crate::{Aurora, Database};

    /// What is put into a transaction comes to the page by itself; once the service is closed, no more.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_job_runs_from_build_to_close() {
        let folder = std::env::temp_dir().join(format!("aurora-mail-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("app.db").display());
        let builder = Aurora::builder().profile(Profile::Development);
        let aurora = builder.database(Database::url(&url).unwrap()).build().await.unwrap();
        let outbox = aurora.auth().outbox();
        let mail = Message::new(Kind::PasswordChanged, "ann@example.com".parse().unwrap());
        let mut transaction = aurora.0.database.shared().begin().await.unwrap();
        outbox.put(&mut *transaction, &mail).await.unwrap();
        transaction.commit().await.unwrap();
        outbox.wake();
        let began = Instant::now();
        loop {
            let ask = http::Request::get("/auth/v1/mailbox.json").body(Vec::new()).unwrap();
            let peer = Peer::from(std::net::IpAddr::from([127, 0, 0, 1]));
            let answer = aurora.http().call(ask, peer).await;
            assert_eq!(answer.status(), 200);
            if String::from_utf8_lossy(answer.body()).contains("ann@example.com") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "it never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("shown after {:?}", began.elapsed());
        aurora.close().await;
        assert_eq!(Arc::strong_count(&aurora.0), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
