//! From text to one syntax tree, and names out of it.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::types::{Code, Error, Result};

use super::super::names::Names;
use super::dialect::GuardedSql;
use super::refused;

/// The longest statement, in bytes.
const LONGEST: usize = 256 * 1024;

/// The most words and operators: a chain of operators is a tree as deep as it is long, and is walked by recursion.
const MOST_WORDS: usize = 3_000;

/// The longest chain of operators without a comma or parentheses.
const LONGEST_CHAIN: usize = 200;

/// The most UNION, INTERSECT and EXCEPT in one statement, wherever they stand: each is one step down the tree.
const MOST_COMPOUNDS: usize = 100;

/// The most operators that the parser reads by copying what stands to their left.
const MOST_COPIED: usize = 32;

/// How deep a statement may nest.
const DEEPEST: usize = 64;

/// Parses exactly one statement, with its parameters numbered and our names kept out.
///
/// Literals and quoted names are kept as they were written (no unescaping): printing what was unescaped is not
/// the inverse of reading it for a quote behind a backslash.
pub(super) fn parse(names: &Names, sql: &str) -> Result<Statement> {
    if sql.len() > LONGEST {
        return Err(refused(format_args!("statements over {LONGEST} bytes")));
    }
    if sql.contains('\0') {
        return Err(Error::new(Code::BadStatement, "a statement must not hold a NUL character"));
    }
    let tokens = tokenized(sql)?;
    few_words(&tokens)?;
    let mut tokens = as_sqlite_reads(tokens)?;
    few_words(&tokens)?;
    let mut highest = 0;
    for token in &mut tokens {
        match &mut token.token {
            Token::Placeholder(name) => *name = number(name, &mut highest)?,
            Token::Word(word) => check_identifier(&word.value)?,
            Token::SingleQuotedString(text) if names.within(text) => {
                return Err(refused("a name of the guard's own"));
            }
            Token::SingleQuotedString(text) => check_string(text)?,
            _ => {}
        }
    }
    let tokens = in_the_parsers_words(tokens);
    let mut parser =
        Parser::new(&GuardedSql).with_recursion_limit(DEEPEST).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| syntax(&error))?;
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token().token != Token::EOF {
        return Err(refused("more than one statement, or text behind one"));
    }
    Ok(statement)
}

/// What SQLite says its own way, said as the parser knows it: `a IS b` between any two values is `IS NOT DISTINCT
/// FROM`, and whether a common table expression is MATERIALIZED is a hint that changes no answer.
fn in_the_parsers_words(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut said: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).peekable();
    while let Some(token) = tokens.next() {
        match keyword(&token) {
            Some(Keyword::IS) => {
                said.push(token);
                let not = tokens.next_if(|next| keyword(next) == Some(Keyword::NOT));
                let known = tokens.peek().and_then(keyword).is_some_and(|next| {
                    matches!(next, Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::DISTINCT)
                });
                let negated = not.is_some();
                if known {
                    said.extend(not);
                } else {
                    let words = ["NOT", "DISTINCT", "FROM"];
                    let words = words.iter().skip(usize::from(negated));
                    said.extend(words.map(|word| TokenWithSpan::wrap(Token::make_keyword(word))));
                }
            }
            Some(Keyword::AS) => {
                said.push(token);
                let not = tokens.next_if(|next| keyword(next) == Some(Keyword::NOT));
                if tokens.next_if(|next| keyword(next) == Some(Keyword::MATERIALIZED)).is_none() {
                    said.extend(not);
                } else if tokens.peek().is_none_or(|next| next.token != Token::LParen) {
                    // An alias of that name.
                    said.extend(not);
                    said.push(TokenWithSpan::wrap(Token::make_word("MATERIALIZED", Some('"'))));
                }
            }
            _ => said.push(token),
        }
    }
    said
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Parses a statement of the host's own schema (a view, a trigger), with literals kept as they were written.
pub(in crate::guard) fn parse_schema(sql: &str) -> Result<Statement> {
    let tokens = as_sqlite_reads(tokenized(sql)?)?;
    for token in &tokens {
        match &token.token {
            Token::Word(word) => check_identifier(&word.value)?,
            Token::SingleQuotedString(text) => check_string(text)?,
            Token::Placeholder(_) => return Err(refused("a parameter in the schema")),
            _ => {}
        }
    }
    let mut parser =
        Parser::new(&GuardedSql).with_recursion_limit(DEEPEST).with_tokens_with_locations(tokens);
    parser.parse_statement().map_err(|error| syntax(&error))
}

