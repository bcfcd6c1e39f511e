//! Stripe's events of exactly 1 KiB and Stripe's signature, made and checked with one HMAC.
//!
//! Written from the provider's documentation and not with the product's verifier, so that the load
//! generator is an independent witness (`Stripe-Signature: t=<seconds>,v1=<hex of
//! HMAC-SHA-256(secret, t "." body)>`).

use aws_lc_rs::hmac;

/// The bytes of every event's body.
pub const BODY_BYTES: usize = 1024;

/// The signing secret of every measured server: made up, and of the provider's shape.
pub const SECRET: &str = "whsec_test_bench_0123456789abcdefghijklmnop";

/// How far the signed time may be from now, in seconds, both ways.
const WINDOW_S: i64 = 300;

/// Signs and verifies with one secret.
#[derive(Debug, Clone)]
pub struct Signer {
    key: hmac::Key,
}

impl Signer {
    /// The key is the whole text of the secret, prefix included.
    pub fn new(secret: &str) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) }
    }

    /// The value of `Stripe-Signature` for this body at this time.
    pub fn header(&self, now_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{now_s}.").as_bytes());
        context.update(body);
        format!("t={now_s},v1={}", hex::encode(context.sign()))
    }

    /// Whether the header vouches for this body now.
    pub fn verify(&self, header: &str, now_s: i64, body: &[u8]) -> bool {
        let (mut time, mut given) = (None, None);
        for part in header.split(',') {
            match part.split_once('=') {
                Some(("t", value)) => time = Some(value),
                Some(("v1", value)) => given = hex::decode(value).ok(),
                _ => {}
            }
        }
        let (Some(time), Some(given)) = (time, given) else { return false };
        let fresh = time.parse::<i64>().is_ok_and(|t| now_s.abs_diff(t) <= WINDOW_S.unsigned_abs());
        let mut message = Vec::with_capacity(time.len() + 1 + body.len());
        message.extend_from_slice(time.as_bytes());
        message.push(b'.');
        message.extend_from_slice(body);
        fresh && hmac::verify(&self.key, &message, &given).is_ok()
    }
}

/// A run of distinct events: no two runs and no two numbers share an id.
#[derive(Debug, Clone)]
pub struct Series {
    run: String,
}

impl Series {
    /// A series named by chance.
    pub fn fresh() -> Self {
        Self { run: format!("{:016x}", crate::clock::fresh_seed()) }
    }

    /// The provider's id of the n-th event.
    pub fn id(&self, n: u64) -> String {
        format!("evt_{}{n:08}", self.run)
    }

    /// The body of the n-th event: a succeeded payment of its own, padded to [`BODY_BYTES`].
    pub fn body(&self, n: u64, now_s: i64) -> Vec<u8> {
        let run = &self.run;
        let mut body = format!(
            concat!(
                r#"{{"id":"evt_{run}{n:08}","object":"event","api_version":"2025-06-30.basil","#,
                r#""created":{now},"data":{{"object":{{"id":"pi_{run}{n:08}","#,
                r#""object":"payment_intent","amount":2000,"amount_capturable":0,"#,
                r#""amount_received":2000,"application":null,"automatic_payment_methods":null,"#,
                r#""canceled_at":null,"cancellation_reason":null,"capture_method":"automatic","#,
                r#""client_secret":null,"confirmation_method":"automatic","created":{now},"#,
                r#""currency":"eur","customer":"cus_{run}","latest_charge":"ch_{run}{n:08}","#,
                r#""livemode":false,"metadata":{{"order_id":"order_{run}{n:08}"}},"#,
                r#""payment_method_types":["card"],"receipt_email":null,"status":"succeeded","#,
                r#""statement_descriptor":null}}}},"livemode":false,"pending_webhooks":1,"#,
                r#""request":{{"id":null,"idempotency_key":null}},"#,
                r#""type":"payment_intent.succeeded","padding":""#
            ),
            run = run,
            n = n,
            now = now_s,
        )
        .into_bytes();
        body.resize(BODY_BYTES - 2, b'x');
        body.extend_from_slice(b"\"}");
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_a_kibibyte_of_json_with_its_own_id() {
        let series = Series::fresh();
        for n in [0, 7, 99_999_999] {
            let body = series.body(n, 1_767_225_600);
            assert_eq!(body.len(), BODY_BYTES);
            let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(event["id"], series.id(n));
            assert_eq!(event["data"]["object"]["status"], "succeeded");
        }
    }

    #[test]
    fn a_signature_is_for_its_body_time_and_secret_only() {
        let signer = Signer::new(SECRET);
        let now = 1_767_225_600;
        let header = signer.header(now, b"{}");
        assert!(signer.verify(&header, now + 300, b"{}"));
        assert!(!signer.verify(&header, now + 301, b"{}"), "stale");
        assert!(!signer.verify(&header, now - 301, b"{}"), "future");
        assert!(!signer.verify(&header, now, b"{ }"), "another body");
        assert!(!Signer::new("whsec_test_other").verify(&header, now, b"{}"), "another secret");
        assert!(!signer.verify("t=1767225600", now, b"{}"), "no signature");
        assert!(!signer.verify("t=now,v1=zz", now, b"{}"), "malformed");
    }
}
