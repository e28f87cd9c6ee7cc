use std::fmt;
use std::sync::Arc;

use super::FileOptions;
use super::blob::{BlobId, BlobStore};
use super::record::{Bucket, BucketRecord, Object, ObjectRecord};
use super::sql;
use super::underway::Underway;
use crate::audit::{Action, Actor, AuditSink, Kind, Record};
use crate::crypto::Keyring;
use crate::env::{Clock, Entropy, random};
use crate::guard::{Guard, Guarded};
use crate::store::{Database, Transaction};
use crate::types::{Code, Error, Principal, RequestId, Result, Role, Timestamp, UserId};

use super::{BucketName, ObjectName};

/// Buckets and objects. Cheap to clone.
#[derive(Clone)]
pub struct Files(pub(super) Arc<FilesParts>, pub(super) Arc<Underway>);

/// What the room is made of.
pub struct FilesParts {
    /// What files may be and take.
    pub options: FileOptions,
    /// Where their bytes lie.
    pub blobs: Arc<dyn BlobStore>,
    /// Who may know and change them.
    pub guard: Guard,
    /// What their blobs take.
    pub database: Arc<dyn Database>,
    /// What they are sealed with.
    pub keyring: Keyring,
    /// Where is written what happened.
    pub audit: Arc<dyn AuditSink>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Who asks for files: as whom policies are asked, and whose the objects become.
#[derive(Clone, Debug)]
pub struct Asker {
    principal: Principal,
    owner: Owner,
    request: Option<RequestId>,
    replaces: Replaces,
}

/// What somebody's upload may take the place of.
#[derive(Clone, Debug)]
enum Replaces {
    /// What the policies let them.
    ByPolicy,
    /// The object that was there as their right was signed, and what has become their own since. Nobody asks the
    /// policies any more.
    Only(Option<String>),
}

/// Whose objects become, and whom their bytes count for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The service: what it stores is not counted.
    Service,
    /// Everybody who is not signed in, counted as one.
    Anonymous,
    User(UserId),
}

impl Owner {
    /// As it stands beside a blob.
    pub(super) fn key(self) -> String {
        match self {
            Self::Service => String::new(),
            Self::Anonymous => "anon".to_owned(),
            Self::User(id) => id.to_string(),
        }
    }

    pub(super) fn of_key(key: &str) -> Result<Self> {
        Ok(match key {
            "" => Self::Service,
            "anon" => Self::Anonymous,
            id => Self::User(id.parse()?),
        })
    }
}

impl Asker {
    /// A principal that a request or a test already proved.
    pub fn new(principal: Principal) -> Self {
        let owner = match (principal.role(), principal.user_id()) {
            (Role::Service, _) => Owner::Service,
            (Role::Authenticated, Some(user)) => Owner::User(user),
            _ => Owner::Anonymous,
        };
        Self { principal, owner, request: None, replaces: Replaces::ByPolicy }
    }

    /// Within a request.
    #[must_use]
    pub fn in_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// The service itself, for an owner who was asked before: what a signed URL allows.
    ///
    /// `seen` is the object that they were asked about, where there was one.
    pub(super) fn signed(owner: Owner, seen: Option<String>, request: Option<RequestId>) -> Self {
        let replaces = match owner {
            Owner::Service => Replaces::ByPolicy,
            Owner::Anonymous | Owner::User(_) => Replaces::Only(seen),
        };
        Self { principal: Principal::service(), owner, request, replaces }
    }

    /// Whether policies were asked before.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.replaces, Replaces::Only(_))
    }

    /// Whether `object` may be replaced, as far as a signature says.
    pub(super) fn may_replace(&self, object: &Object) -> bool {
        match &self.replaces {
            Replaces::ByPolicy => true,
            Replaces::Only(seen) => {
                seen.as_ref() == Some(&object.id)
                    || (object.owner.is_some() && object.owner == self.owner_id())
            }
        }
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// The user whose the objects become, if it is one.
    pub(super) fn owner_id(&self) -> Option<String> {
        match self.owner {
            Owner::User(id) => Some(id.to_string()),
            Owner::Service | Owner::Anonymous => None,
        }
    }

    pub(super) fn is_service(&self) -> bool {
        self.principal.role() == Role::Service && self.owner == Owner::Service
    }
}

