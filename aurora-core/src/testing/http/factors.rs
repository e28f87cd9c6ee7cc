//! Second factors, and what of the host's own wants one.

use serde_json::{Value, json};

use super::wire::{Answer, Ask};
use super::{Run, expect};
use crate::crypto::TotpSeed;
use crate::env::{Clock as _, SystemClock};
use crate::types::{Error, Result, Secret};

const EMAIL: &str = "fay@example.com";
const CODES: &str = "/auth/v1/factors/recovery-codes";
const PASSWORD: &str = "correct horse battery";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let wish = json!({"email": EMAIL, "password": PASSWORD});
    let weak = run.ask("signup", Ask::post("/auth/v1/signup", &wish), 200).await?.member("/access_token")?;
    unproved(run, &weak).await?;
    let (factor, strong) = enrolled(run, &weak).await?;
    proved(run, &strong).await?;
    recovered(run, &strong, &factor).await
}

/// What a first factor alone does not open.
async fn unproved(run: &mut Run<'_>, weak: &str) -> Result<()> {
    let vault = run.ask("rows that want aal2, at aal1", Ask::get("/vault").bearer(weak), 200).await?;
    expect("none of them", vault.json()? == json!([]))?;
    let fresh = Ask::get("/fresh").bearer(weak);
    let refused = run.refused("a route that wants a factor", fresh.clone().dated(), 403, "insufficient_aal");
    let wanted = refused.await?.json()?.get("step_up").cloned();
    expect("it says which", wanted == Some(json!({"aal": "aal2", "max_age": 300})))?;
    run.refused("the older shape", fresh, 403, "insufficient_aal").await?;
    run.refused("nobody", Ask::get("/fresh").dated(), 401, "no_authorization").await?;
    for (kind, status, code) in [
        ("phone", 422, "mfa_phone_enroll_not_enabled"),
        ("webauthn", 422, "mfa_webauthn_enroll_not_enabled"),
        ("sms", 400, "validation_failed"),
    ] {
        let body = json!({"factor_type": kind, "friendly_name": "x"});
        run.refused(kind, Ask::post("/auth/v1/factors", &body).bearer(weak).dated(), status, code).await?;
    }
    Ok(())
}

async fn enrolled(run: &mut Run<'_>, weak: &str) -> Result<(String, String)> {
    let body = json!({"factor_type": "totp", "friendly_name": "phone", "issuer": "Shop"});
    let enrolled = run.ask("enroll", Ask::post("/auth/v1/factors", &body).bearer(weak), 200).await?;
    let (factor, secret) = (enrolled.member("/id")?, enrolled.member("/totp/secret")?);
    run.ask("a user with a factor", Ask::get("/auth/v1/user").bearer(weak), 200).await?;
    let first = challenge(run, weak, &factor).await?;
    let wrong = verify(&factor, &first, "12345").bearer(weak).dated();
    run.refused("a wrong code", wrong, 422, "mfa_verification_failed").await?;
    let seed = TotpSeed::parse(&Secret::new(secret)).ok_or_else(|| Error::internal("no secret"))?;
    let code = seed.code(SystemClock.now()).expose().to_owned();
    let raised = run.ask("a right code", verify(&factor, &first, &code).bearer(weak), 200).await?;
    let strong = raised.member("/access_token")?;
    let again = challenge(run, &strong, &factor).await?;
    let used = verify(&factor, &again, &code).bearer(&strong).dated();
    run.refused("the same code", used, 422, "mfa_verification_failed").await?;
    let nowhere = "/auth/v1/factors/00000000-0000-4000-8000-000000000000/challenge";
    let unknown = Ask::post(nowhere, &json!({})).bearer(&strong).dated();
    run.refused("a factor that is not there", unknown, 404, "mfa_factor_not_found").await?;
    Ok((factor, strong))
}

