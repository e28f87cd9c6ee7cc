//! Policies of public repositories, enforced alike on both engines over tables made to fit. The tables are learnt from
//! PostgreSQL's own errors; rows are drawn until each disjunct of a policy has one that passes and one that fails.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlparser::ast::{BinaryOperator, Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::answer;
use super::judge::{self, Case, Opened};
use super::learn::{self, Body, flat, learn};
use super::postgres::Postgres;
use super::rng::Rng;
use super::statements::Script;
use super::tree::{Kind, Node};
use super::world::{self, Type, USERS, Value, Who, World};

pub(crate) struct Entry {
    name: String,
    pub(crate) tier: char,
    text: String,
}

/// The policies, and the functions that some of them call.
pub(crate) fn read() -> Option<(Vec<Entry>, Vec<Body>)> {
    let shared = super::setting("AURORA_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let text = std::fs::read_to_string(shared.join("corpus/policies.sql")).ok()?;
    let (policies, functions) = text.split_once("-- ============ helper").unwrap_or((&text, ""));
    let mut entries: Vec<Entry> = Vec::new();
    for line in policies.lines() {
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
    Some((entries, functions.split("\n-- F").skip(1).filter_map(body).collect()))
}

/// `01 owner/repository : path (kind)`, then the statement.
fn body(text: &str) -> Option<Body> {
    let (head, statement) = text.split_once('\n')?;
    let repository = head.split_whitespace().nth(1)?.to_owned();
    let lower = statement.to_lowercase();
    let after = lower.find("function ")? + "function ".len();
    let name = statement[after..].split('(').next()?.replace('"', "");
    let name = name.rsplit('.').next()?.trim().to_owned();
    Some(Body { repository, name, text: statement.trim().to_owned() })
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
    /// It calls a function whose body nobody knows.
    NoBody(String),
    /// The engines differ.
    Differs(String),
}

const ROWS: usize = 14;

pub(crate) fn statement(text: &str) -> Option<sqlparser::ast::CreatePolicy> {
    match Parser::parse_sql(&PostgreSqlDialect {}, text).ok()?.into_iter().next()? {
        Statement::CreatePolicy(policy) => Some(policy),
        _ => None,
    }
}

pub(crate) fn people() -> Vec<Who> {
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

/// The quoted strings of a text.
pub(crate) fn literals(text: &str) -> Vec<String> {
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
                (_, Type::Enum) if !words.is_empty() => Value::Text(rng.pick(&words).clone()),
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
pub(crate) async fn try_entry(postgres: &mut Postgres, entry: &Entry, bodies: &[Body]) -> Fate {
    let repository = entry.name.split_whitespace().nth(1).unwrap_or_default();
    let learnt = match learn(postgres, &flat(&entry.text), repository, bodies).await {
        Ok(learnt) => learnt,
        Err(why) if why.starts_with(learn::NO_BODY) => return Fate::NoBody(why),
        Err(why) => return Fate::NotLearnt(why),
    };
    let (text, all) = (learnt.text.clone(), learnt.all());
    let mut world = learnt.world(false);
    let Some(policy) = statement(&text) else { return Fate::NotLearnt("does not parse".to_owned()) };
    let mut clauses = Vec::new();
    for expr in policy.using.iter().chain(&policy.with_check) {
        disjuncts(expr, &mut clauses);
    }
    let mut vacuous = true;
    for attempt in 0..8 {
        fill(&mut Rng::new(&[77, attempt]), &mut world, &all);
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
        Opened::Doubted => {
            return Fate::Refused("by Aurora: grants of what a planner may leave out".to_owned());
        }
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
    let Some((entries, bodies)) = read() else {
        println!("no corpus beside this checkout: nothing was read");
        return;
    };
    let mut postgres = Postgres::new(server).await;
    let mut counts: BTreeMap<char, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in &entries {
        assert!(statement(&entry.text).is_some(), "{} does not parse", entry.name);
        let fate = try_entry(&mut postgres, entry, &bodies).await;
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
            Fate::NoBody(why) => {
                println!("not tried, tier {}: {}: {why}", entry.tier, entry.name);
                "without a body"
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
    // C1: those of C whose helpers are in the corpus, so that tables can be learnt from them.
    let (enforced, vacuous, outside) = (of('C', "enforced"), of('C', "vacuous"), of('C', "without a body"));
    let (own, of_c1) =
        (enforced + vacuous, entries.iter().filter(|entry| entry.tier == 'C').count() - outside);
    println!(
        "tier C1: {own} of {of_c1} accepted and enforced alike, {vacuous} of them vacuous; {outside} more of C \
         call what the corpus has no body of"
    );
    let (accepted, all) = (accepted + own, all + of_c1);
    println!("tiers A to C1: {accepted} of {all}");
    assert!(accepted * 100 >= all * 95, "fewer than 95 %");
}
