use std::ops::Deref;
use std::time::Duration;

use aurora_core::Aurora;
use aurora_core::guard::{self, Load};
use aurora_core::http::{Admitted, Claims, Current, Unread, read_json, tell_invalid};
use aurora_core::types::{self, Principal};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use validator::Validate;

use crate::error::Error;
use crate::layer::peer;

/// Who asks: anonymous without a token, in public routes.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

/// The signed-in user, with the claims of their token read as `C`. Anonymous: 401.
#[derive(Clone, Debug)]
pub struct CurrentUser<C = Claims>(Current<C>);

impl<C> Deref for CurrentUser<C> {
    type Target = Current<C>;

    fn deref(&self) -> &Current<C> {
        &self.0
    }
}

/// The signed-in user, if a second factor was used within so many seconds. Else 403 `insufficient_aal`, with what is
/// wanted in `step_up`: `async fn pay(_: Fresh<300>, ..)`.
#[derive(Clone, Debug)]
pub struct Fresh<const SECONDS: u64, C = Claims>(Current<C>);

impl<const SECONDS: u64, C> Deref for Fresh<SECONDS, C> {
    type Target = Current<C>;

    fn deref(&self) -> &Current<C> {
        &self.0
    }
}

/// The database as the caller sees it: [`aurora_core::guard::Guarded`], no connection yet.
#[derive(Clone, Debug)]
pub struct Guarded(guard::Guarded);

impl Deref for Guarded {
    type Target = guard::Guarded;

    fn deref(&self) -> &guard::Guarded {
        &self.0
    }
}

/// What the path names by its id, read as the caller: `Owned(note): Owned<Note>`. Whatever they may not see is not
/// there, and neither is an id of another shape: 404.
#[derive(Clone, Copy, Debug)]
pub struct Owned<T>(pub T);

/// A body that was read strictly and validated: `Valid(Json(new)): Valid<Json<NewNote>>`. The error names each field.
#[derive(Clone, Copy, Debug)]
pub struct Valid<T>(pub T);

/// Core's answer to who asks, given once a request.
async fn admitted(parts: &mut Parts) -> Result<Admitted, Error> {
    if let Some(admitted) = parts.extensions.get::<Admitted>() {
        return Ok(admitted.clone());
    }
    let admitted = aurora(parts)?.http().admit(parts, peer(&parts.extensions)).await;
    let admitted = admitted.map_err(|rejection| Error::from(rejection.into_error()))?;
    parts.extensions.insert(admitted.clone());
    Ok(admitted)
}

fn aurora(parts: &Parts) -> Result<Aurora, Error> {
    let missing =
        || types::Error::internal("this route is served outside of aurora_axum::secure or AuroraLayer");
    Ok(parts.extensions.get::<Aurora>().cloned().ok_or_else(missing)?)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(admitted(parts).await?.principal().clone()))
    }
}

impl<S: Sync, C: DeserializeOwned + 'static> FromRequestParts<S> for CurrentUser<C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(admitted(parts).await?.current()?))
    }
}

impl<S: Sync, const SECONDS: u64, C: DeserializeOwned + 'static> FromRequestParts<S> for Fresh<SECONDS, C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(admitted(parts).await?.fresh(Duration::from_secs(SECONDS))?))
    }
}

impl<S: Sync> FromRequestParts<S> for Guarded {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let principal = admitted(parts).await?.principal().clone();
        Ok(Self(aurora(parts)?.guarded(principal)))
    }
}

impl<S: Send + Sync, T: Load> FromRequestParts<S> for Owned<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Guarded(db) = Guarded::from_request_parts(parts, state).await?;
        let path = RawPathParams::from_request_parts(parts, state).await.ok();
        let id = path.iter().flatten().find(|(name, _)| *name == T::PARAMETER).map(|(_, id)| id);
        Ok(Self(db.owned(id).await?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Valid<Json<T>> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
            if large { Unread::TooLarge.error() } else { Unread::BrokenOff.error() }
        })?;
        let value: T = read_json(&headers, &body)?;
        value.validate().map_err(|errors| tell_invalid(&errors))?;
        Ok(Self(Json(value)))
    }
}
