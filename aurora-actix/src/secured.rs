use std::fmt;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, PayloadConfig, ServiceConfig};
use actix_web::{App, HttpResponse};
use aurora_core::Aurora;
use aurora_core::http::Limits;

use crate::door::{door, lock};

type Routes = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// An application whose private routes are locked. Only [`serve`](crate::serve) and [`Secured::app`] take it.
///
/// Nothing can be added that would stand outside of the lock unseen:
/// ```compile_fail
/// # async fn data() -> &'static str { "" }
/// # fn check(app: aurora_actix::Secured) {
/// let app = app.route("/forgotten", actix_web::web::get().to(data));
/// # }
/// ```
#[derive(Clone)]
#[must_use = "hand it to aurora_actix::serve"]
pub struct Secured {
    pub(crate) aurora: Aurora,
    private: Routes,
    public: Routes,
    beside: Routes,
}

/// Locks `private`: every route, scope, service and default service in it, for every method, wants a signed-in user
/// or the service itself. Runs once in each of the server's workers.
pub fn secure(aurora: &Aurora, private: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Secured {
    Secured {
        aurora: aurora.clone(),
        private: Arc::new(private),
        public: Arc::new(|_| {}),
        beside: Arc::new(|_| {}),
    }
}

impl Secured {
    /// Adds routes that anyone may call.
    pub fn public(mut self, public: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        let before = std::mem::replace(&mut self.public, Arc::new(|_| {}));
        self.public = Arc::new(move |app| {
            before(app);
            public(app);
        });
        self
    }

    /// Adds data that all handlers share (`app_data`). Routes that are added here are public.
    pub fn configure(mut self, beside: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        let before = std::mem::replace(&mut self.beside, Arc::new(|_| {}));
        self.beside = Arc::new(move |app| {
            before(app);
            beside(app);
        });
        self
    }

    /// The application of one worker, for other servers and for tests.
    pub fn app(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + use<>,
    > {
        let (private, public, beside) = (&*self.private, &*self.public, &*self.beside);
        let aurora = self.aurora.clone();
        let locked = web::scope("")
            .wrap(from_fn(lock))
            // What the host says about unknown paths in its own routes comes after, and counts.
            .default_service(web::to(HttpResponse::NotFound))
            .configure(|app| private(app));
        App::new()
            .app_data(PayloadConfig::new(Limits::WRITTEN.host_body))
            .configure(|app| beside(app))
            .configure(|app| public(app))
            .service(locked)
            .wrap(from_fn(move |request, next| door(aurora.clone(), request, next)))
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("aurora", &self.aurora).finish_non_exhaustive()
    }
}