impl Files {
    /// The room of these parts.
    pub fn new(parts: FilesParts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    /// What files may be and take.
    pub fn options(&self) -> &FileOptions {
        &self.0.options
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The tables as `asker` may see them.
    pub(super) fn of(&self, asker: &Asker) -> Guarded {
        self.0.guard.guarded(asker.principal.clone())
    }

    /// The tables as the service sees them, for what a flow has to know and tells nobody.
    pub(super) fn unasked(&self) -> Guarded {
        self.0.guard.guarded(Principal::service())
    }

    pub(super) fn fresh_id(&self) -> Result<String> {
        Ok(UserId::from_random(random(&*self.0.entropy)?).to_string())
    }

    pub(super) fn fresh_blob(&self) -> Result<BlobId> {
        BlobId::draw(&*self.0.entropy)
    }

    /// The bucket, whoever asks: its limits hold for who may not read them, too.
    pub(super) async fn limits_of(&self, name: &BucketName) -> Result<Bucket> {
        let guarded = self.unasked();
        let found = guarded.query_as::<BucketRecord>(sql::BUCKET.on(&guarded)).bind(name.as_str().to_owned());
        found.fetch_optional().await?.ok_or_else(no_such_bucket)?.try_into()
    }

    /// An object as `guarded` may see it.
    pub(super) async fn look(
        &self,
        guarded: &Guarded,
        bucket: &BucketName,
        name: &ObjectName,
    ) -> Result<Option<Object>> {
        let found = guarded
            .query_as::<ObjectRecord>(sql::FIND_OBJECT.on(guarded))
            .bind(bucket.as_str().to_owned())
            .bind(name.as_str().to_owned());
        found.fetch_optional().await?.map(Object::try_from).transpose()
    }

    /// Writes what happened within `transaction`.
    pub(super) async fn record(
        &self,
        transaction: &mut dyn Transaction,
        asker: &Asker,
        action: Action,
        target: &str,
        details: impl FnOnce(Record) -> Record,
    ) -> Result<()> {
        let actor = match asker.owner {
            Owner::User(user) => Actor::User(user),
            Owner::Anonymous => Actor::Anonymous,
            Owner::Service => Actor::of(&asker.principal),
        };
        let mut record = details(Record::new(self.now(), Kind::Data, actor, action).target(target));
        if let Some(request) = asker.request {
            record = record.request(request);
        }
        if let Some(tenant) = asker.principal.tenant() {
            record = record.tenant(tenant.clone());
        }
        self.0.audit.write(transaction, record).await
    }

    /// Removes bytes that no row names any more. What fails is swept later.
    pub(super) async fn remove_bytes(&self, doomed: &[String]) {
        for id in doomed {
            if let Err(error) = self.remove_doomed(id).await {
                tracing::warn!(%error, "a removed file's bytes stay until the next sweep");
            }
        }
    }

    pub(super) async fn remove_doomed(&self, id: &str) -> Result<()> {
        self.0.blobs.remove(&id.parse()?).await?;
        let mut transaction = self.0.database.begin().await?;
        transaction.forget_blob(id).await?;
        transaction.commit().await
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("blobs", &self.0.blobs).finish_non_exhaustive()
    }
}

pub(super) fn no_such_bucket() -> Error {
    Error::new(Code::NoSuchBucket, "Bucket not found")
}

pub(super) fn no_such_object() -> Error {
    Error::new(Code::NoSuchObject, "Object not found")
}

pub(super) fn exists() -> Error {
    Error::new(Code::AlreadyExists, "The resource already exists")
}

/// What a refusal of the tables is called here. An engine's own words, with its own names of tables, are left out.
pub(super) fn refused(error: Error) -> Error {
    match error.code() {
        Code::UniqueViolation => exists(),
        Code::InsufficientPrivilege => {
            Error::new(Code::InsufficientPrivilege, "new row violates row-level security policy")
        }
        Code::ForeignKeyViolation => no_such_bucket(),
        _ => error,
    }
}
