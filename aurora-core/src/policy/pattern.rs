//! `LIKE` as PostgreSQL matches it: by characters, case-sensitive, with an escape character.

/// Whether the whole value matches.
///
/// # Errors
/// 22025 if matching comes to an escape character that ends the pattern; as in PostgreSQL, a value that differs
/// before that is no match and no error.
pub(super) fn like(value: &str, pattern: &str, escape: Option<char>) -> Result<bool, String> {
    let value: Vec<char> = value.chars().collect();
    matches(&value, &pattern_parts(pattern, escape))
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Many,
    One,
    Exactly(char),
    /// An escape character with nothing behind it.
    Unfinished,
}

fn pattern_parts(pattern: &str, escape: Option<char>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            parts.push(chars.next().map_or(Part::Unfinished, Part::Exactly));
        } else {
            parts.push(match c {
                '%' => Part::Many,
                '_' => Part::One,
                other => Part::Exactly(other),
            });
        }
    }
    parts
}

/// Greedy matching that goes back to the last `%` only: linear in practice, quadratic at worst.
fn matches(value: &[char], pattern: &[Part]) -> Result<bool, String> {
    let unfinished = || Err("22025 LIKE pattern must not end with escape character".to_owned());
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = value.get(at) {
        match pattern.get(part) {
            Some(Part::Many) => {
                // What stands behind `%` is looked at even where no character is left for it.
                let rest = pattern.get(part..).unwrap_or_default();
                let literal = rest.iter().position(|one| !matches!(one, Part::Many | Part::One));
                if let Some(behind) = literal
                    && rest.get(behind) == Some(&Part::Unfinished)
                    && rest.iter().take(behind).filter(|one| **one == Part::One).count() <= value.len() - at
                {
                    return unfinished();
                }
                retry = Some((part + 1, at));
                part += 1;
            }
            Some(Part::Unfinished) => return unfinished(),
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Exactly(expected)) if expected == c => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (at, part) = (from + 1, after);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(pattern.get(part..).unwrap_or_default().iter().all(|rest| *rest == Part::Many))
}
