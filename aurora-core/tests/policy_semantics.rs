//! PostgreSQL's rules on which policies apply and how they combine, case by case.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

#[path = "common/names.rs"]
mod names;

use aurora_core::policy::{Check, Column, Command, Index, Policies, Predicate, Schema, Table};
use aurora_core::types::Role;
use names::Plain;

fn schema() -> Schema {
    let mut notes = Table::new(
        "notes",
        vec![
            Column::new("id", "INTEGER"),
            Column::new("owner", "TEXT"),
            Column::new("team_id", "INTEGER"),
            Column::new("public", "BOOLEAN"),
            Column::new("pinned", "INTEGER"),
            Column::new("title", "TEXT"),
            Column::new("uid", "BLOB"),
            Column::new("expires_at", "TIMESTAMP"),
            Column::new("extra", "JSON"),
        ],
    );
    notes.primary_key = vec!["id".into()];
    notes.indexes = vec![Index { name: "o".into(), columns: vec![Some("owner".into())], ..Index::default() }];
    let mut members = Table::new(
        "members",
        vec![
            Column::new("team_id", "INTEGER"),
            Column::new("user_id", "TEXT"),
            Column::new("role", "TEXT"),
            Column::new("active", "BOOLEAN"),
        ],
    );
    members.primary_key = vec!["team_id".into(), "user_id".into()];
    let teams = Table::new("teams", vec![Column::new("id", "INTEGER"), Column::new("owner", "BLOB")]);
    Schema { tables: vec![notes, members, teams] }
}

const ENABLED: &str = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON members FOR SELECT USING (user_id = auth.uid());
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON teams FOR SELECT USING (owner = auth.uid());
";

