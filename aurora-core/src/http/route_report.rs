use std::fmt;

use serde_json::{Value, json};

use super::files::FILE_PREFIX;
use super::routes::{Operation, ROUTES};
use super::{Access, HostRoutes, Http, Route};
use crate::config::Settings;
use crate::load::{Bucket, Limits};

/// Every route of a service with what stands before it: what `aurora routes` prints.
#[derive(Clone, Debug)]
pub struct RouteReport(Vec<Line>);

#[derive(Clone, Debug)]
struct Line {
    owner: &'static str,
    method: &'static str,
    path: String,
    access: Access,
    factor: String,
    limit: String,
    body: usize,
}

impl Route {
    /// Who gets past its door.
    pub fn access(&self) -> Access {
        if self.needs_service() {
            Access::Service
        } else if self.needs_user() {
            Access::User
        } else {
            Access::Public
        }
    }

    /// What it asks of a user's second factor, beside the session; `None` where it asks for none.
    fn factor(&self, settings: &Settings) -> Option<String> {
        match self.operation {
            // Of whoever has one: an address or a password, another factor, one that counts.
            Operation::UpdateUser
            | Operation::EnrollFactor
            | Operation::VerifyFactor
            | Operation::RemoveFactor => Some("aal2 if enrolled".to_owned()),
            Operation::RemoveRecoveryCodes => Some("aal2".to_owned()),
            Operation::GenerateRecoveryCodes | Operation::RegenerateRecoveryCodes => {
                Some(format!("aal2 within {} s", settings.tokens.recent_sign_in.as_secs()))
            }
            _ => None,
        }
    }

    /// What counts its requests. A refresh is counted apart, so that no flood of others signs anyone out.
    pub fn buckets(&self) -> &'static [Bucket] {
        match self.operation {
            Operation::SignUp => &[Bucket::Request, Bucket::SignUp, Bucket::Mail, Bucket::MailTo],
            Operation::Token => &[Bucket::Request, Bucket::SignIn, Bucket::Refresh],
            Operation::Recover | Operation::Otp | Operation::Resend | Operation::Reauthenticate => {
                &[Bucket::Request, Bucket::Mail, Bucket::MailTo]
            }
            Operation::Verify | Operation::OpenLink | Operation::Press => &[Bucket::Request, Bucket::SignIn],
            // A new password costs a hash, a new address a mail.
            Operation::UpdateUser => &[Bucket::Request, Bucket::SignIn, Bucket::Mail, Bucket::MailTo],
            Operation::EnrollFactor
            | Operation::ChallengeFactor
            | Operation::VerifyFactor
            | Operation::RemoveFactor
            | Operation::ReadRecoveryCodes
            | Operation::GenerateRecoveryCodes
            | Operation::RegenerateRecoveryCodes
            | Operation::RemoveRecoveryCodes
            | Operation::VerifyRecoveryCode => &[Bucket::Request, Bucket::Factor],
            _ => &[Bucket::Request],
        }
    }
}

impl RouteReport {
    /// Aurora's routes as these settings and limits have them, then the host's.
    pub fn new(settings: &Settings, limits: &Limits, host: &HostRoutes) -> Self {
        let none = || "-".to_owned();
        let ours = ROUTES.iter().map(|route| Line {
            owner: "aurora",
            method: route.method(),
            path: format!("{}{}", settings.prefix, route.path()),
            access: route.access(),
            factor: route.factor(settings).unwrap_or_else(none),
            limit: counted_together(route.buckets(), limits),
            body: settings.body_limit,
        });
        let theirs = host.iter().map(|route| Line {
            owner: "host",
            method: route.method,
            path: route.path.clone(),
            access: route.access,
            factor: route.factor.clone().unwrap_or_else(none),
            limit: route.limit.clone().unwrap_or_else(none),
            body: route.body,
        });
        Self(ours.chain(theirs).collect())
    }

    /// With the routes of files, behind Aurora's others; `largest` is the largest file.
    #[must_use]
    pub fn with_files(mut self, largest: u64, limits: &Limits) -> Self {
        let lines = Http::FILE_ROUTES.iter().map(|route| Line {
            owner: "aurora",
            method: route.method(),
            path: format!("{FILE_PREFIX}{}", route.path()),
            access: route.access(),
            factor: "-".to_owned(),
            limit: counted_together(route.buckets(), limits),
            body: usize::try_from(largest).unwrap_or(usize::MAX),
        });
        let behind = self.0.iter().position(|line| line.owner == "host").unwrap_or(self.0.len());
        self.0.splice(behind..behind, lines);
        self
    }

    /// An array of objects, for scripts.
    pub fn to_json(&self) -> String {
        let line = |line: &Line| {
            let said = |text: &str| if text == "-" { Value::Null } else { json!(text) };
            json!({
                "owner": line.owner,
                "method": line.method,
                "path": line.path,
                "access": line.access.as_str(),
                "factor": said(&line.factor),
                "limit": said(&line.limit),
                "body_limit": line.body,
            })
        };
        let lines: Vec<Value> = self.0.iter().map(line).collect();
        Value::Array(lines).to_string()
    }
}

fn counted_together(buckets: &[Bucket], limits: &Limits) -> String {
    buckets.iter().map(|bucket| counted(*bucket, limits)).collect::<Vec<_>>().join(", ")
}

/// `sign_in 30/300s`.
fn counted(bucket: Bucket, limits: &Limits) -> String {
    let (name, quota) = match bucket {
        Bucket::Request => ("request", limits.request),
        Bucket::SignUp => ("sign_up", limits.sign_up),
        Bucket::SignIn => ("sign_in", limits.sign_in),
        Bucket::Refresh => ("refresh", limits.refresh),
        Bucket::Mail => ("mail", limits.mail),
        Bucket::MailTo => ("mail_to", limits.mail_to),
        Bucket::Factor => ("factor", limits.factor),
        Bucket::File => ("file", limits.file),
        Bucket::FileChange => ("file_change", limits.file_change),
        Bucket::FileRefused => ("file_refused", limits.file_refused),
    };
    format!("{name} {quota}")
}

/// A table, its columns as wide as they have to be.
impl fmt::Display for RouteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["owner", "method", "path", "access", "factor", "body limit", "limit"].map(str::to_owned);
        let rows = self.0.iter().map(|line| {
            [
                line.owner.to_owned(),
                line.method.to_owned(),
                line.path.clone(),
                line.access.as_str().to_owned(),
                line.factor.clone(),
                line.body.to_string(),
                line.limit.clone(),
            ]
        });
        let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
        let mut widths = [0; 7];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
