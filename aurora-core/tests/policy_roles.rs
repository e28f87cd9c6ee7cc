//! `TO editor`: policies for roles that the service gives, on both engines and in process, row by row alike.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "common/postgres.rs"]
mod postgres;

use aurora_core::auth::{Granter, UserRole};
use aurora_core::config::Profile;
use aurora_core::policy::Policies;
use aurora_core::testing::{TestClient, TestUser};
use aurora_core::types::{Code, Principal};
use aurora_core::{Aurora, Database};
use postgres::Place;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

const TABLE: &str = "CREATE TABLE docs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL)";
const ROWS: &str =
    "INSERT INTO docs (id, kind, title) VALUES (1, 'open', 'a'), (2, 'draft', 'b'), (3, 'secret', 'c')";
const POLICIES: &str = "
    CREATE ROLE editor;
    CREATE ROLE intern;
    CREATE ROLE chief;
    ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
    CREATE POLICY anyone ON docs FOR SELECT USING (kind = 'open');
    CREATE POLICY staff ON docs FOR SELECT TO editor, chief USING (true -- all of them
    );
    CREATE POLICY edits ON docs FOR UPDATE TO editor USING (kind <> 'open') WITH CHECK (kind = 'draft');
    CREATE POLICY adds ON docs FOR INSERT TO \"chief\" WITH CHECK (kind <> 'secret');
    CREATE POLICY removes ON docs FOR DELETE TO authenticated
        USING ((auth.jwt() -> 'user_permissions') ? 'docs.delete');
    CREATE POLICY interns ON docs AS RESTRICTIVE FOR SELECT TO intern USING (kind <> 'secret');
";

