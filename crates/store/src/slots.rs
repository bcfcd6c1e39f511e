//! Who gets the slots of an endpoint, whatever the backend.
//!
//! Fresh work and retries each have a quarter of the slots reserved; the rest goes to what has
//! waited longest.

/// A delivery that may be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the order of all deliveries.
    pub(crate) row: i64,
    /// Since when it waits, milliseconds.
    pub(crate) since: i64,
}

/// An endpoint's slots, of which fresh work and retries each have some reserved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    /// Those that are to be filled.
    pub(crate) free: usize,
    /// Those that are taken.
    pub(crate) in_flight: usize,
    /// Of these, by retries.
    pub(crate) retries_in_flight: usize,
}

impl Slots {
    /// Chooses who gets the free slots. Both lists are in the order in which they wait.
    pub(crate) fn share(self, fresh: &[Candidate], retries: &[Candidate]) -> Vec<Candidate> {
        let slots = self.in_flight + self.free;
        let reserved = if slots < 2 { 0 } else { (slots / 4).max(1) };
        let fresh_in_flight = self.in_flight.saturating_sub(self.retries_in_flight);
        let lacking = |in_flight: usize| reserved.saturating_sub(in_flight);
        let (first_fresh, fresh) =
            fresh.split_at(lacking(fresh_in_flight).min(fresh.len()).min(self.free));
        let left = self.free - first_fresh.len();
        let (first_retries, retries) =
            retries.split_at(lacking(self.retries_in_flight).min(retries.len()).min(left));

        let mut rest: Vec<_> = fresh.iter().chain(retries).copied().collect();
        rest.sort_by_key(|candidate| candidate.since);
        first_fresh.iter().chain(first_retries).copied().chain(rest).take(self.free).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(rows: std::ops::Range<i64>, since: i64) -> Vec<Candidate> {
        rows.map(|row| Candidate { row, since: since + row }).collect()
    }

    /// How many fresh ones and how many retries get slots.
    fn shared(slots: Slots, fresh: &[Candidate], retries: &[Candidate]) -> (usize, usize) {
        let chosen = slots.share(fresh, retries);
        let chosen_fresh = chosen.iter().filter(|chosen| fresh.contains(chosen)).count();
        (chosen_fresh, chosen.len() - chosen_fresh)
    }

    #[test]
    fn neither_side_starves_the_other() {
        let (old, new) = (waiting(0..100, 0), waiting(100..200, 1_000_000));
        let idle = Slots { free: 32, in_flight: 0, retries_in_flight: 0 };
        assert_eq!(shared(idle, &new, &old), (8, 24));
        assert_eq!(shared(idle, &old, &new), (24, 8));
        // Slots that become free one by one go to whoever lacks its reserve.
        let all_retries = Slots { free: 1, in_flight: 31, retries_in_flight: 31 };
        assert_eq!(shared(all_retries, &new, &old), (1, 0));
        let all_fresh = Slots { free: 1, in_flight: 31, retries_in_flight: 0 };
        assert_eq!(shared(all_fresh, &old, &new), (0, 1));
        let balanced = Slots { free: 1, in_flight: 31, retries_in_flight: 16 };
        assert_eq!(shared(balanced, &new, &old), (0, 1));
        assert_eq!(shared(balanced, &old, &new), (1, 0));
    }

    #[test]
    fn whoever_is_alone_gets_every_slot() {
        let some = waiting(0..100, 0);
        let slots = Slots { free: 32, in_flight: 0, retries_in_flight: 0 };
        assert_eq!(shared(slots, &some, &[]), (32, 0));
        assert_eq!(shared(slots, &[], &some), (0, 32));
    }

    #[test]
    fn a_single_slot_goes_to_who_waits_longest() {
        let slots = Slots { free: 1, in_flight: 0, retries_in_flight: 0 };
        assert_eq!(shared(slots, &waiting(0..1, 5), &waiting(1..2, 9)), (1, 0));
        assert_eq!(shared(slots, &waiting(0..1, 9), &waiting(1..2, 5)), (0, 1));
    }

    proptest! {
        #[test]
        fn slots_are_filled_and_never_overfilled(
            free in 0_usize..40, in_flight in 0_usize..40, retries in 0_usize..40,
            fresh in 0_i64..50, due in 0_i64..50,
        ) {
            let slots = Slots { free, in_flight, retries_in_flight: retries.min(in_flight) };
            let (fresh, due) = (waiting(0..fresh, 0), waiting(100..100 + due, 0));
            let chosen = slots.share(&fresh, &due);
            prop_assert_eq!(chosen.len(), free.min(fresh.len() + due.len()));
            let mut rows: Vec<_> = chosen.iter().map(|chosen| chosen.row).collect();
            rows.sort_unstable();
            rows.dedup();
            prop_assert_eq!(rows.len(), chosen.len());
        }
    }
}
