use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{NotUntil, RateLimiter};

use super::table::{Fingerprint, Table};
use crate::env::{Entropy, random};
use crate::types::{Code, Error, Result};

/// A class of endpoints that share a limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Bucket {
    /// Any request of the sign-in protocol, per address.
    Request,
    /// Sign-ups, per address.
    SignUp,
    /// Password sign-ins, and changes that cost a hash, per address: one password tried on a thousand accounts.
    SignIn,
    /// Refreshes, per address. Over the limit they are told [`Code::OverCapacity`] (503): the official client signs
    /// its user out on a 429.
    Refresh,
    /// Whatever makes the service send a mail, per address that asks.
    Mail,
    /// The same, per recipient.
    MailTo,
    /// Second factors: enrolling, challenging, verifying, per address.
    Factor,
    /// Any request for files, per address.
    File,
    /// Requests that change files or begin to, per address; the service's own are not counted.
    FileChange,
    /// Requests for files that were refused who asked, or that tried names where anyone may ask, per address.
    FileRefused,
}

/// So many at once, and so many again in so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    burst: u32,
    per: Duration,
}

impl Quota {
    /// `burst` at once; spent ones come back evenly, all of them within `per`. A burst of 0 lets nothing through.
    pub const fn new(burst: u32, per: Duration) -> Self {
        Self { burst, per }
    }

    fn check(self, name: &str) -> Result<Self> {
        let allowed = Duration::from_millis(1)..=Duration::from_secs(31 * 86_400);
        if self.burst > 1_000_000 || !allowed.contains(&self.per) {
            let text =
                format!("limit `{name}`: set burst to at most 1000000 and its time to 1 ms to 31 days");
            return Err(Error::new(Code::Configuration, text));
        }
        Ok(self)
    }
}

/// `30/300s`: so many at once, and all of them again in so many seconds.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.burst, self.per.as_secs_f64())
    }
}

/// The limits of every bucket. The defaults follow Supabase's published ones where it has them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// 600 within a minute: a front end's server asks `GET /user` for all its visitors from one address.
    pub request: Quota,
    /// 30 within five minutes.
    pub sign_up: Quota,
    /// 30 within five minutes.
    pub sign_in: Quota,
    /// 150 within five minutes.
    pub refresh: Quota,
    /// 30 within an hour.
    pub mail: Quota,
    /// 3 at once, then one a minute: someone who asks again gets another, and nobody's mailbox is filled.
    pub mail_to: Quota,
    /// 30 at once, 15 a minute.
    pub factor: Quota,
    /// 6,000 within a minute: pages full of pictures, asked for by an office behind one address.
    pub file: Quota,
    /// 1,200 within a minute: each is a durable write. A large file in parts of 6 MiB takes 170.
    pub file_change: Quota,
    /// 1,200 within ten minutes: a page with fifty missing pictures is opened many times before, and no list of
    /// guessed names is tried.
    pub file_refused: Quota,
    /// Wrong passwords for one account: 5 at once, then one in three minutes. A person who mistypes does not
    /// notice; a dictionary of the hundred commonest takes five hours.
    pub guesses: Quota,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            request: Quota::new(600, minutes(1)),
            sign_up: Quota::new(30, minutes(5)),
            sign_in: Quota::new(30, minutes(5)),
            refresh: Quota::new(150, minutes(5)),
            mail: Quota::new(30, minutes(60)),
            mail_to: Quota::new(3, minutes(3)),
            factor: Quota::new(30, minutes(2)),
            file: Quota::new(6_000, minutes(1)),
            file_change: Quota::new(1_200, minutes(1)),
            file_refused: Quota::new(1_200, minutes(10)),
            guesses: Quota::new(5, minutes(15)),
        }
    }
}

/// Counts requests and guesses. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    key: hmac::Key,
    table: Table,
    clock: Monotonic,
    request: Gate,
    sign_up: Gate,
    sign_in: Gate,
    refresh: Gate,
    mail: Gate,
    mail_to: Gate,
    factor: Gate,
    file: Gate,
    file_change: Gate,
    file_refused: Gate,
    guesses: Gate,
}

