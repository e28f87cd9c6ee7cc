use std::error::Error as StdError;
use std::fmt;

use super::{BreachedPasswords, DIGITS, HashPrefix, HashSuffix, TOLD};
use crate::types::{BoxFuture, Error, Result};

/// An answer longer than this is none. Have I Been Pwned's are under 100 KiB.
const LONGEST: usize = 1 << 20;

type Fetch = dyn Fn(HashPrefix) -> BoxFuture<'static, Result<String>> + Send + Sync;

/// Breached passwords from a service that answers in the format of Have I Been Pwned, through the host's own HTTP
/// client: Aurora has none.
///
/// A row is the 35 digits behind the prefix, a colon and a count. Rows with the count 0 are padding, which hides the
/// length of the answer from whoever watches the wire (the request header `Add-Padding: true` asks for it). What is
/// in another format is a failure, not an empty range: an error page must not let every password through unseen.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aurora_core::types::Result<()> {
/// use aurora_core::validate::{NewPassword, RangeApi, is_breached};
/// // With an HTTP client: GET https://api.pwnedpasswords.com/range/{prefix}, and the body's text.
/// async fn fetch(prefix: String) -> Result<String, std::io::Error> {
///     assert_eq!(prefix, "ABF7A");
///     Ok("AD6438836DBE526AA231ABDE2D0EEF74D42:216\r\n0018A45C4D1DEF81644B54AB7F969B88D65:0".to_owned())
/// }
/// let source = RangeApi::new(|prefix| fetch(prefix.to_string()));
/// assert!(is_breached(&NewPassword::parse("correct horse battery staple".into(), 8)?, &source).await?);
/// # Ok(())
/// # }
/// ```
pub struct RangeApi(Box<Fetch>);

impl RangeApi {
    /// `fetch` answers the body of the range of a prefix, or fails. It runs while a person waits
    /// ([`Passwords::breached_deadline`](crate::config::Passwords::breached_deadline)) and is dropped after that.
    pub fn new<A, E>(fetch: impl Fn(HashPrefix) -> A + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self(Box::new(move |prefix| {
            let answer = fetch(prefix);
            Box::pin(async move { answer.await.map_err(Error::internal) })
        }))
    }
}

impl fmt::Debug for RangeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeApi").finish_non_exhaustive()
    }
}

impl BreachedPasswords for RangeApi {
    fn range(&self, prefix: HashPrefix) -> BoxFuture<'_, Result<Vec<HashSuffix>>> {
        Box::pin(async move { read(&(self.0)(prefix).await?) })
    }
}

fn read(body: &str) -> Result<Vec<HashSuffix>> {
    if body.len() > LONGEST {
        return Err(Error::internal("the range of breached passwords is longer than a mebibyte"));
    }
    let mut known = Vec::new();
    for (number, row) in body.lines().enumerate().filter(|(_, row)| !row.is_empty()) {
        // The row itself is about passwords: only its number is told.
        let refused = || Error::internal(format!("row {} of the range is not SUFFIX:COUNT", number + 1));
        let (suffix, count) = row.split_once(':').ok_or_else(refused)?;
        let count: u64 = count.parse().map_err(|_| refused())?;
        if suffix.len() != DIGITS - TOLD {
            return Err(refused());
        }
        let suffix = suffix.parse().map_err(|_| refused())?;
        if count > 0 {
            known.push(suffix);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const TWO: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    #[test]
    fn rows_count_and_padding_does_not() {
        let body = format!("{TWO}:10\r\n{}:3861493\r\n{}:0\r\n", ONE.to_lowercase(), "F".repeat(35));
        let known: Vec<String> = read(&body).unwrap().iter().map(|one| one.as_str().to_owned()).collect();
        assert_eq!(known, [TWO, ONE]);
        assert_eq!(read(&format!("{ONE}:0\n{TWO}:0")).unwrap(), []);
        assert_eq!(read("").unwrap(), [], "nothing known under this prefix");
    }

    #[test]
    fn another_format_is_a_failure() {
        for body in [
            "<html><body>502 Bad Gateway</body></html>".to_owned(),
            "{\"statusCode\": 429}".to_owned(),
            ONE.to_owned(),
            format!("{ONE}:"),
            format!("{ONE}:-1"),
            format!("{ONE}:1:2"),
            format!("5BAA6{ONE}:7"),
            format!("{}:7", &ONE[1..]),
            format!("{}:7", "é".repeat(17)),
            format!("{TWO}:10\nRate limit is exceeded"),
            "\n".repeat(LONGEST + 1),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!(error.message(), "Internal server error", "{}", body.len());
        }
    }
}
