//! Arrays and jsonb containment: which of the two an operator means hangs on the types of its sides.

use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Element, Expr, Type};
use super::functions::FunctionName;
use super::raw::{Cast, Comparison, Operator, Raw, RawKind};

/// What to do where a TEXT column could be either.
const WHICH: &str = "a TEXT column may hold either: declare it as TEXT[] or JSON, or cast: ::text[], ::jsonb";

impl Checker<'_> {
    /// `ARRAY[a, b]`.
    pub(super) fn array(&mut self, items: &[Raw], line: u64) -> Typed {
        let many: Vec<Typed> = items.iter().map(|item| self.value(item, false)).collect();
        let (many, kind) = self.unify(many, "ARRAY", line);
        let Some(of) = Element::of(kind) else {
            let help = "arrays of text, uuid, integers, booleans and enums are known here";
            return self.refuse(line, format!("an array of {}", kind.name()), help);
        };
        let word = Expr::Text(of.word().to_owned());
        let mut arguments = vec![word];
        arguments.extend(many);
        (Expr::Call(FunctionName::ArrayOf, arguments), Type::Array(of))
    }

    /// An array by its type; a stored text is one if nothing speaks against it.
    pub(super) fn array_value(&mut self, raw: &Raw, line: u64) -> Option<(Expr, Element)> {
        let (value, kind) = self.value(raw, false);
        match kind {
            Type::Array(of) => Some((value, of)),
            Type::StoredText => Some((value, Element::Any)),
            Type::Unknown => {
                coerce::coerce(value, kind, Type::Array(Element::Text)).map(|value| (value, Element::Text))
            }
            Type::Null => Some((Expr::Null, Element::Any)),
            other => {
                self.refuse(line, format!("an array function of {}", other.name()), "give it an array");
                None
            }
        }
    }

    /// `array[1]`, and `json['a']`.
    pub(super) fn element(&mut self, array: &Raw, index: &Raw, line: u64) -> Typed {
        let (value, kind) = self.value(array, false);
        let (at, at_kind) = self.value(index, false);
        let of = match kind {
            Type::Array(of) => of,
            Type::Json => {
                let key = match at_kind {
                    Type::Unknown | Type::Text | Type::StoredText | Type::Integer | Type::StoredInteger => at,
                    other => return self.mismatch(line, "a subscript", kind, other),
                };
                return (Expr::Call(FunctionName::Json, vec![value, key]), Type::Json);
            }
            Type::StoredText => return self.refuse(line, "a subscript of a TEXT column", WHICH),
            other => {
                return self.refuse(line, format!("a subscript of {}", other.name()), "give it an array");
            }
        };
        match coerce::coerce(at, at_kind, Type::Integer) {
            Some(at) => {
                let word = Expr::Text(of.word().to_owned());
                (Expr::Call(FunctionName::ArrayElement, vec![value, at, word]), of.kind())
            }
            None => self.mismatch(line, "a subscript", kind, at_kind),
        }
    }

    /// `left op ANY (array)`.
    pub(super) fn quantified(
        &mut self,
        op: Comparison,
        all: bool,
        left: &Raw,
        array: &Raw,
        line: u64,
    ) -> Expr {
        let value = self.value(left, false);
        let (array, kind) = self.value(array, false);
        let Some(own) = Element::of(value.1) else {
            return self.mismatch(line, "ANY or ALL", value.1, kind).0;
        };
        let of = match kind {
            Type::Array(Element::Any) | Type::Unknown | Type::Null => own,
            // A TEXT column holds what it is compared with.
            Type::StoredText => own,
            Type::Array(of) => of,
            other => {
                let construct = format!("ANY or ALL over {}", other.name());
                return self.refuse(line, construct, "give it an array, or write IN (SELECT ..)").0;
            }
        };
        let Some(array) = coerce::coerce(array, kind, Type::Array(of)) else {
            return self.refuse(line, "a malformed array literal", "write '{a,b}' or ARRAY['a', 'b']").0;
        };
        let element = of.kind();
        let Some(common) = coerce::common(value.1, element) else {
            return self.mismatch(line, "ANY or ALL", value.1, element).0;
        };
        if op.orders() && !matches!(of, Element::Integer | Element::Real) {
            let help = "orders exist for numbers here: write = ANY or <> ALL";
            return self.refuse(line, format!("an order of {} values", element.name()), help).0;
        }
        self.check_label(&value.0, value.1, common, line);
        let Some(value) = coerce::coerce(value.0, value.1, common) else {
            return self.mismatch(line, "ANY or ALL", value.1, element).0;
        };
        let name = if all { FunctionName::AllOf } else { FunctionName::AnyOf };
        let word = |text: &str| Expr::Text(text.to_owned());
        Expr::Call(name, vec![value, word(op.symbol()), array, word(of.word())])
    }

    /// The operators that arrays and jsonb share, and jsonb's own.
    pub(super) fn operator(&mut self, op: Operator, left: &Raw, right: &Raw, line: u64) -> Typed {
        match op {
            Operator::Contains => self.containment(left, right, false, line),
            Operator::ContainedBy => self.containment(right, left, false, line),
            Operator::Overlaps => self.containment(left, right, true, line),
            Operator::HasKey => {
                let object = self.json_value(left, op, line);
                let key = self.text(right, "?");
                (Expr::Call(FunctionName::JsonHas, vec![object, key]), Type::Bool)
            }
            Operator::HasAnyKey | Operator::HasAllKeys | Operator::Path | Operator::PathText => {
                let object = self.json_value(left, op, line);
                let (keys, kind) = self.value(right, false);
                let texts = Type::Array(Element::Text);
                let Some(keys) = coerce::coerce(keys, kind, texts) else {
                    return self.mismatch(line, op.symbol(), Type::Json, kind);
                };
                let (name, kind) = match op {
                    Operator::HasAnyKey => (FunctionName::JsonHasAny, Type::Bool),
                    Operator::HasAllKeys => (FunctionName::JsonHasAll, Type::Bool),
                    Operator::Path => (FunctionName::JsonPath, Type::Json),
                    _ => (FunctionName::JsonPathText, Type::Text),
                };
                (Expr::Call(name, vec![object, keys]), kind)
            }
        }
    }

    fn json_value(&mut self, raw: &Raw, op: Operator, line: u64) -> Expr {
        let (value, kind) = self.value(raw, false);
        match coerce::coerce(value, kind, Type::Json).filter(|_| kind != Type::Unknown) {
            Some(value) => value,
            None => {
                let construct = format!("{} on {}", op.symbol(), kind.name());
                self.refuse(line, construct, "only jsonb has it: cast to jsonb").0
            }
        }
    }

    /// `left @> right`, or `&&`.
    fn containment(&mut self, left: &Raw, right: &Raw, overlaps: bool, line: u64) -> Typed {
        let (one, other) = (self.value(left, false), self.value(right, false));
        let symbol = if overlaps { "&&" } else { "@>" };
        let undecided = |kind: Type| matches!(kind, Type::StoredText | Type::Unknown | Type::Null);
        if undecided(one.1) && undecided(other.1) {
            return self.refuse(line, format!("{symbol} of a TEXT column and a literal"), WHICH);
        }
        let Some(common) = coerce::common(one.1, other.1) else {
            return self.mismatch(line, symbol, one.1, other.1);
        };
        let sides = (coerce::coerce(one.0, one.1, common), coerce::coerce(other.0, other.1, common));
        let (Some(one_value), Some(other_value)) = sides else {
            return self.refuse(line, format!("a malformed literal beside {symbol}"), "correct it");
        };
        match common {
            Type::Json if !overlaps => {
                (Expr::Call(FunctionName::JsonContains, vec![one_value, other_value]), Type::Bool)
            }
            Type::Array(of) => {
                let name = if overlaps { FunctionName::ArrayOverlaps } else { FunctionName::ArrayContains };
                let word = Expr::Text(of.word().to_owned());
                (Expr::Call(name, vec![one_value, other_value, word]), Type::Bool)
            }
            _ => self.mismatch(line, symbol, one.1, other.1),
        }
    }

    pub(super) fn regex(&mut self, value: &Raw, pattern: &Raw, fold: bool) -> Expr {
        if let Some(text) = constant_text(pattern)
            && let Err(problem) = super::regex::translate(text, fold)
        {
            let (state, what) = problem.split_once(' ').unwrap_or(("", &problem));
            let help = "write it with characters, . [..] ( ) | * + ? {m,n} ^ $ and \\d, or write LIKE";
            return self.refuse(pattern.line, format!("{what} ({state})"), help).0;
        }
        let arguments = vec![self.text(value, "~"), self.text(pattern, "~"), Expr::Integer(i64::from(fold))];
        Expr::Call(FunctionName::Regex, arguments)
    }
}

fn constant_text(raw: &Raw) -> Option<&str> {
    match &raw.kind {
        RawKind::Text(text) => Some(text),
        RawKind::Cast(inner, Cast::Text) => constant_text(inner),
        _ => None,
    }
}
