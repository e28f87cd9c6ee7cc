//! Wall one on PostgreSQL: host SQL is read as tokens and refused by what it says; it runs as it is written.
//!
//! The second wall (the bound identity, the roles, the policies) does not need this one. This one keeps out what
//! would change the session, run SQL text, or reach other sessions.

use crate::policy::postgres::lexer::{self, Kind, Token};
use crate::types::{Code, Error, Result, Role};

/// The words a statement may start with.
const STARTS: &[&str] = &["select", "insert", "update", "delete", "with", "values", "table", "merge"];

/// A statement without any of them changes no row by itself.
const WRITES: &[&str] = &["insert", "update", "delete", "merge"];

/// Functions that change the session, run SQL text, reach other sessions or files, or remember another's work.
const FUNCTIONS: &[&str] = &[
    "connectby",
    "currval",
    "lastval",
    "loread",
    "lowrite",
    "pg_cancel_backend",
    "pg_current_logfile",
    "pg_cursor",
    "pg_export_snapshot",
    "pg_notify",
    "pg_prepared_statement",
    "pg_prepared_xact",
    "pg_promote",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_show_all_settings",
    "pg_terminate_backend",
    "set_config",
    "setseed",
    "setval",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// The same by how their names start.
const FAMILIES: &[&str] = &[
    "binary_upgrade_",
    "crosstab",
    "dblink",
    "lo_",
    "pg_advisory_",
    "pg_backup_",
    "pg_copy_",
    "pg_create_",
    "pg_drop_",
    "pg_import_",
    "pg_log_",
    "pg_logical_",
    "pg_ls_",
    "pg_read_",
    "pg_replication_",
    "pg_sleep",
    "pg_start_",
    "pg_stat",
    "pg_stop_",
    "pg_switch_",
    "pg_try_advisory_",
    "pg_wal_",
];

/// Relations that change the session or show others' statements.
const RELATIONS: &[&str] = &["pg_settings", "pg_file_settings", "pg_cursors", "pg_prepared_statements"];

/// A statement that may run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) sql: String,
    /// It may change rows.
    pub(super) writes: bool,
}

/// The text to run for a principal of this role: the host's own, if it passes, marked with the role.
///
/// The mark keeps one prepared statement per role. PostgreSQL before 15.19, 16.15, 17.11 and 18.6 may run a cached
/// plan under another role's policies (CVE-2026-14666); a text of its own never has that plan.
pub(super) fn admit(sql: &str, role: Role) -> Result<Admitted> {
    let writes = check(sql)?;
    Ok(Admitted { sql: marked(sql, role), writes })
}

/// The same unread, for tests of the second wall.
pub(super) fn unchecked(sql: &str, role: Role) -> Admitted {
    Admitted { sql: marked(sql, role), writes: true }
}

fn marked(sql: &str, role: Role) -> String {
    format!("/*{}*/ {sql}", role.as_str())
}

fn check(sql: &str) -> Result<bool> {
    if sql.contains('\0') {
        return Err(Error::new(Code::BadStatement, "a statement must not hold a NUL character"));
    }
    let tokens = lexer::tokens(sql)
        .map_err(|unreadable| Error::new(Code::BadStatement, format!("syntax: {}", unreadable.what)))?;
    let last = tokens.iter().rposition(|token| !token.is(b';')).map_or(0, |last| last + 1);
    let statement = tokens.get(..last).unwrap_or_default();
    let Some(first) = statement.iter().find(|token| !token.is(b'(')) else {
        return Err(Error::new(Code::BadStatement, "syntax: an empty statement"));
    };
    if statement.iter().any(|token| token.is(b';')) {
        return Err(refused("more than one statement"));
    }
    let start = first.text(sql).to_ascii_lowercase();
    if first.kind != Kind::Word || !STARTS.contains(&start.as_str()) {
        return Err(refused(&format!("a statement that starts with `{}`", shown(&start))));
    }
    let mut before: Option<&Token> = None;
    // By depth of parentheses: rows are already spoken of, so that INSERT and MERGE are labels from here on.
    let mut reading = vec![false];
    for (position, token) in statement.iter().enumerate() {
        let next = statement.get(position + 1);
        if token.is(b'(') {
            reading.push(false);
        } else if token.is(b')') {
            reading.pop();
        } else if ["select", "values", "table"].iter().any(|word| token.is_word(sql, word))
            && let Some(here) = reading.last_mut()
        {
            *here = true;
        }
        if token.is_word(sql, "into") && reading.last().copied().unwrap_or(true) {
            return Err(refused("SELECT INTO"));
        }
        check_token(sql, before, token, next)?;
        before = Some(token);
    }
    Ok(statement.iter().any(|token| WRITES.iter().any(|word| token.is_word(sql, word))))
}

