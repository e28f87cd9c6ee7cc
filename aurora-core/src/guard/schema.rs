//! The host's schema as SQLite's catalog describes it, and what of it the guard carries.

use std::collections::HashSet;

use sqlparser::ast::{FromTable, Query, SetExpr, Statement, TableFactor, TableWithJoins};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};
use sqlx::sqlite::SqliteConnection;

use crate::policy::{Column, Index, Schema, Table};
use crate::types::{Code, Error, Result, quote};

use super::rewrite::parse_schema;
use super::sqlite::{Facts, is_aurora_s};

/// Everything of the host's that host SQL may come to speak of.
#[derive(Debug, Default)]
pub(super) struct HostSchema {
    pub(super) catalog: Schema,
    pub(super) tables: Vec<HostTable>,
    pub(super) views: Vec<HostView>,
    /// The name of every table and view in the file, Aurora's own and sqlx's too.
    names: Vec<String>,
}

/// What the guard needs to know of a table beyond the policies' [`Table`].
#[derive(Debug)]
pub(super) struct HostTable {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Columns whose value is not known before the row is written: generated ones and the rowid's alias.
    pub(super) late_columns: Vec<String>,
    /// The column that is the rowid by another name.
    pub(super) rowid_alias: Option<String>,
    /// How the rowid is spelled where no column hides it; `None` for WITHOUT ROWID.
    pub(super) rowid: Option<String>,
    pub(super) primary_key: Vec<String>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) triggers: Vec<String>,
    /// Some column declares a collation: policies compare by bytes all the same.
    pub(super) collated: bool,
    /// Why the guard cannot carry it, if so.
    pub(super) refusal: Option<String>,
}

#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<String>,
    pub(super) parent: String,
    pub(super) parent_columns: Vec<String>,
    pub(super) on_update: String,
    pub(super) on_delete: String,
}

impl ForeignKey {
    /// Whether a change of the parent changes or deletes the child by itself.
    pub(super) fn acts(&self) -> bool {
        let passive = |action: &str| matches!(action, "NO ACTION" | "RESTRICT");
        !passive(&self.on_update) || !passive(&self.on_delete)
    }
}

/// A view of the host's: read as if its text stood in the statement, under the caller's policies.
#[derive(Debug)]
pub(super) struct HostView {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) query: Result<Box<Query>, String>,
}

/// The tables of an SQLite file as policies see them.
pub(crate) async fn schema_on_sqlite(connection: &mut SqliteConnection) -> Result<Schema> {
    Ok(HostSchema::read(connection).await?.catalog)
}

