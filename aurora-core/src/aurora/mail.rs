use std::sync::Arc;

use crate::config::{Profile, Settings, Weakness};
use crate::mail::{Delivery, Mailbox, Mailer};

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
