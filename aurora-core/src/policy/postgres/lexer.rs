//! PostgreSQL's lexical rules (its `scan.l`), as far as they decide where a token ends.
//!
//! Total: any text gives tokens or an error. What PostgreSQL would read in another way under another setting
//! (`standard_conforming_strings`), or what continues a string on the next line, is an error.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare word: keyword or identifier, which PostgreSQL folds to lower case.
    Word,
    /// `"quoted"`.
    Quoted,
    /// A string constant of any form but the dollar one.
    Text,
    /// `$tag$ .. $tag$`.
    Dollar,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// One character of an operator or of punctuation.
    Symbol(u8),
}

/// A token and where it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Why text cannot be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

impl Token {
    /// The token as it is written.
    pub(crate) fn text<'t>(&self, source: &'t str) -> &'t str {
        source.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it is this bare word, which is given in lower case.
    pub(crate) fn is_word(&self, source: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(source).eq_ignore_ascii_case(word)
    }

    /// Whether it is this character.
    pub(crate) fn is(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    /// The identifier it stands for: folded if bare, unescaped if quoted.
    pub(crate) fn identifier(&self, source: &str) -> Option<String> {
        let text = self.text(source);
        match self.kind {
            Kind::Word => Some(text.to_ascii_lowercase()),
            Kind::Quoted => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// The value of a plain string constant without escapes.
    pub(crate) fn plain_text(&self, source: &str) -> Option<String> {
        if self.kind != Kind::Text {
            return None;
        }
        let inner = self.text(source).strip_prefix('\'')?.strip_suffix('\'')?;
        Some(inner.replace("''", "'"))
    }
}

/// The text without its comments, each a blank: where it is cut and put between others, a comment would swallow
/// what comes after it.
pub(crate) fn uncommented(source: &str) -> String {
    let Ok(found) = tokens(source) else { return source.to_owned() };
    let mut text = String::with_capacity(source.len());
    let mut at = None;
    for token in &found {
        let gap = at.and_then(|at| source.get(at..token.start)).unwrap_or_default();
        text.push_str(if gap.trim().is_empty() { gap } else { " " });
        text.push_str(token.text(source));
        at = Some(token.end);
    }
    text
}

/// The tokens of a text; white space and comments are left out.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, Unreadable> {
    let mut lexer = Lexer { bytes: source.as_bytes(), at: 0 };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.checked_add(ahead)?).copied()
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Unreadable> {
        Err(Unreadable { at: self.at.min(self.bytes.len()), what })
    }

    fn skip_while(&mut self, more: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&more) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Option<Token>, Unreadable> {
        self.space()?;
        let start = self.at;
        let Some(first) = self.peek(0) else { return Ok(None) };
        let kind = match first {
            b'\'' => self.text(false)?,
            b'"' => self.quoted()?,
            b'$' => self.dollar()?,
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            byte if starts_word(byte) => self.word()?,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/'
            | b'%' | b'<' | b'>' | b'=' | b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => {
                self.at += 1;
                Kind::Symbol(first)
            }
            _ => return self.fail("a character that no statement holds outside of strings"),
        };
        Ok(Some(Token { kind, start, end: self.at }))
    }

    /// White space and comments; block comments nest.
    fn space(&mut self) -> Result<(), Unreadable> {
        loop {
            self.skip_while(is_space);
            match (self.peek(0), self.peek(1)) {
                (Some(b'-'), Some(b'-')) => self.skip_while(|byte| !matches!(byte, b'\n' | b'\r')),
                (Some(b'/'), Some(b'*')) => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Unreadable> {
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth = depth.saturating_add(1);
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(0), _) => return self.fail("a NUL character"),
                (Some(_), _) => self.at += 1,
                (None, _) => return self.fail("a comment that does not end"),
            }
        }
    }

    fn word(&mut self) -> Result<Kind, Unreadable> {
        let (first, second, third) = (self.peek(0), self.peek(1), self.peek(2));
        let lower = first.map(|byte| byte.to_ascii_lowercase());
        match (lower, second, third) {
            (Some(b'e'), Some(b'\''), _) => {
                self.at += 1;
                return self.text(true);
            }
            (Some(b'b' | b'x' | b'n'), Some(b'\''), _) => {
                self.at += 1;
                return self.text(false);
            }
            (Some(b'u'), Some(b'&'), Some(b'\'' | b'"')) => {
                return self.fail("U& with escapes; write the characters themselves");
            }
            _ => {}
        }
        self.skip_while(continues_word);
        Ok(Kind::Word)
    }

    /// A string constant, from its first quote on.
    fn text(&mut self, escapes: bool) -> Result<Kind, Unreadable> {
        self.at += 1;
        loop {
            match self.peek(0) {
                Some(b'\\') if escapes => self.at += 2,
                Some(b'\'') if self.peek(1) == Some(b'\'') => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    break;
                }
                Some(0) => return self.fail("a NUL character"),
                Some(_) => self.at += 1,
                None => return self.fail("a string that does not end"),
            }
        }
        // `'a' <newline> 'b'` is one string, read on in the first part's own rules.
        let end = self.at;
        self.space()?;
        let continued = self.peek(0) == Some(b'\'');
        if continued {
            return self.fail("a string that goes on after white space");
        }
        self.at = end;
        Ok(Kind::Text)
    }

    fn quoted(&mut self) -> Result<Kind, Unreadable> {
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'"'), Some(b'"')) => self.at += 2,
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(Kind::Quoted);
                }
                (Some(0), _) => return self.fail("a NUL character"),
                (Some(_), _) => self.at += 1,
                (None, _) => return self.fail("a quoted name that does not end"),
            }
        }
    }

    fn dollar(&mut self) -> Result<Kind, Unreadable> {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| byte.is_ascii_digit());
            // `$1abc` is an error to PostgreSQL, and would hide where the word starts.
            if self.peek(0).is_some_and(continues_word) {
                return self.fail("a parameter that runs into a word");
            }
            return Ok(Kind::Parameter);
        }
        if self.peek(0).is_some_and(starts_word) {
            self.skip_while(|byte| continues_word(byte) && byte != b'$');
        }
        if self.peek(0) != Some(b'$') {
            return self.fail("a dollar sign that starts nothing");
        }
        self.at += 1;
        let tag = self.bytes.get(start..self.at).unwrap_or_default();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.windows(tag.len().max(1)).position(|window| window == tag) {
            Some(found) => {
                self.at += found + tag.len();
                Ok(Kind::Dollar)
            }
            None => self.fail("a dollar-quoted string that does not end"),
        }
    }

    /// A number, with whatever runs into it: PostgreSQL refuses that by itself.
    fn number(&mut self) -> Kind {
        loop {
            self.skip_while(|byte| continues_word(byte) && byte != b'$');
            let exponent = self.at.checked_sub(1).and_then(|last| self.bytes.get(last));
            match (self.peek(0), self.peek(1)) {
                (Some(b'.'), Some(b'0'..=b'9')) => self.at += 1,
                (Some(b'+' | b'-'), Some(b'0'..=b'9')) if matches!(exponent, Some(b'e' | b'E')) => {
                    self.at += 1
                }
                _ => return Kind::Number,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<&str> {
        tokens(source).unwrap().iter().map(|token| token.text(source)).collect()
    }

    #[test]
    fn tokens_end_where_postgresql_ends_them() {
        assert_eq!(
            shown("SELECT 'it''s', \"a\"\"b\", $1 -- x ; y\n/* a /* b */ ; */ FROM t"),
            ["SELECT", "'it''s'", ",", "\"a\"\"b\"", ",", "$1", "FROM", "t"]
        );
        assert_eq!(
            shown(r"SELECT E'a\'; DROP' , 'a\' ; x"),
            ["SELECT", r"E'a\'; DROP'", ",", r"'a\'", ";", "x"]
        );
        assert_eq!(shown("a$1$b $x$ ; $y$ $x$ c"), ["a$1$b", "$x$ ; $y$ $x$", "c"]);
        assert_eq!(shown("1.5e-3+x .5 1e5"), ["1.5e-3", "+", "x", ".5", "1e5"]);
        assert_eq!(shown("a*/*c*/b"), ["a", "*", "b"]);
        assert_eq!(shown("set_config\u{a0}('x')"), ["set_config\u{a0}", "(", "'x'", ")"]);
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_an_error() {
        for source in [
            "'a'\n'b'",
            "E'a' -- c\n'\\''",
            "U&\"\\0061\"",
            "U&'x'",
            "'open",
            "\"open",
            "$x$ open",
            "/* open",
            "/* /* */",
            "$1a",
            "a \\ b",
            "a\0b",
            "'a\0b'",
            "$",
            "{",
        ] {
            assert!(tokens(source).is_err(), "{source:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        /// Total: any text gives tokens in order, or an error within it.
        #[test]
        fn any_text_is_read_or_refused(source in "([-'\"$/*;()eEuU&a1 .\n\\\\x\u{e9}]|\\$a\\$|E'|U&|--|/\\*|\\*/){0,24}") {
            match tokens(&source) {
                Ok(found) => {
                    let mut before = 0;
                    for token in found {
                        proptest::prop_assert!(token.start >= before && token.end > token.start);
                        proptest::prop_assert!(source.get(token.start..token.end).is_some());
                        before = token.end;
                    }
                }
                Err(unreadable) => proptest::prop_assert!(unreadable.at <= source.len()),
            }
        }
    }
}
