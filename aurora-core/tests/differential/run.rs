//! The run: world after world, counting what occurred.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::answer::{self, Answer, Outcome};
use super::illtyped;
use super::installed::{Installed, Place};
use super::judge::{self, Case, Opened};
use super::policies;
use super::postgres::Postgres;
use super::process::{self, Asked, Process};
use super::rng::Rng;
use super::sqlite::{self, Sqlite};
use super::statements::{self, Script};
use super::tree::{Engine, Kind, Node};
use super::world::World;

pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) cases: u64,
    pub(crate) world: Option<u64>,
    pub(crate) failures: usize,
    /// How often a smaller case is tried.
    pub(crate) tries: usize,
    pub(crate) progress: Option<PathBuf>,
    pub(crate) long: bool,
}

/// Statements per world, besides looking at each table as each principal.
const STATEMENTS: u64 = 12;
/// Ill-typed policies per world.
const WRONG: usize = 60;
/// One world in so many is also asked of Aurora's engine on PostgreSQL.
const INSTALLED: u64 = 2;

/// Policies that Aurora refuses since it cannot tell what PostgreSQL's planner would leave out.
const DOUBTED: &str = "refused by Aurora: grants of what a planner may leave out";

#[derive(Default)]
struct Counts {
    next_world: u64,
    cases: u64,
    mixed: u64,
    wrong: u64,
    wrong_taken: u64,
    refused: u64,
    /// Answers that carry no error.
    answered: u64,
    features: BTreeMap<String, u64>,
}

impl Counts {
    fn feature(&mut self, name: &str, many: u64) {
        if many > 0 {
            *self.features.entry(name.to_owned()).or_default() += many;
        }
    }

    /// A run that was ended goes on from here.
    fn load(plan: &Plan) -> Self {
        let mut counts = Self::default();
        let Some(text) = plan.progress.as_ref().and_then(|path| std::fs::read_to_string(path).ok()) else {
            return counts;
        };
        let mut seed = None;
        for line in text.lines() {
            let Some((name, many)) = line.rsplit_once('\t') else { continue };
            let many: u64 = many.parse().unwrap();
            match name {
                "seed" => seed = Some(many),
                "next world" => counts.next_world = many,
                "cases" => counts.cases = many,
                "mixed" => counts.mixed = many,
                "wrong" => counts.wrong = many,
                "wrong taken" => counts.wrong_taken = many,
                "refused" => counts.refused = many,
                "answered" => counts.answered = many,
                _ => counts.feature(name, many),
            }
        }
        if seed == Some(plan.seed) { counts } else { Self::default() }
    }

    fn save(&self, plan: &Plan) {
        let Some(path) = &plan.progress else { return };
        let mut text = format!(
            "seed\t{}\nnext world\t{}\ncases\t{}\nmixed\t{}\nwrong\t{}\nwrong taken\t{}\nrefused\t{}\nanswered\t{}\n",
            plan.seed,
            self.next_world,
            self.cases,
            self.mixed,
            self.wrong,
            self.wrong_taken,
            self.refused,
            self.answered
        );
        for (name, many) in &self.features {
            text.push_str(&format!("{name}\t{many}\n"));
        }
        std::fs::write(path, text).unwrap();
    }

    fn print(&self) {
        println!("feature, and in how many cases it occurred:");
        for (name, many) in &self.features {
            println!("{many:>9} {name}");
        }
        println!(
            "{} cases in {} worlds; {} of them with visible and hidden rows ({} %); {} answered without an error",
            self.cases,
            self.next_world,
            self.mixed,
            self.mixed * 100 / self.cases.max(1),
            self.answered
        );
        println!(
            "{} more policies that may be ill-typed: {} refused by both, {} taken by both; {} worlds refused",
            self.wrong,
            self.wrong - self.wrong_taken,
            self.wrong_taken,
            self.refused
        );
    }
}

