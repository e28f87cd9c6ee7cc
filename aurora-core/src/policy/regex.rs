//! `~` and `~*`: the part of PostgreSQL's regular expressions that means the same everywhere.
//!
//! Carried: characters, `.`, `^`, `$`, `|`, groups, bracket expressions of characters and ranges, `\d`, `\D`, escaped
//! punctuation, and the quantifiers `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`. Refused by name: what hangs on a locale (`\w`,
//! `\s`, `[[:alpha:]]`), back references, look-around, word boundaries and embedded options. `.` matches a line's
//! end too, and `^` and `$` match only at the ends of the text, as PostgreSQL has it.

use std::cell::RefCell;
use std::iter::Peekable;
use std::num::NonZeroUsize;
use std::str::Chars;

use lru::LruCache;

/// Compiled patterns kept per thread: a policy has few, but one may be made of a row's value.
const KEPT: usize = 64;

/// PostgreSQL's own bound on `{m,n}`.
const MOST_REPEATS: u32 = 255;

thread_local! {
    static COMPILED: RefCell<LruCache<(String, bool), regex::Regex>> =
        RefCell::new(LruCache::new(NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN)));
}

/// Whether the pattern is found in the value.
///
/// # Errors
/// 2201B for a malformed pattern, 0A000 for one outside the carried part.
pub(super) fn matches(value: &str, pattern: &str, fold: bool) -> Result<bool, String> {
    COMPILED.with_borrow_mut(|compiled| {
        let key = (pattern.to_owned(), fold);
        if let Some(known) = compiled.get(&key) {
            return Ok(known.is_match(value));
        }
        let translated = translate(pattern, fold)?;
        let regex = regex::RegexBuilder::new(&translated)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .build()
            .map_err(|_| "2201B invalid regular expression".to_owned())?;
        let found = regex.is_match(value);
        compiled.put(key, regex);
        Ok(found)
    })
}

/// The pattern as the regex crate reads it.
pub(super) fn translate(pattern: &str, fold: bool) -> Result<String, String> {
    let mut reader = Reader { chars: pattern.chars().peekable(), out: String::from("(?s)"), fold };
    if pattern.starts_with("***") {
        return Err(outside("***"));
    }
    reader.alternatives(0)?;
    match reader.chars.next() {
        None => Ok(reader.out),
        Some(_) => Err(invalid()),
    }
}

fn outside(what: &str) -> String {
    format!("0A000 `{what}` in a regular expression is not carried")
}

fn invalid() -> String {
    "2201B invalid regular expression".to_owned()
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    out: String,
    fold: bool,
}

