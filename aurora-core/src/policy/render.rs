//! From the typed form to SQLite's text: every column qualified, every identifier quoted, every operator in
//! parentheses.

use super::expr::{Expr, ROW, Select, Source};
use super::functions::FunctionName;
use super::raw::{Aggregate, Comparison};

/// How the guard spells what a lowered policy speaks of. It is asked anew at every rendering.
pub trait Names {
    /// A column of the guarded row, quoted: `"notes"."title"` or `NEW."title"`.
    fn row(&self, column: &str) -> String;
    /// What stands in `FROM` for an inner table: a view that applies that table's `SELECT` policies for the
    /// same role. An alias follows it.
    fn table(&self, table: &str) -> String;
    /// The same for a table that is read as its owner does, without its policies: inside a SECURITY DEFINER
    /// function.
    fn owner_table(&self, table: &str) -> String;
    /// The name under which one of [`FUNCTIONS`](super::functions::FUNCTIONS) is registered.
    fn function(&self, name: &str) -> String;
}

/// Host tables may not carry it; see [`super::lower`].
pub(super) const ALIAS: &str = "aurora~";

/// So many conditions stand in one chain of AND or OR.
const CHAIN: usize = 64;

pub(super) fn render(expr: &Expr, names: &dyn Names) -> String {
    let mut printer = Printer { names, out: String::with_capacity(128) };
    printer.expr(expr);
    printer.out
}

