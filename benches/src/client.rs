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
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
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
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |text| text.trim().parse::<usize>().unwrap());
            if self.buffer.len() >= end + 4 + length {
                return (
                    status,
                    String::from_utf8_lossy(&self.buffer[end + 4..end + 4 + length]).into_owned(),
                );
            }
        }
    }
}