/// Not what separates or is written many times over without harm: spaces, commas, parentheses, values.
fn few_words(tokens: &[TokenWithSpan]) -> Result<()> {
    let is_word = |token: &&TokenWithSpan| {
        !matches!(
            token.token,
            Token::Whitespace(_)
                | Token::Comma
                | Token::LParen
                | Token::RParen
                | Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::Placeholder(_)
        )
    };
    if tokens.iter().filter(is_word).count() > MOST_WORDS {
        return Err(refused(format_args!("statements of over {MOST_WORDS} words and operators")));
    }
    Ok(())
}

fn tokenized(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = Tokenizer::new(&GuardedSql, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| syntax(&error))?;
    // One walk over the text for all tokens: each stands behind the one before.
    let (mut line, mut column) = (1, 1);
    let mut text = sql.chars();
    for token in &mut tokens {
        let Token::HexStringLiteral(digits) = &token.token else { continue };
        let at = token.span.start;
        let mut first = None;
        while (line, column) <= (at.line, at.column)
            && let Some(c) = text.next()
        {
            first = Some(c);
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        // The parser takes 0x1F for the blob X'1F'; here it is a number, as SQLite has it.
        if first == Some('0') {
            token.token = Token::Number(format!("0x{digits}"), false);
        }
    }
    Ok(tokens)
}

fn as_sqlite_reads(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    hexadecimal(&mut tokens)?;
    let tokens = spelled(without_hints(tokens));
    short_chains(&tokens)?;
    Ok(tokens)
}

/// `ISNULL` as `IS NULL`, `a IS b` as `a IS NOT DISTINCT FROM b`: the same in SQLite, and the parser knows them.
fn spelled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let keyword = |token: Option<&TokenWithSpan>| match token.map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let known = [Keyword::NULL, Keyword::TRUE, Keyword::FALSE, Keyword::DISTINCT];
    let mut spelled: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let span = token.span;
        let mut push = |word: &str| spelled.push(TokenWithSpan::new(Token::make_keyword(word), span));
        match &token.token {
            Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull") => {
                push("IS");
                push("NULL");
            }
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::IS => {
                let not = keyword(tokens.get(at)) == Some(Keyword::NOT);
                let next = keyword(tokens.get(if not { at + 1 } else { at }));
                push("IS");
                if next.is_none_or(|next| !known.contains(&next)) {
                    let words: &[&str] =
                        if not { &["DISTINCT", "FROM"] } else { &["NOT", "DISTINCT", "FROM"] };
                    words.iter().for_each(|word| push(word));
                    at += usize::from(not);
                }
            }
            _ => spelled.push(token.clone()),
        }
    }
    spelled
}

