//! Keys of applications that were made, in front of Aurora's routes and the host's.

use super::wire::Ask;
use super::{Run, expect};
use crate::auth::NewApiKey;
use crate::session::{ApiKeyKind, ApiScope};
use crate::types::Result;

/// The last of all: from the first key on, `apikey` means something.
pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let auth = run.served.aurora.auth().clone();
    let new = |kind: ApiKeyKind, scopes: &[ApiScope]| NewApiKey {
        kind,
        name: "conformance".to_owned(),
        scopes: scopes.to_vec(),
    };
    let (_, everyone) = auth.create_api_key(new(ApiKeyKind::Publishable, &[])).await?;
    let (jobs, data) = auth.create_api_key(new(ApiKeyKind::Secret, &[ApiScope::Data])).await?;
    let (_, admin) = auth.create_api_key(new(ApiKeyKind::Secret, &[ApiScope::Auth])).await?;
    let (everyone, data, admin) = (everyone.expose(), data.expose(), admin.expose());
    let with = |path: &str, key: &str| Ask::get(path).with("apikey", key).bearer(key).dated();
    run.ask("a publishable key, where everybody may", with("/public", everyone), 200).await?;
    run.refused("a publishable key, where a user must", with("/notes", everyone), 401, "no_authorization")
        .await?;
    run.ask("a secret key for data", with("/notes", data), 200).await?;
    run.refused("the same, for users", with("/auth/v1/admin/users", data), 403, "not_admin").await?;
    run.refused("a secret key for users, on data", with("/notes", admin), 403, "not_admin").await?;
    run.ask("the same, for users", with("/auth/v1/admin/users?per_page=1", admin), 200).await?;
    let page = with("/notes", data).with("user-agent", "Mozilla/5.0");
    let told = run.refused("a secret key in a browser", page, 401, "no_authorization").await?;
    expect("it is told", String::from_utf8_lossy(&told.body).contains("in browser"))?;
    auth.revoke_api_key(jobs.id).await?;
    run.refused("a revoked key", with("/notes", data), 401, "no_authorization").await?;
    run.refused("a key that nobody made", with("/public", "sb_secret_x"), 401, "no_authorization").await?;
    Ok(())
}
