//! Helper functions of the policy file are read in place of their calls, with PostgreSQL's rules on names, NULLs,
//! owners and recursion.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

#[path = "common/names.rs"]
mod names;

use aurora_core::policy::functions::Value;
use aurora_core::policy::{
    Clause, Column, Columns, Command, Decision, Facts, Lowered, Policies, PolicyErrors, Predicate, RowLayout,
    Schema, Table, ValueRef,
};
use aurora_core::types::{Principal, Role, Timestamp};
use names::Plain;

fn schema() -> Schema {
    let columns =
        |names: &[(&str, &str)]| names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    Schema {
        tables: vec![
            Table::new(
                "notes",
                columns(&[
                    ("id", "INTEGER"),
                    ("owner", "TEXT"),
                    ("team_id", "INTEGER"),
                    ("title", "TEXT"),
                    ("tags", "TEXT[]"),
                ]),
            ),
            Table::new("members", columns(&[("team_id", "INTEGER"), ("user_id", "TEXT"), ("role", "TEXT")])),
            Table::new("secrets", columns(&[("team_id", "INTEGER"), ("word", "TEXT")])),
        ],
    }
}

const ENABLED: &str =
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON members FOR SELECT USING (user_id = auth.uid());\n";

fn read(text: &str) -> Result<Lowered, PolicyErrors> {
    Policies::parse(&format!("{ENABLED}{text}"), "policies.sql")?.lower(&schema())
}

fn lowered(text: &str) -> Lowered {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refusal(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors.to_string(),
    }
}

fn show(predicate: &Predicate) -> String {
    match predicate {
        Predicate::False => "false".into(),
        Predicate::True => "true".into(),
        Predicate::Expr(lowering) => lowering.render(&Plain),
    }
}

/// A policy's condition with these functions.
fn expr(functions: &str, condition: &str) -> String {
    let text = format!("{functions}\nCREATE POLICY p ON notes FOR SELECT USING ({condition});");
    show(&lowered(&text).using("notes", Role::Authenticated, Command::Select))
}

fn refused(functions: &str, condition: &str) -> String {
    refusal(&format!("{functions}\nCREATE POLICY p ON notes FOR SELECT USING ({condition});"))
}

const MEMBER: &str =
    "CREATE FUNCTION is_member(_team bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = public AS $$
  SELECT EXISTS (SELECT 1 FROM members m WHERE m.team_id = _team AND m.user_id = auth.uid());
$$;";

#[test]
fn a_definer_membership_function_becomes_a_list_over_the_owners_table() {
    let list = "(t.team_id IN (SELECT \"aurora~1\".\"team_id\" FROM o_members AS \"aurora~1\" WHERE \
                (\"aurora~1\".\"user_id\" = (SELECT auth_uid_text()))))";
    assert_eq!(expr(MEMBER, "is_member(team_id)"), list);
    assert_eq!(expr(MEMBER, "(select public.is_member(team_id))"), list);
    let invoker = MEMBER.replace("SECURITY DEFINER", "SECURITY INVOKER");
    assert_eq!(expr(&invoker, "is_member(team_id)"), list.replace("o_members", "v_members"));
    let negated = expr(MEMBER, "not is_member(team_id)");
    assert!(negated.starts_with("(NOT EXISTS (SELECT 1 FROM o_members"), "{negated}");
    let plpgsql = MEMBER
        .replace("LANGUAGE sql", "LANGUAGE plpgsql")
        .replace("SELECT EXISTS", "BEGIN RETURN EXISTS")
        .replace("auth.uid());\n", "auth.uid()); END;\n");
    assert_eq!(expr(&plpgsql, "is_member(team_id)"), list);
    let text = format!("{MEMBER} CREATE POLICY p ON notes FOR SELECT USING (is_member(team_id));");
    let policies = lowered(&text);
    let Predicate::Expr(lowering) = policies.using("notes", Role::Authenticated, Command::Select) else {
        panic!()
    };
    assert_eq!((lowering.tables(), lowering.owner_tables()), (&[][..], &["members".to_owned()][..]));
}

