//! The PROXY protocol, versions 1 and 2: what a trusted proxy says before the first byte of a
//! connection about who is behind it (HAProxy, "The PROXY protocol", 2.4 and later).
//!
//! Exactly the header is taken from the socket and not a byte more: what follows belongs to TLS or
//! HTTP. Extensions of version 2 (TLV) are taken and not read.

use std::io;
use std::net::IpAddr;

use model::limits::PROXY_HEADER_BYTES_MAX;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
const WORD: &[u8] = b"PROXY ";
/// Bytes of a header of version 1 with its line end, at most; the shortest has 15.
const LINE_BYTES_MAX: usize = 107;

const CONFIG: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };

/// Who is behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// A client at this address.
    Client(IpAddr),
    /// The proxy itself (`LOCAL`), or somebody whose address it does not say (`UNKNOWN`).
    Nobody,
}

/// Reads the header that a connection begins with.
///
/// # Errors
/// The connection ends within the header, or does not begin with one that is whole and bounded.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Behind> {
    // Both versions are longer than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    let mut header = start.to_vec();
    if start == *SIGNATURE {
        rest_of_block(stream, &mut header).await?;
    } else if start.starts_with(WORD) {
        rest_of_line(stream, &mut header).await?;
    } else {
        return Err(bad("the connection does not begin with a PROXY header"));
    }
    parse(&header).ok_or_else(|| bad("the PROXY header is malformed"))
}

