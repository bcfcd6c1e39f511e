//! The good part: a mixed stream of orders of all providers, several events each, with what goes
//! wrong in life: lost answers, repetitions, an application that fails, a restart in the middle.

use std::sync::Arc;
use std::time::Duration;

use sandbox::{Event, Mood, Order, Provider, Purpose, Simulator};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cannot;
use super::show::Show;
use super::stage::Stage;
use crate::failure::Failure;

/// Orders of each provider.
const ORDERS: usize = 24;
/// Orders under way at once.
const AT_ONCE: usize = 24;
/// The application fails on its first deliveries; the gateway must try those again.
pub(super) const HICCUP: Mood = Mood::Failing { status: 500, times: 3 };

/// How one event is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// And acknowledged.
    Plainly,
    /// The first answer is lost on the way, this long after the request was out.
    AnswerLost(Duration),
    /// Once more, although it was acknowledged.
    Repeated,
}

/// What was sent, for those who come after.
pub(super) struct Stream {
    /// How many events the orders have.
    pub(super) events: usize,
    /// An event of Stripe's that was acknowledged before the restart.
    pub(super) before_restart: Event,
}

/// Sends the stream. In its middle the gateway is stopped and started on the same store.
pub(super) async fn send(stage: &mut Stage, show: &Show) -> Result<Stream, Failure> {
    let mut orders = draw(stage);
    let events = orders.iter().map(|(_, order)| order.events.len()).sum::<usize>();
    show.stream(events, orders.len());
    // So that this one is surely settled when the gateway goes down.
    let before_restart = first_of(&mut orders, Provider::Stripe)
        .ok_or_else(|| cannot("draw the stream", "no order of Stripe's"))?;
    deliver(&stage.simulator(Provider::Stripe), &before_restart, Manner::Plainly).await?;
    let mut tasks = start(stage, orders);
    let mut is_restarted = false;
    loop {
        let sent = stage.surroundings.ledger.len();
        show.sending(sent, stage.application.accepted(), events);
        if !is_restarted && sent >= events / 2 {
            stage.restart().await?;
            is_restarted = true;
        }
        match tokio::time::timeout(Duration::from_millis(20), tasks.join_next()).await {
            Err(_) => {}
            Ok(None) => break,
            Ok(Some(Ok(sent))) => sent?,
            Ok(Some(Err(error))) => return Err(cannot("send the stream", error)),
        }
    }
    show.streamed(&stage.surroundings.ledger, events);
    Ok(Stream { events, before_restart })
}

fn draw(stage: &mut Stage) -> Vec<(Provider, Order)> {
    stage.drawn(|draw, making| {
        let mut orders: Vec<(Provider, Order)> = (0..ORDERS)
            .flat_map(|_| Provider::ALL)
            .map(|provider| (*provider, provider.order(draw, making)))
            .collect();
        draw.shuffle(&mut orders);
        orders
    })
}

/// Takes the first event of this provider's first order out of the stream.
fn first_of(orders: &mut [(Provider, Order)], wanted: Provider) -> Option<Event> {
    let (_, order) = orders.iter_mut().find(|(provider, _)| *provider == wanted)?;
    if order.events.is_empty() { None } else { Some(order.events.remove(0)) }
}

fn start(stage: &mut Stage, orders: Vec<(Provider, Order)>) -> JoinSet<Result<(), Failure>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (provider, order) in orders {
        let manners: Vec<Manner> = order.events.iter().map(|_| manner(&mut stage.draw)).collect();
        let simulator = stage.simulator(provider);
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire_owned().await;
            for (event, manner) in order.events.iter().zip(manners) {
                deliver(&simulator, event, manner).await?;
            }
            Ok(())
        });
    }
    tasks
}

fn manner(draw: &mut sandbox::Draw) -> Manner {
    match draw.below(20) {
        0 => Manner::AnswerLost(Duration::from_millis(u64::try_from(draw.below(8)).unwrap_or(0))),
        1 | 2 => Manner::Repeated,
        _ => Manner::Plainly,
    }
}

async fn deliver(simulator: &Simulator, event: &Event, manner: Manner) -> Result<(), Failure> {
    let sent = match manner {
        Manner::AnswerLost(after) => simulator.send_losing_the_answer(event, after).await,
        Manner::Plainly | Manner::Repeated => simulator.send(event).await,
    };
    sent.map_err(|error| cannot("sign a webhook", error))?;
    if manner == Manner::Repeated {
        simulator.send_again(event).await.map_err(|error| cannot("sign a webhook", error))?;
    }
    Ok(())
}

/// Posts so many copies of one good event at the same moment.
pub(super) async fn copies(
    simulator: &Arc<Simulator>,
    event: &Event,
    count: u32,
) -> Result<Vec<u16>, Failure> {
    let mut tasks = JoinSet::new();
    for attempt in 1..=count {
        let (simulator, event) = (Arc::clone(simulator), event.clone());
        tasks.spawn(async move {
            let now_ms = sandbox::clock::now_ms();
            let request = simulator.sign(&event, 1, now_ms)?;
            let purpose = Purpose::Event(event.name.clone());
            let answer = simulator.post(purpose, attempt, simulator.from, &request).await;
            Ok::<_, schemes::SignError>(answer.map_or(0, |answer| answer.status))
        });
    }
    let mut statuses = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let status = done.map_err(|error| cannot("send copies", error))?;
        statuses.push(status.map_err(|error| cannot("sign a webhook", error))?);
    }
    Ok(statuses)
}