fn lowered(text: &str) -> aurora_core::policy::Lowered {
    let text = format!("{ENABLED}{text}");
    let policies = Policies::parse(&text, "policies.sql").unwrap_or_else(|errors| panic!("{errors}"));
    policies.lower(&schema()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn show(predicate: &Predicate) -> String {
    match predicate {
        Predicate::False => "false".into(),
        Predicate::True => "true".into(),
        Predicate::Expr(lowering) => lowering.render(&Plain),
    }
}

fn using(text: &str, command: Command) -> String {
    show(&lowered(text).using("notes", Role::Authenticated, command))
}

fn expr(condition: &str) -> String {
    using(&format!("CREATE POLICY p ON notes FOR SELECT USING ({condition});"), Command::Select)
}

fn checks(text: &str, command: Command) -> Vec<(String, Option<String>)> {
    let checks = lowered(text).checks("notes", Role::Authenticated, command);
    checks.into_iter().map(|Check { predicate, policy, .. }| (show(&predicate), policy)).collect()
}

fn refusal(text: &str) -> String {
    let text = format!("{ENABLED}{text}");
    match Policies::parse(&text, "policies.sql").and_then(|policies| policies.lower(&schema())) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn permissive_are_ored_and_restrictive_are_anded() {
    let text = "CREATE POLICY a ON notes USING (id = 1); CREATE POLICY b ON notes FOR SELECT USING (id = 2);
        CREATE POLICY d ON notes AS RESTRICTIVE USING (id < 9);
        CREATE POLICY c ON notes AS RESTRICTIVE FOR SELECT USING (id > 0);";
    assert_eq!(using(text, Command::Select), "(((t.id = 1) OR (t.id = 2)) AND (t.id > 0) AND (t.id < 9))");
    assert_eq!(using(text, Command::Delete), "((t.id = 1) AND (t.id < 9))");
}

/// attack A01
#[test]
fn no_permissive_policy_denies_even_beside_restrictive_ones() {
    assert_eq!(using("", Command::Select), "false");
    let restrictive = "CREATE POLICY a ON notes AS RESTRICTIVE USING (true);";
    assert_eq!(using(restrictive, Command::Select), "false");
    assert_eq!(checks(restrictive, Command::Insert), [("false".into(), None)]);
}

/// attack A01
#[test]
fn a_permissive_policy_without_the_clause_contributes_nothing() {
    let text = "CREATE POLICY a ON notes FOR ALL WITH CHECK (id > 0);";
    for command in [Command::Select, Command::Update, Command::Delete] {
        assert_eq!(using(text, command), "false");
    }
    assert_eq!(checks(text, Command::Insert), [("(t.id > 0)".into(), None)]);
    assert_eq!(using("CREATE POLICY a ON notes FOR UPDATE WITH CHECK (true);", Command::Update), "false");
}

#[test]
fn using_stands_in_for_a_missing_with_check() {
    for command in ["ALL", "UPDATE"] {
        let text = format!("CREATE POLICY a ON notes FOR {command} USING (id = 1);");
        assert_eq!(checks(&text, Command::Update), [("(t.id = 1)".into(), None)]);
    }
    let all = "CREATE POLICY a ON notes USING (id = 1);";
    assert_eq!(checks(all, Command::Insert), [("(t.id = 1)".into(), None)]);
    let both = "CREATE POLICY a ON notes USING (id = 1) WITH CHECK (id = 2);";
    assert_eq!(checks(both, Command::Update), [("(t.id = 2)".into(), None)]);
}

#[test]
fn checks_come_permissive_first_and_then_by_name() {
    let text = "CREATE POLICY z ON notes WITH CHECK (id > 0);
        CREATE POLICY q2 ON notes AS RESTRICTIVE WITH CHECK (id < 9);
        CREATE POLICY q1 ON notes AS RESTRICTIVE WITH CHECK (id < 8);";
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        checks(text, Command::Insert),
        [("(t.id > 0)".into(), None), ("(t.id < 8)".into(), named("q1")), ("(t.id < 9)".into(), named("q2"))]
    );
    let messages: Vec<String> = lowered(text)
        .checks("notes", Role::Anon, Command::Insert)
        .into_iter()
        .map(|check| check.message)
        .collect();
    assert_eq!(messages[0], "new row violates row-level security policy for table \"notes\"");
    assert_eq!(messages[1], "new row violates row-level security policy \"q1\" for table \"notes\"");
}

#[test]
fn roles_select_policies_and_the_service_skips_them() {
    let lowered = lowered(
        "CREATE POLICY a ON notes TO authenticated USING (id = 1); CREATE POLICY b ON notes TO anon USING (id = 2);
         CREATE POLICY c ON notes TO service_role USING (id = 3); CREATE POLICY d ON notes TO PUBLIC USING (id = 4);",
    );
    let select = |role| show(&lowered.using("notes", role, Command::Select));
    assert_eq!(select(Role::Authenticated), "((t.id = 1) OR (t.id = 4))");
    assert_eq!(select(Role::Anon), "((t.id = 2) OR (t.id = 4))");
    assert_eq!(select(Role::Service), "true");
    assert!(lowered.checks("notes", Role::Service, Command::Insert).is_empty());
    assert!(refusal("CREATE POLICY e ON notes TO admins USING (true);").contains("role `admins`"));
    assert!(
        refusal("CREATE POLICY e ON notes TO CURRENT_USER USING (true);").contains("role `CURRENT_USER`")
    );
}

#[test]
fn grants_apply_in_the_order_they_are_written() {
    let held = |text: &str| {
        let lowered = lowered(text);
        Command::ALL.map(|command| lowered.granted("notes", Role::Anon, command))
    };
    assert_eq!(held(""), [true; 4]);
    assert_eq!(held("REVOKE ALL ON notes FROM anon;"), [false; 4]);
    assert_eq!(
        held("REVOKE ALL ON notes FROM anon; GRANT SELECT ON notes TO anon;"),
        [true, false, false, false]
    );
    assert_eq!(held("GRANT SELECT ON notes TO anon; REVOKE ALL ON TABLE notes FROM anon;"), [false; 4]);
    // As in PostgreSQL: what PUBLIC loses, anon still holds by its own grant, and the other way round.
    assert_eq!(held("REVOKE ALL ON notes FROM PUBLIC;"), [true; 4]);
    assert_eq!(held("REVOKE ALL ON notes FROM anon; GRANT ALL ON notes TO PUBLIC;"), [true; 4]);
    assert_eq!(
        held("REVOKE ALL ON notes FROM anon; GRANT SELECT (id) ON notes TO anon;"),
        [true, false, false, false]
    );
    let lowered = lowered(
        "REVOKE SELECT ON members FROM authenticated;
        CREATE POLICY p ON notes FOR SELECT USING (id IN (SELECT team_id FROM members));",
    );
    let denied = lowered.denied("notes", Role::Authenticated, Command::Select);
    assert_eq!(denied.as_deref(), Some("permission denied for table members"));
    assert!(lowered.granted("notes", Role::Authenticated, Command::Delete));
    assert!(!lowered.granted("unknown", Role::Authenticated, Command::Select));
    assert!(lowered.granted("unknown", Role::Service, Command::Select));
}

#[test]
fn grammar_and_forgotten_lines_are_errors() {
    assert!(refusal("CREATE POLICY p ON notes FOR INSERT USING (true);").contains("only WITH CHECK"));
    assert!(refusal("CREATE POLICY p ON notes FOR SELECT WITH CHECK (true);").contains("WITH CHECK cannot"));
    assert!(
        refusal("CREATE POLICY p ON notes FOR DELETE USING (true) WITH CHECK (true);").contains("WITH CHECK")
    );
    let forgotten =
        Policies::parse("CREATE POLICY p ON notes USING (true);", "p.sql").unwrap_err().to_string();
    assert!(forgotten.starts_with("p.sql:1: "), "{forgotten}");
    assert!(forgotten.contains("ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"), "{forgotten}");
    let twice = "CREATE POLICY p ON notes USING (true);\nCREATE POLICY p ON notes USING (true);";
    assert!(refusal(twice).contains("already exists"));
    assert!(refusal("CREATE POLICY p ON notes USING (nope = 1);").contains("column `nope` does not exist"));
    let several =
        refusal("CREATE POLICY p ON notes USING (a ~ 'x');\nCREATE POLICY q ON notes USING (f(1));");
    assert_eq!(several.lines().count(), 2, "{several}");
    assert!(several.lines().all(|line| line.starts_with("policies.sql:")), "{several}");
}

#[test]
fn forms_that_the_parser_reads_unlike_postgresql_are_refused() {
    for form in [
        "-id ^ 2 = 4",
        "title ~ 'b' || 'c'",
        "title ISNULL",
        "id BETWEEN SYMMETRIC 9 AND 1",
        "id = 1 = public",
    ] {
        refusal(&format!("CREATE POLICY p ON notes USING ({form});"));
    }
}

/// attack L07, asvs(V15.3.5)
#[test]
fn comparisons_follow_types() {
    assert_eq!(expr("owner = auth.uid()"), "(t.owner = (SELECT auth_uid_text()))");
    assert_eq!(expr("(select auth.uid()) = uid"), "((SELECT auth_uid_blob()) = t.uid)");
    assert_eq!(expr("(SELECT auth.uid() AS uid) = owner"), "((SELECT auth_uid_text()) = t.owner)");
    assert_eq!(expr("owner::uuid = auth.uid()"), "(aurora_uuid(t.owner) = (SELECT auth_uid_text()))");
    assert_eq!(expr("owner <> auth.uid()"), "(aurora_uuid(t.owner) <> (SELECT auth_uid_text()))");
    assert_eq!(expr("not owner = auth.uid()"), "(NOT (aurora_uuid(t.owner) = (SELECT auth_uid_text())))");
    assert_eq!(expr("owner = uid"), "(aurora_uuid_blob(t.owner) = t.uid)");
    assert_eq!(
        expr("auth.uid() in (owner, uid)"),
        "(((SELECT auth_uid_text()) = t.owner) OR ((SELECT auth_uid_blob()) = t.uid))"
    );
    assert_eq!(expr("id = '5'"), "(t.id = 5)");
    assert_eq!(expr("title = 'O''Brien'"), "(t.title = 'O''Brien' COLLATE BINARY)");
    assert_eq!(expr("title in ('a', 'b')"), "(t.title COLLATE BINARY IN ('a', 'b'))");
    assert_eq!(expr("title = any (array['a', 'b']::text[])"), "(t.title COLLATE BINARY IN ('a', 'b'))");
    assert_eq!(expr("id <> all ('{1,2}'::int[])"), "(NOT (t.id IN (1, 2)))");
    assert_eq!(expr("public"), "(t.public = 1)");
    assert_eq!(expr("not public"), "(t.public = 0)");
    assert_eq!(expr("pinned = true"), "(t.pinned = 1)");
    assert_eq!(expr("public is not true"), "((t.public = 0) OR (t.public IS NULL))");
    assert_eq!(expr("expires_at > now()"), "(aurora_time(t.expires_at) > (SELECT aurora_now()))");
    assert_eq!(expr("expires_at > '1970-01-01 00:00:01+00'"), "(aurora_time(t.expires_at) > 1000000)");
    assert_eq!(expr("title like 'a%'"), "aurora_like(t.title, 'a%', '\\')");
    assert_eq!(expr("id between 1 and 3"), "((t.id >= 1) AND (t.id <= 3))");
    assert_eq!(expr("id / 2 = 1"), "(aurora_divide(t.id, 2) = 1)");
    assert_eq!(
        expr("auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'"),
        "((SELECT auth_jwt_text('app_metadata', 'role')) = 'admin')"
    );
    assert_eq!(
        expr("(auth.jwt() -> 'app_metadata' -> 'staff') = to_jsonb(true)"),
        "((SELECT aurora_jsonb((SELECT auth_jwt_json('app_metadata', 'staff')))) = 'true')"
    );
    assert_eq!(expr("extra ->> 'kind' = 'x'"), "(aurora_json_text(t.extra, 'kind') = 'x')");
    for wrong in
        ["id = auth.uid()", "title = 5", "uid = 5", "public = 'perhaps'", "owner = 'x'::uuid", "title < 'b'"]
    {
        refusal(&format!("CREATE POLICY p ON notes USING ({wrong});"));
    }
}

#[test]
fn constants_fold_and_roles_are_constants() {
    assert_eq!(expr("true"), "true");
    assert_eq!(expr("id = 1 or true"), "true");
    assert_eq!(expr("null"), "false");
    assert_eq!(expr("auth.role() = 'authenticated'"), "true");
    assert_eq!(expr("auth.role() = 'service_role' or id = 1"), "(t.id = 1)");
    let text = "CREATE POLICY p ON notes USING (owner = auth.uid() or public);";
    assert_eq!(show(&lowered(text).using("notes", Role::Anon, Command::Select)), "(t.public = 1)");
}

#[test]
fn membership_becomes_a_list_where_null_is_false() {
    let list = "(t.team_id IN (SELECT \"aurora~1\".\"team_id\" FROM v_members AS \"aurora~1\" WHERE \
                (\"aurora~1\".\"user_id\" = (SELECT auth_uid_text()))))";
    let exists =
        "exists (select 1 from members m where m.team_id = notes.team_id and m.user_id = auth.uid())";
    assert_eq!(expr(exists), list);
    assert_eq!(expr("team_id in (select team_id from members where user_id = auth.uid())"), list);
    let turned = expr("auth.uid() in (select m.user_id from members m where m.team_id = notes.team_id)");
    assert_eq!(turned, list);
    let or = expr(&format!("owner = auth.uid() or {exists} or (public or id = 7)"));
    assert_eq!(
        or,
        format!("((t.owner = (SELECT auth_uid_text())) OR {list} OR (t.public = 1) OR (t.id = 7))")
    );
    let not = expr(&format!("not {exists}"));
    assert!(not.starts_with("(NOT EXISTS (SELECT 1 FROM v_members"), "{not}");
    let coalesced = expr(&format!("coalesce({exists}, true)"));
    assert!(coalesced.contains("EXISTS"), "{coalesced}");
    let two =
        expr("exists (select 1 from members m where m.team_id = notes.team_id and m.user_id = notes.owner)");
    assert!(two.starts_with("EXISTS"), "{two}");
}

#[test]
fn names_resolve_innermost_first_and_capture_is_told() {
    let lowered = lowered(
        "CREATE POLICY p ON notes FOR SELECT USING (exists (select 1 from members m where m.team_id = team_id));",
    );
    let text = show(&lowered.using("notes", Role::Authenticated, Command::Select));
    assert!(text.contains("(\"aurora~1\".\"team_id\" = \"aurora~1\".\"team_id\")"), "{text}");
    assert!(lowered.warnings().iter().any(|warning| warning.message().contains("notes.team_id")));
    assert!(
        refusal(
            "CREATE POLICY p ON notes USING (exists (select 1 from members a, members b where role = 'x'));"
        )
        .contains("ambiguous")
    );
    assert!(
        refusal(
            "CREATE POLICY p ON notes USING (exists (select 1 from members m where members.role = 'x'));"
        )
        .contains("`members.role` does not exist")
    );
}

#[test]
fn a_table_of_a_schema_is_called_by_its_last_part() {
    let mut schema = schema();
    let users = vec![Column::new("id", "TEXT"), Column::new("email", "TEXT")];
    schema.tables.push(Table::new("users", users.clone()));
    schema.tables.push(Table::new("auth_users", users));
    let text = "ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON auth.users FOR SELECT USING (users.id = auth.uid() and auth.users.email is not null);
        CREATE POLICY p ON users FOR SELECT USING (exists (select 1 from auth.users where users.id = public.users.id));";
    let lowered =
        Policies::parse(text, "p").unwrap().lower(&schema).unwrap_or_else(|errors| panic!("{errors}"));
    let own = show(&lowered.using("auth_users", Role::Authenticated, Command::Select));
    assert_eq!(own, "((t.id = (SELECT auth_uid_text())) AND (NOT (t.email IS NULL)))");
    let inner = show(&lowered.using("users", Role::Authenticated, Command::Select));
    assert_eq!(
        inner,
        "(t.id COLLATE BINARY IN (SELECT \"aurora~1\".\"id\" FROM v_auth_users AS \"aurora~1\"))"
    );
    // Only auth.uid() is auth.uid().
    for other in ["auth_uid()", "public.auth_uid()", "\"auth.uid\"()", "public.now()"] {
        assert!(
            refusal(&format!("CREATE POLICY p ON notes USING ({other} is null);")).contains("function"),
            "{other}"
        );
    }
    assert_eq!(expr("true::int = 1"), "(1 = 1)");
}

#[test]
fn a_scalar_subquery_with_two_rows_is_an_error_unless_a_key_forbids_it() {
    let keyed =
        expr("(select role from members where team_id = notes.team_id and user_id = auth.uid()) = 'admin'");
    assert!(keyed.starts_with("((SELECT \"aurora~1\".\"role\" FROM"), "{keyed}");
    let open = expr("(select role from members where user_id = auth.uid()) = 'admin'");
    assert!(open.contains("CASE WHEN count(*) > 1 THEN aurora_raise('21000"), "{open}");
}

#[test]
fn recursion_is_found_with_its_chain() {
    let direct = refusal("CREATE POLICY p ON notes USING (id in (select id from notes));");
    assert!(direct.contains("42P17") && direct.contains("notes -> notes"), "{direct}");
    let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
        CREATE POLICY a ON notes FOR SELECT USING (team_id in (select team_id from members));
        CREATE POLICY b ON members FOR SELECT USING (team_id in (select team_id from notes));";
    let errors = Policies::parse(text, "p").unwrap().lower(&schema()).unwrap_err().to_string();
    assert!(errors.contains("notes -> members -> notes"), "{errors}");
    // A check that looks at its own table is fine while that table's SELECT policies hold no subquery ..
    let plain = "CREATE POLICY s ON notes FOR SELECT USING (owner = auth.uid());
        CREATE POLICY i ON notes FOR INSERT WITH CHECK (not exists (select 1 from notes n where n.title = 'x'));";
    lowered(plain);
    // .. of any kind (PostgreSQL's hasSubLinks).
    let wrapped = plain.replace("owner = auth.uid()", "owner = (select auth.uid())");
    assert!(refusal(&wrapped).contains("42P17"));
}

#[test]
fn indexes_are_wanted_where_none_serves() {
    let lowered = lowered(
        "CREATE POLICY p ON notes FOR SELECT USING (owner = auth.uid() or exists (select 1 from members m
           where m.team_id = notes.team_id and m.user_id = auth.uid()));",
    );
    let wanted: Vec<String> = lowered.wanted_indexes().iter().map(|index| index.create()).collect();
    assert_eq!(
        wanted,
        [
            "CREATE INDEX \"members_user_id_idx\" ON \"members\" (\"user_id\");",
            "CREATE INDEX \"members_user_id_team_id_idx\" ON \"members\" (\"user_id\", \"team_id\");",
            "CREATE INDEX \"notes_team_id_idx\" ON \"notes\" (\"team_id\");",
            "CREATE INDEX \"teams_owner_idx\" ON \"teams\" (\"owner\");",
        ]
    );
}

