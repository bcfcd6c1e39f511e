//! What came of it all, from what the simulators and the application have written down.

use std::collections::{BTreeMap, HashMap, HashSet};

use sandbox::application::{Accepted, Diary};
use sandbox::{Ledger, Purpose, Sent};

use super::attack::Shot;
use super::orders::Entry;
use super::stage::Stage;
use super::stream::Stream;

/// The account of one provider.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    /// Requests that were answered: events, repetitions and attacks.
    pub(super) sent: usize,
    /// Good events that were acknowledged.
    pub(super) accepted: usize,
    /// Good events that the application accepted exactly once.
    pub(super) delivered: usize,
    /// Acknowledgements of a good event beyond its first.
    pub(super) duplicates: usize,
    /// Hostile requests that were refused or quarantined.
    pub(super) refused: usize,
    /// Good requests that had to be sent again.
    pub(super) retried: usize,
    /// Why the hostile ones were refused, and how many for that reason.
    pub(super) why: BTreeMap<String, usize>,
}

/// What came of it all.
pub(super) struct Verdict {
    pub(super) accounts: Vec<Account>,
    pub(super) shots: Vec<Shot>,
    pub(super) orders: Vec<Entry>,
    /// Everything that is not as it should be, in words.
    pub(super) faults: Vec<String>,
    /// Deliveries that the application had already.
    pub(super) repeated: usize,
    /// Deliveries that the application failed on.
    pub(super) failed: usize,
}

/// A good event: its source and its name there.
type Name = (String, String);

/// What the books say of bodies and events.
struct Books {
    /// Which good event a body is.
    names: HashMap<(String, Vec<u8>), Name>,
    /// How often the application accepted each good event.
    deliveries: HashMap<Name, usize>,
    /// What the application accepted and no provider meant.
    strays: Vec<(String, Vec<u8>)>,
}

impl Books {
    fn open(entries: &[Sent], diary: &Diary) -> Self {
        let mut names = HashMap::new();
        let mut deliveries = HashMap::new();
        for sent in entries {
            if let Purpose::Event(name) = &sent.purpose {
                let name = (sent.source.clone(), name.clone());
                names.insert((sent.source.clone(), sent.body.clone()), name.clone());
                deliveries.entry(name).or_default();
            }
        }
        let mut strays = Vec::new();
        for accepted in providers_own(diary) {
            let body = (accepted.source.clone(), accepted.body.clone());
            match names.get(&body) {
                Some(name) => *deliveries.entry(name.clone()).or_default() += 1,
                None => strays.push(body),
            }
        }
        Self { names, deliveries, strays }
    }

    /// Whether the application has of this hostile body what it may have: nothing; or one, if the
    /// body is a replay of a good event's.
    fn is_kept_out(&self, body: &(String, Vec<u8>)) -> bool {
        match self.names.get(body) {
            Some(name) => self.deliveries.get(name) == Some(&1),
            None => !self.strays.contains(body),
        }
    }
}

/// What the application accepted of providers. What the gateway itself tells of orders is beside it.
fn providers_own(diary: &Diary) -> impl Iterator<Item = &Accepted> {
    diary.accepted.iter().filter(|accepted| accepted.source != "countersign")
}

/// How much of what it is owed of providers the application has accepted.
pub(super) fn accepted(diary: &Diary) -> usize {
    providers_own(diary).count()
}

/// How many deliveries the application is owed: the good events that were acknowledged.
pub(super) fn owed(ledger: &Ledger) -> usize {
    let entries = ledger.entries();
    let acknowledged = entries.iter().filter(|sent| sent.is_acknowledged());
    let names: HashSet<_> = acknowledged
        .filter_map(|sent| match &sent.purpose {
            Purpose::Event(name) => Some((&sent.source, name)),
            Purpose::Attack(_) => None,
        })
        .collect();
    names.len()
}

