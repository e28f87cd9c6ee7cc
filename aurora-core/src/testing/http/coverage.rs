//! Whether the suite forgot a route.

use std::collections::BTreeSet;

use super::told::Exchange;
use crate::http::{FileRoute, Http};

/// Routes that refuse everybody, and why. Each is asked for all the same.
const REFUSING: [(&str, &str); 4] = [
    ("GET /authorize", "there is no provider to sign in with"),
    ("GET /user/identities/authorize", "there is no provider to link"),
    ("DELETE /user/identities/{id}", "nobody has a second identity"),
    ("POST /sso", "there is no SAML"),
];

/// The route that a request went to, as `POST /verify`, if it is one of Aurora's.
pub(super) fn route(method: &str, path: &str, prefix: &str) -> Option<String> {
    if let Some(route) = Http::file_route(method, path) {
        return (route.method() == method).then(|| file_name(route));
    }
    let path = path.strip_prefix(prefix)?;
    let matches = |pattern: &str| {
        let (wanted, found): (Vec<&str>, Vec<&str>) =
            (pattern.split('/').collect(), path.split('/').collect());
        let segment =
            |(wanted, found): (&&str, &&str)| wanted == found || (*wanted == "{id}" && !found.is_empty());
        wanted.len() == found.len() && wanted.iter().zip(&found).all(segment)
    };
    let route = Http::ROUTES.iter().find(|route| route.method() == method && matches(route.path()))?;
    Some(format!("{method} {}", route.path()))
}

fn file_name(route: &FileRoute) -> String {
    format!("{} /storage/v1{}", route.method(), route.path())
}

/// What is wrong with how these exchanges cover Aurora's routes, a line each: every route was asked and did what it is
/// there for, but those that are written down to refuse everybody, and these did refuse everybody.
pub fn uncovered(seen: &[Exchange]) -> Vec<String> {
    let asked: BTreeSet<&str> = seen.iter().filter_map(|one| one.route.as_deref()).collect();
    // A link that is dead leads somewhere, too: the code says that it is.
    let worked = |one: &&Exchange| one.status < 400 && !one.headers.contains_key("x-sb-error-code");
    let working: BTreeSet<&str> = seen.iter().filter(worked).filter_map(|one| one.route.as_deref()).collect();
    let ours = Http::ROUTES.iter().map(|route| format!("{} {}", route.method(), route.path()));
    let routes: BTreeSet<String> = ours.chain(Http::FILE_ROUTES.iter().map(file_name)).collect();
    let mut lines = Vec::new();
    for route in &routes {
        let refuses = REFUSING.iter().any(|(name, _)| name == route);
        match (asked.contains(route.as_str()), working.contains(route.as_str())) {
            (false, _) => lines.push(format!("{route} was never asked")),
            (true, false) if !refuses => lines.push(format!("{route} refused everybody")),
            (true, true) if refuses => {
                lines.push(format!("{route} is said to refuse everybody and does not"))
            }
            _ => {}
        }
    }
    let unknown = REFUSING.iter().filter(|(name, _)| !routes.contains(*name));
    lines.extend(unknown.map(|(name, why)| format!("{name} ({why}) is no route")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_was_forgotten_is_told() {
        let lines = uncovered(&[]);
        assert_eq!(lines.len(), Http::ROUTES.len() + Http::FILE_ROUTES.len(), "{lines:#?}");
        for (method, path, wanted) in [
            ("POST", "/auth/v1/verify", Some("POST /verify")),
            ("DELETE", "/auth/v1/admin/users/a/factors/b", Some("DELETE /admin/users/{id}/factors/{id}")),
            ("POST", "/auth/v1/factors/recovery-codes/verify", Some("POST /factors/recovery-codes/verify")),
            ("DELETE", "/auth/v1/sessions/", None),
            ("GET", "/auth/v1/signup", None),
            ("GET", "/notes", None),
            ("PUT", "/storage/v1/object/b/a/c", Some("PUT /storage/v1/object/{bucket}/{name}")),
        ] {
            assert_eq!(route(method, path, "/auth/v1").as_deref(), wanted, "{method} {path}");
        }
    }
}
