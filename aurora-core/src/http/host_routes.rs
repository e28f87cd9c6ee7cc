use super::Limits;

/// Who gets past the door of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anyone.
    Public,
    /// A signed-in user.
    User,
    /// The service's own key.
    Service,
    /// A signed-in user or the service's own key: what `secure` locks.
    Locked,
}

impl Access {
    /// The word in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::User => "user",
            Self::Service => "service",
            Self::Locked => "user or service",
        }
    }
}

/// A route that the host says it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostRoute {
    /// `GET`.
    pub method: &'static str,
    /// As the host's framework is given it: `/notes/{id}`.
    pub path: String,
    /// Whether it stands behind the lock.
    pub access: Access,
    /// What it asks for beside a session: `aal2`, or `fresh 10 min`.
    pub factor: Option<String>,
    /// What counts its requests, in the host's words.
    pub limit: Option<String>,
    /// The largest body, in bytes.
    pub body: usize,
}

/// The host's own routes, as it declares them for `aurora routes` and for the tests that go over them
/// ([`testing::http::undeclared`](crate::testing::http::undeclared),
/// [`testing::http::refuses_strangers`](crate::testing::http::refuses_strangers)).
///
/// Neither axum nor actix lists what a router holds, so this table is the host's word. It opens nothing and locks
/// nothing: what was handed to `secure` is locked whether or not it stands here.
///
/// ```
/// use aurora_core::http::HostRoutes;
/// let routes = HostRoutes::new()
///     .private("GET", "/notes")
///     .private("POST", "/notes")
///     .private("DELETE", "/notes/{id}").factor("aal2")
///     .public("GET", "/health").limit("60/min by the proxy");
/// assert_eq!(routes.iter().count(), 4);
/// ```
#[derive(Clone, Default, Debug)]
pub struct HostRoutes(Vec<HostRoute>);

impl HostRoutes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A route behind the lock.
    #[must_use]
    pub fn private(self, method: &'static str, path: &str) -> Self {
        self.with(method, path, Access::Locked)
    }

    /// A route that anyone may call.
    #[must_use]
    pub fn public(self, method: &'static str, path: &str) -> Self {
        self.with(method, path, Access::Public)
    }

    /// Says of the last one what it asks for beside a session.
    #[must_use]
    pub fn factor(mut self, factor: &str) -> Self {
        if let Some(route) = self.0.last_mut() {
            route.factor = Some(factor.to_owned());
        }
        self
    }

    /// Says of the last one what counts its requests.
    #[must_use]
    pub fn limit(mut self, limit: &str) -> Self {
        if let Some(route) = self.0.last_mut() {
            route.limit = Some(limit.to_owned());
        }
        self
    }

    /// Says of the last one how large a body may be, in bytes; else it is [`Limits::host_body`].
    #[must_use]
    pub fn body(mut self, bytes: usize) -> Self {
        if let Some(route) = self.0.last_mut() {
            route.body = bytes;
        }
        self
    }

    /// The routes, as they were declared.
    pub fn iter(&self) -> impl Iterator<Item = &HostRoute> {
        self.0.iter()
    }

    fn with(mut self, method: &'static str, path: &str, access: Access) -> Self {
        let body = Limits::WRITTEN.host_body;
        self.0.push(HostRoute { method, path: path.to_owned(), access, factor: None, limit: None, body });
        self
    }
}
