//! The tables that a policy of somebody else's needs, learnt from PostgreSQL's own errors.

use std::collections::BTreeMap;

use super::corpus::{literals, people};
use super::postgres::Postgres;
use super::tree::{Engine, Kind, Node};
use super::world::{Column, LABELS, Table, Type, World};

/// A helper function of the corpus.
pub(crate) struct Body {
    pub(crate) repository: String,
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) struct Learnt {
    pub(crate) text: String,
    /// Each in this schema, as PostgreSQL reads its body when it is created, and as written.
    functions: Vec<(String, String, String)>,
    schemas: Vec<String>,
    tables: Vec<(String, Vec<(String, Type)>)>,
    /// A column can be of the first, which is `state` here.
    enums: BTreeMap<String, Vec<String>>,
}

/// `storage.objects` is `storage_objects` here, on both engines; `public.` is left out.
pub(crate) fn flat(text: &str) -> String {
    let mut text = text.to_owned();
    for schema in ["storage", "rbac", "authenticative", "private", "app", "realtime"] {
        for form in [format!("\"{schema}\".\""), format!("{schema}.")] {
            let quote = if form.ends_with('"') { "\"" } else { "" };
            for table in ["objects", "buckets", "groups", "members", "messages", "notes"] {
                text = text.replace(&format!("{form}{table}{quote}"), &format!("{schema}_{table}"));
            }
        }
    }
    text
}

fn guess(name: &str) -> Type {
    let lower = name.trim_matches('"').to_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if lower.ends_with("_at") || any(&["_until", "_from", "expires"]) {
        Type::Time
    } else if any(&["metadata", "meta_data"]) {
        Type::Json
    } else if any(&["bucket", "name", "status", "role", "email", "path"]) {
        Type::Text
    } else if any(&["is_", "active", "published", "verified", "deleted", "public", "enabled", "can_"]) {
        Type::Bool
    } else if lower == "id" || lower.ends_with("id") || any(&["user", "owner", "_by", "follow", "author"]) {
        Type::UuidText
    } else {
        Type::Text
    }
}

const ALTERNATIVES: [Type; 7] =
    [Type::UuidText, Type::Text, Type::Enum, Type::BigInt, Type::Bool, Type::Time, Type::Json];

impl Learnt {
    fn add(&mut self, table: &str) -> bool {
        let new = !self.tables.iter().any(|(name, _)| name == table);
        if new {
            self.tables.push((table.to_owned(), Vec::new()));
        }
        new
    }

    fn add_column(&mut self, table: &str, column: &str) -> bool {
        let Some((_, columns)) = self.tables.iter_mut().find(|(name, _)| name == table) else { return false };
        let new = !columns.iter().any(|(name, _)| name == column);
        if new {
            columns.push((column.to_owned(), guess(column)));
        }
        new
    }

    /// The policy and its helpers.
    pub(crate) fn all(&self) -> String {
        let functions: String = self.functions.iter().map(|(text, ..)| format!("{text}\n")).collect();
        format!("{functions}{}", self.text)
    }

    /// Another spelling everywhere.
    fn respell(&mut self, from: &str, to: &str) {
        self.text = word_for_word(&self.text, from, to);
        for (text, twin, _) in &mut self.functions {
            (*text, *twin) = (word_for_word(text, from, to), word_for_word(twin, from, to));
        }
    }

    /// The table whose SELECT the position stands in, or the guarded one.
    fn around(&self, text: &str, position: usize) -> String {
        let before: String = text.chars().take(position).collect();
        let mut open = Vec::new();
        for (at, c) in before.char_indices() {
            match c {
                '(' => open.push(at + 1),
                ')' => drop(open.pop()),
                _ => {}
            }
        }
        // A function's body is a query that no parenthesis opens.
        if let Some(body) = body_of(text) {
            open.insert(0, body.start);
        }
        for at in open.into_iter().rev() {
            let inner = &text[at..];
            if inner.trim_start().to_lowercase().starts_with("select") {
                let mut words = inner.split_whitespace();
                if words.any(|word| word.eq_ignore_ascii_case("from"))
                    && let Some(name) = words.next()
                {
                    return bare(name);
                }
            }
        }
        self.tables[0].0.clone()
    }

