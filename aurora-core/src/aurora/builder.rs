//! What a service is made of, gathered and opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::database::{Database, HostMigrations};
use super::engine::Opening;
use super::open::{hasher, open_key};
use super::{Aurora, Inner, files, hooks, keys, mail, person, sealed, token, transit};
use crate::audit::{AuditSink, DatabaseAudit};
use crate::auth::{Auth, AuthParts, SignUpHook};
use crate::config::{Profile, Settings, Weakness};
use crate::crypto::{DatabaseKeys, KeyPlace, KeyProvider, Keyring, beside};
use crate::env::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::guard::{GuardOptions, Telling, Vault};
use crate::http::{Http, Tls};
use crate::jobs::{Jobs, Wake};
use crate::keys::{DataKeys, DataKeysParts, ErasureLedger, FileLedger};
use crate::load::{Limiter, Limits};
use crate::mail::{Mailer, Outbox, OutboxParts, Templates};
use crate::policy::functions::{Answer, Value};
use crate::policy::{Policies, PolicyErrors};
use crate::session::{Sessions, SessionsParts};
use crate::types::{Code, Error, Result, Secret};
use crate::validate::BreachedPasswords;

/// What [`Aurora::builder`] gathers.
#[must_use = "nothing happens before build()"]
pub struct Builder {
    pub(super) profile: Profile,
    pub(super) changes: Vec<Change>,
    pub(super) database: Option<Database>,
    pub(super) migrations: Option<HostMigrations>,
    pub(super) policies: Option<(String, String)>,
    pub(super) functions: Vec<PolicyFunction>,
    pub(super) key: Option<Key>,
    pub(super) given: keys::Given,
    pub(super) limits: Limits,
    pub(super) guard: GuardOptions,
    pub(super) breached: Option<Arc<dyn BreachedPasswords>>,
    pub(super) hook: Option<Arc<dyn SignUpHook>>,
    pub(super) taking_part: hooks::TakingPart,
    pub(super) mailer: Option<Arc<dyn Mailer>>,
    pub(super) templates: Templates,
    pub(super) tls: Option<Tls>,
    pub(super) audit: Option<Arc<dyn AuditSink>>,
    pub(super) files: files::Choice,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) sealed: Vec<sealed::Column>,
    pub(super) personal: Vec<person::Personal>,
    pub(super) ledger: Option<Arc<dyn ErasureLedger>>,
    /// Nothing is made, migrated, installed or done beside what is asked.
    pub(super) reads: bool,
}

pub(super) type Change = Box<dyn FnOnce(&mut Settings) + Send>;
/// Adds a function of the host's.
pub(crate) type PolicyFunction =
    Box<dyn FnOnce(Policies) -> std::result::Result<Policies, PolicyErrors> + Send>;

