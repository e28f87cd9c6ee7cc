//! `explain`: which policy, which clause, what each answered and what would have to differ. And whatever the
//! policy and the row are, deciding and explaining answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

use aurora_core::policy::functions::Value;
use aurora_core::policy::{
    Clause, Column, Command, Decision, Explanation, Facts, Lowered, Outcome, Policies, RowLayout, Schema,
    Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};
use proptest::prelude::*;

const ANN: UserId = UserId::from_bytes([0xa; 16]);
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const NOTES: &[(&str, &str)] = &[
    ("id", "INTEGER"),
    ("owner", "TEXT"),
    ("team_id", "INTEGER"),
    ("public", "BOOLEAN"),
    ("title", "TEXT"),
    ("expires_at", "TIMESTAMP"),
];

fn schema() -> Schema {
    let columns = |names: &[(&str, &str)]| {
        names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect::<Vec<_>>()
    };
    Schema {
        tables: vec![
            Table::new("notes", columns(NOTES)),
            Table::new("members", columns(&[("team_id", "INTEGER"), ("user_id", "TEXT"), ("role", "TEXT")])),
            Table::new("teams", columns(&[("id", "INTEGER"), ("open", "BOOLEAN")])),
        ],
    }
}

fn layout() -> RowLayout {
    RowLayout::new(NOTES.iter().map(|(name, _)| *name))
}

const POLICIES: &str = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON members FOR SELECT USING (user_id = auth.uid());
CREATE POLICY own ON notes FOR SELECT TO authenticated USING (owner = auth.uid());
CREATE POLICY team ON notes FOR SELECT TO authenticated USING (public IS NOT NULL AND EXISTS
  (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()));
CREATE POLICY fresh ON notes AS RESTRICTIVE FOR SELECT USING (NOT (expires_at < now() OR title = 'gone'));
";

