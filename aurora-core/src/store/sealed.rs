//! What Aurora keeps sealed, for those who seal it anew.

use async_trait::async_trait;

use crate::types::Result;

/// A column of Aurora's own that holds sealed values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealedColumn {
    /// Private halves of signing keys.
    SigningKeys,
    /// Seeds of second factors.
    Factors,
    /// What links and codes carry.
    OneTimeTokens,
    /// Mails that wait.
    Outbox,
    /// Hashes of passwords that were imported: texts, as they stand.
    Passwords,
}

impl SealedColumn {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::SigningKeys, Self::Factors, Self::OneTimeTokens, Self::Outbox, Self::Passwords];

    /// Its table and column.
    pub fn name(self) -> &'static str {
        match self {
            Self::SigningKeys => "signing_keys.sealed",
            Self::Factors => "mfa_factors.sealed",
            Self::OneTimeTokens => "one_time_tokens.sealed",
            Self::Outbox => "outbox.sealed",
            Self::Passwords => "users.password",
        }
    }
}

/// Questions about sealed values.
#[async_trait]
pub trait ReadSealed: Send {
    /// How many values of that column begin with either; both are as long.
    async fn count_sealed(&mut self, column: SealedColumn, begin: &[Vec<u8>; 2]) -> Result<u64>;

    /// At most `limit` of them behind the first `passed`, by their rows' keys.
    async fn sealed(
        &mut self,
        column: SealedColumn,
        begin: &[Vec<u8>; 2],
        passed: i64,
        limit: i64,
    ) -> Result<Vec<(String, Vec<u8>)>>;
}

/// Changes of sealed values.
#[async_trait]
pub trait WriteSealed: Send {
    /// Puts `sealed` in the place of `former`. `false` if that is not what was there.
    async fn put_sealed(
        &mut self,
        column: SealedColumn,
        row: &str,
        former: &[u8],
        sealed: &[u8],
    ) -> Result<bool>;
}
