//! Sign-in by mail, from the request to the session, with a service that confirms nobody by itself.

use serde_json::{Value, json};

use super::letters::{CHALLENGE, VERIFIER, back_to, parameter};
use super::wire::Ask;
use super::{Run, SPA, expect};
use crate::types::{Error, Result};

pub(super) const PASSWORD: &str = "correct horse battery";
const SIGN_IN: &str = "/auth/v1/token?grant_type=password";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    confirmed_by_code(run).await?;
    confirmed_by_link(run).await?;
    confirmed_elsewhere(run).await?;
    let ann = "ann@example.com";
    let token = confirmed(run, ann).await?;
    signed_in_by_link(run, ann).await?;
    recovered_with_verifier(run, ann).await?;
    recovered(run, ann, &token).await?;
    moved(run).await?;
    asked_again(run).await?;
    anonymous(run).await?;
    ended(run).await
}

fn verify(body: &Value) -> Ask {
    Ask::post("/auth/v1/verify", body).dated()
}

fn by_code(kind: &str, email: &str, code: &str) -> Ask {
    verify(&json!({"type": kind, "email": email, "token": code}))
}

pub(super) fn by_link(kind: &str, token: &str) -> Ask {
    verify(&json!({"type": kind, "token_hash": token}))
}

/// A registered user whose address is confirmed: their access token.
pub(super) async fn confirmed(run: &mut Run<'_>, email: &str) -> Result<String> {
    let wish = json!({"email": email, "password": PASSWORD});
    run.ask("a registration", Ask::post("/auth/v1/signup", &wish), 200).await?;
    let letter = run.letter("confirmation", email).await?;
    let session = run.ask("its code", by_code("signup", email, letter.code()), 200).await?;
    session.member("/access_token")
}

async fn confirmed_by_code(run: &mut Run<'_>) -> Result<()> {
    let email = "wait@example.com";
    let wish = json!({"email": email, "password": PASSWORD, "data": {"name": "Ann"}});
    let waiting = run.ask("a registration that waits", Ask::post("/auth/v1/signup", &wish), 200).await?;
    expect("no session yet", waiting.json()?.get("access_token").is_none())?;
    let sign_in = Ask::post(SIGN_IN, &wish).dated();
    run.refused("sign-in before the mail", sign_in.clone(), 400, "email_not_confirmed").await?;
    let first = run.letter("confirmation", email).await?;
    let page = run.ask("the mailbox", Ask::get("/auth/v1/mailbox"), 200).await?;
    expect("the mail is on its page", String::from_utf8_lossy(&page.body).contains(first.code()))?;
    run.ask("the mailbox, for a program", Ask::get("/auth/v1/mailbox.json"), 200).await?;
    let resend = json!({"type": "signup", "email": email});
    let resent = run.ask("resend", Ask::post("/auth/v1/resend", &resend), 200).await?;
    let nobody = json!({"type": "signup", "email": "nobody@example.com"});
    let nobody = run.ask("resend, to nobody", Ask::post("/auth/v1/resend", &nobody), 200).await?;
    expect("which nobody can tell", nobody.body == resent.body)?;
    let second = run.letter("confirmation", email).await?;
    run.refused("the older code", by_code("signup", email, first.code()), 403, "otp_expired").await?;
    run.refused("a wrong code", by_code("signup", email, second.wrong_code()), 403, "otp_expired").await?;
    let other = by_code("recovery", email, second.code());
    run.refused("a code for something else", other, 403, "otp_expired").await?;
    let session = run.ask("the newest code", by_code("email", email, second.code()), 200).await?;
    let token = session.member("/access_token")?;
    let user = run.ask("its session", Ask::get("/auth/v1/user").bearer(&token), 200).await?;
    expect("the address is confirmed", user.json()?.get("email_confirmed_at").is_some_and(Value::is_string))?;
    run.refused("the code again", by_code("email", email, second.code()), 403, "otp_expired").await?;
    run.ask("sign-in after the mail", sign_in, 200).await?;
    let known = run.ask("a known address", Ask::post("/auth/v1/signup", &wish), 200).await?;
    expect("which only its owner is told", known.json()?.pointer("/identities") == Some(&json!([])))?;
    run.letter("already_registered", email).await?;
    Ok(())
}

