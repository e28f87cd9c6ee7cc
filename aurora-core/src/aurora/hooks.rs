//! Where the host's own code takes part, and which routes it says it has.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, mail};
use crate::auth::{BeforeUserCreated, CustomClaims, Hooks, PasswordVerified};
use crate::http::HostRoutes;
use crate::mail::{Kind, Mailer};

/// What the host hands in for it.
#[derive(Default)]
pub(super) struct TakingPart {
    pub(super) hooks: Hooks,
    pub(super) mails: Vec<mail::Hook>,
    pub(super) routes: HostRoutes,
}

impl Builder {
    /// Asks the host before someone becomes a user.
    pub fn before_user_created(mut self, hook: Arc<dyn BeforeUserCreated>) -> Self {
        self.taking_part.hooks.before_user_created = Some(hook);
        self
    }

    /// Adds claims of the host's to access tokens.
    pub fn custom_claims(mut self, hook: Arc<dyn CustomClaims>) -> Self {
        self.taking_part.hooks.custom_claims = Some(hook);
        self
    }

    /// Asks the host after a password was right.
    pub fn password_verified(mut self, hook: Arc<dyn PasswordVerified>) -> Self {
        self.taking_part.hooks.password_verified = Some(hook);
        self
    }

    /// How long each of those may take, and [`Builder::on_sign_up`]; 5 s unless said otherwise.
    pub fn hook_time_limit(mut self, limit: Duration) -> Self {
        self.taking_part.hooks.time_limit = limit;
        self
    }

    /// Sends mails of these kinds by `hook`, whatever sends the others: the last one that names a kind counts. They
    /// wait in the outbox as all do, so that no request waits for it and none is lost while it is down.
    pub fn send_mail(mut self, kinds: &[Kind], hook: Arc<dyn Mailer>) -> Self {
        self.taking_part.mails.push((kinds.to_vec(), hook));
        self
    }

    /// The host's own routes, for `aurora routes` and for tests that go over them.
    pub fn routes(mut self, routes: HostRoutes) -> Self {
        self.taking_part.routes = routes;
        self
    }
}
