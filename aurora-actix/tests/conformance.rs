//! Both adapters on both databases, through one suite over real sockets, and their answers compared.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../../aurora-core/tests/common/postgres.rs"]
mod postgres;

use std::net::{SocketAddr, TcpListener};

use actix_web::web::ServiceConfig;
use aurora_core::config::Profile;
use aurora_core::guard::{Guarded, Load};
use aurora_core::http::Tls;
use aurora_core::testing::http::{self, Exchange, OWN, Served};
use aurora_core::{Aurora, Database, types};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

#[derive(serde::Serialize, sqlx::FromRow)]
struct Note {
    id: i64,
    title: String,
}

#[derive(serde::Deserialize, validator::Validate)]
struct NewNote {
    #[validate(length(min = 1, max = 80))]
    title: String,
}

#[derive(serde::Serialize)]
struct Me {
    id: String,
    email: String,
    aal: String,
}

impl Load for Note {
    type Id = i64;
    const NAME: &'static str = "note";

    async fn load(db: &Guarded, id: i64) -> types::Result<Option<Self>> {
        db.query_as("SELECT id, title FROM notes WHERE id = $1").bind(id).fetch_optional().await
    }
}

const LIST: &str = "SELECT id, title FROM notes ORDER BY id";
const VAULT: &str = "SELECT id, title FROM vault ORDER BY id";
const INSERT: &str = "INSERT INTO notes (owner, title) VALUES ($1, $2) RETURNING id, title";

mod on_axum {
    use aurora_axum::{Code, CurrentUser, Error, Fresh, Guarded, Json, Owned, Result, Valid};
    use aurora_core::types;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::{INSERT, LIST, Me, NewNote, Note, OWN, VAULT};

    async fn list(db: Guarded) -> Result<Json<Vec<Note>>> {
        Ok(Json(db.query_as(LIST).fetch_all().await?))
    }

    async fn create(
        db: Guarded,
        user: CurrentUser,
        Valid(Json(new)): Valid<Json<NewNote>>,
    ) -> Result<(StatusCode, Json<Note>)> {
        let owner = user.id().to_string();
        let note = db.query_as(INSERT).bind(owner).bind(new.title).fetch_one().await?;
        Ok((StatusCode::CREATED, Json(note)))
    }

    async fn read(Owned(note): Owned<Note>) -> Json<Note> {
        Json(note)
    }

    async fn touch(db: Guarded, user: CurrentUser) -> Result<Json<Note>> {
        let owner = user.id().to_string();
        Ok(Json(db.query_as(INSERT).bind(owner).bind("touched").fetch_one().await?))
    }

    async fn me(user: CurrentUser) -> Json<Me> {
        let claims = user.claims();
        Json(Me { id: user.id().to_string(), email: claims.email.clone(), aal: claims.aal.clone() })
    }

    async fn vault(db: Guarded) -> Result<Json<Vec<Note>>> {
        Ok(Json(db.query_as(VAULT).fetch_all().await?))
    }

    async fn fresh(_: Fresh<300>) -> &'static str {
        "fresh"
    }

    async fn broken() -> Result<&'static str> {
        Err(types::Error::internal("the cause").into())
    }

    async fn missing() -> Result<&'static str> {
        Err(Error::new(Code::NotFound, "No such thing"))
    }

    async fn panics() -> &'static str {
        panic!("a handler of the test's")
    }

    pub(crate) fn private() -> Router {
        Router::new()
            .route("/notes", get(list).post(create))
            .route("/notes/{id}", get(read))
            .route("/touch", get(touch))
            .route("/me", get(me))
            .route("/vault", get(vault))
            .route("/fresh", get(fresh))
            .route("/broken", get(broken))
            .route("/missing", get(missing))
            .route("/panic", get(panics))
    }

    pub(crate) fn public() -> Router {
        Router::new()
            .route("/open", get(|| async { "open" }))
            .route("/own", get(|| async { (OWN, "own") }))
            .route("/public", get(list))
    }
}

