use super::Auth;
use super::one_time::{ComeBack, Purpose};
use crate::audit::Action;
use crate::session::Client;
use crate::types::Result;
use crate::validate::Email;

impl Auth {
    /// Sends a link and a code to choose a new password with.
    ///
    /// The same answer, at the same time, whether or not somebody has the address.
    /// [`Code::OverEmailSendRateLimit`](crate::types::Code::OverEmailSendRateLimit) counts both alike.
    pub async fn recover(&self, email: &str, back: ComeBack, client: &Client) -> Result<()> {
        let email: Email = email.parse()?;
        self.check_mail(&email, client)?;
        let (pace, action) = (self.pace(), Action::USER_RECOVERY_REQUESTED);
        let done = self.mail_if_known(&email, Purpose::Recovery, action, back, client).await;
        pace.kept(done).await
    }

    /// Sends a mail to whoever has the address; if nobody has, or they may not come in, does as much for nobody.
    pub(super) async fn mail_if_known(
        &self,
        email: &Email,
        purpose: Purpose,
        action: Action,
        back: ComeBack,
        client: &Client,
    ) -> Result<()> {
        let record = self.mail_record(action, purpose, client);
        let mut transaction = self.database().begin().await?;
        let found = transaction.user_by_email(email).await?;
        let Some(mut user) = found.filter(|user| !user.is_banned(self.now()) && user.deleted_at.is_none())
        else {
            drop(transaction);
            let record = record.with("reason", "nobody who may come in");
            return self.send_nothing(purpose, email, &back, record).await;
        };
        if user.email_confirmed_at.is_none() {
            // Whoever asks may not be who registered.
            user.contested_at = user.contested_at.or(Some(self.now()));
        }
        self.send(&mut *transaction, &mut user, purpose, email, &back, None).await?;
        transaction.update_user(&user).await?;
        self.0.audit.write(&mut *transaction, record.target(user.id)).await?;
        transaction.commit().await?;
        self.0.outbox.wake();
        Ok(())
    }
}
