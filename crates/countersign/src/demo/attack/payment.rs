//! Genuine, and not what was ordered: the application of each guide registers orders over the API,
//! with a key, as any application does, and each is paid, as ordered or with one difference.

use std::time::Duration;

use model::Timestamp;
use sandbox::{Difference, Event, Guide, Payment, Placed, Simulator};

use super::{Attack, Attacker, Expected, unsignable};
use crate::demo::cannot;
use crate::demo::operator;
use crate::demo::orders::{self, Book, Ordered};
use crate::failure::Failure;

/// What must not pass for the payment that was ordered.
static WRONG: [(Difference, Attack); 9] = [
    wrong(Difference::Half, "a genuine payment of half of what was ordered"),
    wrong(Difference::Double, "a genuine payment of twice what was ordered"),
    wrong(Difference::Unit, "a genuine payment of an equal number of another currency or asset"),
    wrong(Difference::Chain, "a genuine payment on another chain"),
    wrong(Difference::Receiver, "a genuine payment to another account or address"),
    wrong(Difference::Provider, "a genuine payment through another provider"),
    wrong(Difference::Source, "a genuine payment through another source"),
    wrong(Difference::Reused, "a genuine payment that has paid another order"),
    wrong(Difference::Unpriced, "a genuine payment that does not say how much"),
];

const fn wrong(difference: Difference, sent: &'static str) -> (Difference, Attack) {
    (difference, Attack { name: difference.code(), sent })
}

/// How long an order can be paid that is paid too late. It must be registered within it, on a machine
/// that is busy too, and the first has to wait until the gateway knows the key.
const OPEN_MS: u32 = 5_000;

/// An order that nobody has paid yet.
struct Open {
    guide: &'static Guide,
    difference: Difference,
    payment: Payment,
    order: Placed,
}

impl Attacker<'_> {
    /// Registers the orders of all guides and pays them.
    pub(super) async fn payments(&mut self) -> Result<Book, Failure> {
        let till = operator::till(self.stage).await?;
        let mut book = Book { till, orders: Vec::new() };
        let mut late = Vec::new();
        for guide in Guide::ALL {
            late.push(self.place(&book, guide, Difference::Late, None).await?);
        }
        let over = tokio::time::Instant::now() + Duration::from_millis(u64::from(OPEN_MS));
        for guide in Guide::ALL {
            let first = self.place(&book, guide, Difference::Nothing, None).await?;
            let paid_before = first.payment.clone();
            self.pay(&mut book, first).await?;
            for (difference, _) in WRONG.iter().filter(|(one, _)| guide.can_differ(*one)) {
                let open = self.place(&book, guide, *difference, Some(&paid_before)).await?;
                self.pay(&mut book, open).await?;
            }
        }
        tokio::time::sleep_until(over).await;
        for open in late {
            self.pay(&mut book, open).await?;
        }
        book.orders.sort_by_key(|ordered| ordered.guide.provider);
        Ok(book)
    }

    /// Registers an order that is to be paid with this difference.
    async fn place(
        &mut self,
        book: &Book,
        guide: &'static Guide,
        difference: Difference,
        paid_before: Option<&Payment>,
    ) -> Result<Open, Failure> {
        let mut payment = self.stage.drawn(|draw, _| guide.payment(draw));
        if let (Difference::Reused, Some(before)) = (difference, paid_before) {
            payment.name.clone_from(&before.name);
        }
        let ends = || sandbox::clock::now_ms() + i64::from(OPEN_MS);
        let expires_at = (difference == Difference::Late).then(|| Timestamp::from_millis(ends()));
        let wanted = guide.order(&payment, difference, expires_at.map(|at| at.to_string()));
        let order = book.till.place(&wanted).await;
        let order = order.map_err(|error| cannot("register an order", error))?;
        Ok(Open { guide, difference, payment, order })
    }

    /// Pays an order, and notes what became of the event that says so.
    async fn pay(&mut self, book: &mut Book, open: Open) -> Result<(), Failure> {
        let Open { guide, difference, payment, order } = open;
        let simulator = self.stage.simulator(guide.payer(difference));
        let events =
            self.stage.drawn(|draw, making| guide.tell(draw, making, &payment, difference));
        let wrong = WRONG.iter().find(|(one, _)| *one == difference);
        let reason = match (wrong, orders::expected(guide, difference).0, events.last()) {
            (Some((_, attack)), Some(held), Some(event)) => {
                let now_ms = sandbox::clock::now_ms();
                let request = simulator.sign(event, 1, now_ms).map_err(unsignable)?;
                self.fire(attack, &simulator, request, Expected::Held(held.code())).await?;
                let shot = self.shots.last();
                shot.and_then(|shot| shot.reasons.first()).map(|(why, _)| why.clone())
            }
            _ => self.send_all(&simulator, &events).await?,
        };
        book.orders.push(Ordered { guide, difference, order, reason });
        Ok(())
    }

    /// Sends good events, and gives what became of the first that was not taken as it is.
    async fn send_all(
        &mut self,
        simulator: &Simulator,
        events: &[Event],
    ) -> Result<Option<String>, Failure> {
        for event in events {
            simulator.send(event).await.map_err(unsignable)?;
        }
        let mut outcomes = self.observer.since().await?.into_iter();
        match outcomes.find(|(outcome, _)| outcome != "accepted") {
            Some((outcome, _)) => Ok(Some(self.why(&outcome, &simulator.source).await)),
            None => Ok(None),
        }
    }
}
