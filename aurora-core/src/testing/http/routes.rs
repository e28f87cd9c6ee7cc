//! The host's routes behind the door.

use serde_json::{Value, json};

use super::wire::Ask;
use super::{Run, expect};
use crate::auth::{Granter, UserRole};
use crate::testing::TestClient;
use crate::types::{Error, Result, RoleName};

/// Ways to write a private path that may reach nothing without a token.
const SPELLINGS: [&str; 14] = [
    "//notes",
    "/notes/",
    "/./notes",
    "/x/../notes",
    "/%6eotes",
    "/notes%2f",
    "/notes%00",
    "/notes;x",
    "/NOTES",
    "/notes?x=/open",
    "/open/../notes",
    "/open//notes",
    "/nowhere",
    "/notes/7/8",
];

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    locked(run).await?;
    open(run).await?;
    used(run).await?;
    owned(run).await?;
    held(run).await?;
    failing(run).await
}

async fn locked(run: &mut Run<'_>) -> Result<()> {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"] {
        let name = format!("{method} without a token");
        run.ask(&name, Ask::new(method, "/notes").dated(), 401).await?;
    }
    for path in ["/me", "/broken", "/panic", "/missing"].into_iter().chain(SPELLINGS) {
        let answer = run.ask(path, Ask::get(path).dated(), 401).await?;
        expect("a refusal holds no row", !String::from_utf8_lossy(&answer.body).contains("hidden"))?;
    }
    run.refused("garbage", Ask::get("/notes").bearer("garbage").dated(), 401, "bad_jwt").await?;
    run.refused("basic", Ask::get("/notes").with("authorization", "Basic YTpi"), 401, "no_authorization")
        .await?;
    let twice = Ask::get("/notes").bearer("a").bearer("b").dated();
    run.refused("two tokens", twice, 400, "validation_failed").await?;
    Ok(())
}

async fn open(run: &mut Run<'_>) -> Result<()> {
    let open = run.ask("an open route", Ask::get("/open"), 200).await?;
    expect("it answers", open.body == b"open")?;
    expect("it names its request", open.header("x-request-id").is_some())?;
    run.ask(
        "an open route, from an allowed page",
        Ask::get("/open").with("origin", "https://spa.example.com"),
        200,
    )
    .await?;
    let public = run.ask("rows for anyone", Ask::get("/public"), 200).await?;
    expect("the public note", titles(&public.json()?) == ["public"])?;
    run.refused("a wrong token is no nobody", Ask::get("/public").bearer("x").dated(), 401, "bad_jwt")
        .await?;
    Ok(())
}

async fn used(run: &mut Run<'_>) -> Result<()> {
    let client = TestClient::new(&run.served.aurora);
    let (ann, bob) =
        (client.sign_in("ann.notes@example.com").await?, client.sign_in("bob.notes@example.com").await?);
    let (ann, bob) = (ann.token().expose().to_owned(), bob.token().expose().to_owned());
    run.ask("who am I", Ask::get("/me").bearer(&ann), 200).await?;
    let new = Ask::post("/notes", &json!({"title": "Ann's"})).bearer(&ann);
    run.ask("a new note", new, 201).await?;
    let anns = run.ask("Ann's notes", Ask::get("/notes").bearer(&ann), 200).await?;
    expect("Ann sees hers", titles(&anns.json()?) == ["public", "Ann's"])?;
    let bobs = run.ask("Bob's notes", Ask::get("/notes").bearer(&bob), 200).await?;
    expect("Bob sees none of it", titles(&bobs.json()?) == ["public"])?;
    let public = run.ask("rows for Ann", Ask::get("/public").bearer(&ann), 200).await?;
    expect("a public route knows her", titles(&public.json()?) == ["public", "Ann's"])?;
    let ask = |body: &Value| Ask::post("/notes", body).bearer(&ann).dated();
    for (name, body) in [
        ("an empty title", json!({"title": ""})),
        ("a long title", json!({"title": "x".repeat(81)})),
        ("no title", json!({})),
        // Read whole: over what either framework takes by itself for a small body.
        ("400 kB of a title", json!({"title": "x".repeat(400_000)})),
        ("a title that is none", json!({"title": 7})),
    ] {
        let refused = run.refused(name, ask(&body), 400, "validation_failed").await?;
        expect("the field is named", refused.member("/message")?.contains("title"))?;
    }
    let text = Ask::new("POST", "/notes").bearer(&ann).with("content-type", "text/plain").text("{}");
    run.refused("no JSON", text.dated(), 415, "unsupported_media_type").await?;
    run.refused("half a body", ask(&Value::Null).text("{"), 400, "bad_json").await?;
    run.ask("a path that is not there", Ask::get("/nowhere").bearer(&ann), 404).await?;
    Ok(())
}

