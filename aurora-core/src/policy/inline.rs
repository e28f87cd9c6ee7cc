//! Functions of the policy file, read in place of their calls, and those that the host registered.
//!
//! A parameter stands for the caller's expression, whose columns are known by number, so that no name inside the
//! body can capture them. SECURITY DEFINER reads tables as their owner, whatever it calls.

use super::builtins;
use super::catalog::{Answers, Routine};
use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Expr, Form, Type};
use super::functions::FunctionName;
use super::grants;
use super::raw::{Cast, Qualifier, Raw, RawCall, RawKind, plain_value};
use super::select::{Branch, Output};

/// Expressions that one policy may come to once its functions are unfolded.
const MOST_EXPRESSIONS: usize = 20_000;

/// Functions within functions.
pub(super) const DEEPEST: usize = 16;

/// A function being read, with what its parameters stand for.
pub(super) struct Frame<'a> {
    routine: &'a Routine,
    arguments: Vec<Typed>,
}

impl Frame<'_> {
    pub(super) fn name(&self) -> &str {
        &self.routine.name
    }

    pub(super) fn path(&self) -> &[String] {
        &self.routine.path
    }

    pub(super) fn is_plpgsql(&self) -> bool {
        self.routine.plpgsql
    }
}

/// What a call was found to mean.
pub(super) enum Meant<'a> {
    Routine(&'a Routine, Vec<Typed>),
    Host(usize, Vec<Typed>),
}

impl<'a> Checker<'a> {
    /// Tables are read without their policies.
    pub(super) fn as_owner(&self) -> bool {
        self.frames.iter().any(|frame| frame.routine.owner)
    }

    /// `$1`.
    pub(super) fn positional(&mut self, at: usize, line: u64) -> Typed {
        let given = self.frames.last().and_then(|frame| frame.arguments.get(at)).cloned();
        match given {
            Some(typed) => typed,
            None => self.refuse(line, format!("there is no parameter ${}", at + 1), "correct the number"),
        }
    }