mod on_actix {
    use actix_web::web::{self, Json, ServiceConfig};
    use actix_web::{HttpResponse, HttpResponseBuilder};
    use aurora_actix::{Code, CurrentUser, Error, Fresh, Guarded, Owned, Result, Valid};
    use aurora_core::types;

    use super::{INSERT, LIST, Me, NewNote, Note, OWN, VAULT};

    async fn list(db: Guarded) -> Result<Json<Vec<Note>>> {
        Ok(Json(db.query_as(LIST).fetch_all().await?))
    }

    async fn create(
        db: Guarded,
        user: CurrentUser,
        Valid(Json(new)): Valid<Json<NewNote>>,
    ) -> Result<HttpResponse> {
        let owner = user.id().to_string();
        let note: Note = db.query_as(INSERT).bind(owner).bind(new.title).fetch_one().await?;
        Ok(HttpResponse::Created().json(note))
    }

    async fn read(Owned(note): Owned<Note>) -> Json<Note> {
        Json(note)
    }

    async fn touch(db: Guarded, user: CurrentUser) -> Result<Json<Note>> {
        let owner = user.id().to_string();
        Ok(Json(db.query_as(INSERT).bind(owner).bind("touched").fetch_one().await?))
    }

    async fn me(user: CurrentUser) -> Json<Me> {
        let claims = user.claims();
        Json(Me { id: user.id().to_string(), email: claims.email.clone(), aal: claims.aal.clone() })
    }

    async fn vault(db: Guarded) -> Result<Json<Vec<Note>>> {
        Ok(Json(db.query_as(VAULT).fetch_all().await?))
    }

    async fn fresh(_: Fresh<300>) -> &'static str {
        "fresh"
    }

    async fn broken() -> Result<&'static str> {
        Err(types::Error::internal("the cause").into())
    }

    async fn missing() -> Result<&'static str> {
        Err(Error::new(Code::NotFound, "No such thing"))
    }

    async fn panics() -> &'static str {
        panic!("a handler of the test's")
    }

    pub(crate) fn private(app: &mut ServiceConfig) {
        app.route("/notes", web::get().to(list))
            .route("/notes", web::post().to(create))
            .route("/notes/{id}", web::get().to(read))
            .route("/touch", web::get().to(touch))
            .route("/me", web::get().to(me))
            .route("/vault", web::get().to(vault))
            .route("/fresh", web::get().to(fresh))
            .route("/broken", web::get().to(broken))
            .route("/missing", web::get().to(missing))
            .route("/panic", web::get().to(panics));
    }

    const TEXT: &str = "text/plain; charset=utf-8";

    fn with(mut answer: HttpResponseBuilder, header: (&'static str, &'static str)) -> HttpResponseBuilder {
        answer.insert_header(header);
        answer
    }

    pub(crate) fn public(app: &mut ServiceConfig) {
        let own = || async { OWN.into_iter().fold(HttpResponse::Ok(), with).content_type(TEXT).body("own") };
        app.route("/open", web::get().to(|| async { "open" }))
            .route("/own", web::get().to(own))
            .route("/public", web::get().to(list));
    }
}

