//! Files in an S3 bucket of a server that others wrote, which `AURORA_TEST_AWS` names (`scripts/test-aws`), and of
//! servers that are not what they should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aurora_core::env::{Clock as _, ManualClock, SystemClock, SystemEntropy};
use aurora_core::files::{BlobId, BlobStore, ObjectStoreBlobs, S3Bucket};
use aurora_core::types::Code;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::certificates::Authority;
use crate::store::{OWN_FOLDER, Store, builder, pattern, scratch, url_of};

/// The server's address, where there is one.
fn server() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "`scripts/test` names the server so")]
    let named = std::env::var("AURORA_TEST_AWS").ok();
    if named.is_none() {
        println!("AURORA_TEST_AWS is not set: no S3 server was asked");
    }
    named
}

fn bucket(endpoint: &str, name: &str) -> S3Bucket {
    S3Bucket {
        name: name.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        access_key_id: "aurora".to_owned(),
        secret_access_key: "a secret of the test".into(),
        prefix: "files/of/aurora".to_owned(),
    }
}

/// What the server answers to a question past Aurora.
async fn asked(endpoint: &str, method: &str, path: &str) -> String {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut line = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// A bucket that nobody else uses.
async fn fresh(endpoint: &str) -> (ObjectStoreBlobs, String) {
    let name = scratch().file_name().unwrap().to_str().unwrap().to_owned();
    asked(endpoint, "PUT", &format!("/{name}")).await;
    (ObjectStoreBlobs::s3(&bucket(endpoint, &name)).unwrap(), name)
}

async fn keys(endpoint: &str, bucket: &str) -> Vec<String> {
    let listed = asked(endpoint, "GET", &format!("/{bucket}?list-type=2")).await;
    let keys = listed.split("<Key>").skip(1);
    keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_a_blob_store() {
    let Some(endpoint) = server() else { return };
    let (blobs, name) = fresh(&endpoint).await;
    println!("{:#?}", aurora_core::testing::blobs::conforms(&blobs).await.unwrap());
    assert!(keys(&endpoint, &name).await.is_empty());
}

/// What was sent of a blob that is given up is given up there, too.
#[tokio::test]
async fn parts_of_a_dropped_draft_are_aborted() {
    let Some(endpoint) = server() else { return };
    let (blobs, name) = fresh(&endpoint).await;
    let mut draft = blobs.draft(&BlobId::draw(&SystemEntropy).unwrap()).await.unwrap();
    for _ in 0..20 {
        draft.write(Bytes::from(pattern(1 << 20))).await.unwrap();
    }
    let parts =
        async || asked(&endpoint, "GET", &format!("/{name}?uploads")).await.matches("<UploadId>").count();
    assert_eq!(parts().await, 1);
    drop(draft);
    for _ in 0..100 {
        if parts().await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the parts are there still");
}

/// attack F01: the service on a bucket, whole: what goes in comes out, by ranges too; what is removed is gone; what
/// nothing names is swept, what is missing is told; and no name and no content is to be read in the bucket.
#[tokio::test]
async fn files_lie_in_a_bucket() {
    let Some(endpoint) = server() else { return };
    let (blobs, name) = fresh(&endpoint).await;
    let folder = scratch();
    let url = url_of(&folder).await;
    // The server's clock is this machine's.
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let built = builder(&folder, &url, OWN_FOLDER, &clock).blobs(Arc::new(blobs.clone()));
    let aurora = built.build().await.unwrap();
    let store = Store { aurora, clock, folder, url, policies: OWN_FOLDER.to_owned() };
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    let path = |name: &str| format!("/object/notes/{}/{name}", ann.id);
    let large = b"the wind in the willows ".repeat(900_000);
    for (name, content) in [("small", pattern(100)), ("large", large.clone()), ("%252e%252e%2Fx", pattern(9))]
    {
        let put = store.post(&path(name)).bearer(&ann.token).body(content).send().await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let got = store.get(&path("large")).bearer(&ann.token).send().await;
    assert!(!got.broken && got.body == large);
    for range in [0..1, 16_380..16_390, 2_097_100..4_300_000, 21_599_990..21_600_000] {
        let said = format!("bytes={}-{}", range.start, range.end - 1);
        let part = store.get(&path("large")).bearer(&ann.token).with("range", &said).send().await;
        assert!(part.status == 206 && part.body == large[range], "{said}");
    }
    let stored = keys(&endpoint, &name).await;
    assert_eq!(stored.len(), 3);
    for key in &stored {
        let id = key.rsplit('/').next().unwrap();
        assert!(
            id.parse::<BlobId>().is_ok() && *key == format!("files/of/aurora/{}/{id}", &id[..2]),
            "{key}"
        );
    }
    for stored in blobs.list(None, 10).await.unwrap() {
        let mut pieces = blobs.read(&stored.id, 0..stored.size).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(bytes.len() as u64, stored.size);
        assert!(!bytes.windows(16).any(|window| window == b"the wind in the "));
    }
    let put = store.ask("PUT", &path("small")).bearer(&ann.token).body(pattern(200)).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(store.get(&path("small")).bearer(&ann.token).send().await.body, pattern(200));
    let removed = json!({ "prefixes": [format!("{}/large", ann.id)] });
    store.ask("DELETE", "/object/notes").bearer(&ann.token).json(&removed).send().await;
    assert_eq!(keys(&endpoint, &name).await.len(), 2, "what was replaced and removed is gone");
    let orphan = BlobId::draw(&SystemEntropy).unwrap();
    let mut draft = blobs.draft(&orphan).await.unwrap();
    draft.write(Bytes::from_static(b"orphan")).await.unwrap();
    draft.finish().await.unwrap();
    let lost =
        store.rows("SELECT version FROM storage_objects WHERE name LIKE '%/small'").await[0][0].clone();
    blobs.remove(&lost.unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(store.files().sweep().await.unwrap(), Default::default(), "what is young is left alone");
    store.clock.advance(Duration::from_secs(3 * 86_400));
    let report = store.files().sweep().await.unwrap();
    assert_eq!((report.orphans, report.missing), (1, 1), "{report:?}");
    assert_eq!(keys(&endpoint, &name).await.len(), 1);
}

/// A server that is not there, or that nobody vouches for, is "come back later" within a person's patience, and is told
/// nothing.
#[tokio::test]
async fn a_server_that_is_not_the_one_is_told_nothing() {
    let folder = scratch();
    let issued = Authority::new().issue(&["localhost"]);
    let (certificate, key) = issued.put(&folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = rustls_of(&certificate, &key);
    let (asked, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (asking, telling) = (asked.clone(), told.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            asking.fetch_add(1, Ordering::SeqCst);
            if let Ok(mut line) = tokio_rustls::TlsAcceptor::from(config.clone()).accept(socket).await {
                telling.fetch_add(line.read(&mut [0; 1000]).await.unwrap_or(0), Ordering::SeqCst);
            }
        }
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for endpoint in [format!("https://localhost:{port}"), format!("http://127.0.0.1:{closed}")] {
        let began = Instant::now();
        let blobs = ObjectStoreBlobs::s3(&bucket(&endpoint, "b")).unwrap();
        let refused = blobs.draft(&BlobId::draw(&SystemEntropy).unwrap()).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::OverCapacity, "{refused:?}");
        assert!(!format!("{refused:?}").contains("a secret of the test"));
        assert!(
            refused.retry_after().is_some() && began.elapsed() < Duration::from_secs(40),
            "{:?}",
            began.elapsed()
        );
        println!("{endpoint}: {refused:?} after {:?}", began.elapsed());
    }
    assert!(asked.load(Ordering::SeqCst) > 0);
    assert_eq!(told.load(Ordering::SeqCst), 0, "no byte of a request");
}

fn rustls_of(certificate: &std::path::Path, key: &std::path::Path) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(certificate).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap())
}
