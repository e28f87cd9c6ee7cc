//! How the parser spells types, operators and lines.

use sqlparser::ast::{ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, ObjectNamePart};

use super::parse::table_name;
use super::raw::Cast;

pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// The line an expression starts on, as far as the parser kept it; goes down the left side without recursion.
pub(super) fn line_of(expr: &Expr) -> Option<u64> {
    let mut at = expr;
    let line = loop {
        at = match at {
            Expr::Identifier(ident) => break ident.span.start.line,
            Expr::CompoundIdentifier(parts) => break parts.first()?.span.start.line,
            Expr::Value(value) => break value.span.start.line,
            Expr::Function(function) => match function.name.0.first()? {
                ObjectNamePart::Identifier(ident) => break ident.span.start.line,
                ObjectNamePart::Function(_) => return None,
            },
            Expr::Case { case_token, .. } => break case_token.0.span.start.line,
            Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => left,
            Expr::IsDistinctFrom(one, _) | Expr::IsNotDistinctFrom(one, _) => one,
            Expr::Nested(one)
            | Expr::IsNull(one)
            | Expr::IsNotNull(one)
            | Expr::IsTrue(one)
            | Expr::IsNotTrue(one)
            | Expr::IsFalse(one)
            | Expr::IsNotFalse(one) => one,
            Expr::UnaryOp { expr, .. }
            | Expr::Cast { expr, .. }
            | Expr::Between { expr, .. }
            | Expr::InList { expr, .. }
            | Expr::InSubquery { expr, .. }
            | Expr::Like { expr, .. }
            | Expr::ILike { expr, .. } => expr,
            Expr::CompoundFieldAccess { root, .. } => root,
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => {
                return super::query::line_of(subquery);
            }
            _ => return None,
        };
    };
    (line > 0).then_some(line)
}

/// A type by its name; `None` for one that is not known here.
pub(super) fn cast_of(target: &DataType) -> Option<Cast> {
    Some(match target {
        DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None) => Cast::Text,
        DataType::Uuid => Cast::Uuid,
        DataType::SmallInt(None) | DataType::Int2(None) => Cast::Integer(2),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => Cast::Integer(4),
        DataType::BigInt(None) | DataType::Int8(None) => Cast::Integer(8),
        DataType::Float8 | DataType::DoublePrecision | DataType::Double(ExactNumberInfo::None) => {
            Cast::Double
        }
        DataType::Bool | DataType::Boolean => Cast::Bool,
        DataType::Timestamp(None, _) => Cast::Time,
        DataType::Date => Cast::Date,
        DataType::Interval { fields: None, precision: None } => Cast::Interval,
        DataType::JSON | DataType::JSONB => Cast::Json,
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
        ) => Cast::Array(Box::new(cast_of(element)?)),
        DataType::Custom(name, arguments) if arguments.is_empty() => {
            let quoted = matches!(name.0.last(),
                Some(ObjectNamePart::Identifier(ident)) if ident.quote_style.is_some());
            let name = table_name(name).ok()?;
            match name.strip_prefix("pg_catalog_").unwrap_or(&name) {
                "timestamptz" | "timestamp" => Cast::Time,
                // A quoted type is what pg_dump writes.
                "uuid" => Cast::Uuid,
                "text" | "varchar" => Cast::Text,
                "bool" | "boolean" if quoted => Cast::Bool,
                "jsonb" | "json" => Cast::Json,
                "int2" | "smallint" => Cast::Integer(2),
                "int4" | "integer" => Cast::Integer(4),
                "int8" | "bigint" => Cast::Integer(8),
                "float8" => Cast::Double,
                "date" => Cast::Date,
                "interval" => Cast::Interval,
                "citext" | "name" | "regclass" | "inet" | "time" | "numeric" | "record" | "void"
                | "trigger" | "anyelement" | "bytea" | "xml" | "money" => return None,
                other => Cast::Enum(other.to_owned()),
            }
        }
        _ => return None,
    })
}
