use super::{Auth, IssuedSession, banned};
use crate::audit::{Action, Actor};
use crate::load::{Bucket, address_key};
use crate::session::{Client, Decision, RefreshSecret, decide};
use crate::store::{RefreshToken, Transaction};
use crate::types::{Code, Error, Result, Secret, Timestamp};

/// What hooks are told of a refresh, in Supabase's word.
const REFRESH: &str = "token_refresh";

impl Auth {
    /// Exchanges a refresh token for a new pair.
    ///
    /// The same token gives the same successor for as long as that is unused, and for the grace after.
    /// [`Code::RefreshTokenNotFound`], [`Code::RefreshTokenAlreadyUsed`] and [`Code::SessionExpired`] end the
    /// client's session; overload and limits are [`Code::OverCapacity`], after which it tries again.
    pub async fn refresh(&self, token: &Secret, client: &Client) -> Result<IssuedSession> {
        self.count_refresh(client)?;
        self.refresh_counted(token, client).await
    }

    pub(crate) fn count_refresh(&self, client: &Client) -> Result<()> {
        self.0.limiter.check(Bucket::Refresh, &address_key(client.address()))
    }

    /// [`refresh`](Self::refresh) after [`count_refresh`](Self::count_refresh).
    pub(crate) async fn refresh_counted(&self, token: &Secret, client: &Client) -> Result<IssuedSession> {
        let Some(secret) = RefreshSecret::parse(token) else { return Err(not_found()) };
        let parts = self.0.sessions.parts();
        let hash = secret.hash(&parts.keyring);
        // Without the writer's turn: garbage must not queue up before it.
        let database = self.database();
        if database.has_one_writer() && database.read().await?.refresh_token(&hash).await?.is_none() {
            return Err(unknown());
        }
        let mut transaction = database.begin().await?;
        let Some(found) = transaction.refresh_token(&hash).await? else { return Err(unknown()) };
        let now = self.now();
        match decide(&found, now, &parts.lifetimes) {
            Decision::Rotate => self.rotate(transaction, found, &secret, now, client).await,
            Decision::Reissue(steps) => self.reissue(transaction, found, &secret, steps, client).await,
            Decision::Replay => {
                let denial = Error::new(Code::RefreshTokenAlreadyUsed, "Invalid Refresh Token: Already Used");
                Err(self.revoke(transaction, &found, "replayed", denial, client).await)
            }
            Decision::Expired => {
                let denial = Error::new(Code::SessionExpired, "Invalid Refresh Token: Session Expired");
                Err(self.revoke(transaction, &found, "expired", denial, client).await)
            }
        }
    }

    async fn rotate(
        &self,
        mut transaction: Box<dyn Transaction>,
        found: RefreshToken,
        secret: &RefreshSecret,
        now: Timestamp,
        client: &Client,
    ) -> Result<IssuedSession> {
        let parts = self.0.sessions.parts();
        let Some(user) = transaction.user(found.session.user).await? else { return Err(not_found()) };
        if user.is_banned(now) {
            return Err(self.revoke(transaction, &found, "banned", banned(), client).await);
        }
        let mut session = found.session;
        let successor = secret.successor(&parts.keyring, session.family, 1);
        session.generation += 1;
        session.refreshed_at = now;
        session.address = Some(client.address().to_string());
        if let Some(agent) = client.user_agent() {
            session.user_agent = Some(agent.to_owned());
        }
        let horizon = now.minus(parts.lifetimes.idle_lifetime);
        transaction.rotate(&session, &successor.hash(&parts.keyring), horizon).await?;
        let record = self.record(Actor::User(user.id), Action::TOKEN_REFRESHED, client).target(session.id);
        self.0.audit.write(&mut *transaction, record).await?;
        let roles = transaction.roles_of(user.id).await?;
        transaction.commit().await?;
        let more = self.more_claims(&user, &session, &roles, REFRESH).await.map_err(later)?;
        self.issue(user, &session, successor.text(), now, &more)
    }

    async fn reissue(
        &self,
        mut transaction: Box<dyn Transaction>,
        found: RefreshToken,
        secret: &RefreshSecret,
        steps: i64,
        client: &Client,
    ) -> Result<IssuedSession> {
        let parts = self.0.sessions.parts();
        let now = self.now();
        let Some(user) = transaction.user(found.session.user).await? else { return Err(not_found()) };
        if user.is_banned(now) {
            return Err(self.revoke(transaction, &found, "banned", banned(), client).await);
        }
        let session = found.session;
        let newest = secret.successor(&parts.keyring, session.family, steps);
        let record = self.record(Actor::User(user.id), Action::TOKEN_REFRESHED, client).target(session.id);
        self.0.audit.write(&mut *transaction, record.with("reissued", steps)).await?;
        let roles = transaction.roles_of(user.id).await?;
        transaction.commit().await?;
        let more = self.more_claims(&user, &session, &roles, REFRESH).await.map_err(later)?;
        self.issue(user, &session, newest.text(), now, &more)
    }

    /// Ends a family for good, although the request fails, and answers with the denial.
    async fn revoke(
        &self,
        mut transaction: Box<dyn Transaction>,
        found: &RefreshToken,
        reason: &'static str,
        denial: Error,
        client: &Client,
    ) -> Error {
        let session = &found.session;
        let ended = async {
            transaction.end_session(session.id, self.now()).await?;
            let record =
                self.record(Actor::User(session.user), Action::TOKEN_REVOKED, client).target(session.id);
            let record = record.with("reason", reason).with("code", denial.code());
            self.0.audit.write(&mut *transaction, record).await?;
            transaction.commit().await
        };
        match ended.await {
            Ok(()) => {
                self.0.sessions.ended(&[session.id]);
                denial.with_source(reason)
            }
            Err(error) => error,
        }
    }
}

/// A hook that fails signs nobody out: the token that was presented still gives its successor.
fn later(error: Error) -> Error {
    tracing::warn!(?error, "a hook did not go on");
    Error::overloaded(1).with_source(error)
}

fn unknown() -> Error {
    tracing::info!("a refresh token that does not exist was presented");
    not_found()
}

fn not_found() -> Error {
    Error::new(Code::RefreshTokenNotFound, "Invalid Refresh Token: Refresh Token Not Found")
}
