use std::fmt;
use std::sync::Arc;

/// One thing in a policy file that Aurora does not accept: where it stands, what it is, what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    file: Arc<str>,
    line: u64,
    construct: String,
    help: String,
}

impl PolicyError {
    pub(super) fn new(
        file: &Arc<str>,
        line: u64,
        construct: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { file: Arc::clone(file), line, construct: construct.into(), help: help.into() }
    }

    /// The file's name as it was given to [`Policies::parse`](super::Policies::parse).
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What was found.
    pub fn construct(&self) -> &str {
        &self.construct
    }

    /// What to write instead.
    pub fn help(&self) -> &str {
        &self.help
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.construct)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

/// Every error of a policy file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors {
    errors: Vec<PolicyError>,
}

impl PolicyErrors {
    /// `Ok(value)` when there is nothing to report.
    pub(super) fn unless_empty<T>(mut errors: Vec<PolicyError>, value: T) -> Result<T, Self> {
        if errors.is_empty() {
            return Ok(value);
        }
        errors.sort_by_key(PolicyError::line);
        errors.dedup();
        Err(Self { errors })
    }

    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.errors.iter()
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// Something a policy file may say but probably does not mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWarning {
    pub(super) file: Arc<str>,
    pub(super) line: u64,
    pub(super) message: String,
}

impl PolicyWarning {
    /// The line, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is suspicious, and why.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}
