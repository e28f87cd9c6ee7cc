//! `pocketbase/<shape>`: lists and counts over HTTP beside PocketBase, the same rows behind both.
//!
//! The shapes are those that PocketBase publishes figures for (<https://github.com/pocketbase/benchmarks>): the
//! author is who asks; one relation away; a relation of many, all of which have to match. Ten connections each.
//! PocketBase writes no request log here, so that only the work is compared.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aurora_core::testing::TestClient;
use serde_json::{Value, json};

use super::posts::{self, SHAPES, Shape};
use crate::client::Client;
use crate::data::{self, Folder};
use crate::measure::{median, point, verdict};
use crate::requests::quarters;
use crate::serve::{self, Server};

const CONNECTIONS: usize = 10;
/// A block of requests ends after this long, but every connection sends one.
const BLOCK: Duration = Duration::from_millis(1_500);
/// Where one request takes longer than this, one block of as many as there are cores is enough, for either side.
const LONG: Duration = Duration::from_secs(5);
pub(crate) const PASSWORD: &str = "bench-password";
const ME: &str = "u00000000000042";

/// What is asked: the path at PocketBase, the path at ours.
const QUESTIONS: [(&str, &str, &str); 2] = [
    ("list", "/api/collections/posts/records?perPage=20&skipTotal=1&sort=-@rowid", "/list"),
    ("count", "/api/collections/posts/records?perPage=1&fields=id&sort=-@rowid", "/count"),
];

/// PocketBase in a process of its own, stopped when dropped.
pub(crate) struct PocketBase {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for PocketBase {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) async fn run(only: Option<&str>, one: Option<&str>) {
    let Some(binary) = fetch() else { return };
    for rows in [10_000_u32, 100_000, 1_000_000] {
        if only.is_some_and(|only| only != rows.to_string()) {
            continue;
        }
        let folder = Folder::new(&format!("pocketbase-{rows}"));
        println!("# {rows} rows");
        let token = aurora(&folder.0, rows).await;
        let superuser = peer(&binary, &folder.0, rows).await;
        let theirs = start(&binary, &folder.0).await;
        let mine = sign_in(theirs.port, "users", "me@example.com").await;
        for shape in SHAPES.iter().filter(|shape| one.is_none_or(|one| shape.name == one)) {
            rule(&theirs, &superuser, shape.rule).await;
            let ours = Server::start(shape.server, &folder.0, false);
            serve::ready(ours.port).await;
            same(shape, &theirs, &mine, &ours, &token).await;
            for (question, path, our_path) in QUESTIONS {
                let label = format!("pocketbase/{}-{question}", shape.name);
                beside(&label, rows, (theirs.port, path, &mine), (ours.port, our_path, &token)).await;
            }
        }
    }
}

/// PocketBase's binary, or a plain word that it cannot be had.
pub(crate) fn fetch() -> Option<PathBuf> {
    let executable = std::env::current_exe().unwrap();
    let folder = executable.parent().unwrap().parent().unwrap().join("peers");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.sh");
    let output = Command::new("bash").arg(script).arg(folder).stderr(Stdio::inherit()).output().unwrap();
    if !output.status.success() {
        println!("ratio pocketbase/* not measured: PocketBase cannot be had here (see above)");
        return None;
    }
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()))
}

/// Our database, and a token of the user whom author 42 is.
async fn aurora(folder: &Path, rows: u32) -> String {
    let path = folder.join("app.db");
    posts::fill(&path, rows).await;
    let aurora = posts::build(folder, &SHAPES[0]).await;
    let signed_in = TestClient::new(&aurora).sign_in("me@example.com").await.unwrap();
    posts::adopt(&path, &signed_in.user().to_string()).await;
    let token = signed_in.token().expose().to_owned();
    aurora.close().await;
    token
}

