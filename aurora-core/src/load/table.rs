use std::sync::{Arc, Mutex, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// Places that one fingerprint may stand in.
const WAYS: usize = 8;
const SETS: usize = 8_192;

/// A bucket's key, hashed under a key of this process: nobody outside can aim at a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Fingerprint {
    pub(super) high: u64,
    pub(super) low: u64,
}

#[derive(Clone, Copy)]
struct Place {
    key: Fingerprint,
    /// GCRA's theoretical arrival time: the later, the more of the bucket is used up.
    arrival: u64,
}

const EMPTY: Place = Place { key: Fingerprint { high: 0, low: 0 }, arrival: 0 };

/// The state of every bucket: 65,536 places in sets of eight, 1.6 MB, never more.
///
/// When a set is full, the newcomer takes the place with the earliest arrival time: that bucket is the nearest to
/// being full again, so the least is forgotten. An attacker with a million addresses pushes out their own.
#[derive(Clone)]
pub(super) struct Table(Arc<[Mutex<[Place; WAYS]>]>);

impl Table {
    pub(super) fn new() -> Self {
        Self((0..SETS).map(|_| Mutex::new([EMPTY; WAYS])).collect())
    }

    pub(super) fn forget(&self, key: &Fingerprint) {
        self.with(key, |places| {
            for place in places.iter_mut().filter(|place| place.key == *key) {
                *place = EMPTY;
            }
        });
    }

    /// Gives back what one arrival cost. Nothing, when the bucket was forgotten meanwhile: it is full then.
    pub(super) fn refund(&self, key: &Fingerprint, cost: u64) {
        self.with(key, |places| {
            for place in places.iter_mut().filter(|place| place.key == *key) {
                place.arrival = place.arrival.saturating_sub(cost);
            }
        });
    }

    /// When all of a bucket is there again; 0 where nothing is known of it.
    pub(super) fn arrival(&self, key: &Fingerprint) -> u64 {
        let found =
            self.with(key, |places| places.iter().find(|place| place.key == *key).map(|place| place.arrival));
        found.flatten().unwrap_or_default()
    }

    /// Places in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let used = |set: &Mutex<[Place; WAYS]>| {
            set.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .filter(|place| place.key != EMPTY.key)
                .count()
        };
        self.0.iter().map(used).sum()
    }

    fn with<T>(&self, key: &Fingerprint, act: impl FnOnce(&mut [Place; WAYS]) -> T) -> Option<T> {
        let set = usize::try_from(key.low % SETS as u64).unwrap_or_default();
        let set = self.0.get(set)?;
        Some(act(&mut set.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl StateStore for Table {
    type Key = Fingerprint;

    fn measure_and_replace<T, F, E>(&self, key: &Fingerprint, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let decide = |places: &mut [Place; WAYS]| {
            if let Some(place) = places.iter_mut().find(|place| place.key == *key) {
                let (outcome, next) = f(Some(Nanos::new(place.arrival)))?;
                place.arrival = next.as_u64();
                return Ok(outcome);
            }
            let (outcome, next) = f(None)?;
            // Empty places have the earliest arrival of all.
            if let Some(place) = places.iter_mut().min_by_key(|place| place.arrival) {
                *place = Place { key: *key, arrival: next.as_u64() };
            }
            Ok(outcome)
        };
        match self.with(key, decide) {
            Some(outcome) => outcome,
            None => f(None).map(|(outcome, _)| outcome),
        }
    }
}
