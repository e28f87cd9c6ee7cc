//! Aurora's own routes.

use serde_json::json;

use super::wire::Ask;
use super::{Run, expect};
use crate::types::Result;

const PASSWORD: &str = "correct horse battery";
const SPA: &str = "https://spa.example.com";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    described(run).await?;
    signed_up_and_in(run).await?;
    refreshed(run).await?;
    changed_and_signed_out(run).await?;
    misread(run).await?;
    origins(run).await
}

async fn described(run: &mut Run<'_>) -> Result<()> {
    run.ask("settings", Ask::get("/auth/v1/settings"), 200).await?;
    run.ask("health", Ask::get("/auth/v1/health"), 200).await?;
    let keys = run.ask("keys", Ask::get("/auth/v1/.well-known/jwks.json"), 200).await?;
    expect("keys are cacheable", keys.header("cache-control").is_some_and(|it| it.contains("max-age")))?;
    run.ask("head of the keys", Ask::new("HEAD", "/auth/v1/.well-known/jwks.json"), 200).await?;
    run.refused("no such route", Ask::get("/auth/v1/nowhere").dated(), 404, "not_found").await?;
    run.refused("the prefix alone", Ask::get("/auth/v1"), 404, "not_found").await?;
    for path in ["/auth/v1//token", "/auth/v1/token/", "/auth/v1/Token", "/auth/v1/%74oken"] {
        run.refused(path, Ask::new("POST", path), 404, "not_found").await?;
    }
    let other = run.refused("another method", Ask::get("/auth/v1/signup"), 405, "method_not_allowed").await?;
    expect("the methods are named", other.header("allow").is_some())?;
    run.ask("options", Ask::new("OPTIONS", "/auth/v1/signup"), 204).await?;
    Ok(())
}

async fn signed_up_and_in(run: &mut Run<'_>) -> Result<()> {
    let wish = json!({"email": "ann@example.com", "password": PASSWORD, "data": {"name": "Ann"}});
    run.ask("signup", Ask::post("/auth/v1/signup", &wish).dated(), 200).await?;
    let again = Ask::post("/auth/v1/signup", &wish);
    run.refused("signup again", again.clone().dated(), 422, "user_already_exists").await?;
    run.refused("signup again, the older shape", again, 422, "user_already_exists").await?;
    let short = json!({"email": "bob@example.com", "password": "short"});
    run.refused("a short password", Ask::post("/auth/v1/signup", &short).dated(), 422, "weak_password")
        .await?;
    let common = json!({"email": "bob@example.com", "password": "password123"});
    run.refused("a common password", Ask::post("/auth/v1/signup", &common).dated(), 422, "weak_password")
        .await?;
    let wrong = json!({"email": "ann@example.com", "password": "wrong horse battery"});
    let sign_in = "/auth/v1/token?grant_type=password";
    run.refused("a wrong password", Ask::post(sign_in, &wrong).dated(), 400, "invalid_credentials").await?;
    let unknown = json!({"email": "nobody@example.com", "password": PASSWORD});
    run.refused("an unknown address", Ask::post(sign_in, &unknown).dated(), 400, "invalid_credentials")
        .await?;
    let right = json!({"email": "ANN@example.com", "password": PASSWORD});
    let agent = Ask::post(sign_in, &right).with("user-agent", "conformance/1");
    let session = run.ask("sign-in", agent, 200).await?;
    let token = session.member("/access_token")?;
    run.ask("user", Ask::get("/auth/v1/user").bearer(&token), 200).await?;
    run.ask(
        "user, by a scheme in capitals",
        Ask::get("/auth/v1/user").with("authorization", &format!("BEARER {token}")),
        200,
    )
    .await?;
    run.ask("sessions", Ask::get("/auth/v1/sessions").bearer(&token), 200).await?;
    run.refused("no token", Ask::get("/auth/v1/user").dated(), 401, "no_authorization").await?;
    run.refused(
        "basic",
        Ask::get("/auth/v1/user").with("authorization", "Basic YTpi"),
        401,
        "no_authorization",
    )
    .await?;
    run.refused("garbage", Ask::get("/auth/v1/user").bearer("garbage").dated(), 403, "bad_jwt").await?;
    let twice = Ask::get("/auth/v1/user").bearer(&token).bearer(&token);
    run.refused("two tokens", twice, 400, "validation_failed").await?;
    let query = Ask::get(&format!("/auth/v1/user?access_token={token}"));
    run.refused("a token in the query", query, 401, "no_authorization").await?;
    Ok(())
}