fn lowered(text: &str) -> Lowered {
    Policies::parse(text, "policies.sql")
        .unwrap()
        .lower(&schema())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn explain(row: &[ValueRef<'_>], teams: Option<&[i64]>) -> Explanation {
    let lowered = lowered(POLICIES);
    let explainer =
        lowered.explainer("notes", Role::Authenticated, Command::Select, Clause::Using, &layout()).unwrap();
    let mut facts = Facts::of(&Principal::user(ANN));
    if let Some(teams) = teams {
        facts.insert(&explainer.needs()[0], teams.iter().map(|team| [*team]));
    }
    explainer.explain(row, &facts, NOW)
}

fn row(owner: ValueRef<'static>, team: i64, title: &'static str) -> Vec<ValueRef<'static>> {
    let expires = ValueRef::Text("2030-01-01T00:00:00Z");
    vec![ValueRef::Integer(1), owner, ValueRef::Integer(team), ValueRef::Null, ValueRef::Text(title), expires]
}

const BOB: ValueRef<'static> = ValueRef::Text("0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b");

#[test]
fn a_denied_row_is_explained_clause_by_clause() {
    let explanation = explain(&row(BOB, 9, "gone"), Some(&[7, 8]));
    assert_eq!(*explanation.decision(), Decision::Deny);
    let text = explanation.to_string();
    println!("{text}");
    let expected = "\
SELECT on notes as authenticated, USING: deny
policy \"fresh\" (policies.sql:7), restrictive: false
  false   all of:
    true    not:
      false   expires_at::timestamptz < now()
              expires_at is '2030-01-01T00:00:00Z'
    false   not:
      true    title = 'gone'
              title is 'gone'
policy \"own\" (policies.sql:4), permissive: false
  false   owner = auth.uid()::text
          owner is '0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b', auth.uid() is
              '0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a'
policy \"team\" (policies.sql:5), permissive: false
  false   all of:
    false   not:
      true    public IS NULL
              public is NULL
    false   team_id IN (SELECT members.team_id FROM members WHERE members.user_id =
                auth.uid()::text)
            team_id is 9, auth.uid() is '0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a'
to pass, this would have to differ:
";
    assert!(text.starts_with(expected), "{text}\n---\n{expected}");
    let differences = explanation.differences();
    assert!(differences[0].starts_with("one of these:"), "{differences:#?}");
    assert!(
        differences
            .iter()
            .any(|line| line.contains("\"own\": owner = auth.uid()::text would have to be true"))
    );
    assert!(
        differences.iter().any(|line| line.contains("public IS NULL would have to be false; public is NULL"))
    );
    assert!(differences.iter().any(|line| line.contains("team_id is 9") && line.ends_with("among 7, 8")));
    assert!(
        differences
            .iter()
            .any(|line| line
                == "restrictive \"fresh\": title = 'gone' would have to be false; title is 'gone'")
    );
    assert!(!differences.iter().any(|line| line.contains("expires_at")), "{differences:#?}");
}

#[test]
fn an_allowed_row_lacks_nothing() {
    let owner = ValueRef::Uuid(ANN.as_bytes());
    let explanation = explain(&row(owner, 9, "here"), Some(&[]));
    assert_eq!(*explanation.decision(), Decision::Allow);
    assert!(explanation.differences().is_empty());
    let answers: Vec<(&str, &Outcome)> = explanation.policies().collect();
    assert_eq!(answers, [("fresh", &Outcome::True), ("own", &Outcome::True), ("team", &Outcome::False)]);
    let clauses = explanation.clauses("own");
    assert_eq!(clauses, [("owner = auth.uid()::text", &Outcome::True)]);
}

#[test]
fn a_fact_that_nobody_brought_is_unknown_and_never_allows() {
    let explanation = explain(&row(BOB, 9, "here"), None);
    let team = explanation.policies().find(|(name, _)| *name == "team").unwrap().1.clone();
    // `public IS NOT NULL` is false already, and ends the conjunction.
    assert_eq!(team, Outcome::False);
    let mut values = row(BOB, 9, "here");
    values[3] = ValueRef::Bool(true);
    let explanation = explain(&values, None);
    assert!(matches!(explanation.decision(), Decision::Error(_)), "{explanation}");
    assert!(explanation.to_string().contains("a fact was not brought"), "{explanation}");
}

#[test]
fn null_errors_grants_and_missing_policies_are_told() {
    let explanation = explain(&row(ValueRef::Null, 9, "here"), Some(&[]));
    assert_eq!(explanation.clauses("own"), [("owner = auth.uid()::text", &Outcome::Null)]);
    let mut values = row(BOB, 9, "here");
    values[5] = ValueRef::Text("soon");
    let explanation = explain(&values, Some(&[9]));
    assert_eq!(*explanation.decision(), Decision::Deny);
    values[3] = ValueRef::Bool(true);
    let explanation = explain(&values, Some(&[9]));
    assert!(
        matches!(explanation.decision(), Decision::Error(error) if error.sqlstate() == "22007"),
        "{explanation}"
    );
    assert!(
        explanation.to_string().contains("22007 invalid input syntax for type timestamp"),
        "{explanation}"
    );

    let facts = Facts::of(&Principal::user(ANN));
    let none = lowered(POLICIES);
    let delete =
        none.explainer("notes", Role::Authenticated, Command::Delete, Clause::Using, &layout()).unwrap();
    let explanation = delete.explain(&values[..], &facts, NOW);
    assert_eq!(*explanation.decision(), Decision::Deny);
    assert!(explanation.to_string().contains("a permissive policy for this command and role: there is none"));
    let revoked = lowered(&format!("{POLICIES}REVOKE SELECT ON notes FROM authenticated;"));
    let explainer =
        revoked.explainer("notes", Role::Authenticated, Command::Select, Clause::Using, &layout()).unwrap();
    let explanation = explainer.explain(&values[..], &facts, NOW);
    assert!(explanation.to_string().contains("permission denied for table notes"), "{explanation}");
}

#[test]
fn what_runs_in_a_database_only_is_unknown() {
    let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON notes USING (EXISTS (SELECT 1 FROM teams t WHERE t.id > notes.team_id));";
    let explainer = lowered(text)
        .explainer("notes", Role::Authenticated, Command::Select, Clause::Using, &layout())
        .unwrap();
    let facts = Facts::of(&Principal::user(ANN));
    let explanation = explainer.explain(&row(BOB, 1, "a")[..], &facts, NOW);
    assert!(matches!(explanation.decision(), Decision::Error(_)));
    assert!(explanation.to_string().contains("tied to the row by more than equality"), "{explanation}");
}

const PIECES: &[&str] = &[
    "owner = auth.uid()",
    "NOT public",
    "title LIKE '%' || id::text",
    "id / team_id = 1",
    "expires_at > now()",
    "title::int > 2",
    "auth.jwt() -> 'a' ->> 'b' = title",
    "title IN ('a', 'ä', '')",
    "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.role = notes.title)",
    "team_id NOT IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid())",
    "(SELECT t.open FROM teams t WHERE t.id = notes.team_id)",
    "(SELECT m.role FROM members m WHERE m.user_id = notes.owner) = title",
    "coalesce(public, title = 'a', id IS NULL)",
    "CASE WHEN public THEN id = 1 ELSE title IS NOT NULL END",
    "'a very long literal that does not fit into one line of an explanation, whatever else stands beside it' = title",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-2_i64..3).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        "\\PC{0,60}".prop_map(Value::Text),
        Just(Value::Text(ANN.to_string())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_on_every_row_is_answered_and_explained(
        picks in prop::collection::vec((0..PIECES.len(), 0usize..4), 1..5),
        row in prop::collection::vec(value(), 0..7),
        rows in prop::collection::vec(prop::collection::vec(value(), 0..4), 0..4),
    ) {
        let mut condition = "true".to_owned();
        for (piece, how) in picks {
            let join = ["AND", "OR", "AND NOT", "OR NOT"][how];
            condition = format!("({condition}) {join} ({})", PIECES[piece]);
        }
        let text = format!(
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
             ALTER TABLE teams ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes USING ({condition});"
        );
        let lowered = lowered(&text);
        let ask = (Role::Authenticated, Command::Select, Clause::Using);
        let compiled = lowered.compile("notes", ask.0, ask.1, ask.2, &layout()).unwrap();
        let explainer = lowered.explainer("notes", ask.0, ask.1, ask.2, &layout()).unwrap();
        let mut facts = Facts::of(&Principal::user(ANN));
        for fact in compiled.needs().iter().chain(explainer.needs()) {
            facts.insert(fact, rows.clone());
        }
        let decision = compiled.decide(&row[..], &facts, NOW).unwrap();
        let explanation = explainer.explain(&row[..], &facts, NOW);
        prop_assert_eq!(explanation.decision(), &decision);
        for line in explanation.to_string().lines() {
            prop_assert!(line.chars().count() <= 100, "{}", line);
        }
    }
}
