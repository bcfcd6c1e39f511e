//! Whether the time of a refused sign-in tells what was wrong: a name that is not there, the password,
//! or the code. Prints one JSON line a pair: `sign_in_times SAMPLES FOLDER [PAIR]`, where the folder is
//! for the store (memory is quietest), and only pairs that have this text in their name are measured. `./prove keys` runs it; a build with the feature
//! `sabotage/planted` can be made to leak.

#![expect(clippy::print_stdout, reason = "its answer")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Instant;

use bench::timing::largest_t;
use gateway::KeyError;
use gateway::operations::{Desk, Order};
use gateway::operators::{Asking, Operators, Refused, SignIn};
use model::{RequestId, Role, Timestamp};
use store::{Options, Store};
use zeroize::Zeroizing;

/// Operators, so that each fails seldom enough to be looked at.
const OPERATORS: usize = 64;

/// How often each of them may fail in one stretch of time.
const FAILURES_EACH: usize = 4;

/// From one stretch to the next nothing counts any more.
const STRETCH_MS: i64 = 30 * 60_000;

const NOON_MS: i64 = 1_767_268_800_000;

/// What is wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Login,
    Password,
    Code,
}

/// What is told apart or not.
const PAIRS: [(&str, Wrong, Wrong); 2] = [
    ("unknown login, wrong password", Wrong::Login, Wrong::Password),
    ("wrong code, wrong password", Wrong::Code, Wrong::Password),
];

struct Known {
    login: String,
    password: Zeroizing<String>,
}

/// Operators of a store, and sign-ins that nobody limits.
struct Times {
    runtime: tokio::runtime::Runtime,
    operators: Operators,
    known: Vec<Known>,
    tried: usize,
    address: u32,
}

impl Times {
    fn new(store: &Store) -> Result<Self, KeyError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let now = Timestamp::from_millis(NOON_MS);
        let root = || vault::RootKey::generate([9; 32]);
        let (operators, known) = runtime.block_on(async {
            let desk = Desk::open(store.clone(), root(), now).await?;
            let mut known = Vec::new();
            for n in 0..OPERATORS {
                let login = format!("operator-{n}");
                let order = Order {
                    actor: "bench".to_owned(),
                    reason: String::new(),
                    at: now,
                    request: None,
                    address: None,
                    agent: None,
                };
                let named = login.parse().expect("a login");
                let added = desk.add_operator(&named, Role::Viewer, order).await?;
                let password = added.expect("there is none of that name").password;
                known.push(Known { login, password });
            }
            let operators = Operators::of_store(store.clone(), root(), now).await?;
            Ok::<_, KeyError>((operators, known))
        })?;
        Ok(Self { runtime, operators, known, tried: 0, address: 0 })
    }

    /// How long one refusal takes, nanoseconds.
    fn take(&mut self, wrong: Wrong) -> u128 {
        let stretch = i64::try_from(self.tried / (OPERATORS * FAILURES_EACH)).expect("few");
        let now = Timestamp::from_millis(NOON_MS + stretch * STRETCH_MS);
        let known = self.known.get(self.tried % OPERATORS).expect("one of them");
        self.tried += 1;
        self.address += 1;
        let password = match wrong {
            Wrong::Code => known.password.clone(),
            Wrong::Login | Wrong::Password => Zeroizing::new("not the test password".to_owned()),
        };
        let login = match wrong {
            Wrong::Login => format!("nobody-{}", self.address),
            Wrong::Password | Wrong::Code => known.login.clone(),
        };
        // No code has letters.
        let shown = SignIn { login, password, code: Zeroizing::new("wrong!".to_owned()) };
        let mut random = [0; 10];
        random.iter_mut().zip(self.address.to_be_bytes()).for_each(|(to, from)| *to = from);
        let asking = Asking {
            request: RequestId::new(now, random),
            address: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | self.address)),
            agent: None,
            now,
        };
        let begun = Instant::now();
        let refused = self.runtime.block_on(self.operators.sign_in(shown, &asking));
        let took = begun.elapsed().as_nanos();
        assert_eq!(refused.map(drop), Err(Refused::SignIn));
        took
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let samples: usize = arguments.next().ok_or("say how many samples")?.parse()?;
    let folder = PathBuf::from(arguments.next().ok_or("name a folder for the store")?);
    let asked = arguments.next().unwrap_or_default();
    let folder = tempfile::tempdir_in(folder)?;
    let options = Options { reserve_bytes: 64 * 1024, ..Options::default() };
    let store = Store::open(&folder.path().join("store.db"), options)?;
    let mut times = Times::new(&store)?;
    for (name, one, other) in PAIRS.into_iter().filter(|(name, ..)| name.contains(&asked)) {
        let t = largest_t(samples, |class| times.take(if class { one } else { other }));
        println!("{}", serde_json::json!({ "name": name, "t": t, "samples": samples }));
    }
    Ok(())
}
