//! Roles: who gives them to whom, and how soon it counts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use aurora_core::auth::{Granter, UserRole};
use aurora_core::session::Client;
use aurora_core::types::{Code, Error, Principal, RequestId, RoleName, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Fixture, Options, PASSWORD};
use serde_json::{Value, json};

const SERVICE: Granter<'static> = Granter::Service("test");

fn name(text: &str) -> RoleName {
    text.parse().unwrap()
}

fn role(text: &str, rank: u16, permissions: &[&str]) -> UserRole {
    let permissions = permissions.iter().map(|permission| permission.parse().unwrap()).collect();
    UserRole { name: name(text), rank, permissions }
}

fn client() -> Client {
    Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestId::from_bytes([9; 16]))
}

/// What a token itself says.
fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// Somebody who is signed in.
struct Person {
    id: UserId,
    token: String,
    refresh: String,
}

async fn person(fixture: &Fixture, who: &str, roles: &[&str]) -> Person {
    let reply = fixture.sign_up(&format!("{who}@example.com")).await;
    let id = reply.user_id().parse().unwrap();
    for role in roles {
        assert!(fixture.auth.grant_role(SERVICE, id, &name(role)).await.unwrap());
    }
    Person { id, token: reply.access(), refresh: reply.refresh() }
}

async fn principal(fixture: &Fixture, person: &Person) -> Principal {
    fixture.auth.sessions().admit(&person.token).await.unwrap()
}

async fn define(fixture: &Fixture, role: UserRole) {
    fixture.auth.define_role(role, "test").await.unwrap();
}

/// asvs(V8.2.1, V8.3.1, V16.3.2): a role is in the claims of tokens that were there before it, in every new one, and
/// nowhere once it is taken; each change names its actor.
#[tokio::test]
async fn a_role_counts_from_the_next_request_on() {
    let fixture = Fixture::new().await;
    define(&fixture, role("editor", 50, &["notes.edit", "notes.delete"])).await;
    let ann = person(&fixture, "ann", &[]).await;
    let before = principal(&fixture, &ann).await;
    assert!(!before.has_role("editor") && !before.has_permission("notes.delete"));
    assert_eq!(before.require_permission("notes.delete").unwrap_err().status(), 403);
    assert!(claims(&ann.token).get("user_roles").is_none(), "a token without a role says nothing of roles");

    assert!(fixture.auth.grant_role(SERVICE, ann.id, &name("editor")).await.unwrap());
    assert!(!fixture.auth.grant_role(SERVICE, ann.id, &name("editor")).await.unwrap(), "held already");
    let after = principal(&fixture, &ann).await;
    assert!(after.has_role("editor") && after.has_permission("notes.delete"));
    assert!(!after.has_role("edito") && !after.has_permission("notes") && !after.has_permission("notes.*"));
    after.require_permission("notes.edit").unwrap();
    let seen: Value = serde_json::from_str(after.claims()).unwrap();
    assert_eq!(seen["user_roles"], json!(["editor"]));
    assert_eq!(seen["user_permissions"], json!(["notes.delete", "notes.edit"]));
    assert_eq!(
        (seen["role"].as_str(), seen["sub"].as_str()),
        (Some("authenticated"), Some(&*ann.id.to_string()))
    );

    let next = fixture.refresh(&ann.refresh).await.access();
    assert_eq!(claims(&next)["user_roles"], json!(["editor"]));
    assert!(claims(&next).get("user_permissions").is_none(), "what it gives is not the token's to say");
    let again = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    assert_eq!(claims(&again)["user_roles"], json!(["editor"]));

    // Another rank and other permissions: at once, for every token.
    define(&fixture, role("editor", 50, &["notes.edit"])).await;
    for token in [&ann.token, &next, &again] {
        let now = fixture.auth.sessions().admit(token).await.unwrap();
        assert!(now.has_permission("notes.edit") && !now.has_permission("notes.delete"));
    }
    assert!(fixture.auth.revoke_role(SERVICE, ann.id, &name("editor")).await.unwrap());
    assert!(!fixture.auth.revoke_role(SERVICE, ann.id, &name("editor")).await.unwrap());
    for token in [&ann.token, &next, &again] {
        let now = fixture.auth.sessions().admit(token).await.unwrap();
        assert!(!now.has_role("editor") && !now.has_permission("notes.edit") && now.roles().is_empty());
    }
    let rows = fixture.audit().await;
    let of = |action: &str| rows.iter().filter(|row| row.action == action).cloned().collect::<Vec<_>>();
    assert_eq!(
        [of("role_defined").len(), of("role_granted").len(), of("role_revoked").len()],
        [2, 1, 1],
        "what changed nothing is no event"
    );
    let granted = &of("role_granted")[0];
    assert_eq!((granted.actor.as_str(), granted.kind.as_str()), ("service", "security"));
    assert_eq!(granted.target.as_deref(), Some(&*ann.id.to_string()));
    assert_eq!((&granted.payload["role"], &granted.payload["reason"]), (&json!("editor"), &json!("test")));
    println!("granted, narrowed, revoked: seen by 3 tokens each time");
}

