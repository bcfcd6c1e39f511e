//! Standard Webhooks signatures for what we deliver ourselves.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::{Secret, SecretError, SecretFault};

/// A key that signs deliveries: with HMAC-SHA-256 (`v1`) or with Ed25519 (`v1a`).
#[derive(Clone)]
pub struct SigningKey(Kind);

#[derive(Clone)]
enum Kind {
    Hmac(Box<hmac::Key>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl SigningKey {
    /// Takes `whsec_` and the base64 text of 24 to 64 bytes, or `whsk_` and the base64 text of an
    /// Ed25519 seed and its public key, 64 bytes, as the specification asks.
    pub fn parse(secret: &Secret) -> Result<Self, SecretError> {
        let wrong = || {
            SecretError::new(
                None,
                SecretFault::Shape {
                    expected:
                        "whsec_ and the base64 text of 24 to 64 random bytes, or whsk_ and the \
                               base64 text of an Ed25519 seed and its public key"
                            .to_owned(),
                },
            )
        };
        let text = secret.text();
        if text.trim().is_empty() {
            return Err(SecretError::new(None, SecretFault::Empty));
        }
        if let Some(encoded) = text.strip_prefix("whsk_") {
            let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
            let (seed, public) = bytes.split_at_checked(32).ok_or_else(wrong)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
            return Ok(Self(Kind::Ed25519(Arc::new(pair.map_err(|_| wrong())?))));
        }
        let encoded = text.strip_prefix("whsec_").ok_or_else(wrong)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
        if !(24..=64).contains(&bytes.len()) {
            return Err(wrong());
        }
        Ok(Self(Kind::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))))
    }

    /// The public key, `whpk_` and base64, of a key that has one: whoever has it can verify and
    /// cannot sign.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Kind::Hmac(_) => None,
            Kind::Ed25519(pair) => {
                Some(format!("whpk_{}", STANDARD.encode(pair.public_key().as_ref())))
            }
        }
    }

    /// The signature for the header `webhook-signature`: `v1,` or `v1a,` and base64.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_s}.");
        match &self.0 {
            Kind::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(head.as_bytes());
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
            }
            Kind::Ed25519(pair) => {
                let message = [head.as_bytes(), body].concat();
                format!("v1a,{}", STANDARD.encode(pair.sign(&message).as_ref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

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

    /// RFC 8032, 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn asymmetric(seed: &str, public: &str) -> Result<SigningKey, SecretError> {
        let bytes = hex::decode(format!("{seed}{public}")).expect("hexadecimal");
        SigningKey::parse(&Secret::new(format!("whsk_{}", STANDARD.encode(bytes))))
    }

    #[test]
    fn ed25519_signs_the_same_message_and_shows_its_public_key() {
        let key = asymmetric(SEED, PUBLIC).expect("a key");
        let public = hex::decode(PUBLIC).expect("hexadecimal");
        assert_eq!(key.public_key(), Some(format!("whpk_{}", STANDARD.encode(&public))));
        let signature = key.sign("msg_1", 1_614_265_330, b"{}");
        let bytes = STANDARD.decode(signature.strip_prefix("v1a,").expect("v1a")).expect("base64");
        let verifier = UnparsedPublicKey::new(&ED25519, public);
        assert!(verifier.verify(b"msg_1.1614265330.{}", &bytes).is_ok());
        assert!(verifier.verify(b"msg_2.1614265330.{}", &bytes).is_err());
    }

    #[test]
    fn halves_that_do_not_belong_together_are_no_key() {
        assert!(asymmetric(SEED, SEED).is_err());
        assert!(asymmetric(SEED, "").is_err());
        assert!(asymmetric(SEED, &format!("{PUBLIC}00")).is_err());
        assert!(SigningKey::parse(&Secret::new("whsk_".to_owned())).is_err());
    }
}
