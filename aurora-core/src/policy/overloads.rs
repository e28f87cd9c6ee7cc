//! Which function a call means: by name, search path and arguments.

use super::catalog::Routine;
use super::check::Checker;
use super::coerce::{self, Typed};
use super::expr::{Expr, Form, Type};
use super::inline::{DEEPEST, Meant};
use super::raw::{Cast, RawCall};

impl<'a> Checker<'a> {
    /// The function that PostgreSQL would find, and its arguments in the parameters' types.
    pub(super) fn meant(&mut self, call: &RawCall, line: u64) -> Option<Meant<'a>> {
        let (catalog, host) = (self.catalog, self.host);
        let given: Vec<(Option<&str>, Typed)> = call
            .arguments
            .iter()
            .map(|(name, argument)| (name.as_deref(), self.value(argument, false)))
            .collect();
        let names = self.names_of(call);
        for name in &names {
            let positional = given.iter().all(|(name, _)| name.is_none());
            for (at, function) in host.iter().enumerate().filter(|(_, other)| other.name == *name) {
                if !positional || function.parameters.len() != given.len() {
                    continue;
                }
                let values: Vec<Typed> = given.iter().map(|(_, typed)| typed.clone()).collect();
                if let Some(arguments) = self.fitting(&function.parameters, &values) {
                    return Some(Meant::Host(at, arguments));
                }
            }
            let mut fits: Vec<(usize, &'a Routine, Vec<Typed>)> = Vec::new();
            for routine in catalog.routines.iter().filter(|routine| routine.name == *name) {
                if let Some((score, arguments)) = self.fits(routine, &given) {
                    fits.push((score, routine, arguments));
                }
            }
            fits.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
            let best = fits.first().map(|(score, ..)| *score);
            if fits.iter().filter(|(score, ..)| Some(*score) == best).count() > 1 {
                let construct = format!("function {}() is not unique", call.written());
                self.refuse(line, construct, "cast the arguments to the types of the one that is meant");
                return None;
            }
            if let Some((_, routine, arguments)) = fits.into_iter().next() {
                return Some(Meant::Routine(routine, arguments));
            }
        }
        self.unknown(call, &names, &given, line);
        None
    }

    fn unknown(&mut self, call: &RawCall, names: &[String], given: &[(Option<&str>, Typed)], line: u64) {
        let types: Vec<&str> = given.iter().map(|(_, (_, kind))| kind.name()).collect();
        let written = format!("{}({})", call.written(), types.join(", "));
        let catalog = self.catalog;
        let known: Vec<&'a Routine> =
            catalog.routines.iter().filter(|routine| names.contains(&routine.name)).collect();
        // A type or a label that is missing says more than a function that is.
        for routine in &known {
            for (position, parameter) in routine.parameters.iter().enumerate() {
                let Some(kind) = self.type_of(&parameter.kind) else {
                    let typed = (Expr::Null, Type::Unknown);
                    self.cast(typed, &parameter.kind, line);
                    return;
                };
                if let [_] = known.as_slice()
                    && let Some((None, (value, from))) = given.get(position)
                    && let (Type::Enum(at), Expr::Text(label), Type::Unknown) = (kind, value, *from)
                    && catalog.enums.get(at).is_some_and(|known| !known.labels.contains(label))
                {
                    self.check_label(value, *from, kind, line);
                    return;
                }
            }
        }
        if !known.is_empty() {
            let help = "correct the arguments: the file holds it with others (a literal must fit the type, a label \
                        its enum)";
            self.refuse(line, format!("function {written} does not exist"), help);
            return;
        }
        let help = format!(
            "add CREATE FUNCTION {0} with a body of one SELECT or one RETURN to the policy file, or register it in Rust: \
             Policies::with_function(\"{0}\", ..)",
            call.written()
        );
        self.refuse(line, format!("function {written} is unknown"), &help);
    }

    /// The names it may go by: without a schema, those along the search path.
    fn names_of(&self, call: &RawCall) -> Vec<String> {
        let mut names = Vec::new();
        if call.schema.is_none() {
            for part in self.frames.last().map_or(&[][..], |frame| frame.path()) {
                if part != "public" {
                    names.push(format!("{part}_{}", call.name));
                }
            }
        }
        names.push(call.name.clone());
        names
    }

    fn fitting(&self, parameters: &[Cast], values: &[Typed]) -> Option<Vec<Typed>> {
        parameters
            .iter()
            .zip(values)
            .map(|(parameter, typed)| self.passed(self.type_of(parameter)?, typed.clone()))
            .collect()
    }

    /// How many arguments fit exactly, and all in the parameters' types.
    fn fits(&mut self, routine: &'a Routine, given: &[(Option<&str>, Typed)]) -> Option<(usize, Vec<Typed>)> {
        if given.len() > routine.parameters.len() {
            return None;
        }
        let mut slots: Vec<Option<Typed>> = vec![None; routine.parameters.len()];
        for (position, (name, typed)) in given.iter().enumerate() {
            let at = match name {
                None => position,
                Some(name) => routine.parameters.iter().position(|parameter| {
                    parameter.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
                })?,
            };
            let slot = slots.get_mut(at)?;
            if slot.is_some() {
                return None;
            }
            *slot = Some(typed.clone());
        }
        // Exact types count most; a function that needs no default goes before one that does.
        let (mut score, mut arguments) = (given.len(), Vec::new());
        score += 100 - routine.parameters.len().min(100);
        for (slot, parameter) in slots.into_iter().zip(&routine.parameters) {
            let kind = self.type_of(&parameter.kind)?;
            let typed = match slot {
                Some(typed) => {
                    score += DEEPEST * usize::from(alike(typed.1, kind));
                    typed
                }
                None => {
                    // A default sees nothing of the caller's.
                    let scopes = std::mem::take(&mut self.scopes);
                    let typed = self.value(parameter.default.as_ref()?, false);
                    self.scopes = scopes;
                    typed
                }
            };
            arguments.push(self.passed(kind, typed)?);
        }
        Some((score, arguments))
    }

    /// An argument in its parameter's type, where PostgreSQL converts by itself.
    fn passed(&self, kind: Type, (value, from): Typed) -> Option<Typed> {
        if value == Expr::Null {
            return Some((Expr::Null, kind));
        }
        if let (Type::Enum(at), Expr::Text(label), Type::Unknown) = (kind, &value, from) {
            let known = self.catalog.enums.get(at)?;
            return known.labels.contains(label).then_some((value, kind));
        }
        match (kind, from) {
            // What a column keeps is known no better for having been passed on.
            (Type::Text, Type::StoredText) | (Type::Integer, Type::StoredInteger) => Some((value, from)),
            (Type::Micros, Type::Time) => Some((value, from)),
            (Type::Uuid(Form::Any), Type::StoredText) => Some((value, Type::Uuid(Form::Stored))),
            (Type::Uuid(Form::Any), Type::Uuid(_)) => Some((value, from)),
            (Type::Text, Type::Uuid(_) | Type::Json | Type::Integer | Type::Bool | Type::Enum(_)) => None,
            _ => Some((coerce::coerce(value, from, kind)?, kind)),
        }
    }
}

/// The same type but for how a column keeps it.
fn alike(from: Type, to: Type) -> bool {
    match (from, to) {
        (Type::Uuid(_), Type::Uuid(_))
        | (Type::StoredText, Type::Text)
        | (Type::StoredInteger, Type::Integer)
        | (Type::Time, Type::Micros)
        // PostgreSQL prefers text for what has no type yet.
        | (Type::Unknown, Type::Text) => true,
        (from, to) => from == to,
    }
}
