//! One decision in process: "owner OR admin OR team(8)" on a borrowed row, against hand-written Rust.
//!
//! The four cases, the row and the user are shared with `benches/peers`, which puts the other engines beside them.

use std::hint::black_box;

use aurora_core::policy::{
    Bound, Clause, Column, Command, Compiled, Decision, Facts, Policies, Record as _, Schema, Table,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};

use crate::measure::{Side, median, quotient, rounds};

/// What a host keeps of a document: the row.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    pub(crate) owner: String,
    pub(crate) team: String,
}

aurora_core::row!(Doc { owner, team });

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) teams: Vec<String>,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) user: User,
    pub(crate) doc: Doc,
    pub(crate) allowed: bool,
}

const ANN: &str = "0d6a1e5c-1111-4111-8111-00000000000a";
const BOB: &str = "0d6a1e5c-2222-4222-8222-00000000000b";

/// Owner, admin, the seventh of eight teams, and nobody.
pub(crate) fn cases() -> Vec<Case> {
    let user = |role: &str| User {
        id: ANN.to_owned(),
        role: role.to_owned(),
        teams: (0..8).map(|i| format!("team-{i}")).collect(),
    };
    let doc = |owner: &str, team: &str| Doc { owner: owner.to_owned(), team: team.to_owned() };
    vec![
        Case { name: "owner", user: user("member"), doc: doc(ANN, "team-99"), allowed: true },
        Case { name: "admin", user: user("admin"), doc: doc(BOB, "team-99"), allowed: true },
        Case { name: "team", user: user("member"), doc: doc(BOB, "team-6"), allowed: true },
        Case { name: "deny", user: user("member"), doc: doc(BOB, "team-99"), allowed: false },
    ]
}

#[inline(never)]
pub(crate) fn by_hand(user: &User, doc: &Doc) -> bool {
    doc.owner == user.id || user.role == "admin" || user.teams.contains(&doc.team)
}

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

const POLICIES: &str = "
ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON members FOR SELECT USING (uid = auth.uid());
CREATE POLICY owner ON docs FOR SELECT TO authenticated USING (owner = auth.uid());
CREATE POLICY admin ON docs FOR SELECT TO authenticated USING (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin');
CREATE POLICY team ON docs FOR SELECT TO authenticated USING
  (EXISTS (SELECT 1 FROM members m WHERE m.team = docs.team AND m.uid = auth.uid()));
";

pub(crate) fn compiled() -> Compiled {
    let text = |name: &str| Column::new(name, "TEXT");
    let schema = Schema {
        tables: vec![
            Table::new("docs", vec![text("owner"), text("team")]),
            Table::new("members", vec![text("team"), text("uid")]),
        ],
    };
    let lowered = Policies::parse(POLICIES, "bench.sql").unwrap().lower(&schema).unwrap();
    lowered.compile("docs", Role::Authenticated, Command::Select, Clause::Using, &Doc::layout()).unwrap()
}

/// The principal as its token names it.
pub(crate) fn principal(user: &User) -> Principal {
    Principal::user(user.id.parse::<UserId>().unwrap())
        .with_claims(&format!(r#"{{"app_metadata":{{"role":"{}"}}}}"#, user.role))
        .unwrap()
}

/// The principal, and its teams as the database answered.
pub(crate) fn facts(compiled: &Compiled, principal: &Principal, user: &User) -> Facts {
    let teams = user.teams.iter().map(|team| [team.as_str()]);
    Facts::of(principal).with(&compiled.needs()[0], teams)
}

/// A side that answers one case, over and over; the answer was asserted before.
pub(crate) fn side<'a>(name: &'a str, mut answer: impl FnMut() -> bool + 'a, allowed: bool) -> Side<'a> {
    assert_eq!(answer(), allowed, "{name}");
    (
        name,
        Box::new(move |n| {
            for _ in 0..n {
                assert_eq!(black_box(answer()), allowed);
            }
            Box::pin(async {})
        }),
    )
}

pub(crate) fn hand<'a>(name: &'a str, case: &'a Case) -> Side<'a> {
    side(name, move || by_hand(black_box(&case.user), black_box(&case.doc)), case.allowed)
}

/// The policy bound to its principal once, asked about a borrowed row.
pub(crate) fn ours<'a>(name: &'a str, bound: &'a Bound, case: &'a Case) -> Side<'a> {
    side(name, move || black_box(bound).decide(black_box(&case.doc), NOW) == Decision::Allow, case.allowed)
}

/// The principal as admission left it, claims as text, and its teams anew for each row: parsed, brought, bound.
pub(crate) fn ours_bound_anew<'a>(
    compiled: &'a Compiled,
    principal: &'a Principal,
    case: &'a Case,
) -> Side<'a> {
    let answer = move || {
        let facts = facts(compiled, black_box(principal), black_box(&case.user));
        compiled.decide(black_box(&case.doc), &facts, NOW).unwrap() == Decision::Allow
    };
    side("aurora-bound-anew", answer, case.allowed)
}

