//! `files`: a file of 1 GiB up and down through the service, beside a plain copy by a route of the same HTTP server:
//! pieces of the same size, synced and renamed as well. And what the service holds in memory meanwhile.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aurora_axum::{Aurora, Database, Profile};
use aurora_core::files::BucketRules;
use aurora_core::testing::TestClient;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::put;
use futures_util::StreamExt as _;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::data::Folder;
use crate::measure::{middle, verdict};
use crate::requests::quarters;
use crate::serve::{self, Server, peak};

const LENGTH: usize = 1 << 30;
const ROUNDS: usize = 9;
/// As the service has it: bytes that are written, or read, at once.
const PIECE: usize = 256 * 1024;
const LIMIT: f64 = 0.6;
/// Above an idle process.
const MOST_MIB: f64 = 64.0;
const POLICY: &str =
    "CREATE POLICY all_of_it ON storage.objects FOR ALL TO authenticated USING (TRUE) WITH CHECK (TRUE);";

/// Where a side is asked, and by whom.
struct Place {
    port: u16,
    path: String,
    token: String,
}

pub(crate) async fn run() {
    let folder = Folder::new("files");
    let token = prepare(&folder.0).await;
    if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().first() {
        core_affinity::set_for_current(*core);
    }
    let ours = Server::start("files-aurora", &folder.0, true);
    let (first, second) = (plain(&folder.0, "first"), plain(&folder.0, "second"));
    let place = |server: &Server, path: &str| Place {
        port: server.port,
        path: path.to_owned(),
        token: token.clone(),
    };
    let service = place(&ours, "/storage/v1/object/bench/large");
    let sides = [place(&first, "/copy"), service, place(&second, "/copy")];
    for side in &sides {
        serve::ready(side.port).await;
        // Once, small: what a process has when it has done everything.
        side.upload(PIECE).await;
        side.download(PIECE).await;
        side.remove().await;
    }
    let idle = peak(ours.process());
    let (mut up, mut down): ([Vec<f64>; 3], [Vec<f64>; 3]) = Default::default();
    for round in 0..ROUNDS {
        for step in 0..3 {
            let at = (round + step) % 3;
            up[at].push(sides[at].upload(LENGTH).await);
            down[at].push(sides[at].download(LENGTH).await);
            sides[at].remove().await;
        }
    }
    let most = peak(ours.process());
    tell("files-upload", &up);
    tell("files-download", &down);
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    println!("figure files.idle-peak {:.1} MiB", mib(idle));
    println!("figure files.peak {:.1} MiB", mib(most));
    println!("figure files.above-idle {:.1} MiB (at most {MOST_MIB})", mib(most - idle));
    verdict("files.memory", mib(most - idle) / MOST_MIB, 1.0, false, 0.0);
}

fn plain(folder: &Path, name: &str) -> Server {
    let place = folder.join(name);
    std::fs::create_dir(&place).unwrap();
    Server::start("files-plain", &place, true)
}

fn tell(name: &str, [plain, ours, again]: &[Vec<f64>; 3]) {
    println!("figure {name}.plain {:.0} MB/s", middle(plain).0);
    println!("figure {name}.aurora {:.0} MB/s", middle(ours).0);
    let ratios = |of: &[f64]| of.iter().zip(plain).map(|(a, b)| a / b).collect::<Vec<f64>>();
    println!("control {name} {:.3}", middle(&ratios(again)).0);
    let ratios = ratios(ours);
    verdict(name, middle(&ratios).0, LIMIT, true, quarters(&ratios));
}

