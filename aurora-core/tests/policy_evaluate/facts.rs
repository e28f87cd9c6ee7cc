//! What policies ask of other tables, answered from facts.

use super::*;

#[test]
fn membership_is_a_set_of_keys() {
    let compiled = condition(&format!("owner = auth.uid() OR {MEMBER}"));
    let [fact] = compiled.needs() else { panic!("{:?}", compiled.needs()) };
    assert_eq!(
        fact.as_str(),
        "SELECT DISTINCT members.team FROM members WHERE members.uid = auth.uid()::text"
    );
    assert_eq!(fact.postgres(), Some(fact.as_str()));
    assert_eq!((fact.width(), fact.is_timed(), fact.tables()), (1, false, vec!["members"]));
    let facts = ann().with(fact, [[7_i64], [8]]);
    let decided = |team| state(decide(&compiled, &facts, &[("team", team)]));
    assert_eq!([int(7), int(8), int(9), NULL].map(decided), ["allow", "allow", "deny", "deny"]);
    let error = compiled.bind(&ann()).unwrap_err().to_string();
    assert!(error.contains("no answer was brought to the fact: SELECT DISTINCT members.team"), "{error}");
}

#[test]
fn in_and_not_in_know_null() {
    let list = "(SELECT m.team FROM members m WHERE m.role = 'admin')";
    let (within, without) =
        (condition(&format!("team IN {list}")), condition(&format!("team NOT IN {list}")));
    let decided = |compiled: &Compiled, rows: &[Value], team| {
        let facts = ann().with(&compiled.needs()[0], rows.iter().map(|value| [value.clone()]));
        state(decide(compiled, &facts, &[("team", team)]))
    };
    let some = [Value::Integer(1), Value::Integer(2)];
    let with_null = [Value::Integer(1), Value::Null];
    assert_eq!(decided(&within, &some, int(1)), "allow");
    assert_eq!(decided(&without, &some, int(3)), "allow");
    assert_eq!(decided(&without, &some, int(1)), "deny");
    assert_eq!(decided(&without, &some, NULL), "deny");
    assert_eq!(decided(&without, &with_null, int(3)), "deny");
    assert_eq!(decided(&without, &[], NULL), "allow");
    assert_eq!(decided(&within, &[], NULL), "deny");
}

#[test]
fn several_equalities_and_conditions_on_the_row_are_looked_up() {
    let compiled = condition(
        "NOT EXISTS (SELECT 1 FROM members m WHERE m.team = notes.team AND m.role = lower(notes.title) AND notes.public \
         AND m.uid = auth.uid())",
    );
    let [fact] = compiled.needs() else { panic!() };
    assert_eq!(fact.columns(), ["team", "title"]);
    assert_eq!(fact.width(), 2);
    let rows = [[Value::Integer(1), Value::Text("a".into())], [Value::Integer(2), Value::Null]];
    let facts = ann().with(fact, rows);
    let decided = |team, title, public| {
        state(decide(&compiled, &facts, &[("team", team), ("title", text(title)), ("public", public)]))
    };
    assert_eq!(decided(int(1), "A", TRUE), "deny");
    assert_eq!(decided(int(1), "A", FALSE), "allow");
    assert_eq!(decided(int(1), "A", NULL), "allow");
    assert_eq!(decided(int(2), "A", TRUE), "allow");
    assert_eq!(decided(int(1), "b", TRUE), "allow");
}

#[test]
fn a_subquery_as_a_value_is_looked_up_and_two_rows_are_an_error() {
    let open = condition("(SELECT t.open FROM teams t WHERE t.id = notes.team)");
    let facts = ann()
        .with(&open.needs()[0], [[Value::Integer(1), Value::Integer(1)], [Value::Integer(2), Value::Null]]);
    let decided = |team| state(decide(&open, &facts, &[("team", team)]));
    assert_eq!([int(1), int(2), int(3), NULL].map(decided), ["allow", "deny", "deny", "deny"]);

    let role = condition("(SELECT m.role FROM members m WHERE m.team = notes.team) = 'admin'");
    let rows = [(1, "admin"), (2, "guest"), (3, "admin"), (3, "admin")];
    let rows = rows.map(|(team, role)| [Value::Integer(team), Value::Text(role.into())]);
    let facts = ann().with(&role.needs()[0], rows);
    let decided = |team| state(decide(&role, &facts, &[("team", team)]));
    assert_eq!([int(1), int(2), int(3), int(4)].map(decided), ["allow", "deny", "21000", "deny"]);

    let single = condition("(SELECT m.role FROM members m) = 'admin'");
    let many = [["admin"], ["admin"]];
    assert_eq!(state(decide(&single, &ann().with(&single.needs()[0], many), &[])), "21000");
    assert_eq!(state(decide(&single, &ann().with(&single.needs()[0], [["admin"]]), &[])), "allow");
}

#[test]
fn correlated_in_keeps_its_three_values() {
    let compiled = condition("auth.uid() NOT IN (SELECT m.uid FROM members m WHERE m.team = notes.team)");
    let fact = &compiled.needs()[0];
    let value = |user: Option<UserId>| user.map_or(Value::Null, |user| Value::Text(user.to_string()));
    let rows = [(1, Some(ANN)), (2, Some(BOB)), (3, None)];
    let facts = ann().with(fact, rows.map(|(team, user)| [Value::Integer(team), value(user)]));
    let decided = |team| state(decide(&compiled, &facts, &[("team", team)]));
    assert_eq!(
        [int(1), int(2), int(3), int(4), NULL].map(decided),
        ["deny", "allow", "deny", "allow", "allow"]
    );
}

#[test]
fn a_fact_takes_users_in_the_form_of_its_column() {
    let compiled = condition("owner IN (SELECT m.uid FROM members m WHERE m.role = 'friend')");
    let facts = ann().with(&compiled.needs()[0], [[BOB]]);
    assert_eq!(state(decide(&compiled, &facts, &[("owner", ValueRef::Uuid(BOB.as_bytes()))])), "allow");
    assert_eq!(state(decide(&compiled, &facts, &[("owner", text(&BOB.to_string()))])), "allow");
    assert_eq!(state(decide(&compiled, &facts, &[("owner", text(&ANN.to_string()))])), "deny");
}

#[test]
fn a_fact_that_reads_the_time_says_so() {
    let compiled = condition(
        "EXISTS (SELECT 1 FROM members m WHERE m.team = notes.team AND m.uid = auth.uid() AND m.until > now())",
    );
    assert!(compiled.needs()[0].is_timed());
}

#[test]
fn equal_subqueries_are_one_fact() {
    let text = format!(
        "CREATE POLICY a ON notes USING ({MEMBER}); CREATE POLICY b ON notes USING (public AND {MEMBER});"
    );
    assert_eq!(compile(&text, Command::Select, Clause::Using).unwrap().needs().len(), 1);
}
