//! What `policy check` says.

use std::fmt::{self, Write as _};

use crate::policy::{Lowered, Policies, PolicyErrors, Schema};

/// The findings of one policy file against one schema.
#[derive(Debug)]
pub(super) struct Report {
    text: String,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// Checks what was read of `file` against `schema`.
    pub(super) fn of(file: &str, read: Result<Policies, PolicyErrors>, schema: &Schema) -> Self {
        match read.and_then(|policies| Ok((policies.lower(schema)?, policies))) {
            Ok((lowered, policies)) => Self::fits(file, &lowered, &policies),
            Err(errors) => Self::refused(file, &errors),
        }
    }

    /// Nothing but warnings was found.
    pub(super) fn is_clean(&self, deny_warnings: bool) -> bool {
        self.errors == 0 && (self.warnings == 0 || !deny_warnings)
    }

    fn refused(file: &str, errors: &PolicyErrors) -> Self {
        let mut text = String::new();
        let mut count = 0;
        for error in errors.iter() {
            finding(&mut text, (file, error.line()), "error", error.construct(), error.help());
            count += 1;
        }
        let _ = writeln!(text, "{file}: {}; nothing was changed", plural(count, "error"));
        Self { text, errors: count, warnings: 0 }
    }

    fn fits(file: &str, lowered: &Lowered, policies: &Policies) -> Self {
        let mut text = String::new();
        for warning in lowered.warnings() {
            finding(&mut text, (file, warning.line()), "warning", warning.message(), "");
        }
        let indexes = lowered.wanted_indexes();
        if !indexes.is_empty() {
            let _ =
                writeln!(text, "{file}: the policies would use indexes that are missing; for a migration:");
            for index in indexes {
                let _ = writeln!(text, "    {}", index.create());
            }
        }
        let warnings = lowered.warnings().len();
        let tables = policies.tables().count();
        let _ = writeln!(
            text,
            "{file}: {} under row level security, no error, {}, {}",
            plural(tables, "table"),
            plural(warnings, "warning"),
            if indexes.len() == 1 {
                "1 missing index".to_owned()
            } else {
                format!("{} missing indexes", indexes.len())
            },
        );
        Self { text, errors: 0, warnings }
    }
}

/// `file:line: kind: what` and, on a line of its own, the way out.
fn finding(to: &mut String, at: (&str, u64), kind: &str, what: &str, fix: &str) {
    let _ = writeln!(to, "{}:{}: {kind}: {what}", at.0, at.1);
    if !fix.is_empty() {
        let _ = writeln!(to, "    fix: {fix}");
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