#[test]
fn a_definer_reads_tables_that_nobody_else_may() {
    let function = "CREATE FUNCTION knows(t bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
        $$ SELECT EXISTS (SELECT 1 FROM secrets WHERE secrets.team_id = t AND word = 'x') $$;";
    assert!(expr(function, "knows(team_id)").contains("o_secrets"));
    let invoker = function.replace("SECURITY DEFINER", "");
    assert!(refused(&invoker, "knows(team_id)").contains("has no policies of its own"));
    // Grants do not hold the owner back, but the caller.
    let revoke = "REVOKE ALL ON members FROM authenticated;";
    let policy = "CREATE POLICY p ON notes FOR SELECT USING (is_member(team_id));";
    let definer = lowered(&format!("{revoke}{MEMBER}{policy}"));
    assert_eq!(definer.denied("notes", Role::Authenticated, Command::Select), None);
    let invoker = lowered(&format!("{revoke}{}{policy}", MEMBER.replace("SECURITY DEFINER", "")));
    let denied = invoker.denied("notes", Role::Authenticated, Command::Select);
    assert_eq!(denied.as_deref(), Some("permission denied for table members"));
    let revoked = format!("{MEMBER} REVOKE EXECUTE ON FUNCTION is_member(bigint) FROM PUBLIC, anon;{policy}");
    let revoked = lowered(&revoked);
    let denied = revoked.denied("notes", Role::Anon, Command::Select);
    assert_eq!(denied.as_deref(), Some("permission denied for function is_member"));
    assert_eq!(revoked.denied("notes", Role::Authenticated, Command::Select), None);
    assert!(
        refusal(&format!("ALTER TABLE members FORCE ROW LEVEL SECURITY;{MEMBER}{policy}")).contains("FORCE")
    );
}

#[test]
fn columns_hide_parameters_in_sql_and_clash_in_plpgsql() {
    let body = "EXISTS (SELECT 1 FROM members WHERE team_id = team_id)";
    let sql =
        format!("CREATE FUNCTION f(team_id bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT {body} $$;");
    let own = expr(&sql, "f(team_id)");
    assert!(own.contains("(\"aurora~1\".\"team_id\" = \"aurora~1\".\"team_id\")"), "{own}");
    let plpgsql = format!(
        "CREATE FUNCTION f(team_id bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN {body}; END $$;"
    );
    assert!(refused(&plpgsql, "f(team_id)").contains("ambiguous: a parameter and a column"));
    let qualified = plpgsql.replace("team_id = team_id", "members.team_id = f.team_id");
    assert!(
        expr(&qualified, "f(team_id)").starts_with("(t.team_id IN"),
        "{}",
        expr(&qualified, "f(team_id)")
    );
    let numbered = sql.replace("f(team_id bigint)", "f(bigint)").replace("team_id = team_id", "team_id = $1");
    assert!(expr(&numbered, "f(team_id)").starts_with("(t.team_id IN"));
    assert!(refused(&numbered.replace("$1", "$2"), "f(team_id)").contains("no parameter $2"));
    // The caller's columns are not in a body's sight.
    let outer = "CREATE FUNCTION g() RETURNS boolean LANGUAGE sql AS $$ SELECT title = 'x' $$;";
    assert!(refused(outer, "g()").contains("column `title` does not exist"));
}

