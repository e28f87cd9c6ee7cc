use std::fmt;

/// What a browser is told about plain HTTP, once it has come by TLS (RFC 6797).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hsts {
    /// Never again in clear, this name and every name below it, for a year. The default: a plain name below is where
    /// someone in between plants a cookie (ASVS 3.4.1).
    #[default]
    WithSubdomains,
    /// This name alone: something below it cannot speak TLS yet.
    ThisName,
    /// Nothing is said: somebody else says it, a proxy.
    Off,
}

impl Hsts {
    /// The header's value. No `preload`: that list is joined by hand, and hardly left.
    pub fn value(self) -> Option<&'static str> {
        match self {
            Self::WithSubdomains => Some("max-age=31536000; includeSubDomains"),
            Self::ThisName => Some("max-age=31536000"),
            Self::Off => None,
        }
    }
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value().unwrap_or("off"))
    }
}