    /// The table of an alias.
    fn aliased(&self, alias: &str) -> String {
        let all = self.all();
        let words: Vec<&str> = all.split_whitespace().collect();
        for pair in words.windows(3) {
            let named = |word: &str| {
                word.trim_matches(|c| c == '(' || c == ')' || c == '"').eq_ignore_ascii_case(alias)
            };
            let table = bare(pair[0]);
            if self.tables.iter().any(|(name, _)| *name == table)
                && (named(pair[1]) || (pair[1].eq_ignore_ascii_case("as") && named(pair[2])))
            {
                return table;
            }
        }
        alias.to_owned()
    }

    /// `twins`: with bodies that PostgreSQL reads when they are created.
    pub(crate) fn world(&self, twins: bool) -> World {
        let tables = self.tables.iter().map(|(name, columns)| {
            let column =
                |name: &str, of, not_null| Column { name: name.to_owned(), of, not_null, default: None };
            let mut all = vec![column("rk", Type::Int, true), column("touched", Type::Int, false)];
            all.extend(columns.iter().map(|(name, of)| column(name, *of, false)));
            Table {
                name: name.clone(),
                columns: all,
                key: vec![0],
                without_rowid: false,
                unique: None,
                check: None,
                foreign: None,
            }
        });
        let mut policies = Vec::new();
        for (name, labels) in &self.enums {
            let labels: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
            policies.push(format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", ")));
        }
        for (at, (name, _)) in self.tables.iter().enumerate() {
            policies.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"));
            if at > 0 {
                policies.push(format!("CREATE POLICY everyone ON {name} USING (true)"));
            }
        }
        let texts = self.functions.iter().map(|(text, twin, _)| if twins { twin } else { text });
        policies.extend(texts.map(|text| text.trim().trim_end_matches(';').to_owned()));
        // A write that reads its target sees only what a SELECT policy shows.
        if let Some(policy) = super::corpus::statement(&self.text)
            && !matches!(
                policy.command,
                None | Some(
                    sqlparser::ast::CreatePolicyCommand::All | sqlparser::ast::CreatePolicyCommand::Select
                )
            )
        {
            policies.push(format!("CREATE POLICY everyone ON {} FOR SELECT USING (true)", self.tables[0].0));
        }
        policies.push(self.text.trim().trim_end_matches(';').to_owned());
        let policies = policies.into_iter().map(|text| Node::atom(Kind::Other, text)).collect();
        World {
            tables: tables.collect(),
            policies,
            who: people(),
            schemas: self.schemas.clone(),
            ..World::default()
        }
    }
}

/// Where a function's body stands in its statement.
fn body_of(text: &str) -> Option<std::ops::Range<usize>> {
    let from = text.find('$')?;
    let mark = &text[from..=from + 1 + text[from + 1..].find('$')?];
    let start = from + mark.len();
    let length = text[start..].find(mark)?;
    Some(start..start + length)
}

/// A plpgsql body of one RETURN as the query that it is, so that PostgreSQL reads it at once.
fn twin(text: &str) -> String {
    let Some(body) = body_of(text) else { return text.to_owned() };
    let inner = text[body.clone()].trim();
    let Some(rest) = inner.get(5..).filter(|_| inner[..5].eq_ignore_ascii_case("begin")) else {
        return text.to_owned();
    };
    let rest = rest.trim().trim_end_matches(';').trim_end();
    let rest = rest[..rest.len().saturating_sub(3)].trim().trim_end_matches(';');
    let word = |text: &'static str| move |rest: &&str| rest.to_lowercase().starts_with(text);
    let query = match Some(rest).filter(word("return query")) {
        Some(rest) => rest["return query".len()..].to_owned(),
        None => format!("SELECT {}", &rest["return".len().min(rest.len())..]),
    };
    let head = text[..body.start].replace("plpgsql", "sql");
    format!("{head}{query}{}", text[body.end..].replace("plpgsql", "sql"))
}

