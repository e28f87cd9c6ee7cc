//! What `aurora routes` asks of a builder: no database is opened for it.

use super::Builder;
use crate::config::{Profile, Settings};
use crate::http::RouteReport;

impl Builder {
    /// Every route with what stands before it, Aurora's and those that the host declared.
    pub(crate) fn route_report(self) -> RouteReport {
        let mut settings = match self.profile {
            Profile::Production => Settings::production(""),
            Profile::Development => Settings::development(),
        };
        for change in self.changes {
            change(&mut settings);
        }
        let report = RouteReport::new(&settings, &self.limits, &self.taking_part.routes);
        if !self.files.is_on() {
            return report;
        }
        report.with_files(self.files.options.largest, &self.limits)
    }
}