async fn on_sqlite(name: &str, by_mail: bool, over_tls: bool) -> Aurora {
    let folder = std::env::temp_dir().join(format!("aurora-conformance-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    connection.execute(http::SQLITE).await.unwrap();
    connection.execute(http::ROWS).await.unwrap();
    connection.close().await.unwrap();
    let tls = over_tls.then(|| Tls::development(folder.join("tls.pem")));
    aurora(Database::url(&url).unwrap(), folder.join("aurora.key"), by_mail, tls).await
}

async fn on_postgres(name: &str, by_mail: bool) -> Aurora {
    let place = postgres::Place::new().await;
    let mut owner = sqlx::PgConnection::connect(&place.owner_url()).await.unwrap();
    owner.execute(http::POSTGRES).await.unwrap();
    owner.execute(http::ROWS).await.unwrap();
    owner.close().await.unwrap();
    let folder = std::env::temp_dir().join(format!("aurora-conformance-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    aurora(Database::url(&place.owner_url()).unwrap(), folder.join("aurora.key"), by_mail, None).await
}

/// The suite's first service, or the second one, whose addresses are confirmed by mail.
async fn aurora(database: Database, key_file: std::path::PathBuf, by_mail: bool, tls: Option<Tls>) -> Aurora {
    let builder = Aurora::builder().profile(Profile::Development).database(database);
    let builder = match tls {
        Some(tls) => builder.tls(tls),
        None => builder,
    };
    let policies =
        if by_mail { [http::POLICIES, http::FILE_POLICIES].concat() } else { http::POLICIES.to_owned() };
    let files = key_file.with_file_name("files");
    let builder = builder.policies("policies.sql", &policies).key_file(key_file);
    let builder =
        builder.configure(|settings| settings.cors_origins.push("https://spa.example.com".parse().unwrap()));
    let builder = if by_mail {
        builder.configure(http::by_mail).limits(http::roomy()).files(files)
    } else {
        builder.cookie_sessions()
    };
    builder.build().await.unwrap()
}

/// Serves on a thread of its own, as a program would, until the process ends.
fn served(aurora: &Aurora, on_actix: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let aurora = aurora.clone();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            if on_actix {
                let private: fn(&mut ServiceConfig) = on_actix::private;
                let app = aurora_actix::secure(&aurora, private).public(on_actix::public);
                aurora_actix::serve_on(app, listener).await.unwrap();
            } else {
                let app = aurora_axum::secure(&aurora, on_axum::private()).public(on_axum::public());
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                aurora_axum::serve_on(app, listener).await.unwrap();
            }
        });
    });
    address
}

/// attacks A02, A08, J01, J02, J03, J04, J09, J17, J18, J19, R01, R06, S02, S04, S05, S06, S07, S08, V02, V03, V04
///
/// asvs(V3.3.1, V3.3.3, V3.4.4, V3.4.5, V3.5.1, V3.5.2, V3.5.3, V4.1.4, V8.2.1, V8.2.2)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_adapter_answers_alike_on_every_database() {
    let mut all: Vec<(&str, Vec<Exchange>)> = Vec::new();
    for (name, on_actix, on_one_file, over_tls) in [
        ("axum on SQLite", false, true, false),
        ("actix on SQLite", true, true, false),
        ("axum on SQLite over TLS", false, true, true),
        ("actix on SQLite over TLS", true, true, true),
        ("axum on PostgreSQL", false, false, false),
        ("actix on PostgreSQL", true, false, false),
    ] {
        let mut seen = Vec::new();
        for by_mail in [false, true] {
            let folder = format!("{}-{by_mail}", name.replace(' ', "-"));
            let aurora = if on_one_file {
                on_sqlite(&folder, by_mail, over_tls).await
            } else {
                on_postgres(&folder, by_mail).await
            };
            // Made before the client reads what to trust.
            aurora.http().transport().await.unwrap();
            let served = Served { address: served(&aurora, on_actix), aurora };
            let part =
                if by_mail { http::conforms_by_mail(&served).await } else { http::conforms(&served).await };
            let part = part.unwrap_or_else(|error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                panic!("{name}: {error:?}: {source:?}")
            });
            println!("{name}, {}: {} exchanges", if by_mail { "by mail" } else { "at once" }, part.len());
            seen.extend(part);
        }
        let forgotten = http::uncovered(&seen);
        assert!(forgotten.is_empty(), "{name}: {forgotten:#?}");
        all.push((name, seen));
    }
    let (first, others) = all.split_first().unwrap();
    let mut differences = Vec::new();
    for (name, seen) in others {
        assert_eq!(seen.len(), first.1.len());
        for (ours, theirs) in seen.iter().zip(&first.1) {
            if ours != theirs {
                differences.push(format!("{name}: {ours:#?}\n{}: {theirs:#?}", first.0));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(first.1.len() > 490, "{}", first.1.len());
}