/// A name, quoted or not, wherever it is a word of its own.
fn word_for_word(text: &str, from: &str, to: &str) -> String {
    if from.is_empty() || from == to {
        return text.to_owned();
    }
    let quoted: Vec<String> = from.split('.').map(|part| format!("\"{part}\"")).collect();
    let text = text.replace(&quoted.join("."), to);
    let mut out = String::new();
    let mut rest = text.as_str();
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    while let Some(at) = rest.find(from) {
        let ends = rest[..at].ends_with(part) || rest[at + from.len()..].starts_with(part);
        out.push_str(&rest[..at]);
        out.push_str(if ends { from } else { to });
        rest = &rest[at + from.len()..];
    }
    format!("{out}{rest}")
}

fn bare(name: &str) -> String {
    let name = name.trim_matches(|c: char| c == '(' || c == ')' || c == ',' || c == ';');
    let name = name.strip_prefix("public.").or_else(|| name.strip_prefix("\"public\".")).unwrap_or(name);
    let plain = name.trim_matches('"');
    if plain.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        plain.to_owned()
    } else {
        name.to_owned()
    }
}

fn spelled(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_uppercase()) { format!("\"{name}\"") } else { name.to_owned() }
}

/// The tables that PostgreSQL needs to take the policy, and the helpers among `bodies`.
pub(crate) async fn learn(
    postgres: &mut Postgres,
    text: &str,
    repository: &str,
    bodies: &[Body],
) -> Result<Learnt, String> {
    let policy = super::corpus::statement(text).ok_or("does not parse")?;
    // A table of another schema is one of `public`, with the schema in its name.
    let written = policy.table_name.to_string().replace('"', "");
    let written = written.strip_prefix("public.").unwrap_or(&written).to_owned();
    let one = written.replace('.', "_");
    let moved = written.contains('.');
    let text = if moved { word_for_word(text, &written, &format!("public.{one}")) } else { text.to_owned() };
    let table = if moved { one } else { bare(&policy.table_name.to_string()) };
    let mut learnt = Learnt {
        text,
        functions: Vec::new(),
        schemas: Vec::new(),
        tables: vec![(table, Vec::new())],
        enums: BTreeMap::new(),
    };
    let (mut last, mut retypes) = (String::new(), 0);
    for _ in 0..80 {
        let world = learnt.world(true);
        let Err((state, said)) = postgres.open(&world).await else { return Ok(learnt) };
        let stopped = postgres.stopped();
        let failing = world.policies.get(stopped.statement).map(|one| one.text(Engine::Postgres));
        let failing = stopped.body.clone().or(failing).unwrap_or_default();
        let quoted = said.split('"').nth(1).unwrap_or_default();
        let quoted = quoted.strip_prefix("public.").unwrap_or(quoted).to_owned();
        let changed = match state.as_str() {
            "42P01" if quoted.contains('.') => {
                // `auth_` is Aurora's own.
                let one = quoted.replace('.', "_").replace("auth_", "own_auth_");
                learnt.respell(&quoted, &format!("public.{one}"));
                learnt.add(&one)
            }
            "42P01" => learnt.add(&bare(&spelled(&quoted))),
            "3F000" if !learnt.schemas.contains(&quoted) => {
                learnt.schemas.push(quoted);
                true
            }
            "42703" if quoted.is_empty() => {
                // column a.b does not exist
                let name = said.split_whitespace().nth(1).unwrap_or_default();
                let (alias, column) = name.rsplit_once('.').unwrap_or(("", name));
                let table = learnt.aliased(alias);
                learnt.add_column(&table, &spelled(column))
            }
            "42703" => {
                let table = learnt.around(&failing, stopped.position);
                learnt.add_column(&table, &spelled(&quoted))
            }
            "22P02" if said.starts_with("invalid input value for enum") => {
                let label = said.rsplit('"').nth(1).unwrap_or_default().to_owned();
                let labels = learnt.enums.entry("state".to_owned()).or_default();
                let new = !labels.contains(&label);
                labels.push(label);
                new
            }
            "42704" if said.starts_with("type ") => {
                // Unquoted where it is an argument's.
                let bare_name = said.split_whitespace().nth(1).unwrap_or_default();
                let name = if quoted.is_empty() { bare_name } else { &quoted };
                let name = name.strip_prefix("public.").unwrap_or(name).trim_end_matches("[]").to_owned();
                learnt.respell(&format!("public.{name}"), &name);
                let mut labels = literals(&learnt.all());
                if labels.is_empty() {
                    labels.extend(LABELS.map(str::to_owned));
                }
                let own = if learnt.enums.is_empty() { "state".to_owned() } else { bare(&name) };
                learnt.respell(&name, &own);
                learnt.respell(&bare(&name), &own);
                learnt.enums.insert(own, labels).is_none()
            }
            "42883" if said.starts_with("function ") && learnt.helper(&said, repository, bodies) => true,
            "42883" if said.starts_with("function ") && unknown(&said, bodies, &learnt) => {
                return Err(format!("{NO_BODY}: {said}"));
            }
            _ if retypes == 8 => return Err(format!("{state} {said}")),
            _ => {
                retypes += 1;
                retyped(postgres, &mut learnt, (stopped.statement, stopped.position)).await
            }
        };
        if !changed {
            return Err(format!("{state} {said}"));
        }
        last = format!("{state} {said}");
    }
    Err(last)
}

