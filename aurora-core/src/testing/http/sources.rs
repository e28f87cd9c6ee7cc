//! The host's sources, held to what it declared.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::http::HostRoutes;
use crate::types::{Error, Result};

/// What a router's and a configuration's `.route(path, ..)` takes a method by, on axum and on actix.
const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
/// What takes methods that nobody names.
const UNNAMED: [&str; 5] = ["any", "on", "method", "connect", "merge"];
/// Other ways to add routes, which this does not follow: as methods, and by a path.
const UNREAD: [&str; 7] =
    ["nest", "nest_service", "route_service", "fallback", "fallback_service", "service", "default_service"];
const UNREAD_BY_PATH: [&str; 2] = ["scope", "resource"];

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
    let mut seen = Seen { routes, lines: Vec::new() };
    match source.parse::<TokenStream>() {
        Ok(tokens) => seen.walk(tokens),
        Err(error) => seen.tell(error.span().start().line, "this does not read as Rust".to_owned()),
    }
    seen.lines.sort();
    seen.lines.into_iter().map(|(line, what)| format!("{name}:{line}: {what}")).collect()
}

/// What was found, with its line.
struct Seen<'a> {
    routes: &'a HostRoutes,
    lines: Vec<(usize, String)>,
}

impl Seen<'_> {
    fn tell(&mut self, line: usize, what: String) {
        self.lines.push((line, what));
    }

    fn walk(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            if let TokenTree::Group(group) = tree {
                let is_attribute = at > 0 && is_punct(trees.get(at - 1), '#');
                if is_attribute { self.attribute(group) } else { self.walk(group.stream()) }
            }
            let (Some(name), Some(arguments)) = (called(&trees, at), trees.get(at + 1)) else { continue };
            let line = tree.span().start().line;
            let before = at.checked_sub(1).and_then(|before| trees.get(before));
            if is_punct(before, '.') && name == "route" {
                self.route(line, arguments);
            } else if is_punct(before, '.') && UNREAD.contains(&name.as_str()) {
                self.tell(line, format!("`.{name}(..)` is not read"));
            } else if is_punct(before, ':') && UNREAD_BY_PATH.contains(&name.as_str()) {
                self.tell(line, format!("`::{name}(..)` is not read"));
            }
        }
    }

    /// What stands behind a `.route`.
    fn route(&mut self, line: usize, arguments: &TokenTree) {
        let TokenTree::Group(arguments) = arguments else { return };
        let trees: Vec<TokenTree> = arguments.stream().into_iter().collect();
        let comma = trees.iter().position(|tree| is_punct(Some(tree), ',')).unwrap_or(trees.len());
        let (first, others) = trees.split_at(comma);
        let Some(path) = text(first) else {
            return self.tell(line, "a route whose path is not written out".to_owned());
        };
        let names: Vec<String> = (0..others.len()).filter_map(|at| called(others, at)).collect();
        let (methods, rest): (Vec<&String>, Vec<&String>) =
            names.iter().partition(|name| METHODS.contains(&name.as_str()));
        let is_unnamed = |name: &&String| UNNAMED.contains(&name.as_str()) || name.ends_with("_service");
        if methods.is_empty() || rest.iter().any(is_unnamed) {
            self.tell(line, format!("{path} with methods that are not named"));
        }
        for method in methods.into_iter().map(|name| name.to_ascii_uppercase()) {
            if !self.routes.iter().any(|route| route.method == method && route.path == path) {
                self.tell(line, format!("{method} {path} is not declared"));
            }
        }
    }

    /// `#[get("/path")]`, by whichever path the attribute is named.
    fn attribute(&mut self, group: &Group) {
        let trees: Vec<TokenTree> = group.stream().into_iter().collect();
        let found = (0..trees.len()).find_map(|at| Some((at, called(&trees, at)?)));
        let Some((at, name)) = found else { return };
        if name == "route" || METHODS.contains(&name.as_str()) {
            let path: String = trees.iter().take(at + 1).map(ToString::to_string).collect();
            self.tell(group.span_open().start().line, format!("`#[{path}(..)]` is not read"));
        }
    }
}

/// The name of the function or method that is called at this place.
fn called(trees: &[TokenTree], at: usize) -> Option<String> {
    match (trees.get(at)?, trees.get(at + 1)?) {
        (TokenTree::Ident(name), TokenTree::Group(arguments))
            if arguments.delimiter() == Delimiter::Parenthesis =>
        {
            Some(name.to_string())
        }
        _ => None,
    }
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// A text that stands there alone, as it is written.
fn text(trees: &[TokenTree]) -> Option<String> {
    let [TokenTree::Literal(literal)] = trees else { return None };
    let literal = literal.to_string();
    literal.strip_prefix('"')?.strip_suffix('"').map(str::to_owned)
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
            (
                r#"app.route("/notes", get(list).merge(writes()))"#,
                "a.rs:1: /notes with methods that are not named",
            ),
            (
                r#"app.route("/notes", get(list).delete_service(clear))"#,
                "a.rs:1: /notes with methods that are not named",
            ),
            (
                "let a = r##\"a \"# b\"##; /* /* */ \" */ app.route(\"/secret\", get(x))",
                "a.rs:1: GET /secret is not declared",
            ),
            ("#[actix_web::get(\"/x\")]\nasync fn x() {}", "a.rs:1: `#[actix_web::get(..)]` is not read"),
            ("app.route(\"/x\", get(x)", "a.rs:1: this does not read as Rust"),
        ] {
            let lines = in_text("a.rs", text, &routes);
            assert!(lines.iter().any(|line| line == told), "{text}: {lines:?}");
        }
    }
}
