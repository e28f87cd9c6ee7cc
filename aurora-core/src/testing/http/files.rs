//! Files over a real socket: each route once for what it is there for, bodies that stream, and what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wire::{Answer, Ask};
use super::{Run, SERVICE_KEY, expect};
use crate::testing::TestClient;
use crate::types::Result;

const API: &str = "/storage/v1";
/// More than a socket's buffers and several sealed chunks.
const LARGE: usize = 700_001;

pub(super) async fn all(run: &mut Run<'_>) -> Result<()> {
    let ann = TestClient::new(&run.served.aurora).sign_in("ann.files@example.com").await?;
    let token = ann.token().expose().to_owned();
    buckets(run, &token).await?;
    objects(run, &token).await?;
    listed(run, &token).await?;
    signed(run, &token).await?;
    resumable(run, &token).await?;
    refused(run, &token).await?;
    ended(run).await
}

fn service(method: &'static str, path: &str) -> Ask {
    Ask::new(method, &format!("{API}{path}")).with("apikey", SERVICE_KEY)
}

fn as_user(method: &'static str, path: &str, token: &str) -> Ask {
    Ask::new(method, &format!("{API}{path}")).bearer(token)
}

/// Text that shows where it lies.
fn large() -> String {
    let line = "a line of a large file, 32 bytes".chars().cycle();
    line.take(LARGE).collect()
}

async fn buckets(run: &mut Run<'_>, token: &str) -> Result<()> {
    let new = json!({"id": "suite", "name": "suite", "public": true, "file_size_limit": 1_000_000});
    run.ask("a bucket is made", service("POST", "/bucket").json(&new), 200).await?;
    run.ask("a bucket twice", service("POST", "/bucket").json(&new), 400).await?;
    run.ask("a user makes none", as_user("POST", "/bucket", token).json(&json!({"id": "x"})), 400).await?;
    run.ask("buckets are listed", as_user("GET", "/bucket", token), 200).await?;
    run.ask("a bucket is told", as_user("GET", "/bucket/suite", token), 200).await?;
    run.ask("a bucket changes", service("PUT", "/bucket/suite").json(&json!({"public": true})), 200).await?;
    Ok(())
}

async fn objects(run: &mut Run<'_>, token: &str) -> Result<()> {
    let put = as_user("POST", "/object/suite/large.txt", token).with("content-type", "text/plain");
    run.ask("a large file goes in", put.with("cache-control", "max-age=60").text(&large()), 200).await?;
    let got = run.ask("and comes out", as_user("GET", "/object/suite/large.txt", token), 200).await?;
    expect("all of it", got.body == large().as_bytes() && got.header("content-length") == Some("700001"))?;
    run.seen.pop();
    let part = as_user("GET", "/object/suite/large.txt", token).with("range", "bytes=16380-16389");
    let part = run.ask("a range", part, 206).await?;
    expect("of ten bytes", Some(part.body.as_slice()) == large().as_bytes().get(16_380..16_390))?;
    expect("which is told", part.header("content-range") == Some("bytes 16380-16389/700001"))?;
    let beyond = as_user("GET", "/object/suite/large.txt", token).with("range", "bytes=700001-");
    run.ask("a range beyond the end", beyond, 416).await?;
    let head = run.ask("HEAD", as_user("HEAD", "/object/suite/large.txt", token), 200).await?;
    expect("tells the length", head.body.is_empty() && head.header("content-length") == Some("700001"))?;
    let etag = head.header("etag").unwrap_or_default().to_owned();
    let known = as_user("GET", "/object/suite/large.txt", token).with("if-none-match", &etag);
    run.ask("what is known is not sent", known, 304).await?;
    let page = as_user("PUT", "/object/suite/page.html", token).with("content-type", "text/html");
    run.ask("a page is put", page.text("<script>alert(1)</script>"), 200).await?;
    for (name, path) in [
        ("a page is saved, not shown", "/object/authenticated/suite/page.html"),
        ("of a public bucket", "/object/public/suite/page.html"),
        ("under a name", "/object/public/suite/page.html?download=a%22%0d%0ab.html"),
    ] {
        let got = run.ask(name, as_user("GET", path, token), 200).await?;
        let attached =
            got.header("content-disposition").is_some_and(|value| value.starts_with("attachment; "));
        expect("it is an attachment", attached && !got.body.is_empty())?;
        expect(
            "in a sandbox",
            got.header("content-security-policy").is_some_and(|value| value.contains("sandbox")),
        )?;
    }
    for path in [
        "/object/info/suite/page.html",
        "/object/info/authenticated/suite/page.html",
        "/object/info/public/suite/page.html",
    ] {
        run.ask("what is known of it", as_user("GET", path, token), 200).await?;
    }
    Ok(())
}

async fn listed(run: &mut Run<'_>, token: &str) -> Result<()> {
    let ask = |path: &str, body: &Value| as_user("POST", path, token).json(body);
    run.ask("a list", ask("/object/list/suite", &json!({"prefix": ""})), 200).await?;
    run.ask("pages", ask("/object/list-v2/suite", &json!({"prefix": "", "limit": 1})), 200).await?;
    let to = |from: &str, to: &str| json!({"bucketId": "suite", "sourceKey": from, "destinationKey": to});
    run.ask("a copy", ask("/object/copy", &to("page.html", "copy.html")), 200).await?;
    run.ask("a move", ask("/object/move", &to("copy.html", "moved.html")), 200).await?;
    run.ask("one is removed", as_user("DELETE", "/object/suite/moved.html", token), 200).await?;
    let several = as_user("DELETE", "/object/suite", token).json(&json!({"prefixes": ["page.html"]}));
    run.ask("several are removed", several, 200).await?;
    Ok(())
}

