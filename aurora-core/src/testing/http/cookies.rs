//! Sessions in cookies, on Aurora's routes and the host's.

use serde_json::json;

use super::wire::{Answer, Ask};
use super::{Run, expect};
use crate::types::Result;

const ACCESS: &str = "__Host-aurora-access";
const SPA: &str = "https://spa.example.com";

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let wish = json!({"email": "cookie@example.com", "password": "correct horse battery"});
    let ask = Ask::post("/auth/v1/signup", &wish).dated().with("x-aurora-session", "cookie");
    run.refused("cookies, for a foreign page", cross(ask.clone()), 403, "origin_not_allowed").await?;
    let session = run.ask("cookies instead of tokens", own(ask), 200).await?;
    let cookies = set(&session);
    expect("three cookies", cookies.len() == 3)?;
    for cookie in &cookies {
        let is_host = cookie.starts_with("__Host-") && !cookie.to_ascii_lowercase().contains("domain");
        expect("of this host alone", is_host && cookie.contains("; Path=/; Secure"))?;
    }
    let body = String::from_utf8_lossy(&session.body).into_owned();
    expect("no token for a script", !body.contains("eyJ") && !body.contains("art_"))?;
    expect("and none for a cache", session.header("cache-control") == Some("no-store"))?;
    let jar = jar(&cookies);
    let token = session.member("/csrf_token")?;
    reads(run, &jar).await?;
    changes(run, &jar, &token).await?;
    odd(run, &jar).await?;
    over(run, &jar, &token).await
}

/// Every cookie that a response sets.
fn set(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines.map(|(_, value)| value.clone()).collect()
}

/// What a browser sends back.
fn jar(cookies: &[String]) -> String {
    let pairs: Vec<&str> = cookies.iter().map(|line| line.split(';').next().unwrap_or_default()).collect();
    pairs.join("; ")
}

/// As the site's own page asks.
fn own(ask: Ask) -> Ask {
    ask.with("sec-fetch-site", "same-origin")
}

/// As a foreign page does.
fn cross(ask: Ask) -> Ask {
    ask.with("sec-fetch-site", "cross-site")
}

async fn reads(run: &mut Run<'_>, jar: &str) -> Result<()> {
    let get = |path: &str| Ask::get(path).dated().with("cookie", jar);
    for path in ["/me", "/notes", "/public", "/auth/v1/user", "/auth/v1/csrf"] {
        run.ask(&format!("{path} by cookie"), own(get(path)), 200).await?;
        let image = cross(get(path)).with("sec-fetch-mode", "no-cors").with("sec-fetch-dest", "image");
        run.refused("an image on a foreign page", image, 403, "origin_not_allowed").await?;
    }
    let link = cross(get("/notes")).with("sec-fetch-mode", "navigate").with("sec-fetch-dest", "document");
    run.ask("a link that was followed", link, 200).await?;
    run.refused("GET writes nothing by cookie", own(get("/touch")), 403, "25006").await?;
    let notes = run.ask("and wrote nothing", own(get("/notes")), 200).await?;
    expect("no note", !String::from_utf8_lossy(&notes.body).contains("touched"))?;
    let garbage = get("/notes").bearer("garbage");
    run.refused("a wrong token is not replaced by a cookie", garbage, 401, "bad_jwt").await?;
    Ok(())
}

async fn changes(run: &mut Run<'_>, jar: &str, token: &str) -> Result<()> {
    let note = json!({"title": "by cookie"});
    let post = || Ask::post("/notes", &note).dated().with("cookie", jar);
    let known = |ask: Ask| ask.with("x-csrf-token", token);
    run.refused("no token", own(post()), 403, "csrf_token_invalid").await?;
    let wrong = own(post()).with("x-csrf-token", "csrf_x");
    run.refused("a wrong token", wrong, 403, "csrf_token_invalid").await?;
    run.refused("a foreign page", known(cross(post())), 403, "origin_not_allowed").await?;
    run.refused("nobody's page", known(post()), 403, "origin_not_allowed").await?;
    run.refused("typed", known(post()).with("sec-fetch-site", "none"), 403, "origin_not_allowed").await?;
    let foreign = known(own(post())).with("origin", "https://evil.example");
    run.refused("a foreign origin", foreign, 403, "origin_not_allowed").await?;
    run.ask("the site's own page", known(own(post())), 201).await?;
    run.ask("the same, of an older browser", known(post()).with("origin", &run.origin()), 201).await?;
    let spa = known(post()).with("sec-fetch-site", "same-site").with("origin", SPA);
    let allowed = run.ask("an allowed origin of the same site", spa, 201).await?;
    expect("it may read", allowed.header("access-control-allow-credentials") == Some("true"))?;
    let form = own(Ask::new("POST", "/notes")).dated().with("cookie", jar).with("x-csrf-token", token);
    let form = form.with("content-type", "application/x-www-form-urlencoded").text("title=x");
    run.refused("a form", form, 415, "unsupported_media_type").await?;
    Ok(())
}

async fn odd(run: &mut Run<'_>, jar: &str) -> Result<()> {
    let access =
        jar.split("; ").find_map(|pair| pair.strip_prefix(&format!("{ACCESS}="))).unwrap_or_default();
    let get = || own(Ask::get("/notes").dated());
    let twice = get().with("cookie", &format!("{ACCESS}={access}; {ACCESS}={access}"));
    run.refused("a cookie twice", twice, 400, "validation_failed").await?;
    let pair = format!("{ACCESS}={access}");
    let twice = get().with("cookie", &pair).with("cookie", &pair);
    run.refused("in two headers", twice, 400, "validation_failed").await?;
    run.ask("two headers", get().with("cookie", "theme=dark").with("cookie", &pair), 200).await?;
    for (name, value) in [
        ("a quoted cookie", format!("\"{access}\"")),
        ("bad base64", format!("{access}!!")),
        ("an empty cookie", String::new()),
        ("a large cookie", "x".repeat(5_000)),
    ] {
        let ask = get().with("cookie", &format!("{ACCESS}={value}"));
        run.refused(name, ask, 401, "bad_jwt").await?;
    }
    let other = get().with("cookie", &format!("aurora-access={access}"));
    run.refused("another name", other, 401, "no_authorization").await?;
    Ok(())
}

async fn over(run: &mut Run<'_>, first: &str, token: &str) -> Result<()> {
    let refresh = Ask::new("POST", "/auth/v1/token?grant_type=refresh_token").dated();
    let ask = refresh.clone().with("cookie", first);
    run.refused("a refresh without the token", own(ask.clone()), 403, "csrf_token_invalid").await?;
    let next = run.ask("a refresh", own(ask.with("x-csrf-token", token)), 200).await?;
    let next = jar(&set(&next));
    expect("other cookies", next != first && !next.is_empty())?;
    let out = || Ask::new("POST", "/auth/v1/logout?scope=local").dated().with("cookie", &next);
    run.refused("sign-out by a foreign page", cross(out()), 403, "origin_not_allowed").await?;
    run.refused("sign-out without the token", own(out()), 403, "csrf_token_invalid").await?;
    let gone = run.ask("sign-out", own(out()).with("x-csrf-token", token), 204).await?;
    let taken = set(&gone);
    expect("all are taken away", taken.len() == 3 && taken.iter().all(|line| line.contains("Max-Age=0")))?;
    let after = own(Ask::get("/me")).dated().with("cookie", &next);
    run.refused("its cookie", after, 401, "session_not_found").await?;
    let after = own(refresh).with("cookie", &next).with("x-csrf-token", token);
    run.refused("its refresh", after, 400, "refresh_token_not_found").await?;
    Ok(())
}