impl Inner {
    fn gate(&self, bucket: Bucket) -> &Gate {
        match bucket {
            Bucket::Request => &self.request,
            Bucket::SignUp => &self.sign_up,
            Bucket::SignIn => &self.sign_in,
            Bucket::Refresh => &self.refresh,
            Bucket::Mail => &self.mail,
            Bucket::MailTo => &self.mail_to,
            Bucket::Factor => &self.factor,
            Bucket::File => &self.file,
            Bucket::FileChange => &self.file_change,
            Bucket::FileRefused => &self.file_refused,
        }
    }
}

impl Limiter {
    /// With everything unspent. [`Code::Configuration`] when a quota is out of bounds.
    pub fn new(limits: Limits, entropy: &dyn Entropy) -> Result<Self> {
        let start = Instant::now();
        let elapsed = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        Self::with_clock(limits, entropy, Monotonic(Arc::new(elapsed)))
    }

    fn with_clock(limits: Limits, entropy: &dyn Entropy, clock: Monotonic) -> Result<Self> {
        let table = Table::new();
        let gate = |class, name, quota: Quota| Gate::new(class, quota.check(name)?, &table, &clock);
        Ok(Self(Arc::new(Inner {
            key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>(entropy)?),
            request: gate(0, "request", limits.request)?,
            sign_up: gate(1, "sign_up", limits.sign_up)?,
            sign_in: gate(2, "sign_in", limits.sign_in)?,
            refresh: gate(3, "refresh", limits.refresh)?,
            mail: gate(4, "mail", limits.mail)?,
            mail_to: gate(6, "mail_to", limits.mail_to)?,
            factor: gate(21, "factor", limits.factor)?,
            file: gate(22, "file", limits.file)?,
            file_change: gate(23, "file_change", limits.file_change)?,
            file_refused: gate(24, "file_refused", limits.file_refused)?,
            guesses: gate(5, "guesses", limits.guesses)?,
            table,
            clock,
        })))
    }

    /// Counts one request of `key` in `bucket`.
    ///
    /// [`Code::OverRequestRateLimit`] with the seconds until the next one passes; [`Code::OverCapacity`] for
    /// [`Bucket::Refresh`]. A refused request costs nothing.
    pub fn check(&self, bucket: Bucket, key: &[u8]) -> Result<()> {
        let inner = &self.0;
        let gate = inner.gate(bucket);
        gate.pass(&self.fingerprint(gate, key), &inner.clock).map_err(|wait| match bucket {
            Bucket::Refresh => Error::overloaded(wait),
            _ => limited(wait),
        })
    }

    /// Refuses who has none left in `bucket`, and counts nothing: for what is counted once its outcome is known.
    pub fn look(&self, bucket: Bucket, key: &[u8]) -> Result<()> {
        let gate = self.0.gate(bucket);
        let arrival = self.0.table.arrival(&self.fingerprint(gate, key));
        match gate.wait(Duration::from_nanos(arrival), self.0.clock.now()) {
            Some(wait) => Err(limited(wait)),
            None => Ok(()),
        }
    }

    /// Pays for one guess at the password of `account`, before it is checked. [`Code::OverRequestRateLimit`] when
    /// there is none left.
    ///
    /// Whoever knows an address can use up its guesses. Let a device that signed in before (a session, a marked
    /// browser) guess under a key of its own, `account` and the device together.
    pub fn guess(&self, account: &[u8]) -> Result<Guess> {
        let gate = &self.0.guesses;
        let key = self.fingerprint(gate, account);
        gate.pass(&key, &self.0.clock).map_err(limited)?;
        Ok(Guess { table: self.0.table.clone(), key, cost: gate.each })
    }

    fn fingerprint(&self, gate: &Gate, key: &[u8]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0.key);
        context.update(&[gate.class]);
        context.update(key);
        let tag = context.sign();
        let word = |at: usize| {
            let bytes = tag.as_ref().get(at..).and_then(|rest| rest.first_chunk::<8>());
            u64::from_be_bytes(bytes.copied().unwrap_or([1; 8]))
        };
        Fingerprint { high: word(0), low: word(8) }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

fn limited(wait: u32) -> Error {
    Error::new(Code::OverRequestRateLimit, "Request rate limit reached").with_retry_after(wait)
}

/// A guess that was paid for. Dropped, it stays paid.
#[must_use = "tell whether the guess was right, or drop it on purpose"]
pub struct Guess {
    table: Table,
    key: Fingerprint,
    cost: Duration,
}

