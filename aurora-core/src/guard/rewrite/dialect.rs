//! SQLite's dialect as `sqlparser` has it, and the parts of SQLite's grammar that it lacks.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// SQLite's, with `NOT GLOB`, shifts, and an alias on INSERT.
///
/// What could be spelled otherwise is, in `text.rs`, before the parser sees it: an operator read here costs a copy
/// of all that stands to its left.
#[derive(Debug)]
pub(super) struct GuardedSql;

const SQLITE: SQLiteDialect = SQLiteDialect {};

impl Dialect for GuardedSql {
    fn dialect(&self) -> TypeId {
        TypeId::of::<SQLiteDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        SQLITE.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        SQLITE.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        // SQLite: every character above ASCII, the supplementary planes too.
        ch.is_ascii_alphabetic() || ch == '_' || !ch.is_ascii()
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_ascii_digit()
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_in_empty_list(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        true
    }

    fn supports_asc_desc_in_column_definition(&self) -> bool {
        true
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_insert_table_alias(&self) -> bool {
        true
    }

    fn parse_statement(
        &self,
        parser: &mut Parser<'_>,
    ) -> Option<Result<sqlparser::ast::Statement, ParserError>> {
        SQLITE.parse_statement(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if is(parser, 0, Keyword::NOT) && is(parser, 1, Keyword::GLOB) {
            parser.next_token();
            parser.next_token();
            let (left, op) = (Box::new(left.clone()), BinaryOperator::Glob);
            return Some(parser.parse_subexpr(precedence).map(|right| {
                let glob = Expr::BinaryOp { left, op, right: Box::new(right) };
                let not =
                    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(glob))) };
                Expr::Nested(Box::new(not))
            }));
        }
        SQLITE.parse_infix(parser, left, precedence)
    }
}

fn is(parser: &Parser<'_>, ahead: usize, keyword: Keyword) -> bool {
    matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(word) if word.keyword == keyword)
}
