use std::fmt;
use std::sync::Arc;

use super::{SessionId, TenantId, UserId};

/// The database role a principal acts in, as in Supabase.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Nobody signed in.
    Anon,
    /// A signed-in user.
    Authenticated,
    /// The service itself: skips row policies, as PostgreSQL's BYPASSRLS does.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Anon, Role::Authenticated, Role::Service];

    /// The role's name in tokens, policies and grants.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Anon => "anon",
            Role::Authenticated => "authenticated",
            Role::Service => "service_role",
        }
    }
}

/// Who acts: a role, and for a signed-in user their id, session, tenant and claims. Cheap to clone.
///
/// The claims are what `auth.jwt()` answers in a policy; `Debug` leaves them out.
#[derive(Clone)]
pub struct Principal(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    role: Role,
    user: Option<UserId>,
    session: Option<SessionId>,
    tenant: Option<TenantId>,
    /// A JSON object, as text.
    claims: Arc<str>,
    reads_only: bool,
}

impl Principal {
    /// Nobody signed in.
    pub fn anonymous() -> Self {
        Self::build(Role::Anon, None, None, None, Arc::from(r#"{"role":"anon"}"#))
    }

    /// A user, for jobs and tests: role `authenticated`, claims `sub` and `role` only.
    pub fn user(id: UserId) -> Self {
        let claims = format!(r#"{{"sub":"{id}","role":"authenticated"}}"#);
        Self::build(Role::Authenticated, Some(id), None, None, Arc::from(claims))
    }

    /// The service itself. Only code that holds a service key, or the host's own jobs, may become this.
    pub(crate) fn service() -> Self {
        Self::build(Role::Service, None, None, None, Arc::from(r#"{"role":"service_role"}"#))
    }

    /// A user as their verified access token names them. `claims` is the token's payload, a JSON object.
    pub(crate) fn signed_in(user: UserId, session: SessionId, claims: Arc<str>) -> Self {
        Self::build(Role::Authenticated, Some(user), Some(session), None, claims)
    }

    /// The same user with these claims beside `sub` and `role`, for jobs, tests and explanations: what `auth.jwt()`
    /// answers. `None` if the text is no JSON object.
    #[must_use]
    pub fn with_claims(&self, claims: &str) -> Option<Self> {
        use serde_json::{Map, Value};
        let inner = &self.0;
        let mut merged: Map<String, Value> = serde_json::from_str(claims).ok()?;
        let own: Map<String, Value> = serde_json::from_str(&inner.claims).unwrap_or_default();
        // Who it is stays as it was: a claim never makes another user or role.
        merged.retain(|name, _| name != "sub" && name != "role");
        merged.extend(own.into_iter().filter(|(name, _)| name == "sub" || name == "role"));
        let claims = Arc::from(Value::Object(merged).to_string());
        Some(Self(Arc::new(Inner { claims, ..Inner::clone(inner) })))
    }

    /// The same principal within a tenant.
    #[must_use]
    pub fn in_tenant(&self, tenant: TenantId) -> Self {
        Self(Arc::new(Inner { tenant: Some(tenant), ..Inner::clone(&self.0) }))
    }

    /// The same principal where nothing may change: a guarded statement of theirs that writes is refused
    /// ([`Code::ReadOnlyTransaction`](super::Code::ReadOnlyTransaction)). What a cookie stands for in a GET: any page
    /// can have a browser send one.
    #[must_use]
    pub fn to_read(&self) -> Self {
        Self(Arc::new(Inner { reads_only: true, ..Inner::clone(&self.0) }))
    }

    /// Whether it is here to read.
    pub fn reads_only(&self) -> bool {
        self.0.reads_only
    }

    fn build(
        role: Role,
        user: Option<UserId>,
        session: Option<SessionId>,
        tenant: Option<TenantId>,
        claims: Arc<str>,
    ) -> Self {
        Self(Arc::new(Inner { role, user, session, tenant, claims, reads_only: false }))
    }

    /// The role it acts in.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The signed-in user.
    pub fn user_id(&self) -> Option<UserId> {
        self.0.user
    }

    /// The session behind the token.
    pub fn session_id(&self) -> Option<SessionId> {
        self.0.session
    }

    /// The tenant it belongs to.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.0.tenant.as_ref()
    }

    /// The claims as a JSON object.
    pub fn claims(&self) -> &str {
        &self.0.claims
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("role", &self.0.role)
            .field("user", &self.0.user)
            .field("session", &self.0.session)
            .field("tenant", &self.0.tenant)
            .finish_non_exhaustive()
    }
}
