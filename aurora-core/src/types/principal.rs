use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Code, Error, SessionId, TenantId, UserId};

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
    /// What they say of roles, read when it is first asked for.
    held: OnceLock<Held>,
    /// What most handlers ask of them, likewise; `None` if they do not read so.
    usual: OnceLock<Option<Claims>>,
}

/// The claims that most handlers ask for. `user_metadata` is not among them: the user writes it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The address; empty when there is none.
    pub email: String,
    /// Signed in without an address.
    pub is_anonymous: bool,
    /// `aal2` after a second factor.
    pub aal: String,
}

/// What the claims say of roles.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default)]
struct Held {
    user_roles: Vec<String>,
    user_permissions: Vec<String>,
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

    /// A user within a session, with the claims `sub` and `role` only.
    pub(crate) fn user_of_session(id: UserId, session: SessionId) -> Self {
        let claims = format!(r#"{{"sub":"{id}","role":"authenticated"}}"#);
        Self::build(Role::Authenticated, Some(id), Some(session), None, Arc::from(claims))
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
        Some(Self(Arc::new(Inner {
            claims,
            held: OnceLock::new(),
            usual: OnceLock::new(),
            ..Inner::clone(inner)
        })))
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
        Self(Arc::new(Inner {
            role,
            user,
            session,
            tenant,
            claims,
            held: OnceLock::new(),
            usual: OnceLock::new(),
            reads_only: false,
        }))
    }

    /// Whether the user holds that role of the service's own (`user_roles` of the claims). The service itself is no
    /// user and holds none.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.role == Role::Authenticated && self.held().user_roles.iter().any(|held| held == role)
    }

    /// Whether one of the user's roles gives that permission (`user_permissions`). The service itself has them all:
    /// whoever holds its key is past every policy anyway.
    pub fn has_permission(&self, permission: &str) -> bool {
        match self.0.role {
            Role::Anon => false,
            Role::Authenticated => self.held().user_permissions.iter().any(|held| held == permission),
            Role::Service => true,
        }
    }

    /// The same for a handler: [`Code::InsufficientPrivilege`], 403, without the permission.
    pub fn require_permission(&self, permission: &str) -> Result<(), Error> {
        if self.has_permission(permission) {
            return Ok(());
        }
        let cause = format!("the permission {permission} is missing");
        Err(Error::new(Code::InsufficientPrivilege, "permission denied").with_source(cause))
    }

    /// The user's roles, by name.
    pub fn roles(&self) -> &[String] {
        match self.0.role {
            Role::Authenticated => &self.held().user_roles,
            Role::Anon | Role::Service => &[],
        }
    }

    /// Claims that do not read so give nothing.
    fn held(&self) -> &Held {
        self.0.held.get_or_init(|| serde_json::from_str(&self.0.claims).unwrap_or_default())
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

    /// The claims that most handlers ask for; `None` if they do not read so. Read once for all requests of a token.
    pub fn usual_claims(&self) -> Option<&Claims> {
        self.0.usual.get_or_init(|| serde_json::from_str(&self.0.claims).ok()).as_ref()
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
