//! What a transaction's role and claims are believed by, and the messages that begin one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::types::quote;

use super::bind::{Bind, Mode};

/// Role and claims for the length of one transaction. The claims go into the statement as a value.
const BIND: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true), \
    set_config('statement_timeout', $5, true), set_config('lock_timeout', $6, true)";

/// What a connection of our own has from its start, for one that a pooler lends.
const BIND_POOLED: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true), \
    set_config('statement_timeout', $5, true), set_config('lock_timeout', $6, true), \
    set_config('idle_in_transaction_session_timeout', '60000', true), \
    set_config('TimeZone', 'UTC', true), set_config('client_encoding', 'UTF8', true), \
    set_config('jit', 'off', true)";
const SET_POOLED: &str = "; SET LOCAL idle_in_transaction_session_timeout = 60000; SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL client_encoding = 'UTF8'; SET LOCAL jit = off";

/// The role and claims alone, within a transaction that is bound already.
const REBIND: &str = "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
    set_config('aurora.mac', $3, true), set_config('search_path', $4, true)";

/// The transaction's start and the backend, which a MAC is over.
const ASK: &str = "; SELECT aurora.transaction_start()";

/// A connection of our own was cleaned when it came back. What a pooler lends is cleaned here, since whoever had it
/// before may be anybody: what cannot be ended so is told, and such a connection is given up. sqlx names its
/// statements by a number of its own connection, also where it keeps none, and another client may have left that
/// name on this server connection.
const CLEAN_POOLED: &str = "; RESET ALL; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; DEALLOCATE ALL; \
    SELECT pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()) \
    OPERATOR(pg_catalog.||) pg_catalog.int4send(pg_catalog.pg_backend_pid()), \
    NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql) \
    AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0, pg_catalog.pg_advisory_unlock_all()";

/// Ends what SQL left behind in a session. What cannot be ended so, statements prepared by SQL and temporary
/// objects, is told: such a connection is given up. A statement that was prepared under a name of sqlx's would run
/// as whoever comes next.
const CLEAN: &str =
    "RESET ALL; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; SELECT aurora.clean_session()";
/// The same where there is no schema yet.
const CLEAN_BARE: &str = "RESET ALL; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; \
    SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql) \
    AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0, pg_catalog.pg_advisory_unlock_all()";
/// What keeps an identity from being forged.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Nothing yet: such a transaction reaches the tables of keys only.
    None,
    /// A MAC over role, claims, backend and transaction, which every statement's policies verify.
    Mac(Arc<Identity>),
    /// `set_config` is revoked, so that only a statement of its own, `SET`, makes an identity.
    Settings,
}

/// The key that binds claims to transactions, with its generation.
#[derive(Clone)]
pub(super) struct Identity {
    generation: u32,
    key: hmac::Key,
}

/// A transaction that has begun, as the server tells about it.
pub(super) struct Begun {
    /// Its start and its backend, as the server sends them; empty where no MAC is over them.
    nonce: Vec<u8>,
    /// Nothing that SQL leaves behind is in the session.
    pub(super) clean: bool,
}