async fn proved(run: &mut Run<'_>, strong: &str) -> Result<()> {
    let vault = run.ask("rows that want aal2", Ask::get("/vault").bearer(strong), 200).await?;
    let title = vault.json()?.pointer("/0/title").and_then(Value::as_str).map(str::to_owned);
    expect("they are there", title.as_deref() == Some("in the vault"))?;
    let fresh = run.ask("a fresh factor", Ask::get("/fresh").bearer(strong), 200).await?;
    expect("it is let in", fresh.body == b"fresh")?;
    let me = run.ask("who am I, at aal2", Ask::get("/me").bearer(strong), 200).await?;
    expect("the claim says so", me.member("/aal")? == "aal2")
}

async fn recovered(run: &mut Run<'_>, strong: &str, factor: &str) -> Result<()> {
    let right = json!({"email": EMAIL, "password": PASSWORD});
    let sign_in = Ask::post("/auth/v1/token?grant_type=password", &right);
    let weak = run.ask("sign-in with a factor on", sign_in, 200).await?.member("/access_token")?;
    let change = Ask::new("PUT", "/auth/v1/user").json(&json!({"password": "another long battery"}));
    run.refused("a new password at aal1", change.bearer(&weak).dated(), 401, "insufficient_aal").await?;
    let path = format!("/auth/v1/factors/{factor}");
    let remove = Ask::new("DELETE", &path).bearer(&weak).dated();
    run.refused("remove at aal1", remove, 422, "insufficient_aal").await?;
    let codes = recovery_codes(run, strong, &weak).await?;
    let use_up = |code: &str| Ask::post("/auth/v1/factors/recovery-codes/verify", &json!({"code": code}));
    let code = codes.member("/codes/0")?;
    let raised =
        run.ask("a recovery code", use_up(&code).bearer(&weak), 200).await?.member("/access_token")?;
    let again = use_up(&code).bearer(&raised).dated();
    run.refused("the same one", again, 422, "mfa_verification_failed").await?;
    run.ask("a fresh recovery code", Ask::get("/fresh").bearer(&raised), 200).await?;
    let left = run.ask("what is left of them", Ask::get(CODES).bearer(&raised), 200).await?;
    expect("one less", left.json()?.get("remaining") == Some(&json!(9)))?;
    run.ask("no recovery codes any more", Ask::new("DELETE", CODES).bearer(&raised), 200).await?;
    let none = Ask::get(CODES).bearer(&raised).dated();
    run.refused("there are none", none, 404, "mfa_factor_not_found").await?;
    run.ask("remove", Ask::new("DELETE", &path).bearer(&raised), 200).await?;
    Ok(())
}

/// Made, and made again: the second ones.
async fn recovery_codes(run: &mut Run<'_>, strong: &str, weak: &str) -> Result<Answer> {
    let again = format!("{CODES}/regenerate");
    let (generate, again) = (Ask::post(CODES, &json!({})), Ask::post(&again, &json!({})));
    let remove = Ask::new("DELETE", CODES);
    let none = again.clone().bearer(strong).dated();
    run.refused("no recovery codes to replace", none, 404, "mfa_factor_not_found").await?;
    for (name, ask, status) in [
        ("recovery codes at aal1", &generate, 403),
        ("others at aal1", &again, 403),
        ("none at aal1", &remove, 422),
    ] {
        run.refused(name, ask.clone().bearer(weak).dated(), status, "insufficient_aal").await?;
    }
    run.ask("recovery codes", generate.clone().bearer(strong), 200).await?;
    run.ask("how many there are", Ask::get(CODES).bearer(weak), 200).await?;
    let more = generate.bearer(strong).dated();
    run.refused("recovery codes twice", more, 422, "mfa_verified_factor_exists").await?;
    run.ask("others instead", again.bearer(strong), 200).await
}

async fn challenge(run: &mut Run<'_>, token: &str, factor: &str) -> Result<String> {
    let path = format!("/auth/v1/factors/{factor}/challenge");
    let challenged: Answer = run.ask("challenge", Ask::post(&path, &json!({})).bearer(token), 200).await?;
    challenged.member("/id")
}

fn verify(factor: &str, challenge: &str, code: &str) -> Ask {
    let path = format!("/auth/v1/factors/{factor}/verify");
    Ask::post(&path, &json!({"challenge_id": challenge, "code": code}))
}
