use std::net::IpAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Http;
use super::admit::{Presented, no_bearer, single};
use super::body::{RefreshBody, read_json};
use super::cookies::{self, Name};
use super::csrf::{self, Effect};
use super::handlers::{Answer, ok};
use super::render::{empty_response, json_response};
use super::routes::{Operation, Route};
use crate::auth::{Forgery, IssuedSession, Scope};
use crate::session::Client;
use crate::types::{Code, Error, Principal, RequestId, Result, Role, Secret, SessionId};

/// How a client asks for cookies instead of tokens. A page of another origin cannot send it without asking first.
const SESSION: HeaderName = HeaderName::from_static("x-aurora-session");

/// Sessions in cookies, beside bearer tokens and never mixed with them.
impl Http {
    fn in_cookies(&self) -> bool {
        self.auth().settings().cookies.is_on()
    }

    /// Refuses an answer in cookies where there are none, and to a page that is not the site's own: it would sign its
    /// visitor in as somebody else.
    pub(super) fn check_delivery(&self, head: &Parts) -> Result<()> {
        match single(&head.headers, &SESSION)? {
            None => Ok(()),
            Some("cookie") if self.in_cookies() => self.cors().check_change(&head.uri, &head.headers),
            Some("cookie") => Err(Error::new(Code::ValidationFailed, "Cookie sessions are switched off")),
            Some(_) => Err(Error::new(Code::ValidationFailed, "`x-aurora-session` must be cookie")),
        }
    }

    /// A session as its client asked for it. Every flow that gives one ends here.
    pub(super) async fn give(&self, head: &Parts, session: &IssuedSession, client: &Client) -> Answer {
        if !head.headers.contains_key(SESSION) {
            return ok(session.to_json()?);
        }
        // ASVS 7.2.4: who signs in anew leaves no session behind that nobody holds any more.
        if let Some(old) = self.refresh_cookie(head)?
            && let Some(former) = self.auth().holder(&old).await?
            && former.session_id() != Some(session.id)
        {
            self.auth().sign_out(&former, Scope::Local, client).await?;
        }
        let given = self.give_cookies(session);
        if given.is_err() {
            // Nobody would hold it.
            let nobody = Principal::user_of_session(session.account.id(), session.id);
            self.auth().sign_out(&nobody, Scope::Local, client).await?;
        }
        given
    }

    /// A session that a second factor raised: in cookies to whoever has it in cookies, asked for or not.
    pub(super) async fn give_raised(&self, head: &Parts, session: &IssuedSession, client: &Client) -> Answer {
        if self.cookie(head, Name::Access)?.is_some() {
            return self.give_cookies(session);
        }
        self.give(head, session, client).await
    }

    fn give_cookies(&self, session: &IssuedSession) -> Answer {
        let token = self.auth().forgery_token(session.id);
        let mut told: Value = serde_json::from_str(&session.to_json()?).map_err(Error::internal)?;
        if let Value::Object(members) = &mut told {
            // ASVS 3.3.4: a script that was smuggled into a page finds no token to carry away.
            members.remove("access_token");
            members.remove("refresh_token");
            members.insert("token_type".to_owned(), json!("cookie"));
            members.insert("csrf_token".to_owned(), json!(token.expose()));
        }
        let mut response = json_response(StatusCode::OK, told.to_string());
        let lifetime = self.cookie_lifetime();
        for (name, value) in [
            (Name::Access, &session.access_token),
            (Name::Refresh, &session.refresh_token),
            (Name::Csrf, &token),
        ] {
            response.headers_mut().append(SET_COOKIE, cookies::set(name, value.expose(), lifetime)?);
        }
        Ok(response)
    }

    /// All three go together: an access token that has expired says so, instead of looking like nobody.
    fn cookie_lifetime(&self) -> Duration {
        let tokens = &self.auth().settings().tokens;
        tokens.idle_lifetime.min(tokens.absolute_lifetime)
    }

