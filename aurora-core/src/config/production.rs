use std::fmt;
use std::time::Duration;

use super::{Autoconfirm, Disk, Profile, Settings};

/// Something that production refuses to start with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weakness {
    what: String,
    fix: &'static str,
}

impl Weakness {
    /// A weakness with its one-line fix. Other rooms name theirs this way, too.
    pub fn new(what: impl Into<String>, fix: &'static str) -> Self {
        Self { what: what.into(), fix }
    }

    /// What is weak.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        self.fix
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl Settings {
    /// What production refuses about these settings; what no profile can work with is named in both.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = self.contradictions();
        if self.profile == Profile::Development {
            return found;
        }
        if self.site_url.is_empty() {
            found.push(Weakness::new(
                "the site's address is not set",
                "set `site_url` to its public https:// address",
            ));
        } else if !self.site_url.starts_with("https://") {
            let what = format!("the site's address `{}` is not https", self.site_url);
            found.push(Weakness::new(what, "set `site_url` to the public https:// address"));
        }
        if let Some(url) = self.api_url.as_ref().filter(|url| !url.starts_with("https://")) {
            let what = format!("the API's address `{url}` is not https");
            found.push(Weakness::new(what, "set `api_url` to its public https:// address, or leave it out"));
        }
        if self.sign_ups.autoconfirm == Autoconfirm::On {
            found.push(Weakness::new(
                "autoconfirm believes every address",
                "set `sign_ups.autoconfirm` to Autoconfirm::Off",
            ));
        }
        if self.passwords.memory_kib < 8_192
            || self.passwords.memory_kib.saturating_mul(self.passwords.passes) < 35_840
        {
            found.push(Weakness::new(
                "Argon2id is set below OWASP's floor",
                "use memory_kib 19456 with passes 2, or 8192 with passes 5",
            ));
        }
        if !self.mails.test_codes.is_empty() {
            found.push(Weakness::new(
                "codes that are always the same sign in",
                "leave `mails.test_codes` empty: they are for tests of a front end",
            ));
        }
        if self.disk == Disk::Unsaid {
            found.push(Weakness::new(
                "it is not said whether the disk is encrypted, which keeps what Aurora does not seal",
                "set `disk` to Disk::Encrypted, or to Disk::InsecurePlain if it is not",
            ));
        }
        for key in &self.api_keys.service {
            if let Some(why) = weak_secret(key.expose()) {
                found.push(Weakness::new(
                    format!("a service key {why}"),
                    "make one with `openssl rand -base64 32`",
                ));
            }
        }
        found
    }

    fn contradictions(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        if !(6..=10).contains(&self.mails.code_digits) {
            let what = format!("codes of {} digits", self.mails.code_digits);
            found.push(Weakness::new(what, "set `mails.code_digits` to 6 to 10"));
        }
        if self.mails.lifetime.is_zero() || self.mails.lifetime > Duration::from_secs(86_400) {
            found.push(Weakness::new(
                "links in mails are good for nothing, or for more than a day",
                "set `mails.lifetime` to at most 24 hours",
            ));
        }
        for entry in &self.redirects {
            // A star for a whole host leads anywhere.
            let host = entry.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
            if host.is_none_or(|host| host.contains("**") || host.starts_with('*') && !host.contains('.')) {
                let what = format!("`redirects` has `{entry}`");
                let fix = "write scheme and host: https://app.example.com/**, https://*.example.com/**";
                found.push(Weakness::new(what, fix));
            }
        }
        let absolute = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if self.api_url.as_ref().is_some_and(|url| !absolute(url)) {
            found.push(Weakness::new(
                "`api_url` is not an http or https address",
                "write it as `https://api.example.com`",
            ));
        }
        if tokens_rotate_too_often(self.tokens.rotate_every) {
            found.push(Weakness::new(
                "`tokens.rotate_every` is less than a day",
                "set it to 90 days, or to None: a key is published for a quarter of an hour before it signs",
            ));
        }
        if !self.prefix.starts_with('/') || self.prefix.ends_with('/') {
            found.push(Weakness::new(
                "`prefix` is not a path like /auth/v1",
                "start it with a slash and end it without one",
            ));
        }
        if self.passwords.shortest < 6 || self.passwords.shortest > 128 {
            found.push(Weakness::new("`passwords.shortest` lies outside 6 to 128", "set it to 8 or more"));
        }
        if self.passwords.weakest_score > 4 {
            found.push(Weakness::new("`passwords.weakest_score` lies outside 0 to 4", "set it to 2"));
        }
        let tokens = &self.tokens;
        if tokens.access_lifetime < Duration::from_secs(10)
            || tokens.access_lifetime > Duration::from_secs(24 * 3600)
        {
            found.push(Weakness::new(
                "access tokens live for less than 10 seconds or more than a day",
                "set `tokens.access_lifetime` to 15 minutes",
            ));
        }
        if tokens.idle_lifetime <= tokens.access_lifetime || tokens.absolute_lifetime < tokens.idle_lifetime {
            found.push(Weakness::new(
                "session lifetimes contradict each other",
                "keep access < idle <= absolute",
            ));
        }
        if tokens.reuse_grace > Duration::from_secs(60) {
            found.push(Weakness::new("`tokens.reuse_grace` is longer than a minute", "set it to 10 seconds"));
        }
        let shared = self
            .api_keys
            .anon
            .iter()
            .any(|anon| self.api_keys.service.iter().any(|key| key.expose() == anon.expose()));
        if shared {
            found.push(Weakness::new("one key is both publishable and secret", "make two different keys"));
        }
        found
    }
}

