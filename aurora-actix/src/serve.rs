use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::thread::available_parallelism;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use aurora_core::http::{Limits, Transport, interrupted};
use aurora_core::types::{Code, Error};

use crate::error::Result;
use crate::{Secured, line};

/// Serves on an address (`settings.address`, `"127.0.0.1:8080"`) until SIGTERM or ctrl-c: then takes no more
/// connections, lets open requests end for 25 s, and closes the database. [`Limits`] says what a stranger may take.
/// Over TLS where the builder was given a certificate ([`Builder::tls`](aurora_core::Builder::tls)).
///
/// # Errors
/// [`Code::Configuration`] when the address cannot be had, the certificate is not good, development would be open to
/// others, or production in clear.
pub async fn serve(app: Secured, address: impl ToSocketAddrs) -> Result<()> {
    serve_on(app, TcpListener::bind(address).map_err(cannot_listen)?).await
}

/// [`serve`] on a listener that is bound already.
pub async fn serve_on(app: Secured, listener: TcpListener) -> Result<()> {
    let (aurora, limits) = (app.aurora.clone(), Limits::WRITTEN);
    let address = listener.local_addr().map_err(cannot_listen)?;
    aurora.http().check_address(address)?;
    let transport = aurora.http().transport().await?;
    let workers = available_parallelism().map_or(1, usize::from);
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(limits.connections.div_ceil(workers))
        .shutdown_timeout(limits.drain.as_secs())
        .shutdown_signal(interrupted());
    let served = listen(server, app, listener, (address, transport), limits)?.run().await;
    aurora.close().await;
    Ok(served.map_err(cannot_listen)?)
}

/// What `HttpServer` does for a listener, with a transport of core's below: actix's own TLS agrees on HTTP/2 with
/// whoever can, for which nothing here was bounded.
fn listen(
    server: ServerBuilder,
    app: Secured,
    listener: TcpListener,
    (address, transport): (SocketAddr, Transport),
    limits: Limits,
) -> Result<ServerBuilder> {
    let ending = server.graceful_shutdown_signal();
    let listening = server.listen("aurora", listener, move || {
        let (ending, taking) = (ending.clone(), transport.clone());
        // The constructor that `actix-test` uses; there is no other outside of `HttpServer`.
        let config = AppConfig::__priv_test_new(transport.is_encrypted(), address.to_string(), address);
        let app = app.app().into_factory().map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let ending = ending.clone();
                async move { ending.notified().await }
            })
            .client_request_timeout(limits.head)
            .client_disconnect_timeout(Duration::from_secs(1))
            .local_addr(address)
            .on_connect_ext(move |socket, extensions| line::watch(socket, extensions, limits.head))
            .h1(map_config(app, move |()| config.clone()));
        fn_service(move |socket: TcpStream| {
            let taking = taking.clone();
            async move {
                let peer = socket.peer_addr().ok();
                let socket = taking.accept(socket, limits.handshake).await.map_err(DispatchError::Io)?;
                Ok((socket, peer))
            }
        })
        .and_then(http)
    });
    Ok(listening.map_err(cannot_listen)?)
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::new(Code::Configuration, format!("cannot listen: {error}")).with_source(error)
}