    /// A parameter by its name, perhaps qualified by the function's.
    pub(super) fn parameter(&self, table: Option<&Qualifier>, name: &str) -> Option<Typed> {
        let frame = self.frames.last()?;
        match table {
            None => {}
            Some(Qualifier::Name(of)) if of.eq_ignore_ascii_case(&frame.routine.last) => {}
            Some(Qualifier::Full(of)) if *of == frame.routine.name => {}
            Some(_) => return None,
        }
        let own = |parameter: &super::catalog::Parameter| {
            parameter.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        let at = frame.routine.parameters.iter().position(own)?;
        frame.arguments.get(at).cloned()
    }

    /// A call as a value. `condition`: it stands where a boolean is asked for, with nothing in between.
    pub(super) fn call(&mut self, call: &RawCall, plain: bool, condition: bool, line: u64) -> Typed {
        if let Some(typed) = self.builtin(call, line) {
            return typed;
        }
        match self.meant(call, line) {
            None => (Expr::Null, Type::Null),
            Some(Meant::Host(at, arguments)) => self.hosted(at, arguments, line),
            Some(Meant::Routine(routine, arguments)) => match &routine.result {
                Answers::One(_) => self.inlined(routine, arguments, plain && condition, line),
                Answers::Many(_) | Answers::Table(_) => {
                    let Some(plain) = self.flat.as_ref().filter(|flat| flat.open).map(|flat| flat.plain)
                    else {
                        let help =
                            "write column IN (SELECT function(..)), or EXISTS (SELECT 1 FROM function(..))";
                        let construct = format!("set-returning function {}() in a condition", call.written());
                        return self.refuse(line, construct, help);
                    };
                    let mut outputs = self.unfolded(routine, arguments, plain, line);
                    match outputs.len() {
                        1 => outputs.pop().map_or((Expr::Null, Type::Null), |(_, typed)| typed),
                        _ => {
                            let help = "write SELECT column FROM function(..)";
                            self.refuse(line, format!("the row of {}() as a value", call.written()), help)
                        }
                    }
                }
                Answers::Nothing(kind) => {
                    let construct = format!("function {}() returns `{kind}`", call.written());
                    self.refuse(line, construct, "a policy calls what returns a value of a known type")
                }
            },
        }
    }

    /// `FROM function(..)`.
    pub(super) fn call_as_source(&mut self, call: &RawCall, plain: bool, line: u64) -> Vec<Output> {
        if let Some(typed) = self.builtin(call, line) {
            return vec![(Some(call.last.clone()), typed)];
        }
        match self.meant(call, line) {
            None => Vec::new(),
            Some(Meant::Host(at, arguments)) => {
                vec![(Some(call.last.clone()), self.hosted(at, arguments, line))]
            }
            Some(Meant::Routine(routine, arguments)) => match &routine.result {
                Answers::One(_) => {
                    vec![(Some(call.last.clone()), self.inlined(routine, arguments, false, line))]
                }
                _ => self.unfolded(routine, arguments, plain, line),
            },
        }
    }

    fn hosted(&mut self, at: usize, arguments: Vec<Typed>, line: u64) -> Typed {
        let Some(function) = self.host.get(at) else { return (Expr::Null, Type::Null) };
        let mut values = Vec::with_capacity(arguments.len());
        for (value, kind) in arguments {
            // One form for each type, whatever the column keeps.
            let plain = match kind {
                Type::Uuid(_) => Expr::Call(FunctionName::Uuid, vec![value]),
                Type::Time => Expr::Call(FunctionName::Time, vec![value]),
                Type::Json => Expr::Call(FunctionName::Jsonb, vec![value]),
                Type::Array(of) => {
                    Expr::Call(FunctionName::ArrayCast, vec![value, Expr::Text(of.word().to_owned())])
                }
                _ => value,
            };
            values.push(plain);
        }
        let call = Expr::Call(FunctionName::Host(at), values);
        match self.type_of(&function.result) {
            Some(kind) => (call, form_of(kind)),
            None => self.refuse(line, format!("the result of {}()", function.name), "declare its enum"),
        }
    }

    /// Before the body is read; `false` if it must not be.
    fn enter(&mut self, routine: &'a Routine, line: u64) -> bool {
        if !self.as_owner() && !grants::may_execute(&routine.execute, self.role) {
            self.denied.get_or_insert_with(|| format!("function {}", routine.name));
        }
        if let Err((at, construct, help)) = &routine.body {
            let construct = format!("function {}(): {construct}", routine.name);
            self.refuse(*at, construct, help);
            return false;
        }
        let names = self.frames.iter().map(|frame| frame.routine.name.as_str());
        let again = self.frames.iter().any(|frame| std::ptr::eq(frame.routine, routine));
        if again {
            let chain: Vec<&str> = names.chain([routine.name.as_str()]).collect();
            let construct = format!("function {}() calls itself: {}", routine.name, chain.join(" -> "));
            let help = "PostgreSQL would end it with 54001: write the condition that ends the recursion as data, for \
                        example a table of all ancestors";
            self.refuse(line, construct, help);
            return false;
        }
        if self.frames.len() >= DEEPEST || self.spent > MOST_EXPRESSIONS {
            let construct = format!("functions that unfold this far, at {}()", routine.name);
            self.refuse(line, construct, "let fewer functions call each other");
            return false;
        }
        true
    }

    /// Runs `read` inside the function.
    fn within<T>(
        &mut self,
        routine: &'a Routine,
        arguments: Vec<Typed>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let scopes = std::mem::take(&mut self.scopes);
        let flat = self.flat.take();
        self.frames.push(Frame { routine, arguments });
        let answer = read(self);
        self.frames.pop();
        self.flat = flat;
        self.scopes = scopes;
        answer
    }

    /// The value of a function: the first row of its query, NULL where there is none.
    fn inlined(&mut self, routine: &'a Routine, arguments: Vec<Typed>, plain: bool, line: u64) -> Typed {
        let Answers::One(result) = &routine.result else { return (Expr::Null, Type::Null) };
        let Some(kind) = self.type_of(result) else {
            return self.cast((Expr::Null, Type::Unknown), result, line);
        };
        if !self.enter(routine, line) {
            return (Expr::Null, kind);
        }
        let Ok(body) = &routine.body else { return (Expr::Null, kind) };
        let unknown: Vec<Expr> = arguments
            .iter()
            .filter(|_| routine.strict)
            .filter(|(value, _)| !is_constant(value))
            .map(|(value, _)| Expr::IsNull(Box::new(value.clone())))
            .collect();
        if routine.strict && arguments.iter().any(|(value, _)| *value == Expr::Null) {
            return (Expr::Null, kind);
        }
        let plain = plain && unknown.is_empty();
        let (value, from) = self.within(routine, arguments, |this| match plain_value(body) {
            Some(raw) if kind == Type::Bool => match is_null(raw) {
                true => (Expr::Null, Type::Null),
                false => (this.condition(raw, plain), Type::Bool),
            },
            Some(raw) => this.value(raw, false),
            None => this.first_row(body),
        });
        let value = match self.returned((value, from), kind, result, body.line) {
            Some(value) => value,
            None => {
                let construct =
                    format!("function {}() returns {}, not {}", routine.name, from.name(), kind.name());
                self.refuse(body.line, construct, "cast the result").0
            }
        };
        let kind = match (kind, from) {
            (Type::Uuid(_), Type::Uuid(_)) => from,
            (Type::Uuid(_), Type::StoredText) => Type::Uuid(Form::Stored),
            (Type::Text, Type::StoredText) => Type::StoredText,
            (kind, _) => form_of(kind),
        };
        if unknown.is_empty() {
            return (value, kind);
        }
        let arms = vec![(Expr::Or(unknown), Expr::Null)];
        (Expr::Case { arms, otherwise: Box::new(value) }, kind)
    }

    /// The result in the function's type: by assignment, as PostgreSQL has it.
    fn returned(&mut self, (value, from): Typed, kind: Type, cast: &Cast, line: u64) -> Option<Expr> {
        self.check_label(&value, from, kind, line);
        match (kind, from) {
            (Type::Uuid(_), Type::Uuid(_) | Type::StoredText) => Some(value),
            (Type::Text, _) => coerce::to_text(value, from),
            _ => match coerce::coerce(value.clone(), from, kind) {
                Some(value) => Some(value),
                None if matches!((kind, from), (Type::Integer, Type::Real)) => None,
                None => coerce::cast(value, from, cast, kind)
                    .filter(|_| from == Type::Date)
                    .map(|(value, _)| value),
            },
        }
    }

    fn first_row(&mut self, body: &super::raw::RawSelect) -> Typed {
        let mut branches = self.branches(body, false);
        let (Some(mut branch), true) = (branches.pop(), branches.is_empty()) else {
            let help = "return one SELECT without UNION or LEFT JOIN, or EXISTS";
            return self.refuse(body.line, "a UNION or LEFT JOIN whose first row is the value", help);
        };
        if branch.outputs.len() > 1 {
            return self.refuse(body.line, "a row as a value", "select exactly one column");
        }
        let (value, kind) = branch.output();
        let mut select = branch.select;
        if select.limit == Some(0) {
            return (Expr::Null, kind);
        }
        select.limit = Some(1);
        select.output = Some(value);
        (Expr::Scalar { select: Box::new(select), single: true }, kind)
    }

    /// The rows of a function, as part of the subquery they stand in.
    fn unfolded(
        &mut self,
        routine: &'a Routine,
        arguments: Vec<Typed>,
        plain: bool,
        line: u64,
    ) -> Vec<Output> {
        let columns: Vec<(Option<&str>, &Cast)> = match &routine.result {
            Answers::Many(kind) => vec![(Some(routine.last.as_str()), kind)],
            Answers::Table(columns) => {
                columns.iter().map(|(name, kind)| (Some(name.as_str()), kind)).collect()
            }
            Answers::One(_) | Answers::Nothing(_) => Vec::new(),
        };
        let Some(kinds) = columns.iter().map(|(_, cast)| self.type_of(cast)).collect::<Option<Vec<Type>>>()
        else {
            let construct = format!("function {}() returns an unknown type", routine.name);
            self.refuse(line, construct, "declare it above: CREATE TYPE .. AS ENUM");
            return Vec::new();
        };
        if !self.enter(routine, line) {
            return Vec::new();
        }
        let Ok(body) = &routine.body else { return Vec::new() };
        for (value, _) in arguments.iter().filter(|(value, _)| routine.strict && !is_constant(value)) {
            self.filter(Expr::Not(Box::new(Expr::IsNull(Box::new(value.clone())))));
        }
        let Branch { select, outputs, distinct } =
            self.within(routine, arguments, |this| this.branch(body, plain));
        if select.limit.is_some() {
            let help = "write the condition that leaves the wanted rows";
            self.refuse(body.line, "LIMIT in a set-returning function", help);
        }
        if outputs.len() != kinds.len() {
            let construct = format!("function {}() selects {} columns", routine.name, outputs.len());
            self.refuse(body.line, construct, "select what RETURNS says");
            return Vec::new();
        }
        self.absorb(select, distinct);
        let mut answers = Vec::new();
        for (((name, cast), kind), (_, (value, from))) in columns.into_iter().zip(kinds).zip(outputs) {
            let returned = self.returned((value, from), kind, cast, body.line);
            let Some(value) = returned else {
                let construct =
                    format!("function {}() returns {}, not {}", routine.name, from.name(), kind.name());
                self.refuse(body.line, construct, "cast the result");
                continue;
            };
            let kind = match (kind, from) {
                (Type::Uuid(_), Type::Uuid(_)) => from,
                (Type::Uuid(_), Type::StoredText) => Type::Uuid(Form::Stored),
                (Type::Text, Type::StoredText) => from,
                (kind, _) => form_of(kind),
            };
            answers.push((name.map(str::to_owned), (value, kind)));
        }
        answers
    }

    /// The type that a name stands for; `None` for an enum that the file does not declare.
    pub(super) fn type_of(&self, cast: &Cast) -> Option<Type> {
        builtins::type_of(cast, self.catalog)
    }
}

/// A uuid from outside a column is text.
fn form_of(kind: Type) -> Type {
    match kind {
        Type::Uuid(_) => Type::Uuid(Form::Text),
        other => other,
    }
}

fn is_null(raw: &Raw) -> bool {
    raw.kind == RawKind::Null
}

fn is_constant(value: &Expr) -> bool {
    matches!(value, Expr::Bool(_) | Expr::Integer(_) | Expr::Real(_) | Expr::Text(_) | Expr::Blob(_))
}
