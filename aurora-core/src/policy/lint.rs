//! Warnings: what a policy may say but probably does not mean.

use super::check::Checker;
use super::expr::{Expr, ROW};
use super::raw::{Raw, RawKind};

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
