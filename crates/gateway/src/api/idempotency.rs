//! Requests that take effect once: each that changes something carries an `Idempotency-Key`, is claimed
//! in the store before its effect, and its answer is kept for whoever sends it again.

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use model::limits::{IDEMPOTENCY_KEPT_MS, IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_LEASE_MS};
use sabotage::Defect;
use store::{Claimed, IdempotencyClaim, SealedRow};

use super::ask::Ask;
use super::refusal::{ApiRefusal, Problem};
use super::serve::{Handler, answered};
use super::{Api, Came};
use crate::answer::{self, Answer};
use crate::entropy;

/// The header.
pub(super) const HEADER: &str = "idempotency-key";

/// Whose key seals answers in the store: no source has this name.
const OWNER: &str = "/v1";

const STATUS_BYTES: usize = 2;

/// A request that takes effect once.
pub(super) struct Once {
    key: [u8; 16],
    fingerprint: [u8; 16],
    holder: [u8; 16],
}

impl Once {
    /// By the header. The key is the caller's own, on this route; the fingerprint is of all that is
    /// asked for.
    pub(super) fn of(ask: &Ask, head: &Parts) -> Result<Self, Problem> {
        let presented = presented(&head.headers)?;
        let keys = &ask.api.keys;
        let (caller, route) = (ask.caller.key.as_bytes(), ask.route.as_bytes());
        let key = keys.index("api.idempotency", &[caller, route, presented.as_bytes()]);
        let path = head.uri.path_and_query().map_or("", |path| path.as_str());
        let fingerprint = keys.index("api.fingerprint", &[path.as_bytes(), &ask.body]);
        Ok(Self { key, fingerprint, holder: entropy::bytes() })
    }

    /// Claims the request, does it and keeps the answer; or answers as the first time.
    pub(super) async fn answer(self, ask: Ask, handler: Handler) -> Result<Answer, Problem> {
        let (api, came) = (ask.api.clone(), ask.came);
        let at = came.at;
        let claim = IdempotencyClaim {
            key: self.key,
            fingerprint: self.fingerprint,
            holder: self.holder,
            now: at,
            until: at.plus_millis(IDEMPOTENCY_LEASE_MS),
            kept_until: at.plus_millis(IDEMPOTENCY_KEPT_MS),
        };
        let store = api.desk.store();
        match store.claim_request(claim).await? {
            Claimed::Yours => {}
            _ if sabotage::on(Defect::AnswerNotReplayed) => {}
            Claimed::Running => return Err(ApiRefusal::RequestRunning.into()),
            Claimed::Other => return Err(ApiRefusal::IdempotencyKeyReused.into()),
            Claimed::Answered(sealed) => return self.replayed(&api, &sealed).await,
        }
        let answer = answered(handler(ask).await, came);
        let kept = if answer::api_is_kept(&answer) {
            self.keep(&api, came, &answer).await
        } else {
            store.give_up_claim(self.key, self.holder).await.map_err(Problem::from)
        };
        if let Err(problem) = kept {
            // It was done, and is answered; whoever asks again meanwhile is told to wait.
            let (request, fault) = (came.request, problem.fault.unwrap_or_default());
            tracing::error!(%request, fault, "the answer to a request to the API is not kept");
        }
        Ok(answer)
    }

    async fn keep(&self, api: &Api, came: Came, answer: &Answer) -> Result<(), Problem> {
        let held = api.keys.bucket(OWNER, came.at).await?;
        let mut bytes = answer.status().as_u16().to_be_bytes().to_vec();
        bytes.extend_from_slice(&whole(answer).await);
        let sealed = held.seal("idempotency", "sealed", &self.key, &bytes);
        Ok(api.desk.store().keep_answer(self.key, self.holder, sealed).await?)
    }

    async fn replayed(&self, api: &Api, sealed: &SealedRow) -> Result<Answer, Problem> {
        let bytes = api.keys.open_row("idempotency", "sealed", &self.key, sealed).await?;
        let Some((status, body)) = bytes.split_first_chunk::<STATUS_BYTES>() else {
            return Err(Problem::failed(ApiRefusal::Internal, "a kept answer has no status"));
        };
        let body = Bytes::copy_from_slice(body);
        Ok(answer::api_replayed(u16::from_be_bytes(*status), body))
    }
}

/// The body of an answer, which is whole already.
async fn whole(answer: &Answer) -> Bytes {
    use http_body_util::BodyExt as _;
    match answer.body().clone().collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    }
}

fn presented(headers: &HeaderMap) -> Result<&str, ApiRefusal> {
    let mut lines = headers.get_all(HEADER).iter();
    let Some(line) = lines.next() else { return Err(ApiRefusal::IdempotencyKeyMissing) };
    let text = line.to_str().unwrap_or_default();
    let is_key = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key && lines.next().is_none() { Ok(text) } else { Err(ApiRefusal::IdempotencyKeyInvalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_visible_ascii_and_sent_once() {
        let check = |lines: &[&[u8]], expected: Result<&str, ApiRefusal>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, http::HeaderValue::from_bytes(line).expect("a value"));
            }
            assert_eq!(presented(&headers), expected, "{lines:?}");
        };
        check(&[b"order-4711"], Ok("order-4711"));
        check(
            &[b"\"8e03978e-40d5-43e8-bc93-6894a57f9324\""],
            Ok("\"8e03978e-40d5-43e8-bc93-6894a57f9324\""),
        );
        check(&[], Err(ApiRefusal::IdempotencyKeyMissing));
        check(&[b""], Err(ApiRefusal::IdempotencyKeyInvalid));
        check(&[b"a b"], Err(ApiRefusal::IdempotencyKeyInvalid));
        check(&[b"\xc3\xa9"], Err(ApiRefusal::IdempotencyKeyInvalid));
        check(&[&[b'a'; 256]], Err(ApiRefusal::IdempotencyKeyInvalid));
        check(&[b"a", b"a"], Err(ApiRefusal::IdempotencyKeyInvalid));
        assert!(presented(&HeaderMap::new()).is_err());
    }
}
