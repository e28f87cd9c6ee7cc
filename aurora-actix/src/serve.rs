use std::net::{TcpListener, ToSocketAddrs};
use std::thread::available_parallelism;

use actix_web::HttpServer;
use aurora_core::http::{Limits, interrupted};
use aurora_core::types::{Code, Error};

use crate::error::Result;
use crate::{Secured, line};

/// Serves on an address (`settings.address`, `"127.0.0.1:8080"`) until SIGTERM or ctrl-c: then takes no more
/// connections, lets open requests end for 25 s, and closes the database. [`Limits`] says what a stranger may take.
///
/// # Errors
/// [`Code::Configuration`] when the address cannot be had, or development would be open to others.
pub async fn serve(app: Secured, address: impl ToSocketAddrs) -> Result<()> {
    serve_on(app, TcpListener::bind(address).map_err(cannot_listen)?).await
}

/// [`serve`] on a listener that is bound already.
pub async fn serve_on(app: Secured, listener: TcpListener) -> Result<()> {
    let (aurora, limits) = (app.aurora.clone(), Limits::WRITTEN);
    aurora.http().check_address(listener.local_addr().map_err(cannot_listen)?)?;
    let workers = available_parallelism().map_or(1, usize::from);
    let server = HttpServer::new(move || app.app())
        .workers(workers)
        .max_connections(limits.connections.div_ceil(workers))
        .tcp_nodelay(true)
        .client_request_timeout(limits.head)
        .on_connect(move |socket, extensions| line::watch(socket, extensions, limits.head))
        .shutdown_timeout(limits.drain.as_secs())
        .shutdown_signal(interrupted())
        .listen(listener)
        .map_err(cannot_listen)?;
    let served = server.run().await;
    aurora.close().await;
    Ok(served.map_err(cannot_listen)?)
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::new(Code::Configuration, format!("cannot listen: {error}")).with_source(error)
}
