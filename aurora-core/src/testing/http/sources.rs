//! The host's sources, held to what it declared.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::http::HostRoutes;
use crate::types::{Error, Result};

/// What a router's and a configuration's `.route(path, ..)` takes a method by, on axum and on actix.
const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
/// What takes methods that nobody names.
const UNNAMED: [&str; 5] = ["any", "on", "method", "connect", "merge"];
/// Other ways to add routes, which this does not follow.
const UNREAD: [&str; 9] = [
    ".nest(",
    ".nest_service(",
    ".route_service(",
    ".fallback(",
    ".fallback_service(",
    ".service(",
    ".default_service(",
    "::scope(",
    "::resource(",
];

/// What of a host's sources `routes` does not declare, a line each: every `.route("/path", get(..))` in the `.rs`
/// files of a folder and those below, in axum's words and actix's. Empty, if each is declared.
///
/// Neither framework lists what it serves, so this reads text. What it cannot read it says as well, rather than pass it
/// over: a path that is not written out, a method that is not named, `nest`, `scope`, `fallback`, routes by attribute.
/// `merge` and `configure` add what stands in the same folder. A host's test asks it for its own sources, and goes on
/// to [`refuses_strangers`](super::refuses_strangers): a route that is added without its declaration or without its
/// lock fails there.
///
/// ```
/// # fn check() -> aurora_core::types::Result<()> {
/// use aurora_core::http::HostRoutes;
/// let routes = HostRoutes::new().private("GET", "/notes");
/// let lines = aurora_core::testing::http::undeclared(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref(), &routes)?;
/// assert!(lines.is_empty(), "{lines:#?}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A folder or file that cannot be read.
pub fn undeclared(sources: &Path, routes: &HostRoutes) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in files(sources)? {
        let text = std::fs::read_to_string(&file).map_err(Error::internal)?;
        let name = file.strip_prefix(sources).unwrap_or(&file).display().to_string();
        lines.extend(in_text(&name, &text, routes));
    }
    Ok(lines)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::internal)? {
        let path = entry.map_err(Error::internal)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn in_text(name: &str, source: &str, routes: &HostRoutes) -> Vec<String> {
    let (code, literals) = without_literals(source);
    let line = |at: usize| 1 + code.get(..at).unwrap_or_default().matches('\n').count();
    let mut found = Vec::new();
    for (at, call) in code.match_indices(".route(") {
        let (path, handlers) = arguments(code.get(at + call.len()..).unwrap_or_default());
        let literal = path.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let path = literal.and_then(|number| literals.get(number.parse::<usize>().ok()?));
        let Some(path) = path else {
            found.push((line(at), "a route whose path is not written out".to_owned()));
            continue;
        };
        let names = calls(&handlers);
        let methods: Vec<String> = names
            .iter()
            .filter(|name| METHODS.contains(&name.as_str()))
            .map(|name| name.to_ascii_uppercase())
            .collect();
        if methods.is_empty()
            || names.iter().any(|name| UNNAMED.contains(&name.as_str()) || name.ends_with("_service"))
        {
            found.push((line(at), format!("{path} with methods that are not named")));
        }
        for method in methods {
            if !routes.iter().any(|route| route.method == method && route.path == *path) {
                found.push((line(at), format!("{method} {path} is not declared")));
            }
        }
    }
    for unread in UNREAD {
        let places = code.match_indices(unread);
        found.extend(places.map(|(at, call)| (line(at), format!("`{call}..)` is not read"))));
    }
    static BY_ATTRIBUTE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"#\[(?:\w+::)*(?:get|post|put|patch|delete|head|options|route)\(").ok());
    if let Some(pattern) = &*BY_ATTRIBUTE {
        let places = pattern.find_iter(&code);
        found.extend(
            places.map(|place| (line(place.start()), format!("`{}..)]` is not read", place.as_str()))),
        );
    }
    found.sort();
    found.into_iter().map(|(line, what)| format!("{name}:{line}: {what}")).collect()
}

