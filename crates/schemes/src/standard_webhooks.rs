//! Standard Webhooks signatures for what we deliver ourselves.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::{Secret, SecretError, SecretFault};

/// A key that signs deliveries with HMAC-SHA-256 (`v1`).
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Takes `whsec_` and the base64 text of 24 to 64 bytes, as the specification asks.
    pub fn parse(secret: &Secret) -> Result<Self, SecretError> {
        let wrong = || {
            SecretError::new(
                None,
                SecretFault::Shape {
                    expected: "whsec_ and the base64 text of 24 to 64 random bytes".to_owned(),
                },
            )
        };
        let text = secret.text();
        if text.trim().is_empty() {
            return Err(SecretError::new(None, SecretFault::Empty));
        }
        let encoded = text.strip_prefix("whsec_").ok_or_else(wrong)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
        if !(24..=64).contains(&bytes.len()) {
            return Err(wrong());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature for the header `webhook-signature`: `v1,` and base64.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(id.as_bytes());
        context.update(b".");
        context.update(timestamp_s.to_string().as_bytes());
        context.update(b".");
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_example() {
        let key =
            SigningKey::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()))
                .unwrap();
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn keys_of_another_shape_are_refused() {
        let code = |text: &str| SigningKey::parse(&Secret::new(text.to_owned())).err().unwrap();
        assert_eq!(code("").code(), "empty_secret");
        assert_eq!(code("  ").code(), "empty_secret");
        for wrong in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_not base64",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
            "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(code(wrong).code(), "wrong_secret_shape", "{wrong}");
        }
    }
}
