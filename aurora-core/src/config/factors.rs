use std::time::Duration;

/// Second factors: codes of an authenticator app (TOTP), and recovery codes.
#[derive(Clone, Debug)]
pub struct Factors {
    /// How many a user may have. 10, as Supabase has it.
    pub most: usize,
    /// How long a challenge waits for its code. Five minutes, as Supabase has it.
    pub challenge_lifetime: Duration,
    /// A factor that was not verified after so long goes when the next one is enrolled. Five minutes, as Supabase has
    /// it.
    pub unverified_lifetime: Duration,
    /// Whether a first factor may be enrolled in any session, as Supabase has it. Off: it wants what a new password
    /// wants, a sign-in within [`Tokens::recent_sign_in`](super::Tokens::recent_sign_in), or whoever steals a session
    /// adds a factor of their own and shuts its owner out (ASVS 7.5.1).
    pub enroll_in_any_session: bool,
}

impl Default for Factors {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            most: 10,
            challenge_lifetime: minutes(5),
            unverified_lifetime: minutes(5),
            enroll_in_any_session: false,
        }
    }
}
