use std::fmt;
use std::str::FromStr;

use super::{Code, Error};

/// Names that mean something else already: the roles that PostgreSQL and Supabase act in.
const TAKEN: [&str; 9] = [
    "anon",
    "authenticated",
    "authenticator",
    "dashboard_user",
    "none",
    "postgres",
    "public",
    "service_role",
    "supabase_admin",
];

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $is:path;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The longest, in bytes.
            pub const LONGEST: usize = $longest;

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if text.len() <= Self::LONGEST && $is(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(Error::new(Code::ValidationFailed, $what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// The name of a role that users hold: `editor`. Lower-case letters, digits and `_`, a letter first, at most 32
    /// bytes, and none that a database has a role of its own for. There is one spelling of each, so that none
    /// resembles another.
    RoleName, "a role is named by lower-case letters, digits and _, a letter first, at most 32, such as editor", 32,
        is_role;
    /// What a role lets its holders do: `notes.delete`. Words of lower-case letters, digits and `_`, a letter first,
    /// joined by `.`, at most 64 bytes. No pattern: `notes.*` is none.
    Permission, "a permission is named by lower-case words joined by dots, at most 64, such as notes.delete", 64,
        is_permission;
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_role(text: &str) -> bool {
    is_word(text)
        && !TAKEN.contains(&text)
        && !["aurora_", "pg_"].iter().any(|prefix| text.starts_with(prefix))
}

fn is_permission(text: &str) -> bool {
    text.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack A07: there is one spelling of each name.
    #[test]
    fn names_have_one_spelling() {
        for name in ["admin", "editor", "team_7", "a"] {
            assert_eq!(name.parse::<RoleName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "Admin",
            "admin ",
            " admin",
            "adm\u{456}n",
            "*",
            "a.b",
            "7a",
            "_a",
            "a-b",
            "service_role",
            "anon",
            "authenticated",
            "public",
            "aurora_store",
            "pg_read_all_data",
            "a\0",
            "a'b",
            "a\nb",
            "abcdefghijabcdefghijabcdefghijabc",
        ] {
            assert_eq!(name.parse::<RoleName>().unwrap_err().code(), Code::ValidationFailed, "{name:?}");
        }
        for name in ["notes.delete", "roles.grant", "a", "a.b.c_7"] {
            assert_eq!(name.parse::<Permission>().unwrap().as_str(), name);
        }
        for name in
            ["", "*", "notes.*", "notes.", ".notes", "a..b", "Notes.delete", "notes delete", "notes,delete"]
        {
            assert!(name.parse::<Permission>().is_err(), "{name:?}");
        }
        assert!(
            "a".repeat(64).parse::<Permission>().is_ok() && "a".repeat(65).parse::<Permission>().is_err()
        );
    }
}