#[test]
fn schemas_are_part_of_the_name_and_enums_are_checked() {
    let text = "CREATE TYPE app_role AS ENUM ('admin', 'member');
        CREATE POLICY p ON public.notes USING (exists (select 1 from public.members m where m.role = 'admin'::app_role));";
    lowered(text);
    assert!(refusal(&text.replace("'admin'::", "'root'::")).contains("`root` is no label"));
    assert!(refusal("CREATE POLICY p ON auth.users USING (true);").contains("auth_users"));
}

/// Found by the differential referee: restrictive policies reach nothing where no permissive one stands beside them.
#[test]
fn a_restrictive_policy_alone_reaches_no_other_table() {
    let lowered = lowered(
        "CREATE POLICY r ON notes AS RESTRICTIVE FOR INSERT WITH CHECK (owner NOT IN (SELECT user_id FROM members));
         REVOKE SELECT ON members FROM anon;",
    );
    assert_eq!(lowered.denied("notes", Role::Anon, Command::Insert), None);
    let text = "CREATE POLICY r ON notes AS RESTRICTIVE TO anon USING (EXISTS (SELECT 1 FROM notes x));";
    assert_eq!(using(text, Command::Select), "false");
}

/// Found by the differential referee: PostgreSQL's planner drops what constants decide, permission check and all.
#[test]
fn grants_of_inner_tables_are_asked_where_constants_leave_the_subquery() {
    let denied = |condition: &str| {
        let text = format!(
            "CREATE POLICY a ON notes FOR SELECT USING ({condition}); REVOKE SELECT ON members FROM authenticated;"
        );
        lowered(&text).denied("notes", Role::Authenticated, Command::Select).is_some()
    };
    let subquery = "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id)";
    for dropped in [
        "true OR #",
        "'a' LIKE 'a%' OR #",
        "false AND #",
        "NULL AND #",
        "(id = 1) = NULL::boolean AND #",
        "(true) = (1 > 2) AND #",
        "CASE WHEN 1 > 2 THEN # ELSE true END",
    ] {
        assert!(!denied(&dropped.replace('#', subquery)), "{dropped}");
    }
    for kept in ["#", "public OR #", "auth.role() = 'anon' AND #", "coalesce(#, true)", "NOT (false OR #)"] {
        assert!(denied(&kept.replace('#', subquery)), "{kept}");
    }
    let beside =
        "CREATE POLICY a ON notes FOR SELECT USING (true); REVOKE SELECT ON members FROM authenticated;
        CREATE POLICY b ON notes USING (EXISTS (SELECT 1 FROM members));";
    assert!(lowered(beside).denied("notes", Role::Authenticated, Command::Select).is_none());
    assert!(lowered(beside).denied("notes", Role::Authenticated, Command::Update).is_some());
}

/// Found by the differential referee: PostgreSQL looks for subqueries in both clauses of a policy that applies.
#[test]
fn a_subquery_in_with_check_counts_for_recursion() {
    let said =
        refusal("CREATE POLICY a ON notes USING (true) WITH CHECK (1 NOT IN (SELECT id FROM notes x));");
    assert!(said.contains("42P17"), "{said}");
}

/// Found by the differential referee.
#[test]
fn literals_without_a_type_are_text() {
    assert_eq!(expr("CASE id WHEN 1 THEN 'a' ELSE 'b' END LIKE 'a%'").matches("aurora_like").count(), 1);
    assert_eq!(expr("coalesce('a', 'b') = title"), expr("'a' = title"));
    let said = refusal("CREATE POLICY a ON notes USING (owner <> '0A000000-0000-4000-8000-00000000000A');");
    assert!(said.contains("0a000000-0000-4000-8000-00000000000a"), "{said}");
    expr("owner = '0A000000-0000-4000-8000-00000000000A'::uuid");
}