impl Reader<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<(), String> {
        if depth > 40 {
            return Err(outside("nesting this deep"));
        }
        loop {
            let mut any = false;
            while self.chars.peek().is_some_and(|c| !matches!(c, '|' | ')')) {
                self.piece(depth)?;
                any = true;
            }
            if !any && (depth == 0 && self.chars.peek() == Some(&')')) {
                return Err(invalid());
            }
            if self.chars.next_if_eq(&'|').is_none() {
                return Ok(());
            }
            if !any || matches!(self.chars.peek(), None | Some('|' | ')')) {
                return Err(outside("an empty branch"));
            }
            self.out.push('|');
        }
    }

    fn piece(&mut self, depth: usize) -> Result<(), String> {
        let Some(c) = self.chars.next() else { return Ok(()) };
        let mut counted = true;
        match c {
            '^' | '$' => {
                self.out.push(c);
                counted = false;
            }
            '.' => self.out.push('.'),
            '(' => self.group(depth)?,
            '[' => self.bracket()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' | '{' => return Err(invalid()),
            other => self.literal(other),
        }
        self.quantifier(counted)
    }

    fn group(&mut self, depth: usize) -> Result<(), String> {
        if self.chars.next_if_eq(&'?').is_some() && self.chars.next_if_eq(&':').is_none() {
            return Err(outside("(?"));
        }
        self.out.push_str("(?:");
        self.alternatives(depth + 1)?;
        if self.chars.next() != Some(')') {
            return Err(invalid());
        }
        self.out.push(')');
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if self.fold && c.is_alphabetic() {
            self.out.push('[');
            for same in both_cases(c) {
                self.out.push(same);
            }
            self.out.push(']');
        } else {
            self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.chars.next() {
            None => Err(invalid()),
            Some('d') => {
                self.out.push_str("[0-9]");
                Ok(())
            }
            Some('D') => {
                self.out.push_str("[^0-9]");
                Ok(())
            }
            Some('n') => {
                self.out.push_str("\\n");
                Ok(())
            }
            Some('t') => {
                self.out.push_str("\\t");
                Ok(())
            }
            Some(c) if c.is_alphanumeric() => Err(outside(&format!("\\{c}"))),
            Some(c) => {
                self.literal(c);
                Ok(())
            }
        }
    }

    fn quantifier(&mut self, counted: bool) -> Result<(), String> {
        match self.chars.peek() {
            Some('*' | '+' | '?' | '{') if !counted => return Err(invalid()),
            Some(c @ ('*' | '+' | '?')) => {
                self.out.push(*c);
                self.chars.next();
            }
            Some('{') => {
                self.chars.next();
                self.bound()?;
            }
            _ => return Ok(()),
        }
        // Which match is found first does not matter: only whether one is.
        self.chars.next_if_eq(&'?');
        match self.chars.peek() {
            Some('*' | '+' | '?' | '{') => Err(invalid()),
            _ => Ok(()),
        }
    }

    fn bound(&mut self) -> Result<(), String> {
        let least = self.number()?;
        let mut text = format!("{{{least}");
        if self.chars.next_if_eq(&',').is_some() {
            text.push(',');
            if self.chars.peek() != Some(&'}') {
                let most = self.number()?;
                if most < least {
                    return Err(invalid());
                }
                text.push_str(&most.to_string());
            }
        }
        if self.chars.next() != Some('}') {
            return Err(invalid());
        }
        text.push('}');
        self.out.push_str(&text);
        Ok(())
    }

    fn number(&mut self) -> Result<u32, String> {
        let mut digits = String::new();
        while let Some(digit) = self.chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok().filter(|number| *number <= MOST_REPEATS).ok_or_else(invalid)
    }

    fn bracket(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let from = match self.chars.next() {
                None => return Err(invalid()),
                Some(']') if !first => break,
                Some('[') if matches!(self.chars.peek(), Some(':' | '.' | '=')) => {
                    return Err(outside("[[:class:]]"));
                }
                Some('\\') => match self.chars.next() {
                    Some('d') => {
                        self.out.push_str("0-9");
                        first = false;
                        continue;
                    }
                    Some(c) if c.is_alphanumeric() => return Err(outside(&format!("\\{c}"))),
                    Some(c) => c,
                    None => return Err(invalid()),
                },
                Some(c) => c,
            };
            first = false;
            let mut ahead = self.chars.clone();
            let range = ahead.next() == Some('-') && !matches!(ahead.next(), None | Some(']'));
            if !range {
                self.member(from, from);
                continue;
            }
            self.chars.next();
            let to = match self.chars.next() {
                Some('\\') => match self.chars.next() {
                    Some(c) if !c.is_alphanumeric() => c,
                    _ => return Err(outside("\\ in a range")),
                },
                Some('[') => return Err(outside("[ in a range")),
                Some(to) => to,
                None => return Err(invalid()),
            };
            if to < from {
                return Err(invalid());
            }
            if self.fold && !(from.is_ascii() && to.is_ascii()) {
                return Err(outside("a range beyond ASCII without case"));
            }
            self.member(from, to);
        }
        self.out.push(']');
        Ok(())
    }

    fn member(&mut self, from: char, to: char) {
        let mut push = |from: char, to: char| {
            for (position, c) in [from, to].into_iter().enumerate() {
                if position == 1 {
                    if from == to {
                        break;
                    }
                    self.out.push('-');
                }
                if c.is_ascii_punctuation() {
                    self.out.push('\\');
                }
                self.out.push(c);
            }
        };
        push(from, to);
        if !self.fold {
            return;
        }
        if from == to {
            for same in both_cases(from) {
                push(same, same);
            }
            return;
        }
        // The letters of the range in their other case.
        for (low, high, shift) in [(b'a', b'z', -32_i16), (b'A', b'Z', 32)] {
            let (start, end) = ((from as u32).max(low.into()), (to as u32).min(high.into()));
            let other = |at: u32| u8::try_from(i64::from(at) + i64::from(shift)).map(char::from);
            if start <= end
                && let (Ok(start), Ok(end)) = (other(start), other(end))
            {
                push(start, end);
            }
        }
    }
}

/// A letter in both cases, where each is one character.
fn both_cases(c: char) -> Vec<char> {
    let mut cases = vec![c];
    for other in [c.to_lowercase().collect::<Vec<_>>(), c.to_uppercase().collect()] {
        if let [one] = other.as_slice()
            && !cases.contains(one)
        {
            cases.push(*one);
        }
    }
    cases
}
