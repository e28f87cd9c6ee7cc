//! The functions that PostgreSQL and Supabase bring along.

use super::catalog::Catalog;
use super::check::{Checker, falsity, truth};
use super::coerce::{self, Typed};
use super::expr::{Element, Expr, Form, Type};
use super::functions::FunctionName;
use super::raw::{Cast, Raw, RawCall, RawKind};

/// The type that a name stands for; `None` for an enum that the file does not declare.
pub(super) fn type_of(cast: &Cast, catalog: &Catalog) -> Option<Type> {
    Some(match cast {
        Cast::Text => Type::Text,
        Cast::Uuid => Type::Uuid(Form::Any),
        Cast::Integer(_) => Type::Integer,
        Cast::Double => Type::Real,
        Cast::Bool => Type::Bool,
        Cast::Time => Type::Micros,
        Cast::Date => Type::Date,
        Cast::Interval => Type::Interval,
        Cast::Json => Type::Json,
        Cast::Enum(name) => Type::Enum(catalog.enums.iter().position(|known| known.name == *name)?),
        Cast::Array(of) => Type::Array(Element::of(type_of(of, catalog)?)?),
    })
}

/// A function whose arguments have one type each.
struct Plain {
    name: &'static str,
    arguments: &'static [Type],
    function: FunctionName,
    result: Type,
}

const fn plain(
    name: &'static str,
    arguments: &'static [Type],
    function: FunctionName,
    result: Type,
) -> Plain {
    Plain { name, arguments, function, result }
}

use Type::{Bool, Integer, Json, Text};

const TEXTS: Type = Type::Array(Element::Text);

/// By name with schema, as [`RawCall::name`] has it, and number of arguments.
const PLAIN: &[Plain] = &[
    plain("lower", &[Text], FunctionName::Lower, Text),
    plain("upper", &[Text], FunctionName::Upper, Text),
    plain("length", &[Text], FunctionName::Length, Integer),
    plain("char_length", &[Text], FunctionName::Length, Integer),
    plain("character_length", &[Text], FunctionName::Length, Integer),
    plain("split_part", &[Text, Text, Integer], FunctionName::SplitPart, Text),
    plain("substr", &[Text, Integer], FunctionName::Substr, Text),
    plain("substr", &[Text, Integer, Integer], FunctionName::Substr, Text),
    plain("substring", &[Text, Integer], FunctionName::Substr, Text),
    plain("substring", &[Text, Integer, Integer], FunctionName::Substr, Text),
    plain("left", &[Text, Integer], FunctionName::Left, Text),
    plain("right", &[Text, Integer], FunctionName::Right, Text),
    plain("replace", &[Text, Text, Text], FunctionName::Replace, Text),
    plain("strpos", &[Text, Text], FunctionName::Strpos, Integer),
    plain("starts_with", &[Text, Text], FunctionName::StartsWith, Bool),
    plain("btrim", &[Text], FunctionName::Btrim, Text),
    plain("btrim", &[Text, Text], FunctionName::Btrim, Text),
    plain("ltrim", &[Text], FunctionName::Ltrim, Text),
    plain("ltrim", &[Text, Text], FunctionName::Ltrim, Text),
    plain("rtrim", &[Text], FunctionName::Rtrim, Text),
    plain("rtrim", &[Text, Text], FunctionName::Rtrim, Text),
    plain("string_to_array", &[Text, Text], FunctionName::StringToArray, TEXTS),
    plain("abs", &[Integer], FunctionName::Abs, Integer),
    plain("jsonb_typeof", &[Json], FunctionName::JsonType, Text),
    plain("json_typeof", &[Json], FunctionName::JsonType, Text),
    plain("jsonb_array_length", &[Json], FunctionName::JsonLength, Integer),
    plain("json_array_length", &[Json], FunctionName::JsonLength, Integer),
    plain("storage_foldername", &[Text], FunctionName::Foldername, TEXTS),
    plain("storage_filename", &[Text], FunctionName::Filename, Text),
    plain("storage_extension", &[Text], FunctionName::Extension, Text),
];

/// The parts of a moment that are whole numbers.
const PARTS: [&str; 8] = ["year", "month", "day", "hour", "minute", "quarter", "dow", "isodow"];
const TRUNCATED: [&str; 8] = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

