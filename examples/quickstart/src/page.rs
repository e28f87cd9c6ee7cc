//! The page at `/`: its files are built into the binary, under a policy that runs no inline script or style, and
//! lets no text become markup.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// `data:` is the QR code of an authenticator app, shown as an image.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The page and what it loads.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../page/index.html")))
        .route("/app.css", file("text/css; charset=utf-8", include_str!("../page/app.css")))
        .route("/app.js", script(include_str!("../page/app.js")))
        .route("/account.js", script(include_str!("../page/account.js")))
        .route("/door.js", script(include_str!("../page/door.js")))
        .route("/links.js", script(include_str!("../page/links.js")))
        .route("/session.js", script(include_str!("../page/session.js")))
        .route("/ui.js", script(include_str!("../page/ui.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../page/icon.svg")))
}

fn script(text: &'static str) -> axum::routing::MethodRouter {
    file("text/javascript; charset=utf-8", text)
}

fn file(media_type: &'static str, text: &'static str) -> axum::routing::MethodRouter {
    get(move || async move {
        let headers = [
            (CONTENT_TYPE, media_type),
            (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, text).into_response()
    })
}