impl Verdict {
    /// Closes the books.
    pub(super) fn reach(
        stage: &Stage,
        stream: &Stream,
        mut shots: Vec<Shot>,
        orders: Vec<Entry>,
    ) -> Self {
        let entries = stage.surroundings.ledger.entries();
        let diary = stage.application.diary();
        let books = Books::open(&entries, &diary);
        for shot in &mut shots {
            let is_kept_out = shot.body.as_ref().is_none_or(|body| books.is_kept_out(body));
            shot.is_good = shot.is_as_expected && is_kept_out;
        }
        let accounts = stage
            .simulators
            .iter()
            .map(|simulator| account(&simulator.source, &entries, &books, &shots))
            .collect();
        let mut faults = faults(&entries, &books, &diary);
        let known = books.deliveries.len();
        if known < stream.events {
            faults.push(format!("only {known} of {} events were sent", stream.events));
        }
        let (repeated, failed) = (diary.repeated, diary.failed);
        Self { accounts, shots, orders, faults, repeated, failed }
    }

    /// Every good event was delivered exactly once, every bad one was kept out, and every order stands
    /// where it should.
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
            && self.shots.iter().all(|shot| shot.is_good)
            && self.orders.iter().all(Entry::is_good)
    }
}

fn account(source: &str, entries: &[Sent], books: &Books, shots: &[Shot]) -> Account {
    let mut account = Account { name: source.to_owned(), ..Account::default() };
    let mut acknowledged = HashSet::new();
    for sent in entries.iter().filter(|sent| sent.source == source) {
        account.sent += usize::from(sent.answer.is_ok());
        let is_good_body = || books.names.contains_key(&(sent.source.clone(), sent.body.clone()));
        match &sent.purpose {
            Purpose::Event(_) if !sent.is_acknowledged() => account.retried += 1,
            Purpose::Event(name) if acknowledged.insert(name) => account.accepted += 1,
            Purpose::Event(_) => account.duplicates += 1,
            Purpose::Attack(_) if sent.is_acknowledged() && is_good_body() => {
                account.duplicates += 1;
            }
            Purpose::Attack(_) => account.refused += usize::from(sent.answer.is_ok()),
        }
    }
    let exactly_once = |((of, _), count): &(&Name, &usize)| of == source && **count == 1;
    account.delivered = books.deliveries.iter().filter(exactly_once).count();
    for shot in shots.iter().filter(|shot| shot.provider == source && shot.is_refusal()) {
        for (reason, count) in &shot.reasons {
            *account.why.entry(reason.clone()).or_default() += count;
        }
    }
    account
}

fn faults(entries: &[Sent], books: &Books, diary: &Diary) -> Vec<String> {
    let mut faults = Vec::new();
    let acknowledged: HashSet<Name> = entries
        .iter()
        .filter(|sent| sent.is_acknowledged())
        .filter_map(|sent| match &sent.purpose {
            Purpose::Event(name) => Some((sent.source.clone(), name.clone())),
            Purpose::Attack(_) => None,
        })
        .collect();
    let mut say = |what: &str, names: Vec<&Name>| {
        if let Some((source, name)) = names.first() {
            faults.push(format!("{} good events {what}, such as {name} of {source}", names.len()));
        }
    };
    let all = || books.deliveries.iter();
    say(
        "were never acknowledged",
        all().map(|(n, _)| n).filter(|n| !acknowledged.contains(n)).collect(),
    );
    say("were not delivered", all().filter(|(_, count)| **count == 0).map(|(n, _)| n).collect());
    say("were delivered more than once", all().filter(|(_, c)| **c > 1).map(|(n, _)| n).collect());
    if !books.strays.is_empty() {
        let count = books.strays.len();
        faults.push(format!("{count} deliveries carry what no provider meant"));
    }
    let overtaken = overtaken(diary);
    if overtaken > 0 {
        faults.push(format!("{overtaken} deliveries came out of order within their order"));
    }
    if !diary.refused.is_empty() {
        let count = diary.refused.len();
        faults.push(format!("the application refused {count} deliveries as not genuine"));
    }
    faults
}

/// How many deliveries came after a later one of the same order.
fn overtaken(diary: &Diary) -> usize {
    let mut last: HashMap<(&str, &str), i64> = HashMap::new();
    let mut overtaken = 0;
    for accepted in &diary.accepted {
        let (Some(order), Some(sequence)) = (&accepted.order, accepted.sequence) else { continue };
        let last = last.entry((&accepted.source, order)).or_insert(sequence);
        if sequence < *last {
            overtaken += 1;
        }
        *last = sequence.max(*last);
    }
    overtaken
}

#[cfg(test)]
mod tests;