pub(crate) async fn run(server: &str, plan: &Plan) {
    let mut postgres = Postgres::new(server).await;
    let mut place = Place::new(server).await;
    let mut counts = Counts::load(plan);
    let mut failures: Vec<String> = Vec::new();
    let (begun, mut said) = (Instant::now(), counts.cases);
    let first = counts.cases;
    if let Some(world) = plan.world {
        counts.next_world = world;
    }
    println!("seed {}, {} cases from world {}", plan.seed, plan.cases, counts.next_world);
    while counts.cases < plan.cases && failures.len() < plan.failures {
        let number = counts.next_world;
        let found = world(&mut postgres, &mut place, plan.seed, number, &mut counts).await;
        counts.next_world += 1;
        if let Some((case, how)) = found {
            let small = judge::shrink(&mut postgres, case, &how, plan.tries).await;
            let detail =
                judge::judge(&mut postgres, &small).await.map(|(_, detail)| detail).unwrap_or_default();
            let text = judge::script(&small, &how, &detail);
            println!("---- AURORA_SEED={} AURORA_WORLD={number}\n{text}----", plan.seed);
            failures.push(how);
        }
        if counts.cases - said >= 1_000 {
            said = counts.cases;
            let rate = (counts.cases - first) as f64 / begun.elapsed().as_secs_f64();
            println!("{} cases, {} differences, {rate:.0} a second", counts.cases, failures.len());
            counts.save(plan);
        }
        if plan.world.is_some() {
            break;
        }
    }
    counts.save(plan);
    counts.print();
    println!("{:.0} s", begun.elapsed().as_secs_f64());
    postgres.close().await;
    place.close().await;
    assert!(failures.is_empty(), "{} differences: {}", failures.len(), failures.join("; "));
    if plan.world.is_none() {
        check(plan, &counts);
    }
}

/// The run had the power that it claims.
fn check(plan: &Plan, counts: &Counts) {
    assert!(counts.mixed * 100 >= counts.cases * 30, "too few cases with visible and hidden rows");
    assert!(counts.answered * 2 >= counts.cases, "too many statements only fail");
    assert!(counts.wrong - counts.wrong_taken >= counts.wrong / 2, "too few ill-typed policies");
    assert!(counts.wrong_taken > 0, "no policy was taken that might have been refused");
    if plan.long {
        // Not drawn but found: circles of policies, and what the evaluator hands back to the database.
        let found = |name: &str| name.starts_with("refused by ") || name.starts_with("in process: refused");
        let rare = counts.features.iter().filter(|(name, many)| **many < 1_000 && !found(name));
        let rare: Vec<&String> = rare.map(|(name, _)| name).collect();
        assert!(rare.is_empty(), "these occur in fewer than 1,000 cases: {rare:?}");
    }
}

/// One world and all its cases; at most one case that differs.
async fn world(
    postgres: &mut Postgres,
    place: &mut Place,
    seed: u64,
    number: u64,
    counts: &mut Counts,
) -> Option<(Case, String)> {
    let mut rng = Rng::new(&[seed, number]);
    let mut world = World::draw(&mut rng);
    let erring = rng.chance(50) && policies::erring(&mut rng, &mut world).is_some();
    if !erring {
        policies::draw(&mut rng, &mut world);
    }
    let look = statements::everything(&world, 0);
    let any = Case { who: world.who[1].clone(), script: look, world };
    let mut sqlite = match judge::open(postgres, &any.world).await {
        Opened::Both(sqlite) => sqlite,
        Opened::Neither => {
            counts.refused += 1;
            counts.cases += 1;
            counts.feature("refused by both (circles)", 1);
            return None;
        }
        Opened::Doubted => {
            counts.refused += 1;
            counts.cases += 1;
            counts.feature(DOUBTED, 1);
            return None;
        }
        Opened::One(how, _) => return Some((any, how)),
        Opened::Broken(why) => panic!("world {number} of seed {seed}: {why}"),
    };
    let mut third = Third { place, installed: None };
    if number.is_multiple_of(INSTALLED)
        && let Err(why) = third.open(&any.world).await
    {
        return Some((any, format!("refused by Aurora on PostgreSQL alone: {why}")));
    }
    let found = if erring {
        erring_cases(postgres, &mut sqlite, &mut third, any, counts).await
    } else {
        cases(postgres, &mut sqlite, &mut third, any, (seed, number), &mut rng, counts).await
    };
    third.close().await;
    found
}

/// Aurora's engine on PostgreSQL, where a world is asked of it.
struct Third<'a> {
    place: &'a mut Place,
    installed: Option<Installed>,
}

