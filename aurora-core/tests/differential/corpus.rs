//! Policies of public repositories, enforced alike on both engines over tables made to fit. The tables are learnt from
//! PostgreSQL's own errors; rows are drawn until each disjunct of a policy has one that passes and one that fails.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlparser::ast::{BinaryOperator, Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::answer;
use super::judge::{self, Case, Opened};
use super::postgres::Postgres;
use super::rng::Rng;
use super::statements::Script;
use super::tree::{Kind, Node};
use super::world::{self, Column, Table, Type, USERS, Value, Who, World};

pub(crate) struct Entry {
    name: String,
    pub(crate) tier: char,
    text: String,
}

pub(crate) fn read() -> Option<Vec<Entry>> {
    let shared = super::setting("AURORA_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let text = std::fs::read_to_string(shared.join("corpus/policies.sql")).ok()?;
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        if line.starts_with("-- ====") {
            break;
        }
        if let Some(name) = line.strip_prefix("-- #") {
            entries.push(Entry { name: name.to_owned(), tier: '?', text: String::new() });
        } else if let Some(entry) = entries.last_mut() {
            if let Some(tier) = line.strip_prefix("-- tier ") {
                entry.tier = tier.chars().next().unwrap_or('?');
            }
            if !line.starts_with("--") {
                entry.text.push_str(line);
                entry.text.push('\n');
            }
        }
    }
    Some(entries)
}

/// What became of an entry.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
pub(crate) enum Fate {
    Enforced,
    /// The same on both engines, but some disjunct passes always or never.
    Vacuous,
    /// By Aurora, with its reason.
    Refused(String),
    /// PostgreSQL's tables could not be learnt.
    NotLearnt(String),
    /// The engines differ.
    Differs(String),
}

const ROWS: usize = 14;

struct Learnt {
    text: String,
    tables: Vec<(String, Vec<(String, Type)>)>,
    enums: BTreeMap<String, Vec<String>>,
}

