use serde_json::json;

use super::Auth;

impl Auth {
    /// What `GET /settings` answers: which ways of signing in are on.
    pub fn settings_json(&self) -> String {
        let sign_ups = &self.0.settings.sign_ups;
        json!({
            "external": { "email": true, "phone": false, "anonymous_users": sign_ups.anonymous },
            "disable_signup": sign_ups.disabled,
            "mailer_autoconfirm": sign_ups.autoconfirm.is_on(),
            "phone_autoconfirm": false,
            "sms_provider": "",
            "saml_enabled": false,
            "passkeys_enabled": false,
        })
        .to_string()
    }

    /// What `GET /health` answers.
    pub fn health_json(&self) -> String {
        json!({
            "version": concat!("v", env!("CARGO_PKG_VERSION")),
            "name": "Aurora",
            "description": "Aurora speaks Supabase Auth's protocol",
        })
        .to_string()
    }

    /// What `GET /.well-known/jwks.json` answers: public keys only.
    pub fn jwks_json(&self) -> String {
        self.0.sessions.parts().tokens.jwks()
    }
}
