/// Whether browser apps may have their sessions in cookies, beside bearer tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CookieSessions {
    /// Cookies are neither set nor read. The default: where nothing reads a cookie, no foreign page has anything to
    /// ride on.
    #[default]
    Off,
    /// A sign-in that asks for it is answered with `__Host-` cookies instead of tokens, and a request without
    /// `Authorization` is whose its cookie says. Such a request changes nothing without the site's own page and a
    /// token of its session.
    On,
}

impl CookieSessions {
    /// Whether cookies are set and read.
    pub fn is_on(self) -> bool {
        matches!(self, Self::On)
    }

    /// The longest access token, in bytes, that metadata may come to. Browsers drop a cookie whose name and value
    /// are longer than 4,096 bytes together, without a word.
    pub fn longest_token(self) -> usize {
        match self {
            Self::Off => 8 * 1024,
            Self::On => 4_000,
        }
    }
}
