//! Aurora's own routes that mails lead to.

use serde_json::json;

use super::wire::Ask;
use super::{Run, expect};
use crate::types::Result;

const PASSWORD: &str = "correct horse battery";
/// RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

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
    Ok(())
}
