//! Supabase Storage's protocol. Bodies stream both ways.

mod answer;
mod around;
mod buckets;
mod limited;
mod objects;
mod path;
mod receive;
mod resumable;
mod routes;
mod send;
mod signed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, mpsc};

use self::routes::{FILE_ROUTES, FileOperation, Found, find};
use super::render::{ApiVersion, empty_response, finish};
use super::{Http, Limits, Peer, Unread, contain, read_json};
use crate::files::{Asker, Content, Files};
use crate::observe::{record_outcome, request_span};
use crate::types::{Code, Error, RequestId, Result};

pub use routes::FileRoute;

/// Where Supabase's clients look for files.
pub(super) const FILE_PREFIX: &str = "/storage/v1";
/// How much of a body that was refused is read all the same, and for how long.
const LINGER: usize = 8 << 20;
const LINGER_FOR: Duration = Duration::from_secs(2);
/// Pieces of a body that are held for whoever reads it.
const PIECES: usize = 4;
/// How long the next piece of a body may be waited for.
const PIECE: Duration = Duration::from_secs(30);
/// Bytes that have to come in a second of waiting for them, on the average, once that is longer than [`PIECE`].
const SLOWEST: u64 = 1024;

/// The body of an answer.
pub enum FileBody {
    /// All of it.
    Whole(Vec<u8>),
    /// As it is read. An error breaks it off.
    Stream(Content<'static>),
}

impl From<Vec<u8>> for FileBody {
    fn from(body: Vec<u8>) -> Self {
        Self::Whole(body)
    }
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "FileBody::Whole",
            Self::Stream(_) => "FileBody::Stream",
        })
    }
}

/// The body of a request as it arrives, for [`Http::stream`].
pub fn arriving<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Content<'static>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pieces.map(|piece| piece.map_err(|error| Unread::BrokenOff.error().with_source(error))).boxed()
}

/// The same from elsewhere: where a framework's own body stays on its thread, whoever reads it there sends its pieces.
/// A few are held; a sender that goes away without an end breaks the body off.
#[derive(Debug)]
pub struct Pieces(mpsc::Sender<Result<Option<Bytes>>>);

impl Pieces {
    /// The sender, and the body that comes of it.
    pub fn arriving() -> (Self, Content<'static>) {
        let (to, mut from) = mpsc::channel::<Result<Option<Bytes>>>(PIECES);
        let body = async_stream::try_stream! {
            loop {
                match from.recv().await {
                    Some(Ok(Some(piece))) => yield piece,
                    Some(Ok(None)) => break,
                    Some(Err(error)) => Err::<(), Error>(error)?,
                    None => Err::<(), Error>(Unread::BrokenOff.error())?,
                }
            }
        };
        (Self(to), body.boxed())
    }

    /// Sends the next piece; nothing for the end, an error where there is none. `false` if nobody reads any more.
    pub async fn send(&self, piece: Option<Result<Bytes, Unread>>) -> bool {
        self.0.send(piece.transpose().map_err(Unread::error)).await.is_ok()
    }
}

type FileAnswer = Result<Response<FileBody>>;

/// A request on its way to the room.
struct Asked<'a> {
    files: &'a Files,
    head: &'a Parts,
    found: Found<'a>,
    peer: Peer,
    id: RequestId,
}

impl Http {
    /// Every route of files, below `/storage/v1`.
    pub const FILE_ROUTES: &'static [FileRoute] = FILE_ROUTES;

