use std::sync::{Mutex, PoisonError};

use crate::env::Entropy;
use crate::types::Result;

/// How many bytes are drawn at once: 256 ids.
const DRAWN: usize = 4_096;

/// Randomness for the ids of requests, which name and protect nothing: drawn by the page, since a call of the system
/// for each costs as much as all else that is done before the host's handler.
#[derive(Debug, Default)]
pub(super) struct RequestIds(Mutex<Vec<u8>>);

impl RequestIds {
    /// `entropy` by the page.
    pub(super) fn drawn<'a>(&'a self, entropy: &'a dyn Entropy) -> Drawn<'a> {
        Drawn { page: &self.0, entropy }
    }
}

#[derive(Debug)]
pub(super) struct Drawn<'a> {
    page: &'a Mutex<Vec<u8>>,
    entropy: &'a dyn Entropy,
}

impl Entropy for Drawn<'_> {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if page.len() < bytes.len() {
            let mut fresh = vec![0; DRAWN.max(bytes.len())];
            self.entropy.fill(&mut fresh)?;
            *page = fresh;
        }
        let left = page.len() - bytes.len();
        bytes.iter_mut().zip(page.drain(left..)).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::env::{SystemEntropy, random};
    use crate::types::Error;

    #[derive(Debug, Default)]
    struct Counted(AtomicUsize);

    impl Entropy for Counted {
        fn fill(&self, bytes: &mut [u8]) -> Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            SystemEntropy.fill(bytes)
        }
    }

    #[derive(Debug)]
    struct Fails;

    impl Entropy for Fails {
        fn fill(&self, _: &mut [u8]) -> Result<()> {
            Err(Error::internal("no randomness"))
        }
    }

    #[test]
    fn no_id_is_given_twice_and_few_draws_are_made() {
        let (ids, counted) = (RequestIds::default(), Counted::default());
        let drawn: BTreeSet<[u8; 16]> =
            (0..1_000).map(|_| random(&ids.drawn(&counted)).expect("an id")).collect();
        assert_eq!(drawn.len(), 1_000);
        assert_eq!(counted.0.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_source_that_fails_gives_none() {
        let ids = RequestIds::default();
        assert!(random::<16>(&ids.drawn(&Fails)).is_err());
        assert!(random::<16>(&ids.drawn(&SystemEntropy)).is_ok());
    }
}