impl Identity {
    pub(super) fn new(generation: u32, key: &[u8; 32]) -> Self {
        Self { generation, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// In hexadecimal, over the transaction's start and the backend, the role and the claims. The first two have one
    /// length, a role cannot hold the separator, and the claims come last.
    fn mac(&self, begun: &Begun, role: &str, claims: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&begun.nonce);
        context.update(role.as_bytes());
        context.update(b"|");
        context.update(claims.as_bytes());
        let mut text = String::with_capacity(64);
        for byte in context.sign().as_ref() {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Proof {
    /// Begins a transaction. Where settings are believed, it is `who`'s with this message; else
    /// [`bind`](Self::bind) follows.
    pub(super) async fn begin(
        &self,
        connection: &mut PgConnection,
        who: Option<(&Bind<'_>, &str)>,
        mode: Mode,
        pooled: bool,
    ) -> sqlx::Result<Begun> {
        let mut text = format!("BEGIN ISOLATION LEVEL {}", mode.level());
        if pooled {
            text.push_str(CLEAN_POOLED);
            let row = sqlx::raw_sql(AssertSqlSafe(text)).fetch_one(connection).await?;
            return Ok(Begun { nonce: row.try_get(0)?, clean: row.try_get(1)? });
        }
        match (self, who) {
            (Self::Mac(_), Some(_)) => {
                text.push_str(ASK);
                let row = sqlx::raw_sql(AssertSqlSafe(text)).fetch_one(connection).await?;
                return Ok(Begun { nonce: row.try_get(0)?, clean: true });
            }
            (Self::Settings, Some((who, search_path))) => text.push_str(&settings(who, search_path)),
            _ => {}
        }
        sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
        Ok(Begun { nonce: Vec::new(), clean: true })
    }

    /// What cleans a connection of our own after such a transaction: the last statement, if it answers, says
    /// whether it is clean.
    pub(super) fn cleaning(&self) -> &'static str {
        match self {
            Self::Mac(_) | Self::Settings => CLEAN,
            Self::None => CLEAN_BARE,
        }
    }

    /// Makes a transaction that has begun `who`'s.
    pub(super) async fn bind(
        &self,
        connection: &mut PgConnection,
        begun: &Begun,
        who: &Bind<'_>,
        search_path: &str,
        pooled: bool,
    ) -> sqlx::Result<()> {
        if let Self::Settings = self {
            if pooled {
                let text = format!("SELECT{}{SET_POOLED}", settings(who, search_path));
                sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
            }
            return Ok(());
        }
        let query = sqlx::query(if pooled { BIND_POOLED } else { BIND })
            .bind(who.role.to_owned())
            .bind(who.claims.to_owned())
            .bind(self.mac(begun, who.role, who.claims))
            .bind(search_path.to_owned())
            .bind(millis(who.statement_timeout))
            .bind(millis(who.lock_timeout));
        query.execute(connection).await.map(drop)
    }

    /// Goes on as somebody else.
    pub(super) async fn rebind(
        &self,
        connection: &mut PgConnection,
        begun: &Begun,
        (role, claims): (&str, &str),
        search_path: &str,
    ) -> sqlx::Result<()> {
        if let Self::Settings = self {
            let text = format!("RESET ROLE{}", identity(role, claims, search_path));
            return sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop);
        }
        let query = sqlx::query(REBIND)
            .bind(role.to_owned())
            .bind(claims.to_owned())
            .bind(self.mac(begun, role, claims))
            .bind(search_path.to_owned());
        query.execute(connection).await.map(drop)
    }

    fn mac(&self, begun: &Begun, role: &str, claims: &str) -> String {
        match self {
            Self::Mac(identity) => identity.mac(begun, role, claims),
            Self::None | Self::Settings => String::new(),
        }
    }
}

fn settings(who: &Bind<'_>, search_path: &str) -> String {
    format!(
        "{}; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
        identity(who.role, who.claims, search_path),
        millis(who.statement_timeout),
        millis(who.lock_timeout)
    )
}

/// The path is of quoted identifiers already. The claims come while nobody's role stands: `pg_stat_statements` shows
/// a role what it ran itself.
fn identity(role: &str, claims: &str, search_path: &str) -> String {
    format!(
        "; SET LOCAL \"request.jwt.claims\" = {}; SET LOCAL search_path = {search_path}; \
         SET LOCAL ROLE {}",
        text(claims),
        quote(role)
    )
}

/// A string constant that reads the same whatever `standard_conforming_strings` says.
fn text(value: &str) -> String {
    format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn millis(limit: Option<Duration>) -> String {
    // 0 switches a limit off, so the shortest one is a millisecond. The server's own limit is an i32.
    let limit = limit.map_or(0, |limit| limit.as_millis().clamp(1, 2_147_483_647));
    limit.to_string()
}

/// Whether the connection is lost, so that another one may do.
pub(super) fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_cannot_leave_their_string() {
        let claims = r#"{"sub":"x\\'; SET ROLE aurora_store; --","n":"\"'"}"#;
        let sql = identity("authenticated", claims, "public, pg_temp");
        let inner = sql.split_once("E'").unwrap().1.split_once("; SET LOCAL search_path").unwrap().0;
        // Every quote within is doubled, every backslash too.
        let inner = inner.strip_suffix('\'').unwrap();
        assert_eq!(inner.replace("''", "").matches('\'').count(), 0, "{inner}");
        assert_eq!(inner.replace("\\\\", "\\").replace("''", "'"), claims);
        assert!(identity("a\"b", "{}", "public").ends_with("SET LOCAL ROLE \"a\"\"b\""));
    }
}
