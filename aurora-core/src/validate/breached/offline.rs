use super::{BreachedPasswords, HashPrefix, HashSuffix};
use crate::types::{BoxFuture, Error, Result};

/// Made by `scripts/breached-list`, which describes the format.
static LIST: &[u8] = include_bytes!("list.bin");

/// A block holds the hashes that share their first 12 bits.
const BLOCKS: usize = 1 << 12;
const TABLE: usize = 16;
const BITS: usize = TABLE + 4 * (BLOCKS + 1);

/// The commonest passwords of public breaches, built in: nobody is asked, nothing is loaded, half a megabyte.
///
/// 219,378 passwords of at least six characters, 96,998 of them of at least eight: what the first 250,000 lines of
/// SecLists' million (MIT) hold of them. Kept are 36 bits of each SHA-1, so that a password that is not among them
/// is taken for one of them with a chance of 1 in 313,246. `scripts/breached-list` makes it anew.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aurora_core::types::Result<()> {
/// use aurora_core::validate::{NewPassword, OfflineList, is_breached};
/// assert!(is_breached(&NewPassword::parse("trustno1".into(), 8)?, &OfflineList).await?);
/// assert!(!is_breached(&NewPassword::parse("quiet harbour lamp 41".into(), 8)?, &OfflineList).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OfflineList;

impl OfflineList {
    /// How many passwords it knows.
    pub fn count(self) -> usize {
        number(8).and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
    }

    /// Under `prefix`, four digits of each.
    fn suffixes(self, prefix: HashPrefix) -> Result<Vec<HashSuffix>> {
        let prefix = u32::from_str_radix(prefix.as_str(), 16).map_err(Error::internal)?;
        // 20 bits: 12 of the block, then the first 8 of the hash's 24 in it.
        let block = usize::try_from(prefix >> 8).map_err(Error::internal)?;
        let block =
            Block::open(block).ok_or_else(|| Error::internal("no such block of breached passwords"))?;
        let found = block.filter(|rest| rest >> 16 == prefix & 0xFF);
        found.map(|rest| format!("{:04X}", rest & 0xFFFF).parse()).collect()
    }
}

impl BreachedPasswords for OfflineList {
    fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>> {
        Box::pin(std::future::ready(self.suffixes(prefix)))
    }
}

/// The hashes of one block, ascending, 24 bits of each.
struct Block {
    /// The next bit, and where the block ends.
    at: usize,
    end: usize,
    /// Low bits of a difference.
    low: u32,
    /// The smallest that the next hash can be.
    least: u32,
}

impl Block {
    fn open(block: usize) -> Option<Self> {
        let start = |block: usize| usize::try_from(number(TABLE + 4 * block)?).ok();
        Some(Self { at: start(block)?, end: start(block + 1)?, low: number(12)?, least: 0 })
    }

    fn bit(&mut self) -> Option<u32> {
        if self.at >= self.end {
            return None;
        }
        let byte = LIST.get(BITS + self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }
}

impl Iterator for Block {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut difference = 0_u32;
        while self.bit()? == 1 {
            difference += 1;
        }
        for _ in 0..self.low {
            difference = difference << 1 | self.bit()?;
        }
        let hash = self.least.checked_add(difference)?;
        self.least = hash.checked_add(1)?;
        Some(hash)
    }
}

fn number(at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*LIST.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_its_head_says() {
        assert!(LIST.starts_with(b"AURBPL1\n") && LIST.len() < 600_000, "{} bytes", LIST.len());
        let mut count = 0;
        let mut longest = 0;
        for block in 0..BLOCKS {
            let hashes: Vec<u32> = Block::open(block).unwrap().collect();
            assert!(hashes.is_sorted_by(|one, next| one < next), "block {block}");
            assert!(hashes.iter().all(|hash| hash >> 24 == 0), "block {block}");
            count += hashes.len();
            longest = longest.max(hashes.len());
        }
        println!("{count} hashes, {} bytes, at most {longest} in a block", LIST.len());
        assert_eq!((count, OfflineList.count()), (219_378, 219_378));
        assert!(Block::open(BLOCKS).is_none_or(|mut past| past.next().is_none()));
    }

    /// Stated: 1 in 313,246. Of as many prefixes and suffixes as can be drawn evenly in a second, about that many hit.
    #[test]
    fn what_is_not_on_it_is_rarely_taken_for_it() {
        let questions = 1_u32 << 20;
        let mut held = 0_u64;
        for prefix in 0..questions / 16 {
            let prefix = format!("{:05X}", prefix * 16 + 7).parse().unwrap();
            held += OfflineList.suffixes(prefix).unwrap().len() as u64;
        }
        // Each prefix asked for stands for 65,536 suffixes of four digits, of which `held` in all are on the list.
        let chance = u64::from(questions / 16) * 65_536 / held;
        println!("{held} of {} beginnings of hashes: 1 in {chance}", u64::from(questions / 16) * 65_536);
        assert!((290_000..340_000).contains(&chance), "1 in {chance}");
    }
}