impl Place {
    async fn ask(&self, method: &str, length: usize) -> TcpStream {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let head = format!(
            "{method} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/x-bench\r\ncontent-length: {length}\r\n\r\n",
            self.path, self.token
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket
    }

    /// Megabytes a second, until the answer says that it is durable.
    async fn upload(&self, length: usize) -> f64 {
        let piece = vec![7; PIECE];
        let began = Instant::now();
        let mut socket = self.ask("PUT", length).await;
        for _ in 0..length / PIECE {
            socket.write_all(&piece).await.unwrap();
        }
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        length as f64 / 1e6 / began.elapsed().as_secs_f64()
    }

    /// Megabytes a second, to the last byte.
    async fn download(&self, length: usize) -> f64 {
        let mut buffer = vec![0; PIECE];
        let began = Instant::now();
        let mut socket = self.ask("GET", 0).await;
        let (mut read, mut head) = (0, Vec::new());
        loop {
            let some = socket.read(&mut buffer).await.unwrap();
            if some == 0 {
                break;
            }
            read += some;
            if head.is_empty() {
                head.extend_from_slice(&buffer[..some.min(2_000)]);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let ends = head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(head.starts_with(b"HTTP/1.1 200") && read == ends + length, "{read}");
        length as f64 / 1e6 / seconds
    }

    async fn remove(&self) {
        let mut answer = String::new();
        self.ask("DELETE", 0).await.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // What the disk still does about it is not the next one's.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn build(folder: &Path) -> Aurora {
    let url = format!("sqlite://{}", folder.join("app.db").display());
    Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&url).unwrap())
        .policies("bench.sql", POLICY)
        .files(folder.join("files"))
        .file_options(|files| (files.largest, files.quota) = (2 << 30, None))
        .build()
        .await
        .unwrap()
}

/// A bucket, and a user's token.
async fn prepare(folder: &Path) -> String {
    let aurora = build(folder).await;
    let files = aurora.files().unwrap();
    files.ensure_bucket(&"bench".parse().unwrap(), &BucketRules::default()).await.unwrap();
    let signed = TestClient::new(&aurora).sign_in("bench@example.com").await.unwrap();
    let token = signed.token().expose().to_owned();
    aurora.close().await;
    token
}

/// The servers of this bench. `false`: not one.
pub(crate) async fn server(kind: &str, folder: &Path) -> bool {
    let (aurora, public) = match kind {
        "files-aurora" => (build(folder).await, Router::new()),
        "files-plain" => {
            let copy = put(take).get(give).delete(drop_it);
            (build(folder).await, Router::new().route("/copy", copy).with_state(folder.to_owned()))
        }
        _ => return false,
    };
    let app = aurora_axum::secure(&aurora, Router::new()).public(public);
    let port = serve::free_port();
    serve::say(port);
    aurora_axum::serve(app, SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    true
}

/// The plain copy: written beside, synced, renamed, and the folder synced.
async fn take(State(folder): State<PathBuf>, body: Body) -> &'static str {
    let (beside, target) = (folder.join("beside"), folder.join("copy"));
    let mut file = File::create(&beside).await.unwrap();
    let (mut pieces, mut waiting) = (body.into_data_stream(), Vec::with_capacity(2 * PIECE));
    while let Some(piece) = pieces.next().await {
        waiting.extend_from_slice(&piece.unwrap());
        if waiting.len() >= PIECE {
            file.write_all(&waiting).await.unwrap();
            waiting.clear();
        }
    }
    file.write_all(&waiting).await.unwrap();
    file.flush().await.unwrap();
    file.sync_all().await.unwrap();
    fs::rename(beside, target).await.unwrap();
    File::open(&folder).await.unwrap().sync_all().await.unwrap();
    "taken"
}

async fn give(State(folder): State<PathBuf>) -> ([(&'static str, String); 1], Body) {
    let file = File::open(folder.join("copy")).await.unwrap();
    let left = usize::try_from(file.metadata().await.unwrap().len()).unwrap();
    let length = [("content-length", left.to_string())];
    let pieces = futures_util::stream::try_unfold((file, left), |(mut file, left)| async move {
        let mut piece = Vec::with_capacity(left.min(PIECE));
        while left > 0 && piece.len() < left.min(PIECE) {
            assert!(file.read_buf(&mut piece).await? > 0);
        }
        let left = left - piece.len();
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), (file, left))))
    });
    (length, Body::from_stream(pieces))
}

async fn drop_it(State(folder): State<PathBuf>) -> &'static str {
    fs::remove_file(folder.join("copy")).await.unwrap();
    "gone"
}