/// attack A07, asvs(V8.2.1, V8.3.1): nobody gives what stands above them, what they may not do themselves, or to
/// somebody above them; and nobody takes it either.
#[tokio::test]
async fn nobody_grants_above_themselves() {
    let fixture = Fixture::new().await;
    define(&fixture, role("admin", 100, &["roles.grant", "notes.edit", "notes.delete"])).await;
    define(&fixture, role("lead", 50, &["roles.grant", "notes.edit"])).await;
    define(&fixture, role("editor", 10, &["notes.edit"])).await;
    define(&fixture, role("deleter", 10, &["notes.delete"])).await;
    define(&fixture, role("boss", 60, &[])).await;
    let root = person(&fixture, "root", &["admin", "editor"]).await;
    let lead = person(&fixture, "lead", &["lead"]).await;
    let ann = person(&fixture, "ann", &["editor"]).await;
    let bob = person(&fixture, "bob", &[]).await;
    let from = client();
    let before = fixture.audit().await.len();

    let refused = [
        ("no permission to grant", &ann, &bob, "editor", "may not grant"),
        ("nothing at all", &bob, &bob, "editor", "may not grant"),
        ("self-grant above", &lead, &lead, "admin", "a role above one's own"),
        ("above, to another", &lead, &bob, "admin", "a role above one's own"),
        ("above, though it may nothing", &lead, &lead, "boss", "a role above one's own"),
        ("low, but may more", &lead, &lead, "deleter", "a permission that one does not have"),
        ("to somebody above", &lead, &root, "lead", "a user who stands above"),
        ("a role that is not there", &ann, &bob, "ghost", "may not grant"),
    ];
    for (why, granter, whom, what, reason) in refused {
        let principal = principal(&fixture, granter).await;
        let by = Granter::User { principal: &principal, client: &from };
        for outcome in [
            fixture.auth.grant_role(by, whom.id, &name(what)).await,
            fixture.auth.revoke_role(by, whom.id, &name(what)).await,
        ] {
            let error = outcome.unwrap_err();
            assert_eq!((error.code(), error.status().as_u16()), (Code::InsufficientPrivilege, 403), "{why}");
            assert_eq!(error.message(), "permission denied", "{why}: it does not say which of the reasons");
            let row = fixture.audit().await.pop().unwrap();
            assert_eq!((row.action.as_str(), row.actor), ("role_change_failed", granter.id.to_string()));
            assert_eq!(row.payload["reason"], reason, "{why}");
        }
    }
    let denials = fixture.audit().await.len() - before;
    assert_eq!(denials, 2 * refused.len());

    // A lead takes nothing from whom they stand below.
    let principal_of_lead = principal(&fixture, &lead).await;
    let by_lead = Granter::User { principal: &principal_of_lead, client: &from };
    let error = fixture.auth.revoke_role(by_lead, root.id, &name("editor")).await.unwrap_err();
    assert_eq!(error.code(), Code::InsufficientPrivilege);
    // Claims of one's own making count for nothing: the database is asked.
    let wish = r#"{"user_roles":["admin"],"user_permissions":["roles.grant","notes.delete"]}"#;
    let forged = Principal::user(bob.id).with_claims(wish).unwrap();
    let by = Granter::User { principal: &forged, client: &from };
    assert!(fixture.auth.grant_role(by, bob.id, &name("admin")).await.is_err());
    let nobody = Principal::anonymous();
    let by = Granter::User { principal: &nobody, client: &from };
    let error = fixture.auth.grant_role(by, bob.id, &name("editor")).await.unwrap_err();
    assert_eq!(error.code(), Code::NoAuthorization);
    for (who, roles) in [(&root, 2), (&lead, 1), (&ann, 1), (&bob, 0)] {
        assert_eq!(fixture.auth.roles_of(who.id).await.unwrap().len(), roles, "nothing changed");
    }

    // What they may.
    assert!(fixture.auth.grant_role(by_lead, bob.id, &name("editor")).await.unwrap());
    assert!(fixture.auth.grant_role(by_lead, ann.id, &name("lead")).await.unwrap(), "up to their own");
    assert!(fixture.auth.revoke_role(by_lead, bob.id, &name("editor")).await.unwrap());
    let row = fixture.audit().await.pop().unwrap();
    assert_eq!((row.action.as_str(), row.actor), ("role_revoked", lead.id.to_string()));
    assert_eq!(row.payload["address"], "127.0.0.1");
    for (whom, what, code) in
        [(bob.id, "ghost", Code::NotFound), (UserId::from_bytes([7; 16]), "editor", Code::UserNotFound)]
    {
        assert_eq!(fixture.auth.grant_role(by_lead, whom, &name(what)).await.unwrap_err().code(), code);
    }
    println!("{denials} grants and revocations refused, each with its reason in the log alone");
}

