//! `policy check`, by a bug of each kind.

use crate::{Host, POLICIES, added};

/// A bug, and what `policy check` has to say of it: the rest of a line behind `policies.sql:<line>: `, and the way out.
pub(crate) struct Bug {
    pub(crate) kind: &'static str,
    pub(crate) policy: &'static str,
    pub(crate) finding: &'static str,
    pub(crate) fix: &'static str,
}

pub(crate) const ERRORS: &[Bug] = &[
    Bug { kind: "syntax", policy: "CREATE POLICY x ON notes USING (owner = );", finding: "error: ", fix: "" },
    Bug {
        kind: "no such table",
        policy: "CREATE POLICY x ON nots FOR SELECT USING (owner = auth.uid());",
        finding: "error: a policy on nots without row level security",
        fix: "",
    },
    Bug {
        kind: "no such column",
        policy: "CREATE POLICY x ON notes FOR SELECT USING (ownr = auth.uid());",
        finding: "error: policy \"x\" on notes: column `ownr` does not exist",
        fix: "correct the name or add the column",
    },
    Bug {
        kind: "types",
        policy: "CREATE POLICY x ON notes FOR SELECT USING (title = 1);",
        finding: "error: policy \"x\" on notes: comparison of text and integer",
        fix: "PostgreSQL has no such operator: cast one side",
    },
    Bug {
        kind: "no condition",
        policy: "CREATE POLICY x ON notes FOR SELECT USING (id + 1);",
        finding: "error: policy \"x\" on notes: ",
        fix: "",
    },
    Bug {
        kind: "recursion",
        policy: "CREATE POLICY x ON members FOR SELECT USING (team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()));",
        finding: "error: policy \"x\" on members: infinite recursion detected in policy for relation \"members\" (42P17): members -> members",
        fix: "let the SELECT policies of \"members\" do without a subquery",
    },
    Bug {
        kind: "outside the subset",
        policy: "CREATE POLICY x ON notes FOR SELECT USING (title SIMILAR TO 'a%');",
        finding: "error: policy \"x\" on notes: SIMILAR TO",
        fix: "write LIKE",
    },
    Bug {
        kind: "no such function",
        policy: "CREATE POLICY x ON notes FOR SELECT USING (is_friend(owner));",
        finding: "error: policy \"x\" on notes: ",
        fix: "",
    },
];

const WARNINGS: &[Bug] = &[
    Bug {
        kind: "column capture",
        policy: "CREATE POLICY x ON notes FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM members m WHERE m.team_id = team_id AND m.user_id = auth.uid()));",
        finding: "warning: policy \"x\" on notes: `team_id` means the inner table's column here, as in PostgreSQL; for the outer one write `notes.team_id`",
        fix: "",
    },
    Bug {
        kind: "a write that anybody may make",
        policy: "CREATE POLICY x ON teams FOR UPDATE TO authenticated USING (true);",
        finding: "warning: policy \"x\" on teams: USING is always true",
        fix: "",
    },
];

#[test]
fn check_passes_the_quickstart_s_policies_and_needs_no_database() {
    let host = Host::on_sqlite();
    let text = host.ran(POLICIES, &["policy", "check"]);
    assert!(text.contains("policies.sql: 5 tables under row level security, no error, 0 warnings"), "{text}");
    host.ran(POLICIES, &["policy", "check", "--deny-warnings"]);
    assert!(!host.path("notes.db").exists(), "check made a database");
    assert!(!host.path("root.key").exists(), "check made a key file");
}

#[test]
fn check_names_each_kind_of_bug_with_its_line_and_its_fix() {
    let host = Host::on_sqlite();
    for bug in ERRORS {
        let (policies, line) = added(bug.policy);
        let text = host.fails(&policies, &["policy", "check"], "policy check failed");
        let finding = format!("policies.sql:{line}: {}", bug.finding);
        assert!(text.contains(&finding), "{}: no `{finding}`", bug.kind);
        assert!(
            bug.fix.is_empty() || text.contains(&format!("    fix: {}", bug.fix)),
            "{}: no fix",
            bug.kind
        );
        assert!(text.trim_end().ends_with("nothing was changed"), "{}", bug.kind);
    }
    for bug in WARNINGS {
        let (policies, line) = added(bug.policy);
        let text = host.ran(&policies, &["policy", "check"]);
        let finding = format!("policies.sql:{line}: {}", bug.finding);
        assert!(text.contains(&finding), "{}: no `{finding}`", bug.kind);
        host.fails(&policies, &["policy", "check", "--deny-warnings"], "policy check failed");
    }
    println!("{} kinds of bugs", ERRORS.len() + WARNINGS.len());
}

#[test]
fn check_names_an_index_that_a_policy_would_use() {
    let host = Host::on_sqlite();
    let (policies, _) =
        added("CREATE POLICY x ON notes FOR SELECT TO authenticated USING (title = auth.jwt() ->> 'email');");
    let text = host.ran(&policies, &["policy", "check"]);
    assert!(text.contains("CREATE INDEX") && text.contains("\"notes\" (\"title\""), "{text}");
    assert!(text.contains("2 missing indexes"), "{text}");
}

/// A bug in the file stops the start as it stops `check`, with the same words.
#[test]
fn a_bug_in_the_file_stops_the_start() {
    let host = Host::on_sqlite();
    for bug in ERRORS {
        let (policies, line) = added(bug.policy);
        let said = host.run(&policies, &[]);
        assert!(said.end.contains(&format!("policies.sql:{line}")), "{}: {}", bug.kind, said.end);
    }
}
