//! Aurora's own routes that mails lead to, without a mail, and those that are switched off.

use serde_json::json;

use super::letters::CHALLENGE;
use super::wire::Ask;
use super::{Run, expect};
use crate::types::Result;

const PASSWORD: &str = "correct horse battery";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let right = json!({"email": "ann@example.com", "password": PASSWORD});
    let session = run.ask("sign-in", Ask::post("/auth/v1/token?grant_type=password", &right), 200).await?;
    let token = session.member("/access_token")?;
    let moved = Ask::new("PUT", "/auth/v1/user").json(&json!({"email": "new@example.com"}));
    let waiting = run.ask("a new address", moved.bearer(&token), 200).await?;
    expect("the old one counts", waiting.member("/email")? == "ann@example.com")?;
    expect("the new one waits", waiting.member("/new_email")? == "new@example.com")?;
    for email in ["ann@example.com", "nobody@example.com"] {
        let recover = json!({"email": email, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
        run.ask("recovery, with a challenge", Ask::post("/auth/v1/recover", &recover), 200).await?;
    }
    let wrong = json!({"email": "ann@example.com", "token": "no such code", "type": "email"});
    run.refused("a wrong code", Ask::post("/auth/v1/verify", &wrong).dated(), 403, "otp_expired").await?;
    let link = "/auth/v1/verify?token=pkce_none&type=signup&redirect_to=https%3A%2F%2Fevil.example";
    let opened = run.ask("a link that is none", Ask::get(link), 303).await?;
    let place = opened.header("location").unwrap_or_default();
    expect("it leads home", place.contains("otp_expired") && !place.contains("evil"))?;
    let form =
        Ask::new("POST", "/auth/v1/verify/link").with("content-type", "application/x-www-form-urlencoded");
    let pressed = run.ask("its button", form.text("token=pkce_none&type=signup"), 303).await?;
    let place = pressed.header("location").unwrap_or_default();
    expect("it leads home, too", place.contains("otp_expired") && !place.contains("code=pkce"))?;
    let exchange = json!({"auth_code": "none", "code_verifier": CHALLENGE});
    let ask = Ask::post("/auth/v1/token?grant_type=pkce", &exchange).dated();
    run.refused("a code that is none", ask, 404, "flow_state_not_found").await?;
    switched_off(run, &token).await
}

/// What is not there answers as Supabase does where it is switched off.
async fn switched_off(run: &mut Run<'_>, token: &str) -> Result<()> {
    let authorize = Ask::get("/auth/v1/authorize?provider=github").dated();
    run.refused("a provider", authorize, 400, "validation_failed").await?;
    let sso = Ask::post("/auth/v1/sso", &json!({"domain": "example.com"})).dated();
    run.refused("single sign-on", sso, 404, "saml_provider_disabled").await?;
    for (name, ask) in [
        ("another identity", Ask::get("/auth/v1/user/identities/authorize?provider=github")),
        (
            "one identity less",
            Ask::new("DELETE", "/auth/v1/user/identities/00000000-0000-4000-8000-000000000000"),
        ),
    ] {
        let nobody = format!("{name}, of nobody");
        run.refused(&nobody, ask.clone().dated(), 401, "no_authorization").await?;
        run.refused(name, ask.bearer(token).dated(), 404, "manual_linking_disabled").await?;
    }
    let anonymous = Ask::post("/auth/v1/signup", &json!({})).dated();
    run.refused("no anonymous sign-in", anonymous, 422, "anonymous_provider_disabled").await.map(drop)
}
