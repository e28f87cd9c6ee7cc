use std::any::{Any, TypeId};

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
        let usual = (TypeId::of::<C>() == TypeId::of::<Claims>()).then(|| principal.usual_claims());
        let usual = usual.flatten().cloned().map(|claims| (Box::new(claims) as Box<dyn Any>).downcast::<C>());
        let claims = match usual {
            Some(Ok(claims)) => *claims,
            _ => serde_json::from_str(principal.claims()).map_err(Error::internal)?,
        };
        Ok(Self { user, session, principal: principal.clone(), claims })
    }
}
