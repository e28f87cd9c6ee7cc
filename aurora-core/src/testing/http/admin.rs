//! What the service's own key opens, and opens to nobody else.

use serde_json::{Value, json};

use super::sign_in_by_mail::{PASSWORD, by_link, confirmed};
use super::wire::Ask;
use super::{Run, SERVICE_KEY, expect};
use crate::types::Result;

const USERS: &str = "/auth/v1/admin/users";
const NOBODY: &str = "/auth/v1/admin/users/00000000-0000-4000-8000-000000000000";
const SIGN_IN: &str = "/auth/v1/token?grant_type=password";
const ADA: &str = "ada@example.com";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    closed(run).await?;
    let id = made(run).await?;
    listed(run).await?;
    let path = format!("{USERS}/{id}");
    changed(run, &path).await?;
    factors(run, &path).await?;
    deleted(run, &path).await?;
    invited(run).await?;
    linked(run).await?;
    moved(run).await
}

/// By the service's own key.
fn own(ask: Ask) -> Ask {
    ask.with("apikey", SERVICE_KEY).bearer(SERVICE_KEY).dated()
}

fn put(path: &str, body: &Value) -> Ask {
    own(Ask::new("PUT", path).json(body))
}

async fn closed(run: &mut Run<'_>) -> Result<()> {
    let token = confirmed(run, "nosy@example.com").await?;
    let new = json!({"email": "eve@example.com"});
    let factor = format!("{NOBODY}/factors/00000000-0000-4000-8000-000000000000");
    for (name, ask) in [
        ("users", Ask::get(USERS)),
        ("a new user", Ask::post(USERS, &new)),
        ("a user", Ask::get(NOBODY)),
        ("a change of a user", Ask::new("PUT", NOBODY).json(&new)),
        ("a user less", Ask::new("DELETE", NOBODY)),
        ("factors", Ask::get(&format!("{NOBODY}/factors"))),
        ("a factor less", Ask::new("DELETE", &factor)),
        ("an invitation", Ask::post("/auth/v1/invite", &new)),
        ("a link", Ask::post("/auth/v1/admin/generate_link", &new)),
    ] {
        let nobody = format!("{name}, for nobody");
        run.refused(&nobody, ask.clone().dated(), 401, "no_authorization").await?;
        let garbage = format!("{name}, for garbage");
        run.refused(&garbage, ask.clone().bearer("a.b.c").dated(), 403, "bad_jwt").await?;
        let user = format!("{name}, for a user");
        run.refused(&user, ask.bearer(&token).dated(), 403, "not_admin").await?;
    }
    Ok(())
}

async fn made(run: &mut Run<'_>) -> Result<String> {
    let new = json!({"email": ADA, "password": PASSWORD, "email_confirm": true,
        "user_metadata": {"name": "Ada"}, "app_metadata": {"plan": "pro"}});
    let made = run.ask("a new user", own(Ask::post(USERS, &new)), 200).await?;
    run.refused("the same again", own(Ask::post(USERS, &new)), 422, "email_exists").await?;
    for number in 0..3 {
        let new = json!({"email": format!("u{number}@example.com")});
        run.ask("another one", own(Ask::post(USERS, &new)), 200).await?;
    }
    made.member("/id")
}

async fn listed(run: &mut Run<'_>) -> Result<()> {
    let page = run.ask("a page of users", own(Ask::get(&format!("{USERS}?page=2&per_page=2"))), 200).await?;
    expect("two of them", page.json()?.pointer("/users").and_then(Value::as_array).map(Vec::len) == Some(2))?;
    let next = "</auth/v1/admin/users?page=3&per_page=2>; rel=\"next\"";
    expect("the next page", page.header("link").is_some_and(|link| link.starts_with(next)))?;
    let count = page.header("x-total-count").and_then(|text| text.parse::<usize>().ok());
    expect("how many there are", count.is_some_and(|count| count > 4))?;
    run.ask("a page past the end", own(Ask::get(&format!("{USERS}?page=99"))), 200).await?;
    let none = own(Ask::get(&format!("{USERS}?page=x")));
    run.refused("a page that is none", none, 400, "validation_failed").await.map(drop)
}