#[test]
fn overloads_defaults_and_names_are_found_as_postgresql_finds_them() {
    let functions = "CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$;
        CREATE FUNCTION f(a bigint) RETURNS text LANGUAGE sql AS $$ SELECT 'number' $$;
        CREATE FUNCTION f(a bigint, b bigint DEFAULT 7) RETURNS bigint LANGUAGE sql AS $$ SELECT a * 100 + b $$;
        CREATE FUNCTION d(a bigint DEFAULT 1, b bigint DEFAULT 2) RETURNS bigint RETURN a * 10 + b;";
    assert_eq!(expr(functions, "f(title) = 'text'"), "true");
    assert_eq!(expr(functions, "f('x') = 'text'"), "true");
    // As in PostgreSQL, the one that needs no default.
    assert_eq!(expr(functions, "f(id) = 'number'"), "true");
    let same = "CREATE FUNCTION h(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
        CREATE FUNCTION h(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;";
    assert!(refused(same, "h(1) = 1").contains("is not unique"));
    assert!(expr(functions, "f(id, 3) = 1").contains("aurora_add(aurora_multiply(t.id, 100), 3)"));
    assert!(expr(functions, "f(b => id, a => 3) = 1").contains("aurora_add(aurora_multiply(3, 100), t.id)"));
    assert!(expr(functions, "d(b => id) = 1").contains("aurora_multiply(1, 10), t.id)"));
    assert!(refused(functions, "f(true)").contains("does not exist"));
    assert!(refused(functions, "d(c => 1) = 1").contains("does not exist"));
    let schema = "CREATE FUNCTION rbac.f() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
        CREATE FUNCTION rbac.g() RETURNS boolean LANGUAGE sql SET search_path = rbac AS $$ SELECT f() $$;";
    assert_eq!(expr(schema, "rbac.g()"), "true");
    assert!(refused(schema, "f()").contains("is unknown"));
    let twice = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;";
    assert!(refusal(&format!("{twice}{twice}")).contains("already exists"));
    assert_eq!(
        expr(
            &format!("{twice}{}", twice.replace("CREATE", "CREATE OR REPLACE").replace("1", "2")),
            "f() = 2"
        ),
        "true"
    );
}

#[test]
fn a_function_gives_its_first_row_or_null() {
    let function = "CREATE FUNCTION my_role(t bigint) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
        $$ SELECT role FROM members WHERE team_id = t AND user_id = auth.uid() $$;";
    let text = expr(function, "my_role(team_id) = 'admin'");
    assert!(text.contains("LIMIT 1") && !text.contains("count(*)"), "{text}");
    // Written out, PostgreSQL raises 21000 for a second row.
    assert!(expr("", "(select role from members where team_id = notes.team_id) = 'admin'").contains("21000"));
    let strict = "CREATE FUNCTION s(a bigint) RETURNS boolean LANGUAGE sql STRICT AS $$ SELECT a IS NULL $$;";
    assert_eq!(expr(strict, "s(null)"), "false");
    assert_eq!(expr(strict, "s(1)"), "false");
    assert_eq!(expr(&strict.replace("STRICT", ""), "s(null)"), "true");
    assert!(expr(strict, "s(id)").contains("CASE WHEN (t.id IS NULL) THEN NULL ELSE"));
}

#[test]
fn a_body_of_two_columns_is_no_value() {
    for body in ["SELECT 1, 2", "SELECT team_id, team_id FROM members"] {
        let function = format!("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ {body} $$;");
        assert!(refused(&function, "f() = 1").contains("a row as a value"), "{body}");
    }
    assert!(refused("", "(SELECT 1, 2) = 1").contains("column"));
}

#[test]
fn set_returning_functions_dissolve_into_their_subquery() {
    let function = "CREATE FUNCTION my_teams() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER AS
        $$ SELECT team_id FROM members WHERE user_id = auth.uid() $$;";
    let list = "(t.team_id IN (SELECT \"aurora~1\".\"team_id\" FROM o_members AS \"aurora~1\" WHERE \
                (\"aurora~1\".\"user_id\" = (SELECT auth_uid_text()))))";
    for condition in [
        "team_id in (select my_teams())",
        "team_id = any (select my_teams())",
        "team_id = any (array(select my_teams()))",
        "team_id in (select * from my_teams())",
        "exists (select 1 from my_teams() as t(id) where t.id = team_id)",
        "exists (select 1 from my_teams() mine where mine = notes.team_id)",
    ] {
        if condition.contains('*') {
            assert!(refused(function, condition).contains("name the columns"));
            continue;
        }
        if condition.contains("mine = ") {
            continue;
        }
        let text = expr(function, condition).replace("aurora~2", "aurora~1");
        assert_eq!(text, list, "{condition}");
    }
    assert!(refused(function, "my_teams() = team_id").contains("set-returning"));
    let query = function
        .replace("LANGUAGE sql", "LANGUAGE plpgsql")
        .replace("SELECT", "BEGIN RETURN QUERY SELECT")
        .replace("() $$", "(); END $$");
    assert_eq!(expr(&query, "team_id in (select my_teams())"), list);
    let table = "CREATE FUNCTION mine() RETURNS TABLE (team bigint, kind text) LANGUAGE sql AS
        $$ SELECT team_id, role FROM members UNION ALL SELECT 7, 'admin' $$;";
    let text =
        expr(table, "exists (select 1 from mine() m where m.team = notes.team_id and m.kind = 'admin')");
    assert!(text.contains(" OR (7 = t.team_id)"), "{text}");
}

#[test]
fn recursion_and_bodies_outside_are_told_with_the_ways_out() {
    let round = "CREATE FUNCTION f() RETURNS boolean LANGUAGE sql AS $$ SELECT g() $$;
        CREATE FUNCTION g() RETURNS boolean LANGUAGE sql AS $$ SELECT f() $$;";
    assert!(refused(round, "f()").contains("f -> g -> f"));
    // An invoker's function that reads the table it guards recurses when it runs.
    let own = "CREATE POLICY more ON members FOR SELECT USING (is_member(team_id));";
    let through = refusal(&format!("{}{own}", MEMBER.replace("SECURITY DEFINER", "")));
    assert!(through.contains("54001") && through.contains("members -> members"), "{through}");
    assert!(through.contains("SECURITY DEFINER"));
    lowered(&format!("{MEMBER}{own}"));
    let procedural = "\nCREATE FUNCTION f(a bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF a > 1 THEN RETURN true; END IF;
  RETURN false;
END $$;";
    let outside = refused(procedural, "f(id)");
    assert!(outside.contains("policies.sql:4: ") && outside.contains("function f()"), "{outside}");
    assert!(outside.contains("Policies::with_function") && outside.contains("one SELECT"), "{outside}");
    let unknown = refused("", "is_vip(owner)");
    assert!(
        unknown.contains("CREATE FUNCTION is_vip") && unknown.contains("Policies::with_function"),
        "{unknown}"
    );
    let inside =
        refused("\n\nCREATE FUNCTION f() RETURNS boolean LANGUAGE sql AS $$\nSELECT\n nope = 1 $$;", "f()");
    assert!(inside.contains("policies.sql:7: "), "{inside}");
    let doubling: String = (1..18)
        .map(|at| format!("CREATE FUNCTION f{at}(a bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT f{}(a) + f{0}(a) $$;", at - 1))
        .collect();
    let bounded = refused(
        &format!("CREATE FUNCTION f0(a bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT a $$;{doubling}"),
        "f17(id) = 1",
    );
    assert!(bounded.contains("unfold this far"), "{bounded}");
}

#[test]
fn functions_of_the_host_stand_in_for_bodies_outside() {
    let text = format!(
        "{ENABLED}CREATE TYPE kind AS ENUM ('a', 'b');
        CREATE FUNCTION check_it(u uuid, k kind) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN true; END $$;
        CREATE POLICY p ON notes FOR SELECT USING (check_it(owner, 'a') AND app.score(title) > 3);"
    );
    let policies = Policies::parse(&text, "policies.sql").unwrap();
    assert!(policies.lower(&schema()).is_err());
    let policies = policies
        .with_function("check_it", &["uuid", "kind"], "boolean", |_| Ok(Value::Integer(1)))
        .unwrap()
        .with_function("app.score", &["text"], "bigint", |_| Ok(Value::Integer(4)))
        .unwrap();
    let lowered = policies.lower(&schema()).unwrap_or_else(|errors| panic!("{errors}"));
    let shown = show(&lowered.using("notes", Role::Authenticated, Command::Select));
    assert_eq!(shown, "((host_0(aurora_uuid(t.owner), 'a') = 1) AND (host_1(t.title) > 3))");
    let names: Vec<&str> = lowered.functions().iter().map(|function| &*function.name).collect();
    assert_eq!(names, ["host_0", "host_1"]);
    assert!(policies.with_function("f", &["money"], "text", |_| Ok(Value::Null)).is_err());
}

/// fault K30: in process a function of the host's that panics is an error, on whichever side of the condition it
/// stands: never a yes, and no panic of whoever asks.
#[test]
fn a_function_of_the_host_s_that_panics_is_an_error_and_no_yes() {
    let now = Timestamp::from_seconds(1_700_000_000);
    for (condition, calm) in [
        ("fragile(title)", Decision::Allow),
        ("NOT fragile(title)", Decision::Deny),
        ("id = 1 AND fragile(title)", Decision::Allow),
        ("fragile(title) OR id = 1", Decision::Allow),
        ("coalesce(fragile(title), true)", Decision::Allow),
    ] {
        let text = format!("{ENABLED}CREATE POLICY p ON notes FOR SELECT USING ({condition});");
        let policies = Policies::parse(&text, "policies.sql").unwrap();
        let policies = policies
            .with_function("fragile", &["text"], "boolean", |arguments| match arguments {
                [Value::Text(title)] if title == "calm" => Ok(Value::Integer(1)),
                _ => panic!("a secret of the host's"),
            })
            .unwrap();
        let lowered = policies.lower(&schema()).unwrap_or_else(|errors| panic!("{errors}"));
        let layout = RowLayout::new(["id", "owner", "team_id", "title", "tags"]);
        let compiled = lowered.compile("notes", Role::Authenticated, Command::Select, Clause::Using, &layout);
        let compiled = compiled.unwrap_or_else(|errors| panic!("{errors}"));
        let facts = Facts::of(&Principal::user("00000000-0000-4000-8000-00000000000a".parse().unwrap()));
        let decide = |title| {
            let row =
                [ValueRef::Integer(1), ValueRef::Null, ValueRef::Null, ValueRef::Text(title), ValueRef::Null];
            compiled.decide(&row[..], &facts, now).unwrap()
        };
        let Decision::Error(error) = decide("loud") else { panic!("{condition}: no error") };
        assert_eq!(error.sqlstate(), "XX000", "{condition}: {error}");
        assert!(!error.to_string().contains("secret"), "{condition}: {error}");
        assert_eq!(decide("calm"), calm, "{condition}: the next row");
    }
}

#[test]
fn subqueries_of_every_kind_keep_their_meaning() {
    let union =
        expr("", "team_id in (select team_id from members where user_id = auth.uid() union select 7)");
    assert!(union.contains(" OR ") && union.contains("(t.team_id = 7)"), "{union}");
    let derived = expr(
        "",
        "exists (select 1 from (select team_id as t, role from members where role <> 'x') m
        where m.t = notes.team_id and m.role = 'admin')",
    );
    assert!(derived.starts_with("(t.team_id IN (SELECT"), "{derived}");
    let left = expr(
        "",
        "exists (select 1 from members m left join members b on b.team_id = m.team_id and b.role = 'owner'
        where m.team_id = notes.team_id and b.user_id is null)",
    );
    assert!(left.contains("NOT EXISTS") && left.contains(" OR "), "{left}");
    assert!(
        expr("", "(select count(*) from members where team_id = notes.team_id) < 3").contains("count(1)")
    );
    assert!(expr("", "(select count(distinct user_id) from members) < 3").contains("count(DISTINCT"));
    assert_eq!(expr("", "exists (select count(*) from members)"), "true");
    assert_eq!(expr("", "exists (select 1 from members limit 0)"), "false");
    let limited =
        expr("", "owner = (select user_id from members where role = 'owner' order by team_id desc limit 1)");
    assert!(limited.contains("ORDER BY \"aurora~1\".\"team_id\" DESC NULLS FIRST LIMIT 1"), "{limited}");
    for wrong in [
        "(select user_id from members union select 'x') = owner",
        "count(*) > 1",
        "(select max(role) from members) = 'x'",
        "owner in (select user_id from members order by role limit 2)",
        "exists (select 1 from members group by role)",
        "exists (with x as (select 1) select 1 from x)",
        "team_id in (select team_id from members except select 1)",
    ] {
        refused("", wrong);
    }
}

