//! Reads a body under a limit of bytes and of time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::Body;
use model::limits::{BODY_BYTES_PER_SECOND_MIN, BODY_MS_MAX};
use tokio::time::{Instant, timeout_at};

use crate::Refusal;

/// What a slow start is forgiven.
const GRACE: Duration = Duration::from_secs(2);

/// The whole body, at most so many bytes.
pub(crate) async fn read<B: Body<Data = Bytes> + Unpin>(
    mut incoming: B,
    headers: &HeaderMap,
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    if announced(headers).is_some_and(|length| length > bytes_max as u64) {
        return Err(Refusal::BodyTooLarge);
    }
    let started = Instant::now();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let so_far = first.len() + rest.len();
        let frame = match timeout_at(deadline(started, so_far), incoming.frame()).await {
            Err(_) => return Err(Refusal::BodyTooSlow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Refusal::BodyIncomplete),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers are dropped: nothing of them is signed.
        let Ok(data) = frame.into_data() else { continue };
        if so_far + data.len() > bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        if so_far == 0 {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body must keep up a rate, and end in time whatever its rate.
fn deadline(started: Instant, bytes_so_far: usize) -> Instant {
    let earned = Duration::from_millis(bytes_so_far as u64 * 1000 / BODY_BYTES_PER_SECOND_MIN);
    started + (GRACE + earned).min(Duration::from_millis(BODY_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dripping_body_earns_little_time() {
        let started = Instant::now();
        assert_eq!(deadline(started, 0) - started, Duration::from_secs(2));
        assert_eq!(deadline(started, 1024) - started, Duration::from_secs(3));
        assert_eq!(deadline(started, 5 << 20) - started, Duration::from_secs(30));
    }
}
