//! A notes app with teams: who sees which row stands in `policies.sql`, not in the handlers.

mod notes;
mod page;
mod settings;
mod teams;
#[cfg(test)]
mod tests;

use std::path::Path;

use aurora_axum::config::{Autoconfirm, CookieSessions};
use aurora_axum::files::BucketRules;
use aurora_axum::{Aurora, Builder, Database, HostRoutes, Migrations, Profile, Secured, Tls};
use axum::Router;
use axum::routing::get;

use settings::Settings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::from_environment()?;
    let mut builder = service(&settings.database_url, &settings.key_file)?
        .site_url(settings.site_url.clone())
        .configure({
            let (confirm, service_key) = (settings.confirm_emails, settings.service_key.clone());
            let (cookies, app) = (settings.cookie_sessions, settings.app_origin.clone());
            let anonymous = settings.anonymous;
            let origin = app.as_deref().map(str::parse).transpose()?;
            move |chosen| {
                if cookies {
                    chosen.cookies = CookieSessions::On;
                }
                chosen.sign_ups.anonymous = anonymous;
                chosen.redirects.extend(app.map(|app| format!("{app}/**")));
                chosen.cors_origins.extend(origin);
                if confirm {
                    chosen.sign_ups.autoconfirm = Autoconfirm::Off;
                }
                if let Some(key) = service_key {
                    // With a key, any other `apikey` is refused. Clients send this one; everyone may know it.
                    chosen.api_keys.anon.push("sb_publishable_quickstart".into());
                    chosen.api_keys.service.push(key.into());
                }
            }
        })
        .routes(routes());
    if let Some(tls) = &settings.tls {
        builder = builder.tls(tls.clone());
    }
    // What a Supabase project brings along; docs/guide/from-supabase.md.
    if let Some(url) = &settings.api_url {
        builder = builder.api_url(url);
    }
    if let Some(secret) = &settings.jwt_secret {
        builder = builder.shared_secret(secret.as_str().into());
    }
    if let Some(keys) = &settings.jwt_keys {
        builder = builder.jwt_keys(keys.as_str().into());
    }
    let Some(aurora) = aurora_axum::cli::run(builder).await? else { return Ok(()) };

    settings.greet("Aurora notes");
    if let Some(files) = aurora.files() {
        let five_megabytes = BucketRules { file_size_limit: Some(5_000_000), ..BucketRules::default() };
        files.ensure_bucket(&"attachments".parse()?, &five_megabytes).await?;
    }
    aurora_axum::serve(app(&aurora), settings.address).await?;
    Ok(())
}

/// Its tables and their policies, in a database and with a key file.
fn service(database_url: &str, key_file: &Path) -> aurora_axum::Result<Builder> {
    Ok(Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(database_url)?)
        .key_file(key_file)
        .files(key_file.with_file_name("files"))
        .migrations(Migrations {
            sqlite: sqlx::migrate!("./migrations/sqlite"),
            postgres: sqlx::migrate!("./migrations/postgres"),
        })
        .policies("policies.sql", include_str!("../policies.sql")))
}

/// What is behind the lock, and what is before it.
fn app(aurora: &Aurora) -> Secured {
    let private = Router::new()
        .route("/notes", get(notes::list).post(notes::create))
        .route("/notes/{id}", get(notes::read).patch(notes::update).delete(notes::delete))
        .route("/teams", get(teams::list).post(teams::create))
        .route("/teams/{id}/members", get(teams::members).post(teams::add_member));
    let public = page::routes().route("/public/notes", get(notes::list));
    aurora_axum::secure(aurora, private).public(public)
}

/// What `aurora routes` lists beside Aurora's own, and what `tests.rs` goes over.
fn routes() -> HostRoutes {
    let api = HostRoutes::new()
        .private("GET", "/notes")
        .private("POST", "/notes")
        .private("GET", "/notes/{id}")
        .private("PATCH", "/notes/{id}")
        .private("DELETE", "/notes/{id}")
        .private("GET", "/teams")
        .private("POST", "/teams")
        .private("GET", "/teams/{id}/members")
        .private("POST", "/teams/{id}/members")
        .public("GET", "/public/notes");
    page::paths().fold(api, |routes, path| routes.public("GET", path))
}
