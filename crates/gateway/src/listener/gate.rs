//! The gate: looks at the head of each request as it came over the wire, before the server does.
//!
//! The server forgives what a payment gateway must not: a length beside a transfer coding, repeated
//! lengths, lines that end in a bare LF. Where two readers of one stream may disagree on where a
//! request ends, one of them can be fed a request that the other never saw (RFC 9112 §11.2). So the
//! gate holds a head back until it is whole, judges it ([`head`]), and hands it on unchanged or not
//! at all: in the place of a refused head the server gets a *marker*, a request that no client can
//! send, which is answered with the refusal and ends the connection.
//!
//! Since only `Content-Length` frames a body, the gate knows where each request ends. What comes
//! between that end and the answer is no request: nobody who waits for an answer has sent it. It is
//! thrown away, and the connection ends after the answer.

mod head;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use model::limits::{HEADER_BYTES_MAX, LINGER_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Refusal;
use head::Head;

/// The method of a marker. The gate lets no client use it.
const MARKER: &str = "REFUSED";

/// The refusal that a request stands for, if it is a marker.
pub(crate) fn refused<B>(request: &http::Request<B>) -> Option<Refusal> {
    if request.method().as_str() != MARKER {
        return None;
    }
    let code = request.uri().path().trim_start_matches('/');
    let known = Refusal::ALL.iter().copied().find(|refusal| refusal.code() == code);
    Some(known.unwrap_or(Refusal::HeadMalformed))
}

fn marker(refusal: Refusal) -> Vec<u8> {
    format!("{MARKER} /{} HTTP/1.1\r\nconnection: close\r\n\r\n", refusal.code()).into_bytes()
}

/// What the head of a request is judged to be: not whole yet, or so many bytes of head and of body.
#[cfg(feature = "fuzzing")]
pub(crate) fn judge(bytes: &[u8]) -> Result<Option<(usize, u64)>, Refusal> {
    match head::judge(bytes) {
        Head::Partial => Ok(None),
        Head::Whole { bytes, body_bytes } => Ok(Some((bytes, body_bytes))),
        Head::Refused(refusal) => Err(refusal),
    }
}

/// A stream whose requests were judged.
pub(crate) struct Gate<S> {
    stream: S,
    /// A head that is not whole yet.
    held: Vec<u8>,
    /// What the server gets before anything more is read.
    ready: Vec<u8>,
    body_bytes_left: u64,
    /// Whether the answer to the last request has begun.
    answered: bool,
    /// Nothing that still comes is looked at.
    ended: Option<Ended>,
    shut: bool,
    lingered_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// A head was refused; the marker's answer closes the connection.
    Refused,
    /// Something came before an answer: the end of the stream, once that answer has begun.
    Overrun,
}

impl<S> Gate<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            held: Vec::new(),
            ready: Vec::new(),
            body_bytes_left: 0,
            answered: true,
            ended: None,
            shut: false,
            lingered_bytes: 0,
        }
    }

    /// How many of these bytes the server may have as they are; the rest was taken care of.
    fn pass(&mut self, fresh: &[u8]) -> usize {
        if self.held.is_empty() {
            return self.judge(fresh);
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(fresh);
        let passed = self.judge(&bytes);
        // Nothing of it was passed before, so a marker alone or all of this is what comes next.
        if passed > 0 {
            bytes.truncate(passed);
            self.ready = bytes;
        }
        0
    }

    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut passed = self.body_part(bytes.len());
        let rest = bytes.get(passed..).unwrap_or_default();
        if rest.is_empty() {
            return passed;
        }
        if !self.answered {
            self.ended = Some(Ended::Overrun);
            return passed;
        }
        match head::judge(rest) {
            Head::Partial => self.held.extend_from_slice(rest),
            Head::Refused(refusal) => self.refuse(refusal),
            Head::Whole { bytes: head_bytes, body_bytes } => {
                self.answered = false;
                self.body_bytes_left = body_bytes;
                passed += head_bytes;
                passed += self.body_part(bytes.len() - passed);
                if passed < bytes.len() {
                    self.ended = Some(Ended::Overrun);
                }
            }
        }
        passed
    }

    /// How many of so many bytes belong to the body that is being read.
    fn body_part(&mut self, bytes: usize) -> usize {
        let part = usize::try_from(self.body_bytes_left).unwrap_or(usize::MAX).min(bytes);
        self.body_bytes_left -= part as u64;
        part
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.ready = marker(refusal);
        self.ended = Some(Ended::Refused);
    }

    /// An interim answer (100) is not the answer.
    fn note_answer(&mut self, written: &[u8]) {
        self.answered |= !written.starts_with(b"HTTP/1.1 1");
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads what the peer still sends, so that closing does not reset the connection and take the
    /// answer with it (RFC 9112 §9.6). The deadline is that of a stalled write.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let unread = self.ended.is_some() || self.body_bytes_left > 0;
        let mut scratch = [0; 4096];
        while unread && self.lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                bytes => self.lingered_bytes += bytes,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.ready.is_empty() {
                let bytes = self.ready.len().min(buffer.remaining());
                buffer.put_slice(self.ready.get(..bytes).unwrap_or_default());
                self.ready.drain(..bytes);
                return Poll::Ready(Ok(()));
            }
            match self.ended {
                // An end of the stream now would keep the answer from being sent. Whoever writes
                // the answer asks again.
                Some(Ended::Refused) => return Poll::Pending,
                Some(Ended::Overrun) if !self.answered => return Poll::Pending,
                Some(Ended::Overrun) => return Poll::Ready(Ok(())),
                None => {}
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let fresh = buffer.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                if self.held.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.refuse(Refusal::HeadMalformed);
                continue;
            }
            let passed = self.pass(fresh);
            buffer.set_filled(before + passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note_answer(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_answer(slices.first().map_or(&[], |slice| slice));
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.shut = true;
        }
        self.linger(context)
    }
}