/// A chain of operators is a tree as deep as it is long, and trees are walked, copied and dropped by recursion.
fn short_chains(tokens: &[TokenWithSpan]) -> Result<()> {
    const LINKS: &[Keyword] = &[
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::IS,
        Keyword::NOTNULL,
        Keyword::COLLATE,
        Keyword::LIKE,
        Keyword::IN,
        Keyword::BETWEEN,
        Keyword::UNION,
        Keyword::INTERSECT,
        Keyword::EXCEPT,
        Keyword::CASE,
    ];
    const COMPOUNDS: &[Keyword] = &[Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT];
    const COPIED: &[Keyword] = &[Keyword::GLOB, Keyword::MATCH, Keyword::REGEXP];
    let mut levels = vec![0_usize];
    let (mut copied, mut compounds) = (0, 0);
    for token in tokens {
        // A comma does not end a compound, nor do parentheses around its left side.
        if matches!(&token.token, Token::Word(word) if COMPOUNDS.contains(&word.keyword)) {
            compounds += 1;
        }
        let Some(length) = levels.last_mut() else { break };
        match &token.token {
            Token::LParen => levels.push(0),
            Token::RParen => {
                if levels.len() > 1 {
                    levels.pop();
                }
            }
            Token::Comma => *length = 0,
            Token::Word(word) if COPIED.contains(&word.keyword) => copied += 1,
            Token::Word(word) if !LINKS.contains(&word.keyword) => {}
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::Period => {}
            Token::HexStringLiteral(_) | Token::SemiColon | Token::EOF => {}
            _ => *length += 1,
        }
        if levels.last().is_some_and(|length| *length > LONGEST_CHAIN) || copied > MOST_COPIED {
            return Err(refused(format_args!("a chain of over {LONGEST_CHAIN} operators")));
        }
    }
    if compounds > MOST_COMPOUNDS {
        return Err(refused(format_args!("over {MOST_COMPOUNDS} UNION, INTERSECT and EXCEPT")));
    }
    Ok(())
}

/// `0XfF` arrives as a number and a word; a word right behind any other number is no SQL.
fn hexadecimal(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    let mut merged: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens.drain(..) {
        if let (Token::Word(word), Some(last)) = (&token.token, merged.last_mut())
            && let Token::Number(number, _) = &last.token
            && last.span.end == token.span.start
        {
            let digits = word.value.strip_prefix(['x', 'X']).unwrap_or_default();
            if number != "0" || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(Error::new(
                    Code::BadStatement,
                    format!("unrecognized token: {number}{}", word.value),
                ));
            }
            last.token = Token::Number(format!("0x{digits}"), false);
            continue;
        }
        merged.push(token);
    }
    *tokens = merged;
    Ok(())
}

/// `AS [NOT] MATERIALIZED (` is a hint that the parser does not read for SQLite, and fences override.
fn without_hints(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let is =
        |token: &TokenWithSpan, keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().filter(|token| solid(&token)).peekable();
    while let Some(token) = rest.next() {
        let opens = |next: Option<&TokenWithSpan>| next.is_some_and(|next| next.token == Token::LParen);
        if is(&token, Keyword::MATERIALIZED) && opens(rest.peek()) {
            if kept.last().is_some_and(|last| is(last, Keyword::AS)) {
                continue;
            }
            if let [.., as_word, not] = kept.as_slice()
                && is(as_word, Keyword::AS)
                && is(not, Keyword::NOT)
            {
                kept.pop();
                continue;
            }
        }
        kept.push(token);
    }
    kept
}

/// Parameters are `?`, `?N` and `$N`; all become `?N`, so that moving an expression cannot renumber them.
fn number(name: &str, highest: &mut u32) -> Result<String> {
    let number = match name.strip_prefix(['?', '$']) {
        Some("") if name == "?" => *highest + 1,
        Some(digits) => match digits.parse() {
            Ok(number @ 1..=32_766) => number,
            _ => return Err(refused(format_args!("the parameter `{name}`; write $1, $2, .."))),
        },
        None => return Err(refused(format_args!("the parameter `{name}`; write $1, $2, .."))),
    };
    *highest = number.max(*highest);
    Ok(format!("?{number}"))
}

fn check_identifier(name: &str) -> Result<()> {
    if Names::resembles(name) {
        return Err(refused("an identifier of the guard's own form"));
    }
    if name.contains(['"', '`', '[', ']', '\'']) {
        return Err(refused("an identifier with a quote in it"));
    }
    Ok(())
}

