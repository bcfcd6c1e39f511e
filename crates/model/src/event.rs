//! An event's status, what its signature covers, and the verdict of each step of the way in.

use std::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code used in the store, in `--json` and in logs.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The variant with this code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// Where the money is: a test gateway takes test events only, a live one live events only.
    Environment {
        /// Play money.
        Test = "test",
        /// Real money.
        Live = "live",
    }
}

codes! {
    /// What a signature vouches for. Money is believed only from what is covered.
    Covers {
        /// Every byte of the body.
        Full = "full",
        /// Some fields of the body.
        Fields = "fields",
        /// Only identifiers.
        Identifiers = "identifiers",
        /// A checksum of the body that can be forged.
        Checksum = "checksum",
        /// Nothing: the event is a hint.
        None = "none",
    }
}

codes! {
    /// What became of an event.
    EventStatus {
        /// May be delivered.
        Accepted = "accepted",
        /// Authentic; waits for a fact or a person.
        Held = "held",
        /// Authentic; will not be delivered.
        Denied = "denied",
        /// Authentic, but cannot be read or trusted; never released.
        Quarantined = "quarantined",
    }
}

codes! {
    /// Why an authentic event is quarantined although it could be read.
    Quarantine {
        /// A test event at a live gateway, or the reverse.
        WrongEnvironment = "wrong_environment",
        /// The same dedup key came before with another significant projection.
        Conflict = "conflict",
        /// The provider signs receipts of such events, and this one has none.
        ReceiptMissing = "receipt_missing",
        /// Its receipt was not signed with the source's receipt secrets, or cannot be read.
        ReceiptInvalid = "receipt_invalid",
        /// Its receipt is signed and says something else than the event.
        ReceiptContradicts = "receipt_contradicts",
    }
}

codes! {
    /// The steps of the way in, in order.
    Step {
        /// Transport, source address, sizes and limits.
        Admit = "admit",
        /// Is it really the provider?
        Verify = "verify",
        /// What does it say?
        Read = "read",
        /// May it pass?
        Decide = "decide",
        /// Kept durably, once.
        Record = "record",
    }
}

codes! {
    /// What a step said.
    Verdict {
        /// The step let it through.
        Pass = "pass",
        /// The step stopped it.
        Fail = "fail",
        /// The step was not reached.
        Skip = "skip",
    }
}

/// The verdict of each step: all before the last one passed, all after it were not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    failed: Option<Step>,
}

impl Steps {
    /// Every step passed.
    pub const PASSED: Self = Self { failed: None };

    /// This step stopped it.
    pub const fn failed_at(step: Step) -> Self {
        Self { failed: Some(step) }
    }

    /// The step that stopped it, if any.
    pub const fn failed(self) -> Option<Step> {
        self.failed
    }

    /// The verdict of one step. A hold, a denial and a quarantine are recorded all the same, so
    /// *record* passes after them; a refusal is not.
    pub fn verdict(self, step: Step) -> Verdict {
        match self.failed {
            None => Verdict::Pass,
            Some(failed) if step < failed => Verdict::Pass,
            Some(failed) if step == failed => Verdict::Fail,
            Some(failed) if step == Step::Record && failed > Step::Verify => Verdict::Pass,
            Some(_) => Verdict::Skip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_from_the_step_that_stopped() {
        let verdicts =
            |steps: Steps| Step::ALL.iter().map(|s| steps.verdict(*s)).collect::<Vec<_>>();
        use Verdict::{Fail, Pass, Skip};
        assert_eq!(verdicts(Steps::PASSED), [Pass; 5]);
        assert_eq!(verdicts(Steps::failed_at(Step::Verify)), [Pass, Fail, Skip, Skip, Skip]);
        assert_eq!(verdicts(Steps::failed_at(Step::Read)), [Pass, Pass, Fail, Skip, Pass]);
        assert_eq!(verdicts(Steps::failed_at(Step::Decide)), [Pass, Pass, Pass, Fail, Pass]);
        assert_eq!(verdicts(Steps::failed_at(Step::Record)), [Pass, Pass, Pass, Pass, Fail]);
    }

    #[test]
    fn codes_round_trip() {
        for status in EventStatus::ALL {
            assert_eq!(EventStatus::from_code(status.code()), Some(*status));
        }
        assert_eq!(EventStatus::from_code("Accepted"), None);
    }
}