async fn confirmed_by_link(run: &mut Run<'_>) -> Result<()> {
    let email = "link@example.com";
    let wish = json!({"email": email, "create_user": true});
    let path = back_to("/auth/v1/otp", "/welcome");
    run.ask("a code and a link, to somebody new", Ask::post(&path, &wish), 200).await?;
    let letter = run.letter("confirmation", email).await?;
    run.opened("its page", &letter).await?;
    run.opened("its page, after a scanner", &letter).await?;
    run.pressed_elsewhere("its button, on a foreign page", &letter).await?;
    let place = run.pressed("its button", &letter).await?;
    expect("it leads back", place.starts_with(&format!("{SPA}/welcome#access_token=")))?;
    let token = parameter(&place, "access_token");
    run.ask("the session of the fragment", Ask::get("/auth/v1/user").bearer(&token), 200).await?;
    let again = run.pressed("its button again", &letter).await?;
    expect("it worked once", parameter(&again, "error_code") == "otp_expired")?;
    let again = run.followed("its page again", &letter).await?;
    expect("it says so", parameter(&again, "error") == "access_denied")
}

/// The mail is read on one device, the verifier is on another.
async fn confirmed_elsewhere(run: &mut Run<'_>) -> Result<()> {
    let email = "pkce@example.com";
    let wish = json!({"email": email, "password": PASSWORD, "code_challenge": CHALLENGE,
        "code_challenge_method": "s256"});
    let path = back_to("/auth/v1/signup", "/callback");
    run.ask("a registration with a challenge", Ask::post(&path, &wish), 200).await?;
    let letter = run.letter("confirmation", email).await?;
    expect("its link wants a verifier", letter.token()?.starts_with("pkce_"))?;
    run.opened("its page, with a challenge", &letter).await?;
    let place = run.pressed("its button, with a challenge", &letter).await?;
    expect("no session", place.starts_with(&format!("{SPA}/callback?code=")) && !place.contains("eyJ"))?;
    let again = run.followed("its link, once confirmed", &letter).await?;
    expect("a code that a scanner does not burn", again == place)?;
    exchanged(run, &parameter(&place, "code"), email).await?;
    run.ask("sign-in with its password", Ask::post(SIGN_IN, &wish), 200).await.map(drop)
}

/// A code is worth a session once, with its verifier.
async fn exchanged(run: &mut Run<'_>, code: &str, email: &str) -> Result<()> {
    let ask = |verifier: &str| {
        let body = json!({"auth_code": code, "code_verifier": verifier});
        Ask::post("/auth/v1/token?grant_type=pkce", &body).dated()
    };
    run.refused("another verifier", ask(CHALLENGE), 400, "bad_code_verifier").await?;
    let session = run.ask("the verifier", ask(VERIFIER), 200).await?;
    expect("it is theirs", session.member("/user/email")? == email)?;
    run.refused("the code again", ask(VERIFIER), 404, "flow_state_not_found").await.map(drop)
}