fn check_token(sql: &str, before: Option<&Token>, token: &Token, next: Option<&Token>) -> Result<()> {
    let Some(name) = token.identifier(sql) else { return Ok(()) };
    let follows = |word: &str| before.is_some_and(|before| before.is_word(sql, word));
    if token.is_word(sql, "into") && !follows("insert") && !follows("merge") {
        return Err(refused("SELECT INTO"));
    }
    let called = next.is_some_and(|next| next.is(b'('));
    if called && is_refused(&name) {
        return Err(refused(&format!("the function `{}`", shown(&name))));
    }
    // Counters of rows that an index gave before the policy was asked tell what is hidden.
    if RELATIONS.contains(&name.as_str()) || name.starts_with("pg_stat") {
        return Err(refused(&format!("`{}`", shown(&name))));
    }
    Ok(())
}

fn is_refused(name: &str) -> bool {
    FUNCTIONS.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || name.contains("_to_xml")
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn refused(what: &str) -> Error {
    Error::new(Code::StatementNotSupported, format!("guarded SQL does not carry {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(sql: &str) -> Option<Code> {
        admit(sql, Role::Authenticated).err().map(|error| error.code())
    }

    #[test]
    fn what_a_service_writes_passes_as_it_is() {
        for sql in [
            "SELECT id, title FROM notes WHERE team_id = $1 -- all; of them",
            "(SELECT 1) UNION ALL (SELECT 2);",
            "WITH x AS (SELECT 1) INSERT INTO notes (title) SELECT 'set_config(1)' RETURNING id ;; ",
            "WITH x AS (SELECT 1), y AS (INSERT INTO notes (title) VALUES ('a') RETURNING id) SELECT id FROM y",
            "VALUES (1), (2)",
            "TABLE notes",
            "MERGE INTO notes USING x ON true WHEN MATCHED THEN DELETE",
            "SELECT doc -> 'a' ? 'b', E'it\\'s', $$;$$ FROM notes",
            "SELECT set_config FROM notes",
        ] {
            assert_eq!(admit(sql, Role::Anon).unwrap().sql, format!("/*anon*/ {sql}"));
        }
    }

    #[test]
    fn what_changes_the_session_or_runs_text_is_refused() {
        for sql in [
            "SELECT 1; SELECT 2",
            "SET ROLE postgres",
            "set role x",
            "RESET ALL",
            "BEGIN",
            "COMMIT",
            "SAVEPOINT a",
            "DO $$ $$",
            "COPY notes TO STDOUT",
            "EXPLAIN SELECT 1",
            "CREATE TEMP TABLE notes (id int)",
            "DECLARE c CURSOR FOR SELECT 1",
            "LISTEN x",
            "EXECUTE p",
            "SELECT * INTO x FROM notes",
            "SELECT 2 AS team_id, 0 AS insert INTO TEMP members",
            "SELECT 0 merge INTO TEMP TABLE x",
            "SELECT (1) insert INTO TEMP x",
            "WITH a AS (SELECT 1) SELECT (1) insert INTO TEMP x",
            "WITH a AS (SELECT 1 insert INTO TEMP x) SELECT 1",
            "SELECT * FROM pg_prepared_statement()",
            "SELECT pg_notify('a', 'b')",
            "SELECT set_config('a', 'b', true)",
            "SELECT pg_catalog . set_config /* x */ ('a', 'b', true)",
            "SELECT \"set_config\"('a', 'b', true)",
            "SELECT SET_CONFIG('a', 'b', true)",
            "SELECT query_to_xml('select 1', true, true, '')",
            "SELECT database_to_xml_and_xmlschema(true, true, '')",
            "UPDATE pg_settings SET setting = 'x'",
            "UPDATE \"pg_settings\" SET setting = 'x'",
            "SELECT dblink_exec('x')",
            "SELECT pg_advisory_lock(1)",
            "SELECT pg_sleep(10)",
            "SELECT lastval()",
            "SELECT lo_import('/etc/passwd')",
        ] {
            assert_eq!(code(sql), Some(Code::StatementNotSupported), "{sql}");
        }
        for sql in ["", ";", "--", "SELECT U&\"set\\005fconfig\"('a')", "SELECT 'a", "SELECT \0", "SELECT $x"]
        {
            assert_eq!(code(sql), Some(Code::BadStatement), "{sql}");
        }
    }
}
