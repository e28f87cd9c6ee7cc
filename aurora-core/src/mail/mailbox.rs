use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{MailError, Mailer, Rendered};
use crate::types::BoxFuture;

/// How many mails are kept.
const KEPT: usize = 100;

/// Keeps the last hundred mails in memory instead of sending them: for development, where the mailbox page shows
/// them, and for tests. Cheap to clone; clones share their mails.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aurora_core::types::Result<()> {
/// # use aurora_core::{Aurora, Database, config::Profile, mail::Mailbox};
/// # let dir = std::env::temp_dir().join(format!("aurora-doc-mailbox-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// # let url = format!("sqlite://{}", dir.join("app.db").display());
/// use std::sync::Arc;
/// let mailbox = Mailbox::default();
/// let aurora = Aurora::builder()
///     .profile(Profile::Development)
///     .database(Database::url(&url)?)
///     .mailer(Arc::new(mailbox.clone()))
///     .build()
///     .await?;
/// assert!(mailbox.mails().is_empty());
/// # aurora.close().await;
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Mutex<VecDeque<Rendered>>>);

impl Mailbox {
    /// What was sent, newest first.
    pub fn mails(&self) -> Vec<Rendered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Mailer for Mailbox {
    fn send<'a>(&'a self, mail: &'a Rendered) -> BoxFuture<'a, Result<(), MailError>> {
        let mut mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mails.push_front(mail.clone());
        mails.truncate(KEPT);
        Box::pin(async { Ok(()) })
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
