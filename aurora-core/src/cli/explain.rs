use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value as Json};

use super::print;
use crate::Builder;
use crate::guard::{Asked, columns};
use crate::policy::{Clause, Column, Command as Statement};
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
    let aurora = builder.reading()?.build().await?;
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
            let Question { table, command, principal } = &question;
            let asked = Asked { table, command: *command, clause: *clause, row };
            let explanation = aurora.guarded(principal.clone()).explanation(&asked, aurora.now()).await?;
            said.push_str(&format!("{explanation}\n"));
        }
    }
    print(&said)
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