impl HostSchema {
    /// Reads the catalog of the database that is `main` on this plain connection.
    pub(super) async fn read(conn: &mut SqliteConnection) -> Result<Self> {
        let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema
             WHERE type IN ('table', 'view', 'trigger') ORDER BY rowid",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::internal)?;
        let named = rows.iter().filter(|(kind, ..)| kind != "trigger");
        let mut host = Self { names: named.map(|(_, name, ..)| name.clone()).collect(), ..Self::default() };
        for (kind, name, _, sql) in &rows {
            match kind.as_str() {
                "table" if !internal(name) => {
                    let (table, entry) = read_table(conn, name, sql.as_deref().unwrap_or("")).await?;
                    host.tables.push(table);
                    host.catalog.tables.push(entry);
                }
                "view" if !internal(name) => host.views.push(read_view(name, sql.as_deref().unwrap_or(""))),
                _ => {}
            }
        }
        for (kind, _, table, sql) in rows {
            if let ("trigger", Some(owner), Some(sql)) = (kind.as_str(), host.position(&table), sql)
                && let Some(owner) = host.tables.get_mut(owner)
            {
                owner.triggers.push(sql);
            }
        }
        Ok(host)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn view(&self, name: &str) -> Option<&HostView> {
        self.views.iter().find(|view| view.name.eq_ignore_ascii_case(name))
    }

    /// An empty table in `main` for every name in the file: a bare name that the rewriter should ever miss then finds
    /// that one, which the authorizer refuses, and not the attached table behind it. Left out is what a trigger of
    /// the host's writes to, since a TEMP trigger cannot qualify its target; and Aurora's own, which the authorizer
    /// refuses by their names, so that a transaction that goes on as the store's finds them.
    fn shadows(&self) -> String {
        let mut written = HashSet::new();
        for trigger in self.tables.iter().flat_map(|table| &table.triggers) {
            if let Ok(Statement::CreateTrigger(trigger)) = parse_schema(trigger) {
                let body = trigger.statements.iter().flat_map(|body| body.statements());
                written.extend(body.filter_map(target_of).map(|name| name.to_ascii_lowercase()));
            }
        }
        let mut script = String::new();
        for name in &self.names {
            let lower = name.to_ascii_lowercase();
            if !written.contains(&lower) && !lower.starts_with("sqlite_") && !is_aurora_s(&lower) {
                script.push_str(&format!("CREATE TABLE IF NOT EXISTS main.{} (x);", quote(name)));
            }
        }
        script
    }

    /// What the authorizer must know.
    pub(super) fn facts(&self) -> Facts {
        let lower = |name: &str| name.to_ascii_lowercase();
        let mut facts = Facts { shadows: self.shadows(), ..Facts::default() };
        let mut edges: HashSet<(String, String)> = HashSet::new();
        for table in &self.tables {
            for key in &table.foreign_keys {
                for column in &key.columns {
                    facts.key_columns.insert((lower(&table.name), lower(column)));
                }
                for column in &key.parent_columns {
                    facts.key_columns.insert((lower(&key.parent), lower(column)));
                }
                if key.acts() {
                    edges.insert((lower(&key.parent), lower(&table.name)));
                }
            }
        }
        // The transitive closure: a cascade may set off another.
        facts.cascades = edges.clone();
        loop {
            let longer: Vec<_> = facts
                .cascades
                .iter()
                .flat_map(|(from, via)| {
                    edges
                        .iter()
                        .filter(move |(start, _)| start == via)
                        .map(move |(_, to)| (from.clone(), to.clone()))
                })
                .filter(|pair| !facts.cascades.contains(pair))
                .collect();
            if longer.is_empty() {
                return facts;
            }
            facts.cascades.extend(longer);
        }
    }
}

/// SQLite's, sqlx's and our own tables: no host SQL ever names them.
fn internal(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["sqlite_", "aurora_", "auth_", "_sqlx_"].iter().any(|prefix| lower.starts_with(prefix))
}

async fn read_table(conn: &mut SqliteConnection, name: &str, sql: &str) -> Result<(HostTable, Table)> {
    let listed: Option<(String, i64, i64)> =
        sqlx::query_as("SELECT type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1")
            .bind(name)
            .fetch_optional(&mut *conn)
            .await
            .map_err(Error::internal)?;
    let (kind, without_rowid, strict) = listed.unwrap_or_else(|| ("table".to_owned(), 0, 0));
    let columns: Vec<(String, String, i64, i64, i64)> =
        sqlx::query_as("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid")
            .bind(name)
            .fetch_all(&mut *conn)
            .await
            .map_err(Error::internal)?;
    let mut entry = Table { name: name.to_owned(), ..Table::default() };
    entry.without_rowid = without_rowid == 1;
    entry.strict = strict == 1;
    let mut keyed: Vec<(i64, String)> = Vec::new();
    let (mut late, mut rowid_alias) = (Vec::new(), None);
    for (column, declared, not_null, pk, hidden) in &columns {
        // 1 is a hidden column of a virtual table; 2 and 3 are generated ones.
        if *hidden == 1 {
            continue;
        }
        if *pk > 0 {
            keyed.push((*pk, column.clone()));
        }
        let generated = *hidden >= 2;
        if generated {
            late.push(column.clone());
        }
        entry.columns.push(Column {
            name: column.clone(),
            declared_type: declared.clone(),
            not_null: *not_null == 1,
            generated,
        });
    }
    keyed.sort();
    entry.primary_key = keyed.into_iter().map(|(_, column)| column).collect();
    if let [only] = entry.primary_key.as_slice()
        && let Some(column) = entry.column(only)
        && column.declared_type.eq_ignore_ascii_case("INTEGER")
        && !entry.without_rowid
    {
        late.push(only.clone());
        rowid_alias = Some(only.clone());
    }
    read_indexes(conn, &mut entry).await?;
    let foreign_keys = read_foreign_keys(conn, name).await?;
    let hidden = |word: &&str| entry.column(word).is_none();
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(hidden).map(str::to_owned);
    let refusal = refuse(&kind, sql, &foreign_keys, rowid.is_none() && !entry.without_rowid);
    let table = HostTable {
        name: name.to_owned(),
        columns: entry.columns.iter().map(|column| column.name.clone()).collect(),
        late_columns: late,
        rowid_alias,
        rowid: if entry.without_rowid { None } else { rowid },
        primary_key: entry.primary_key.clone(),
        foreign_keys,
        triggers: Vec::new(),
        collated: keywords(sql).contains(&Keyword::COLLATE),
        refusal,
    };
    Ok((table, entry))
}

async fn read_indexes(conn: &mut SqliteConnection, entry: &mut Table) -> Result<()> {
    let indexes: Vec<(String, i64, String, i64)> =
        sqlx::query_as("SELECT name, \"unique\", origin, partial FROM pragma_index_list(?1)")
            .bind(&entry.name)
            .fetch_all(&mut *conn)
            .await
            .map_err(Error::internal)?;
    for (index, unique, origin, partial) in indexes {
        let columns: Vec<(Option<String>,)> =
            sqlx::query_as("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")
                .bind(&index)
                .fetch_all(&mut *conn)
                .await
                .map_err(Error::internal)?;
        // `None` where an expression stands.
        let columns: Vec<Option<String>> = columns.into_iter().map(|(name,)| name).collect();
        if unique == 1
            && partial == 0
            && origin != "pk"
            && let Some(named) = columns.iter().cloned().collect::<Option<Vec<String>>>()
        {
            entry.unique.push(named);
        }
        entry.indexes.push(Index { name: index, columns, partial: partial == 1, unique: unique == 1 });
    }
    Ok(())
}

async fn read_foreign_keys(conn: &mut SqliteConnection, name: &str) -> Result<Vec<ForeignKey>> {
    let rows: Vec<(i64, String, String, Option<String>, String, String)> = sqlx::query_as(
        "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?1)
         ORDER BY id, seq",
    )
    .bind(name)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::internal)?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for (id, parent, from, to, on_update, on_delete) in rows {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let (columns, parent_columns) = (Vec::new(), Vec::new());
            keys.push((
                id,
                ForeignKey { columns, parent: parent.clone(), parent_columns, on_update, on_delete },
            ));
        }
        let to = match to {
            Some(to) => Some(to),
            None => {
                let at = keys.last().map_or(0, |(_, key)| key.columns.len());
                primary_key_of(conn, &parent, at).await?
            }
        };
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.parent_columns.extend(to);
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The column of the parent's primary key that an omitted name stands for.
async fn primary_key_of(conn: &mut SqliteConnection, table: &str, at: usize) -> Result<Option<String>> {
    let row: Option<(String,)> = sqlx::query_as("SELECT name FROM pragma_table_xinfo(?1) WHERE pk = ?2")
        .bind(table)
        .bind(i64::try_from(at + 1).unwrap_or(i64::MAX))
        .fetch_optional(conn)
        .await
        .map_err(Error::internal)?;
    Ok(row.map(|(name,)| name))
}

fn refuse(kind: &str, sql: &str, keys: &[ForeignKey], rowid_hidden: bool) -> Option<String> {
    if kind == "virtual" {
        return Some("it is a virtual table (FTS5 and the like cannot run under the guard)".to_owned());
    }
    if kind == "shadow" {
        return Some("it is the shadow table of a virtual table".to_owned());
    }
    if rowid_hidden {
        return Some(
            "its columns hide rowid, _rowid_ and oid; rename one, or declare it WITHOUT ROWID".to_owned(),
        );
    }
    let words = keywords(sql);
    let has = |sequence: &[Keyword]| words.windows(sequence.len()).any(|window| window == sequence);
    if has(&[Keyword::ON, Keyword::CONFLICT, Keyword::REPLACE]) {
        return Some(
            "a constraint says ON CONFLICT REPLACE, which would delete rows past the policies".to_owned(),
        );
    }
    if has(&[Keyword::INITIALLY, Keyword::DEFERRED]) && keys.iter().any(ForeignKey::acts) {
        return Some("a foreign key with an action is INITIALLY DEFERRED; make it immediate".to_owned());
    }
    None
}

fn keywords(sql: &str) -> Vec<Keyword> {
    let tokens = Tokenizer::new(&SQLiteDialect {}, sql).tokenize().unwrap_or_default();
    tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.keyword),
            Token::Whitespace(_) => None,
            _ => Some(Keyword::NoKeyword),
        })
        .collect()
}