#[test]
fn column_grants_are_data_for_the_guard() {
    let text = "REVOKE SELECT, UPDATE ON notes FROM anon, authenticated; GRANT SELECT (id, Title), UPDATE (title) ON notes TO authenticated;
        GRANT SELECT (team_id) ON notes TO PUBLIC; CREATE POLICY p ON notes USING (true);";
    let policies = lowered(text);
    let only = |names: &[&str]| Columns::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let columns = |role, command| policies.columns("Notes", role, command);
    assert_eq!(columns(Role::Authenticated, Command::Select), only(&["id", "title", "team_id"]));
    assert_eq!(columns(Role::Anon, Command::Select), only(&["team_id"]));
    assert_eq!(columns(Role::Authenticated, Command::Update), only(&["title"]));
    assert_eq!(columns(Role::Anon, Command::Insert), Columns::All);
    assert!(!policies.granted("notes", Role::Anon, Command::Update));
    assert!(policies.granted("notes", Role::Anon, Command::Select));
    // Taking a column's privilege takes nothing from who holds the table's; taking the table's takes the columns'.
    let policies =
        lowered("REVOKE SELECT (title) ON notes FROM anon; CREATE POLICY p ON notes USING (true);");
    assert_eq!(policies.columns("notes", Role::Anon, Command::Select), Columns::All);
    let policies = lowered(&format!("{text} REVOKE SELECT ON notes FROM authenticated;"));
    assert_eq!(policies.columns("notes", Role::Authenticated, Command::Select), only(&["team_id"]));
    // A policy that reads a column its caller may not is denied, as its subquery would be.
    let reading = "REVOKE SELECT ON members FROM anon; GRANT SELECT (team_id) ON members TO anon;
        CREATE POLICY p ON notes FOR SELECT USING (team_id in (select team_id from members where role = 'x'));";
    let denied = lowered(reading).denied("notes", Role::Anon, Command::Select);
    assert_eq!(denied.as_deref(), Some("permission denied for table members"));
    assert_eq!(lowered(reading).denied("notes", Role::Authenticated, Command::Select), None);
    // `SELECT *` asks for every column's grant, read or not; what constants decide is dropped, and asks for none.
    let denied = |condition: &str| {
        let condition =
            reading.replace("team_id in (select team_id from members where role = 'x')", condition);
        lowered(&condition).denied("notes", Role::Anon, Command::Select).is_some()
    };
    assert!(denied("exists (select * from members)"));
    assert!(!denied("exists (select 1 from members)"));
    assert!(!denied("exists (select 1 from members where role = 'x') or true"));
    assert!(!denied("exists (select 1 from members where role = 'x') and false"));
    for constant in [
        "(false)::int <> 4",
        "'5'::int = 5",
        "7::text = '7'",
        "1::boolean",
        "(case when true then 2 end) = 2",
    ] {
        assert!(
            !denied(&format!("exists (select 1 from members where role = 'x') or {constant}")),
            "{constant}"
        );
        assert!(
            denied(&format!("exists (select 1 from members where role = 'x') or not ({constant})")),
            "{constant}"
        );
    }
    assert!(denied("exists (select 1 from members where role = 'x') or id = 1"));
    // A literal takes the type of what it stands among; DISTINCT FROM answers NULLs.
    for open in ["(case when true then '05' else id end) <> '5'", "coalesce('05', id) <> '5'"] {
        assert!(denied(&format!("exists (select 1 from members where role = 'x') or {open}")), "{open}");
    }
    assert!(denied("exists (select 1 from members where role = 'x') and title is distinct from null"));
    // A constant that the planner may know and we do not: refused, rather than guessed.
    for unknown in
        ["'ab' ~ 'b$'", "'ab c' !~* '^a+$'", "not ('a' ~ 'b') and true", "('3000' || '000000')::int > 0"]
    {
        let doubtful = reading.replace(
            "team_id in (select team_id from members where role = 'x')",
            &format!("exists (select 1 from members where role = 'x') or {unknown}"),
        );
        let told = refusal(&doubtful);
        assert!(told.contains("PostgreSQL's planner may leave out what they read of members"), "{told}");
    }
}
