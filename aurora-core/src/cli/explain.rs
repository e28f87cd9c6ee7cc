use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value as Json};

use super::print;
use crate::Builder;
use crate::policy::{Clause, Column, Command as Statement, RowLayout, Schema, ValueRef};
use crate::types::{Code, Error, Principal, Result, Role, UserId};

pub(super) fn parser() -> Command {
    let wanted = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("explain")
        .about("Says why one principal may or may not do something to one row: which policy, which clause")
        .arg(wanted("table", "TABLE", "The table").required(true))
        .arg(
            wanted("command", "COMMAND", "What is done to the row")
                .value_parser(["select", "insert", "update", "delete"])
                .default_value("select"),
        )
        .arg(wanted("user", "UUID", "Who does it; nobody signed in without it"))
        .arg(wanted(
            "claims",
            "JSON",
            "More claims of their token, such as {\"app_metadata\":{\"role\":\"admin\"}}",
        ))
        .arg(wanted("key", "COLUMN=VALUE", "The stored row with that value").conflicts_with("row"))
        .arg(
            wanted("row", "JSON", "A row that need not be stored, as an object")
                .required_unless_present("key"),
        )
}

/// What the arguments ask about.
struct Question {
    table: String,
    command: Statement,
    principal: Principal,
}

pub(super) async fn run(builder: Builder, options: &ArgMatches) -> Result<()> {
    let text = |name: &str| options.get_one::<String>(name).map(String::as_str);
    let question = Question {
        table: text("table").unwrap_or_default().to_owned(),
        command: command(text("command").unwrap_or_default()),
        principal: principal(text("user"), text("claims"))?,
    };
    let aurora = builder.build().await?;
    let schema = aurora.guard().schema();
    let columns = columns(schema, &question.table)?;
    let rows = match text("key") {
        Some(key) => stored(&aurora, &question.table, columns, key).await?,
        None => vec![object(text("row").unwrap_or_default())?],
    };
    if rows.is_empty() {
        return Err(Error::new(Code::NotFound, format!("no row of {} has that value", question.table)));
    }
    let mut said = String::new();
    for row in &rows {
        for clause in clauses(question.command) {
            said.push_str(&explanation(&aurora, &question, *clause, columns, row).await?);
            said.push('\n');
        }
    }
    print(&said)
}

async fn explanation(
    aurora: &crate::Aurora,
    question: &Question,
    clause: Clause,
    columns: &[Column],
    row: &Map<String, Json>,
) -> Result<String> {
    let role = question.principal.role();
    let layout = RowLayout::new(columns.iter().map(|column| column.name.clone()));
    let explainer = aurora
        .guard()
        .policies()
        .explainer(&question.table, role, question.command, clause, &layout)
        .map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?;
    // What cannot be asked as the principal stays unknown in the explanation.
    let asked: Vec<_> = explainer.needs().iter().filter(|fact| fact.postgres().is_some()).cloned().collect();
    let facts = aurora.guarded(question.principal.clone()).facts(&asked).await?;
    let cells: Vec<Cell> = columns.iter().map(|column| Cell::of(column, row.get(&column.name))).collect();
    let values: Vec<ValueRef<'_>> = cells.iter().map(Cell::as_value).collect();
    Ok(explainer.explain(values.as_slice(), &facts, aurora.now()).to_string())
}

/// A member of a JSON object, as a column's value.
enum Cell {
    Missing,
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Uuid([u8; 16]),
}

impl Cell {
    fn of(column: &Column, value: Option<&Json>) -> Self {
        let declared = column.declared_type.to_ascii_uppercase();
        let bytes = ["UUID", "BLOB", "BINARY", "BYTEA"].iter().any(|word| declared.contains(word));
        match value {
            None => Self::Missing,
            Some(Json::Null) => Self::Null,
            Some(Json::Bool(value)) => Self::Bool(*value),
            Some(Json::Number(number)) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Real(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(Json::String(text)) => match text.parse::<UserId>() {
                Ok(uuid) if bytes => Self::Uuid(*uuid.as_bytes()),
                _ => Self::Text(text.clone()),
            },
            Some(nested) => Self::Text(nested.to_string()),
        }
    }

    fn as_value(&self) -> ValueRef<'_> {
        match self {
            Self::Missing => ValueRef::Missing,
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value),
            Self::Uuid(value) => ValueRef::Uuid(value),
        }
    }
}

fn command(word: &str) -> Statement {
    let known = Statement::ALL.into_iter().find(|command| command.as_str().eq_ignore_ascii_case(word));
    known.unwrap_or(Statement::Select)
}

/// An update is asked twice: may this row be changed, and may it stand as it would be.
fn clauses(command: Statement) -> &'static [Clause] {
    match command {
        Statement::Select | Statement::Delete => &[Clause::Using],
        Statement::Insert => &[Clause::Check],
        Statement::Update => &[Clause::Using, Clause::Check],
    }
}

fn principal(user: Option<&str>, claims: Option<&str>) -> Result<Principal> {
    let Some(user) = user else {
        return match claims {
            None => Ok(Principal::anonymous()),
            Some(_) => {
                Err(Error::new(Code::ValidationFailed, "--claims needs --user: nobody else has a token"))
            }
        };
    };
    let user: UserId = user.parse()?;
    let mut all = match claims {
        Some(claims) => object(claims)?,
        None => Map::new(),
    };
    all.insert("sub".to_owned(), user.to_string().into());
    all.insert("role".to_owned(), Role::Authenticated.as_str().into());
    let session = crate::types::SessionId::from_bytes([0; 16]);
    Ok(Principal::signed_in(user, session, Json::Object(all).to_string().into()))
}

fn object(text: &str) -> Result<Map<String, Json>> {
    serde_json::from_str(text)
        .map_err(|problem| Error::new(Code::BadJson, format!("not a JSON object: {problem}")))
}

fn columns<'a>(schema: &'a Schema, table: &str) -> Result<&'a [Column]> {
    match schema.table(table) {
        Some(found) => Ok(&found.columns),
        None => Err(Error::new(Code::NotFound, format!("no table {table}"))),
    }
}

/// At most this many stored rows are explained.
const MOST: usize = 5;

/// The stored rows with `COLUMN=VALUE`, whoever may see them: reading them stands in the audit log.
async fn stored(
    aurora: &crate::Aurora,
    table: &str,
    columns: &[Column],
    key: &str,
) -> Result<Vec<Map<String, Json>>> {
    let Some((name, value)) = key.split_once('=') else {
        return Err(Error::new(Code::ValidationFailed, "--key is written COLUMN=VALUE"));
    };
    let Some(column) = columns.iter().find(|column| column.name == name) else {
        return Err(Error::new(Code::NotFound, format!("{table} has no column {name}")));
    };
    let all = aurora.unguarded(&format!("policy explain on {table}")).await?;
    let sql = all.rows_as_json(table, columns, &column.name, MOST);
    let rows: Vec<(String,)> = all.query_as(&sql).bind(value).fetch_all().await?;
    rows.iter().map(|(row,)| object(row)).collect()
}
