use http::header::{CACHE_CONTROL, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::admit::{Presented, no_bearer};
use super::body::{PasswordBody, SignUpBody, UserBody, parameter, read_json};
use super::csrf::Effect;
use super::mailed::come_back;
use super::phone::{Asks, address};
use super::render::{empty_response, json_response};
use super::routes::Operation;
use super::{Http, Route};
use crate::auth::{Credentials, Scope, SignUp, SignedUp, UserChange};
use crate::load::{Bucket, address_key};
use crate::session::{Client, SessionInfo};
use crate::types::{Code, Error, Principal, Result, Secret};

pub(super) type Answer = Result<Response<Vec<u8>>>;

impl Http {
    pub(super) async fn handle(
        &self,
        route: &Route,
        segment: Option<&str>,
        head: &Parts,
        body: &[u8],
        client: &Client,
    ) -> Answer {
        if body.len() > self.body_limit() {
            return Err(Error::new(Code::PayloadTooLarge, "Request body is too large"));
        }
        self.check_host(&head.uri, &head.headers)?;
        self.check_origin(head)?;
        let grant = parameter(head.uri.query(), "grant_type")?;
        // A refresh has a limit of its own, which is told apart from a refusal.
        if !(route.operation == Operation::Token && grant == Some("refresh_token")) {
            self.auth().limiter().check(Bucket::Request, &address_key(client.address()))?;
        }
        self.check_delivery(head)?;
        self.look_at_keys(head, client.address(), client.request()).await?;
        match route.operation {
            Operation::SignUp => self.sign_up(head, body, client).await,
            Operation::Token => self.token(grant, head, body, client).await,
            Operation::ReadUser => {
                let principal = self.signed_in(head).await?;
                ok(self.auth().user(&principal).await?.to_json()?)
            }
            Operation::UpdateUser => self.update_user(head, body, client).await,
            Operation::SignOut => self.sign_out(head, client).await,
            Operation::Settings => ok(self.auth().settings_json()),
            Operation::CsrfToken => self.csrf_token(head).await,
            Operation::Health => ok(self.auth().health_json()),
            Operation::Keys => {
                let mut response = json_response(StatusCode::OK, self.auth().jwks_json());
                let caching = HeaderValue::from_static("public, max-age=600");
                response.headers_mut().insert(CACHE_CONTROL, caching);
                Ok(response)
            }
            Operation::Recover => self.recover(head, body, client).await,
            Operation::Otp => self.otp(head, body, client).await,
            Operation::Resend => self.resend(head, body, client).await,
            Operation::Verify => self.verify(head, body, client).await,
            Operation::OpenLink => self.open_link(head, client).await,
            Operation::Press => self.press(head, body, client).await,
            Operation::Reauthenticate => self.reauthenticate(head, client).await,
            Operation::Authorize | Operation::SingleSignOn => Err(switched_off(route.operation)),
            Operation::LinkIdentity | Operation::UnlinkIdentity => {
                self.signed_in(head).await?;
                Err(switched_off(route.operation))
            }
            Operation::Invite
            | Operation::ListUsers
            | Operation::CreateUser
            | Operation::ReadAnyUser
            | Operation::UpdateAnyUser
            | Operation::DeleteUser
            | Operation::ListFactors
            | Operation::DeleteFactor
            | Operation::GenerateLink => self.administer(route.operation, segment, head, body, client).await,
            Operation::EnrollFactor
            | Operation::ChallengeFactor
            | Operation::VerifyFactor
            | Operation::RemoveFactor
            | Operation::ReadRecoveryCodes
            | Operation::GenerateRecoveryCodes
            | Operation::RegenerateRecoveryCodes
            | Operation::RemoveRecoveryCodes
            | Operation::VerifyRecoveryCode => {
                self.factors(route.operation, segment, head, body, client).await
            }
            Operation::Mailbox => self.mailbox_page(),
            Operation::MailboxJson => self.mailbox_json(),
            Operation::ListSessions => {
                let principal = self.signed_in(head).await?;
                ok(sessions_json(&self.auth().list_sessions(&principal).await?))
            }
            Operation::EndSession => {
                let principal = self.signed_in(head).await?;
                let missing = || Error::new(Code::NotFound, "Session not found");
                let session = segment.and_then(|segment| segment.parse().ok()).ok_or_else(missing)?;
                self.auth().end_session(&principal, session, client).await?;
                Ok(empty_response(StatusCode::NO_CONTENT))
            }
        }
    }

    /// The user behind the request's token.
    pub(super) async fn signed_in(&self, head: &Parts) -> Result<Principal> {
        match self.presented(&head.headers)? {
            Presented::Token(token, _) => self.auth().sessions().admit(token).await,
            Presented::Nothing | Presented::Key(..) => {
                self.by_cookie(head, Effect::of(&head.method)).await?.ok_or_else(no_bearer)
            }
        }
    }

    async fn sign_up(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        self.presented(&head.headers)?;
        let body: SignUpBody = read_json(&head.headers, body)?;
        let data = body.data.map(|data| Value::Object(data).to_string());
        let Some(email) = address(body.email, body.phone.as_deref(), Asks::SignUp)? else {
            return self.give(head, &self.auth().sign_in_anonymously(data, client).await?, client).await;
        };
        let back = come_back(head, body.code_challenge, body.code_challenge_method)?;
        let password = body
            .password
            .filter(|password| !password.expose().is_empty())
            .ok_or_else(|| Error::new(Code::ValidationFailed, "Signup requires a valid password"))?;
        match self.auth().sign_up(SignUp { email, password, data, back }, client).await? {
            SignedUp::Session(session) => self.give(head, &session, client).await,
            SignedUp::Pending(account) => ok(account.to_json()?),
        }
    }

    async fn token(&self, grant: Option<&str>, head: &Parts, body: &[u8], client: &Client) -> Answer {
        match grant {
            Some("password") => {
                self.presented(&head.headers)?;
                let body: PasswordBody = read_json(&head.headers, body)?;
                let missing = || Error::new(Code::ValidationFailed, "missing email or phone");
                let email = address(body.email, body.phone.as_deref(), Asks::SignIn)?.ok_or_else(missing)?;
                let password = body.password.unwrap_or_else(|| Secret::new(String::new()));
                let session = self.auth().sign_in(Credentials { email, password }, client).await?;
                self.give(head, &session, client).await
            }
            Some("refresh_token") => self.refresh(head, body, client).await,
            Some("pkce") => self.exchange(head, body, client).await,
            Some("id_token") => Err(Error::new(Code::ProviderDisabled, NO_PROVIDER)),
            Some("web3") => Err(Error::new(Code::Web3ProviderDisabled, "Web3 provider is disabled")),
            _ => Err(Error::new(Code::ValidationFailed, "unsupported_grant_type")),
        }
    }

    async fn update_user(&self, head: &Parts, body: &[u8], client: &Client) -> Answer {
        let principal = self.signed_in(head).await?;
        let body: UserBody = read_json(&head.headers, body)?;
        let email = address(body.email, body.phone.as_deref(), Asks::Change)?;
        let data = body.data.map(|data| Value::Object(data).to_string());
        let change = UserChange {
            email,
            password: body.password,
            current_password: body.current_password,
            nonce: body.nonce,
            data,
            back: come_back(head, body.code_challenge, body.code_challenge_method)?,
        };
        ok(self.auth().update_user(&principal, change, client).await?.to_json()?)
    }

    async fn sign_out(&self, head: &Parts, client: &Client) -> Answer {
        let scope = match parameter(head.uri.query(), "scope")? {
            None | Some("") => Scope::default(),
            Some(scope) => scope.parse()?,
        };
        let Presented::Token(token, _) = self.presented(&head.headers)? else {
            return self.sign_out_by_cookie(head, scope, client).await;
        };
        let sessions = self.auth().sessions();
        let (principal, scope) = match sessions.admit(token).await {
            Ok(principal) => (principal, scope),
            // Whoever comes back after an hour wants to sign out, too (auth-js #540): an expired token may end its
            // own session, and nothing else.
            Err(error) if error.code() == Code::BadJwt && scope != Scope::Others => {
                (sessions.admit_expired(token).await.map_err(|_| error)?, Scope::Local)
            }
            Err(error) => return Err(error),
        };
        self.auth().sign_out(&principal, scope, client).await?;
        Ok(empty_response(StatusCode::NO_CONTENT))
    }
}

pub(super) fn ok(json: String) -> Answer {
    Ok(json_response(StatusCode::OK, json))
}

const NO_PROVIDER: &str = "Unsupported provider: provider is not enabled";

/// What is not here answers as Supabase does where it is switched off.
fn switched_off(operation: Operation) -> Error {
    match operation {
        Operation::SingleSignOn => Error::new(Code::SamlProviderDisabled, "SAML 2.0 is disabled"),
        Operation::LinkIdentity | Operation::UnlinkIdentity => {
            Error::new(Code::ManualLinkingDisabled, "Manual linking is disabled")
        }
        // As Supabase's server: a name that it does not know and one that is switched off are one mistake here.
        _ => Error::new(Code::ValidationFailed, NO_PROVIDER),
    }
}

fn sessions_json(sessions: &[SessionInfo]) -> String {
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|session| {
            json!({
                "id": session.id,
                "device": session.device,
                "address": session.address,
                "created_at": session.created_at.to_string(),
                "last_used_at": session.last_used_at.to_string(),
                "expires_at": session.expires_at.to_string(),
                "current": session.current,
            })
        })
        .collect();
    json!({ "sessions": sessions }).to_string()
}
