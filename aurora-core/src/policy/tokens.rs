//! What is done to tokens before the parser sees them.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The most tokens on one level of parentheses between two that start a new operand list.
pub(super) fn longest_run(tokens: &[TokenWithSpan]) -> usize {
    let (mut runs, mut longest) = (vec![0_usize], 0);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::LParen => runs.push(0),
            Token::RParen if runs.len() > 1 => {
                runs.pop();
            }
            Token::Comma => runs.iter_mut().rev().take(1).for_each(|run| *run = 0),
            Token::Word(word) if matches!(word.keyword, Keyword::AND | Keyword::OR) => {
                runs.iter_mut().rev().take(1).for_each(|run| *run = 0);
            }
            _ => {
                for run in runs.iter_mut().rev().take(1) {
                    *run += 1;
                    longest = longest.max(*run);
                }
            }
        }
    }
    longest
}

/// `COST 100`, `ROWS 1000` and `LEAKPROOF` tell PostgreSQL's planner something; the parser knows none of them.
pub(super) fn planner_hints_out(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let word = |token: &TokenWithSpan, name: &str| {
        matches!(&token.token, Token::Word(word) if word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case(name))
    };
    let mut words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let is_function = words.next().is_some_and(|first| word(first, "create"))
        && words.take(3).any(|token| word(token, "function"));
    if !is_function {
        return tokens.to_vec();
    }
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let (mut depth, mut number_next) = (0_usize, false);
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Number(..) if number_next => {
                number_next = false;
                continue;
            }
            _ if depth == 0 && (word(token, "cost") || word(token, "rows")) => {
                number_next = true;
                continue;
            }
            _ if depth == 0 && word(token, "leakproof") => continue,
            _ => {}
        }
        kept.push(token.clone());
    }
    kept
}

/// `FROM PUBLIC, anon`: the parser takes PUBLIC for the only one.
pub(super) fn public_quoted(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let meant = tokens.iter().position(|token| !matches!(token.token, Token::Whitespace(_)));
    let first = meant.and_then(|at| tokens.get(at));
    let grants = first.is_some_and(|token| {
        matches!(&token.token, Token::Word(word) if matches!(word.keyword, Keyword::GRANT | Keyword::REVOKE))
    });
    if !grants {
        return tokens;
    }
    let mut comma_next = false;
    for token in tokens.iter_mut().rev() {
        match &mut token.token {
            Token::Whitespace(_) => {}
            Token::Word(word) if comma_next && word.value.eq_ignore_ascii_case("public") => {
                word.quote_style = Some('"');
                word.keyword = Keyword::NoKeyword;
                comma_next = false;
            }
            other => comma_next = *other == Token::Comma,
        }
    }
    tokens
}
