/// `text` cut to `longest` characters, with everything that could end a line, move a cursor or turn the reading
/// direction replaced by `?`.
///
/// For what a client says about itself (a user agent): kept and shown, never trusted (CWE-117, CVE-2021-42574).
pub fn printable(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if breaks_a_line(c) { '?' } else { c }).collect()
}

fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack U04, asvs(V16.4.1)
    #[test]
    fn nothing_left_breaks_a_line() {
        assert_eq!(printable("Fire\r\nfox\u{1b}[31m\u{2028}\u{202e}", 64), "Fire??fox?[31m??");
        assert_eq!(printable("äöü", 2), "äö");
    }
}
