//! What a service may choose, with its defaults and what production refuses.
//!
//! 1. Every default stands beside its reason.
//! 2. Production is the default profile; development has to be asked for ([`Settings::development`]).
//! 3. [`Settings::weaknesses`] names everything that production refuses, each with its one-line fix.
//! 4. Nothing here reads the environment or a file: the host hands values in.

mod cookies;
mod factors;
mod hsts;
mod network;
mod origin;
mod production;
mod settings;

pub use cookies::CookieSessions;
pub use factors::Factors;
pub use hsts::Hsts;
pub use network::Network;
pub use origin::Origin;
pub use production::{Weakness, weak_secret};
pub use settings::{ApiKeys, Autoconfirm, Disk, Mails, Passwords, Profile, Settings, SignUps, Tokens};
