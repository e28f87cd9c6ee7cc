use serde_json::{Map, Value};

use super::run::run;
use super::{HookError, TokenIssue};
use crate::auth::{Account, Auth};
use crate::session::token::OWN_CLAIMS;
use crate::session::{MoreClaims, USER_PERMISSIONS, USER_ROLES};
use crate::store::{Session, User};
use crate::types::{Code, Error, Result, RoleName};
use crate::validate::strict_json;

/// What a hook may answer with, in bytes: more does not fit a token beside its own claims.
const LARGEST: usize = 4 * 1024;

impl Auth {
    /// What a token of these roles says beside what every token says.
    pub(in crate::auth) async fn more_claims(
        &self,
        user: &User,
        session: &Session,
        roles: &[RoleName],
        method: &str,
    ) -> Result<MoreClaims> {
        let mut more = MoreClaims::of_roles(roles);
        let hooks = &self.0.hooks;
        let Some(hook) = &hooks.custom_claims else { return Ok(more) };
        let issue = TokenIssue {
            account: Account::new(user.clone()),
            session: session.id,
            method: method.to_owned(),
            roles: roles.iter().map(ToString::to_string).collect(),
        };
        let claims = run(hooks.time_limit, || hook.claims(&issue)).await.and_then(|text| read(&text));
        more.0.extend(claims.inspect_err(|error| tracing::warn!(?error, "custom claims were not added"))?);
        self.0
            .sessions
            .check_claims(&user.app_metadata, &user.user_metadata, &more)
            .map_err(|_| too_large())?;
        Ok(more)
    }
}

fn read(text: &str) -> Result<Map<String, Value>> {
    if text.len() > LARGEST {
        return Err(too_large());
    }
    let members: Map<String, Value> = strict_json(text.as_bytes()).map_err(|_| {
        // The parser's own words would repeat the value.
        HookError::failed("custom claims are no JSON object").into_error()
    })?;
    let ours = |name: &&str| members.contains_key(*name);
    if let Some(own) = OWN_CLAIMS.iter().chain(&[USER_ROLES, USER_PERMISSIONS]).find(|name| ours(name)) {
        return Err(HookError::failed(format!("custom claims must not name `{own}`")).into_error());
    }
    Ok(members)
}

fn too_large() -> Error {
    let sentence = format!("Payload size exceeded size limit of {LARGEST} bytes");
    Error::new(Code::HookPayloadOverSizeLimit, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hook cannot make anyone else of whom it adds claims to.
    #[test]
    fn the_token_s_own_claims_are_out_of_reach() {
        assert_eq!(read(r#"{"plan":"free","sub_id":7}"#).unwrap().len(), 2);
        for name in OWN_CLAIMS.iter().chain(&[USER_ROLES, USER_PERMISSIONS]) {
            let error = read(&format!(r#"{{"{name}":"x"}}"#)).unwrap_err();
            assert_eq!((error.code(), error.message()), (Code::UnexpectedFailure, "Internal server error"));
        }
        for text in ["", "[]", "7", "{", r#"{"a":1,"a":2}"#, r#""x""#, "null"] {
            assert_eq!(read(text).unwrap_err().code(), Code::UnexpectedFailure, "{text}");
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LARGEST));
        assert_eq!(read(&large).unwrap_err().code(), Code::HookPayloadOverSizeLimit);
    }
}
