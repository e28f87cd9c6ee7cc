use std::future::Future;
use std::net::ToSocketAddrs;
use std::pin::pin;
use std::sync::Arc;

use aurora_core::http::{Limits, Transport, interrupted};
use aurora_core::types::{Code, Error};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use crate::Secured;
use crate::error::Result;
use crate::layer::conceal;

/// Serves on an address (`settings.address`, `"127.0.0.1:8080"`) until SIGTERM or ctrl-c: then takes no more
/// connections, lets open requests end for 25 s, and closes the database. [`Limits`] says what a stranger may take.
/// Over TLS where the builder was given a certificate ([`Builder::tls`](aurora_core::Builder::tls)).
///
/// # Errors
/// [`Code::Configuration`] when the address cannot be had, the certificate is not good, development would be open to
/// others, or production in clear.
pub async fn serve(app: Secured, address: impl ToSocketAddrs) -> Result<()> {
    let listener = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    serve_on(app, listener.map_err(cannot_listen)?).await
}

/// [`serve`] on a listener that is bound already.
pub async fn serve_on(app: Secured, listener: TcpListener) -> Result<()> {
    serve_until(app, listener, Limits::WRITTEN, interrupted()).await
}

async fn serve_until(
    app: Secured,
    listener: TcpListener,
    limits: Limits,
    ended: impl Future<Output = ()>,
) -> Result<()> {
    let Secured { aurora, router } = app;
    aurora.http().check_address(listener.local_addr().map_err(cannot_listen)?)?;
    let transport = aurora.http().transport().await?;
    let (end, draining) = watch::channel(());
    tokio::select! {
        () = take_connections(router, listener, transport, limits, draining) => {}
        () = ended => {}
    }
    end.send_replace(());
    if tokio::time::timeout(limits.drain, end.closed()).await.is_err() {
        tracing::warn!("requests were still open after the drain and were cut off");
    }
    aurora.close().await;
    Ok(())
}

/// Takes connections for ever, as many at once as there are seats.
async fn take_connections(
    router: Router,
    mut listener: TcpListener,
    transport: Transport,
    limits: Limits,
    draining: watch::Receiver<()>,
) {
    let seats = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    loop {
        let seat = Arc::clone(&seats).acquire_owned().await;
        let (socket, peer) = Listener::accept(&mut listener).await;
        let service = ServiceExt::<Request<Body>>::map_response(router.clone(), conceal).map_request(
            move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            },
        );
        let service = TowerToHyperService::new(service);
        let (http, transport, mut draining) = (http.clone(), transport.clone(), draining.clone());
        tokio::spawn(async move {
            // A handshake holds its seat and nobody else's turn; nothing was asked yet that a drain waits for.
            let socket = tokio::select! {
                taken = transport.accept(socket, limits.handshake) => taken,
                _signal = draining.changed() => return,
            };
            let Ok(socket) = socket else { return };
            let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service).with_upgrades());
            // How a connection ended is its client's affair; what a request met with was recorded.
            tokio::select! {
                _ended = connection.as_mut() => {}
                _signal = draining.changed() => {
                    connection.as_mut().graceful_shutdown();
                    drop(connection.await);
                }
            }
            drop(seat);
        });
    }
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::new(Code::Configuration, format!("cannot listen: {error}")).with_source(error)
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "tests")]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use aurora_core::http::Tls;
    use axum::routing::get;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio_rustls::TlsConnector;

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
        let server = tokio::spawn(serve_until(app, listener, Limits::WRITTEN, ended));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        end.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// attack V01
    ///
    /// Over TLS: one seat, which a stalled handshake holds for its time and no longer; and an open request, which ends
    /// before the server does.
    #[tokio::test]
    async fn over_tls_seats_come_back_and_open_requests_end() {
        let folder = std::env::temp_dir().join(format!("aurora-serve-{}-tls", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("app.db").display());
        let builder = Aurora::builder().profile(Profile::Development).database(Database::url(&url).unwrap());
        let file = folder.join("tls.pem");
        let aurora = builder.tls(Tls::development(&file)).build().await.unwrap();
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let app = secure(&aurora, Router::new()).public(Router::new().route("/slow", slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let ended = async move { drop(ended.await) };
        let mut limits = Limits::WRITTEN;
        (limits.connections, limits.handshake) = (1, Duration::from_millis(400));
        let server = tokio::spawn(serve_until(app, listener, limits, ended));
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"\x16\x03\x01").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(&file).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let begun = std::time::Instant::now();
        let socket = TcpStream::connect(address).await.unwrap();
        let mut client = connector.connect(name.clone(), socket).await.unwrap();
        println!("the seat was free after {:?}", begun.elapsed());
        assert!(begun.elapsed() > Duration::from_millis(200), "one seat alone");
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        client.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        end.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }

    async fn started(name: &str, set: impl FnOnce(&mut Limits)) -> SocketAddr {
        let hello = Router::new().route("/hello", get(|| async { "hello" }));
        let app = secure(&aurora(name).await, Router::new()).public(hello);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut limits = Limits::WRITTEN;
        set(&mut limits);
        tokio::spawn(serve_until(app, listener, limits, std::future::pending()));
        address
    }

    /// All that comes back for `sent`, within a second.
    async fn answer(client: &mut TcpStream, sent: &str) -> Option<String> {
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(1), client.read_to_string(&mut answer)).await;
        read.ok().map(|_| answer)
    }

    const WHOLE: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

    /// attack V01
    #[tokio::test]
    async fn half_a_head_is_cut() {
        let address = started("head", |limits| limits.head = Duration::from_millis(200)).await;
        for half in ["", "GET /hello HT", "GET /hello HTTP/1.1\r\nhost: localhost\r\nx-more: "] {
            let mut client = TcpStream::connect(address).await.unwrap();
            assert_eq!(answer(&mut client, half).await.as_deref(), Some(""), "{half:?}");
        }
        // Nor does one that dribbles live longer.
        let mut client = TcpStream::connect(address).await.unwrap();
        let begun = std::time::Instant::now();
        while client.write_all(b"G").await.is_ok() && begun.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(answer(&mut client, WHOLE).await.unwrap().ends_with("hello"));
    }

    /// attack V01
    #[tokio::test]
    async fn a_stalled_body_is_answered_and_cut() {
        let address = started("body", |_| {}).await;
        for (path, status, code) in
            [("signup", 408, "request_timeout"), ("token?grant_type=refresh_token", 503, "over_capacity")]
        {
            let mut client = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST /auth/v1/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            );
            client
                .write_all(format!("{head}content-length: 99\r\n\r\n{{\"email\":").as_bytes())
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            // From here on the clock runs as soon as nobody has anything to do.
            tokio::time::pause();
            let begun = tokio::time::Instant::now();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
            assert!(begun.elapsed() <= Limits::WRITTEN.body, "{:?}", begun.elapsed());
            tokio::time::resume();
        }
    }

    #[tokio::test]
    async fn over_the_cap_one_waits_to_be_accepted() {
        let address = started("cap", |limits| limits.connections = 2).await;
        let first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(answer(&mut third, WHOLE).await, None);
        drop(first);
        assert!(answer(&mut third, "").await.unwrap().ends_with("hello"));
    }

    /// asvs(V15.2.3)
    #[tokio::test]
    async fn development_listens_on_this_machine_alone() {
        let app = secure(&aurora("bind").await, Router::new());
        let error = serve(app, "0.0.0.0:0").await.unwrap_err();
        assert_eq!(error.code(), Code::Configuration);
        assert!(error.message().contains("127.0.0.1"), "{error}");
    }
}