async fn changed(run: &mut Run<'_>, path: &str) -> Result<()> {
    let found = run.ask("a user", own(Ask::get(path)), 200).await?;
    expect("it is she", found.member("/user_metadata/name")? == "Ada")?;
    run.refused("a user that is not there", own(Ask::get(NOBODY)), 404, "user_not_found").await?;
    let none = own(Ask::get(&format!("{USERS}/ada")));
    run.refused("an id that is none", none, 400, "validation_failed").await?;
    let right = json!({"email": ADA, "password": PASSWORD});
    let sign_in = Ask::post(SIGN_IN, &right).dated();
    let token = run.ask("sign-in", sign_in.clone(), 200).await?.member("/access_token")?;
    let change = json!({"app_metadata": {"plan": null, "seat": 4}, "ban_duration": "24h"});
    let banned = run.ask("a ban", put(path, &change), 200).await?.json()?;
    expect("it is told", banned.get("banned_until").is_some_and(Value::is_string))?;
    expect("a member goes", banned.pointer("/app_metadata/plan").is_none())?;
    let old = Ask::get("/auth/v1/user").bearer(&token).dated();
    run.refused("a ban ends sessions", old, 403, "session_not_found").await?;
    run.refused("and lets nobody in", sign_in.clone(), 400, "user_banned").await?;
    run.ask("no ban", put(path, &json!({"ban_duration": "none"})), 200).await?;
    run.ask("sign-in after the ban", sign_in, 200).await?;
    let role = put(path, &json!({"role": "service_role"}));
    run.refused("another role", role, 400, "validation_failed").await?;
    let change = put(NOBODY, &json!({"user_metadata": {}}));
    run.refused("a change of nobody", change, 404, "user_not_found").await.map(drop)
}

async fn factors(run: &mut Run<'_>, path: &str) -> Result<()> {
    let right = json!({"email": ADA, "password": PASSWORD});
    let token = run.ask("sign-in", Ask::post(SIGN_IN, &right), 200).await?.member("/access_token")?;
    let wish = json!({"factor_type": "totp", "friendly_name": "phone"});
    let wish = Ask::post("/auth/v1/factors", &wish).bearer(&token);
    let factor = run.ask("a factor", wish, 200).await?.member("/id")?;
    let list = own(Ask::get(&format!("{path}/factors")));
    let listed = run.ask("factors of a user", list.clone(), 200).await?;
    expect("the one", String::from_utf8_lossy(&listed.body).contains(&factor))?;
    let one = own(Ask::new("DELETE", &format!("{path}/factors/{factor}")));
    run.ask("a factor less", one.clone(), 200).await?;
    run.refused("it is gone", one, 404, "mfa_factor_not_found").await?;
    let listed = run.ask("no factors", list, 200).await?;
    expect("none", !String::from_utf8_lossy(&listed.body).contains(&factor))
}

async fn deleted(run: &mut Run<'_>, path: &str) -> Result<()> {
    let soft = own(Ask::new("DELETE", path).json(&json!({"should_soft_delete": true})));
    run.ask("a user who is retired", soft, 200).await?;
    let left = run.ask("what is left", own(Ask::get(path)), 200).await?;
    expect("no address", left.member("/email")?.is_empty())?;
    let right = json!({"email": ADA, "password": PASSWORD});
    run.refused("no sign-in", Ask::post(SIGN_IN, &right).dated(), 400, "invalid_credentials").await?;
    run.ask("a user less", own(Ask::new("DELETE", path)), 200).await?;
    run.refused("nothing is left", own(Ask::get(path)), 404, "user_not_found").await.map(drop)
}

