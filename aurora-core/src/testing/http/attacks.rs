//! Attacks on tokens, through the adapters' own way of reading a request.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::sign_in_by_mail::{PASSWORD, confirmed};
use super::wire::{Answer, Ask};
use super::{Run, expect};
use crate::testing::TestClient;
use crate::types::{Error, Result};

const REFRESH: &str = "/auth/v1/token?grant_type=refresh_token";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    forged(run).await?;
    misplaced(run).await?;
    another_s(run).await
}

/// Tokens that nobody signed, or not so; at Aurora's door and at the host's.
async fn forged(run: &mut Run<'_>) -> Result<()> {
    let client = TestClient::new(&run.served.aurora);
    let token = client.sign_in("ann.forged@example.com").await?.token().expose().to_owned();
    let [header, payload, signature] = parts(&token)?;
    let keys = run.ask("the keys", Ask::get("/auth/v1/.well-known/jwks.json"), 200).await?;
    let key = keys.json()?.pointer("/keys/0").cloned().unwrap_or_default();
    let kid = key.get("kid").cloned().unwrap_or_default();
    let head = |fields: Value| BASE64URL_NOPAD.encode(fields.to_string().as_bytes());
    let none = head(json!({"alg": "none", "kid": kid, "typ": "JWT"}));
    let symmetric = head(json!({"alg": "HS256", "kid": kid, "typ": "JWT"}));
    let by_public_key = hmac::Key::new(hmac::HMAC_SHA256, key.to_string().as_bytes());
    let tag = hmac::sign(&by_public_key, format!("{symmetric}.{payload}").as_bytes());
    let tag = BASE64URL_NOPAD.encode(tag.as_ref());
    let its_own_key = head(json!({"alg": "ES256", "kid": kid, "jwk": key, "typ": "JWT"}));
    let path = head(json!({"alg": "ES256", "kid": "../../dev/null", "typ": "JWT"}));
    let raised = String::from_utf8_lossy(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap_or_default())
        .replace("\"authenticated\"", "\"service_role\"");
    let raised = BASE64URL_NOPAD.encode(raised.as_bytes());
    for (name, forged) in [
        ("a token that says it is not signed", format!("{none}.{payload}.")),
        ("a token signed with the public key as a secret", format!("{symmetric}.{payload}.{tag}")),
        ("a token that brings its key along", format!("{its_own_key}.{payload}.{signature}")),
        ("a token whose key is a path", format!("{path}.{payload}.{signature}")),
        ("a token of another role", format!("{header}.{raised}.{signature}")),
    ] {
        let ours = Ask::get("/auth/v1/user").bearer(&forged).dated();
        run.refused(name, ours, 403, "bad_jwt").await?;
        let theirs = Ask::get("/notes").bearer(&forged).dated();
        run.refused(&format!("{name}, at the host's"), theirs, 401, "bad_jwt").await?;
    }
    run.ask("the token itself", Ask::get("/notes").bearer(&token), 200).await.map(drop)
}

/// A token of one kind in the place of another, and one that is no header's.
async fn misplaced(run: &mut Run<'_>) -> Result<()> {
    let client = TestClient::new(&run.served.aurora);
    let ann = client.sign_in("ann.misplaced@example.com").await?;
    let (access, refresh) = (ann.token().expose(), ann.refresh_token().expose());
    let swapped = Ask::get("/notes").bearer(refresh).dated();
    run.refused("a refresh token for an access token", swapped, 401, "bad_jwt").await?;
    let swapped = Ask::post(REFRESH, &json!({"refresh_token": access})).dated();
    let code = "refresh_token_not_found";
    run.refused("an access token for a refresh token", swapped, 400, code).await?;
    let query = Ask::get(&format!("/notes?access_token={access}")).dated();
    run.refused("a token in the query, at the host's", query, 401, "no_authorization").await.map(drop)
}

/// Somebody else's session, by its id.
async fn another_s(run: &mut Run<'_>) -> Result<()> {
    let client = TestClient::new(&run.served.aurora);
    let ann = client.sign_in("ann.session@example.com").await?.token().expose().to_owned();
    let bob = client.sign_in("bob.session@example.com").await?.token().expose().to_owned();
    let [_, payload, _] = parts(&ann)?;
    let claims = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(Error::internal)?;
    let claims: Value = serde_json::from_slice(&claims).map_err(Error::internal)?;
    let id = claims.get("session_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let path = format!("/auth/v1/sessions/{id}");
    let end = |token: &str| Ask::new("DELETE", &path).bearer(token).dated();
    run.refused("the end of Ann's session, for Bob", end(&bob), 404, "not_found").await?;
    run.ask("it goes on", Ask::get("/me").bearer(&ann), 200).await?;
    run.ask("the end of Ann's session, for Ann", end(&ann), 204).await?;
    run.refused("it is over", Ask::get("/me").bearer(&ann).dated(), 401, "session_not_found").await?;
    Ok(())
}

/// A refresh token that comes back when its successor was used, where there is no grace ([`super::by_mail`]).
pub(super) async fn replayed(run: &mut Run<'_>) -> Result<()> {
    let email = "replay@example.com";
    confirmed(run, email).await?;
    let right = json!({"email": email, "password": PASSWORD});
    let sign_in = Ask::post("/auth/v1/token?grant_type=password", &right);
    let refresh = |session: &Answer| -> Result<Ask> {
        Ok(Ask::post(REFRESH, &json!({"refresh_token": session.member("/refresh_token")?})).dated())
    };
    let first = run.ask("a session", sign_in.clone(), 200).await?;
    let second = run.ask("its refresh", refresh(&first)?, 200).await?;
    let third = run.ask("and another", refresh(&second)?, 200).await?;
    let token = third.member("/access_token")?;
    run.ask("it is alive", Ask::get("/auth/v1/user").bearer(&token), 200).await?;
    let code = "refresh_token_already_used";
    run.refused("the first token again", refresh(&first)?, 400, code).await?;
    let code = "refresh_token_not_found";
    run.refused("the newest token, after that", refresh(&third)?, 400, code).await?;
    let dead = Ask::get("/auth/v1/user").bearer(&token).dated();
    run.refused("the access token, after that", dead, 403, "session_not_found").await?;
    let session = run.ask("a new session", sign_in, 200).await?;
    let token = session.member("/access_token")?;
    run.ask("sign-out everywhere", Ask::new("POST", "/auth/v1/logout?scope=global").bearer(&token), 204)
        .await?;
    let over = run.refused("a refresh after sign-out", refresh(&session)?, 400, code).await?;
    expect("it holds no token", over.member("/access_token").is_err())
}

fn parts(token: &str) -> Result<[String; 3]> {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().map_err(|_| Error::internal("not a token of three parts"))
}