const _: () = assert!(LINGER_BYTES_MAX >= HEADER_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const GOOD: &str = "POST /in/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";

    fn gated() -> (Gate<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64 * 1024);
        (Gate::new(ours), theirs)
    }

    async fn read(gate: &mut Gate<DuplexStream>) -> String {
        let mut buffer = [0; 64 * 1024];
        let bytes = gate.read(&mut buffer).await.expect("bytes");
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    }

    #[tokio::test]
    async fn a_good_request_passes_unchanged_and_so_does_the_next() {
        let (mut gate, mut theirs) = gated();
        for _ in 0..3 {
            theirs.write_all(GOOD.as_bytes()).await.expect("written");
            assert_eq!(read(&mut gate).await, GOOD);
            gate.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
        }
        drop(theirs);
        assert_eq!(read(&mut gate).await, "");
    }

    #[tokio::test]
    async fn a_head_in_pieces_is_held_until_it_is_whole() {
        let (mut gate, mut theirs) = gated();
        let mut passed = Vec::new();
        for byte in GOOD.bytes() {
            theirs.write_all(&[byte]).await.expect("written");
            let mut buffer = [0; 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            if poll_once(&mut gate, &mut buffer) {
                passed.push(String::from_utf8_lossy(buffer.filled()).into_owned());
            }
        }
        let head = &GOOD[..GOOD.len() - 3];
        assert_eq!(passed, [head, "a", "b", "c"]);
    }

    /// Polls once; whether something was read.
    fn poll_once(gate: &mut Gate<DuplexStream>, buffer: &mut ReadBuf<'_>) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(gate).poll_read(&mut context, buffer).is_ready()
    }

    #[tokio::test]
    async fn a_refused_head_becomes_a_marker_and_nothing_more() {
        let (mut gate, mut theirs) = gated();
        let both = format!("POST /in/a HTTP/1.1\nHost: x\r\n\r\n{GOOD}");
        theirs.write_all(both.as_bytes()).await.expect("written");
        let read_first = read(&mut gate).await;
        assert_eq!(read_first.as_bytes(), marker(Refusal::HeadMalformed));
        theirs.write_all(GOOD.as_bytes()).await.expect("written");
        assert!(!poll_once(&mut gate, &mut ReadBuf::new(&mut [0; 64])));
    }

    #[tokio::test]
    async fn what_comes_before_the_answer_is_no_request() {
        let (mut gate, mut theirs) = gated();
        theirs.write_all(format!("{GOOD}{GOOD}").as_bytes()).await.expect("written");
        assert_eq!(read(&mut gate).await, GOOD);
        assert!(!poll_once(&mut gate, &mut ReadBuf::new(&mut [0; 64])), "no end before the answer");
        gate.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("written");
        assert!(!poll_once(&mut gate, &mut ReadBuf::new(&mut [0; 64])), "100 is no answer");
        gate.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
        assert_eq!(read(&mut gate).await, "", "then the stream ends");
    }

    #[tokio::test]
    async fn closing_reads_what_was_still_sent_but_not_forever() {
        let (mut gate, mut theirs) = gated();
        theirs.write_all(b"BAD\n").await.expect("written");
        read(&mut gate).await;
        let sender = tokio::spawn(async move {
            let mut sent = 0;
            while theirs.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        });
        gate.shutdown().await.expect("closed");
        drop(gate);
        let sent = sender.await.expect("ends");
        assert!((LINGER_BYTES_MAX..LINGER_BYTES_MAX + 128 * 1024).contains(&sent), "{sent}");
    }

    #[test]
    fn a_marker_says_its_refusal_and_nothing_else_is_one() {
        for refusal in Refusal::ALL {
            let request =
                http::Request::builder().method(MARKER).uri(format!("/{}", refusal.code()));
            assert_eq!(refused(&request.body(()).expect("a request")), Some(*refusal));
        }
        let post = http::Request::post("/head_malformed").body(()).expect("a request");
        assert_eq!(refused(&post), None);
        let sent_by_a_client = head::judge(b"REFUSED /not_found HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(matches!(sent_by_a_client, Head::Refused(Refusal::MethodNotAllowed)));
    }
}
