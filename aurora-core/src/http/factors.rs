use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;

use super::Http;
use super::body::read_json;
use super::handlers::{Answer, ok};
use super::routes::Operation;
use crate::auth::{Auth, FactorWish};
use crate::session::Client;
use crate::types::{Code, Error, FactorId, Result, Secret, UserId};

#[derive(Deserialize)]
struct EnrollBody {
    factor_type: Option<String>,
    friendly_name: Option<String>,
    issuer: Option<String>,
    current_password: Option<Secret>,
    nonce: Option<Secret>,
}

#[derive(Deserialize)]
struct VerifyBody {
    challenge_id: Option<String>,
    code: Option<Secret>,
}

#[derive(Deserialize)]
struct RecoveryBody {
    code: Option<Secret>,
}

/// `/factors*`, and the service's look at them.
impl Http {
    pub(super) async fn factors(
        &self,
        operation: Operation,
        segment: Option<&str>,
        head: &Parts,
        body: &[u8],
        client: &Client,
    ) -> Answer {
        let principal = self.signed_in(head).await?;
        let auth = self.auth();
        match operation {
            Operation::EnrollFactor => {
                let body: EnrollBody = read_json(&head.headers, body)?;
                ok(auth.enroll_factor(&principal, body.wish()?, client).await?.to_json())
            }
            Operation::ChallengeFactor => {
                ok(auth.challenge_factor(&principal, factor(segment)?, client).await?.to_json())
            }
            Operation::VerifyFactor => {
                let body: VerifyBody = read_json(&head.headers, body)?;
                let challenge = body
                    .challenge_id
                    .unwrap_or_default()
                    .parse()
                    .map_err(|_| Error::new(Code::ValidationFailed, "`challenge_id` must be a UUID"))?;
                let (factor, code) = (factor(segment)?, wanted(body.code)?);
                let raised = auth.verify_factor(&principal, factor, challenge, &code, client).await?;
                self.give_raised(head, &raised, client).await
            }
            Operation::RemoveFactor => {
                let factor = factor(segment)?;
                auth.remove_factor(&principal, factor, client).await?;
                ok(json!({ "id": factor }).to_string())
            }
            Operation::GenerateRecoveryCodes => {
                ok(auth.generate_recovery_codes(&principal, client).await?.to_json())
            }
            Operation::RegenerateRecoveryCodes => {
                ok(auth.regenerate_recovery_codes(&principal, client).await?.to_json())
            }
            Operation::ReadRecoveryCodes => ok(auth.recovery_codes(&principal, client).await?.to_json()),
            Operation::RemoveRecoveryCodes => {
                ok(json!({ "id": auth.remove_recovery_codes(&principal, client).await? }).to_string())
            }
            Operation::VerifyRecoveryCode => {
                let body: RecoveryBody = read_json(&head.headers, body)?;
                let code = wanted(body.code)?;
                let raised = auth.verify_recovery_code(&principal, &code, client).await?;
                self.give_raised(head, &raised, client).await
            }
            _ => Err(Error::internal("no operation of factors")),
        }
    }

    /// DELETE `/admin/users/{id}/factors/{id}`.
    pub(super) async fn delete_factor(&self, auth: &Auth, segments: Option<&str>) -> Answer {
        let (user, id) = segments.and_then(|both| both.split_once("/factors/")).unwrap_or_default();
        let user: UserId =
            user.parse().map_err(|_| Error::new(Code::ValidationFailed, "user_id must be an UUID"))?;
        ok(auth.delete_factor(user, factor(Some(id))?).await?.to_json())
    }
}

impl EnrollBody {
    fn wish(self) -> Result<FactorWish> {
        match self.factor_type.as_deref().unwrap_or_default() {
            "totp" => {}
            "phone" => {
                let sentence = "MFA enroll is disabled for Phone";
                return Err(Error::new(Code::MfaPhoneEnrollNotEnabled, sentence));
            }
            "webauthn" => {
                let sentence = "MFA enroll is disabled for WebAuthn";
                return Err(Error::new(Code::MfaWebAuthnEnrollNotEnabled, sentence));
            }
            _ => {
                let sentence = "factor_type needs to be totp, phone, or webauthn";
                return Err(Error::new(Code::ValidationFailed, sentence));
            }
        }
        let said = |text: &Secret| !text.expose().is_empty();
        Ok(FactorWish {
            name: self.friendly_name,
            issuer: self.issuer,
            current_password: self.current_password.filter(said),
            nonce: self.nonce.filter(said),
        })
    }
}

fn factor(segment: Option<&str>) -> Result<FactorId> {
    segment.unwrap_or_default().parse().map_err(|_| {
        let error = Error::new(Code::ValidationFailed, "factor_id must be an UUID");
        error.with_status(StatusCode::NOT_FOUND)
    })
}

fn wanted(code: Option<Secret>) -> Result<Secret> {
    let code = code.filter(|code| !code.expose().is_empty());
    code.ok_or_else(|| Error::new(Code::ValidationFailed, "Code needs to be non-empty"))
}
