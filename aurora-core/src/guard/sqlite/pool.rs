//! Readers in a pool, one writer behind the lock.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{WriterLock, WriterPermit};
use crate::types::{Error, Result};

use super::super::names::Names;
use super::connection::Connection;
use super::context::Facts;

/// The guarded connections of one database file.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    names: Names,
    facts: Arc<Facts>,
    readers: Arc<Semaphore>,
    idle_readers: Mutex<Vec<Connection>>,
    writer: WriterLock,
    idle_writer: Mutex<Option<Connection>>,
    deadline: Duration,
}

/// A connection lent out. Dropped, it goes back clean: whatever still runs is ended first.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    permit: Option<Permit>,
}

#[derive(Debug)]
enum Permit {
    Reader(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit),
    Writer(#[expect(dead_code, reason = "held for its Drop")] WriterPermit),
}

impl Pool {
    pub(in crate::guard) fn new(
        path: PathBuf,
        names: Names,
        facts: Arc<Facts>,
        readers: usize,
        writer: WriterLock,
        deadline: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            path,
            names,
            facts,
            readers: Arc::new(Semaphore::new(readers.max(1))),
            idle_readers: Mutex::new(Vec::new()),
            writer,
            idle_writer: Mutex::new(None),
            deadline,
        })
    }

    /// A connection that can only read.
    pub(crate) async fn reader(self: &Arc<Self>) -> Result<Lease> {
        let permit = match Arc::clone(&self.readers).try_acquire_owned() {
            Ok(permit) => Permit::Reader(permit),
            Err(_) => self.reader_turn().await?,
        };
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.path, &self.names, &self.facts, true).await?,
        };
        Ok(Lease { connection: Some(connection), pool: Arc::clone(self), permit: Some(permit) })
    }

    async fn reader_turn(&self) -> Result<Permit> {
        let turn = Arc::clone(&self.readers).acquire_owned();
        match tokio::time::timeout(self.deadline, turn).await {
            Ok(Ok(permit)) => Ok(Permit::Reader(permit)),
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_elapsed) => Err(Error::overloaded(1)),
        }
    }

    /// The connection that can write, and with it the only right to.
    pub(crate) async fn writer(self: &Arc<Self>) -> Result<Lease> {
        let permit = Permit::Writer(self.writer.acquire().await?);
        let idle = self.idle_writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.path, &self.names, &self.facts, false).await?,
        };
        Ok(Lease { connection: Some(connection), pool: Arc::clone(self), permit: Some(permit) })
    }

    fn put(&self, connection: Connection, permit: &Permit) {
        match permit {
            Permit::Reader(_) => {
                self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            Permit::Writer(_) => {
                *self.idle_writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            }
        }
    }
}

impl Lease {
    #[expect(clippy::expect_used, reason = "the connection is taken in Drop alone, below")]
    pub(super) fn held(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("only Drop takes the connection")
    }

    pub(crate) fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| Error::internal("the connection is gone"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(mut connection), Some(permit)) = (self.connection.take(), self.permit.take()) else {
            return;
        };
        if connection.is_clean() {
            self.pool.put(connection, &permit);
            return;
        }
        // A cancelled statement may still run on SQLite's thread. Nobody else gets the connection, nor the right
        // to write, before it has ended and its transaction is rolled back.
        let pool = Arc::clone(&self.pool);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if connection.recover().await.is_ok() {
                    pool.put(connection, &permit);
                }
                drop(permit);
            });
        }
    }
}