struct Printer<'a> {
    names: &'a dyn Names,
    out: String,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn quoted(&mut self, name: &str) {
        let quoted = name.replace('"', "\"\"");
        self.out.push('"');
        self.out.push_str(&quoted);
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        let quoted = text.replace('\'', "''");
        self.out.push('\'');
        self.out.push_str(&quoted);
        self.out.push('\'');
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Null => self.push("NULL"),
            Expr::Bool(value) => self.push(if *value { "1" } else { "0" }),
            Expr::Integer(value) if *value < 0 => self.push(&format!("({value})")),
            Expr::Integer(value) => self.push(&value.to_string()),
            Expr::Real(digits) => self.push(&format!("({digits})")),
            Expr::Text(text) => self.text(text),
            Expr::Blob(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                self.push(&format!("x'{hex}'"));
            }
            Expr::Column { source, name } if *source == ROW => {
                let spelled = self.names.row(name);
                self.push(&spelled);
            }
            Expr::Column { source, name } => {
                self.quoted(&format!("{ALIAS}{source}"));
                self.push(".");
                self.quoted(name);
            }
            Expr::Compare { op, left, right, bytes } => {
                self.push("(");
                self.expr(left);
                self.push(operator(*op));
                self.expr(right);
                self.push(if *bytes { " COLLATE BINARY)" } else { ")" });
            }
            Expr::And(many) => self.joined(many, " AND ", "1"),
            Expr::Or(many) => self.joined(many, " OR ", "0"),
            Expr::Not(one) => self.around("(NOT ", one, ")"),
            Expr::IsNull(one) => self.around("(", one, " IS NULL)"),
            Expr::Is(one, true) => self.around("(", one, " IS 1)"),
            Expr::Is(one, false) => self.around("(", one, " IS 0)"),
            Expr::Digits(one) => self.around("CAST(", one, " AS TEXT)"),
            Expr::Concat(left, right) => {
                self.push("(");
                self.expr(left);
                self.around(" || ", right, ")");
            }
            Expr::Call(name, arguments) => self.call(*name, arguments),
            Expr::Coalesce(many) => {
                self.push("coalesce");
                self.list(many);
            }
            Expr::Case { arms, otherwise } => {
                self.push("(CASE");
                for (when, then) in arms {
                    self.around(" WHEN ", when, " THEN ");
                    self.expr(then);
                }
                self.around(" ELSE ", otherwise, " END)");
            }
            Expr::InList { .. } | Expr::InSelect { .. } | Expr::Exists(_) | Expr::Scalar { .. } => {
                self.set(expr);
            }
        }
    }

    fn set(&mut self, expr: &Expr) {
        match expr {
            Expr::InList { left, list, bytes } => {
                self.left_of_in(left, *bytes);
                self.list(list);
                self.push(")");
            }
            Expr::InSelect { left, select, bytes } => {
                self.left_of_in(left, *bytes);
                self.push("(");
                self.select(select, "");
                self.push("))");
            }
            Expr::Exists(select) => {
                self.push("EXISTS (");
                self.select(select, "");
                self.push(")");
            }
            Expr::Scalar { select, single: true } => {
                self.push("(");
                self.select(select, "");
                self.push(")");
            }
            // SQLite would take the first of several rows; PostgreSQL raises 21000.
            Expr::Scalar { select, single: false } => {
                let raise = self.names.function(&FunctionName::Raise.as_str());
                self.push("(SELECT CASE WHEN count(*) > 1 THEN ");
                self.push(&raise);
                self.push("('21000 more than one row returned by a subquery used as an expression')");
                self.push(" ELSE min(\"value\") END FROM (");
                self.select(select, " AS \"value\"");
                self.push(" LIMIT 2))");
            }
            _ => {}
        }
    }

    fn left_of_in(&mut self, left: &Expr, bytes: bool) {
        self.push("(");
        self.expr(left);
        self.push(if bytes { " COLLATE BINARY IN " } else { " IN " });
    }

    fn around(&mut self, before: &str, one: &Expr, after: &str) {
        self.push(before);
        self.expr(one);
        self.push(after);
    }

    fn joined(&mut self, many: &[Expr], by: &str, none: &str) {
        if many.is_empty() {
            return self.push(none);
        }
        // SQLite bounds the depth of an expression, and a chain of n is n deep: many become a tree of chains.
        if many.len() > CHAIN {
            let (left, right) = many.split_at(many.len() / 2);
            self.push("(");
            self.joined(left, by, none);
            self.push(by);
            self.joined(right, by, none);
            return self.push(")");
        }
        self.push("(");
        for (position, one) in many.iter().enumerate() {
            if position > 0 {
                self.push(by);
            }
            self.expr(one);
        }
        self.push(")");
    }

    fn list(&mut self, many: &[Expr]) {
        self.push("(");
        for (position, one) in many.iter().enumerate() {
            if position > 0 {
                self.push(", ");
            }
            self.expr(one);
        }
        self.push(")");
    }

    /// Identity and time become subqueries of their own: SQLite then asks once per statement, not per row.
    fn call(&mut self, name: FunctionName, arguments: &[Expr]) {
        let own = |expr: &Expr| matches!(expr, Expr::Call(name, _) if name.is_context());
        let made = || {
            let mut same = true;
            for argument in arguments {
                argument.walk(&mut |part| same &= !matches!(part, Expr::Column { .. }));
            }
            let mut context = false;
            for argument in arguments {
                argument.walk(&mut |part| context |= own(part));
            }
            same && context
        };
        let once = name.is_context() || made();
        let spelled = self.names.function(&name.as_str());
        self.push(if once { "(SELECT " } else { "" });
        self.push(&spelled);
        self.list(arguments);
        self.push(if once { ")" } else { "" });
    }

    fn select(&mut self, select: &Select, label: &str) {
        self.push("SELECT ");
        match &select.output {
            Some(output) => self.output(output, select.aggregate),
            None => self.push("1"),
        }
        self.push(label);
        for (position, Source { id, table, owner }) in select.sources.iter().enumerate() {
            self.push(if position == 0 { " FROM " } else { ", " });
            let spelled = if *owner { self.names.owner_table(table) } else { self.names.table(table) };
            self.push(&spelled);
            self.push(" AS ");
            self.quoted(&format!("{ALIAS}{id}"));
        }
        for (position, condition) in select.filter.iter().enumerate() {
            self.push(if position == 0 { " WHERE " } else { " AND " });
            self.expr(condition);
        }
        for (position, key) in select.order.iter().enumerate() {
            self.push(if position == 0 { " ORDER BY " } else { ", " });
            self.expr(&key.value);
            self.push(if key.descending { " DESC" } else { " ASC" });
            self.push(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        if let Some(limit) = select.limit {
            self.push(&format!(" LIMIT {limit}"));
        }
    }

    fn output(&mut self, output: &Expr, aggregate: Option<Aggregate>) {
        match aggregate {
            None => self.expr(output),
            Some(Aggregate::Count) => self.around("count(", output, ")"),
            Some(Aggregate::CountDistinct) => self.around("count(DISTINCT ", output, " COLLATE BINARY)"),
            Some(Aggregate::Sum) => self.around("sum(", output, ")"),
            Some(Aggregate::Min | Aggregate::Every) => self.around("min(", output, ")"),
            Some(Aggregate::Max | Aggregate::Some) => self.around("max(", output, ")"),
            Some(Aggregate::ArraySelect) => self.around("json_group_array(", output, ")"),
            // NULL of no rows.
            Some(Aggregate::Array) => {
                self.around("CASE WHEN count(*) > 0 THEN json_group_array(", output, ") END");
            }
        }
    }
}

fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
        Comparison::Distinct => " IS NOT ",
        Comparison::NotDistinct => " IS ",
    }
}