async fn on_sqlite() -> Aurora {
    let folder = std::env::temp_dir().join(format!("aurora-policy-roles-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    connection.execute(TABLE).await.unwrap();
    connection.execute(ROWS).await.unwrap();
    connection.close().await.unwrap();
    let builder = Aurora::builder().profile(Profile::Development).policies("policies.sql", POLICIES);
    builder.database(Database::url(&url).unwrap()).build().await.unwrap()
}

async fn on_postgres() -> Aurora {
    let place = Place::new().await;
    let mut owner = PgConnection::connect(&place.owner_url()).await.unwrap();
    owner.execute(TABLE).await.unwrap();
    owner.execute(ROWS).await.unwrap();
    owner.close().await.unwrap();
    let folder = std::env::temp_dir().join(format!("aurora-policy-roles-pg-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let builder = Aurora::builder().profile(Profile::Development).policies("policies.sql", POLICIES);
    let builder = builder.key_file(folder.join("aurora.key"));
    builder.database(Database::url(&place.owner_url()).unwrap()).build().await.unwrap()
}

async fn holds(aurora: &Aurora, who: &str, roles: &[&str]) -> TestUser {
    let client = TestClient::new(aurora);
    let email = format!("{who}@example.com");
    let user = client.sign_in(&email).await.unwrap();
    for role in roles {
        let name = role.parse().unwrap();
        aurora.auth().grant_role(Granter::Service("test"), user.user(), &name).await.unwrap();
    }
    client.sign_in(&email).await.unwrap()
}

async fn sees(db: &aurora_core::guard::Guarded) -> String {
    let rows: Vec<(String,)> = db.query_as("SELECT title FROM docs ORDER BY id").fetch_all().await.unwrap();
    rows.into_iter().map(|(title,)| title).collect()
}

/// Everything that is asked, and what was answered.
async fn answers(aurora: &Aurora) -> Vec<String> {
    for (name, permissions) in [("editor", vec![]), ("intern", vec![]), ("chief", vec!["docs.delete"])] {
        let permissions = permissions.iter().map(|one: &&str| one.parse().unwrap()).collect();
        let role = UserRole { name: name.parse().unwrap(), rank: 10, permissions };
        aurora.auth().define_role(role, "test").await.unwrap();
    }
    let mut said = Vec::new();
    let nobody = aurora.guarded(Principal::anonymous());
    said.push(format!("nobody sees {}", sees(&nobody).await));
    for (who, roles) in [
        ("ann", &[][..]),
        ("ed", &["editor"]),
        ("cleo", &["chief"]),
        ("ian", &["intern"]),
        ("eve", &["editor", "intern"]),
    ] {
        let user = holds(aurora, who, roles).await;
        let db = user.guarded();
        said.push(format!("{who} sees {}", sees(db).await));
        let changed = db.query("UPDATE docs SET title = title WHERE kind = 'draft'").execute().await;
        said.push(format!(
            "{who} changes {:?}",
            changed.map(|done| done.rows_affected()).map_err(|e| e.code())
        ));
        let spoiled = db.query("UPDATE docs SET kind = 'open' WHERE kind = 'draft'").execute().await;
        said.push(format!(
            "{who} publishes {:?}",
            spoiled.map(|done| done.rows_affected()).map_err(|e| e.code())
        ));
        let added = db.query("INSERT INTO docs (id, kind, title) VALUES (9, 'open', 'x')").execute().await;
        said.push(format!("{who} adds {:?}", added.map(|done| done.rows_affected()).map_err(|e| e.code())));
        let gone = db.query("DELETE FROM docs WHERE id = 9").execute().await;
        said.push(format!("{who} removes {:?}", gone.map(|done| done.rows_affected()).map_err(|e| e.code())));
    }
    said
}

/// attack A01, asvs(V8.2.1, V8.2.2, V8.3.1)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_to_a_role_is_for_its_holders_on_either_engine() {
    let (sqlite, postgres) = (answers(&on_sqlite().await).await, answers(&on_postgres().await).await);
    assert_eq!(sqlite, postgres);
    let denied = format!("Err({:?})", Code::InsufficientPrivilege);
    let wanted = [
        "nobody sees a".to_owned(),
        "ann sees a".to_owned(),
        "ann changes Ok(0)".to_owned(),
        "ann publishes Ok(0)".to_owned(),
        format!("ann adds {denied}"),
        "ann removes Ok(0)".to_owned(),
        "ed sees abc".to_owned(),
        "ed changes Ok(1)".to_owned(),
        format!("ed publishes {denied}"),
        format!("ed adds {denied}"),
        "ed removes Ok(0)".to_owned(),
        "cleo sees abc".to_owned(),
        "cleo changes Ok(0)".to_owned(),
        "cleo publishes Ok(0)".to_owned(),
        "cleo adds Ok(1)".to_owned(),
        "cleo removes Ok(1)".to_owned(),
        "ian sees a".to_owned(),
        "ian changes Ok(0)".to_owned(),
        "ian publishes Ok(0)".to_owned(),
        format!("ian adds {denied}"),
        "ian removes Ok(0)".to_owned(),
        "eve sees ab".to_owned(),
        "eve changes Ok(1)".to_owned(),
        format!("eve publishes {denied}"),
        format!("eve adds {denied}"),
        "eve removes Ok(0)".to_owned(),
    ];
    assert_eq!(sqlite, wanted);
    println!("{} answers, the same on SQLite and PostgreSQL", wanted.len());
}

/// What is no role of the service's is refused where it is read, with the way out.
#[test]
fn what_is_not_declared_is_refused() {
    let table = "ALTER TABLE docs ENABLE ROW LEVEL SECURITY;\n";
    for (text, construct, help) in [
        ("CREATE POLICY p ON docs TO editor USING (true);", "role `editor`", "CREATE ROLE editor;"),
        (
            "CREATE POLICY p ON docs TO editor USING (true); CREATE ROLE editor;",
            "role `editor`",
            "CREATE ROLE editor;",
        ),
        ("CREATE ROLE service_role;", "role `service_role`", "CREATE ROLE name"),
        ("CREATE ROLE Admin;", "role `Admin`", "lower-case"),
        ("CREATE ROLE editor SUPERUSER;", "role `editor`", "nothing behind it"),
        (
            "CREATE ROLE editor; CREATE POLICY p ON docs TO editor, anon USING (true);",
            "role `editor` beside a role of the database",
            "two policies",
        ),
        (
            "CREATE ROLE editor; CREATE POLICY p ON docs TO editor, public USING (true);",
            "role `editor` beside a role of the database",
            "two policies",
        ),
        (
            "CREATE ROLE editor; CREATE POLICY p ON docs TO editor;",
            "a policy TO editor without USING or WITH CHECK",
            "USING (true)",
        ),
        ("CREATE ROLE editor; GRANT SELECT ON docs TO editor;", "role `editor`", "authenticated"),
    ] {
        let errors = Policies::parse(&format!("{table}{text}"), "policies.sql").unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!(error.construct(), construct, "{text}");
        assert!(error.help().contains(help), "{text}: {}", error.help());
        assert_eq!(error.line(), 2);
    }
}
