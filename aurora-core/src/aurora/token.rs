use super::Builder;
use crate::config::{CookieSessions, Settings};
use crate::session::token::TokenOptions;

impl Builder {
    /// Lets browser apps have their sessions in cookies, beside bearer tokens: see [`CookieSessions::On`].
    pub fn cookie_sessions(self) -> Self {
        self.configure(|settings| settings.cookies = CookieSessions::On)
    }
}

/// How access tokens are issued and read, as the settings have it.
pub(super) fn options(settings: &Settings) -> TokenOptions {
    let mut options = TokenOptions::new(settings.issuer());
    options.lifetime = settings.tokens.access_lifetime;
    options.longest = options.longest.max(options.lifetime);
    options.longest_written = settings.cookies.longest_token();
    options
}
