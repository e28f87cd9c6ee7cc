use std::any::Any;

use serde::de::DeserializeOwned;

use super::bearer::no_bearer;
use crate::types::{Claims, Error, Principal, Result, SessionId, UserId};

/// A signed-in user, with the claims of their token read as `C`.
#[derive(Clone, Debug)]
pub struct Current<C> {
    user: UserId,
    session: SessionId,
    principal: Principal,
    claims: C,
}

impl<C> Current<C> {
    /// `sub`.
    pub fn id(&self) -> UserId {
        self.user
    }

    /// `session_id`.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Who that is to policies, roles and second factors: [`Principal::has_role`], [`Principal::assurance`],
    /// [`Principal::factor_used_at`].
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The claims.
    pub fn claims(&self) -> &C {
        &self.claims
    }
}

impl<C: DeserializeOwned + 'static> Current<C> {
    /// The signed-in user that `principal` is. [`Code::NoAuthorization`](crate::types::Code::NoAuthorization) for
    /// whoever is none: nobody, and the service itself. Claims that do not read as `C` are our own failure.
    pub fn of(principal: &Principal) -> Result<Self> {
        let user = principal.user_id().zip(principal.session_id());
        let (user, session) = user.ok_or_else(no_bearer)?;
        // What most ask for was read for an earlier request of the token.
        let mut known: Option<C> = None;
        if let Some(usual) = (&mut known as &mut dyn Any).downcast_mut::<Option<Claims>>() {
            *usual = principal.usual_claims().cloned();
        }
        let claims = match known {
            Some(claims) => claims,
            None => serde_json::from_str(principal.claims()).map_err(Error::internal)?,
        };
        Ok(Self { user, session, principal: principal.clone(), claims })
    }
}