/// `storage.objects` is `storage_objects` here, on both engines; `public.` is left out.
fn flat(text: &str) -> String {
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

fn statement(text: &str) -> Option<sqlparser::ast::CreatePolicy> {
    match Parser::parse_sql(&PostgreSqlDialect {}, text).ok()?.into_iter().next()? {
        Statement::CreatePolicy(policy) => Some(policy),
        _ => None,
    }
}

fn guess(name: &str) -> Type {
    let lower = name.trim_matches('"').to_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if lower.ends_with("_at") || any(&["_until", "_from", "expires"]) {
        Type::Time
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

const ALTERNATIVES: [Type; 6] =
    [Type::UuidText, Type::Text, Type::BigInt, Type::Bool, Type::Time, Type::Json];

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

    /// The table whose SELECT the position stands in, or the guarded one.
    fn around(&self, position: usize) -> String {
        let before: String = self.text.chars().take(position).collect();
        let mut open = Vec::new();
        for (at, c) in before.char_indices() {
            match c {
                '(' => open.push(at),
                ')' => drop(open.pop()),
                _ => {}
            }
        }
        for at in open.into_iter().rev() {
            let inner = &self.text[at + 1..];
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
        let words: Vec<&str> = self.text.split_whitespace().collect();
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

    fn world(&self) -> World {
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
        // A write that reads its target sees only what a SELECT policy shows.
        if let Some(policy) = statement(&self.text)
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
        World { tables: tables.collect(), policies, who: people(), ..World::default() }
    }
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

fn people() -> Vec<Who> {
    let mut who = World::people();
    for (at, role) in ["staff", "moderator"].into_iter().enumerate() {
        who.push(Who {
            name: role,
            user: Some(USERS[at]),
            claims: format!(
                r#"{{"sub":"{}","role":"authenticated","email":"{}","aal":"aal2","app_metadata":{{"role":"admin","staff":true,"is_admin":true}},"user_metadata":{{"role":"admin"}}}}"#,
                USERS[at], world::WORDS[at]
            ),
            tenant: Some("a"),
        });
    }
    who
}

/// The tables that PostgreSQL needs to take the policy.
async fn learn(postgres: &mut Postgres, text: &str) -> Result<Learnt, String> {
    let policy = statement(text).ok_or("does not parse")?;
    let table = bare(&policy.table_name.to_string());
    let mut learnt =
        Learnt { text: text.to_owned(), tables: vec![(table, Vec::new())], enums: BTreeMap::new() };
    let mut last = String::new();
    for _ in 0..60 {
        let Err((state, said)) = postgres.open(&learnt.world()).await else { return Ok(learnt) };
        let position = postgres.position();
        let quoted = said.split('"').nth(1).unwrap_or_default().to_owned();
        let changed = match state.as_str() {
            "42P01" => learnt.add(&bare(&spelled(&quoted))),
            "42703" if quoted.is_empty() => {
                // column a.b does not exist
                let name = said.split_whitespace().nth(1).unwrap_or_default();
                let (alias, column) = name.rsplit_once('.').unwrap_or(("", name));
                let table = learnt.aliased(alias);
                learnt.add_column(&table, &spelled(column))
            }
            "42703" => {
                let table = learnt.around(position);
                learnt.add_column(&table, &spelled(&quoted))
            }
            "42704" if said.starts_with("type ") => {
                let labels = literals(text);
                learnt.enums.insert(quoted, labels).is_none()
            }
            _ => retyped(postgres, &mut learnt, position).await,
        };
        if !changed {
            return Err(format!("{state} {said}"));
        }
        last = format!("{state} {said}");
    }
    Err(last)
}

/// Another type for some column, so that PostgreSQL comes further.
async fn retyped(postgres: &mut Postgres, learnt: &mut Learnt, position: usize) -> bool {
    for table in 0..learnt.tables.len() {
        for column in 0..learnt.tables[table].1.len() {
            let before = learnt.tables[table].1[column].1;
            for of in ALTERNATIVES {
                learnt.tables[table].1[column].1 = of;
                match postgres.open(&learnt.world()).await {
                    Ok(()) => return true,
                    Err(_) if postgres.position() > position => return true,
                    Err(_) => {}
                }
            }
            learnt.tables[table].1[column].1 = before;
        }
    }
    false
}

/// The quoted strings of a text.
fn literals(text: &str) -> Vec<String> {
    let found: Vec<String> = text.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    let mut once = Vec::new();
    for one in found.into_iter().filter(|one| !one.is_empty() && one.len() < 40) {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

fn fill(rng: &mut Rng, world: &mut World, text: &str) {
    let words = literals(text);
    world.rows.clear();
    for table in 0..world.tables.len() {
        for number in 0..ROWS {
            let columns = world.tables[table].columns.clone();
            let row = columns.iter().enumerate().map(|(at, column)| match (at, column.of) {
                (0, _) => Value::Int(number as i64),
                (1, _) => Value::Null,
                _ if rng.chance(15) => Value::Null,
                (_, Type::Text) if rng.chance(75) && !words.is_empty() => {
                    let word = rng.pick(&words).clone();
                    let ends =
                        [word.clone(), format!("{word}{}-x", USERS[0]), format!("{word}{}.jpg", USERS[1])];
                    Value::Text(if rng.chance(70) { word } else { rng.pick(&ends).clone() })
                }
                (_, Type::Text) if rng.chance(40) => Value::Text((*rng.pick(&USERS)).to_owned()),
                (_, of) => world::value(rng, &column.name, of),
            });
            let row = row.collect();
            world.rows.push((table, row));
        }
    }
}

fn disjuncts(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::Nested(inner) => disjuncts(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            disjuncts(left, found);
            disjuncts(right, found);
        }
        other => found.push(other.to_string()),
    }
}

/// Learns, fills and compares one entry.
pub(crate) async fn try_entry(postgres: &mut Postgres, entry: &Entry) -> Fate {
    let text = flat(&entry.text);
    let learnt = match learn(postgres, &text).await {
        Ok(learnt) => learnt,
        Err(why) => return Fate::NotLearnt(why),
    };
    let mut world = learnt.world();
    let Some(policy) = statement(&text) else { return Fate::NotLearnt("does not parse".to_owned()) };
    let mut clauses = Vec::new();
    for expr in policy.using.iter().chain(&policy.with_check) {
        disjuncts(expr, &mut clauses);
    }
    let mut vacuous = true;
    for attempt in 0..8 {
        fill(&mut Rng::new(&[77, attempt]), &mut world, &text);
        if postgres.open(&world).await.is_err() {
            continue;
        }
        vacuous = !postgres.decides(&world, &clauses).await;
        if !vacuous {
            break;
        }
    }
    let mut sqlite = match judge::open(postgres, &world).await {
        Opened::Both(sqlite) => sqlite,
        Opened::Neither => return Fate::Refused("by both engines: 42P17".to_owned()),
        Opened::One(how, why) => {
            return Fate::Refused(format!("{how}: {}", why.lines().next().unwrap_or_default()));
        }
        Opened::Broken(why) => return Fate::NotLearnt(why),
    };
    let any = Case { who: world.who[0].clone(), script: super::statements::everything(&world, 0), world };
    for who in &any.world.who {
        for sql in scripts(&any.world) {
            let statements = vec![sql];
            let script = Script { statements, transaction: None, bound: false, tables: vec![0] };
            let case = Case { who: who.clone(), script, world: any.world.clone() };
            let (one, other) = judge::both(postgres, &mut sqlite, &case).await;
            if let Some(how) = answer::difference(&one, &other) {
                let text = judge::script(&case, &how, "");
                return Fate::Differs(format!("{how}\n{text}"));
            }
        }
    }
    if vacuous { Fate::Vacuous } else { Fate::Enforced }
}

/// Looks at every row, then each row by itself updated and deleted, and inserted anew.
fn scripts(world: &World) -> Vec<Node> {
    let table = &world.tables[0];
    let name = &table.name;
    let mut all = vec![Node::atom(Kind::Other, format!("SELECT * FROM {name}"))];
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    for (number, (_, row)) in world.rows.iter().filter(|(of, _)| *of == 0).enumerate() {
        all.push(Node::atom(Kind::Other, format!("UPDATE {name} SET touched = 1 WHERE rk = {number}")));
        all.push(Node::atom(Kind::Other, format!("DELETE FROM {name} WHERE rk = {number}")));
        let mut values = vec![Node::atom(Kind::Int, (100 + number).to_string())];
        values.extend(row.iter().zip(&table.columns).skip(1).map(|(value, column)| value.node(column.of)));
        let form = vec!["{}"; values.len()].join(", ");
        let insert = format!("INSERT INTO {name} ({}) VALUES ({form})", names.join(", "));
        all.push(Node::of(Kind::Other, &insert, values));
    }
    all
}

pub(crate) async fn run(server: &str) {
    let Some(entries) = read() else {
        println!("no corpus beside this checkout: nothing was read");
        return;
    };
    let mut postgres = Postgres::new(server).await;
    let mut counts: BTreeMap<char, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in &entries {
        assert!(statement(&entry.text).is_some(), "{} does not parse", entry.name);
        let fate = try_entry(&mut postgres, entry).await;
        let kind = match &fate {
            Fate::Enforced => "enforced",
            Fate::Vacuous => "vacuous",
            Fate::Refused(why) => {
                println!("refused, tier {}: {}: {why}", entry.tier, entry.name);
                "refused"
            }
            Fate::NotLearnt(why) => {
                println!("not learnt, tier {}: {}: {why}", entry.tier, entry.name);
                "not learnt"
            }
            Fate::Differs(how) => {
                println!("differs, tier {}: {}: {how}", entry.tier, entry.name);
                wrong.push(entry.name.clone());
                "differs"
            }
        };
        *counts.entry(entry.tier).or_default().entry(kind).or_default() += 1;
    }
    postgres.close().await;
    for (tier, fates) in &counts {
        println!("tier {tier}: {fates:?}");
    }
    assert_eq!(entries.len(), 138);
    assert!(wrong.is_empty(), "{wrong:?}");
    let of =
        |tier: char, kind: &str| counts.get(&tier).and_then(|fates| fates.get(kind)).copied().unwrap_or(0);
    let accepted: usize = ['A', 'B'].iter().map(|tier| of(*tier, "enforced") + of(*tier, "vacuous")).sum();
    let all = entries.iter().filter(|entry| matches!(entry.tier, 'A' | 'B')).count();
    println!("tiers A and B: {accepted} of {all} accepted and enforced alike");
    assert!(accepted * 100 >= all * 95, "fewer than 95 %");
}
