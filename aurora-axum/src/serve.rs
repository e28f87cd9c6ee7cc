use std::future::{Future, IntoFuture};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use aurora_core::types::{Code, Error};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Secured;
use crate::error::Result;

/// How long open requests may take after the signal to end. Orchestrators kill after 30 s.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves on an address (`settings.address`, `"127.0.0.1:8080"`) until SIGTERM or ctrl-c: then takes no more
/// connections, lets open requests end for 25 s, and closes the database.
///
/// # Errors
/// [`Code::Configuration`] when the address cannot be had, or development would be open to others.
pub async fn serve(app: Secured, address: impl ToSocketAddrs) -> Result<()> {
    let listener = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    serve_on(app, listener.map_err(cannot_listen)?).await
}

/// [`serve`] on a listener that is bound already.
pub async fn serve_on(app: Secured, listener: TcpListener) -> Result<()> {
    serve_until(app, listener, interrupted()).await
}

async fn serve_until(
    app: Secured,
    listener: TcpListener,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (aurora, router) = app.into_parts();
    aurora.http().check_address(listener.local_addr().map_err(cannot_listen)?)?;
    // Answers are written whole; waiting to join them with later ones only adds 40 ms.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let (end, mut draining) = watch::channel(());
    let drain = async move {
        ended.await;
        end.send_replace(());
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(drain);
    let late = async move {
        let _signal = draining.changed().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server.into_future() => served.map_err(Error::internal)?,
        () = late => tracing::warn!("requests were still open after the drain and were cut off"),
    }
    aurora.close().await;
    Ok(())
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::new(Code::Configuration, format!("cannot listen: {error}")).with_source(error)
}

async fn interrupted() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = ctrl_c => {}, () = terminate => {} }
}