    /// The route of files that a request goes to, if it is one.
    pub fn file_route(method: &str, path: &str) -> Option<&'static FileRoute> {
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        find(&method, below(path)?).ok().map(|found| found.route)
    }

    /// Whether a path is answered by [`Http::stream`]: its bodies are not read before, nor limited as those of other
    /// routes.
    pub fn streams(&self, path: &str) -> bool {
        below(path).is_some()
    }

    /// Answers a request for files. Total: every failure is a response.
    pub async fn stream(&self, request: Request<Content<'static>>, peer: Peer) -> Response<FileBody> {
        let (head, body) = request.into_parts();
        let id = self.id_of(&head, peer);
        let version = ApiVersion::of(&head.headers);
        if let Some(mut response) = self.preflight(&head.method, &head.headers) {
            finish(response.headers_mut(), version, id);
            return response.map(FileBody::Whole);
        }
        let path = below(head.uri.path()).unwrap_or_default();
        let route = routes::name(&head.method, path);
        let span = request_span(id, &head.method, route);
        let (body, rest) = lingering(body);
        let handled = async { self.answer_file(&head, path, body, peer, id).await };
        let handled = contain(tracing::Instrument::instrument(handled, span.clone())).await;
        let error = handled.as_ref().err();
        let mut response = match &handled {
            Ok(_) => empty_response(StatusCode::OK).map(FileBody::Whole),
            Err(error) => answer::failed(error, self.reasons().tell(error), id).map(FileBody::Whole),
        };
        let status = handled.as_ref().map_or(response.status(), |response| response.status());
        record_outcome(&span, status, None, error);
        if let Ok(answered) = handled {
            response = answered;
        }
        if response.status().is_client_error() {
            rest.read_on().await;
        }
        finish(response.headers_mut(), version, id);
        if head.method == Method::HEAD {
            // What the length would be stays said, where it was.
            *response.body_mut() = match response.headers().contains_key(CONTENT_LENGTH) {
                true => FileBody::Stream(futures_util::stream::empty().boxed()),
                false => FileBody::Whole(Vec::new()),
            };
        }
        self.decorate(&head.headers, response.headers_mut());
        self.harden(response.headers_mut());
        response
    }

    async fn answer_file(
        &self,
        head: &Parts,
        path: &str,
        body: Content<'static>,
        peer: Peer,
        id: RequestId,
    ) -> FileAnswer {
        self.check_host(&head.uri, &head.headers)?;
        self.check_origin(head)?;
        let Some(files) = self.files() else {
            return Err(Error::new(Code::FeatureDisabled, "Files are not switched on in this service"));
        };
        let found = match find(&head.method, path) {
            Ok(found) => found,
            Err(None) => return Err(Error::new(Code::NotFound, "No such route")),
            Err(Some(allow)) => return other_method(&head.method, &allow),
        };
        let body: Content<'static> = in_time(body);
        let asked = Asked { files, head, found, peer, id };
        let answered = match self.count_request(&asked) {
            Ok(()) => self.answer_route(&asked, body).await,
            Err(limited) => Err(limited),
        };
        let answered = answered.map_err(|error| self.count_refusal(&asked, error));
        if !asked.found.route.is_resumable() {
            return answered;
        }
        answered.or_else(|error| {
            Ok(answer::failed_as_it_is(&error, self.reasons().tell(&error), id).map(FileBody::Whole))
        })
    }

    async fn answer_route(&self, asked: &Asked<'_>, body: Content<'static>) -> FileAnswer {
        use FileOperation as Do;
        match asked.found.route.operation {
            Do::ListBuckets
            | Do::CreateBucket
            | Do::ReadBucket
            | Do::UpdateBucket
            | Do::DeleteBucket
            | Do::EmptyBucket => self.buckets(asked, body).await,
            Do::Upload | Do::Replace => self.receive(asked, body).await,
            Do::SignDownload | Do::SignMany | Do::SignUpload | Do::SignedUpload => {
                self.signed(asked, body).await
            }
            Do::Download | Do::PublicDownload | Do::SignedDownload | Do::Info | Do::PublicInfo => {
                self.send(asked).await
            }
            Do::UploadOptions
            | Do::BeginUpload
            | Do::UploadStanding
            | Do::ContinueUpload
            | Do::CancelUpload => self.resumable(asked, body).await,
            Do::List | Do::ListPages | Do::Move | Do::Copy | Do::Remove | Do::RemoveOne => {
                self.objects(asked, body).await
            }
        }
    }

    /// Who asks, by the door's own rules; whoever brings nothing is anonymous.
    async fn asker(&self, asked: &Asked<'_>) -> Result<Asker> {
        let admitted = self.admit(asked.head, asked.peer).await.map_err(|rejected| rejected.into_error())?;
        self.count_change(asked, Some(admitted.principal()))?;
        Ok(Asker::new(admitted.principal().clone()).in_request(asked.id))
    }

    /// A small body of JSON.
    async fn small<T: DeserializeOwned>(&self, headers: &HeaderMap, body: Content<'static>) -> Result<T> {
        read_json(headers, &all_of(body, self.body_limit()).await?)
    }
}

/// A small body, which has as long in all as other small bodies have.
async fn all_of(mut body: Content<'static>, limit: usize) -> Result<Vec<u8>> {
    let reading = async {
        let mut read = Vec::new();
        while let Some(piece) = body.next().await {
            read.extend_from_slice(&piece?);
            if read.len() > limit {
                return Err(Unread::TooLarge.error());
            }
        }
        Ok(read)
    };
    tokio::time::timeout(Limits::WRITTEN.body, reading).await.map_err(|_elapsed| Unread::TooSlow.error())?
}

