//! `policy explain` on both engines.

use crate::{ANN, BOB, Host, POLICIES};

#[test]
fn explain_says_which_clause_decides() {
    let host = Host::on_sqlite();
    explained(&host);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_the_same_on_postgresql() {
    let host = Host::on_postgres().await;
    explained(&host);
}

fn explained(host: &Host) {
    assert_eq!(host.run(POLICIES, &[]).end, "serves");
    let row = format!(r#"{{"owner":"{ANN}","team_id":7,"title":"x"}}"#);
    let insert = ["policy", "explain", "--table", "notes", "--command", "insert", "--row", &row, "--user"];
    let with = |user: &'static str| insert.iter().copied().chain([user]).collect::<Vec<&str>>();
    let denied = host.ran(POLICIES, &with(ANN));
    for part in [
        "INSERT on notes as authenticated, WITH CHECK: deny",
        "policy \"write as myself, to my own teams\" (policies.sql:",
        "true    owner = auth.uid()",
        "auth.uid() is '531d8831-8dd2-4b11-88f3-6f4626667cf0'",
        "false   any of:",
        "team_id is 7",
        "to pass, this would have to differ:",
        "team_id IS NULL would have to be true",
    ] {
        assert!(denied.contains(part), "no `{part}`");
    }
    let foreign = host.ran(POLICIES, &with(BOB));
    assert!(foreign.contains("false   owner = auth.uid()"), "{foreign}");
    let own = format!(r#"{{"owner":"{ANN}","team_id":null,"title":"x","is_public":false}}"#);
    let select = ["policy", "explain", "--table", "notes", "--user", ANN, "--row", &own];
    let allowed = host.ran(POLICIES, &select);
    assert!(allowed.contains("SELECT on notes as authenticated, USING: allow"), "{allowed}");
    let nobody = host.ran(POLICIES, &["policy", "explain", "--table", "notes", "--row", &own]);
    assert!(nobody.contains("SELECT on notes as anon, USING: deny"), "{nobody}");
    let update =
        ["policy", "explain", "--table", "notes", "--command", "update", "--user", BOB, "--row", &own];
    let update = host.ran(POLICIES, &update);
    assert!(update.contains("UPDATE on notes as authenticated, USING: deny"), "{update}");
    assert!(update.contains("UPDATE on notes as authenticated, WITH CHECK: deny"), "{update}");
    for (arguments, error) in [
        (vec!["--table", "nots", "--row", "{}"], "not_found: no table nots"),
        (vec!["--table", "notes", "--row", "[]"], "bad_json: not a JSON object"),
        (vec!["--table", "notes", "--key", "id"], "--key is written COLUMN=VALUE"),
        (vec!["--table", "notes", "--key", "idd=1"], "notes has no column idd"),
        (vec!["--table", "notes", "--key", "id=999"], "no row of notes has that value"),
        (vec!["--table", "notes", "--row", "{}", "--user", "ann"], "validation_failed"),
        (vec!["--table", "notes", "--row", "{}", "--claims", "{}"], "--claims needs --user"),
        (vec!["--table", "notes"], "required"),
        (vec!["--table", "notes", "--row", "{}", "--command", "drop"], "invalid value 'drop'"),
    ] {
        let all: Vec<&str> = ["policy", "explain"].into_iter().chain(arguments).collect();
        host.fails(POLICIES, &all, error);
    }
}