fn tokens_rotate_too_often(every: Option<Duration>) -> bool {
    every.is_some_and(|every| every < Duration::from_secs(86_400))
}

/// Why `secret` is too weak to sign or admit with; `None` if it is not.
///
/// Known examples of documentation, fewer than 32 bytes, fewer than 10 different characters.
pub fn weak_secret(secret: &str) -> Option<&'static str> {
    const EXAMPLES: [&str; 6] = ["secret", "changeme", "change-me", "example", "your-", "super-secret"];
    let lower = secret.to_ascii_lowercase();
    let mut different = [false; 256];
    for byte in secret.bytes() {
        if let Some(seen) = different.get_mut(usize::from(byte)) {
            *seen = true;
        }
    }
    if secret.len() < 32 {
        Some("has fewer than 32 characters")
    } else if EXAMPLES.iter().any(|example| lower.contains(example)) {
        Some("is an example from documentation")
    } else if different.iter().filter(|seen| **seen).count() < 10 {
        Some("repeats itself")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn production(site: &str) -> Settings {
        Settings { disk: Disk::Encrypted, ..Settings::production(site) }
    }

    #[test]
    fn a_sound_configuration_has_no_weakness() {
        assert_eq!(production("https://app.example.com").weaknesses(), []);
        assert_eq!(Settings::development().weaknesses(), []);
    }

    #[test]
    fn production_names_each_weakness_with_its_fix() {
        let mut settings = production("");
        settings.disk = Disk::Unsaid;
        settings.sign_ups.autoconfirm = Autoconfirm::On;
        settings.passwords.memory_kib = 64;
        settings.api_keys.service.push("secret".into());
        let lines: Vec<String> = settings.weaknesses().iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("; ")));
    }

    #[test]
    fn links_lead_somewhere_and_codes_are_long_enough() {
        let mut settings = production("https://app.example.com");
        settings.redirects = vec!["https://*.example.com/**".to_owned(), "myapp://signed-in".to_owned()];
        assert_eq!(settings.weaknesses(), []);
        for entry in ["*", "https://*", "https://**/x", "https://*/cb", "example.com"] {
            settings.redirects = vec![entry.to_owned()];
            assert_eq!(settings.weaknesses().len(), 1, "{entry}");
        }
        settings.redirects.clear();
        settings.mails.code_digits = 4;
        settings.mails.test_codes.push(("ann@example.com".to_owned(), "123456".to_owned()));
        assert_eq!(settings.weaknesses().len(), 2);
    }

    /// attack J15
    #[test]
    fn example_and_short_secrets_are_weak() {
        for secret in
            ["secret", "", "your-super-secret-jwt-token-with-at-least-32-characters-long", &"ab".repeat(20)]
        {
            assert!(weak_secret(secret).is_some(), "{secret}");
        }
        assert!(weak_secret("9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3y").is_none());
    }
}
