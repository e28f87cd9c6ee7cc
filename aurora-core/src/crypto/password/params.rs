use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::types::{Code, Error, Result};

/// What one Argon2id hash costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PasswordParams {
    /// Memory in KiB, 8192 to 1048576. Every hashing thread holds this much while the service runs.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 16.
    pub iterations: u32,
    /// Lanes, 1 to 16. They are worked one after the other.
    pub parallelism: u32,
}

/// 19 MiB, two passes, one lane: the first choice of the OWASP Password Storage Cheat Sheet, 13 to 21 ms of one
/// core. More memory per hash means fewer sign-ins per second and more memory held; raise it where you can, and
/// stored hashes follow at each user's next sign-in.
impl Default for PasswordParams {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl PasswordParams {
    const MEMORY: std::ops::RangeInclusive<u32> = 8_192..=1_048_576;
    const ITERATIONS: std::ops::RangeInclusive<u32> = 1..=16;
    const PARALLELISM: std::ops::RangeInclusive<u32> = 1..=16;
    /// The cheapest that is still safe with a database that leaks together with its key (OWASP: m=7168, t=5).
    const LEAST_WORK: u64 = 7_168 * 5;

    /// The three figures. [`Code::Configuration`] when one is out of its bounds, or all of them together are
    /// cheaper than the OWASP minimum.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self> {
        let params = Self { memory_kib, iterations, parallelism };
        params.check()?;
        Ok(params)
    }

    /// The same memory with as many passes as this machine does within `target`: never fewer than these, never
    /// more than `most_iterations` or 16. Hashes three times in the calling thread; call it at start.
    pub fn calibrate(self, target: Duration, most_iterations: u32) -> Result<Self> {
        self.check()?;
        let mut memory = Vec::new();
        let mut best = Duration::MAX;
        // The first run touches the memory for the first time; the faster of the others counts.
        for run in 0..3 {
            let start = Instant::now();
            self.run(None, b"calibration", &[0; 16], &mut [0; 32], &mut memory)?;
            if run > 0 {
                best = best.min(start.elapsed());
            }
        }
        let pass = (best / self.iterations).max(Duration::from_micros(1));
        let passes = u32::try_from(target.as_micros() / pass.as_micros()).unwrap_or(u32::MAX);
        let most = most_iterations.min(*Self::ITERATIONS.end()).max(self.iterations);
        Self::new(self.memory_kib, passes.clamp(self.iterations, most), self.parallelism)
    }

    /// Whether a hash of these costs less than one of `other` in memory or in passes. More passes do not make up for
    /// less memory. Lanes are no cost: one thread works them all.
    pub(super) fn is_weaker_than(&self, other: &Self) -> bool {
        self.memory_kib < other.memory_kib || self.iterations < other.iterations
    }

    /// What a hash of `other` costs beyond one of these, as parameters to burn; `None` when that is less than a pass.
    pub(super) fn missing_to(&self, other: &Self) -> Option<Self> {
        let work = |params: &Self| u64::from(params.memory_kib) * u64::from(params.iterations);
        let passes = work(other).saturating_sub(work(self)) / u64::from(other.memory_kib.max(1));
        let iterations = u32::try_from(passes).ok().filter(|passes| *passes > 0)?;
        Some(Self { iterations, ..*other })
    }

    pub(super) fn check(&self) -> Result<()> {
        let bounds = [
            ("memory_kib", self.memory_kib, Self::MEMORY),
            ("iterations", self.iterations, Self::ITERATIONS),
            ("parallelism", self.parallelism, Self::PARALLELISM),
        ];
        for (name, value, bounds) in bounds {
            if !bounds.contains(&value) {
                let (low, high) = (bounds.start(), bounds.end());
                let text = format!("password {name} is {value}: set it to {low} to {high}");
                return Err(Error::new(Code::Configuration, text));
            }
        }
        if u64::from(self.memory_kib) * u64::from(self.iterations) < Self::LEAST_WORK {
            let text = "password hashing is too cheap: set memory_kib times iterations to 35840 or more";
            return Err(Error::new(Code::Configuration, text));
        }
        Ok(())
    }

    /// How many KiB blocks one hash works on.
    pub(super) fn blocks(&self) -> usize {
        self.memory_kib as usize
    }

    /// Hashes into `out`, in `memory`, which grows when it is too small.
    pub(super) fn run(
        &self,
        secret: Option<&[u8; 32]>,
        password: &[u8],
        salt: &[u8],
        out: &mut [u8],
        memory: &mut Vec<Block>,
    ) -> Result<()> {
        let failed = |error: argon2::Error| Error::internal(error.to_string());
        let params = Params::new(self.memory_kib, self.iterations, self.parallelism, Some(out.len()));
        let params = params.map_err(failed)?;
        let needed = params.block_count();
        if memory.len() < needed {
            memory.resize(needed, Block::new());
        }
        let memory = memory.get_mut(..needed).ok_or_else(|| Error::internal("hash memory too small"))?;
        let secret = secret.map_or(&[][..], |secret| secret.as_slice());
        let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params);
        argon2.map_err(failed)?.hash_password_into_with_memory(password, salt, out, memory).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attacks P01, P08
    #[test]
    fn an_older_hash_is_topped_up_to_todays_work() {
        let params = |memory_kib, iterations| PasswordParams { memory_kib, iterations, parallelism: 1 };
        let missing =
            |old: PasswordParams, new| old.missing_to(&new).map(|more| (more.memory_kib, more.iterations));
        let new = params(19_456, 4);
        assert_eq!(missing(params(19_456, 2), new), Some((19_456, 2)));
        assert_eq!(missing(params(8_192, 5), new), Some((19_456, 1)));
        assert_eq!(missing(new, new), None);
        assert_eq!(missing(params(19_456, 5), new), None);
        assert!(params(19_456, 3).is_weaker_than(&new) && params(8_192, 16).is_weaker_than(&new));
        assert!(!new.is_weaker_than(&new) && !params(65_536, 8).is_weaker_than(&new));
    }
}
