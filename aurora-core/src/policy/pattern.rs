//! `LIKE` as PostgreSQL matches it: by characters, case-sensitive, with an escape character.

/// Whether the whole value matches.
///
/// # Errors
/// 22025 if the pattern ends with its escape character.
pub(super) fn like(value: &str, pattern: &str, escape: Option<char>) -> Result<bool, String> {
    let value: Vec<char> = value.chars().collect();
    Ok(matches(&value, &pattern_parts(pattern, escape)?))
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Many,
    One,
    Exactly(char),
}

fn pattern_parts(pattern: &str, escape: Option<char>) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let next = chars.next();
            let next =
                next.ok_or_else(|| "22025 LIKE pattern must not end with escape character".to_owned())?;
            parts.push(Part::Exactly(next));
        } else {
            parts.push(match c {
                '%' => Part::Many,
                '_' => Part::One,
                other => Part::Exactly(other),
            });
        }
    }
    Ok(parts)
}

/// Greedy matching that goes back to the last `%` only: linear in practice, quadratic at worst.
fn matches(value: &[char], pattern: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = value.get(at) {
        match pattern.get(part) {
            Some(Part::Many) => {
                retry = Some((part + 1, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Exactly(expected)) if expected == c => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (at, part) = (from + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern.get(part..).unwrap_or_default().iter().all(|rest| *rest == Part::Many)
}
