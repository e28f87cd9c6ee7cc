//! The wire: Supabase Auth's protocol, and the door before the host's own routes. No framework in sight.
//!
//! An adapter translates requests and responses and calls two functions: [`Http::call`] for our routes,
//! [`Http::admit`] for the host's. Whatever decides (status codes, headers, error shapes) stands here.
//!
//! 1. [`Http::call`] is total: every failure is a response, a panic in a host's hook included.
//! 2. A path is matched as it is written. `//token`, `/token/` and `/Token` are not our routes.
//! 3. A token counts in one place only, the `Authorization` header, once. In a query it is ignored.
//!    Where the settings put sessions in cookies, a request without that header is whose its cookie says; the two
//!    never mix. What a cookie signs changes something only where the browser says that the site's own page asks,
//!    and with the token of its session (`X-CSRF-Token`).
//! 4. Application keys are matched by their hash, in constant time, and never parsed; whoever sends one is an
//!    application, not a user.
//!    The use of a service key is recorded before it opens anything, once per key, address and minute.
//! 5. A body is JSON and says so, or it is refused before it is read: a foreign page cannot send that without
//!    asking first (CORS). Origins are compared whole.
//!    In development only names of this machine are answered to, against DNS rebinding; in production the own
//!    origin is `site_url`'s, whatever `Host` says.
//! 6. A preflight is answered before anything else is asked.
//! 7. No answer may be stored; every failure of ours carries the request's id.
//! 8. In development every failure says why (`reason`, `x-aurora-reason`): the causes behind the safe sentence, on
//!    one line, without a secret. Production says the safe sentence alone.
//! 9. The mailbox page is there in development alone, while no mailer is set.
//! 10. On a refresh overload, contention and limits are 503: the official client signs its user out on a 4xx.
//!
//! Behind a proxy that was not declared, every client has the proxy's address and shares its limits.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aurora_core::types::Result<()> {
//! # use aurora_core::{Aurora, Database, config::Profile, testing::TestClient};
//! # let dir = std::env::temp_dir().join(format!("aurora-doc-http-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! # let url = format!("sqlite://{}", dir.join("app.db").display());
//! # let aurora = Aurora::builder().profile(Profile::Development).database(Database::url(&url)?).build().await?;
//! use aurora_core::http::Peer;
//! let ann = TestClient::new(&aurora).sign_in("ann@example.com").await?;
//! let peer = Peer::from(std::net::IpAddr::from([127, 0, 0, 1]));
//! let ask = http::Request::get("/auth/v1/user").header("authorization", ann.authorization());
//! assert_eq!(aurora.http().call(ask.body(Vec::new()).unwrap(), peer).await.status(), 200);
//! let ask = http::Request::get("/auth/v1/user").body(Vec::new()).unwrap();
//! assert_eq!(aurora.http().call(ask, peer).await.status(), 401);
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok(())
//! # }
//! ```

mod admin;
mod admit;
mod body;
mod call;
mod client_keys;
mod cookie_session;
mod cookies;
mod cors;
mod csrf;
mod ended;
mod factors;
mod files;
mod handlers;
mod hardening;
mod host_routes;
mod keys;
mod limits;
mod mailbox;
mod mailed;
mod peer;
mod phone;
mod reason;
mod request_ids;
mod route_report;
mod routes;
mod service_use;
mod tls;
mod verify_page;

pub use admit::{Admitted, Rejection};
pub use body::{read_json, tell_invalid};
pub use call::Http;
pub use ended::interrupted;
pub use files::{FileBody, FileRoute, Pieces, arriving};
pub use host_routes::{Access, HostRoute, HostRoutes};
pub use limits::{Limits, Unread};
pub use peer::Peer;
pub use route_report::RouteReport;
pub use routes::Route;
#[cfg(feature = "acme")]
pub use tls::Acme;
pub use tls::{Socket, Tls, Transport};

pub use crate::verify::{ApiVersion, Claims, Current, contain, error_response};

use crate::verify::render;
