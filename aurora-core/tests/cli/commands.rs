//! The other commands.

use aurora_core::config::Profile;
use aurora_core::testing::TestClient;
use aurora_core::{Aurora, Database};

use crate::check::ERRORS;
use crate::{Host, POLICIES, added, postgres};

#[test]
fn what_is_no_command_says_what_there_is() {
    let host = Host::on_sqlite();
    let help = host.fails(POLICIES, &["policy"], "which of these?");
    for word in ["check", "plan", "apply", "explain"] {
        assert!(help.contains(word), "{help}");
    }
    assert!(host.ran(POLICIES, &["policy", "--help"]).contains("Usage"));
    host.fails(POLICIES, &["policy", "chek"], "chek");
    // PostgreSQL keeps policies; SQLite's live in the file alone.
    for arguments in [vec!["policy", "plan"], vec!["policy", "apply"], vec!["setup", "--print-sql"]] {
        host.fails(POLICIES, &arguments, "there is nothing to install");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_and_apply_on_postgresql() {
    let host = Host::on_postgres().await;
    assert_eq!(host.run(POLICIES, &["setup"]).end, "done");
    let same = "the database has the policies of the file";
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains(same));
    // Somebody else's hand.
    let place = host.place.as_ref().unwrap();
    let mut superuser = place.superuser().await;
    postgres::run(&mut superuser, "ALTER POLICY \"own notes\" ON notes USING (true)").await;
    let drift = host.ran(POLICIES, &["policy", "plan"]);
    assert!(drift.contains("! policy \"own notes\" on notes: changed by somebody else"), "{drift}");
    assert!(host.ran(POLICIES, &["policy", "apply"]).contains("1 change made"));
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains(same));
    // Somebody else's policy.
    postgres::run(&mut superuser, "CREATE POLICY theirs ON notes FOR SELECT TO authenticated USING (true)")
        .await;
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains("? policy \"theirs\" on notes"));
    host.run(POLICIES, &["policy", "apply"]);
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains("? policy \"theirs\" on notes"), "it was kept");
    let replaced = host.ran(POLICIES, &["policy", "apply", "--replace-foreign"]);
    assert!(
        replaced.contains("- policy \"theirs\" on notes: not installed by Aurora\n1 change made"),
        "{replaced}"
    );
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains(same));
    // The file changes.
    let (more, _) = added("CREATE POLICY more ON notes FOR SELECT TO authenticated USING (title = 'x');");
    assert!(host.ran(&more, &["policy", "plan"]).contains("+ policy \"more\" on notes"));
    host.ran(&more, &["policy", "apply"]);
    assert!(host.ran(POLICIES, &["policy", "plan"]).contains("- policy \"more\" on notes"));
    // A file with a bug changes nothing.
    for bug in ERRORS {
        let (policies, line) = added(bug.policy);
        host.fails(&policies, &["policy", "apply"], &format!("policies.sql:{line}"));
    }
    assert!(host.ran(&more, &["policy", "plan"]).contains(same));
    let text = host.ran(POLICIES, &["policy", "check"]);
    assert!(text.contains("no error"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_for_an_administrator_holds_no_secret() {
    let host = Host::on_postgres().await;
    let sql = host.ran(POLICIES, &["setup", "--print-sql"]);
    assert!(sql.contains("CREATE SCHEMA auth") && sql.contains("aurora_store"), "{sql}");
    assert!(!sql.contains(postgres::OWNER_PASSWORD), "the owner's password is printed");
    // It ran nothing.
    let mut superuser = host.place.as_ref().unwrap().superuser().await;
    let schemas: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname IN ('auth', 'aurora')")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    assert_eq!(schemas, 0);
}

/// asvs(V8.2.1): the first administrator is made by hand, on either engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_made_and_given_by_hand() {
    for host in [Host::on_sqlite(), Host::on_postgres().await] {
        let who = if host.place.is_some() { "on PostgreSQL" } else { "on SQLite" };
        let wanted = ["roles", "create", "admin", "--rank", "100", "--permission", "roles.grant"];
        let made = host.ran(POLICIES, &[&wanted[..], &["--permission", "notes.delete"]].concat());
        assert_eq!(made, "admin  rank 100  notes.delete roles.grant\n");
        host.ran(POLICIES, &["roles", "create", "editor", "--rank", "10"]);
        let listed = "admin  rank 100  notes.delete roles.grant\neditor  rank 10\n";
        assert_eq!(host.ran(POLICIES, &["roles", "list"]), listed);
        host.fails(POLICIES, &["roles", "grant", "admin", "--email", "ann@example.com"], "user_not_found");

        let aurora = Aurora::builder()
            .profile(Profile::Development)
            .database(Database::url(&host.url).unwrap())
            .key_file(host.path("root.key"))
            .policies("policies.sql", POLICIES);
        let aurora = aurora.build().await.unwrap();
        let ann = TestClient::new(&aurora).sign_in("ann@example.com").await.unwrap();
        let given = host.ran(POLICIES, &["roles", "grant", "admin", "--email", "Ann@Example.com"]);
        assert_eq!(given, format!("{} now holds admin\n", ann.user()));
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        let token = ann.token().expose();
        let now = aurora.auth().sessions().admit(token).await.unwrap();
        assert!(now.has_role("admin") && now.has_permission("roles.grant"), "the service that runs sees it");
        let id = ann.user().to_string();
        let again = host.ran(POLICIES, &["roles", "grant", "admin", "--user", &id]);
        assert_eq!(again, format!("{id} held already admin\n"));
        let shown = host.ran(POLICIES, &["roles", "show", "admin"]);
        assert_eq!(shown, format!("admin  rank 100  notes.delete roles.grant\n  {id}\n"));
        let taken = host.ran(POLICIES, &["roles", "revoke", "admin", "--user", &id]);
        assert_eq!(taken, format!("{id} no longer holds admin\n"));
        host.ran(POLICIES, &["roles", "delete", "editor"]);
        host.fails(POLICIES, &["roles", "delete", "editor"], "not_found");
        host.fails(POLICIES, &["roles", "show", "editor"], "not_found");
        for (arguments, why) in [
            (&["roles", "create", "Admin", "--rank", "1"][..], "lower-case"),
            (&["roles", "create", "service_role", "--rank", "1"], "lower-case"),
            (&["roles", "create", "high", "--rank", "1001"], "1001"),
            (&["roles", "create", "low"], "--rank"),
            (&["roles", "create", "all", "--rank", "1", "--permission", "*"], "permission"),
            (&["roles", "grant", "admin"], "--email"),
            (&["roles", "grant", "ghost", "--user", &id], "not_found"),
        ] {
            host.fails(POLICIES, arguments, why);
        }
        aurora.close().await;
        println!("{who}: done");
    }
}

/// Aurora's routes and the host's, without a database.
#[test]
fn routes_are_listed_with_what_stands_before_them() {
    let host = Host::on_sqlite();
    let table = host.ran(POLICIES, &["routes"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["owner", "method", "path", "access", "factor", "body", "limit", "limit"]);
    let ours = aurora_core::http::Http::ROUTES.len();
    assert_eq!(lines.len(), 1 + ours + 2, "{table}");
    assert!(table.contains("sign_up 30/300s") && table.contains("mail_to 3/180s"), "{table}");
    assert!(!host.path("notes.db").exists(), "nothing was opened");
    let json: Vec<serde_json::Value> =
        serde_json::from_str(&host.ran(POLICIES, &["routes", "--json"])).unwrap();
    let of = |method: &str, path: &str| {
        let found = json.iter().find(|line| line["method"] == method && line["path"] == path);
        found.unwrap_or_else(|| panic!("{method} {path} is missing")).clone()
    };
    assert_eq!(of("GET", "/auth/v1/user")["access"], "user");
    assert_eq!(of("GET", "/auth/v1/admin/users")["access"], "service");
    assert_eq!(of("POST", "/auth/v1/signup")["access"], "public");
    // What a second factor is asked for, and nowhere else.
    let factor = |line: &serde_json::Value| line["factor"].as_str().map(str::to_owned);
    let asking: std::collections::BTreeMap<String, String> = json
        .iter()
        .filter(|line| line["owner"] == "aurora")
        .filter_map(|line| {
            let path = line["path"].as_str().unwrap().strip_prefix("/auth/v1").unwrap();
            Some((format!("{} {path}", line["method"].as_str().unwrap()), factor(line)?))
        })
        .collect();
    let wanted = [
        ("PUT /user", "aal2 if enrolled"),
        ("POST /factors", "aal2 if enrolled"),
        ("POST /factors/{id}/verify", "aal2 if enrolled"),
        ("DELETE /factors/{id}", "aal2 if enrolled"),
        ("POST /factors/recovery-codes", "aal2 within 600 s"),
        ("POST /factors/recovery-codes/regenerate", "aal2 within 600 s"),
        ("DELETE /factors/recovery-codes", "aal2"),
    ];
    assert_eq!(asking, wanted.map(|(route, factor)| (route.to_owned(), factor.to_owned())).into());
    assert!(table.contains("aal2 within 600 s"), "{table}");
    let notes = of("DELETE", "/notes/{id}");
    assert_eq!((&notes["owner"], &notes["access"]), (&"host".into(), &"user or service".into()));
    assert_eq!((&notes["factor"], &notes["body_limit"]), (&"aal2".into(), &2_097_152.into()));
    assert_eq!(of("GET", "/public/notes")["limit"], "60/min by the proxy");
    println!("{} routes", json.len());
}

/// Keys of applications and signing keys, made and ended from the command line, on both engines.
#[tokio::test]
async fn keys_are_made_listed_and_ended() {
    for host in [Host::on_sqlite(), Host::on_postgres().await] {
        host.run(POLICIES, &[]);
        assert_eq!(host.ran(POLICIES, &["api-keys", "list"]), "no key was made here\n");
        let made =
            host.ran(POLICIES, &["api-keys", "create", "--secret", "--name", "nightly", "--scope", "data"]);
        let (key, note) = made.split_once('\n').unwrap();
        assert!(key.starts_with("sb_secret_") && key.len() == "sb_secret_".len() + 31, "{key}");
        let id = note.strip_prefix("key ").and_then(|rest| rest.split(':').next()).unwrap();
        let everyone = host.ran(POLICIES, &["api-keys", "create", "--publishable", "--name", "web"]);
        assert!(everyone.starts_with("sb_publishable_"), "{everyone}");
        let listed = host.ran(POLICIES, &["api-keys", "list"]);
        assert_eq!(listed.lines().count(), 2, "{listed}");
        let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("nightly (data)") && line.contains("never used"), "{line}");
        assert!(!listed.contains(&key[..20]), "no key is shown again");
        host.ran(POLICIES, &["api-keys", "revoke", id]);
        assert!(host.ran(POLICIES, &["api-keys", "list"]).contains("REVOKED"));
        for (arguments, error) in [
            (vec!["api-keys", "create", "--secret", "--name", "x"], "a secret key needs a scope"),
            (vec!["api-keys", "create", "--publishable", "--name", "x", "--scope", "data"], "has no scopes"),
            (vec!["api-keys", "create", "--name", "x"], "required arguments"),
            (vec!["api-keys", "create", "--secret", "--publishable", "--name", "x"], "cannot be used with"),
            (vec!["api-keys", "create", "--secret", "--name", "x", "--scope", "all"], "invalid value"),
            (vec!["api-keys", "revoke", "x"], "key id must be a UUID"),
            (vec!["signing-keys", "retire", "x"], "There is no such signing key"),
        ] {
            host.fails(POLICIES, &arguments, error);
        }
        let first = host.ran(POLICIES, &["signing-keys", "list"]);
        let kid = first.split_whitespace().next().unwrap().to_owned();
        assert!(first.contains("ES256  active since"), "{first}");
        host.fails(POLICIES, &["signing-keys", "retire", &kid], "this key signs");
        let published = host.ran(POLICIES, &["signing-keys", "rotate"]);
        assert!(published.contains("is published, and signs after"), "{published}");
        assert_eq!(host.ran(POLICIES, &["signing-keys", "rotate"]), published, "one at a time");
        assert!(host.ran(POLICIES, &["signing-keys", "list"]).contains("pending since"));
        assert!(host.ran(POLICIES, &["signing-keys", "rotate", "--now"]).contains("signs from now on"));
        let rotated = host.ran(POLICIES, &["signing-keys", "list"]);
        let ends = |what: &str| rotated.lines().filter(|line| line.contains(what)).count();
        let counts = (ends("pending since"), ends("retired since"), ends("active since"));
        assert_eq!(counts, (0, 1, 1), "the one that waited never signs: {rotated}");
        host.ran(POLICIES, &["signing-keys", "retire", &kid]);
        let ended = host.ran(POLICIES, &["signing-keys", "list"]);
        assert!(
            ended.lines().any(|line| line.starts_with(&kid) && line.contains("retired since")),
            "{ended}"
        );
    }
}

/// Data keys and the root key, rotated and destroyed from the command line, on both engines.
#[tokio::test]
async fn data_keys_are_listed_rotated_and_destroyed() {
    for host in [Host::on_sqlite(), Host::on_postgres().await] {
        host.run(POLICIES, &[]);
        let listed = host.ran(POLICIES, &["keys", "list"]);
        assert_eq!(listed.lines().count(), 5, "{listed}");
        assert!(
            listed.lines().all(|line| line.contains("active") && line.contains("under root ")),
            "{listed}"
        );
        let status = host.ran(POLICIES, &["keys", "status"]);
        assert!(status.starts_with("no value is left under a former key\n"), "{status}");
        let root = listed.split_whitespace().last().unwrap().to_owned();
        assert!(status.contains(&format!("root key {root} wraps 5 data keys")), "{status}");

        let said = host.ran(POLICIES, &["keys", "rotate", "--purpose", "signing", "--now"]);
        assert_eq!(said, "key 16 seals from now on; 1 values were sealed again, 0 are left\n");
        let listed = host.ran(POLICIES, &["keys", "list"]);
        let line =
            |id: &str| listed.lines().find(|line| line.trim_start().starts_with(id)).unwrap().to_owned();
        assert!(line("1 ").contains("decrypt-only") && line("16 ").contains("active"), "{listed}");
        host.fails(POLICIES, &["keys", "destroy", "1"], "a process may still hold it");
        host.fails(POLICIES, &["keys", "destroy", "16"], "it is active");
        host.fails(POLICIES, &["keys", "destroy", "99"], "there is no key of that number");
        let waits = host.ran(POLICIES, &["keys", "rotate", "--purpose", "credential"]);
        assert!(waits.starts_with("key 17 takes over in a minute"), "{waits}");
        assert_eq!(
            host.ran(POLICIES, &["keys", "rotate", "--purpose", "credential"]),
            waits,
            "one at a time"
        );
        host.fails(POLICIES, &["keys", "rotate"], "required");
        host.fails(POLICIES, &["keys", "rotate", "--purpose", "files"], "invalid value");
        let nobody = ["keys", "rotate", "--purpose", "field", "--tenant", "acme"];
        host.fails(POLICIES, &nobody, "there is no key of that owner and purpose");

        let before = std::fs::read_to_string(host.path("root.key")).unwrap();
        let said = host.ran(POLICIES, &["keys", "rotate", "--root"]);
        assert!(said.contains("7 data keys were wrapped anew"), "{said}");
        let after = std::fs::read_to_string(host.path("root.key")).unwrap();
        assert!(
            after.ends_with(&before) && after.lines().count() == 2,
            "the former key stays below the new one"
        );
        let status = host.ran(POLICIES, &["keys", "status"]);
        assert!(!status.contains(&root) && status.contains("wraps 7 data keys"), "{status}");
        host.fails(POLICIES, &["keys", "destroy", &root], "say so (--no-backup-needs-it)");
        let now = status.split("root key ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let current = ["keys", "destroy", &now, "--no-backup-needs-it"];
        host.fails(POLICIES, &current, "is not one that was replaced");
        let forget = ["keys", "destroy", &root, "--no-backup-needs-it"];
        host.fails(POLICIES, &forget, "ask again in ten minutes");
        let file = std::fs::File::options().write(true).open(host.path("root.key")).unwrap();
        let before = file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_secs(3_600);
        file.set_modified(before).unwrap();
        host.ran(POLICIES, &forget);
        assert_eq!(std::fs::read_to_string(host.path("root.key")).unwrap().lines().count(), 1);
        assert_eq!(host.run(POLICIES, &[]).end, "serves", "the service starts with the new root alone");
        for text in [&listed, &status, &said] {
            assert!(
                !after.split([':', '\n']).any(|part| part.len() == 43 && text.contains(part)),
                "no key is shown"
            );
        }
    }
}

/// What only looks changes nothing: no file is made, no policy installed, no migration run.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_changes_nothing() {
    let empty = Host::on_sqlite();
    for arguments in [
        &["api-keys", "list"] as &[&str],
        &["keys", "list"],
        &["keys", "status"],
        &["signing-keys", "list"],
        &["roles", "list"],
        &["policy", "explain", "--table", "notes", "--row", "{}"],
    ] {
        empty.fails(POLICIES, arguments, "there is no database");
    }
    let left: Vec<_> =
        std::fs::read_dir(&empty.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["policies.sql"], "nothing was made");

    let host = Host::on_postgres().await;
    host.fails(POLICIES, &["roles", "list"], "");
    assert_eq!(host.run(POLICIES, &[]).end, "serves");
    let (loose, _) = added("CREATE POLICY \"all of them\" ON notes FOR SELECT USING (true);");
    host.fails(
        &loose,
        &["policy", "explain", "--table", "notes", "--row", "{}"],
        "does not have the policies",
    );
    let plan = host.run(&loose, &["policy", "plan"]);
    assert!(plan.text.contains("all of them"), "it is not installed: {}", plan.text);
    assert!(host.ran(POLICIES, &["roles", "list"]).is_empty());
    // A group without its command is no success of a script.
    host.fails(POLICIES, &["policy"], "which of these?");
    host.fails(POLICIES, &["keys"], "which of these?");
}
