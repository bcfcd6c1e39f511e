//! The least of an HTTP/1.1 client: one kept connection, one request at a time.
//!
//! The generator shares its two cores with the server that it measures, so what it costs is taken
//! from the server. Writing bytes and finding the end of the answer costs a third of a full client.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are taken before the server is called broken.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(2048) })
    }

    /// Sends one whole request, reads the whole answer and gives its status. After an error the
    /// connection is of no more use.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some(head) = Head::find(&self.buffer)? {
                let end = head.bytes + head.content_length;
                while self.buffer.len() < end {
                    self.fill().await?;
                }
                return Ok(head.status);
            }
            self.fill().await?;
        }
    }

    /// The last answer, as it came.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.buffer
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(malformed("the answer is too long"));
        }
        Ok(())
    }
}

/// Asks once, on a connection of its own, and gives the status.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    Connection::open(address).await?.exchange(request.as_bytes()).await
}

struct Head {
    status: u16,
    content_length: usize,
    bytes: usize,
}

impl Head {
    /// `None` while the end of the headers has not come.
    fn find(buffer: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(buffer.get(..end).unwrap_or_default())
            .map_err(|_| malformed("the headers are not text"))?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| malformed("no status"))?;
        let mut content_length = 0;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                content_length =
                    value.trim().parse().map_err(|_| malformed("no length of the body"))?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(malformed("a chunked answer"));
            }
        }
        Ok(Some(Self { status, content_length, bytes: end + 4 }))
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_when_whole() {
        assert!(Head::find(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n").unwrap().is_none());
        let head = Head::find(b"HTTP/1.1 503 x\r\nContent-Length: 3\r\n\r\nabc").unwrap().unwrap();
        assert_eq!((head.status, head.content_length, head.bytes), (503, 3, 37));
        let empty = Head::find(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((empty.status, empty.content_length), (204, 0));
    }

    #[test]
    fn what_is_not_an_answer_is_an_error() {
        assert!(Head::find(b"nonsense\r\n\r\n").is_err());
        assert!(Head::find(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(Head::find(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
