//! Warnings: what a policy may say but probably does not mean.

use super::catalog::Policy;
use super::check::Checker;
use super::error::PolicyWarning;
use super::expr::{Expr, ROW};
use super::lower::{Lowerer, Used};
use super::optimise::optimise;
use super::raw::{Raw, RawKind};
use super::schema::{Command, Table};
use crate::types::Role;

impl Checker<'_> {
    /// `m.team_id = team_id` inside a subquery over a table that has `team_id` compares it with itself.
    pub(super) fn warn_of_capture(&mut self, left: &Raw, right: &Raw, one: &Expr, other: &Expr, line: u64) {
        let (Expr::Column { source, name }, Expr::Column { source: same, name: twin }) = (one, other) else {
            return;
        };
        if source != same || *source == ROW {
            return;
        }
        let captured = [left, right].into_iter().find_map(|raw| match &raw.kind {
            RawKind::Column { table: None, name } => {
                let outer = self.scopes.split_last().map_or(&[][..], |(_, outer)| outer);
                let hides = outer.iter().flatten().find(|outer| outer.has(name))?;
                Some((name.clone(), hides.alias.clone()))
            }
            _ => None,
        });
        let message = match captured {
            Some((name, outer)) => format!(
                "`{name}` means the inner table's column here, as in PostgreSQL; for the outer one write \
                 `{outer}.{name}`"
            ),
            None if name == twin => {
                format!("`{name}` is compared with itself; qualify the outer column with its table's name")
            }
            None => return,
        };
        self.warn(line, message);
    }

    /// A setting is whatever the last statement made it, where a policy cannot see who that was.
    pub(super) fn warn_of_setting(&mut self, line: u64) {
        self.warn(
            line,
            "current_setting() stands for the principal's tenant here; on other servers any statement can set it: \
             carry it as a claim and write auth.jwt() ->> 'tenant'",
        );
    }

    /// What users write themselves proves nothing about them.
    pub(super) fn warn_of_metadata(&mut self, line: u64) {
        self.warn(
            line,
            "users change their own user_metadata: whoever reads it here believes what the caller says; keep roles \
             in app_metadata",
        );
    }
}

impl<'a> Lowerer<'a> {
    /// What a policy comes to once it is reduced, where that is more than its author can have meant.
    pub(super) fn lint(&mut self, found: &'a Table, policy: &Policy) {
        for (clause, raw) in [("USING", &policy.using), ("WITH CHECK", &policy.check)] {
            let Some(raw) = raw else { continue };
            let mut open_to = |role| {
                let expr = self.condition(found, role, policy, raw, &mut Used::default());
                optimise(expr, true) == Expr::Bool(true)
            };
            let (signed_in, anybody) = (open_to(Role::Authenticated), open_to(Role::Anon));
            let place = format!("policy \"{}\" on {}", policy.name, found.name);
            let to_anon = policy.roles.is_empty() || policy.roles.contains(&Role::Anon);
            let writes = policy.command != Some(Command::Select);
            let message = if anybody && !signed_in && to_anon && !policy.restrictive {
                format!(
                    "{place}: {clause} is true for whoever is not signed in, for whom auth.uid() is NULL; add TO \
                     authenticated"
                )
            } else if signed_in && writes && !policy.restrictive {
                format!(
                    "{place}: {clause} is always true, so every row may be written; name who owns it, for example \
                     owner = auth.uid()"
                )
            } else {
                continue;
            };
            let file = self.ground.catalog.file.clone();
            self.warnings.push(PolicyWarning { file, line: policy.line, message });
        }
    }
}