/// Version 1 ends with its line. Byte by byte: whatever comes after is not ours.
async fn rest_of_line<S: AsyncRead + Unpin>(
    stream: &mut S,
    header: &mut Vec<u8>,
) -> io::Result<()> {
    while !header.ends_with(b"\r\n") {
        if header.len() >= LINE_BYTES_MAX {
            return Err(bad("the PROXY header has no end"));
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

/// Version 2 says how long it is.
async fn rest_of_block<S: AsyncRead + Unpin>(
    stream: &mut S,
    header: &mut Vec<u8>,
) -> io::Result<()> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [.., high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    header.extend_from_slice(&fixed);
    if header.len() + rest > PROXY_HEADER_BYTES_MAX {
        return Err(bad("the PROXY header is too long"));
    }
    let taken = stream.take(u64::from(u16::from_be_bytes([high, low]))).read_to_end(header).await?;
    if taken == rest { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What one whole header says.
fn parse(header: &[u8]) -> Option<Behind> {
    let (parsed, length) = ProxyHeader::parse(header, CONFIG).ok()?;
    if length != header.len() {
        return None;
    }
    match parsed.proxied_address() {
        None => Some(Behind::Nobody),
        // A datagram's address cannot be that of a connection.
        Some(address) if address.protocol == Protocol::Datagram => None,
        Some(address) => Some(Behind::Client(address.source.ip().to_canonical())),
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of these bytes, and what is left for whoever comes next.
    async fn check(mut bytes: &[u8]) -> (Result<Behind, io::ErrorKind>, Vec<u8>) {
        let read = read(&mut bytes).await.map_err(|error| error.kind());
        (read, bytes.to_vec())
    }

    fn client(address: &str) -> Result<Behind, io::ErrorKind> {
        Ok(Behind::Client(address.parse().expect("an address")))
    }

    /// A header of version 2: command and family, then addresses and extensions.
    fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0x1f, 0x90, 0x01, 0xbb];

    #[tokio::test]
    async fn version_1_names_the_client_and_leaves_the_rest() {
        let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 8080 443\r\n\x16\x03\x01";
        assert_eq!(check(line).await, (client("203.0.113.9"), b"\x16\x03\x01".to_vec()));
        let line = b"PROXY TCP6 2001:db8::9 fd00::1 8080 443\r\nPOST";
        assert_eq!(check(line).await, (client("2001:db8::9"), b"POST".to_vec()));
        let line = b"PROXY TCP6 ::ffff:203.0.113.9 fd00::1 8080 443\r\n";
        assert_eq!(check(line).await.0, client("203.0.113.9"));
    }

    #[tokio::test]
    async fn version_2_names_the_client_and_leaves_the_rest() {
        let mut bytes = block(0x21, 0x11, &V4);
        bytes.extend_from_slice(b"POST");
        assert_eq!(check(&bytes).await, (client("203.0.113.9"), b"POST".to_vec()));
        // Extensions are taken whole and believed in nothing.
        let extended = [V4.as_slice(), &[0x20, 0, 200], &[7; 200]].concat();
        let mut bytes = block(0x21, 0x11, &extended);
        bytes.extend_from_slice(b"POST");
        assert_eq!(check(&bytes).await, (client("203.0.113.9"), b"POST".to_vec()));
    }

    #[tokio::test]
    async fn local_and_unknown_name_nobody() {
        assert_eq!(check(b"PROXY UNKNOWN\r\n").await.0, Ok(Behind::Nobody));
        assert_eq!(check(b"PROXY UNKNOWN a b 1 2\r\nX").await, (Ok(Behind::Nobody), b"X".to_vec()));
        assert_eq!(check(&block(0x20, 0x00, b"")).await.0, Ok(Behind::Nobody));
        // LOCAL with an address: the address means nothing.
        assert_eq!(check(&block(0x20, 0x11, &V4)).await.0, Ok(Behind::Nobody));
        assert_eq!(check(&block(0x21, 0x00, b"")).await.0, Ok(Behind::Nobody));
        assert_eq!(check(&block(0x21, 0x31, &[0; 216])).await.0, Ok(Behind::Nobody));
    }

    #[tokio::test]
    async fn garbage_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let bad: [&[u8]; 14] = [
            b"POST /in/stripe HTTP/1.1\r\nhost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
            b"PROXYxTCP4 203.0.113.9 10.0.0.1 8080 443\r\n",
            b"proxy TCP4 203.0.113.9 10.0.0.1 8080 443\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 8080\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 8080 443 1\r\n",
            b"PROXY TCP4 0203.0.113.9 10.0.0.1 8080 443\r\n",
            b"PROXY TCP4 2001:db8::9 fd00::1 8080 443\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 99999 443\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 8080 443\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 8080 443\rX\r\n",
            b"PROXY  TCP4 203.0.113.9 10.0.0.1 8080 443\r\n",
            b"PROXY \xff\xfe\xfd\xfc\xfb\xfa\r\n",
            long.as_bytes(),
        ];
        let blocks = [
            block(0x22, 0x11, &V4),
            block(0x11, 0x11, &V4),
            block(0x21, 0x12, &V4),
            block(0x21, 0x41, &V4),
            block(0x21, 0x11, &V4[..11]),
            block(0x21, 0x21, &V4),
            block(0x21, 0x31, &V4),
            block(0x21, 0x11, &[0; PROXY_HEADER_BYTES_MAX]),
        ];
        for bytes in bad.into_iter().chain(blocks.iter().map(Vec::as_slice)) {
            let read = check(bytes).await.0;
            assert_eq!(read, Err(io::ErrorKind::InvalidData), "{}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn what_ends_within_the_header_is_refused() {
        let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 8080 443\r\n".to_vec();
        let extended = block(0x21, 0x11, &[V4.as_slice(), &[0x20, 0, 1, 7]].concat());
        for whole in [line, extended] {
            for end in 0..whole.len() {
                let (read, _) = check(whole.get(..end).expect("a part")).await;
                assert_eq!(read, Err(io::ErrorKind::UnexpectedEof), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_too_far(
            begin in prop::sample::select(vec![
                b"".to_vec(), b"PROXY ".to_vec(), b"PROXY TCP4 ".to_vec(), b"PROXY TCP6 ".to_vec(),
                b"PROXY UNKNOWN".to_vec(), SIGNATURE.to_vec(),
                [SIGNATURE.as_slice(), &[0x21, 0x11]].concat(),
                [SIGNATURE.as_slice(), &[0x21, 0x21, 0]].concat(),
                [SIGNATURE.as_slice(), &[0x20, 0x31, 0]].concat(),
            ]),
            noise in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let bytes = [begin, noise].concat();
            let mut left = bytes.as_slice();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let _ = runtime.block_on(read(&mut left));
            prop_assert!(bytes.len() - left.len() <= PROXY_HEADER_BYTES_MAX);
            let _ = parse(&bytes);
        }
    }
}