pub(super) enum Key {
    File(KeyPlace),
    Text(Secret),
    Provider(Arc<dyn KeyProvider>),
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            profile: Profile::Production,
            changes: Vec::new(),
            database: None,
            migrations: None,
            policies: None,
            functions: Vec::new(),
            key: None,
            given: keys::Given::default(),
            limits: Limits::default(),
            guard: GuardOptions::default(),
            breached: None,
            hook: None,
            taking_part: hooks::TakingPart::default(),
            mailer: None,
            templates: Templates::default(),
            tls: None,
            audit: None,
            files: files::Choice::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            sealed: Vec::new(),
            personal: Vec::new(),
            ledger: None,
            reads: false,
        }
    }

    /// Where the service runs; [`Profile::Production`] unless said otherwise.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Changes the settings, after the profile's defaults.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// The public address of the site, such as `https://app.example.com`.
    pub fn site_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.configure(move |settings| settings.site_url = url)
    }

    /// The database.
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// The host's migrations. They run after Aurora's own, so that they may reference its users: `auth_users` on
    /// SQLite, `auth.users` on PostgreSQL.
    pub fn migrations(mut self, migrations: impl Into<HostMigrations>) -> Self {
        self.migrations = Some(migrations.into());
        self
    }

    /// The row policies: `CREATE POLICY` in PostgreSQL's syntax. `file` is what errors call it.
    pub fn policies(mut self, file: &str, text: &str) -> Self {
        self.policies = Some((file.to_owned(), text.to_owned()));
        self
    }

    /// A function that the policy file calls, in Rust and under the name that it is called by; see
    /// [`Policies::with_function`]. On PostgreSQL a function of that name has to exist as well.
    pub fn policy_function(
        mut self,
        name: &str,
        arguments: &[&str],
        result: &str,
        body: impl Fn(&[Value]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (name, result) = (name.to_owned(), result.to_owned());
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.functions.push(Box::new(move |policies| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            policies.with_function(&name, &arguments, &result, body)
        }));
        self
    }

    /// The file that holds the root key, outside the database. In development it is created on the first start.
    pub fn key_file(mut self, path: impl AsRef<Path>) -> Self {
        self.key = Some(Key::File(KeyPlace::new(path)));
        self
    }

    /// The same, sealed with a passphrase where it lies: whoever copies the disk has to guess it. A file that is not
    /// sealed yet is refused.
    pub fn key_place(mut self, place: KeyPlace) -> Self {
        self.key = Some(Key::File(place));
        self
    }

    /// The root key itself (`aurora-key-1:..`), as a secret store or an environment variable hands it over.
    pub fn key(mut self, text: Secret) -> Self {
        self.key = Some(Key::Text(text));
        self
    }

    /// What wraps data keys: a KMS of the host's.
    pub fn key_provider(mut self, provider: Arc<dyn KeyProvider>) -> Self {
        self.key = Some(Key::Provider(provider));
        self
    }

    /// Other limits than the defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How guarded statements run.
    pub fn guard(mut self, options: GuardOptions) -> Self {
        self.guard = options;
        self
    }

    /// Who is asked whether a new password stood in a breach, beside the list that is built in: by a
    /// [`RangeApi`](crate::validate::RangeApi) with the host's HTTP client, or a source of its own.
    pub fn breached_passwords(mut self, source: Arc<dyn BreachedPasswords>) -> Self {
        self.breached = Some(source);
        self
    }

    /// What the host adds to a sign-up's transaction.
    pub fn on_sign_up(mut self, hook: Arc<dyn SignUpHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// What sends mails. Without one, development shows them at `{prefix}/mailbox`, and production refuses to start
    /// while addresses have to be confirmed.
    pub fn mailer(mut self, mailer: Arc<dyn Mailer>) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// Other words for mails than Aurora's own.
    pub fn templates(mut self, templates: Templates) -> Self {
        self.templates = templates;
        self
    }

    /// Where audit records go instead of Aurora's own table.
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = Some(sink);
        self
    }

    /// Time and randomness from elsewhere, for tests.
    pub fn environment(mut self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        self.clock = clock;
        self.entropy = entropy;
        self
    }

    /// Opens everything.
    ///
    /// # Errors
    /// [`Code::Configuration`] names what is missing, weak or wrong, each with its one-line fix: settings, keys,
    /// policies (file, line, construct) and what of the schema cannot be guarded. Nothing listens before.
    pub async fn build(self) -> Result<Aurora> {
        let mut settings = match self.profile {
            Profile::Production => Settings::production(""),
            Profile::Development => Settings::development(),
        };
        for change in self.changes {
            change(&mut settings);
        }
        settings.profile = self.profile;
        let missing = |what: &str, fix: &str| Error::new(Code::Configuration, format!("{what}; {fix}"));
        let database = self.database.ok_or_else(|| {
            missing("no database is set", "add .database(Database::url(\"sqlite://app.db\")?)")
        })?;
        let (file, text) = self.files.with_lines(self.policies).unwrap_or_default();
        let policies = read_policies(&file, &text, self.functions)
            .map_err(|errors| Error::new(Code::Configuration, errors.to_string()))?;
        let mut weaknesses = settings.weaknesses();
        if self.key.is_none() && settings.profile == Profile::Production {
            weaknesses.push(Weakness::new(
                "no root key is set",
                "add .key_file(path) or .key(text); make one with KeyFile::create_new",
            ));
        }
        weaknesses.extend(mail::weakness(
            &settings,
            self.mailer.is_some() || mail::covers(&self.taking_part.mails),
        ));
        if settings.profile == Profile::Production {
            weaknesses.extend(transit::weaknesses(self.tls.as_ref(), &database, self.mailer.as_deref())?);
        }
        refuse(&weaknesses)?;

        let (clock, entropy) = (self.clock, self.entropy);
        let opening = Opening::start(database, settings.profile, &*clock).await?;
        if let Some(migrations) = self.migrations {
            opening.migrate(migrations).await?;
        }
        let key = match (self.key, opening.key_path()) {
            (Some(key), _) => key,
            (None, Some(path)) => Key::File(KeyPlace::new(path)),
            (None, None) => {
                return Err(missing(
                    "no root key is set",
                    "add .key_file(path), a file that is made on the first start",
                ));
            }
        };
        let keys = opening.keys();
        let first_start = keys.read().await?.newest_key().await? == 0;
        let may_create = first_start && settings.profile == Profile::Development && !self.reads;
        let source = Arc::clone(&entropy);
        let (provider, key_file) = beside(move || open_key(key, may_create, &source)).await?;
        let stored = Arc::new(DatabaseKeys::new(keys));
        let keyring = Keyring::open(provider, stored, Arc::clone(&clock), Arc::clone(&entropy)).await?;
        let keyring = keyring.with_suite(self.given.suite);
        let (store, owner) = opening.finish(&keyring).await?;
        let shared = store.shared();
        keyring.move_to(Arc::new(DatabaseKeys::new(Arc::clone(&shared))));
        let options = (token::options(&settings), settings.profile);
        let tokens = self.given.tokens(&keyring, &shared, options, &*clock).await?;
        let passwords = hasher(&settings, &keyring, &entropy)?;
        let audit = self.audit.unwrap_or_else(|| Arc::new(DatabaseAudit::new(Arc::clone(&entropy))));
        let outbox = Outbox::new(OutboxParts {
            site: settings.site_url.trim_end_matches('/').to_owned(),
            templates: self.templates,
            delivery: mail::routed(mail::delivery(&settings, self.mailer), self.taking_part.mails),
            database: Arc::clone(&shared),
            keyring: keyring.clone(),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            wake: Wake::default(),
        });
        let sessions = Sessions::open(SessionsParts {
            lifetimes: settings.tokens.clone(),
            database: Arc::clone(&shared),
            keyring,
            tokens,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        })
        .await?;
        let mut options = self.guard;
        options.telling = (settings.profile == Profile::Development).then(|| Telling(Arc::clone(&clock)));
        let vault = (!self.sealed.is_empty()).then(|| {
            let columns = self.sealed.iter().map(|column| column.declared).collect();
            let keyring = sessions.parts().keyring.clone();
            Arc::new(Vault::new(columns, keyring, Arc::clone(&clock), Arc::clone(&entropy)))
        });
        options.sealed.clone_from(&vault);
        let guard = store.guard(owner.as_ref(), &policies, &clock, &*entropy, options).await?;
        if let Some(vault) = vault {
            vault.check(guard.schema(), guard.path().is_none())?;
        }
        if let Some(owner) = owner {
            owner.close().await;
        }
        for warning in guard.policies().warnings() {
            tracing::warn!(%warning, "policy");
        }
        let auth = Auth::new(AuthParts {
            settings: Arc::new(settings),
            sessions,
            passwords,
            limiter: Limiter::new(self.limits, &*entropy)?,
            outbox: outbox.clone(),
            audit: Arc::clone(&audit),
            breached_passwords: self.breached,
            sign_up_hook: self.hook,
            hooks: self.taking_part.hooks,
        });
        let files = self.files.make(&auth, &guard, &audit).await?;
        let keys = DataKeys::new(DataKeysParts {
            keyring: auth.sessions().parts().keyring.clone(),
            database: Arc::clone(&shared),
            places: sealed::places(&self.sealed, &guard, files.as_ref()),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        });
        let http = Http::with_files(auth.clone(), self.tls, files.clone());
        let jobs = Jobs::new(Arc::clone(&entropy));
        if !self.reads {
            jobs.start(outbox.task());
            if let Some(clearing) = auth.clearing()? {
                jobs.start(clearing);
            }
            if let Some(files) = &files {
                jobs.start(files.sweeping()?);
            }
            jobs.start(keys.task(&*entropy)?);
            keys::start(&jobs, &auth, &shared, &clock, &*entropy)?;
        }
        let ledger = self.ledger.or_else(|| {
            let mut beside = key_file.as_ref()?.path().as_os_str().to_owned();
            beside.push(".erased");
            let ledger: Arc<dyn ErasureLedger> = Arc::new(FileLedger::new(beside));
            Some(ledger)
        });
        let reads = self.reads;
        let aurora = Aurora(Arc::new(Inner {
            auth,
            http,
            files,
            guard,
            keys,
            sealed: self.sealed,
            personal: self.personal,
            ledger,
            database: store,
            jobs,
            audit,
            clock,
            key_file,
        }));
        if !reads {
            aurora.erase_again().await?;
        }
        Ok(aurora)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The file, with the functions that the host brings.
pub(crate) fn read_policies(
    file: &str,
    text: &str,
    functions: Vec<PolicyFunction>,
) -> std::result::Result<Policies, PolicyErrors> {
    functions.into_iter().try_fold(Policies::parse(text, file)?, |policies, function| function(policies))
}

fn refuse(weaknesses: &[Weakness]) -> Result<()> {
    if weaknesses.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = weaknesses.iter().map(|weakness| format!("  - {weakness}")).collect();
    Err(Error::new(Code::Configuration, format!("Aurora does not start:\n{}", lines.join("\n"))))
}