    /// A cookie's value, where cookies count: nothing else in the request says who asks.
    fn cookie<'a>(&self, head: &'a Parts, name: Name) -> Result<Option<&'a str>> {
        if !self.in_cookies() || head.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        match self.presented(&head.headers)? {
            Presented::Key(Role::Service, _) | Presented::Token(..) => Ok(None),
            Presented::Nothing | Presented::Key(..) => cookies::read(&head.headers, name),
        }
    }

    fn refresh_cookie(&self, head: &Parts) -> Result<Option<Secret>> {
        Ok(self.cookie(head, Name::Refresh)?.map(|text| Secret::new(text.to_owned())))
    }

    /// The user behind the request's cookie. `None` without one; an error for one that does not hold, or that a
    /// foreign page sent along.
    pub(super) async fn by_cookie(&self, head: &Parts, effect: Effect) -> Result<Option<Principal>> {
        let Some(token) = self.cookie(head, Name::Access)? else { return Ok(None) };
        match effect {
            Effect::Reads => self.cors().check_read(&head.method, &head.uri, &head.headers)?,
            Effect::Changes => self.cors().check_change(&head.uri, &head.headers)?,
        }
        let principal = self.auth().sessions().admit(token).await?;
        match effect {
            Effect::Reads => Ok(Some(principal.to_read())),
            Effect::Changes => {
                self.check_token(&head.headers, principal.session_id())?;
                Ok(Some(principal))
            }
        }
    }

    fn check_token(&self, headers: &HeaderMap, session: Option<SessionId>) -> Result<()> {
        let session = session.ok_or_else(no_bearer)?;
        csrf::check_token(headers, &self.auth().forgery_token(session))
    }

    /// The user behind a GET that all the same does something: the method alone asks a cookie for too little.
    pub(super) async fn signed_in_to_change(&self, head: &Parts) -> Result<Principal> {
        match self.presented(&head.headers)? {
            Presented::Token(token, _) => self.auth().sessions().admit(token).await,
            _ => self.by_cookie(head, Effect::Changes).await?.ok_or_else(no_bearer),
        }
    }

    /// `grant_type=refresh_token`: of the body's token, or without a body of the cookie's.
    pub(super) async fn refresh(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        if body.is_empty() && self.in_cookies() {
            return self.refresh_by_cookie(head, client).await;
        }
        let body: RefreshBody = read_json(&head.headers, body)?;
        let token = body
            .refresh_token
            .filter(|token| !token.expose().is_empty())
            .ok_or_else(|| Error::new(Code::ValidationFailed, "refresh_token required"))?;
        self.give(head, &self.auth().refresh(&token, client).await?, client).await
    }

    async fn refresh_by_cookie(&self, head: &Parts, client: &Client) -> Answer {
        let missing =
            || Error::new(Code::RefreshTokenNotFound, "Invalid Refresh Token: Refresh Token Not Found");
        let token = self.refresh_cookie(head)?.ok_or_else(missing)?;
        self.cors().check_change(&head.uri, &head.headers)?;
        // Before anything is looked up.
        self.auth().count_refresh(client)?;
        // A used token counts as well: its session's pages may ask for the newest again.
        let holder = self.auth().holder(&token).await?.ok_or_else(missing)?;
        self.check_token(&head.headers, holder.session_id())?;
        self.give_cookies(&self.auth().refresh_counted(&token, client).await?)
    }

    /// `/logout` without `Authorization`. Whoever holds the cookies may end what they open, an access token that has
    /// expired meanwhile or not; the cookies go in any case.
    pub(super) async fn sign_out_by_cookie(&self, head: &Parts, scope: Scope, client: &Client) -> Answer {
        let access = self.cookie(head, Name::Access)?;
        let refresh = self.refresh_cookie(head)?;
        if access.is_none() && refresh.is_none() {
            return Err(no_bearer());
        }
        self.cors().check_change(&head.uri, &head.headers)?;
        let admitted = match access {
            Some(token) => self.auth().sessions().admit(token).await.map(Some),
            None => Ok(None),
        };
        let mut scope = scope;
        let principal = match (admitted, refresh) {
            (Ok(Some(principal)), _) => Some(principal),
            (Err(error), _) if error.code() != Code::BadJwt && error.code() != Code::SessionNotFound => {
                return Err(error);
            }
            (_, Some(refresh)) => {
                // Used or not: it ends its own session and no other, as an expired token does.
                scope = Scope::Local;
                self.auth().holder(&refresh).await?
            }
            (_, None) => None,
        };
        let mut response = empty_response(StatusCode::NO_CONTENT);
        if let Some(principal) = principal {
            self.check_token(&head.headers, principal.session_id())?;
            self.auth().sign_out(&principal, scope, client).await?;
            if scope == Scope::Others {
                return Ok(response);
            }
        }
        clear(response.headers_mut());
        Ok(response)
    }

    /// `GET /csrf`: the token of the session that asks, for pages that cannot read the cookie, of an allowed origin.
    pub(super) async fn csrf_token(&self, head: &Parts) -> Answer {
        let session = match self.signed_in(head).await {
            Ok(principal) => principal.session_id(),
            // Who has to refresh needs the token for that.
            Err(error) if error.code() == Code::BadJwt => match self.refresh_cookie(head)? {
                Some(refresh) => self.auth().holder(&refresh).await?.ok_or(error)?.session_id(),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        if !self.in_cookies() {
            return Err(Error::new(Code::NotFound, "No such route"));
        }
        let token = self.auth().forgery_token(session.ok_or_else(no_bearer)?);
        let mut response = json_response(StatusCode::OK, json!({ "csrf_token": token.expose() }).to_string());
        let cookie = cookies::set(Name::Csrf, token.expose(), self.cookie_lifetime())?;
        response.headers_mut().append(SET_COOKIE, cookie);
        Ok(response)
    }

    /// What a refusal of a request by cookie leads to: a record where it was forged; no cookies where their session
    /// is over, so that the browser stops sending them.
    pub(super) async fn refuse_cookie(
        &self,
        route: &Route,
        head: &Parts,
        body: &[u8],
        client: &Client,
        handled: Answer,
    ) -> (Answer, HeaderMap) {
        let mut headers = HeaderMap::new();
        let error = match handled {
            Ok(response) => return (Ok(response), headers),
            Err(error) => error,
        };
        let over = matches!(
            error.code(),
            Code::RefreshTokenNotFound
                | Code::RefreshTokenAlreadyUsed
                | Code::SessionExpired
                | Code::UserBanned
        );
        let refreshes = route.operation == Operation::Token && body.is_empty();
        if over && refreshes && self.cookie(head, Name::Refresh).is_ok_and(|found| found.is_some()) {
            clear(&mut headers);
        }
        (Err(self.record_forgery(head, client, error).await), headers)
    }

    /// Records a request that a cookie came with and that was refused as forged, once per address and minute.
    async fn record_forgery(&self, head: &Parts, client: &Client, error: Error) -> Error {
        if !matches!(error.code(), Code::OriginNotAllowed | Code::CsrfTokenInvalid) || !self.in_cookies() {
            return error;
        }
        let access = self.cookie(head, Name::Access).unwrap_or_default();
        let refresh = self.refresh_cookie(head).unwrap_or_default();
        if access.is_none() && refresh.is_none() && !head.headers.contains_key(SESSION) {
            return error;
        }
        let now = self.auth().sessions().parts().clock.now();
        if !self.forgeries().is_new(client.address(), now) {
            return error;
        }
        let principal = match (access, refresh) {
            (Some(token), _) => self.auth().sessions().admit(token).await.ok(),
            (None, Some(token)) => self.auth().holder(&token).await.ok().flatten(),
            (None, None) => None,
        };
        let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let forgery = Forgery { path: head.uri.path(), origin: text(ORIGIN), site: text(csrf::SITE) };
        self.auth().deny_forgery(principal.as_ref(), forgery, client, error).await
    }

    /// The same for a request of the host's own routes.
    pub(super) async fn refuse_host_cookie(
        &self,
        head: &Parts,
        address: IpAddr,
        request: RequestId,
        error: Error,
    ) -> Error {
        self.record_forgery(head, &Client::new(address, request), error).await
    }
}

fn clear(headers: &mut HeaderMap) {
    for name in Name::ALL {
        if let Ok(value) = cookies::clear(name) {
            headers.append(SET_COOKIE, value);
        }
    }
}
