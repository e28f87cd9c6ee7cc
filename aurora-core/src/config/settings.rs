use std::time::Duration;

use super::{CookieSessions, Factors, Hsts, Network, Origin};
use crate::types::Secret;

/// Where the service runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Nothing is created or confirmed by itself; a weakness stops the start. The default.
    #[default]
    Production,
    /// On a developer's machine: binds to loopback, creates its keys, tells why it denies.
    Development,
}

/// Whether what lies on the disk is encrypted by the system below: what Aurora does not seal (tables, indexes, logs,
/// temporary files) is as safe as that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disk {
    /// Nobody has said. Production asks.
    #[default]
    Unsaid,
    /// By LUKS, the provider's volumes or the like, for the database, its backups and swap.
    Encrypted,
    /// It is not: whoever takes the disk reads what is not sealed.
    InsecurePlain,
}

/// Whether an address counts as confirmed without a mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Autoconfirm {
    /// An address is confirmed by its owner. The default in production.
    Off,
    /// The address of a registration is believed; a change of it waits for its mails all the same. The default in
    /// development; production refuses it.
    On,
    /// The same in production: anyone can register anyone's address.
    InsecureEvenInProduction,
}

impl Autoconfirm {
    /// Whether sign-up gives a session at once.
    pub fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// Lifetimes of tokens and sessions.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Of an access token. 15 minutes: RFC 9700 wants them short, and a browser refreshes unseen.
    pub access_lifetime: Duration,
    /// A session that was not refreshed for so long is over. 30 days: a monthly visitor stays signed in.
    pub idle_lifetime: Duration,
    /// A session is over after so long, however busy. 365 days: nothing lasts for ever (ASVS 7.3.2).
    pub absolute_lifetime: Duration,
    /// How long after its successor was used a refresh token may still come back (tabs and server rendering race;
    /// RFC 9700 s4.14.2). 10 seconds, as Supabase's platform has it.
    pub reuse_grace: Duration,
    /// How fresh a sign-in must be to change the password or the address without the current password.
    /// 10 minutes.
    pub recent_sign_in: Duration,
    /// How often a new key of Aurora's own takes over signing. 90 days: nobody does by hand what no calendar asks for
    /// (ASVS 13.3.4), and nobody notices. `None`: only when someone asks for it. Nothing where a key was given.
    pub rotate_every: Option<Duration>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access_lifetime: Duration::from_secs(15 * 60),
            idle_lifetime: Duration::from_secs(30 * 86_400),
            absolute_lifetime: Duration::from_secs(365 * 86_400),
            reuse_grace: Duration::from_secs(10),
            recent_sign_in: Duration::from_secs(10 * 60),
            rotate_every: Some(Duration::from_secs(90 * 86_400)),
        }
    }
}

/// Who may register.
#[derive(Clone, Debug)]
pub struct SignUps {
    /// Whether addresses count as confirmed without a mail.
    pub autoconfirm: Autoconfirm,
    /// Closes registration: `signup_disabled`. Open by default.
    pub disabled: bool,
    /// Whether someone may sign in without an address, as a user whom nobody knows. Off by default, as Supabase has
    /// it: every visitor is a row.
    pub anonymous: bool,
    /// Whether a change of the address waits for both addresses, and not for the new one alone. On: whoever steals
    /// a session cannot move the account to an address of theirs.
    pub both_addresses_confirm: bool,
    /// How long a registration may wait for its confirmation before it is cleared away, with what the host's foreign
    /// keys let go along. 7 days after its last mail; `None` keeps it. Users whom the service added or invited stay.
    pub keep_unconfirmed: Option<Duration>,
    /// How long after their first visit anonymous users are cleared away who have no session any more, and so no
    /// way back in. `None`, the default, keeps them: the host may want what they left.
    pub keep_anonymous: Option<Duration>,
}

impl SignUps {
    fn new(autoconfirm: Autoconfirm) -> Self {
        Self {
            autoconfirm,
            disabled: false,
            anonymous: false,
            both_addresses_confirm: true,
            keep_unconfirmed: Some(Duration::from_secs(7 * 86_400)),
            keep_anonymous: None,
        }
    }
}

/// Mails that sign in or confirm.
#[derive(Clone, Debug)]
pub struct Mails {
    /// How long a link or a code is good. One hour, as Supabase has it; ASVS 6.5.5 wants codes of ten minutes where
    /// they are a second factor, which these are not.
    pub lifetime: Duration,
    /// Digits of a code, 6 to 10. 6: five tries at a million.
    pub code_digits: u8,
    /// Codes that are always the same for an address, for tests of a front end. Production refuses any.
    pub test_codes: Vec<(String, String)>,
    /// Answers that must not tell whether somebody has an address come at the full multiples of this after the
    /// question, whatever was done for them. 200 milliseconds: more than the work takes, less than a person notices.
    /// Zero in development, which tells why it denies in any case.
    pub answer_step: Duration,
}

impl Default for Mails {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(3600),
            code_digits: 6,
            test_codes: Vec::new(),
            answer_step: Duration::from_millis(200),
        }
    }
}

