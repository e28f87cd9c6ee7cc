//! Stored hashes, parsed strictly: what is not exactly understood is unusable.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::PasswordParams;

/// A PHC string of ours has about 130 bytes; what is much longer is not a password hash.
const MAX_TEXT: usize = 512;
/// The most work, in KiB times passes, that a stored hash may ask for: 27 times the default.
const MAX_WORK: u64 = 1 << 20;
/// bcrypt's cost is a power of two; 14 is about a second.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;

pub(super) enum Stored {
    Argon2id(Argon2idHash),
    Bcrypt(String),
    Unusable,
}

pub(super) struct Argon2idHash {
    pub(super) params: PasswordParams,
    /// Which secret it is keyed with; none for an imported hash.
    pub(super) key_id: Option<[u8; 6]>,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl Stored {
    /// Whether it is keyed, so that it may lie in the database as it is.
    pub(super) fn is_keyed(&self) -> bool {
        matches!(self, Self::Argon2id(hash) if hash.key_id.is_some())
    }

    /// `current` bounds the memory that a hash may ask for: no more than a hash of today or 64 MiB.
    pub(super) fn parse(text: &str, current: &PasswordParams) -> Self {
        if text.is_empty() || text.len() > MAX_TEXT || !text.is_ascii() {
            return Self::Unusable;
        }
        let known = if text.starts_with("$argon2id$") { argon2id(text, current) } else { bcrypt(text) };
        known.unwrap_or(Self::Unusable)
    }
}

fn argon2id(text: &str, current: &PasswordParams) -> Option<Stored> {
    let mut parts = text.split('$').skip(2);
    let (version, params) = (parts.next()?, parts.next()?);
    let (salt, output) = (parts.next()?, parts.next()?);
    if version != "v=19" || parts.next().is_some() {
        return None;
    }
    let mut values = params.split(',');
    let mut number = |name: &str| decimal(values.next()?.strip_prefix(name)?);
    let (memory_kib, iterations, parallelism) = (number("m=")?, number("t=")?, number("p=")?);
    let key_id = match values.next() {
        None => None,
        Some(id) => Some(base64(id.strip_prefix("keyid=")?)?.try_into().ok()?),
    };
    let work = u64::from(memory_kib) * u64::from(iterations);
    let mine = u64::from(current.memory_kib) * u64::from(current.iterations);
    let affordable = memory_kib <= current.memory_kib.max(65_536)
        && memory_kib >= parallelism.checked_mul(8)?
        && iterations >= 1
        && (1..=16).contains(&parallelism)
        && work <= mine.max(MAX_WORK);
    let (salt, output) = (base64(salt)?, base64(output)?);
    let sized = (8..=64).contains(&salt.len()) && (16..=64).contains(&output.len());
    let params = PasswordParams { memory_kib, iterations, parallelism };
    let ends = values.next().is_none();
    (ends && affordable && sized).then_some(Stored::Argon2id(Argon2idHash { params, key_id, salt, output }))
}

fn bcrypt(text: &str) -> Option<Stored> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let (cost, hash) = rest.split_once('$')?;
    let cost = if cost.len() == 2 { cost.parse().ok()? } else { return None };
    (BCRYPT_COST.contains(&cost) && hash.len() == 53).then(|| Stored::Bcrypt(text.to_owned()))
}

/// PHC: decimal without sign, without leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// The PHC string of a keyed hash.
pub(super) fn phc(params: &PasswordParams, key_id: &[u8; 6], salt: &[u8; 16], output: &[u8]) -> String {
    let PasswordParams { memory_kib, iterations, parallelism } = params;
    let (key_id, salt, output) =
        (STANDARD_NO_PAD.encode(key_id), STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism},keyid={key_id}${salt}${output}")
}
