//! What a browser is told not to do with an answer.

use super::wire::{Answer, Ask};
use super::{OWN, Run, expect};
use crate::types::Result;

const FIXED: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-site"),
    ("cross-origin-opener-policy", "same-origin-allow-popups"),
];
/// A file that everybody with its link may see is shown in other sites' pages, too.
const OF_LINKS: (&str, &str) = ("cross-origin-resource-policy", "cross-origin");

/// What every answer carries, whoever gave it: each of the names once.
pub(super) fn hardened(answer: &Answer) -> Result<(), String> {
    for (name, value) in FIXED {
        let linked = OF_LINKS.0 == name && answer.header(name) == Some(OF_LINKS.1);
        if answer.header(name) != Some(value) && !(linked && answer.header("etag").is_some()) {
            return Err(format!("{name} is {:?}", answer.header(name)));
        }
    }
    let names = FIXED.iter().chain(&OWN).map(|(name, _)| *name);
    for name in names.chain(["content-type", "cache-control"]) {
        let times = answer.headers.iter().filter(|(found, _)| found == name).count();
        let optional = ["content-type", "cache-control"].contains(&name);
        if times > 1 || times == 0 && !optional {
            return Err(format!("{name} stands there {times} times"));
        }
    }
    Ok(())
}

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let own = run.ask("a host's own headers", Ask::get("/own"), 200).await?;
    expect("the host's word counts", OWN.iter().all(|(name, value)| own.header(name) == Some(value)))?;
    let open = run.ask("a host that says nothing", Ask::get("/open"), 200).await?;
    let policy = Some("object-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    expect("no frame, no base, no plugin", open.header("content-security-policy") == policy)?;
    expect("nor in older browsers", open.header("x-frame-options") == Some("DENY"))?;
    expect("no path in a referrer", open.header("referrer-policy") == Some("same-origin"))?;
    let ours = run.ask("an answer of Aurora's", Ask::get("/auth/v1/health"), 200).await?;
    let policy = ours.header("content-security-policy").unwrap_or_default();
    expect("nothing runs in it", policy.starts_with("default-src 'none'") && policy.contains("sandbox"))?;
    expect("it is kept by nobody", ours.header("cache-control") == Some("no-store"))?;
    // A browser that was told would ask every service on this machine by TLS.
    expect("development says nothing of TLS", ours.header("strict-transport-security").is_none())
}