/// attack A10, asvs(V15.4.2): a role that is taken while its holder gives one: either they were first, or they are
/// refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_role_that_is_taken_meanwhile_gives_nothing() {
    let fixture = Fixture::new().await;
    define(&fixture, role("lead", 50, &["roles.grant"])).await;
    define(&fixture, role("helper", 10, &[])).await;
    let lead = person(&fixture, "lead", &[]).await;
    let bob = person(&fixture, "bob", &[]).await;
    let (mut given, mut refused) = (0, 0);
    for _ in 0..30 {
        fixture.auth.grant_role(SERVICE, lead.id, &name("lead")).await.unwrap();
        fixture.auth.revoke_role(SERVICE, bob.id, &name("helper")).await.unwrap();
        let by = principal(&fixture, &lead).await;
        let (one, two) = (fixture.clone(), fixture.clone());
        let (bob, lead) = (bob.id, lead.id);
        let grant = tokio::spawn(async move {
            let from = client();
            let by = Granter::User { principal: &by, client: &from };
            one.auth.grant_role(by, bob, &name("helper")).await
        });
        let revoke = tokio::spawn(async move { two.auth.revoke_role(SERVICE, lead, &name("lead")).await });
        let (granted, revoked) = (grant.await.unwrap(), revoke.await.unwrap());
        assert!(revoked.unwrap());
        // Changes are numbered in the order of their commits: the newest first.
        let changes = "SELECT user_id FROM aurora_role_changes WHERE user_id IS NOT NULL \
            ORDER BY sequence DESC LIMIT 2";
        let changes = fixture.database.rows(changes).await;
        assert_eq!(changes[0][0], Some(lead.to_string()), "the revocation is the last word");
        match granted {
            Ok(true) => {
                given += 1;
                assert_eq!(changes[1][0], Some(bob.to_string()), "given before it");
                assert_eq!(fixture.auth.roles_of(bob).await.unwrap(), [name("helper")]);
            }
            Err(error) if error.code() == Code::InsufficientPrivilege => {
                refused += 1;
                assert!(fixture.auth.roles_of(bob).await.unwrap().is_empty());
            }
            other => panic!("{other:?}"),
        }
        assert!(fixture.auth.roles_of(lead).await.unwrap().is_empty());
    }
    println!("{given} were first, {refused} were refused");
}

async fn two() -> (Fixture, Fixture) {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    (first, Fixture::with(Options { path, start_key, ..Options::default() }).await)
}

