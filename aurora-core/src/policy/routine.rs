//! `CREATE FUNCTION`: the helpers of a policy file, read as one query each.

use std::sync::Arc;

use sqlparser::ast::{
    ArgMode, CreateFunction, CreateFunctionBody, DataType, Expr, FunctionCalledOnNull, FunctionReturnType,
    FunctionSecurity, FunctionSetValue, Query, Statement, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::catalog::{Answers, Parameter, Routine};
use super::convert::Converter;
use super::error::PolicyError;
use super::grants::Refusal;
use super::parse::{fold, last_part, table_name};
use super::query::Use;
use super::raw::{Cast, RawSelect};
use super::spelling::cast_of;

/// What to do about a body outside the subset.
const WAYS_OUT: &str = "write the body as one SELECT or one RETURN, or register a function of that name in Rust \
                        with Policies::with_function";

/// Why a body is outside the subset: its line, the construct, what to write instead.
type Outside = (u64, String, String);

pub(super) fn read(
    file: &Arc<str>,
    function: &CreateFunction,
    line: u64,
    body_line: u64,
) -> Result<(Routine, Vec<PolicyError>), Refusal> {
    let name = table_name(&function.name)?;
    let last = last_part(&function.name).unwrap_or_else(|| name.clone());
    let refuse =
        |construct: String, help: &str| Err((format!("function {name}: {construct}"), help.to_owned()));
    let mut converter = Converter::new(file, line, format!("function {name}"));
    let mut parameters = Vec::new();
    let mut outputs = Vec::new();
    for argument in function.args.iter().flatten() {
        let Some(kind) = cast_of(&argument.data_type) else {
            return refuse(format!("an argument of type `{}`", argument.data_type), WAYS_OUT);
        };
        let argument_name = argument.name.as_ref().map(fold);
        match argument.mode {
            None | Some(ArgMode::In) => {
                let default = argument.default_expr.as_ref().map(|default| converter.convert(default));
                parameters.push(Parameter { name: argument_name, kind, default });
            }
            Some(ArgMode::Out) => outputs.push((argument_name.unwrap_or_default(), kind)),
            Some(ArgMode::InOut | ArgMode::Variadic) => {
                return refuse("an INOUT or VARIADIC argument".to_owned(), WAYS_OUT);
            }
        }
    }
    let result = answers(function, outputs, &name)?;
    let language = function.language.as_ref().map(|language| language.value.to_ascii_lowercase());
    let plpgsql = language.as_deref() == Some("plpgsql");
    let mut body = match language.as_deref() {
        None | Some("sql" | "plpgsql") => body_of(function, plpgsql, body_line, &mut converter),
        Some(other) => Err((line, format!("LANGUAGE {other}"), WAYS_OUT.to_owned())),
    };
    // What stands in a body outside the subset matters only where nobody registered the function.
    let mut errors = std::mem::take(&mut converter.errors);
    if let (Ok(_), Some(first)) = (&body, errors.first()) {
        let help = format!("{}; or register the function in Rust with Policies::with_function", first.help());
        body = Err((first.line(), first.construct().to_owned(), help));
        errors.clear();
    }
    let path = function.set_params.iter().find(|set| set.name.to_string().trim_matches('"') == "search_path");
    let routine = Routine {
        last,
        parameters,
        result,
        strict: matches!(
            function.called_on_null,
            Some(FunctionCalledOnNull::Strict | FunctionCalledOnNull::ReturnsNullOnNullInput)
        ),
        owner: matches!(function.security, Some(FunctionSecurity::Definer)),
        plpgsql,
        path: path.map_or_else(Vec::new, |set| search_path(&set.value)),
        body,
        execute: [true; 4],
        name,
    };
    Ok((routine, errors))
}

fn answers(function: &CreateFunction, outputs: Vec<(String, Cast)>, name: &str) -> Result<Answers, Refusal> {
    if !outputs.is_empty() {
        let help = "write RETURNS type, RETURNS SETOF type or RETURNS TABLE (..)".to_owned();
        return Err((format!("function {name}: OUT arguments"), help));
    }
    let nothing = |kind: &DataType| Answers::Nothing(kind.to_string().to_ascii_lowercase());
    Ok(match &function.return_type {
        None => Answers::Nothing("nothing".to_owned()),
        Some(FunctionReturnType::SetOf(kind)) => cast_of(kind).map_or_else(|| nothing(kind), Answers::Many),
        Some(FunctionReturnType::DataType(DataType::Table(Some(columns)))) => {
            let mut outputs = Vec::new();
            for column in columns {
                match cast_of(&column.data_type) {
                    Some(kind) => outputs.push((fold(&column.name), kind)),
                    None => return Ok(nothing(&column.data_type)),
                }
            }
            Answers::Table(outputs)
        }
        Some(FunctionReturnType::DataType(kind)) => cast_of(kind).map_or_else(|| nothing(kind), Answers::One),
    })
}

fn search_path(value: &FunctionSetValue) -> Vec<String> {
    let FunctionSetValue::Values(values) = value else { return Vec::new() };
    let mut path = Vec::new();
    for value in values {
        match value {
            Expr::Identifier(ident) => path.push(fold(ident)),
            Expr::Value(value) => {
                if let Value::SingleQuotedString(text) = &value.value {
                    path.extend(text.split(',').map(|part| part.trim().trim_matches('"').to_owned()));
                }
            }
            _ => {}
        }
    }
    path.retain(|part| !part.is_empty());
    path
}

fn body_of(
    function: &CreateFunction,
    plpgsql: bool,
    line: u64,
    converter: &mut Converter<'_>,
) -> Result<RawSelect, Outside> {
    let outside = |construct: &str| Err((line, construct.to_owned(), WAYS_OUT.to_owned()));
    let text = match &function.function_body {
        Some(CreateFunctionBody::Return(expr)) => {
            let mut select = RawSelect::empty(line);
            select.output = Some(converter.convert(expr));
            return Ok(select);
        }
        Some(
            CreateFunctionBody::AsBeforeOptions { body, link_symbol: None }
            | CreateFunctionBody::AsAfterOptions(body),
        ) => match body {
            Expr::Value(value) => match &value.value {
                Value::DollarQuotedString(text) => text.value.clone(),
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
                _ => return outside("this body"),
            },
            _ => return outside("this body"),
        },
        _ => return outside("a function without a readable body"),
    };
    converter.before = line.saturating_sub(1);
    let mut tokens = Vec::new();
    if Tokenizer::new(&PostgreSqlDialect {}, &text).tokenize_with_location_into_buf(&mut tokens).is_err() {
        return outside("an unreadable body");
    }
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    let statements: Vec<&[TokenWithSpan]> =
        tokens.split(|token| token.token == Token::SemiColon).filter(|part| !part.is_empty()).collect();
    let select = if plpgsql {
        match statements.as_slice() {
            [returning, end] if is_word(end.first(), Keyword::END) => plpgsql_body(returning, converter),
            _ => None,
        }
    } else {
        match statements.as_slice() {
            [one] => query(one).map(|query| converter.select(&query, Use::All)),
            _ => None,
        }
    };
    converter.before = 0;
    match select {
        Some(select) => Ok(select),
        None if plpgsql => outside("a plpgsql body that is not BEGIN RETURN ..; END"),
        None => outside("a body that is not one SELECT"),
    }
}

fn plpgsql_body(tokens: &[TokenWithSpan], converter: &mut Converter<'_>) -> Option<RawSelect> {
    let [begin, word, rest @ ..] = tokens else { return None };
    if !is_word(Some(begin), Keyword::BEGIN) || !is_word(Some(word), Keyword::RETURN) {
        return None;
    }
    if let Some((first, rest)) = rest.split_first()
        && matches!(&first.token, Token::Word(word) if word.value.eq_ignore_ascii_case("query"))
    {
        return query(rest).map(|query| converter.select(&query, Use::All));
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(rest.to_vec());
    let expr = parser.parse_expr().ok()?;
    parser.expect_token(&Token::EOF).ok()?;
    let line = begin.span.start.line + converter.before;
    let mut select = RawSelect::empty(line);
    select.output = Some(converter.convert(&expr));
    Some(select)
}

fn query(tokens: &[TokenWithSpan]) -> Option<Box<Query>> {
    if tokens.len() > super::parse::LONGEST_STATEMENT
        || super::tokens::longest_run(tokens) > super::parse::LONGEST_RUN
    {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    match parser.parse_statement() {
        Ok(Statement::Query(query)) => {
            parser.expect_token(&Token::EOF).ok()?;
            Some(query)
        }
        _ => None,
    }
}

fn is_word(token: Option<&TokenWithSpan>, keyword: Keyword) -> bool {
    matches!(token.map(|token| &token.token), Some(Token::Word(word)) if word.keyword == keyword)
}