impl Checker<'_> {
    /// `None` if PostgreSQL brings no function of that name.
    pub(super) fn builtin(&mut self, call: &RawCall, line: u64) -> Option<Typed> {
        let own = match call.schema.as_deref() {
            None => true,
            Some("storage") => call.name.starts_with("storage_"),
            Some(_) => false,
        };
        if !own || call.arguments.iter().any(|(name, _)| name.is_some()) {
            return None;
        }
        let arguments: Vec<&Raw> = call.arguments.iter().map(|(_, argument)| argument).collect();
        let known =
            PLAIN.iter().find(|plain| plain.name == call.name && plain.arguments.len() == arguments.len());
        if let Some(known) = known {
            return Some(self.plain_call(known, &arguments, line));
        }
        Some(match (call.name.as_str(), arguments.as_slice()) {
            ("current_user", []) => self.current_user(line),
            ("to_jsonb" | "to_json", [one]) => self.json_of(one),
            ("greatest" | "least", [_, ..]) => self.extreme(&call.name, &arguments, line),
            ("concat", [_, ..]) => self.concatenated(FunctionName::Concat, &arguments, line),
            ("concat_ws", [_, _, ..]) => self.concatenated(FunctionName::ConcatWs, &arguments, line),
            ("array_length", [array, dimension]) => {
                let Some(array) = self.array_value(array, line) else { return Some((Expr::Null, Integer)) };
                let dimension = self.value(dimension, false);
                let Some(dimension) = coerce::coerce(dimension.0, dimension.1, Integer) else {
                    return Some(self.mismatch(line, "array_length", dimension.1, Integer));
                };
                (Expr::Call(FunctionName::ArrayLength, vec![array.0, dimension]), Integer)
            }
            ("cardinality", [array]) => match self.array_value(array, line) {
                Some((array, _)) => (Expr::Call(FunctionName::Cardinality, vec![array]), Integer),
                None => (Expr::Null, Integer),
            },
            ("date_part", [field, moment]) => self.of_moment(field, moment, true, line),
            ("date_trunc", [field, moment]) => self.of_moment(field, moment, false, line),
            ("statement_timestamp", []) => (Expr::Call(FunctionName::Now, Vec::new()), Type::Micros),
            (name, _) if super::query::aggregate_of(call).is_some() => self.refuse(
                line,
                format!("aggregate {name}() outside a subquery (42803)"),
                "write (SELECT count(*) FROM .. WHERE ..)",
            ),
            _ => return None,
        })
    }

    fn plain_call(&mut self, known: &Plain, arguments: &[&Raw], line: u64) -> Typed {
        let mut values = Vec::with_capacity(arguments.len());
        for (argument, wanted) in arguments.iter().zip(known.arguments) {
            let (value, kind) = self.value(argument, false);
            let value = match (kind, *wanted) {
                // `name` and enums are not text to a function of text.
                (Type::Enum(_), Text) => None,
                (_, wanted) => coerce::coerce(value, kind, wanted),
            };
            match value {
                Some(value) => values.push(value),
                None => {
                    let construct = format!("function {}() of {}", known.name, kind.name());
                    let help = format!("cast the argument to {}", wanted.name());
                    return self.refuse(line, construct, &help);
                }
            }
        }
        (Expr::Call(known.function, values), known.result)
    }

    /// The role a principal acts as.
    fn current_user(&mut self, line: u64) -> Typed {
        if self.as_owner() {
            let help = "inside SECURITY DEFINER it is the function's owner: write auth.role()";
            return self.refuse(line, "current_user in a SECURITY DEFINER function", help);
        }
        (Expr::Text(self.role.as_str().to_owned()), Text)
    }

    fn extreme(&mut self, name: &str, arguments: &[&Raw], line: u64) -> Typed {
        let many: Vec<Typed> = arguments.iter().map(|one| self.value(one, false)).collect();
        let (many, kind) = self.unify(many, name, line);
        let function = if name == "greatest" { FunctionName::Greatest } else { FunctionName::Least };
        match kind {
            Type::Time => {
                let many = many.into_iter().map(|one| Expr::Call(FunctionName::Time, vec![one])).collect();
                (Expr::Call(function, many), Type::Micros)
            }
            Integer | Type::StoredInteger | Type::Real | Type::Micros | Type::Date | Type::Null => {
                (Expr::Call(function, many), kind)
            }
            other => {
                let help = "orders exist for numbers and times here: write CASE WHEN .. THEN .. END";
                self.refuse(line, format!("{name} of {}", other.name()), help)
            }
        }
    }

    fn concatenated(&mut self, function: FunctionName, arguments: &[&Raw], line: u64) -> Typed {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let (value, kind) = self.value(argument, false);
            // As their output functions have them: a boolean is `t` there.
            let value = match kind {
                Bool => Some(Expr::Case {
                    arms: vec![
                        (truth(value.clone()), Expr::Text("t".to_owned())),
                        (falsity(value), Expr::Text("f".to_owned())),
                    ],
                    otherwise: Box::new(Expr::Null),
                }),
                _ => coerce::to_text(value, kind),
            };
            match value {
                Some(value) => values.push(value),
                None => {
                    return self.refuse(line, format!("concat of {}", kind.name()), "cast it to text first");
                }
            }
        }
        (Expr::Call(function, values), Text)
    }

    fn of_moment(&mut self, field: &Raw, moment: &Raw, part: bool, line: u64) -> Typed {
        let known: &[&str] = if part { &PARTS } else { &TRUNCATED };
        let name = match &field.kind {
            RawKind::Text(name) => name.to_ascii_lowercase(),
            _ => String::new(),
        };
        if !known.contains(&name.as_str()) {
            let construct = format!("the field `{name}` of a moment");
            return self.refuse(line, construct, &format!("known here: {}", known.join(", ")));
        }
        let (value, kind) = self.value(moment, false);
        let Some(value) = coerce::coerce(value, kind, Type::Micros).filter(|_| kind != Type::Unknown) else {
            return self.mismatch(line, "date_part or date_trunc", kind, Type::Micros);
        };
        let arguments = vec![Expr::Text(name), value];
        match part {
            true => (Expr::Call(FunctionName::DatePart, arguments), Integer),
            false => (Expr::Call(FunctionName::DateTrunc, arguments), Type::Micros),
        }
    }
}
