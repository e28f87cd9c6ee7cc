//! `adapters`: an authenticated route on axum and on actix, against the same route of the bare framework, which asks
//! nobody who they are.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use aurora_core::testing::TestClient;

use crate::client::Client;
use crate::data::Folder;
use crate::measure::{middle, verdict};
use crate::requests::quarters;
use crate::serve::{self, Server};

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 400;
const ROUNDS: usize = 15;
/// A user's id, as long as the one that the bare framework answers with.
const SOMEBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub(crate) async fn run() {
    for framework in ["axum", "actix"] {
        let folder = Folder::new(&format!("adapters-{framework}"));
        let aurora = serve::build(&folder.0).await;
        let user = TestClient::new(&aurora).sign_in("bench@example.com").await.unwrap();
        let token = user.token().expose().to_owned();
        aurora.close().await;
        let ours = Server::start(&format!("me-{framework}"), &folder.0, true);
        let bare = Server::start(&format!("bare-{framework}"), &folder.0, true);
        let again = Server::start(&format!("bare-{framework}"), &folder.0, true);
        for server in [&ours, &bare, &again] {
            serve::ready(server.port).await;
            load(server.port, &token, 20).await;
        }
        let (mut ratios, mut control, mut mine, mut plain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let first = load(bare.port, &token, REQUESTS).await;
            let aurora = load(ours.port, &token, REQUESTS).await;
            let second = load(again.port, &token, REQUESTS).await;
            ratios.push(aurora / first);
            control.push(second / first);
            mine.push(aurora);
            plain.push(first);
        }
        println!("figure adapters-{framework}.bare {:.0} /s", middle(&plain).0);
        println!("figure adapters-{framework}.aurora {:.0} /s", middle(&mine).0);
        println!("control adapters-{framework} {:.3}", middle(&control).0);
        verdict(&format!("adapters-{framework}"), middle(&ratios).0, 0.85, true, quarters(&ratios));
    }
}

async fn load(port: u16, token: &str, each: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let token = token.to_owned();
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..each {
                let (status, body) = client.get("/me", &token).await;
                assert_eq!((status, body.len()), (200, SOMEBODY.len()), "{body}");
            }
        });
    }
    tasks.join_all().await;
    (CONNECTIONS * each) as f64 / start.elapsed().as_secs_f64()
}

/// The servers of this bench. `false`: not one of them.
pub(crate) async fn server(kind: &str, folder: &Path) -> bool {
    match kind {
        "me-axum" => {
            async fn me(user: aurora_axum::CurrentUser) -> String {
                user.id().to_string()
            }
            let routes = axum::Router::new().route("/me", axum::routing::get(me));
            let app = aurora_axum::secure(&serve::build(folder).await, routes).public(axum::Router::new());
            let port = serve::free_port();
            serve::say(port);
            aurora_axum::serve(app, SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        }
        "bare-axum" => {
            let app = axum::Router::new().route("/me", axum::routing::get(|| async { SOMEBODY }));
            let port = serve::free_port();
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            serve::say(port);
            axum::serve(listener, app).await.unwrap();
        }
        "me-actix" => {
            async fn me(user: aurora_actix::CurrentUser) -> String {
                user.id().to_string()
            }
            let routes = |app: &mut actix_web::web::ServiceConfig| {
                app.route("/me", actix_web::web::get().to(me));
            };
            let app = aurora_actix::secure(&serve::build(folder).await, routes).public(|_| ());
            let port = serve::free_port();
            serve::say(port);
            aurora_actix::serve(app, ("127.0.0.1", port)).await.unwrap();
        }
        "bare-actix" => {
            let port = serve::free_port();
            let server = actix_web::HttpServer::new(|| {
                actix_web::App::new().route("/me", actix_web::web::get().to(|| async { SOMEBODY }))
            });
            let workers = std::thread::available_parallelism().map_or(1, usize::from);
            let server = server.workers(workers).bind(("127.0.0.1", port)).unwrap();
            serve::say(port);
            server.run().await.unwrap();
        }
        _ => return false,
    }
    true
}
