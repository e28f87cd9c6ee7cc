use serde::{Deserialize, Serialize};

use super::{RefreshSecret, Sessions};
use crate::env::random;
use crate::store::{Session, Transaction};
use crate::types::{Assurance, Error, FactorId, FamilyId, Result, Timestamp, is_second_factor};

/// A method that was used in a session, and of a second factor which one: what its `amr` column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    method: String,
    timestamp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<FactorId>,
}

/// How a session was authenticated, newest first.
pub(crate) struct Evidence(Vec<Used>);

impl Evidence {
    pub(crate) fn of(session: &Session) -> Result<Self> {
        serde_json::from_str(&session.amr).map(Self).map_err(Error::internal)
    }

    /// Whether the session owes its level to that factor.
    pub(crate) fn names(&self, factor: FactorId) -> bool {
        self.0.iter().any(|used| used.factor == Some(factor))
    }

    /// When a second factor was used last.
    pub(crate) fn factor_used_at(&self) -> Option<Timestamp> {
        let used = self.0.iter().filter(|used| is_second_factor(&used.method));
        used.map(|used| Timestamp::from_seconds(used.timestamp)).max()
    }

    /// Each method stands once, with its latest use.
    fn add(&mut self, method: &str, factor: Option<FactorId>, now: Timestamp) {
        self.0.retain(|used| used.method != method);
        self.0.insert(0, Used { method: method.to_owned(), timestamp: now.as_seconds(), factor });
    }

    fn write(&self, session: &mut Session) -> Result<()> {
        let raised = self.factor_used_at().is_some();
        let level = if raised { Assurance::Aal2 } else { Assurance::Aal1 };
        session.aal = level.as_str().to_owned();
        session.amr = serde_json::to_string(&self.0).map_err(Error::internal)?;
        Ok(())
    }
}

impl Sessions {
    /// Raises a session by a second factor that was just used, within the transaction that read it. Its refresh
    /// tokens are forgotten: the one that is answered is the first of a new chain.
    pub(crate) async fn step_up(
        &self,
        transaction: &mut dyn Transaction,
        session: &mut Session,
        method: &'static str,
        factor: Option<FactorId>,
    ) -> Result<RefreshSecret> {
        let parts = self.parts();
        let now = parts.clock.now();
        let mut evidence = Evidence::of(session)?;
        evidence.add(method, factor, now);
        evidence.write(session)?;
        let secret = RefreshSecret::first(&*parts.entropy)?;
        session.family = FamilyId::from_random(random(&*parts.entropy)?);
        session.generation = 0;
        session.refreshed_at = now;
        transaction.rewrite_session(session, Some(&secret.hash(&parts.keyring))).await?;
        Ok(secret)
    }

    /// Lowers a session by a factor that is gone, or by every second factor. Its refresh tokens go on; its access
    /// token says what it said until it is refreshed.
    pub(crate) async fn step_down(
        &self,
        transaction: &mut dyn Transaction,
        session: &mut Session,
        factor: Option<FactorId>,
    ) -> Result<()> {
        let mut evidence = Evidence::of(session)?;
        evidence.0.retain(|used| match factor {
            Some(_) => used.factor != factor,
            None => !is_second_factor(&used.method),
        });
        evidence.write(session)?;
        transaction.rewrite_session(session, None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{RECOVERY_CODE, SessionId, UserId};

    fn session() -> Session {
        let at = Timestamp::from_seconds(1_000);
        Session {
            id: SessionId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            family: FamilyId::from_bytes([3; 16]),
            generation: 4,
            aal: "aal1".to_owned(),
            amr: r#"[{"method":"password","timestamp":1000}]"#.to_owned(),
            user_agent: None,
            address: None,
            created_at: at,
            authenticated_at: at,
            refreshed_at: at,
            expires_at: at,
        }
    }

    #[test]
    fn each_method_stands_once_newest_first() {
        let mut session = session();
        let mut evidence = Evidence::of(&session).unwrap();
        assert_eq!(evidence.factor_used_at(), None);
        let (one, two) = (FactorId::from_bytes([7; 16]), FactorId::from_bytes([8; 16]));
        evidence.add("totp", Some(one), Timestamp::from_seconds(2_000));
        evidence.add(RECOVERY_CODE, None, Timestamp::from_seconds(3_000));
        evidence.add("totp", Some(two), Timestamp::from_seconds(4_000));
        evidence.write(&mut session).unwrap();
        assert_eq!(session.aal, "aal2");
        let again = Evidence::of(&session).unwrap();
        let methods: Vec<&str> = again.0.iter().map(|used| used.method.as_str()).collect();
        assert_eq!(methods, ["totp", RECOVERY_CODE, "password"]);
        assert!(again.names(two) && !again.names(one));
        assert_eq!(again.factor_used_at(), Some(Timestamp::from_seconds(4_000)));
    }
}
