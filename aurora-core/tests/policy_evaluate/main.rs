//! Policies evaluated in process: PostgreSQL's rules one by one, errors, facts, rows of every kind, and that a
//! decision allocates nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unsafe_code,
    reason = "helpers of tests fail by panicking and print their counts; an allocator that counts is unsafe"
)]

mod allocations;
mod facts;

use aurora_core::policy::functions::Value;
use aurora_core::policy::{
    Bound, Clause, Column, Command, Compiled, Decision, Facts, Lowered, Policies, PolicyErrors, Row,
    RowLayout, Schema, Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp, UserId};

const ANN: UserId = UserId::from_bytes([0xa; 16]);
const BOB: UserId = UserId::from_bytes([0xb; 16]);
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

const NOTES: &[(&str, &str)] = &[
    ("id", "INTEGER"),
    ("owner", "TEXT"),
    ("team", "INTEGER"),
    ("public", "BOOLEAN"),
    ("title", "TEXT"),
    ("uid", "BLOB"),
    ("expires_at", "TIMESTAMP"),
    ("extra", "JSON"),
    ("price", "REAL"),
];

fn schema() -> Schema {
    let columns =
        |names: &[(&str, &str)]| names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    let mut teams = Table::new("teams", columns(&[("id", "INTEGER"), ("open", "BOOLEAN"), ("kind", "TEXT")]));
    teams.primary_key = vec!["id".into()];
    Schema {
        tables: vec![
            Table::new("notes", columns(NOTES)),
            Table::new(
                "members",
                columns(&[("team", "INTEGER"), ("uid", "TEXT"), ("role", "TEXT"), ("until", "TIMESTAMP")]),
            ),
            teams,
        ],
    }
}

const ENABLED: &str =
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON members USING (uid = auth.uid());
CREATE POLICY all_teams ON teams FOR SELECT USING (true);
";

fn lowered(text: &str) -> Lowered {
    let text = format!("{ENABLED}{text}");
    Policies::parse(&text, "p.sql")
        .and_then(|policies| policies.lower(&schema()))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn layout() -> RowLayout {
    RowLayout::new(NOTES.iter().map(|(name, _)| *name))
}

fn compile(text: &str, command: Command, clause: Clause) -> Result<Compiled, PolicyErrors> {
    lowered(text).compile("notes", Role::Authenticated, command, clause, &layout())
}

fn condition(condition: &str) -> Compiled {
    let text = format!("CREATE POLICY p ON notes FOR SELECT USING ({condition});");
    compile(&text, Command::Select, Clause::Using).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(condition: &str) -> String {
    let text = format!("CREATE POLICY p ON notes FOR SELECT USING ({condition});");
    compile(&text, Command::Select, Clause::Using).unwrap_err().to_string()
}

fn ann() -> Facts {
    Facts::of(&Principal::user(ANN))
}

/// A row of NULLs but for these columns.
fn row<'a>(values: &[(&str, ValueRef<'a>)]) -> Vec<ValueRef<'a>> {
    let mut row = vec![ValueRef::Null; NOTES.len()];
    for (name, value) in values {
        row[layout().position(name).unwrap()] = *value;
    }
    row
}

