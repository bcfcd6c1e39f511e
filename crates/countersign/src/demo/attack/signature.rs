//! Forged, changed, misdirected; and the guides' ways of comparing signatures.

use sandbox::Provider;
use schemes::Secret;

use super::{Attack, Attacker, Expected, refused, unsignable};
use crate::failure::Failure;

static FORGED: Attack = Attack { name: "forged", sent: "signed with another secret" };
static CHANGED: Attack = Attack { name: "changed", sent: "signed, then another order written in" };
static WRONG_SOURCE: Attack =
    Attack { name: "wrong-source", sent: "signed for one source, sent to another" };
static UNKNOWN_SOURCE: Attack =
    Attack { name: "unknown-source", sent: "signed well, for a source that is not there" };
static X2: Attack = Attack { name: "X2", sent: "no signature; empty; too short; too long" };
static X3: Attack = Attack { name: "X3", sent: "first or last digit of the signature wrong" };
static X4: Attack =
    Attack { name: "X4", sent: "nested fields changed under the guide's signature" };
static X19: Attack = Attack { name: "X19", sent: "signature with garbage after, prefix inside" };

impl Attacker<'_> {
    /// Forgeries against every provider.
    pub(super) async fn forge(&mut self, is_leaked: bool) -> Result<(), Failure> {
        for provider in Provider::ALL {
            let simulator = self.stage.simulator(*provider);
            let event = self.event(*provider);
            let now_ms = sandbox::clock::now_ms();
            let forger = if is_leaked && *provider == Provider::Stripe {
                self.stage.secret(provider.name()).to_owned()
            } else {
                provider.secret([0x5a; 20])
            };
            let forger = Secret::new(forger);
            let forged = simulator
                .sign_body(event.body(1), &event.message_id, now_ms, &forger)
                .map_err(unsignable)?;
            self.fire(&FORGED, &simulator, forged, refused(&simulator)).await?;
        }
        for provider in Provider::ALL {
            let simulator = self.stage.simulator(*provider);
            let event = self.event(*provider);
            let signed = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
            let other = self.event(*provider).order;
            let text = String::from_utf8_lossy(&signed.body).replace(&event.order, &other);
            let changed = sandbox::Request { body: text.into_bytes(), ..signed };
            self.fire(&CHANGED, &simulator, changed, refused(&simulator)).await?;
        }
        self.misdirect().await
    }

    /// The same header, the same form, another source; and a source that does not exist.
    async fn misdirect(&mut self) -> Result<(), Failure> {
        let pairs = [
            (Provider::X402Tele, Provider::CryptoPay),
            (Provider::CryptoPay, Provider::X402Tele),
            (Provider::Koywe, Provider::KoyweRamp),
            (Provider::BroPay, Provider::One2Pays),
        ];
        for (signer, target) in pairs {
            let (signer, target) = (self.stage.simulator(signer), self.stage.simulator(target));
            let event = self.event(signer.provider);
            let mut request =
                signer.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
            request.path = target.path();
            self.fire(&WRONG_SOURCE, &target, request, refused(&target)).await?;
        }
        let stripe = self.stage.simulator(Provider::Stripe);
        let event = self.event(Provider::Stripe);
        let mut request = stripe.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        request.path = "/in/nobody".into();
        self.fire(&UNKNOWN_SOURCE, &stripe, request, Expected::Refused(401)).await?;
        Ok(())
    }

    /// The guides' comparisons.
    pub(super) async fn signatures(&mut self) -> Result<(), Failure> {
        for provider in [Provider::One2Pays, Provider::X402Tele, Provider::CryptoPay] {
            self.respell(&X2, provider, |_| None).await?;
            self.respell(&X2, provider, |_| Some(String::new())).await?;
            self.respell(&X2, provider, |right| right.get(..12).map(str::to_owned)).await?;
            self.respell(&X2, provider, |right| Some(format!("{right}00"))).await?;
        }
        for place in [0, 63] {
            self.respell(&X3, Provider::Koywe, |right| Some(miss_digit(right, place))).await?;
        }
        self.nested().await?;
        self.respell(&X19, Provider::CryptoPay, |right| Some(format!("{right}zz"))).await?;
        self.respell(&X19, Provider::CryptoPay, |right| Some(format!("{right}, {right}"))).await?;
        self.respell(&X19, Provider::One2Pays, |right| {
            let digits = right.trim_start_matches("sha256=");
            let (one, two) = digits.split_at_checked(32)?;
            Some(format!("{one}sha256={two}"))
        })
        .await?;
        self.respell(&X19, Provider::One2Pays, |right| Some(format!("{right}zz"))).await
    }

    /// A right signature, spelt otherwise; none at all if `spell` gives none.
    async fn respell(
        &mut self,
        attack: &'static Attack,
        provider: Provider,
        spell: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Failure> {
        let simulator = self.stage.simulator(provider);
        let event = self.event(provider);
        let signed = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        let name = provider.signature_header().expect("these sign in a header");
        let right = signed.header(name).unwrap_or_default().to_owned();
        let request = match spell(&right) {
            Some(other) => signed.replacing(name, other),
            None => signed.without(name),
        };
        self.fire(attack, &simulator, request, refused(&simulator)).await?;
        Ok(())
    }

    /// What the guide's sample signs of a webhook: only members whose name also stands at the top,
    /// so that of the nested receipt nothing is left, and anything can be written there.
    async fn nested(&mut self) -> Result<(), Failure> {
        let simulator = self.stage.simulator(Provider::X402Tele);
        let event = self.event(Provider::X402Tele);
        let body = String::from_utf8_lossy(&event.body(1)).into_owned();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let member = |name: &str| value.get(name).cloned().unwrap_or_default();
        let signed_text = format!(
            r#"{{"created":{},"data":{{}},"id":{},"type":{}}}"#,
            member("created"),
            member("id"),
            member("type")
        );
        let now_ms = sandbox::clock::now_ms();
        let signed = simulator
            .sign_own(signed_text.into_bytes(), &event.message_id, now_ms)
            .map_err(unsignable)?;
        let changed = body.replace(r#""currency":"USDC""#, r#""currency":"USDD""#);
        let request = sandbox::Request { body: changed.into_bytes(), ..signed };
        self.fire(&X4, &simulator, request, refused(&simulator)).await?;
        Ok(())
    }
}

/// The signature with one hex digit replaced by another.
fn miss_digit(right: &str, place: usize) -> String {
    let miss = |(index, digit): (usize, char)| match digit {
        _ if index != place => digit,
        '0' => '1',
        _ => '0',
    };
    right.chars().enumerate().map(miss).collect()
}