/// Everything anew for each row: claims written and parsed, teams brought, policy bound.
pub(crate) fn ours_anew<'a>(compiled: &'a Compiled, case: &'a Case) -> Side<'a> {
    let answer = move || {
        let user = black_box(&case.user);
        let facts = facts(compiled, &principal(user), user);
        compiled.decide(black_box(&case.doc), &facts, NOW).unwrap() == Decision::Allow
    };
    side("aurora-all-anew", answer, case.allowed)
}

pub(crate) const ROUNDS: usize = 150;

/// Mean over the cases of each side's nanoseconds, with what each side is divided by.
pub(crate) struct Means {
    times: Vec<(String, Vec<f64>)>,
}

impl Means {
    pub(crate) fn new() -> Self {
        Self { times: Vec::new() }
    }

    /// Runs the sides of one case and prints a figure for each.
    pub(crate) async fn case(&mut self, case: &Case, sides: &mut [Side<'_>], per_round: u32) {
        let times = rounds(sides, ROUNDS, per_round).await;
        for ((side, _), times) in sides.iter().zip(times) {
            println!("figure decision.{}.{side} {:.1} ns", case.name, median(&times));
            match self.times.iter_mut().find(|(name, _)| name == side) {
                Some((_, sums)) => sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time),
                None => self.times.push(((*side).to_owned(), times)),
            }
        }
    }

    /// `of` against `against` over all cases; a ratio that has to be at most `limit` says whether it is.
    pub(crate) fn ratio(&self, name: &str, of: &str, against: &str, limit: Option<f64>) {
        let times = |side: &str| &self.times.iter().find(|(name, _)| name == side).unwrap().1;
        let (ratio, spread) = quotient(times(of), times(against));
        let verdict = match limit {
            _ if spread > 0.10 => format!("void (spread {:.0}%, median {ratio:.4})", spread * 100.0),
            Some(limit) if ratio <= limit => {
                format!("{ratio:.4} (at most {limit}, met, spread {:.0}%)", spread * 100.0)
            }
            Some(limit) => format!("{ratio:.4} (at most {limit}, NOT met, spread {:.0}%)", spread * 100.0),
            None => format!("{ratio:.4} (spread {:.0}%)", spread * 100.0),
        };
        println!("ratio {name} {verdict}");
    }

    pub(crate) fn control(&self, of: &str, against: &str) {
        let times = |side: &str| &self.times.iter().find(|(name, _)| name == side).unwrap().1;
        println!("control decision {:.3}", quotient(times(of), times(against)).0);
    }
}

pub(crate) async fn run() {
    let compiled = compiled();
    let mut means = Means::new();
    for case in cases() {
        let principal = principal(&case.user);
        let facts = facts(&compiled, &principal, &case.user);
        let bound = compiled.bind(&facts).unwrap();
        let mut sides =
            vec![hand("handwritten", &case), hand("handwritten-again", &case), ours("aurora", &bound, &case)];
        means.case(&case, &mut sides, 20_000).await;
        let mut anew = [ours_bound_anew(&compiled, &principal, &case), ours_anew(&compiled, &case)];
        means.case(&case, &mut anew, 200).await;
        let bind = side("aurora-bind", || compiled.bind(black_box(&facts)).is_ok(), true);
        means.case(&case, &mut [bind], 2_000).await;
    }
    means.control("handwritten-again", "handwritten");
    means.ratio("decision/handwritten", "aurora", "handwritten", Some(5.0));
}