/// In raw form every quote must stand doubled; then printing the literal as it stands is exact.
fn check_string(raw: &str) -> Result<()> {
    let mut rest = raw;
    while let Some((_, behind)) = rest.split_once('\'') {
        match behind.strip_prefix('\'') {
            Some(after) => rest = after,
            None => return Err(refused("this string literal")),
        }
    }
    Ok(())
}

fn syntax(error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::BadStatement, format!("syntax: {error}"))
}

/// The only part of a name that has only one, or the table of `main.table`.
pub(super) fn table_name(name: &ObjectName) -> Result<(Option<&str>, &str)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(table)] => Ok((None, &table.value)),
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] => {
            Ok((Some(&schema.value), &table.value))
        }
        _ => Err(refused(format_args!("the name `{name}`"))),
    }
}

/// `name` as a quoted identifier in the tree.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// The last look at what was printed: nothing in it may be read as a comment or as a second statement, which would
/// cut off what we wrote behind the host's text.
pub(super) fn checked(sql: String) -> Result<String> {
    let mut quote = None;
    let mut last = ' ';
    for c in sql.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' | '`' => quote = Some(c),
                '[' => quote = Some(']'),
                ';' | '\0' => return Err(refused("this text")),
                '-' if last == '-' => {
                    return Err(refused("two signs in a row; write parentheses between them"));
                }
                '*' if last == '/' => return Err(refused("this text")),
                _ => {}
            },
        }
        last = c;
    }
    if quote.is_some() { Err(refused("this text")) } else { Ok(sql) }
}

/// Whether a qualified name may carry this schema: SQLite's `main`, PostgreSQL's `public`.
pub(super) fn is_own_schema(name: &str) -> bool {
    name.eq_ignore_ascii_case("main") || name.eq_ignore_ascii_case("public")
}

pub(super) fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::env::SystemEntropy;

    fn read(sql: &str) -> Result<Statement> {
        parse(&Names::draw(&SystemEntropy).unwrap(), sql)
    }

    /// attack L06
    #[test]
    fn many_hex_literals_take_no_long_walk() {
        for (literal, refused) in [("x'00',", true), ("0x1F,\n", false)] {
            let sql = format!("SELECT {}1", literal.repeat(38_000));
            // The best of five: other tests run beside this one.
            let times = (0..5).map(|_| {
                let begun = Instant::now();
                assert_eq!(read(&sql).is_err(), refused, "{literal}");
                begun.elapsed()
            });
            let took = times.min().unwrap();
            // A walk from the beginning for each is seven thousand million steps.
            assert!(took < Duration::from_secs(3), "{took:?} for {literal}");
        }
    }

    #[test]
    fn hexadecimal_numbers_are_no_blobs_wherever_they_stand() {
        let text = "SELECT 0x1F, x'1F',\n 'a\u{e4}\nb', 0X2f, X'2f', \"0\",\n\n\t0x3, x'30'";
        let read = read(text).unwrap().to_string();
        assert_eq!(read, "SELECT 0x1F, X'1F', 'a\u{e4}\nb', 0x2f, X'2f', \"0\", 0x3, X'30'");
    }

    /// attack L06
    #[test]
    fn compounds_are_counted_across_commas_and_parentheses() {
        let union = |n: usize| " UNION SELECT 1,1".repeat(n);
        read(&format!("SELECT 1,1{}", union(99))).unwrap();
        read(&format!("SELECT 1,1{}", union(101))).unwrap_err();
        let nested = format!("{}SELECT 1,1{}", "(".repeat(15), format!("{})", union(99)).repeat(15));
        read(&nested).unwrap_err();
    }

    #[test]
    fn printed_text_holds_no_comment_and_no_second_statement() {
        for fine in ["SELECT '--;/*', \"--\", `;`, [/*] - -1", "SELECT a - b", "SELECT 'it''s' /2"] {
            assert!(checked(fine.to_owned()).is_ok(), "{fine}");
        }
        for bad in ["SELECT --1", "SELECT 1;", "SELECT 1 /* */", "SELECT 'x", "SELECT \"x", "SELECT ''--"] {
            assert!(checked(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