/// PocketBase's database: collections through its API, rows into its file. The superuser's token.
async fn peer(binary: &Path, folder: &Path, rows: u32) -> String {
    let directory = format!("--dir={}", folder.join("pb_data").display());
    let made = Command::new(binary)
        .args(["superuser", "upsert", "admin@example.com", PASSWORD, &directory])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let server = start(binary, folder).await;
    let token = sign_in(server.port, "_superusers", "admin@example.com").await;
    let mut client = Client::connect(server.port).await;
    let quiet = json!({"logs": {"maxDays": 0}, "rateLimits": {"enabled": false}});
    ask(&mut client, "PATCH", "/api/settings", &token, &quiet).await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    let flag = json!({"name": "active", "type": "bool"});
    let orgs = collection(&mut client, &token, &json!({"name": "orgs", "fields": [text("name")]})).await;
    let permissions =
        collection(&mut client, &token, &json!({"name": "permissions", "fields": [flag]})).await;
    let users = ask(&mut client, "GET", "/api/collections/users", &token, &Value::Null).await;
    let mut fields = users["fields"].as_array().unwrap().clone();
    let relation = |name: &str, to: &str, most: u32| json!({"name": name, "type": "relation", "collectionId": to, "maxSelect": most});
    fields.push(relation("organization", &orgs, 1));
    fields.push(relation("permissions", &permissions, 20));
    ask(&mut client, "PATCH", "/api/collections/users", &token, &json!({ "fields": fields })).await;
    let author = relation("author", users["id"].as_str().unwrap(), 1);
    let posts = json!({"name": "posts", "fields": [text("title"), text("body"), author],
        "indexes": ["CREATE INDEX posts_author ON posts (author)"]});
    collection(&mut client, &token, &posts).await;
    let me = json!({"id": ME, "email": "me@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD});
    ask(&mut client, "POST", "/api/collections/users/records", &token, &me).await;
    drop(server);
    let mut connection = data::plain(&folder.join("pb_data/data.db"), false).await;
    posts::fill_peer(&mut connection, rows, ME).await;
    sqlx::Connection::close(connection).await.unwrap();
    token
}

pub(crate) async fn start(binary: &Path, folder: &Path) -> PocketBase {
    let port = serve::free_port();
    let child = Command::new(binary)
        .arg("serve")
        // Its answer to a query of half a minute would be an error, and there are such.
        .arg("--queryTimeout=900")
        .arg(format!("--http=127.0.0.1:{port}"))
        .arg(format!("--dir={}", folder.join("pb_data").display()))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = PocketBase { child, port };
    serve::ready(port).await;
    server
}

pub(crate) async fn sign_in(port: u16, collection: &str, email: &str) -> String {
    let mut client = Client::connect(port).await;
    let path = format!("/api/collections/{collection}/auth-with-password");
    let body = json!({"identity": email, "password": PASSWORD}).to_string();
    let (status, body) = client.post(&path, &body).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["token"].as_str().unwrap().to_owned()
}

pub(crate) async fn ask(client: &mut Client, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let (status, answer) = match method {
        "GET" => client.get(path, token).await,
        _ => client.json(method, path, token, &body.to_string()).await,
    };
    assert_eq!(status, 200, "{method} {path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

async fn collection(client: &mut Client, token: &str, body: &Value) -> String {
    let mut body = body.clone();
    body["type"] = json!("base");
    let made = ask(client, "POST", "/api/collections", token, &body).await;
    made["id"].as_str().unwrap().to_owned()
}

async fn rule(server: &PocketBase, superuser: &str, rule: &str) {
    let mut client = Client::connect(server.port).await;
    ask(&mut client, "PATCH", "/api/collections/posts", superuser, &json!({ "listRule": rule })).await;
}

/// Equal answers first: the same rows in the same order, and the same count.
async fn same(shape: &Shape, theirs: &PocketBase, mine: &str, ours: &Server, token: &str) {
    let mut answers = Vec::new();
    for (question, path, our_path) in QUESTIONS {
        let their = page(theirs.port, path, mine).await;
        let our = page(ours.port, our_path, token).await;
        if question == "list" {
            let ids = |page: &Value| -> Vec<String> {
                let items = page["items"].as_array().unwrap();
                items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(ids(&their).len(), 20, "{}: {their}", shape.name);
            assert_eq!(ids(&their), ids(&our), "{}", shape.name);
            assert_eq!(their["items"][0]["body"], our["items"][0]["body"]);
        } else {
            assert_eq!(their["totalItems"], our["totalItems"], "{}", shape.name);
            assert_eq!(their["items"][0]["id"], our["items"][0]["id"], "{}", shape.name);
            answers.push(our["totalItems"].to_string());
        }
    }
    println!("# {}: equal lists, equal counts ({})", shape.name, answers.join(", "));
}

async fn page(port: u16, path: &str, token: &str) -> Value {
    let mut client = Client::connect(port).await;
    let (status, body) = client.get(path, token).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn beside(label: &str, rows: u32, theirs: (u16, &str, &str), ours: (u16, &str, &str)) {
    let start = Instant::now();
    page(theirs.0, theirs.1, theirs.2).await;
    let (mut their, mut our, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    if start.elapsed() > LONG {
        let cores = std::thread::available_parallelism().unwrap().get();
        println!(
            "# {label}: one request took {:.0} s; {cores} at a time, once",
            start.elapsed().as_secs_f64()
        );
        let (first, second) = (load(theirs, cores).await, load(ours, cores).await);
        (their, our, ratios) = (vec![first], vec![second], vec![second / first]);
    } else {
        load(theirs, CONNECTIONS).await;
        load(ours, CONNECTIONS).await;
        let start = Instant::now();
        while ratios.len() < 3 || (ratios.len() < 9 && start.elapsed() < Duration::from_secs(40)) {
            let (first, second) = (load(theirs, CONNECTIONS).await, load(ours, CONNECTIONS).await);
            ratios.push(second / first);
            their.push(first);
            our.push(second);
        }
    }
    point(&format!("{label}/pocketbase"), rows, median(&their), "/s");
    point(&format!("{label}/aurora"), rows, median(&our), "/s");
    let size = match rows {
        1_000_000 => "-1m",
        100_000 => "",
        _ => "-10k",
    };
    verdict(&format!("{label}{size}"), median(&ratios), 5.0, true, quarters(&ratios));
}

/// Requests per second over so many kept connections.
async fn load((port, path, token): (u16, &str, &str), connections: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (path, token) = (path.to_owned(), token.to_owned());
        tasks.spawn(async move {
            let mut client = Client::connect(port).await;
            let mut done = 0_u32;
            while done == 0 || start.elapsed() < BLOCK {
                let (status, body) = client.get(&path, &token).await;
                assert_eq!(status, 200, "{body}");
                done += 1;
            }
            done
        });
    }
    let done: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(done) / start.elapsed().as_secs_f64()
}