/// The part of a path behind the prefix.
fn below(path: &str) -> Option<&str> {
    path.strip_prefix(FILE_PREFIX).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn other_method(method: &Method, allow: &str) -> FileAnswer {
    if *method != Method::OPTIONS {
        return Err(Error::new(Code::MethodNotAllowed, "Method not allowed"));
    }
    let mut response = empty_response(StatusCode::NO_CONTENT).map(FileBody::Whole);
    response.headers_mut().extend(HeaderValue::from_str(allow).ok().map(|allow| (ALLOW, allow)));
    Ok(response)
}

/// A body whose next piece never comes is given up, and one that trickles. What its reader takes of the time is not
/// the sender's.
fn in_time(mut body: Content<'static>) -> Content<'static> {
    async_stream::try_stream! {
        let (mut waited, mut came) = (Duration::ZERO, 0_u64);
        loop {
            let asked = tokio::time::Instant::now();
            let piece: Option<Result<Bytes>> = tokio::time::timeout(PIECE, body.next())
                .await
                .map_err(|_elapsed| Unread::TooSlow.error())?;
            waited = waited.saturating_add(asked.elapsed());
            let Some(piece) = piece else { break };
            let piece = piece?;
            came = came.saturating_add(piece.len() as u64);
            if waited > PIECE && came < waited.as_secs().saturating_mul(SLOWEST) {
                Err(Unread::TooSlow.error())?;
            }
            yield piece;
        }
    }
    .boxed()
}

/// What of a body nobody has read yet.
struct Rest {
    body: Arc<Mutex<Content<'static>>>,
    ended: Arc<AtomicBool>,
}

/// A body, and what is left of it when it was refused.
fn lingering(body: Content<'static>) -> (Content<'static>, Rest) {
    let rest = Rest { body: Arc::new(Mutex::new(body)), ended: Arc::default() };
    let (body, ended) = (Arc::clone(&rest.body), Arc::clone(&rest.ended));
    let lent = async_stream::stream! {
        let mut body = body.lock_owned().await;
        while let Some(piece) = body.next().await {
            yield piece;
        }
        ended.store(true, Ordering::Release);
    };
    (lent.boxed(), rest)
}

impl Rest {
    /// Reads a little of it and drops it: a client that still sends when the connection is closed sees that, and not the
    /// answer.
    async fn read_on(self) {
        let Ok(mut body) = self.body.try_lock() else { return };
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        let reading = async {
            let mut read = 0;
            while let Some(Ok(piece)) = body.next().await {
                read += piece.len();
                if read > LINGER {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER_FOR, reading).await;
    }
}

/// The body of one answer, as JSON.
fn ok(json: &serde_json::Value) -> FileAnswer {
    Ok(super::render::json_response(StatusCode::OK, json.to_string()).map(FileBody::Whole))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` pieces of that many bytes, one each `every` seconds.
    fn trickle(bytes: usize, every: u64, count: usize) -> Content<'static> {
        let piece = Bytes::from(vec![7; bytes]);
        futures_util::stream::iter(0..count)
            .then(move |_| {
                let piece = piece.clone();
                async move {
                    tokio::time::sleep(Duration::from_secs(every)).await;
                    Ok(piece)
                }
            })
            .boxed()
    }

    /// attack F05
    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        let read = async |mut body: Content<'static>| {
            let mut came = 0;
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(piece) => came += piece.len(),
                    Err(error) => return Err((came, error.code())),
                }
            }
            Ok(came)
        };
        assert_eq!(read(in_time(trickle(1, 20, 1000))).await, Err((1, Code::RequestTimeout)));
        assert_eq!(read(in_time(trickle(1, 31, 1))).await, Err((0, Code::RequestTimeout)));
        assert_eq!(read(in_time(trickle(1, 9, 3))).await, Ok(3), "a small body may pause");
        assert_eq!(read(in_time(trickle(30_000, 20, 20))).await, Ok(600_000), "slow, and fast enough");
    }

    /// attack F05
    #[tokio::test(start_paused = true)]
    async fn a_small_body_comes_soon_or_not_at_all() {
        assert_eq!(all_of(trickle(10, 1, 5), 100).await.unwrap().len(), 50);
        assert_eq!(all_of(trickle(10, 4, 5), 100).await.unwrap_err().code(), Code::RequestTimeout);
        assert_eq!(all_of(trickle(60, 1, 2), 100).await.unwrap_err().code(), Code::PayloadTooLarge);
    }
}
