use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;

use crate::files::Content;
use crate::types::{Code, Error, Result};

/// Most bytes of a form before its file is found.
const MOST: u64 = 256 * 1024;
/// Most bytes that are handed on at once.
const PIECE: usize = 64 * 1024;
/// What is read is the file.
const UNBOUNDED: u64 = u64::MAX;

/// What of a form may be read that is not its file. Whoever reads forms keeps all that comes until they find what they
/// look for: without a bound, and without a pause, that is all of the memory.
#[derive(Debug)]
pub(super) struct Around(Arc<AtomicU64>);

impl Around {
    /// A form's bytes, of which a few may come before its file.
    pub(super) fn of(body: Content<'static>) -> (impl Stream<Item = io::Result<Bytes>> + Send, Self) {
        let left = Arc::new(AtomicU64::new(MOST));
        let mut paced = Paced { body, rest: Bytes::new(), paused: true };
        let counted = Arc::clone(&left);
        let pieces = futures_util::stream::poll_fn(move |context| {
            paced.next(context).map(|piece| piece.map(|piece| counted_piece(&counted, piece)))
        });
        (pieces, Self(left))
    }

    /// The file was found: its own limits hold from here.
    pub(super) fn found(&self) {
        self.0.store(UNBOUNDED, Ordering::Release);
    }
}

fn counted_piece(left: &AtomicU64, piece: Result<Bytes>) -> io::Result<Bytes> {
    let piece = piece.map_err(io::Error::other)?;
    let before = left.load(Ordering::Acquire);
    if before == UNBOUNDED {
        return Ok(piece);
    }
    match before.checked_sub(piece.len() as u64) {
        Some(after) => {
            // Nobody else counts; the file may have been found meanwhile.
            let _ = left.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire);
            Ok(piece)
        }
        None => {
            Err(io::Error::other(Error::new(Code::PayloadTooLarge, "The form says too much before its file")))
        }
    }
}

/// One small piece at a time: the reader of forms takes whatever is ready before it looks at any of it.
struct Paced {
    body: Content<'static>,
    rest: Bytes,
    paused: bool,
}

impl Paced {
    fn next(&mut self, context: &mut std::task::Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.paused {
            self.paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match self.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) => self.rest = piece,
                other => return other,
            }
        }
        self.paused = false;
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attack F06
    #[tokio::test]
    async fn a_reader_that_takes_all_that_is_ready_gets_one_piece() {
        let large = Bytes::from(vec![7; 300 * 1024]);
        let body = futures_util::stream::iter([Ok(large.clone()), Ok(large)]).boxed();
        let (pieces, around) = Around::of(body);
        let mut pieces = std::pin::pin!(pieces);
        let mut greedy = async || {
            std::future::poll_fn(|context| {
                let mut taken = 0;
                let mut refused = false;
                while let Poll::Ready(Some(piece)) = pieces.poll_next_unpin(context) {
                    refused |= piece.is_err();
                    taken += piece.map_or(0, |piece| piece.len());
                    if refused {
                        break;
                    }
                }
                Poll::Ready((taken, refused))
            })
            .await
        };
        for _ in 0..4 {
            assert_eq!(greedy().await, (PIECE, false));
        }
        assert_eq!(greedy().await, (0, true), "more than a form may say before its file");
        around.found();
        assert_eq!(greedy().await, (0, false), "a pause after each");
        for _ in 0..4 {
            assert_eq!(greedy().await, (PIECE, false), "the file has no bound here");
        }
    }
}
