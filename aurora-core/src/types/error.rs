use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What Aurora's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One failure with a stable [`Code`], a sentence that is safe to show to a client, and an inner cause
/// that goes to the log only.
///
/// `Display` prints the safe sentence; the cause is reachable through [`std::error::Error::source`] and never
/// leaves the process.
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    status: Option<http::StatusCode>,
    retry_after: Option<u32>,
    max_age: Option<u64>,
    password_faults: Vec<PasswordFault>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What is wrong with a new password, in the words that Supabase's clients know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordFault {
    /// Too short.
    Length,
    /// Too easy to guess: made of words about the account or the service, or below the score. Supabase says it of
    /// missing kinds of characters, which nobody is asked for here (ASVS 6.2.5).
    Characters,
    /// Known from a breach.
    Pwned,
}

impl PasswordFault {
    /// The word on the wire, one of `weak_password.reasons`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Characters => "characters",
            Self::Pwned => "pwned",
        }
    }
}

impl Error {
    /// A failure with its code and a sentence for the client (lowercase Supabase wording where one exists).
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            status: None,
            retry_after: None,
            max_age: None,
            password_faults: Vec::new(),
            source: None,
        }
    }

    /// A new password that is refused, with what is wrong with it: [`Code::WeakPassword`].
    pub fn weak_password(faults: Vec<PasswordFault>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { password_faults: faults, ..Self::new(Code::WeakPassword, message) }
    }

    /// A failure of our own making: the client sees only `Internal server error`, the cause goes to the log.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::UnexpectedFailure, "Internal server error").with_source(source)
    }

    /// Too much work in flight: 503 with `Retry-After` in seconds. Clients keep their session and try again.
    pub fn overloaded(retry_after: u32) -> Self {
        let mut error = Self::new(Code::OverCapacity, "Service is busy, please try again");
        error.retry_after = Some(retry_after);
        error
    }

    /// The same failure with its cause attached.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure answered with another HTTP status than its code's own.
    #[must_use]
    pub fn with_status(mut self, status: http::StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same failure with a `Retry-After` in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same failure, where a second factor is wanted that was used within so many seconds.
    #[must_use]
    pub fn with_max_age(mut self, seconds: u64) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status this failure is answered with.
    pub fn status(&self) -> http::StatusCode {
        self.status.unwrap_or_else(|| self.code.status())
    }

    /// What is wrong with the password that was refused; empty for every other failure.
    pub fn password_faults(&self) -> &[PasswordFault] {
        &self.password_faults
    }

    /// How many seconds ago a second factor may have been used at the most, where that is what was wanted.
    pub fn max_age(&self) -> Option<u64> {
        self.max_age
    }

    /// Seconds after which a client may try again.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)+) => {
        /// A stable failure code. Those that Supabase Auth also has are spelled as it spells them
        /// (auth-js `error-codes.ts`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// Every code, for tests that cover the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The code as it stands on the wire and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }

            /// The HTTP status it is answered with unless the error says otherwise.
            pub fn status(self) -> http::StatusCode {
                let status: u16 = match self { $(Code::$name => $status,)+ };
                http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

codes! {
    /// Our own failure; look the request id up in the log.
    UnexpectedFailure = "unexpected_failure", 500;
    /// The body or a parameter has the wrong shape; the message names the field.
    ValidationFailed = "validation_failed", 400;
    /// The body is not JSON, or not UTF-8, or names a member twice.
    BadJson = "bad_json", 400;
    /// The body's media type is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The body is larger than the route takes.
    PayloadTooLarge = "payload_too_large", 413;
    /// The body did not arrive in time.
    RequestTimeout = "request_timeout", 408;
    /// No such route or row.
    NotFound = "not_found", 404;
    /// The route exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The e-mail address is not one.
    EmailAddressInvalid = "email_address_invalid", 400;
    /// Wrong address or password, whichever.
    InvalidCredentials = "invalid_credentials", 400;
    /// The address was never confirmed.
    EmailNotConfirmed = "email_not_confirmed", 400;
    /// The address is taken (told only where autoconfirm is on).
    UserAlreadyExists = "user_already_exists", 422;
    /// The new address is taken.
    EmailExists = "email_exists", 422;
    /// The password is too short, too easy to guess or known from a breach; `weak_password.reasons` says which.
    WeakPassword = "weak_password", 422;
    /// The new password equals the old one.
    SamePassword = "same_password", 422;
    /// A sensitive change wants a recent sign-in: sign in again and repeat.
    ReauthenticationNeeded = "reauthentication_needed", 400;
    /// The nonce is not the one that was sent, or too old.
    ReauthenticationNotValid = "reauthentication_not_valid", 422;
    /// A second factor is wanted, or one that was used lately: challenge one, verify it and repeat. `step_up` says what
    /// is wanted.
    InsufficientAal = "insufficient_aal", 403;
    /// No such factor of this user's, or no such challenge of this factor's.
    MfaFactorNotFound = "mfa_factor_not_found", 404;
    /// The user has a factor of that name.
    MfaFactorNameConflict = "mfa_factor_name_conflict", 422;
    /// There are recovery codes already: replace them by regenerating them.
    MfaVerifiedFactorExists = "mfa_verified_factor_exists", 422;
    /// The user has as many factors as one may have.
    TooManyEnrolledMfaFactors = "too_many_enrolled_mfa_factors", 422;
    /// The challenge was asked for from another address.
    MfaIpAddressMismatch = "mfa_ip_address_mismatch", 422;
    /// The challenge is too old: ask for another.
    MfaChallengeExpired = "mfa_challenge_expired", 422;
    /// The code is wrong, too old or was used.
    MfaVerificationFailed = "mfa_verification_failed", 422;
    /// Phones as factors are switched off.
    MfaPhoneEnrollNotEnabled = "mfa_phone_enroll_not_enabled", 422;
    /// Security keys as factors are switched off.
    MfaWebAuthnEnrollNotEnabled = "mfa_webauthn_enroll_not_enabled", 422;
    /// A link or a code that is unknown, used, expired or for something else.
    OtpExpired = "otp_expired", 403;
    /// What a link led to is unknown, used or expired.
    FlowStateNotFound = "flow_state_not_found", 404;
    /// The verifier is not what the challenge was made of.
    BadCodeVerifier = "bad_code_verifier", 400;
    /// Too many mails, to this address or asked for from this one.
    OverEmailSendRateLimit = "over_email_send_rate_limit", 429;
    /// Manual linking of identities is switched off.
    ManualLinkingDisabled = "manual_linking_disabled", 404;
    /// SAML is switched off.
    SamlProviderDisabled = "saml_provider_disabled", 404;
    /// Web3 is switched off.
    Web3ProviderDisabled = "web3_provider_disabled", 422;
    /// An outside provider is switched off, or unknown.
    ProviderDisabled = "provider_disabled", 400;
    /// No bearer token where one is required.
    NoAuthorization = "no_authorization", 401;
    /// The access token does not verify, has expired, or is not one.
    BadJwt = "bad_jwt", 403;
    /// The session behind the token is gone.
    SessionNotFound = "session_not_found", 403;
    /// The session's absolute or idle lifetime is over.
    SessionExpired = "session_expired", 400;
    /// No such refresh token.
    RefreshTokenNotFound = "refresh_token_not_found", 400;
    /// The refresh token was used before, its grace is over, and its family is revoked.
    RefreshTokenAlreadyUsed = "refresh_token_already_used", 400;
    /// The account is banned.
    UserBanned = "user_banned", 403;
    /// No such user.
    UserNotFound = "user_not_found", 404;
    /// Sign-ups are switched off.
    SignupDisabled = "signup_disabled", 422;
    /// The e-mail provider is switched off.
    EmailProviderDisabled = "email_provider_disabled", 422;
    /// Phone numbers are switched off.
    PhoneProviderDisabled = "phone_provider_disabled", 400;
    /// Anonymous sign-ins are switched off.
    AnonymousProviderDisabled = "anonymous_provider_disabled", 422;
    /// Not supported (yet) by this server.
    NotSupported = "not_supported", 501;
    /// A hook of the host's did not answer in time.
    HookTimeout = "hook_timeout", 422;
    /// A hook of the host's answered with more than fits.
    HookPayloadOverSizeLimit = "hook_payload_over_size_limit", 422;
    /// A hook of the host's refused, for the reason that the message says. Supabase has no code of its own for it.
    RefusedByHook = "unknown", 400;
    /// The role may not do this.
    NotAdmin = "not_admin", 403;
    /// Too many requests from here or for this account.
    OverRequestRateLimit = "over_request_rate_limit", 429;
    /// Overload or lock contention: try again after `Retry-After`.
    OverCapacity = "over_capacity", 503;
    /// The origin is not on the allow-list.
    OriginNotAllowed = "origin_not_allowed", 403;
    /// A change that a cookie signs came without its session's token: read it from the cookie `__Host-aurora-csrf`,
    /// or from `GET /csrf`, and send it as `X-CSRF-Token`.
    CsrfTokenInvalid = "csrf_token_invalid", 403;
    /// There is no such bucket.
    NoSuchBucket = "no_such_bucket", 404;
    /// There is no such object, or the caller may not know of it.
    NoSuchObject = "no_such_object", 404;
    /// A bucket or an object of that name exists.
    AlreadyExists = "already_exists", 409;
    /// The bucket holds objects: empty it first.
    BucketNotEmpty = "bucket_not_empty", 409;
    /// The name of a bucket or an object is not one; the message says why.
    InvalidName = "invalid_name", 400;
    /// The bucket does not take files of that type, or the content is of another type than was said.
    InvalidMimeType = "invalid_mime_type", 415;
    /// The owner's files would take more than they may.
    QuotaExceeded = "quota_exceeded", 413;
    /// A signed URL that is wrong, expired or for something else.
    SignatureInvalid = "signature_invalid", 403;
    /// No byte of the file is in the range that was asked for.
    RangeNotSatisfiable = "range_not_satisfiable", 416;
    /// Another part of the upload is expected: ask where it stands.
    UploadConflict = "upload_conflict", 409;
    /// The content is not what its digest says.
    DigestMismatch = "digest_mismatch", 460;
    /// Not switched on in this service.
    FeatureDisabled = "feature_disabled", 404;
    /// A row policy or a missing grant refused the statement (PostgreSQL's 42501).
    InsufficientPrivilege = "42501", 403;
    /// A unique constraint was violated (PostgreSQL's 23505).
    UniqueViolation = "23505", 409;
    /// A foreign key was violated (PostgreSQL's 23503).
    ForeignKeyViolation = "23503", 409;
    /// A NOT NULL constraint was violated (PostgreSQL's 23502).
    NotNullViolation = "23502", 400;
    /// A CHECK constraint was violated (PostgreSQL's 23514).
    CheckViolation = "23514", 400;
    /// The statement does not parse or names something that does not exist (PostgreSQL's 42601).
    BadStatement = "42601", 500;
    /// The statement uses a construct that guarded SQL does not carry; the message names it (PostgreSQL's 0A000).
    StatementNotSupported = "0A000", 500;
    /// A GET that a cookie signs only reads; ask with another method (PostgreSQL's 25006).
    ReadOnlyTransaction = "25006", 403;
    /// The transaction failed earlier; roll back and start again (PostgreSQL's 25P02).
    TransactionPoisoned = "25P02", 500;
    /// The statement ran into its time or memory limit (PostgreSQL's 57014).
    StatementTooLong = "57014", 503;
    /// The key of this data was destroyed: nobody can read it again.
    KeyDestroyed = "key_destroyed", 410;
    /// The key of this data is not in the database: restore the row of its keys table.
    KeyMissing = "key_missing", 500;
    /// A configuration, key or policy file is wrong; the message says where and how to mend it. Only at start.
    Configuration = "configuration", 500;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
