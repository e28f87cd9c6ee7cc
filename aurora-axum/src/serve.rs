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
    let Secured { aurora, router } = app;
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Aurora, Database, Profile, secure};

    async fn aurora(name: &str) -> Aurora {
        let folder = std::env::temp_dir().join(format!("aurora-serve-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("app.db").display());
        let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
        builder.build().await.unwrap()
    }

    #[tokio::test]
    async fn open_requests_end_before_the_server_does() {
        let aurora = aurora("drain").await;
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let app = secure(&aurora, Router::new()).public(Router::new().route("/slow", slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let ended = async move { drop(ended.await) };
        let server = tokio::spawn(serve_until(app, listener, ended));
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        end.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn development_listens_on_this_machine_alone() {
        let app = secure(&aurora("bind").await, Router::new());
        let error = serve(app, "0.0.0.0:0").await.unwrap_err();
        assert_eq!(error.code(), Code::Configuration);
        assert!(error.message().contains("127.0.0.1"), "{error}");
    }
}