async fn signed_in_by_link(run: &mut Run<'_>, email: &str) -> Result<()> {
    let wish = json!({"email": email});
    run.ask("a magic link", Ask::post("/auth/v1/magiclink", &wish), 200).await?;
    let letter = run.letter("magic_link", email).await?;
    let other = by_link("signup", &letter.token()?);
    run.refused("a link for something else", other, 403, "otp_expired").await?;
    run.ask("its token", by_link("magiclink", &letter.token()?), 200).await?;
    run.refused("its token again", by_link("magiclink", &letter.token()?), 403, "otp_expired").await?;
    run.ask("a one-time code", Ask::post("/auth/v1/otp", &wish), 200).await?;
    let letter = run.letter("magic_link", email).await?;
    run.ask("which signs in", by_code("email", email, letter.code()), 200).await?;
    run.ask("a link to press", Ask::post(&back_to("/auth/v1/otp", "/in"), &wish), 200).await?;
    let letter = run.letter("magic_link", email).await?;
    run.opened("the page of a magic link", &letter).await?;
    let place = run.pressed("the button of a magic link", &letter).await?;
    expect("it signs in", parameter(&place, "type") == "magiclink" && place.contains("access_token="))?;
    let nowhere = "/auth/v1/otp?redirect_to=https%3A%2F%2Fevil.example%2F";
    run.ask("a link to a foreign page", Ask::post(nowhere, &wish), 200).await?;
    let letter = run.letter("magic_link", email).await?;
    let place = run.pressed("it leads home", &letter).await?;
    expect("it leads to nobody else", !place.contains("evil"))
}

