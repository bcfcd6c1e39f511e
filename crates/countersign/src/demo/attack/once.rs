//! Exactly once: replays, copies at the same moment, and a memory that survives a restart.

use sandbox::{Event, Provider, Purpose};

use super::{Attack, Attacker, Expected, Shot, unsignable};
use crate::demo::stream::{self, Stream};
use crate::failure::Failure;

static REPLAYED: Attack = Attack { name: "replayed", sent: "a good request again, byte for byte" };
static X6: Attack = Attack { name: "X6", sent: "8 copies at once; again after a restart" };

/// Copies of one event at the same moment.
const COPIES: u32 = 8;

impl Attacker<'_> {
    /// Repeats what was good the first time.
    pub(super) async fn repeat(&mut self, stream: &Stream) -> Result<(), Failure> {
        for provider in Provider::ALL {
            let simulator = self.stage.simulator(*provider);
            let event = self.event(*provider);
            let now_ms = sandbox::clock::now_ms();
            let request = simulator.sign(&event, 1, now_ms).map_err(unsignable)?;
            let purpose = Purpose::Event(event.name.clone());
            // Whether it was acknowledged is in the ledger.
            let _ = simulator.post(purpose, 1, simulator.from, &request).await;
            self.observer.since().await?;
            self.fire(&REPLAYED, &simulator, request, Expected::Duplicate).await?;
        }
        let simulator = self.stage.simulator(Provider::Stripe);
        let event = self.event(Provider::Stripe);
        let statuses = stream::copies(&simulator, &event, COPIES).await?;
        let outcomes = self.observer.since().await?;
        let count = |name: &str| {
            outcomes.iter().filter(|(outcome, _)| outcome == name).map(|(_, n)| *n).sum::<u64>()
        };
        let is_once = count("accepted") == 1 && count("duplicate") == u64::from(COPIES - 1);
        let are_acknowledged = statuses.iter().all(|status| *status == 200);
        self.note_copies(&event, statuses.first().copied(), is_once && are_acknowledged);
        let old = &stream.before_restart;
        let request = simulator.sign(old, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        self.fire(&X6, &simulator, request, Expected::Duplicate).await?;
        Ok(())
    }

    fn note_copies(&mut self, event: &Event, status: Option<u16>, is_as_expected: bool) {
        let source = event.provider.name().to_owned();
        self.shots.push(Shot {
            attack: &X6,
            provider: source.clone(),
            expected: Expected::Duplicate,
            status,
            reasons: vec![("duplicate".into(), usize::try_from(COPIES - 1).unwrap_or(0))],
            body: Some((source, event.body(1))),
            is_as_expected,
            is_good: false,
        });
    }
}