/// What [`learn`] says where a policy calls what the corpus has no body of.
pub(crate) const NO_BODY: &str = "no body in the corpus";

/// The last part of the function that PostgreSQL misses.
fn called(said: &str) -> String {
    let name = said.strip_prefix("function ").and_then(|rest| rest.split('(').next()).unwrap_or_default();
    name.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned()
}

fn unknown(said: &str, bodies: &[Body], learnt: &Learnt) -> bool {
    let name = called(said);
    let builtin = ["coalesce", "lower", "upper"].contains(&name.as_str());
    // One of the same name in another schema is another function.
    let schema =
        said.split_whitespace().nth(1).and_then(|name| name.split_once('.')).map(|(schema, _)| schema);
    let elsewhere = schema.is_some_and(|schema| {
        let own = format!("{schema}.{name}");
        schema != "public" && !learnt.functions.iter().any(|(text, ..)| text.contains(&own))
    });
    !builtin && (elsewhere || !bodies.iter().any(|body| body.name == name))
}

impl Learnt {
    /// Adds the helper that is missing; of several, the same repository's.
    fn helper(&mut self, said: &str, repository: &str, bodies: &[Body]) -> bool {
        let name = called(said);
        let taken = |body: &&Body| self.functions.iter().any(|(_, _, from)| *from == body.text);
        let named = || bodies.iter().filter(|body| body.name == name && !taken(body));
        let own = named().find(|body| body.repository == repository).or_else(|| named().next());
        let Some(body) = own else { return false };
        let mut text = flat(&body.text);
        if self.enums.contains_key("state") {
            for kind in ["user_role", "app_role", "account_role", "token_type", "workout_visibility"] {
                for form in [format!("public.{kind}"), format!("basejump.{kind}"), kind.to_owned()] {
                    text = word_for_word(&text, &form, "state");
                }
            }
        }
        let twin = twin(&text);
        // Helpers that helpers call stand before them.
        self.functions.insert(0, (text, twin, body.text.clone()));
        true
    }
}

/// Another type for some column, so that PostgreSQL comes further.
async fn retyped(postgres: &mut Postgres, learnt: &mut Learnt, reached: (usize, usize)) -> bool {
    for table in 0..learnt.tables.len() {
        for column in 0..learnt.tables[table].1.len() {
            let before = learnt.tables[table].1[column].1;
            for of in ALTERNATIVES.into_iter().filter(|of| *of != Type::Enum || !learnt.enums.is_empty()) {
                learnt.tables[table].1[column].1 = of;
                let further = match postgres.open(&learnt.world(true)).await {
                    Ok(()) => true,
                    Err((state, _)) => {
                        let stopped = postgres.stopped();
                        state != super::postgres::SCHEMA && (stopped.statement, stopped.position) > reached
                    }
                };
                if further {
                    return true;
                }
            }
            learnt.tables[table].1[column].1 = before;
        }
    }
    false
}