fn decide(compiled: &Compiled, facts: &Facts, values: &[(&str, ValueRef<'_>)]) -> Decision {
    compiled.decide(&*row(values), facts, NOW).unwrap()
}

fn state(decision: Decision) -> String {
    match decision {
        Decision::Allow => "allow".into(),
        Decision::Deny => "deny".into(),
        Decision::Error(error) => error.sqlstate().to_owned(),
    }
}

fn one(text: &str, values: &[(&str, ValueRef<'_>)]) -> String {
    state(decide(&condition(text), &ann(), values))
}

const TRUE: ValueRef<'_> = ValueRef::Bool(true);
const FALSE: ValueRef<'_> = ValueRef::Bool(false);
const NULL: ValueRef<'_> = ValueRef::Null;

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text)
}

fn int(number: i64) -> ValueRef<'static> {
    ValueRef::Integer(number)
}

#[test]
fn null_denies_in_using_and_in_check() {
    for clause in [Clause::Using, Clause::Check] {
        let compiled = compile("CREATE POLICY p ON notes USING (public);", Command::Update, clause).unwrap();
        let decided =
            [TRUE, FALSE, NULL].map(|public| state(decide(&compiled, &ann(), &[("public", public)])));
        assert_eq!(decided, ["allow", "deny", "deny"]);
    }
}

#[test]
fn three_values_go_through_and_or_and_not() {
    let values = [("t", "true"), ("f", "false"), ("n", "null")];
    let column = |name: &str| match name {
        "t" => TRUE,
        "f" => FALSE,
        _ => NULL,
    };
    let expected = |text: &str, left: &str, right: &str| {
        let (and, or) = match (left, right) {
            ("t", "t") => ("t", "t"),
            ("f", "f") => ("f", "f"),
            ("n", "n") => ("n", "n"),
            ("t", "f") | ("f", "t") => ("f", "t"),
            ("t", _) | (_, "t") => ("n", "t"),
            _ => ("f", "n"),
        };
        if text == "AND" { and } else { or }
    };
    let mut cases = 0;
    for operator in ["AND", "OR"] {
        for (left, _) in values {
            for (right, _) in values {
                let row = [
                    ("public", column(left)),
                    ("id", if right == "n" { NULL } else { int(i64::from(right == "t")) }),
                ];
                let whole = format!("public {operator} id = 1");
                for (test, when) in [
                    (format!("({whole}) IS TRUE"), "t"),
                    (format!("({whole}) IS FALSE"), "f"),
                    (format!("({whole}) IS NULL"), "n"),
                    (whole.clone(), "t"),
                    (format!("NOT ({whole})"), "f"),
                ] {
                    let allowed = expected(operator, left, right) == when;
                    assert_eq!(
                        one(&test, &row),
                        if allowed { "allow" } else { "deny" },
                        "{test} {left} {right}"
                    );
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} cases of three-valued logic");
}

#[test]
fn permissive_are_ored_restrictive_anded_and_none_denies() {
    let text = "CREATE POLICY a ON notes USING (id = 1); CREATE POLICY b ON notes FOR SELECT USING (id = 2);
        CREATE POLICY c ON notes AS RESTRICTIVE FOR SELECT USING (public);
        CREATE POLICY d ON notes AS RESTRICTIVE USING (title IS NULL);";
    let select = compile(text, Command::Select, Clause::Using).unwrap();
    let decided = |id, public| state(decide(&select, &ann(), &[("id", int(id)), ("public", public)]));
    assert_eq!([decided(1, TRUE), decided(2, TRUE), decided(3, TRUE)], ["allow", "allow", "deny"]);
    assert_eq!([decided(1, FALSE), decided(1, NULL)], ["deny", "deny"]);
    let only_restrictive = "CREATE POLICY c ON notes AS RESTRICTIVE USING (true);";
    for (command, clause) in [(Command::Select, Clause::Using), (Command::Insert, Clause::Check)] {
        for text in ["", only_restrictive] {
            let compiled = compile(text, command, clause).unwrap();
            assert_eq!(state(decide(&compiled, &ann(), &[])), "deny", "{text}");
        }
    }
    let check_only =
        compile("CREATE POLICY a ON notes WITH CHECK (true);", Command::Select, Clause::Using).unwrap();
    assert_eq!(state(decide(&check_only, &ann(), &[])), "deny");
}

#[test]
fn using_stands_in_for_a_missing_check_and_roles_are_told_apart() {
    let text = "CREATE POLICY a ON notes FOR UPDATE TO authenticated USING (id = 1);
        CREATE POLICY b ON notes FOR INSERT TO anon WITH CHECK (id = 2);";
    let update = compile(text, Command::Update, Clause::Check).unwrap();
    assert_eq!(state(decide(&update, &ann(), &[("id", int(1))])), "allow");
    let insert = compile(text, Command::Insert, Clause::Check).unwrap();
    assert_eq!(state(decide(&insert, &ann(), &[("id", int(2))])), "deny");
    let anon = lowered(text).compile("notes", Role::Anon, Command::Insert, Clause::Check, &layout()).unwrap();
    let nobody = Facts::of(&Principal::anonymous());
    assert_eq!(state(decide(&anon, &nobody, &[("id", int(2))])), "allow");
    // Facts of one role are not taken for another's.
    assert!(anon.bind(&ann()).unwrap_err().to_string().contains("role anon"));
}

#[test]
fn what_was_not_granted_is_an_error_and_a_table_that_is_not_named_too() {
    let text = "CREATE POLICY a ON notes USING (true); REVOKE SELECT ON notes FROM authenticated;";
    assert_eq!(state(decide(&compile(text, Command::Select, Clause::Using).unwrap(), &ann(), &[])), "42501");
    let unknown =
        lowered("").compile("others", Role::Authenticated, Command::Select, Clause::Using, &layout());
    assert_eq!(state(decide(&unknown.unwrap(), &ann(), &[])), "42501");
    let service =
        lowered("").compile("notes", Role::Service, Command::Select, Clause::Using, &layout()).unwrap();
    assert!(service.bind(&ann()).is_err());
}

#[test]
fn a_clause_that_the_command_lacks_is_refused() {
    for (command, clause) in [(Command::Insert, Clause::Using), (Command::Delete, Clause::Check)] {
        assert!(compile("CREATE POLICY a ON notes USING (true);", command, clause).is_err());
    }
}

/// asvs(V16.5.3)
#[test]
fn errors_are_answers_and_never_allow() {
    let row = [("id", int(0)), ("title", text("x")), ("extra", text("{"))];
    assert_eq!(one("1 / id = 1", &row), "22012");
    assert_eq!(one("title::int = 1", &row), "22P02");
    assert_eq!(one("extra ->> 'a' = 'b'", &row), "22P02");
    assert_eq!(one("NOT (1 / id = 1)", &row), "22012");
    assert_eq!(one("(1 / id = 1) IS NULL", &row), "22012");
    assert_eq!(one("coalesce(1 / id, 1) = 1", &row), "22012");
    assert_eq!(one("9223372036854775807 + (id + 1) > 0", &row), "22003");
    // From left to right: OR ends at true, AND at false, NULL ends neither.
    assert_eq!(one("id = 0 OR 1 / id = 1", &row), "allow");
    assert_eq!(one("1 / id = 1 OR id = 0", &row), "22012");
    assert_eq!(one("id = 1 AND 1 / id = 1", &row), "deny");
    assert_eq!(one("public AND 1 / id = 1", &row), "22012");
    assert_eq!(one("1 / id = 1 AND false", &row), "deny");
    assert_eq!(one("CASE WHEN id = 0 THEN true ELSE 1 / id = 1 END", &row), "allow");
    let error = decide(&condition("1 / id = 1"), &ann(), &row);
    let Decision::Error(error) = error else { panic!("{error:?}") };
    assert_eq!(error.to_string(), "22012: division by zero");
}

#[test]
fn identity_is_compared_in_the_form_of_the_column() {
    let (bytes, hyphens) = (ANN.as_bytes(), ANN.to_string());
    for values in [("owner", ValueRef::Uuid(bytes)), ("owner", text(&hyphens))] {
        assert_eq!(one("owner = auth.uid()", &[values]), "allow");
        assert_eq!(one("owner <> auth.uid()", &[values]), "deny");
        assert_eq!(one("auth.uid()::text = owner", &[values]), "allow");
        assert_eq!(one(&format!("owner IN ('{hyphens}', 'x')"), &[values]), "allow");
    }
    for values in [("uid", ValueRef::Uuid(bytes)), ("uid", ValueRef::Blob(bytes))] {
        assert_eq!(one("uid = auth.uid()", &[values]), "allow");
        assert_eq!(one(&format!("uid = '{hyphens}'"), &[values]), "allow");
        assert_eq!(one("uid IS DISTINCT FROM auth.uid()", &[values]), "deny");
    }
    let bob = BOB.to_string();
    assert_eq!(one("owner = auth.uid()", &[("owner", text(&bob))]), "deny");
    assert_eq!(one("uid = auth.uid()", &[("uid", ValueRef::Uuid(BOB.as_bytes()))]), "deny");
    // A uuid that a text column spells otherwise shows no row, as in SQLite, and NOT does not turn that round.
    let upper = hyphens.to_uppercase();
    assert_eq!(one("owner = auth.uid()", &[("owner", text(&upper))]), "deny");
    assert_eq!(one("NOT owner = auth.uid()", &[("owner", text(&upper))]), "deny");
    assert_eq!(one("auth.jwt() ->> 'sub' = owner", &[("owner", text(&hyphens))]), "allow");
    assert_eq!(one("auth.role() = 'authenticated'", &[]), "allow");
}

#[test]
fn nobody_owns_nothing() {
    let text = "CREATE POLICY a ON notes USING (owner = auth.uid());";
    let compiled =
        lowered(text).compile("notes", Role::Anon, Command::Select, Clause::Using, &layout()).unwrap();
    let nobody = Facts::of(&Principal::anonymous());
    for owner in [NULL, self::text(""), ValueRef::Uuid(ANN.as_bytes())] {
        assert_eq!(state(decide(&compiled, &nobody, &[("owner", owner)])), "deny");
    }
}

#[test]
fn values_that_are_no_booleans_open_nothing() {
    for strange in [text("true"), text("1"), int(2), ValueRef::Real(0.5), ValueRef::Blob(b"1")] {
        for condition in ["public", "NOT public", "public = true", "public <> true", "public IS NOT TRUE"] {
            assert_eq!(one(condition, &[("public", strange)]), "deny", "{condition} of {strange:?}");
        }
    }
}

#[test]
fn time_is_an_argument() {
    let compiled = condition("expires_at > now()");
    let later = Timestamp::from_seconds(1_700_000_001);
    for (value, allowed) in [
        (ValueRef::Time(later), true),
        (ValueRef::Time(NOW), false),
        (int(1_700_000_001), true),
        (text("2023-11-14 22:13:21"), true),
        (text("2023-11-14T22:13:19Z"), false),
        (NULL, false),
    ] {
        assert_eq!(decide(&compiled, &ann(), &[("expires_at", value)]).is_allow(), allowed, "{value:?}");
    }
    assert_eq!(state(decide(&compiled, &ann(), &[("expires_at", text("soon"))])), "22007");
    let bound = compiled.bind(&ann()).unwrap();
    let row = row(&[("expires_at", ValueRef::Time(later))]);
    assert_eq!(bound.decide(&*row, NOW), Decision::Allow);
    assert_eq!(bound.decide(&*row, later), Decision::Deny);
}

const MEMBER: &str = "EXISTS (SELECT 1 FROM members m WHERE m.team = notes.team AND m.uid = auth.uid())";

#[test]
fn what_cannot_be_answered_is_refused_when_it_is_compiled() {
    let error = refused("EXISTS (SELECT 1 FROM teams t WHERE t.id > notes.team)");
    assert!(
        error.starts_with("p.sql:4: policy \"p\" on notes: in process: a subquery tied to the row by more"),
        "{error}"
    );
    assert!(error.contains("teams.id > notes.team"), "{error}");
    refused("EXISTS (SELECT 1 FROM teams t WHERE t.id = notes.team OR t.open)");
    refused("team IN (SELECT t.id + notes.id FROM teams t)");
    refused(
        "EXISTS (SELECT 1 FROM teams t WHERE t.open AND EXISTS (SELECT 1 FROM members m WHERE m.team = t.id AND m.role = notes.title))",
    );
    let narrow = RowLayout::new(["id"]);
    let text = "CREATE POLICY p ON notes FOR SELECT\nUSING (owner = auth.uid() OR title = 'a');";
    let errors = lowered(text).compile("notes", Role::Authenticated, Command::Select, Clause::Using, &narrow);
    let errors = errors.unwrap_err().to_string();
    assert!(errors.contains("column `owner` is not in the row") && errors.contains("`title`"), "{errors}");
}

/// PostgreSQL's planner drops `a AND EXISTS (..)` beside `a`, with the permission checks of what it reads.
#[test]
fn what_another_policy_makes_superfluous_asks_for_no_facts() {
    let needs = |other: &str| {
        let text = format!(
            "CREATE POLICY p ON notes FOR SELECT USING (owner = auth.uid());
             CREATE POLICY q ON notes FOR SELECT USING ({other});"
        );
        let compiled =
            compile(&text, Command::Select, Clause::Using).unwrap_or_else(|errors| panic!("{errors}"));
        compiled.needs().len()
    };
    assert_eq!(needs(MEMBER), 1);
    assert_eq!(needs(&format!("owner = auth.uid() AND {MEMBER}")), 0);
    assert_eq!(needs(&format!("public AND {MEMBER}")), 1);
    // A side that has nothing in common keeps all of them.
    assert_eq!(needs(&format!("public OR (owner = auth.uid() AND {MEMBER})")), 1);
    // Of two that say the same, one stays.
    let twice =
        format!("CREATE POLICY p ON notes USING ({MEMBER}); CREATE POLICY q ON notes USING ({MEMBER});");
    let compiled =
        compile(&twice, Command::Select, Clause::Using).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(compiled.needs().len(), 1);
}

/// What sides of an OR have in common PostgreSQL asks once; none of them is left out for it.
#[test]
fn what_policies_have_in_common_leaves_none_of_them_out() {
    let own = "owner = (SELECT auth.uid())";
    for (one, other) in [
        (format!("{own} AND title = 'a'"), format!("{own} AND title = 'b'")),
        (own.to_owned(), format!("{own} AND public")),
        (format!("{own} AND title = 'a'"), format!("{own} AND title = 'b' AND {MEMBER}")),
        (own.to_owned(), format!("{own} AND {MEMBER}")),
    ] {
        for (p, q) in [(&one, &other), (&other, &one)] {
            let text = format!(
                "CREATE POLICY p ON notes FOR ALL USING ({p}); CREATE POLICY q ON notes FOR ALL USING ({q});"
            );
            for (command, clause) in [(Command::Select, Clause::Using), (Command::Insert, Clause::Check)] {
                let compiled = compile(&text, command, clause).unwrap_or_else(|errors| panic!("{errors}"));
                let mut facts = ann();
                for fact in compiled.needs() {
                    facts = facts.with(fact, Vec::<[i64; 1]>::new());
                }
                let ann = ANN.to_string();
                let row =
                    [("owner", ValueRef::Text(&ann)), ("title", ValueRef::Text("a")), ("public", FALSE)];
                assert_eq!(state(decide(&compiled, &facts, &row)), "allow", "{p} / {q}");
            }
        }
    }
}

#[test]
fn a_row_that_lacks_a_value_is_an_error() {
    let compiled = condition("owner = auth.uid() OR public");
    let bound = compiled.bind(&ann()).unwrap();
    let part = row(&[("owner", ValueRef::Missing), ("public", TRUE)]);
    assert_eq!(state(bound.decide(&*part, NOW)), "XX000");
    assert_eq!(state(bound.decide(&[][..] as &[ValueRef<'_>], NOW)), "XX000");
    for condition in [
        "owner IS NULL",
        "NOT (owner = 'x')",
        "owner IN ('x')",
        "uid = auth.uid()",
        "id = 1",
        "team IS DISTINCT FROM 1",
    ] {
        let bound = self::condition(condition).bind(&ann()).unwrap();
        assert_eq!(
            state(bound.decide(&vec![ValueRef::Missing; NOTES.len()][..], NOW)),
            "XX000",
            "{condition}"
        );
    }
}

struct Doc {
    owner: UserId,
    team: Option<i64>,
    title: &'static str,
    public: bool,
}

aurora_core::row!(Doc { owner, team, title, public, id = |doc| ValueRef::Integer(doc.title.len() as i64) });

#[test]
fn a_struct_is_a_row() {
    use aurora_core::policy::Record as _;
    assert_eq!(Doc::COLUMNS, ["owner", "team", "title", "public", "id"]);
    let text = "CREATE POLICY p ON notes USING ((owner = auth.uid() AND team = 3 AND title = 'a' AND NOT public) OR id = 5);";
    let compiled = lowered(text)
        .compile("notes", Role::Authenticated, Command::Select, Clause::Using, &Doc::layout())
        .unwrap();
    let bound = compiled.bind(&ann()).unwrap();
    let doc = Doc { owner: ANN, team: Some(3), title: "a", public: false };
    assert_eq!(bound.decide(&doc, NOW), Decision::Allow);
    assert_eq!(bound.decide(&Doc { team: None, ..doc }, NOW), Decision::Deny);
    assert_eq!(bound.decide(&Doc { title: "fives", ..doc }, NOW), Decision::Allow);
    assert_eq!(doc.value(9), ValueRef::Missing);
}