/// attack J18, asvs(V8.3.2): what changes roles in one process is seen by another within a second, for tokens that it
/// has seen before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_elsewhere_within_a_second() {
    let (here, there) = two().await;
    define(&here, role("editor", 10, &["notes.edit"])).await;
    let ann = person(&here, "ann", &[]).await;
    type Holds = fn(&Principal) -> bool;
    let changes: [(&str, Holds); 7] = [
        ("grant", |it| it.has_role("editor") && it.has_permission("notes.edit")),
        ("another permission", |it| it.has_permission("notes.delete") && !it.has_permission("notes.edit")),
        ("revoke", |it| !it.has_role("editor") && !it.has_permission("notes.delete")),
        ("grant again", |it| it.has_role("editor")),
        ("a statement of the host's", |it| !it.has_role("editor")),
        ("and once more", |it| it.has_role("editor")),
        ("deletion of the role", |it| !it.has_role("editor") && it.claims().find("user_roles").is_none()),
    ];
    for (how, holds) in changes {
        let seen = there.auth.sessions().admit(&ann.token).await.unwrap();
        assert!(!holds(&seen), "{how}: there before the change");
        match how {
            "grant" | "grant again" | "and once more" => {
                here.auth.grant_role(SERVICE, ann.id, &name("editor")).await.unwrap();
            }
            "another permission" => define(&here, role("editor", 10, &["notes.delete"])).await,
            "revoke" => assert!(here.auth.revoke_role(SERVICE, ann.id, &name("editor")).await.unwrap()),
            "deletion of the role" => here.auth.delete_role(&name("editor"), "test").await.unwrap(),
            _ => here.execute("DELETE FROM aurora_user_roles").await,
        }
        let started = Instant::now();
        if how != "a statement of the host's" {
            assert!(holds(&principal(&here, &ann).await), "{how}: at once where it was made");
        }
        while !holds(&there.auth.sessions().admit(&ann.token).await.unwrap()) {
            assert!(started.elapsed() < Duration::from_secs(5), "{how}: never seen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{how}: seen after {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(1), "{how}");
    }
}

/// attack J18: a process that starts later believes no token about a role that was taken before.
#[tokio::test]
async fn a_restart_revives_no_role() {
    let options = Options::default();
    let (path, start_key) = (options.path.clone(), options.start_key.clone());
    let first = Fixture::with(options).await;
    define(&first, role("editor", 10, &["notes.edit"])).await;
    let ann = person(&first, "ann", &["editor"]).await;
    let token = first.refresh(&ann.refresh).await.access();
    assert_eq!(claims(&token)["user_roles"], json!(["editor"]));
    first.auth.revoke_role(SERVICE, ann.id, &name("editor")).await.unwrap();
    first.database.close().await;
    let second = Fixture::with(Options { path, start_key, ..Options::default() }).await;
    let now = second.auth.sessions().admit(&token).await.unwrap();
    assert!(!now.has_role("editor") && !now.has_permission("notes.edit"));
    assert!(!now.claims().contains("editor"));
}

/// What is noted of changes is forgotten when no token from before can be alive, and the roles stay.
#[tokio::test]
async fn old_changes_are_forgotten() {
    let fixture = Fixture::new().await;
    define(&fixture, role("editor", 10, &["notes.edit"])).await;
    let ann = person(&fixture, "ann", &["editor"]).await;
    let noted = "SELECT count(*) FROM aurora_role_changes";
    assert!(fixture.count(noted).await > 0);
    for _ in 0..2 {
        fixture.advance(86_400);
        assert_eq!(fixture.sign_in("ann@example.com", PASSWORD).await.status, 200);
    }
    assert_eq!(fixture.count(noted).await, 0);
    let token = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    let now = fixture.auth.sessions().admit(&token).await.unwrap();
    assert!(now.has_role("editor") && now.has_permission("notes.edit"));
    assert_eq!(fixture.auth.holders_of(&name("editor"), None).await.unwrap(), [ann.id]);
}

/// A token has room for what is granted, or it is not granted: no sign-in fails of it.
#[tokio::test]
async fn a_token_has_room_for_what_is_granted() {
    let fixture = Fixture::new().await;
    let ann = person(&fixture, "ann", &[]).await;
    let roles: Vec<String> = (0..17).map(|number| format!("{}_{number:02}", "r".repeat(29))).collect();
    for role_name in &roles {
        define(&fixture, role(role_name, 0, &[])).await;
    }
    for role_name in &roles[..16] {
        assert!(fixture.auth.grant_role(SERVICE, ann.id, &name(role_name)).await.unwrap());
    }
    let error = fixture.auth.grant_role(SERVICE, ann.id, &name(&roles[16])).await.unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed);
    assert_eq!(fixture.auth.roles_of(ann.id).await.unwrap().len(), 16);
    let token = fixture.sign_in("ann@example.com", PASSWORD).await.access();
    assert_eq!(claims(&token)["user_roles"].as_array().unwrap().len(), 16);
    println!("16 of the longest names in a token of {} bytes", token.len());
    let wide = (0..65).map(|number| format!("p{number}")).collect::<Vec<_>>();
    let wide = role("wide", 0, &wide.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(fixture.auth.define_role(wide, "x").await.unwrap_err().code(), Code::ValidationFailed);
    let high = fixture.auth.define_role(role("high", 1001, &[]), "x").await;
    assert_eq!(high.unwrap_err().code(), Code::ValidationFailed);
}

/// attack U06, asvs(V16.5.3): no record, no role.
#[tokio::test]
async fn without_its_record_nothing_changes() {
    let fixture = Fixture::new().await;
    define(&fixture, role("editor", 10, &["notes.edit"])).await;
    let ann = person(&fixture, "ann", &[]).await;
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    let failed: Vec<Error> = vec![
        fixture.auth.grant_role(SERVICE, ann.id, &name("editor")).await.unwrap_err(),
        fixture.auth.define_role(role("editor", 10, &["all"]), "x").await.unwrap_err(),
        fixture.auth.delete_role(&name("editor"), "x").await.unwrap_err(),
    ];
    assert!(failed.iter().all(|error| error.code() == Code::UnexpectedFailure), "{failed:?}");
    fixture.execute("ALTER TABLE gone RENAME TO aurora_audit").await;
    assert!(fixture.auth.roles_of(ann.id).await.unwrap().is_empty());
    assert_eq!(fixture.auth.roles().await.unwrap(), [role("editor", 10, &["notes.edit"])]);
    assert!(!principal(&fixture, &ann).await.has_role("editor"));
}

/// asvs(V8.3.2): when the database does not say which roles somebody holds, nobody goes in on an old token.
#[tokio::test]
async fn roles_that_cannot_be_read_are_not_guessed() {
    let fixture = Fixture::new().await;
    define(&fixture, role("editor", 10, &["notes.edit"])).await;
    let ann = person(&fixture, "ann", &["editor"]).await;
    fixture.execute("ALTER TABLE aurora_user_roles RENAME TO gone").await;
    let refused = fixture.auth.sessions().admit(&ann.token).await.unwrap_err();
    assert_eq!((refused.code(), refused.status().as_u16()), (Code::OverCapacity, 503));
}

/// Roles go with their user, however they go.
#[tokio::test]
async fn roles_go_with_their_user() {
    let fixture = Fixture::new().await;
    define(&fixture, role("editor", 10, &[])).await;
    let ann = person(&fixture, "ann", &["editor"]).await;
    let bob = person(&fixture, "bob", &["editor"]).await;
    fixture.auth.delete_user(ann.id).await.unwrap();
    fixture.auth.retire_user(bob.id).await.unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM aurora_user_roles").await, 0);
    let error = fixture.auth.grant_role(SERVICE, bob.id, &name("editor")).await.unwrap_err();
    assert_eq!(error.code(), Code::UserNotFound);
}

/// attack P18, asvs(V15.3.3): nobody registers or changes their way into a role.
#[tokio::test]
async fn no_body_gives_a_role() {
    let fixture = Fixture::new().await;
    define(&fixture, role("admin", 100, &["roles.grant"])).await;
    let wish = json!({
        "email": "eve@example.com", "password": PASSWORD, "user_roles": ["admin"], "roles": ["admin"],
        "app_metadata": { "user_roles": ["admin"] },
        "data": { "user_roles": ["admin"], "user_permissions": ["roles.grant"] },
    });
    let eve = fixture.call("POST", "/signup", None, wish.clone()).await;
    assert_eq!(eve.status, 200, "{}", eve.text);
    let change = json!({ "user_roles": ["admin"], "data": { "user_roles": ["admin"] } });
    assert_eq!(fixture.call("PUT", "/user", Some(&eve.access()), change).await.status, 200);
    let mut body = wish;
    body["refresh_token"] = json!(eve.refresh());
    let next = fixture.call("POST", "/token?grant_type=refresh_token", None, body).await;
    for token in [eve.access(), next.access()] {
        assert!(claims(&token).get("user_roles").is_none());
        let eve = fixture.auth.sessions().admit(&token).await.unwrap();
        assert!(!eve.has_role("admin") && !eve.has_permission("roles.grant"));
    }
}