impl Third<'_> {
    async fn open(&mut self, world: &World) -> Result<(), String> {
        self.installed = Some(self.place.open(world).await?);
        Ok(())
    }

    /// How it differs.
    async fn differs(
        &mut self,
        postgres: &mut Postgres,
        case: &Case,
        one: &Answer,
        counts: &mut Counts,
    ) -> Option<String> {
        let installed = self.installed.as_ref()?;
        let own = self.place.ask(installed, &case.world, &case.who, &case.script).await;
        counts.feature("Aurora's engine on PostgreSQL", 1);
        let how = answer::difference(one, &own)?;
        // Asked again over rows whose order is known, PostgreSQL has them in the same one.
        let lies = Case { world: self.place.as_it_lies(&case.world).await, ..case.clone() };
        let own = self.place.ask(installed, &case.world, &case.who, &case.script).await;
        if judge::is_so_in_order(postgres, case, &lies, &own).await {
            return None;
        }
        let (theirs, ours) = (answer::show(one, one), answer::show(&own, one));
        println!("-- PostgreSQL:\n{theirs}-- Aurora on PostgreSQL:\n{ours}");
        Some(format!("installed: {}", how.replace("SQLite", "Aurora on PostgreSQL")))
    }

    async fn close(self) {
        if let Some(installed) = self.installed {
            installed.close().await;
        }
    }
}

async fn cases(
    postgres: &mut Postgres,
    sqlite: &mut Sqlite,
    third: &mut Third<'_>,
    any: Case,
    (seed, number): (u64, u64),
    rng: &mut Rng,
    counts: &mut Counts,
) -> Option<(Case, String)> {
    if let Some(found) = ill_typed(postgres, &any, rng, counts).await {
        return Some(found);
    }
    let process = Process::open(&any.world);
    let mut seen = Vec::new();
    for who in &any.world.who {
        let mut mixed = Vec::new();
        for table in 0..any.world.tables.len() {
            let case =
                Case { who: who.clone(), script: statements::everything(&any.world, table), ..any.clone() };
            let (one, other) = judge::both(postgres, sqlite, &case).await;
            let visible = match &one.outcomes[0] {
                Outcome::Rows(rows) => rows.rows.len(),
                _ => 0,
            };
            let all = any.world.rows.iter().filter(|(of, _)| *of == table).count();
            mixed.push(visible > 0 && visible < all);
            count(&case, &one, mixed[table], counts);
            let asked = process.visible(postgres, &any.world, who, table).await;
            process::count(&asked, &mut counts.features);
            if let Asked::Answer(own) = asked
                && let Some(how) = answer::difference(&one, &own)
            {
                return Some(in_process(case, how.replace("SQLite", "process")));
            }
            if let Some(how) = judge::differs(postgres, &case, &one, &other).await {
                return Some((case, how));
            }
            if let Some(how) = third.differs(postgres, &case, &one, counts).await {
                return Some((case, how));
            }
        }
        seen.push(mixed);
        let row = rng.below(any.world.rows.len());
        if let Some((case, how)) = process.insert(postgres, &any.world, who, row).await {
            return Some(in_process(case, how));
        }
    }
    for at in 0..STATEMENTS {
        let mut rng = Rng::new(&[seed, number, at]);
        let who = rng.weighted(&[4, 7, 7, 7]);
        let script = statements::draw(&mut rng, &any.world, &any.world.who[who]);
        let case = Case { who: any.world.who[who].clone(), script, world: any.world.clone() };
        let (one, other) = judge::both(postgres, sqlite, &case).await;
        let mixed = case.script.tables.iter().any(|table| seen[who][*table]);
        count(&case, &one, mixed, counts);
        if let Some(how) = judge::differs(postgres, &case, &one, &other).await {
            return Some((case, how));
        }
        if let Some(how) = third.differs(postgres, &case, &one, counts).await {
            return Some((case, how));
        }
    }
    None
}

/// Smaller cases are judged by the databases only, so this one is shown as it is.
fn in_process(case: Case, how: String) -> (Case, String) {
    (case, format!("in process: {how}"))
}