fn read_view(name: &str, sql: &str) -> HostView {
    let (columns, query) = match parse_schema(sql) {
        Ok(Statement::CreateView(view)) => {
            let columns = view.columns.iter().map(|column| column.name.value.clone()).collect();
            let query = match &*view.query.body {
                SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => Ok(view.query),
                _ => Err("it is not a plain SELECT".to_owned()),
            };
            (columns, query)
        }
        Ok(_) => (Vec::new(), Err("it is not a view".to_owned())),
        Err(error) => (Vec::new(), Err(error.message().to_owned())),
    };
    HostView { name: name.to_owned(), columns, query }
}

/// The table that a statement of a trigger writes to.
fn target_of(statement: &Statement) -> Option<String> {
    let name = match statement {
        Statement::Insert(insert) => insert.table.to_string(),
        Statement::Update(update) => match &update.table.relation {
            TableFactor::Table { name, .. } => name.to_string(),
            _ => return None,
        },
        Statement::Delete(delete) => match &delete.from {
            FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables) => match tables.as_slice()
            {
                [TableWithJoins { relation: TableFactor::Table { name, .. }, .. }] => name.to_string(),
                _ => return None,
            },
        },
        _ => return None,
    };
    Some(name.trim_matches(['"', '`', '[', ']', '\'']).to_owned())
}

/// The error that names a table or view the guard cannot carry.
pub(super) fn not_carried(what: &str, name: &str, why: &str) -> Error {
    Error::new(Code::Configuration, format!("{what} `{name}` cannot be guarded: {why}"))
}