async fn refreshed(run: &mut Run<'_>) -> Result<()> {
    let right = json!({"email": "ann@example.com", "password": PASSWORD});
    let session = run.ask("sign-in", Ask::post("/auth/v1/token?grant_type=password", &right), 200).await?;
    let first = json!({"refresh_token": session.member("/refresh_token")?});
    let refresh = "/auth/v1/token?grant_type=refresh_token";
    let next = run.ask("refresh", Ask::post(refresh, &first).dated(), 200).await?;
    let again = run.ask("refresh, the answer lost", Ask::post(refresh, &first).dated(), 200).await?;
    let same = next.member("/refresh_token")? == again.member("/refresh_token")?;
    expect("an unused successor is given again", same)?;
    let garbage = json!({"refresh_token": "garbage"});
    run.refused("refresh with garbage", Ask::post(refresh, &garbage).dated(), 400, "refresh_token_not_found")
        .await?;
    run.refused("refresh with nothing", Ask::post(refresh, &json!({})).dated(), 400, "validation_failed")
        .await?;
    let other = Ask::post("/auth/v1/token?grant_type=saml", &first).dated();
    run.refused("another grant", other, 400, "validation_failed").await?;
    Ok(())
}

async fn changed_and_signed_out(run: &mut Run<'_>) -> Result<()> {
    let right = json!({"email": "ann@example.com", "password": PASSWORD});
    let sign_in = Ask::post("/auth/v1/token?grant_type=password", &right);
    let one = run.ask("sign-in", sign_in.clone(), 200).await?.member("/access_token")?;
    let two = run.ask("sign-in", sign_in, 200).await?.member("/access_token")?;
    let data = Ask::new("PUT", "/auth/v1/user").json(&json!({"data": {"name": "Anna"}, "role": "admin"}));
    run.ask("change", data.bearer(&one), 200).await?;
    let taken = Ask::new("PUT", "/auth/v1/user").json(&json!({"password": "short"}));
    run.refused("change to a short password", taken.bearer(&one).dated(), 422, "weak_password").await?;
    let nowhere = "/auth/v1/sessions/00000000-0000-4000-8000-000000000000";
    run.refused("end another's session", Ask::new("DELETE", nowhere).bearer(&one), 404, "not_found").await?;
    let scope = Ask::new("POST", "/auth/v1/logout?scope=all").bearer(&one);
    run.refused("sign-out of a scope that is none", scope, 400, "validation_failed").await?;
    run.ask("sign-out", Ask::new("POST", "/auth/v1/logout?scope=local").bearer(&two), 204).await?;
    run.refused("its token", Ask::get("/auth/v1/user").bearer(&two).dated(), 403, "session_not_found")
        .await?;
    run.ask("another's goes on", Ask::get("/auth/v1/user").bearer(&one), 200).await?;
    run.ask("sign-out everywhere", Ask::new("POST", "/auth/v1/logout").bearer(&one), 204).await?;
    run.refused("it is over", Ask::get("/auth/v1/user").bearer(&one).dated(), 403, "session_not_found")
        .await?;
    Ok(())
}

async fn misread(run: &mut Run<'_>) -> Result<()> {
    let ask = || Ask::new("POST", "/auth/v1/signup").dated();
    let body = r#"{"email":"x@example.com","password":"correct horse battery"}"#;
    let form = ask().with("content-type", "application/x-www-form-urlencoded").text(body);
    run.refused("a form", form, 415, "unsupported_media_type").await?;
    run.refused("no type", ask().text(body), 415, "unsupported_media_type").await?;
    let json = || ask().with("content-type", "application/json");
    for (name, text) in [
        ("half a body", r#"{"email":"#),
        ("an array", "[]"),
        ("a member twice", r#"{"email":"a@example.com","email":"b@example.com"}"#),
        ("nothing", ""),
    ] {
        run.refused(name, json().text(text), 400, "bad_json").await?;
    }
    run.refused("a number for an address", json().text(r#"{"email":7}"#), 400, "validation_failed").await?;
    let large = format!(r#"{{"email":"{}@example.com"}}"#, "x".repeat(run.served.aurora.http().body_limit()));
    run.refused("too large", json().text(&large), 413, "payload_too_large").await?;
    Ok(())
}

async fn origins(run: &mut Run<'_>) -> Result<()> {
    let preflight = |path: &str, origin: &str| {
        let ask = Ask::new("OPTIONS", path).with("origin", origin);
        ask.with("access-control-request-method", "POST")
            .with("access-control-request-headers", "authorization")
    };
    for path in ["/auth/v1/signup", "/notes", "/nowhere"] {
        let allowed = run.ask("preflight", preflight(path, SPA), 204).await?;
        expect("the origin is allowed", allowed.header("access-control-allow-origin") == Some(SPA))?;
        let foreign = preflight(path, "https://evil.example").send(&run.line).await?;
        let open = foreign.header("access-control-allow-origin").is_some();
        expect("a foreign origin is not", !open)?;
    }
    let wish = json!({"email": "eve@example.com", "password": PASSWORD});
    let foreign = Ask::post("/auth/v1/signup", &wish).with("origin", "https://evil.example").dated();
    run.refused("from a foreign page", foreign, 403, "origin_not_allowed").await?;
    let allowed =
        run.ask("from an allowed page", Ask::get("/auth/v1/settings").with("origin", SPA), 200).await?;
    expect("it may read", allowed.header("access-control-allow-origin") == Some(SPA))?;
    for path in ["/auth/v1/settings", "/open", "/notes"] {
        let rebound = Ask::get(path).with("host", "evil.example").dated();
        run.refused("another host, in development", rebound, 403, "origin_not_allowed").await?;
    }
    Ok(())
}
