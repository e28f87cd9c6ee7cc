use std::fmt::Debug;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::Record;
use crate::env::{Entropy, random};
use crate::store::{AuditRow, Database, Transaction};
use crate::types::{BoxFuture, Error, RequestId, Result};

/// Where records go.
///
/// Implementations: [`DatabaseAudit`], and the host's own, which may write through
/// [`Transaction::host`] or hand on to [`DatabaseAudit`] what it does not send elsewhere.
///
/// The contract: `Ok` means that the record becomes durable exactly when `transaction` commits. An error makes the
/// caller give its action up.
pub trait AuditSink: Send + Sync + Debug {
    /// Writes `record` within `transaction`.
    fn write<'a>(&'a self, transaction: &'a mut dyn Transaction, record: Record)
    -> BoxFuture<'a, Result<()>>;
}

/// Records in Aurora's own table, each with its salted commitment.
#[derive(Clone, Debug)]
pub struct DatabaseAudit {
    entropy: Arc<dyn Entropy>,
}

impl DatabaseAudit {
    /// With `entropy` for identifiers and salts.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy }
    }

    fn row(&self, record: &Record) -> Result<AuditRow> {
        let salt = random::<32>(&*self.entropy)?;
        let payload = record.payload();
        let mut hash = Context::new(&SHA256);
        hash.update(&salt);
        hash.update(payload.as_bytes());
        Ok(AuditRow {
            id: RequestId::from_random(random(&*self.entropy)?).to_string(),
            at: record.at,
            tenant: record.tenant.as_ref().map(ToString::to_string),
            actor: record.actor.to_string(),
            kind: record.kind.as_str().to_owned(),
            action: record.action.as_str().to_owned(),
            target: record.target.clone(),
            request: record.request.map(|request| request.to_string()),
            payload,
            salt,
            commitment: hash.finish().as_ref().try_into().map_err(Error::internal)?,
        })
    }
}

impl AuditSink for DatabaseAudit {
    fn write<'a>(
        &'a self,
        transaction: &'a mut dyn Transaction,
        record: Record,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let row = self.row(&record)?;
            transaction.append_audit(&row).await
        })
    }
}

/// Writes the record of a denial in a transaction of its own and answers with the denial, or with what kept the
/// record from being written: a denial that cannot be recorded becomes "come back later", never silence.
pub async fn deny(database: &dyn Database, sink: &dyn AuditSink, record: Record, denial: Error) -> Error {
    let written = async {
        let mut transaction = database.begin().await?;
        sink.write(&mut *transaction, record).await?;
        transaction.commit().await
    };
    match written.await {
        Ok(()) => denial,
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Action, Actor};
    use crate::env::SystemEntropy;
    use crate::types::Timestamp;

    #[test]
    fn the_commitment_binds_salt_and_payload() {
        let sink = DatabaseAudit::new(Arc::new(SystemEntropy));
        let record =
            Record::security(Timestamp::default(), Actor::Service, Action::USER_BANNED).with("until", 5);
        let (one, two) = (sink.row(&record).unwrap(), sink.row(&record).unwrap());
        assert_eq!(one.payload, r#"{"until":"5"}"#);
        assert_ne!(one.commitment, two.commitment, "equal payloads are not recognised by their commitments");
        let mut preimage = one.salt.to_vec();
        preimage.extend_from_slice(one.payload.as_bytes());
        assert_eq!(aws_lc_rs::digest::digest(&SHA256, &preimage).as_ref(), one.commitment);
    }
}
