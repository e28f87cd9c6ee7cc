use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::letter::{self, Letter, Mail};
use super::{Kind, Mailbox, Mailer, Message, Templates};
use crate::audit::AuditSink;
use crate::crypto::{Context, Keyring};
use crate::env::{Clock, Entropy, random};
use crate::jobs::{Task, Wake};
use crate::store::{Database, OutboxRow, Transaction};
use crate::types::{Code, Error, RequestId, Result};

/// How often the outbox is looked at when nobody woke the job: for what another process left, and for retries.
const PERIOD: Duration = Duration::from_secs(10);

/// Mails that wait in the database until they were sent. Cheap to clone.
///
/// A flow puts its mail into its own transaction, and wakes the job when that was committed:
///
/// ```no_run
/// # use aurora_core::{mail::{Kind, Message, Outbox}, store::Database, types::Result};
/// # async fn flow(outbox: Outbox, database: &dyn Database) -> Result<()> {
/// let mut transaction = database.begin().await?;
/// let notice = Message::new(Kind::PasswordChanged, "ann@example.com".parse()?);
/// outbox.put(&mut *transaction, &notice).await?;
/// transaction.commit().await?;
/// outbox.wake();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Outbox(pub(super) Arc<OutboxParts>);

/// What [`Outbox`] is made of.
#[derive(Clone, Debug)]
pub struct OutboxParts {
    /// The site's address, as mails name it.
    pub site: String,
    /// How mails are worded.
    pub templates: Templates,
    /// Where they go.
    pub delivery: Delivery,
    /// Where they wait.
    pub database: Arc<dyn Database>,
    /// What seals them.
    pub keyring: Keyring,
    /// Where it is recorded what became of them.
    pub audit: Arc<dyn AuditSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What wakes the job.
    pub wake: Wake,
}

/// Where mails go.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// To their readers.
    Mailer(Arc<dyn Mailer>),
    /// Into the mailbox that development shows.
    Mailbox(Mailbox),
    /// Mails of some kinds to the host's own hook, the others elsewhere.
    Split {
        /// Which.
        kinds: Vec<Kind>,
        /// What sends those.
        hook: Arc<dyn Mailer>,
        /// Where the others go.
        otherwise: Box<Delivery>,
    },
    /// Nowhere: whoever runs the service set no mailer. A mail that carries a link or a code is an error then, a
    /// notice is left out.
    Nowhere,
}

impl Delivery {
    /// What sends mails of that kind.
    fn mailer(&self, kind: Kind) -> Option<&dyn Mailer> {
        match self {
            Delivery::Mailer(mailer) => Some(&**mailer),
            Delivery::Mailbox(mailbox) => Some(mailbox),
            Delivery::Split { kinds, hook, .. } if kinds.contains(&kind) => Some(&**hook),
            Delivery::Split { otherwise, .. } => otherwise.mailer(kind),
            Delivery::Nowhere => None,
        }
    }
}

impl Outbox {
    /// The outbox over these parts.
    pub fn new(parts: OutboxParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Puts a mail into the caller's transaction, worded and sealed. Once that is committed no failure of a mail
    /// server loses it.
    ///
    /// # Errors
    /// [`Code::EmailProviderDisabled`] if it carries a link or a code and there is no mailer.
    pub async fn put(&self, transaction: &mut dyn Transaction, message: &Message) -> Result<()> {
        self.insert(transaction, message, false).await
    }

    /// Does the same work and leaves a row of the same size, which the job drops: for a flow that must not tell by
    /// its time whether an address is known.
    pub async fn put_nothing(&self, transaction: &mut dyn Transaction, message: &Message) -> Result<()> {
        self.insert(transaction, message, true).await
    }

    /// Tells the job that a mail was committed. Never waits.
    pub fn wake(&self) {
        self.0.wake.wake();
    }

    /// Whether mails go anywhere.
    pub fn delivers(&self) -> bool {
        !matches!(self.0.delivery, Delivery::Nowhere)
    }

    /// Whether mails of that kind go anywhere.
    fn delivers_kind(&self, kind: Kind) -> bool {
        self.0.delivery.mailer(kind).is_some()
    }

    /// The mailbox that development shows; `None` where mails leave the process.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        let mut delivery = &self.0.delivery;
        while let Delivery::Split { otherwise, .. } = delivery {
            delivery = otherwise;
        }
        match delivery {
            Delivery::Mailbox(mailbox) => Some(mailbox),
            Delivery::Mailer(_) | Delivery::Split { .. } | Delivery::Nowhere => None,
        }
    }

    /// The job that sends.
    pub fn task(&self) -> Task {
        Task::new("outbox", PERIOD, Arc::new(self.clone())).woken_by(&self.0.wake)
    }

    pub(super) fn mailer(&self, kind: Kind) -> Option<&dyn Mailer> {
        self.0.delivery.mailer(kind)
    }

    async fn insert(
        &self,
        transaction: &mut dyn Transaction,
        message: &Message,
        to_nobody: bool,
    ) -> Result<()> {
        if !self.delivers_kind(message.kind) {
            if message.kind.carries_a_key() {
                return Err(Error::new(Code::EmailProviderDisabled, "Email is not set up")
                    .with_source("no mailer is set; add .mailer(..)"));
            }
            return Ok(());
        }
        let parts = &*self.0;
        let now = parts.clock.now();
        let worded = parts.templates.word(message, &parts.site, now)?;
        let id = RequestId::from_random(random(&*parts.entropy)?).to_string();
        let bytes = letter::bytes(Mail::new(message, worded, now), to_nobody)?;
        let sealed = parts.keyring.seal(&Context::mail(&id), &bytes)?;
        transaction.insert_mail(&OutboxRow { id, sealed, tries: 0, next_at: now, created_at: now }).await
    }

    pub(super) fn open(&self, row: &OutboxRow) -> Result<Letter> {
        letter::read(self.0.keyring.unseal(&Context::mail(&row.id), &row.sealed)?.expose())
    }
}

/// Table, column, row: moved elsewhere it does not open.
impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("delivers", &self.delivers()).finish_non_exhaustive()
    }
}