/// The code without its comments, and a number in the place of each text, which is its place in the second.
fn without_literals(source: &str) -> (String, Vec<String>) {
    const TOKENS: &str =
        r##"(?s)//[^\n]*|/\*.*?\*/|b?r#".*?"#|b?r"[^"]*"|b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\'|\\[^']+)'"##;
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TOKENS).ok());
    let mut literals = Vec::new();
    let Some(pattern) = &*PATTERN else { return (source.to_owned(), literals) };
    let code = pattern.replace_all(source, |token: &Captures<'_>| {
        let token = token.get(0).map_or("", |token| token.as_str());
        let lines = "\n".repeat(token.matches('\n').count());
        if let Some(text) = token.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            literals.push(text.to_owned());
            return format!("\"{}\"{lines}", literals.len() - 1);
        }
        if token.starts_with('/') { lines } else { format!("_{lines}") }
    });
    (code.into_owned(), literals)
}

/// The first argument of a call, and the others, each without what stands in parentheses.
fn arguments(rest: &str) -> (String, String) {
    let (mut depth, mut first, mut others, mut is_first) = (0_usize, String::new(), String::new(), true);
    for character in rest.chars() {
        let closes = matches!(character, ')' | ']' | '}');
        if closes && depth == 0 {
            break;
        }
        if closes {
            depth -= 1;
        }
        if is_first && depth == 0 && character == ',' {
            is_first = false;
        } else if is_first {
            first.push(character);
        } else if depth == 0 {
            others.push(character);
        }
        if matches!(character, '(' | '[' | '{') {
            depth += 1;
        }
    }
    (first, others)
}

/// The functions and methods that are called.
fn calls(code: &str) -> Vec<String> {
    let parts = code.split('(').collect::<Vec<_>>();
    let called = parts.split_last().map_or(&[][..], |(_, called)| called);
    let name = |part: &&str| {
        let part = part.trim_end();
        let start = part.rfind(|character: char| !(character.is_alphanumeric() || character == '_'));
        part.get(start.map_or(0, |start| start + 1)..).unwrap_or_default().to_owned()
    };
    called.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_in_either_frameworks_words_is_found() {
        let routes =
            HostRoutes::new().private("GET", "/notes").private("POST", "/notes").public("GET", "/open");
        let on_axum = r##"
            // .route("/comment", get(no))
            let quote = '"';
            let app = Router::new()
                .route("/notes", get(notes::list).post(|| async { "(" }).layer(limit(1)))
                .route("/open", axum::routing::get(open)).merge(page::routes());
            fn f<'a>(text: &'a str) {}"##;
        assert_eq!(in_text("main.rs", on_axum, &routes), Vec::<String>::new());
        let on_actix = r#"app.route("/notes", web::get().to(list)).route("/notes", web::post().to(create));"#;
        assert_eq!(in_text("main.rs", on_actix, &routes), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_declared_or_not_read_is_told() {
        let routes = HostRoutes::new().private("GET", "/notes");
        for (text, told) in [
            (r#"app.route("/notes", get(list).delete(clear))"#, "a.rs:1: DELETE /notes is not declared"),
            ("app\n.route(\"/new\", web::get().to(new))", "a.rs:2: GET /new is not declared"),
            ("let router =\n router.route(path, get(file))", "a.rs:2: a route whose path is not written out"),
            (r#"app.route("/notes", any(list))"#, "a.rs:1: /notes with methods that are not named"),
            (
                r#"app.route("/notes", get(list).on(filter, x))"#,
                "a.rs:1: /notes with methods that are not named",
            ),
            (r#"app.route("/notes", file())"#, "a.rs:1: /notes with methods that are not named"),
            (r#"app.nest("/api", inner)"#, "a.rs:1: `.nest(..)` is not read"),
            (r#"app.service(web::scope("/api"))"#, "a.rs:1: `.service(..)` is not read"),
            ("#[get(\"/x\")]\nasync fn x() {}", "a.rs:1: `#[get(..)]` is not read"),
            ("/* \n */ app.fallback(all)", "a.rs:2: `.fallback(..)` is not read"),
        ] {
            let lines = in_text("a.rs", text, &routes);
            assert!(lines.iter().any(|line| line == told), "{text}: {lines:?}");
        }
    }
}
