use serde_json::{Map, Value, json};

use crate::store::User;
use crate::types::{Error, PasswordFault, Result, Secret, SessionId, Timestamp, UserId};
use crate::validate::Email;

/// A user as the outside sees them: no hash, no internals.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) user: User,
    /// Made up for someone who registered an address that is taken: nothing of the owner's is in it. As in Supabase
    /// it has no identities and an empty role, so whoever looks there can tell it from a new account.
    pub(super) made_up: bool,
}

impl Account {
    pub(super) fn new(user: User) -> Self {
        Self { user, made_up: false }
    }

    /// Who.
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// The address to sign in with.
    pub fn email(&self) -> Option<&Email> {
        self.user.email.as_ref()
    }

    /// Whether the address was confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.user.email_confirmed_at.is_some()
    }

    /// The user's own metadata, a JSON object.
    pub fn user_metadata(&self) -> &str {
        &self.user.user_metadata
    }

    /// The service's metadata, a JSON object.
    pub fn app_metadata(&self) -> &str {
        &self.user.app_metadata
    }

    /// The user in Supabase's shape.
    pub fn to_json(&self) -> Result<String> {
        Ok(Value::Object(self.members()?).to_string())
    }

    fn members(&self) -> Result<Map<String, Value>> {
        let user = &self.user;
        let email = user.email.as_ref().map(Email::as_str).unwrap_or_default();
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| {
            out.insert(name.to_owned(), value);
        };
        put("id", json!(user.id));
        put("aud", json!("authenticated"));
        put("role", json!(if self.made_up { "" } else { "authenticated" }));
        put("email", json!(email));
        put("phone", json!(""));
        put("app_metadata", serde_json::from_str(&user.app_metadata).map_err(Error::internal)?);
        put("user_metadata", serde_json::from_str(&user.user_metadata).map_err(Error::internal)?);
        put("identities", self.identities(email));
        if !user.factors.is_empty() {
            put("factors", self.factors_value());
        }
        put("created_at", json!(user.created_at.to_string()));
        put("updated_at", json!(user.updated_at.to_string()));
        put("is_anonymous", json!(user.is_anonymous));
        if let Some(address) = &user.new_email {
            put("new_email", json!(address.as_str()));
        }
        let moments = [
            ("email_confirmed_at", user.email_confirmed_at),
            ("confirmed_at", user.email_confirmed_at),
            ("confirmation_sent_at", user.confirmation_sent_at),
            ("email_change_sent_at", user.email_change_sent_at),
            ("recovery_sent_at", user.recovery_sent_at),
            ("reauthentication_sent_at", user.reauthentication_sent_at),
            ("invited_at", user.invited_at),
            ("deleted_at", user.deleted_at),
            ("last_sign_in_at", user.last_sign_in_at),
            ("banned_until", user.banned_until),
        ];
        for (name, moment) in moments {
            if let Some(moment) = moment {
                put(name, json!(moment.to_string()));
            }
        }
        Ok(out)
    }

    /// The user's second factors in Supabase's shape: a JSON array.
    pub fn factors_json(&self) -> String {
        self.factors_value().to_string()
    }

    fn factors_value(&self) -> Value {
        self.user.factors.iter().map(super::factors::shown).collect()
    }

    fn identities(&self, email: &str) -> Value {
        let moment = |micros: i64| Timestamp::from_micros(micros).to_string();
        let user = &self.user;
        user.identities
            .iter()
            .map(|identity| {
                json!({
                    "identity_id": identity.id,
                    "id": identity.provider_id,
                    "user_id": user.id,
                    "identity_data": {
                        "sub": identity.provider_id,
                        "email": email,
                        "email_verified": user.email_confirmed_at.is_some(),
                        "phone_verified": false,
                    },
                    "provider": identity.provider,
                    "last_sign_in_at": identity.last_sign_in_at.map(moment),
                    "created_at": moment(identity.created_at),
                    "updated_at": moment(identity.updated_at),
                    "email": email,
                })
            })
            .collect()
    }
}

/// A session that was just opened or refreshed, with its tokens.
#[derive(Clone, Debug)]
pub struct IssuedSession {
    /// Which.
    pub id: SessionId,
    /// Short-lived, for requests.
    pub access_token: Secret,
    /// For [`Auth::refresh`](super::Auth::refresh).
    pub refresh_token: Secret,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Whose.
    pub account: Account,
    /// Opened with a password that nobody could choose today: what is wrong with it.
    pub weak_password: Option<WeakPassword>,
}

/// What today's rules have against a password that somebody signed in with. It is theirs all the same; a front end
/// may ask them for a better one.
#[derive(Clone, Debug)]
pub struct WeakPassword {
    /// In Supabase's words; at least one.
    pub faults: Vec<PasswordFault>,
    /// The same as sentences.
    pub message: String,
}

impl IssuedSession {
    /// The session in Supabase's shape. Holds both tokens.
    pub fn to_json(&self) -> Result<String> {
        let expires_in = self.expires_at.as_seconds() - self.issued_at.as_seconds();
        let mut session = json!({
            "access_token": self.access_token.expose(),
            "token_type": "bearer",
            "expires_in": expires_in,
            "expires_at": self.expires_at.as_seconds(),
            "refresh_token": self.refresh_token.expose(),
            "user": self.account.members()?,
        });
        if let (Some(weak), Value::Object(members)) = (&self.weak_password, &mut session) {
            let reasons: Vec<&str> = weak.faults.iter().map(|fault| fault.as_str()).collect();
            let weak = json!({ "message": weak.message, "reasons": reasons });
            members.insert("weak_password".to_owned(), weak);
        }
        Ok(session.to_string())
    }
}
