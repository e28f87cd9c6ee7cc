use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Json, Path};
use actix_web::{FromRequest, HttpRequest};
use aurora_core::guard::{self, Load};
use aurora_core::http::{Claims, Current, Unread, read_json, tell_invalid};
use aurora_core::types::Principal;
use serde::de::DeserializeOwned;
use validator::Validate;

use crate::door::Carried;
use crate::error::Error;

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Error>>>>;

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

impl FromRequest for Caller {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracted<Self> {
        let carried = Carried::of(request);
        Box::pin(async move { Ok(Self(carried?.admitted().await?.principal().clone())) })
    }
}

impl<C: DeserializeOwned + 'static> FromRequest for CurrentUser<C> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracted<Self> {
        let carried = Carried::of(request);
        Box::pin(async move { Ok(Self(carried?.admitted().await?.current()?)) })
    }
}

impl<const SECONDS: u64, C: DeserializeOwned + 'static> FromRequest for Fresh<SECONDS, C> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracted<Self> {
        let carried = Carried::of(request);
        Box::pin(async move { Ok(Self(carried?.admitted().await?.fresh(Duration::from_secs(SECONDS))?)) })
    }
}

impl FromRequest for Guarded {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracted<Self> {
        let carried = Carried::of(request);
        Box::pin(async move {
            let carried = carried?;
            let principal = carried.admitted().await?.principal().clone();
            Ok(Self(carried.aurora.guarded(principal)))
        })
    }
}

impl<T: Load + 'static> FromRequest for Owned<T> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Extracted<Self> {
        let db = Guarded::from_request(request, payload);
        // As `web::Path` decodes it: in one handler both name the same row.
        let at = request.match_info().iter().position(|(name, _)| name == T::PARAMETER);
        let values = Path::<Vec<String>>::from_request(request, payload).into_inner();
        let id = at.zip(values.ok()).and_then(|(at, values)| values.into_inner().into_iter().nth(at));
        Box::pin(async move { Ok(Self(db.await?.owned(id.as_deref()).await?)) })
    }
}

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Valid<Json<T>> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Extracted<Self> {
        let carried = Carried::of(request);
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let carried = carried?;
            let body = body.await.map_err(|error| {
                let large = error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE;
                if large { Unread::TooLarge.error() } else { Unread::BrokenOff.error() }
            })?;
            let value: T = read_json(&carried.head.headers, &body)?;
            value.validate().map_err(|errors| tell_invalid(&errors))?;
            Ok(Self(Json(value)))
        })
    }
}