async fn recovered_with_verifier(run: &mut Run<'_>, email: &str) -> Result<()> {
    let wish = json!({"email": email, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
    let path = back_to("/auth/v1/recover", "/callback?next=1");
    run.ask("recovery, with a challenge", Ask::post(&path, &wish), 200).await?;
    let letter = run.letter("recovery", email).await?;
    let place = run.followed("its link", &letter).await?;
    expect("the page's own query stays", place.starts_with(&format!("{SPA}/callback?next=1&code=")))?;
    let again = run.followed("its link, after a scanner", &letter).await?;
    expect("a scanner burns nothing", again == place)?;
    exchanged(run, &parameter(&place, "code"), email).await
}

async fn recovered(run: &mut Run<'_>, email: &str, before: &str) -> Result<()> {
    let wish = json!({"email": email});
    let known = run.ask("recovery", Ask::post("/auth/v1/recover", &wish), 200).await?;
    let wish = json!({"email": "nobody@example.com"});
    let unknown = run.ask("recovery of nobody", Ask::post("/auth/v1/recover", &wish), 200).await?;
    expect("nobody can tell who is known", known.body == unknown.body)?;
    let letter = run.letter("recovery", email).await?;
    let session = run.ask("its code", by_code("recovery", email, letter.code()), 200).await?;
    let token = session.member("/access_token")?;
    let new = json!({"password": "another fine battery"});
    let change = Ask::new("PUT", "/auth/v1/user").json(&new).bearer(&token);
    run.ask("a new password", change, 200).await?;
    let old = Ask::get("/auth/v1/user").bearer(before).dated();
    run.refused("other sessions end", old, 403, "session_not_found").await?;
    let old = json!({"email": email, "password": PASSWORD});
    run.refused("the old password", Ask::post(SIGN_IN, &old).dated(), 400, "invalid_credentials").await?;
    let new = json!({"email": email, "password": "another fine battery"});
    run.ask("the new password", Ask::post(SIGN_IN, &new), 200).await?;
    run.letter("password_changed", email).await.map(drop)
}

/// A new address waits for both.
async fn moved(run: &mut Run<'_>) -> Result<()> {
    let (old, new) = ("moves@example.com", "moved@example.com");
    let token = confirmed(run, old).await?;
    let change = Ask::new("PUT", "/auth/v1/user").json(&json!({"email": new})).bearer(&token);
    let waiting = run.ask("a new address", change, 200).await?;
    expect("it waits", waiting.member("/new_email")? == new)?;
    let current = run.letter("email_change_current", old).await?;
    let first = run.letter("email_change_new", new).await?;
    let half = run.ask("the old address agrees", by_link("email_change", &current.token()?), 200).await?;
    expect("the new one has to", half.member("/code")? == "200")?;
    let user = run.ask("until then", Ask::get("/auth/v1/user").bearer(&token), 200).await?;
    expect("the old one counts", user.member("/email")? == old)?;
    run.opened("the page of a change", &first).await?;
    let place = run.pressed("the button of a change", &first).await?;
    expect("it signs in", parameter(&place, "type") == "email_change" && place.contains("access_token="))?;
    let right = json!({"email": new, "password": PASSWORD});
    run.ask("sign-in by the new address", Ask::post(SIGN_IN, &right), 200).await?;
    let wrong = json!({"email": old, "password": PASSWORD});
    run.refused("by the old one", Ask::post(SIGN_IN, &wrong).dated(), 400, "invalid_credentials").await?;
    run.letter("email_changed", old).await.map(drop)
}

/// A nonce stands in for the password, once.
async fn asked_again(run: &mut Run<'_>) -> Result<()> {
    let email = "nonce@example.com";
    let token = confirmed(run, email).await?;
    run.refused(
        "reauthentication of nobody",
        Ask::get("/auth/v1/reauthenticate").dated(),
        401,
        "no_authorization",
    )
    .await?;
    run.ask("reauthentication", Ask::get("/auth/v1/reauthenticate").bearer(&token), 200).await?;
    let letter = run.letter("reauthentication", email).await?;
    let change = |password: &str, nonce: &str| {
        let body = json!({"password": password, "nonce": nonce});
        Ask::new("PUT", "/auth/v1/user").json(&body).bearer(&token).dated()
    };
    let wrong = change("a brand new battery", letter.wrong_code());
    run.refused("a wrong nonce", wrong, 422, "reauthentication_not_valid").await?;
    run.refused("a nonce signs nobody in", by_code("email", email, letter.code()), 403, "otp_expired")
        .await?;
    run.ask("the nonce", change("a brand new battery", letter.code()), 200).await?;
    let again = change("yet another battery", letter.code());
    run.refused("the nonce again", again, 422, "reauthentication_not_valid").await.map(drop)
}

/// Somebody unknown comes in, and becomes known.
async fn anonymous(run: &mut Run<'_>) -> Result<()> {
    let wish = json!({"data": {"theme": "dark"}});
    let session = run.ask("anonymous sign-in", Ask::post("/auth/v1/signup", &wish), 200).await?;
    expect("nobody knows them", session.json()?.pointer("/user/is_anonymous") == Some(&json!(true)))?;
    let token = session.member("/access_token")?;
    let email = "known@example.com";
    let change = Ask::new("PUT", "/auth/v1/user").json(&json!({"email": email})).bearer(&token);
    run.ask("an address for them", change, 200).await?;
    let letter = run.letter("email_change_new", email).await?;
    let known = run.ask("which is confirmed", by_link("email_change", &letter.token()?), 200).await?;
    expect("they are the same", known.member("/user/id")? == session.member("/user/id")?)?;
    expect("and known", known.json()?.pointer("/user/is_anonymous") == Some(&json!(false)))?;
    expect("what they had stays", known.member("/user/user_metadata/theme")? == "dark")
}

/// A session of one's own is ended from another.
async fn ended(run: &mut Run<'_>) -> Result<()> {
    let email = "devices@example.com";
    let first = confirmed(run, email).await?;
    let right = json!({"email": email, "password": PASSWORD});
    let second = run.ask("another device", Ask::post(SIGN_IN, &right), 200).await?.member("/access_token")?;
    let listed = run.ask("both sessions", Ask::get("/auth/v1/sessions").bearer(&second), 200).await?;
    let listed = listed.json()?;
    let sessions = listed.pointer("/sessions").and_then(Value::as_array);
    let other = sessions.into_iter().flatten().find(|one| one.get("current") == Some(&json!(false)));
    let other = other.and_then(|one| one.get("id")?.as_str());
    let path = format!("/auth/v1/sessions/{}", other.ok_or_else(|| Error::internal("one session"))?);
    run.ask("the first is ended", Ask::new("DELETE", &path).bearer(&second), 204).await?;
    let gone = Ask::get("/auth/v1/user").bearer(&first).dated();
    run.refused("it is over", gone, 403, "session_not_found").await?;
    run.ask("the second goes on", Ask::get("/auth/v1/user").bearer(&second), 200).await.map(drop)
}
