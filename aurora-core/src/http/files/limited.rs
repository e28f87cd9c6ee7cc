use http::StatusCode;

use super::Asked;
use crate::http::Http;
use crate::load::{Bucket, address_key};
use crate::types::{Code, Error, Principal, Result, Role};

impl Http {
    /// Counts a request before anything is done for it. Whoever was refused too often opens no link meanwhile: what
    /// they try could be a list of names.
    pub(super) fn count_request(&self, asked: &Asked<'_>) -> Result<()> {
        let (limiter, key) = (self.auth().limiter(), self.sender(asked));
        limiter.check(Bucket::File, &key)?;
        if asked.found.route.is_open() { limiter.look(Bucket::FileRefused, &key) } else { Ok(()) }
    }

    /// Counts a change, of whom the door let in or of whoever holds a link. The host's own service is not counted.
    pub(super) fn count_change(&self, asked: &Asked<'_>, by: Option<&Principal>) -> Result<()> {
        let is_service = by.is_some_and(|principal| principal.role() == Role::Service);
        if is_service || !asked.found.route.changes() {
            return Ok(());
        }
        self.auth().limiter().check(Bucket::FileChange, &self.sender(asked))
    }

    /// Counts a refusal, and answers what to tell: that, or that there were too many.
    pub(super) fn count_refusal(&self, asked: &Asked<'_>, error: Error) -> Error {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&error.status());
        let missed = [Code::NoSuchObject, Code::NoSuchBucket].contains(&error.code());
        let guessed = missed && asked.found.route.is_open();
        if !(refused || guessed) {
            return error;
        }
        match self.auth().limiter().check(Bucket::FileRefused, &self.sender(asked)) {
            Ok(()) => error,
            Err(limited) => limited.with_source(error),
        }
    }

    fn sender(&self, asked: &Asked<'_>) -> [u8; 9] {
        address_key(self.client_address(asked.peer, &asked.head.headers))
    }
}
