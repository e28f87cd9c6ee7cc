use serde::Deserialize;

use super::{Principal, Timestamp};

/// How surely it is known who somebody is: the `aal` of their token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Assurance {
    /// By one factor, or not at all.
    Aal1,
    /// By a second factor as well.
    Aal2,
}

impl Assurance {
    /// The level's name in tokens, policies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }
}

/// How somebody proved who they are, and when (an `amr` entry).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthenticationMethod {
    /// The method's name, Supabase's where it has one: `password`, `otp`, `totp`, `mfa/recovery_code`, ...
    pub method: String,
    /// When it was used.
    pub at: Timestamp,
}

/// The method's name of a recovery code, Supabase's.
pub(crate) const RECOVERY_CODE: &str = "mfa/recovery_code";

/// Whether a method is a second factor. A code or a link of a mail (`otp`) is a first one.
pub(crate) fn is_second_factor(method: &str) -> bool {
    // The second is what sessions from before say of a recovery code.
    matches!(method, "totp" | "recovery_code" | RECOVERY_CODE)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Claims {
    aal: String,
    amr: Vec<Method>,
}

#[derive(Deserialize)]
struct Method {
    method: String,
    timestamp: i64,
}

/// What the claims say about how somebody signed in. Claims that do not read say nothing: the lowest level, no method.
impl Principal {
    /// How surely it is known who this is.
    pub fn assurance(&self) -> Assurance {
        if self.evidence().aal == Assurance::Aal2.as_str() { Assurance::Aal2 } else { Assurance::Aal1 }
    }

    /// Every method that was used, newest first.
    pub fn methods(&self) -> Vec<AuthenticationMethod> {
        let methods = self.evidence().amr.into_iter();
        let method = |Method { method, timestamp }| AuthenticationMethod {
            method,
            at: Timestamp::from_seconds(timestamp),
        };
        methods.map(method).collect()
    }

    /// When a second factor was used last. `None` at [`Assurance::Aal1`].
    pub fn factor_used_at(&self) -> Option<Timestamp> {
        let evidence = self.evidence();
        if evidence.aal != Assurance::Aal2.as_str() {
            return None;
        }
        let used = evidence.amr.into_iter().filter(|used| is_second_factor(&used.method));
        used.map(|used| Timestamp::from_seconds(used.timestamp)).max()
    }

    fn evidence(&self) -> Claims {
        serde_json::from_str(self.claims()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UserId;

    fn principal(claims: &str) -> Principal {
        Principal::user(UserId::from_bytes([7; 16])).with_claims(claims).unwrap()
    }

    #[test]
    fn claims_say_how_surely_and_since_when() {
        let amr = r#"[{"method":"totp","timestamp":200},{"method":"password","timestamp":300}]"#;
        let ann = principal(&format!(r#"{{"aal":"aal2","amr":{amr}}}"#));
        assert_eq!(ann.assurance(), Assurance::Aal2);
        assert_eq!(ann.factor_used_at(), Some(Timestamp::from_seconds(200)));
        let methods: Vec<String> = ann.methods().into_iter().map(|used| used.method).collect();
        assert_eq!(methods, ["totp", "password"]);
        let code = principal(r#"{"aal":"aal2","amr":[{"method":"mfa/recovery_code","timestamp":9}]}"#);
        assert_eq!(code.factor_used_at(), Some(Timestamp::from_seconds(9)));
    }

    #[test]
    fn what_does_not_read_says_nothing() {
        for claims in [
            "{}",
            r#"{"aal":7}"#,
            r#"{"aal":"aal3"}"#,
            r#"{"aal":"aal1","amr":[{"method":"totp","timestamp":200}]}"#,
            r#"{"aal":"aal2","amr":[{"method":"otp","timestamp":200}]}"#,
            r#"{"aal":"aal2","amr":["totp"]}"#,
        ] {
            assert_eq!(principal(claims).factor_used_at(), None, "{claims}");
        }
        assert_eq!(Principal::anonymous().assurance(), Assurance::Aal1);
        assert_eq!(principal(r#"{"aal":"aal2","amr":["totp"]}"#).assurance(), Assurance::Aal1);
    }
}