/// What a password must be, and what hashing it may cost.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// Fewest characters. 8: ASVS 6.2.1 and NIST SP 800-63B-4 at the least; Supabase's own default is 6.
    pub shortest: usize,
    /// The weakest zxcvbn score that is accepted, 0 to 4; 0 does not ask zxcvbn. 2: more than a million guesses,
    /// which take six years where an account has one every three minutes (`Limits::guesses`); against a stolen
    /// database stand Argon2id and its key. NIST SP 800-63B-4 s3.1.1.2 asks for a list of expected passwords and for
    /// no more.
    pub weakest_score: u8,
    /// Words of the service's own that nobody may make a password of (ASVS 6.1.2, 6.2.11): its name, its products,
    /// its town. None by default; the host of `site_url` and the parts of the e-mail address count always. Words of
    /// fewer than three characters are passed over.
    pub context_words: Vec<String>,
    /// How long the host's own source of breached passwords may take. 2 seconds: a person waits for it. After that
    /// the list that is built in has the word.
    pub breached_deadline: Duration,
    /// Argon2id memory in KiB. 19456 (19 MiB): OWASP's first choice.
    pub memory_kib: u32,
    /// Argon2id passes. 2, with 19 MiB.
    pub passes: u32,
    /// Argon2id lanes. 1: one hash keeps one core.
    pub lanes: u32,
    /// Passes are raised at start, never lowered, until one hash takes about so long. 30 ms in production: a fast
    /// machine guesses fast, too. `None` takes `passes` as written, as development does.
    pub calibrate_to: Option<Duration>,
    /// Passes are raised to no more than so many (and never past 16). 4: sign-ins per second at most halve.
    pub most_passes: u32,
    /// Hashes that run at once; 0 takes the number of cores. Memory at most `permits * memory_kib`.
    pub permits: usize,
    /// Sign-ins that may wait for a permit before the next one is told to come back (503).
    pub queue: usize,
    /// How long one may wait for a permit. 5 seconds: a person has not given up, a browser has not timed out.
    pub deadline: Duration,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            shortest: 8,
            weakest_score: 2,
            context_words: Vec::new(),
            breached_deadline: Duration::from_secs(2),
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
            calibrate_to: Some(Duration::from_millis(30)),
            most_passes: 4,
            permits: 0,
            queue: 64,
            deadline: Duration::from_secs(5),
        }
    }
}

/// Keys that name an application, not a person. Matched by hash, never parsed as tokens.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    /// Publishable keys: they act as `anon`. None configured: the `apikey` header means nothing.
    pub anon: Vec<Secret>,
    /// Secret keys: they act as `service_role`, past every policy. None by default.
    pub service: Vec<Secret>,
}

/// Everything a service may choose about sign-in and the wire.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the service runs.
    pub profile: Profile,
    /// The public address of the site, such as `https://app.example.com`: where links lead back to, and what mails
    /// call the service. Never taken from a request's headers.
    pub site_url: String,
    /// The public address of the API, where it is not the site's, as in a Supabase project: issuer of tokens, base of
    /// links. `None`: the site's own.
    pub api_url: Option<String>,
    /// Where the sign-in routes are mounted. `/auth/v1`, where Supabase's clients look.
    pub prefix: String,
    /// Lifetimes.
    pub tokens: Tokens,
    /// Who may register.
    pub sign_ups: SignUps,
    /// Password rules and costs.
    pub passwords: Passwords,
    /// Links and codes in mails.
    pub mails: Mails,
    /// Second factors.
    pub factors: Factors,
    /// Where links may lead beside the site itself: URLs in which `*` stands for characters but `.` and `/`, and
    /// `**` in the path for any. None by default.
    pub redirects: Vec<String>,
    /// Application keys.
    pub api_keys: ApiKeys,
    /// Sessions in cookies, for browser apps. Off by default.
    pub cookies: CookieSessions,
    /// Origins whose pages may call across origins. None by default: same-origin pages need none.
    pub cors_origins: Vec<Origin>,
    /// Proxies whose forwarded headers are believed. None by default: the socket's address counts.
    pub trusted_proxies: Vec<Network>,
    /// Whether the disk is encrypted. Unsaid by default, which production refuses: nobody is to find out later.
    pub disk: Disk,
    /// What browsers that came by TLS are told about plain HTTP. Said in production alone, over TLS of ours or behind
    /// a declared proxy of an https site.
    pub hsts: Hsts,
    /// The largest request body of a sign-in route, in bytes. 256 KiB: every one of them is small.
    pub body_limit: usize,
}

impl Settings {
    /// Production's defaults for a site.
    pub fn production(site_url: impl Into<String>) -> Self {
        Self {
            profile: Profile::Production,
            site_url: site_url.into(),
            api_url: None,
            prefix: "/auth/v1".to_owned(),
            tokens: Tokens::default(),
            sign_ups: SignUps::new(Autoconfirm::Off),
            passwords: Passwords::default(),
            mails: Mails::default(),
            factors: Factors::default(),
            redirects: Vec::new(),
            api_keys: ApiKeys::default(),
            cookies: CookieSessions::default(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            disk: Disk::Unsaid,
            hsts: Hsts::default(),
            body_limit: 256 * 1024,
        }
    }

    /// Development's defaults: autoconfirm, on loopback; passwords cost the same on every machine.
    pub fn development() -> Self {
        Self {
            profile: Profile::Development,
            sign_ups: SignUps::new(Autoconfirm::On),
            passwords: Passwords { calibrate_to: None, ..Passwords::default() },
            mails: Mails { answer_step: Duration::ZERO, ..Mails::default() },
            ..Self::production("http://127.0.0.1:8080")
        }
    }

    /// The public address of the API: `api_url`, or the site's own.
    pub fn api_url(&self) -> &str {
        self.api_url.as_deref().unwrap_or(&self.site_url)
    }

    /// The `iss` of access tokens and the base of links: the API's address and `prefix`, as Supabase composes it.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.api_url().trim_end_matches('/'), self.prefix)
    }
}