async fn erring_cases(
    postgres: &mut Postgres,
    sqlite: &mut Sqlite,
    third: &mut Third<'_>,
    any: Case,
    counts: &mut Counts,
) -> Option<(Case, String)> {
    let name = any.world.tables[0].name.clone();
    let looks =
        ["SELECT id FROM {}", "SELECT * FROM {}", "SELECT count(*) FROM {}", "SELECT id FROM {} ORDER BY id"];
    for (who, look) in any.world.who.iter().flat_map(|who| looks.map(|look| (who, look))) {
        let statement = Node::atom(Kind::Other, look.replace("{}", &name)).tag("policy that may fail");
        let script = Script { statements: vec![statement], transaction: None, bound: false, tables: vec![0] };
        let case = Case { who: who.clone(), script, world: any.world.clone() };
        let (one, other) = judge::both(postgres, sqlite, &case).await;
        count(&case, &one, false, counts);
        if let Some(how) = judge::differs(postgres, &case, &one, &other).await {
            return Some((case, how));
        }
        if let Some(how) = third.differs(postgres, &case, &one, counts).await {
            return Some((case, how));
        }
    }
    None
}

/// PostgreSQL refuses a policy if and only if Aurora does.
async fn ill_typed(
    postgres: &mut Postgres,
    any: &Case,
    rng: &mut Rng,
    counts: &mut Counts,
) -> Option<(Case, String)> {
    for _ in 0..WRONG {
        let (what, policy) = illtyped::draw(rng, &any.world);
        let taken = postgres.takes(&any.world, &policy).await;
        let ours = sqlite::takes(&any.world, &policy);
        // PostgreSQL finds a circle through a function's body when the stack is full, so not while it plans.
        if what == "circle" && ours.as_ref().is_err_and(|why| why.contains("(54001)")) {
            counts.feature("refused by Aurora: a circle through a function", 1);
            continue;
        }
        if taken.is_ok() && ours.as_ref().is_err_and(|why| why.contains(judge::DOUBTED)) {
            counts.feature(DOUBTED, 1);
            continue;
        }
        counts.wrong += 1;
        counts.wrong_taken += u64::from(taken.is_ok());
        let found = if what == "circle" && taken.is_ok() { "none" } else { what };
        counts.feature(&format!("ill-typed: {found}"), 1);
        if taken.is_ok() != ours.is_ok() {
            println!("{what}: {policy}\n  PostgreSQL: {taken:?}\n  Aurora: {ours:?}");
            let mut case = any.clone();
            case.world.policies.push(Node::atom(Kind::Other, policy));
            let how = if taken.is_ok() { "refused by Aurora alone" } else { "refused by PostgreSQL alone" };
            return Some((case, how.to_owned()));
        }
    }
    None
}

fn count(case: &Case, answer: &Answer, mixed: bool, counts: &mut Counts) {
    counts.cases += 1;
    counts.mixed += u64::from(mixed);
    counts.answered +=
        u64::from(!answer.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(..))));
    let mut found: BTreeMap<&'static str, u64> = BTreeMap::new();
    for statement in &case.script.statements {
        statement.tags(&mut found);
    }
    for table in &case.script.tables {
        let known = &case.world.tables[*table];
        let name = format!(" {} ", known.name);
        let public = format!(" public.{} ", known.name);
        for policy in &case.world.policies {
            let text = format!("{} ", policy.text(Engine::Postgres));
            let own = text.find(" ON ").is_some_and(|at| {
                let rest = &text[at + 3..];
                rest.starts_with(&name) || rest.starts_with(&public)
            });
            if own {
                policy.tags(&mut found);
            }
        }
        if known.without_rowid {
            found.insert("table WITHOUT ROWID", 1);
        }
        if known.key.len() > 1 {
            found.insert("composite key", 1);
        }
        if let Some(foreign) = &known.foreign {
            found.insert("foreign key", 1);
            if foreign.action.contains("CASCADE") || foreign.action.contains("SET NULL") {
                found.insert("foreign key that acts", 1);
            }
        }
        if known.unique.is_some() {
            found.insert("unique column", 1);
        }
        if known.check.is_some() {
            found.insert("CHECK", 1);
        }
        if known.columns.iter().any(|column| column.default.is_some()) {
            found.insert("DEFAULT", 1);
        }
    }
    answer::features(answer, &mut found);
    found.insert(
        match case.who.name {
            "anon" => "principal anon",
            "ann" => "principal without claims",
            _ => "principal with claims",
        },
        1,
    );
    for name in found.keys() {
        counts.feature(name, 1);
    }
}
