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

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page and what it loads: path, media type, text.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("/app.css", "text/css; charset=utf-8", include_str!("../page/app.css")),
    ("/app.js", SCRIPT, include_str!("../page/app.js")),
    ("/account.js", SCRIPT, include_str!("../page/account.js")),
    ("/door.js", SCRIPT, include_str!("../page/door.js")),
    ("/links.js", SCRIPT, include_str!("../page/links.js")),
    ("/session.js", SCRIPT, include_str!("../page/session.js")),
    ("/ui.js", SCRIPT, include_str!("../page/ui.js")),
    ("/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
];

/// A route for each of them.
pub(crate) fn routes() -> Router {
    FILES
        .iter()
        .fold(Router::new(), |router, &(path, media_type, text)| router.route(path, file(media_type, text)))
}

/// Their paths.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|&(path, ..)| path)
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