async fn signed(run: &mut Run<'_>, token: &str) -> Result<()> {
    let lifetime = json!({"expiresIn": 60, "paths": ["large.txt", "never.txt"]});
    let one = as_user("POST", "/object/sign/suite/large.txt", token).json(&lifetime);
    let one = run.ask("a URL to download", one, 200).await?.member("/signedURL")?;
    run.ask("many URLs", as_user("POST", "/object/sign/suite", token).json(&lifetime), 200).await?;
    let got = run.ask("a signed download", Ask::get(&format!("{API}{one}")), 200).await?;
    expect("without a token", got.body.len() == LARGE)?;
    run.seen.pop();
    let small = Ask::get(&format!("{API}{one}")).with("range", "bytes=0-9");
    run.ask("a part of it", small, 206).await?;
    let upload =
        run.ask("a URL to upload", as_user("POST", "/object/upload/sign/suite/up.txt", token), 200).await?;
    let upload = upload.member("/url")?;
    run.ask("a signed upload", Ask::new("PUT", &format!("{API}{upload}")).text("up"), 200).await?;
    let crossed = one.replace("/object/sign/", "/object/upload/sign/");
    run.ask("a URL to download uploads nothing", Ask::new("PUT", &format!("{API}{crossed}")).text("x"), 400)
        .await?;
    run.ask("an altered URL", Ask::get(&format!("{API}{one}x")), 400).await?;
    Ok(())
}

async fn resumable(run: &mut Run<'_>, token: &str) -> Result<()> {
    let upload = run
        .ask("a URL for parts", as_user("POST", "/object/upload/sign/suite/parts.txt", token), 200)
        .await?;
    let signature = upload.member("/token")?;
    for (base, name, (header, value)) in [
        ("/upload/resumable", "whole.txt", ("authorization", format!("Bearer {token}"))),
        ("/upload/resumable/sign", "parts.txt", ("x-signature", signature)),
    ] {
        let ask = |method: &'static str, path: &str| {
            Ask::new(method, path).with(header, &value).with("tus-resumable", "1.0.0")
        };
        run.ask("what is spoken", Ask::new("OPTIONS", &format!("{API}{base}")), 204).await?;
        let said = format!("bucketName {},objectName {}", STANDARD.encode("suite"), STANDARD.encode(name));
        let begin =
            ask("POST", &format!("{API}{base}")).with("upload-length", "10").with("upload-metadata", &said);
        let begun = run.ask("an upload begins", begin.clone(), 201).await?;
        let place = begun.header("location").unwrap_or_default().to_owned();
        let part = |offset: &str, text: &str| {
            let ask = ask("PATCH", &place).with("upload-offset", offset);
            ask.with("content-type", "application/offset+octet-stream").text(text)
        };
        stands(&run.ask("a part", part("0", "01234"), 204).await?, "5")?;
        run.ask("the same part again", part("0", "01234"), 409).await?;
        stands(&run.ask("where it stands", ask("HEAD", &place), 200).await?, "5")?;
        stands(&run.ask("where it stands, by GET", ask("GET", &place), 200).await?, "5")?;
        stands(&run.ask("the last part", part("5", "56789"), 204).await?, "10")?;
        let whole = run.ask("a whole", as_user("GET", &format!("/object/suite/{name}"), token), 200).await?;
        expect("of its parts", whole.body == b"0123456789")?;
        let path = format!("/object/suite/{name}");
        run.ask("to make room", as_user("DELETE", &path, token), 200).await?;
        let begun = run.ask("another begins", begin, 201).await?;
        let place = begun.header("location").unwrap_or_default().to_owned();
        run.ask("and is given up", ask("DELETE", &place), 204).await?;
    }
    Ok(())
}

fn stands(answer: &Answer, at: &str) -> Result<()> {
    expect("it stands where it should", answer.header("upload-offset") == Some(at))
}

/// attacks F01, F06
async fn refused(run: &mut Run<'_>, token: &str) -> Result<()> {
    for name in ["..%2fx", "a%00b", "a%5cb", "%ff", "a//b"] {
        run.ask("no name", as_user("POST", &format!("/object/suite/{name}"), token).text("x"), 400).await?;
    }
    let twice = large() + &large();
    let larger = as_user("POST", "/object/suite/larger.txt", token).text(&twice);
    run.ask("more than the bucket takes", larger, 400).await?;
    run.ask("nothing of it is there", as_user("GET", "/object/suite/larger.txt", token), 400).await?;
    run.ask("a stranger", Ask::get(&format!("{API}/object/suite/large.txt")), 400).await?;
    run.ask("garbage for a token", as_user("GET", "/object/suite/large.txt", "garbage"), 400).await?;
    run.ask("no such route", Ask::get(&format!("{API}/nowhere")), 400).await?;
    run.ask("no such method", Ask::new("PATCH", &format!("{API}/bucket")), 405).await?;
    let foreign = as_user("POST", "/object/suite/f.txt", token).with("origin", "https://evil.example.com");
    run.ask("a foreign page", foreign.text("x"), 400).await?;
    Ok(())
}

async fn ended(run: &mut Run<'_>) -> Result<()> {
    run.ask("a bucket that is not empty stays", service("DELETE", "/bucket/suite"), 400).await?;
    run.ask("a bucket is emptied", service("POST", "/bucket/suite/empty"), 200).await?;
    run.ask("a bucket is deleted", service("DELETE", "/bucket/suite"), 200).await?;
    Ok(())
}