/// Somebody else's row and none at all: one answer, to the letter.
async fn owned(run: &mut Run<'_>) -> Result<()> {
    let client = TestClient::new(&run.served.aurora);
    let ann = client.sign_in("ann.owns@example.com").await?.token().expose().to_owned();
    let bob = client.sign_in("bob.owns@example.com").await?.token().expose().to_owned();
    let new = Ask::post("/notes", &json!({"title": "Ann's own"})).bearer(&ann);
    let note = run.ask("a note of Ann's", new, 201).await?.json()?;
    let path = format!("/notes/{}", note.get("id").map(Value::to_string).unwrap_or_default());
    let read = run.ask("Ann reads it", Ask::get(&path).bearer(&ann), 200).await?;
    expect("it is hers", read.member("/title")? == "Ann's own")?;
    run.refused("a stranger does not", Ask::get(&path).dated(), 401, "no_authorization").await?;
    let missing = Ask::get("/notes/999999999").bearer(&bob).dated();
    let missing = run.refused("a note that is not there", missing, 404, "not_found").await?;
    let theirs =
        run.refused("a note of Ann's, to Bob", Ask::get(&path).bearer(&bob).dated(), 404, "not_found");
    let theirs = theirs.await?;
    expect("nobody can tell which", theirs.body == missing.body)?;
    let id = note.get("id").map(Value::to_string).unwrap_or_default();
    for same in [format!("%2B{id}"), id.bytes().map(|digit| format!("%{digit:02X}")).collect()] {
        let ask = Ask::get(&format!("/notes/{same}")).bearer(&ann);
        let read = run.ask(&format!("the same id, written {same}"), ask, 200).await?;
        expect("it is the same note", read.member("/title")? == "Ann's own")?;
    }
    for shape in ["x", "1.0", "-", "%20", "99999999999999999999", "1%00", "0x1", "%ff"] {
        let ask = Ask::get(&format!("/notes/{shape}")).bearer(&bob).dated();
        let none = run.refused(&format!("no id: {shape}"), ask, 404, "not_found").await?;
        expect("which is told alike", none.body == missing.body)?;
    }
    Ok(())
}

/// A role reaches the rows of a policy that names it, at once, and is gone at once.
async fn held(run: &mut Run<'_>) -> Result<()> {
    let aurora = &{ run.served }.aurora;
    let eve = TestClient::new(aurora).sign_in("eve.edits@example.com").await?;
    let (id, eve) = (eve.user(), eve.token().expose().to_owned());
    let name: RoleName = "editor".parse()?;
    let role = UserRole { name: name.clone(), rank: 10, permissions: vec!["notes.see_all".parse()?] };
    let service = Granter::Service("conformance");
    aurora.auth().define_role(role, "conformance").await?;
    let auth = aurora.auth().clone();
    let sees = async |run: &mut Run<'_>, name: &str| {
        let seen = run.ask(name, Ask::get("/notes").bearer(&eve), 200).await?.json()?;
        Ok::<bool, Error>(titles(&seen).contains(&"hidden"))
    };
    expect("nobody sees what is hidden", !sees(run, "before the role").await?)?;
    auth.grant_role(service, id, &name).await?;
    expect("an editor sees it", sees(run, "with the role").await?)?;
    auth.revoke_role(service, id, &name).await?;
    expect("no longer", !sees(run, "after the role").await?)
}

async fn failing(run: &mut Run<'_>) -> Result<()> {
    let ann = TestClient::new(&run.served.aurora).sign_in("ann.notes@example.com").await?;
    let ann = ann.token().expose().to_owned();
    let missing =
        run.refused("an error of the host's", Ask::get("/missing").bearer(&ann).dated(), 404, "not_found");
    expect("with its sentence", missing.await?.member("/message")? == "No such thing")?;
    run.refused("the older shape", Ask::get("/missing").bearer(&ann), 404, "not_found").await?;
    for path in ["/broken", "/panic"] {
        let ask = Ask::get(path).bearer(&ann).dated().with("origin", "https://spa.example.com");
        let broken = run.refused(path, ask, 500, "unexpected_failure").await?;
        let (told, named) = (broken.member("/error_id")?, broken.header("x-request-id"));
        expect("a failure names its request", named == Some(&told))?;
        expect("its message holds no cause", !broken.member("/message")?.contains("cause"))?;
    }
    run.ask("the next one is served", Ask::get("/notes").bearer(&ann), 200).await?;
    Ok(())
}

fn titles(notes: &Value) -> Vec<&str> {
    notes.as_array().into_iter().flatten().filter_map(|note| note.get("title")?.as_str()).collect()
}
