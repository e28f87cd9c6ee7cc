//! A small HTTP/1.1 client on one kept connection: the load must cost less than what it measures.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(16 * 1024) }
    }

    pub(crate) async fn get(&mut self, path: &str, token: &str) -> (u16, String) {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        self.send(request.as_bytes()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        self.json("POST", path, "", body).await
    }

    /// A JSON body, with a token unless it is empty.
    pub(crate) async fn json(&mut self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let token =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{token}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.send(request.as_bytes()).await
    }

    async fn send(&mut self, request: &[u8]) -> (u16, String) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            let mut chunk = [0; 8 * 1024];
            let read = self.stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the server hung up");
            self.buffer.extend_from_slice(&chunk[..read]);
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_ascii_lowercase();
            let status = head[9..12].parse().unwrap();
            let body = &self.buffer[end + 4..];
            if head.contains("transfer-encoding: chunked") {
                if body.ends_with(b"0\r\n\r\n") {
                    return (status, unchunked(body));
                }
                continue;
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |text| text.trim().parse::<usize>().unwrap());
            if body.len() >= length {
                return (status, String::from_utf8_lossy(&body[..length]).into_owned());
            }
        }
    }
}

fn unchunked(mut body: &[u8]) -> String {
    let mut whole = Vec::with_capacity(body.len());
    while let Some(line) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap().trim(), 16).unwrap();
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&body[line + 2..line + 2 + length]);
        body = &body[line + 2 + length + 2..];
    }
    String::from_utf8(whole).unwrap()
}
