//! The door before the host's routes, and what a request may say about itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::net::IpAddr;
use std::sync::Arc;

use aurora_core::http::{Admitted, Peer, Rejection};
use common::{Fixture, Options, SERVICE_KEY};
use http::Request;
use http::request::Parts;

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

async fn admit(fixture: &Fixture, from: &str, head: &Parts) -> Result<Admitted, Rejection> {
    fixture.http.admit(head, Peer::from(from.parse::<IpAddr>().unwrap())).await
}

/// attack U05, asvs(V16.2.1): who holds a service key leaves a record: once per key, address and minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_key_leaves_its_record() {
    const SECOND: &str = "sb_secret_2222222222222222222222222222";
    let mut options = Options::default();
    options.settings.api_keys.service.push(SECOND.into());
    let fixture = Arc::new(Fixture::with(options).await);
    let bearer = format!("Bearer {SERVICE_KEY}");
    let service = [("authorization", bearer.as_str())];
    let ask = head("/jobs/nightly?secret=in-the-query", &service);
    let mut running = Vec::new();
    for _ in 0..20 {
        let (fixture, ask) = (Arc::clone(&fixture), ask.clone());
        running.push(tokio::spawn(
            async move { admit(&fixture, "192.0.2.1", &ask).await.unwrap().request_id() },
        ));
    }
    let mut requests = Vec::new();
    for one in running {
        requests.push(one.await.unwrap().to_string());
    }
    let rows = fixture.audit().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((row.kind.as_str(), row.action.as_str()), ("access", "unguarded_access"));
    assert_eq!(row.actor, "service");
    assert!(requests.contains(row.request.as_ref().unwrap()));
    assert_eq!(row.payload["route"], "/jobs/nightly");
    assert_eq!(row.payload["address"], "192.0.2.1");
    assert!(!row.payload.to_string().contains("sb_secret") && !row.payload.to_string().contains("query"));
    // Another address, another key, another minute: another record each.
    admit(&fixture, "192.0.2.2", &ask).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 2);
    admit(&fixture, "192.0.2.1", &head("/x", &[("apikey", SECOND)])).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 3);
    fixture.advance(59);
    admit(&fixture, "192.0.2.1", &ask).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 3);
    fixture.advance(1);
    admit(&fixture, "192.0.2.1", &ask).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 4);
    // No one else leaves one.
    admit(&fixture, "192.0.2.1", &head("/x", &[])).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 4);
}

/// attack U06, asvs(V16.5.3): no record, no service: and the next request tries again.
#[tokio::test]
async fn without_its_record_a_service_key_opens_nothing() {
    let fixture = Fixture::new().await;
    let ask = head("/jobs", &[("apikey", SERVICE_KEY)]);
    fixture.execute("ALTER TABLE aurora_audit RENAME TO gone").await;
    for _ in 0..2 {
        assert_eq!(admit(&fixture, "192.0.2.1", &ask).await.unwrap_err().into_response().status(), 500);
    }
    fixture.execute("ALTER TABLE gone RENAME TO aurora_audit").await;
    admit(&fixture, "192.0.2.1", &ask).await.unwrap();
    assert_eq!(fixture.audit().await.len(), 1);
}

/// attack A09, asvs(V4.1.3):
/// a client that names its own request could make records of its deeds look like someone else's.
#[tokio::test]
async fn a_request_s_id_is_believed_from_declared_proxies_only() {
    const SENT: &str = "7b1d2f0a-9d5e-4c53-8f0e-0d6f6b6f2a11";
    let mut options = Options::default();
    options.settings.trusted_proxies.push("10.0.0.0/8".parse().unwrap());
    let fixture = Fixture::with(options).await;
    for (from, believed) in [("10.0.0.1", true), ("192.0.2.1", false), ("127.0.0.1", false)] {
        let body = format!(r#"{{"email":"{from}@example.com","password":"a long password"}}"#);
        let request = Request::post("/auth/v1/signup")
            .header("content-type", "application/json")
            .header("x-request-id", SENT)
            .header("x-forwarded-for", "203.0.113.5");
        let reply = fixture.send(request.body(body.into_bytes()).unwrap(), from).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == SENT, believed, "{from}");
        assert_eq!(fixture.audit().await.pop().unwrap().request, Some(id));
        let admitted = admit(&fixture, from, &head("/notes", &[("x-request-id", SENT)])).await.unwrap();
        assert_eq!(admitted.request_id().to_string() == SENT, believed, "{from}");
    }
    // An adapter's own id is the request's.
    let mut given = head("/notes", &[("x-request-id", SENT)]);
    let id = aurora_core::types::RequestId::from_bytes([9; 16]);
    given.extensions.insert(id);
    assert_eq!(admit(&fixture, "192.0.2.1", &given).await.unwrap().request_id(), id);
}

/// attack S08:
/// DNS rebinding: a page of a name that was pointed at this machine is its own origin, and gets nowhere.
#[tokio::test]
async fn in_development_the_host_is_this_machine() {
    let fixture = Fixture::new().await;
    let sign_up = async |host: &str, origin: Option<&str>| {
        let body = format!(r#"{{"email":"{}@example.com","password":"a long password"}}"#, host.len());
        let mut request =
            Request::post("/auth/v1/signup").header("content-type", "application/json").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let reply = fixture.send(request.body(body.into_bytes()).unwrap(), "127.0.0.1").await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let refused = (403, "origin_not_allowed".to_owned());
    for host in ["localhost:5173", "localhost", "127.0.0.1:8080", "[::1]:3000", "LOCALHOST:1"] {
        let origin = format!("http://{}", host.to_ascii_lowercase());
        assert_ne!(sign_up(host, Some(&origin)).await, refused, "{host}");
        assert!(admit(&fixture, "127.0.0.1", &head("/notes", &[("host", host)])).await.is_ok(), "{host}");
    }
    for host in [
        "evil.test",
        "evil.test:8080",
        "localhost.evil.test",
        "127.0.0.1.evil.test:8080",
        "localhost@evil.test",
        "192.0.2.1:8080",
        "",
    ] {
        let origin = format!("http://{host}");
        assert_eq!(sign_up(host, Some(&origin)).await, refused, "{host}");
        assert_eq!(sign_up(host, None).await, refused, "{host}");
        let error =
            admit(&fixture, "127.0.0.1", &head("/notes", &[("host", host), ("origin", &origin)])).await;
        assert_eq!(error.unwrap_err().into_response().status(), 403, "{host}");
    }
    assert!(admit(&fixture, "127.0.0.1", &head("https://evil.test/notes", &[])).await.is_err());
    assert!(admit(&fixture, "127.0.0.1", &head("/notes", &[])).await.is_ok());
}

/// attack S07: production knows its own origin from `site_url`, never from a header.
#[tokio::test]
async fn in_production_the_own_origin_is_the_site_s() {
    let fixture = Fixture::with(Options::in_production()).await;
    for (origin, allowed) in [("http://evil.test", false), ("http://127.0.0.1:8080", true)] {
        let request = Request::post("/auth/v1/signup")
            .header("content-type", "application/json")
            .header("host", "evil.test")
            .header("origin", origin);
        let body = br#"{"email":"ann@example.com","password":"a long password"}"#.to_vec();
        let reply = fixture.send(request.body(body).unwrap(), "127.0.0.1").await;
        assert_eq!(reply.status == 200, allowed, "{}", reply.text);
    }
    assert!(admit(&fixture, "192.0.2.1", &head("/notes", &[("host", "any.test")])).await.is_ok());
}
