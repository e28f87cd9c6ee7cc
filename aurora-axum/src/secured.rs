use std::convert::Infallible;

use aurora_core::Aurora;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use tower::{Layer, Service, ServiceExt};

use crate::layer::{AuroraLayer, conceal};

/// An application whose private routes are locked. Only [`serve`](crate::serve) and [`Secured::into_service`] take it.
///
/// Nothing can be added that would stand outside of the lock unseen:
/// ```compile_fail
/// # async fn data() -> &'static str { "" }
/// # fn check(app: aurora_axum::Secured) {
/// let app = app.route("/forgotten", axum::routing::get(data));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "hand it to aurora_axum::serve"]
pub struct Secured {
    pub(crate) aurora: Aurora,
    pub(crate) router: Router,
}

/// Locks `private`: every route, nested router, service and fallback in it, for every method, wants a signed-in user
/// or the service itself. The host's state is already in it (`.with_state(..)`).
pub fn secure(aurora: &Aurora, private: Router) -> Secured {
    Secured { aurora: aurora.clone(), router: private.layer(AuroraLayer::new(aurora)) }
}

impl Secured {
    /// Adds routes that anyone may call.
    ///
    /// # Panics
    /// At start, with axum's message, when a path and method stand in both, or both have a fallback.
    pub fn public(self, public: Router) -> Self {
        let public = public.layer(AuroraLayer { aurora: self.aurora.clone(), locked: false });
        // This way around: of two default fallbacks axum keeps the second one's, and ours is behind the lock.
        Self { router: public.merge(self.router), aurora: self.aurora }
    }

    /// Wraps everything so far, our own routes included: trace, compression, a timeout. The last one added is
    /// outermost.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route, Service: Clone + Send + Sync + 'static> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Response: IntoResponse + 'static, Future: Send + 'static>,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
    {
        Self { router: self.router.layer(layer), aurora: self.aurora }
    }

    /// The application as a service without a router's methods, for other servers and for tests.
    pub fn into_service(
        self,
    ) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send
    {
        ServiceExt::<Request<Body>>::map_response(self.router, conceal)
    }
}
