use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::types::{Principal, RequestId, Role, TenantId, Timestamp, UserId};
use crate::validate::printable;

/// Who acted, without a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    /// A user.
    User(UserId),
    /// Someone who has not signed in.
    Anonymous,
    /// The service, or whoever holds its key.
    Service,
}

impl Actor {
    /// The actor that a principal is.
    pub fn of(principal: &Principal) -> Self {
        match (principal.role(), principal.user_id()) {
            (Role::Service, _) => Self::Service,
            (_, Some(user)) => Self::User(user),
            (_, None) => Self::Anonymous,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// Which shelf a record belongs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Sign-in, sessions, accounts, denials.
    Security,
    /// Data that changed.
    Data,
    /// Data that was read past the policies.
    Access,
}

impl Kind {
    /// The kind's name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Data => "data",
            Self::Access => "access",
        }
    }
}

/// What happened. Those that Supabase Auth logs have its names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// Signed in.
    pub const LOGIN: Self = Self(Cow::Borrowed("login"));
    /// A sign-in was refused.
    pub const LOGIN_FAILED: Self = Self(Cow::Borrowed("login_failed"));
    /// Signed out.
    pub const LOGOUT: Self = Self(Cow::Borrowed("logout"));
    /// Registered.
    pub const USER_SIGNED_UP: Self = Self(Cow::Borrowed("user_signedup"));
    /// Registration of an address that is taken.
    pub const USER_REPEATED_SIGN_UP: Self = Self(Cow::Borrowed("user_repeated_signup"));
    /// A registration was refused.
    pub const SIGN_UP_FAILED: Self = Self(Cow::Borrowed("signup_failed"));
    /// Address or metadata changed.
    pub const USER_MODIFIED: Self = Self(Cow::Borrowed("user_modified"));
    /// Password changed.
    pub const USER_UPDATED_PASSWORD: Self = Self(Cow::Borrowed("user_updated_password"));
    /// A change of an account was refused.
    pub const USER_CHANGE_FAILED: Self = Self(Cow::Borrowed("user_change_failed"));
    /// A mail to choose a new password with was asked for.
    pub const USER_RECOVERY_REQUESTED: Self = Self(Cow::Borrowed("user_recovery_requested"));
    /// A mail to sign in with was asked for.
    pub const MAGIC_LINK_REQUESTED: Self = Self(Cow::Borrowed("user_magic_link_requested"));
    /// A mail that is still waited for was asked for again.
    pub const MAIL_RESENT: Self = Self(Cow::Borrowed("user_confirmation_requested"));
    /// A code to reauthenticate with was asked for.
    pub const USER_REAUTHENTICATE_REQUESTED: Self = Self(Cow::Borrowed("user_reauthenticate_requested"));
    /// The service invited someone.
    pub const USER_INVITED: Self = Self(Cow::Borrowed("user_invited"));
    /// The service made a link that signs in, without a mail.
    pub const LINK_GENERATED: Self = Self(Cow::Borrowed("link_generated"));
    /// Account deleted.
    pub const USER_DELETED: Self = Self(Cow::Borrowed("user_deleted"));
    /// Account banned.
    pub const USER_BANNED: Self = Self(Cow::Borrowed("user_banned"));
    /// Ban lifted.
    pub const USER_UNBANNED: Self = Self(Cow::Borrowed("user_unbanned"));
    /// A refresh token was exchanged, or its unused successor was handed out again.
    pub const TOKEN_REFRESHED: Self = Self(Cow::Borrowed("token_refreshed"));
    /// A family of refresh tokens was revoked, because one of them was replayed or its session had expired.
    pub const TOKEN_REVOKED: Self = Self(Cow::Borrowed("token_revoked"));
    /// One of the user's own sessions was ended from another.
    pub const SESSION_REVOKED: Self = Self(Cow::Borrowed("session_revoked"));
    /// A second factor was enrolled; it does not count before its first code.
    pub const FACTOR_ENROLLED: Self = Self(Cow::Borrowed("factor_in_progress"));
    /// A code of a second factor was asked for.
    pub const FACTOR_CHALLENGED: Self = Self(Cow::Borrowed("challenge_created"));
    /// A code of a second factor was right.
    pub const FACTOR_VERIFIED: Self = Self(Cow::Borrowed("verification_attempted"));
    /// A user removed a second factor of theirs.
    pub const FACTOR_REMOVED: Self = Self(Cow::Borrowed("factor_unenrolled"));
    /// The service removed a user's second factor.
    pub const FACTOR_DELETED: Self = Self(Cow::Borrowed("factor_deleted"));
    /// Something that was asked of second factors was refused.
    pub const FACTOR_REFUSED: Self = Self(Cow::Borrowed("factor_refused"));
    /// New recovery codes stand in for the old ones.
    pub const RECOVERY_CODES_GENERATED: Self = Self(Cow::Borrowed("recovery_codes_generated"));
    /// A user removed their recovery codes.
    pub const RECOVERY_CODES_REMOVED: Self = Self(Cow::Borrowed("recovery_codes_removed"));
    /// A recovery code was used up.
    pub const RECOVERY_CODE_USED: Self = Self(Cow::Borrowed("recovery_code_used"));
    /// A new key signs access tokens.
    pub const SIGNING_KEY_ROTATED: Self = Self(Cow::Borrowed("signing_key_rotated"));
    /// A new key was published and will sign.
    pub const SIGNING_KEY_PUBLISHED: Self = Self(Cow::Borrowed("signing_key_published"));
    /// A key verifies no more.
    pub const SIGNING_KEY_RETIRED: Self = Self(Cow::Borrowed("signing_key_retired"));
    /// A data key was made that will take over.
    pub const DATA_KEY_PUBLISHED: Self = Self(Cow::Borrowed("data_key_published"));
    /// Another data key seals from now on.
    pub const DATA_KEY_ROTATED: Self = Self(Cow::Borrowed("data_key_rotated"));
    /// A data key was wiped.
    pub const DATA_KEY_DESTROYED: Self = Self(Cow::Borrowed("data_key_destroyed"));
    /// Data keys were wrapped under another root key.
    pub const ROOT_KEY_ROTATED: Self = Self(Cow::Borrowed("root_key_rotated"));
    /// A root key that was replaced was taken out of the key file.
    pub const ROOT_KEY_FORGOTTEN: Self = Self(Cow::Borrowed("root_key_forgotten"));
    /// A person, or what was sealed for a tenant, was erased.
    pub const PERSON_ERASED: Self = Self(Cow::Borrowed("person_erased"));
    /// What is kept of a person was handed out.
    pub const PERSON_EXPORTED: Self = Self(Cow::Borrowed("person_exported"));
    /// A key of an application was made.
    pub const API_KEY_CREATED: Self = Self(Cow::Borrowed("api_key_created"));
    /// A key of an application was revoked.
    pub const API_KEY_REVOKED: Self = Self(Cow::Borrowed("api_key_revoked"));
    /// A key of an application that is known was refused: revoked, in a browser, or past its scopes.
    pub const API_KEY_REFUSED: Self = Self(Cow::Borrowed("api_key_refused"));
    /// Somebody who is not the service asked for what is the service's alone.
    pub const ADMIN_REFUSED: Self = Self(Cow::Borrowed("admin_refused"));
    /// A mail was taken by the mail server.
    pub const MAIL_SENT: Self = Self(Cow::Borrowed("mail_sent"));
    /// A mail was given up: refused for good, too old, or what it carried had expired.
    pub const MAIL_FAILED: Self = Self(Cow::Borrowed("mail_failed"));
    /// A role was made, or became another.
    pub const ROLE_DEFINED: Self = Self(Cow::Borrowed("role_defined"));
    /// A role was deleted, and taken from whoever held it.
    pub const ROLE_DELETED: Self = Self(Cow::Borrowed("role_deleted"));
    /// A user was given a role.
    pub const ROLE_GRANTED: Self = Self(Cow::Borrowed("role_granted"));
    /// A role was taken from a user.
    pub const ROLE_REVOKED: Self = Self(Cow::Borrowed("role_revoked"));
    /// A change of who holds which role was refused.
    pub const ROLE_CHANGE_FAILED: Self = Self(Cow::Borrowed("role_change_failed"));
    /// A request by cookie was refused: a foreign page, or no token of its session.
    pub const CSRF_REFUSED: Self = Self(Cow::Borrowed("csrf_refused"));
    /// A handle past every policy was taken.
    pub const UNGUARDED: Self = Self(Cow::Borrowed("unguarded_access"));
    /// Someone acted as another principal outside a request.
    pub const ACTING_AS: Self = Self(Cow::Borrowed("acting_as"));

    /// A new TLS certificate is shown.
    pub const CERTIFICATE_TAKEN: Self = Self(Cow::Borrowed("certificate_taken"));
    /// A new TLS certificate cannot be used; the one before is shown on.
    pub const CERTIFICATE_REFUSED: Self = Self(Cow::Borrowed("certificate_refused"));

    /// A bucket was made.
    pub const BUCKET_CREATED: Self = Self(Cow::Borrowed("bucket_created"));
    /// A bucket takes something else, or is public, or no more.
    pub const BUCKET_UPDATED: Self = Self(Cow::Borrowed("bucket_updated"));
    /// A bucket was deleted.
    pub const BUCKET_DELETED: Self = Self(Cow::Borrowed("bucket_deleted"));
    /// A file was uploaded, copied, or took another's place.
    pub const OBJECT_UPLOADED: Self = Self(Cow::Borrowed("object_uploaded"));
    /// A file was removed.
    pub const OBJECT_REMOVED: Self = Self(Cow::Borrowed("object_removed"));
    /// A URL was given out with which whoever has it reads or writes one file.
    pub const OBJECT_SIGNED: Self = Self(Cow::Borrowed("object_signed"));
    /// A file got another name or bucket.
    pub const OBJECT_MOVED: Self = Self(Cow::Borrowed("object_moved"));

    /// An action of the host's own, such as `invoice_approved`.
    pub fn custom(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Cow::Owned(printable(&name.into(), 64)))
    }

    /// The action's name in the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One event, on its way to a sink.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) at: Timestamp,
    pub(super) tenant: Option<TenantId>,
    pub(super) actor: Actor,
    pub(super) kind: Kind,
    pub(super) action: Action,
    pub(super) target: Option<String>,
    pub(super) request: Option<RequestId>,
    details: BTreeMap<&'static str, String>,
}