impl Guess {
    /// The password was right: the account's guesses are whole again.
    pub fn succeeded(self) {
        self.table.forget(&self.key);
    }

    /// The password was never looked at: what this guess cost is given back.
    pub fn refund(self) {
        self.table.refund(&self.key, u64::try_from(self.cost.as_nanos()).unwrap_or_default());
    }
}

impl fmt::Debug for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guess").finish_non_exhaustive()
    }
}

/// Nanoseconds that never go back.
#[derive(Clone)]
struct Monotonic(Arc<dyn Fn() -> u64 + Send + Sync>);

impl GovernorClock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new((self.0)())
    }
}

/// One bucket class.
struct Gate {
    class: u8,
    /// None lets nothing through.
    limit: Option<RateLimiter<Fingerprint, Table, Monotonic, NoOpMiddleware<Nanos>>>,
    per: Duration,
    /// After which one that was spent comes back.
    each: Duration,
}

impl Gate {
    fn new(class: u8, quota: Quota, table: &Table, clock: &Monotonic) -> Result<Self> {
        let each = (quota.per / quota.burst.max(1)).max(Duration::from_nanos(1));
        let limit = match NonZeroU32::new(quota.burst) {
            None => None,
            Some(burst) => {
                let quota =
                    governor::Quota::with_period(each).ok_or_else(|| Error::internal("empty quota"))?;
                Some(RateLimiter::new(quota.allow_burst(burst), table.clone(), clock.clone()))
            }
        };
        Ok(Self { class, limit, per: quota.per, each })
    }

    /// Or the seconds to wait.
    fn pass(&self, key: &Fingerprint, clock: &Monotonic) -> Result<(), u32> {
        let Some(limit) = &self.limit else { return Err(seconds(self.per)) };
        limit.check_key(key).map_err(|until: NotUntil<Nanos>| seconds(until.wait_time_from(clock.now())))
    }

    /// The seconds to wait where none is left, with all of them spent until `arrival`.
    fn wait(&self, arrival: Duration, now: Nanos) -> Option<u32> {
        if self.limit.is_none() {
            return Some(seconds(self.per));
        }
        let wait = arrival
            .saturating_sub(self.per.saturating_sub(self.each))
            .saturating_sub(Duration::from_nanos(now.as_u64()));
        (!wait.is_zero()).then(|| seconds(wait))
    }
}

fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::env::SystemEntropy;

    fn limiter(limits: Limits) -> (Limiter, Arc<AtomicU64>) {
        let ticks = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&ticks);
        let clock = Monotonic(Arc::new(move || read.load(Ordering::SeqCst)));
        (Limiter::with_clock(limits, &SystemEntropy, clock).expect("limits"), ticks)
    }

    fn sign_in(burst: u32, seconds: u64) -> Limits {
        Limits { sign_in: Quota::new(burst, Duration::from_secs(seconds)), ..Limits::default() }
    }

    fn passed(limiter: &Limiter, times: usize) -> usize {
        (0..times).filter(|_| limiter.check(Bucket::SignIn, b"a").is_ok()).count()
    }

    /// attack T06
    #[test]
    fn a_burst_across_a_window_edge_gains_nothing() {
        let (limiter, ticks) = limiter(sign_in(10, 10));
        ticks.store(9_999_000_000, Ordering::SeqCst);
        assert_eq!(passed(&limiter, 100), 10);
        ticks.store(10_001_000_000, Ordering::SeqCst);
        assert_eq!(passed(&limiter, 100), 0);
        ticks.store(11_000_000_000, Ordering::SeqCst);
        assert_eq!(passed(&limiter, 100), 1);
        // Set back: no reset.
        ticks.store(0, Ordering::SeqCst);
        assert_eq!(passed(&limiter, 100), 0);
    }

    /// attack T06
    #[test]
    fn limit_zero_denies_and_says_when_to_come_back() {
        let (none, _) = limiter(sign_in(0, 60));
        let error = none.check(Bucket::SignIn, b"a").expect_err("denied");
        assert_eq!((error.code(), error.retry_after()), (Code::OverRequestRateLimit, Some(60)));
        let (one, _) = limiter(sign_in(1, 30));
        assert_eq!(passed(&one, 3), 1);
        assert_eq!(one.check(Bucket::SignIn, b"a").expect_err("denied").retry_after(), Some(30));
        assert_eq!(passed(&one, 1), 0);
        assert!(one.check(Bucket::SignUp, b"a").is_ok(), "classes count apart");
    }

    #[test]
    fn refreshes_over_the_limit_are_told_503() {
        let limits = Limits { refresh: Quota::new(1, Duration::from_secs(9)), ..Limits::default() };
        let (limiter, _) = limiter(limits);
        assert!(limiter.check(Bucket::Refresh, b"a").is_ok());
        let error = limiter.check(Bucket::Refresh, b"a").expect_err("limited");
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(9)));
    }

    /// attack T04
    #[test]
    fn a_million_keys_push_no_limited_bucket_out() {
        let (limiter, _) = limiter(sign_in(5, 60));
        assert_eq!(passed(&limiter, 20), 5);
        for number in 0..1_000_000_u32 {
            assert!(limiter.check(Bucket::SignIn, &number.to_be_bytes()).is_ok());
        }
        assert_eq!(passed(&limiter, 20), 0, "the hot bucket is still limited");
        let places = limiter.0.table.len();
        assert!(places <= 65_536);
        println!("10^6 keys: {places} places, hot bucket kept");
    }

    /// attack T06
    #[test]
    fn a_look_counts_nothing_and_sees_what_is_spent() {
        let (limiter, ticks) = limiter(sign_in(3, 30));
        let look = || limiter.look(Bucket::SignIn, b"a").map_err(|error| error.retry_after());
        for _ in 0..10 {
            assert_eq!(look(), Ok(()));
        }
        for left in [2, 1, 0] {
            assert_eq!((look(), passed(&limiter, 1)), (Ok(()), 1), "{left} left");
        }
        assert_eq!((look(), passed(&limiter, 1)), (Err(Some(10)), 0));
        assert!(limiter.look(Bucket::SignIn, b"b").is_ok());
        ticks.store(9_999_000_000, Ordering::SeqCst);
        assert_eq!((look(), passed(&limiter, 1)), (Err(Some(1)), 0));
        ticks.store(10_000_000_000, Ordering::SeqCst);
        assert_eq!((look(), passed(&limiter, 2)), (Ok(()), 1));
        let (none, _) = self::limiter(sign_in(0, 60));
        assert_eq!(none.look(Bucket::SignIn, b"a").map_err(|error| error.retry_after()), Err(Some(60)));
    }

    /// attack P10, asvs(V2.3.2, V15.4.1)
    #[test]
    fn a_hundred_parallel_guesses_at_limit_five_are_five() {
        let (limiter, _) = limiter(Limits::default());
        let evaluated = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    if limiter.guess(b"ann").is_ok() {
                        evaluated.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(evaluated.load(Ordering::SeqCst), 5);
        assert!(limiter.guess(b"bob").is_ok());
    }

    /// attack P09, asvs(V2.3.2)
    #[test]
    fn success_gives_the_guesses_back_and_time_gives_one() {
        let (limiter, ticks) = limiter(Limits::default());
        for _ in 0..4 {
            drop(limiter.guess(b"ann").expect("left"));
        }
        limiter.guess(b"ann").expect("the fifth").succeeded();
        assert_eq!((0..10).filter(|_| limiter.guess(b"ann").is_ok()).count(), 5);
        ticks.store(180_000_000_000, Ordering::SeqCst);
        assert_eq!((0..10).filter(|_| limiter.guess(b"ann").is_ok()).count(), 1);
    }

    #[test]
    fn a_refund_is_one_guess_and_no_more() {
        let (limiter, ticks) = limiter(Limits::default());
        let left = || (0..10).filter(|_| limiter.guess(b"ann").is_ok()).count();
        limiter.guess(b"ann").expect("left").refund();
        assert_eq!(left(), 5, "as if it had not been");
        ticks.store(180_000_000_000, Ordering::SeqCst);
        limiter.guess(b"ann").expect("came back").refund();
        assert_eq!(left(), 1);
        let late = {
            ticks.store(360_000_000_000, Ordering::SeqCst);
            limiter.guess(b"ann").expect("came back")
        };
        ticks.store(10_000_000_000_000, Ordering::SeqCst);
        late.refund();
        assert_eq!(left(), 5, "never more than the burst");
    }
}