async fn invited(run: &mut Run<'_>) -> Result<()> {
    let email = "guest@example.com";
    let wish = json!({"email": email, "data": {"team": 7}});
    let invited = run.ask("an invitation", own(Ask::post("/auth/v1/invite", &wish)), 200).await?;
    expect("when", invited.json()?.get("invited_at").is_some_and(Value::is_string))?;
    let letter = run.letter("invite", email).await?;
    run.opened("its page", &letter).await?;
    let joined = run.ask("it is taken up", by_link("invite", &letter.token()?), 200).await?;
    expect("with what it said", joined.json()?.pointer("/user/user_metadata") == Some(&json!({"team": 7})))?;
    run.refused("it is used up", by_link("invite", &letter.token()?), 403, "otp_expired").await?;
    let again = own(Ask::post("/auth/v1/invite", &wish));
    run.refused("an invitation of a user", again, 422, "email_exists").await.map(drop)
}

/// Links for a host that sends its mails itself.
async fn linked(run: &mut Run<'_>) -> Result<()> {
    let generate = |body: &Value| own(Ask::post("/auth/v1/admin/generate_link", body));
    let guest = "guest@example.com";
    for (kind, body) in [
        ("signup", json!({"type": "signup", "email": "bob@example.com", "password": PASSWORD})),
        ("recovery", json!({"type": "recovery", "email": guest})),
        (
            "magiclink",
            json!({"type": "magiclink", "email": guest, "redirect_to": "https://spa.example.com/x"}),
        ),
        ("invite", json!({"type": "invite", "email": "cyd@example.com"})),
    ] {
        let link = run.ask(&format!("a link for {kind}"), generate(&body), 200).await?;
        expect("it says what for", link.member("/verification_type")? == kind)?;
        let action = link.member("/action_link")?;
        let path = action.find("/auth/v1/verify?").and_then(|start| action.get(start..)).unwrap_or_default();
        run.ask(&format!("the page for {kind}"), Ask::get(path), 200).await?;
        let token = link.member("/hashed_token")?;
        run.ask(&format!("it works for {kind}"), by_link(kind, &token), 200).await?;
    }
    let right = json!({"email": "bob@example.com", "password": PASSWORD});
    run.ask("sign-in with its password", Ask::post(SIGN_IN, &right), 200).await?;
    let nobody = generate(&json!({"type": "recovery", "email": "nobody@example.com"}));
    run.refused("a link for nobody", nobody, 404, "user_not_found").await?;
    let none = generate(&json!({"type": "sms", "email": guest}));
    run.refused("a link for nothing", none, 400, "validation_failed").await.map(drop)
}

/// Both links of a change of the address.
async fn moved(run: &mut Run<'_>) -> Result<()> {
    let (old, new) = ("cyd@example.com", "cyd.moved@example.com");
    let link = |kind: &str| {
        let body = json!({"type": kind, "email": old, "new_email": new});
        own(Ask::post("/auth/v1/admin/generate_link", &body))
    };
    let current = run.ask("a link for the old address", link("email_change_current"), 200).await?;
    let fresh = run.ask("a link for the new address", link("email_change_new"), 200).await?;
    for link in [&current, &fresh] {
        expect("it says what for", link.member("/verification_type")? == "email_change")?;
    }
    let agreed = by_link("email_change", &current.member("/hashed_token")?);
    let half = run.ask("the old address agrees, by its link", agreed, 200).await?;
    expect("the new one has to", half.member("/code")? == "200")?;
    let agrees = by_link("email_change", &fresh.member("/hashed_token")?);
    let done = run.ask("the new address agrees, by its link", agrees.clone(), 200).await?;
    expect("it has changed", done.member("/user/email")? == new)?;
    run.refused("it worked once", agrees, 403, "otp_expired").await?;
    let body = json!({"type": "email_change_new", "email": new});
    let nowhere = own(Ask::post("/auth/v1/admin/generate_link", &body));
    run.refused("a link to no new address", nowhere, 400, "validation_failed").await.map(drop)
}