impl Record {
    /// A record of that kind.
    pub fn new(at: Timestamp, kind: Kind, actor: Actor, action: Action) -> Self {
        Self { at, tenant: None, actor, kind, action, target: None, request: None, details: BTreeMap::new() }
    }

    /// A record of kind [`Kind::Security`].
    pub fn security(at: Timestamp, actor: Actor, action: Action) -> Self {
        Self::new(at, Kind::Security, actor, action)
    }

    /// Names whom or what it happened to.
    #[must_use]
    pub fn target(mut self, target: impl fmt::Display) -> Self {
        self.target = Some(printable(&target.to_string(), 128));
        self
    }

    /// Names the request within which it happened.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// Names the tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Adds a detail. Never a secret; at most 512 characters, none of which can break a line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.details.insert(name, printable(&value.to_string(), 512));
        self
    }

    /// The details as canonical JSON: one object, members sorted, no spaces, texts only.
    pub fn payload(&self) -> String {
        serde_json::to_string(&self.details).unwrap_or_else(|_| "{}".to_owned())
    }

    /// The detail of that name.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.get(name).map(String::as_str)
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Who acted.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Which shelf it belongs on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// To whom or what.
    pub fn target_id(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Within which request.
    pub fn request_id(&self) -> Option<RequestId> {
        self.request
    }
}
