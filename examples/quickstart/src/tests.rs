//! No route without its declaration, and none without its denial.

use aurora_core::testing::http::{refuses_strangers, undeclared};

use crate::{app, routes, service};

#[test]
fn every_route_is_declared() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let lines = undeclared(sources.as_ref(), &routes()).unwrap();
    // The page's files come from one list, of which `page::paths` are the paths.
    let is_the_page = |line: &String| line.starts_with("page.rs:") && line.ends_with("is not written out");
    assert!(lines.len() == 1 && lines.iter().all(is_the_page), "{lines:#?}");
}

#[tokio::test]
async fn every_private_route_refuses_strangers() {
    let folder = std::env::temp_dir().join(format!("quickstart-routes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let aurora = service(&url, &folder.join("aurora.key")).unwrap().build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(aurora_axum::serve_on(app(&aurora), listener));
    let asked = refuses_strangers(address, &routes()).await.unwrap();
    println!("{asked} routes asked for without a token");
    assert_eq!(asked, routes().iter().count());
    std::fs::remove_dir_all(&folder).unwrap();
}
