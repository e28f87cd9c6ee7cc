use std::error::Error as _;

use crate::config::Profile;
use crate::types::Error;
use crate::validate::printable;

/// How much of a reason is told, in characters.
const LONGEST: usize = 300;
/// How our secrets begin: tokens, keys, hashes. A reason never holds one; should one slip into a cause, it ends here.
const SECRETS: [&str; 8] = ["eyJ", "art_", "aurora-key-", "sb_secret_", "$argon2", "$2a$", "$2b$", "$2y$"];

/// Whether answers say why they were given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reasons {
    /// Only the safe sentence.
    Hidden,
    /// To a developer, on their own machine.
    Told,
}

impl Reasons {
    pub(super) fn of(profile: Profile) -> Self {
        match profile {
            Profile::Development => Self::Told,
            Profile::Production => Self::Hidden,
        }
    }

    /// What is told of this failure.
    pub(super) fn tell(self, error: &Error) -> Option<String> {
        (self == Self::Told).then(|| reason(error))
    }
}

/// The safe sentence and every cause behind it, on one line.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    let words: Vec<&str> = text.split_whitespace().map(veiled).collect();
    printable(&words.join(" "), LONGEST)
}

fn veiled(word: &str) -> &str {
    if SECRETS.iter().any(|secret| word.contains(secret)) { "***" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Code;

    #[test]
    fn one_line_with_every_cause_and_no_secret() {
        let inner = std::io::Error::other("disk\nis on fire");
        assert_eq!(reason(&Error::internal(inner)), "Internal server error: disk is on fire");
        let nested = Error::internal(Error::new(Code::NotFound, "no such row"));
        assert_eq!(reason(&nested), "Internal server error: no such row");
        assert_eq!(reason(&Error::new(Code::InsufficientPrivilege, "row is not yours")), "row is not yours");
        for secret in ["eyJhbGciOi.J9.x", "art_AAAA", "key=aurora-key-1:x", "$argon2id$v=19", "(sb_secret_x)"]
        {
            let told = reason(&Error::internal(format!("cannot read {secret} here")));
            assert_eq!(told, "Internal server error: cannot read *** here");
        }
        assert_eq!(reason(&Error::internal("x ".repeat(400))).chars().count(), LONGEST);
    }
}
