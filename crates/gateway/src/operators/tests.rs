//! Who signs in and who does not, what is said and written of it, and how sessions end.

use std::time::Instant;

use super::*;
use model::operator::WeakPassword;
use store::{EntryRow, OperatorChange, Options};

use crate::operations::Desk;

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);
const MINUTE_MS: i64 = 60_000;

/// How soon what was ended is over at every gateway: a second, on a machine that is not busy with other
/// tests.
const OVER_WITHIN: Duration = Duration::from_secs(5);

/// A store of its own with an operator, and a gateway's view of them.
struct Office {
    folder: tempfile::TempDir,
    store: Store,
    desk: Desk,
    operators: Arc<Operators>,
    ada: Welcome,
    stop: CancellationToken,
}

fn order(at: Timestamp) -> Order {
    Order {
        actor: "cli:root".to_owned(),
        reason: "a test".to_owned(),
        at,
        request: None,
        address: None,
        agent: None,
    }
}

fn root() -> vault::RootKey {
    vault::RootKey::generate([9; 32])
}

fn login(text: &str) -> Login {
    text.parse().expect("a login")
}

/// From an address of its own.
fn asking_from(address: u8, now: Timestamp) -> Asking {
    Asking {
        request: RequestId::new(now, entropy::bytes()),
        address: IpAddr::from([192, 0, 2, address]),
        agent: Some("browser/1".to_owned()),
        now,
    }
}

fn asking(now: Timestamp) -> Asking {
    asking_from(7, now)
}

fn shown(login: &str, password: &str, code: &str) -> SignIn {
    SignIn {
        login: login.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        code: Zeroizing::new(code.to_owned()),
    }
}

/// A code of no step that counts now.
fn wrong_code(seed: &Seed, now: Timestamp) -> String {
    (0..10)
        .map(|digit| format!("{digit}00000"))
        .find(|code| seed.step_of(code, now).is_none())
        .expect("three codes at most are right")
}

impl Office {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { reserve_bytes: 64 * 1024, ..Options::default() };
        let store = Store::open(&folder.path().join("store.db"), options).expect("a store");
        let desk = Desk::open(store.clone(), root(), NOON).await.expect("a desk");
        let added = desk.add_operator(&login("ada"), Role::Operator, order(NOON)).await;
        let ada = added.expect("the store answers").expect("there can be such an operator");
        let operators = Self::beside(&store).await;
        let stop = CancellationToken::new();
        Self { folder, store, desk, operators, ada, stop }
    }

    /// As another gateway on the same store sees them.
    async fn beside(store: &Store) -> Arc<Operators> {
        let ring = Arc::new(KeyRing::open(root(), store.clone(), NOON).await.expect("a ring"));
        let opened = Operators::open(store.clone(), ring, NOON).await;
        Arc::new(opened.expect("the operators"))
    }

    /// Another gateway that looks whether anything has changed.
    async fn running(&self) -> Arc<Operators> {
        let operators = Self::beside(&self.store).await;
        tokio::spawn(operators.clone().run(self.stop.clone()));
        operators
    }

    /// Ada with the code of a time.
    fn ada(&self, now: Timestamp) -> SignIn {
        shown("ada", &self.ada.password, &self.ada.seed.code(now))
    }

    async fn sign_in(&self, now: Timestamp) -> Result<SignedIn, Refused> {
        self.operators.sign_in(self.ada(now), &asking(now)).await
    }

    async fn signed_in(&self, now: Timestamp) -> Zeroizing<String> {
        self.sign_in(now).await.expect("she is let in").token.to_text()
    }

    async fn refresh(&self) {
        self.operators.sessions.refresh().await.expect("the store answers");
    }

    async fn entries(&self, action: Action) -> Vec<EntryRow> {
        let entries = self.store.entries(0, 1_000).await.expect("the store answers");
        entries.into_iter().filter(|entry| entry.action == action).collect()
    }

    async fn change(&self, change: OperatorChange) {
        let changed =
            self.desk.change_operator(self.ada.id, change, Last::MayGo, order(NOON)).await;
        changed.expect("the store answers").expect("it is another state");
    }
}

impl Operators {
    /// Nobody's password can be hashed as long as this is kept.
    fn hasher_is_taken(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.hasher.take_all()
    }

    fn known(&self, token: &str) -> bool {
        let token = Token::parse(token).expect("a token");
        self.sessions.is_held(self.pepper.of_token(token.as_bytes()))
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn who_shows_password_and_code_has_a_session() {
    let office = Office::new().await;
    let signed_in = office.sign_in(NOON).await.expect("she is let in");
    assert_eq!(signed_in.operator, office.ada.id);
    let token = signed_in.token.to_text();
    let now = NOON.plus_millis(1_000);
    let operator = office.operators.authenticate(&token, now).await.expect("it is hers");
    assert_eq!((operator.id, operator.role), (office.ada.id, Role::Operator));
    assert!(operator.confirmed && operator.may(Permission::EventsDecide));
    assert!(!operator.may(Permission::EventsReveal));
    assert_eq!(operator.ends_at, NOON.plus_millis(limits::SESSION_MS_MAX));
    let [opened] = &office.entries(Action::SessionOpened).await[..] else { panic!("one entry") };
    assert_eq!((&opened.resource, opened.outcome), (&office.ada.id.to_string(), "done"));
    assert_eq!(opened.actor, office.ada.id.to_string());
    let personal = office.desk.shown(opened).await.expect("it opens").expect("it has some");
    assert_eq!(personal.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(personal.agent.as_deref(), Some("browser/1"));
}

#[tokio::test]
async fn whatever_is_wrong_is_refused_alike_and_told_apart_in_the_log() {
    let office = Office::new().await;
    let right = office.ada(NOON);
    let (password, code) = (right.password.as_str(), right.code.as_str());
    let other = wrong_code(&office.ada.seed, NOON);
    let mut reasons = Vec::new();
    for (n, sign_in) in (1..).zip([
        shown("ada", "not the password", code),
        shown("ada", password, &other),
        shown("ada", password, ""),
        shown("bob", password, code),
        shown("Ada", password, code),
        shown("", "", ""),
    ]) {
        // From an address each, and what is right in between: neither must be limited.
        let asking = asking_from(n, NOON);
        let refused = office.operators.sign_in(sign_in, &asking).await.expect_err("it is wrong");
        assert_eq!(refused, Refused::SignIn);
        let entry = office.entries(Action::SessionRefused).await.pop().expect("an entry");
        assert_eq!((entry.outcome, entry.actor.as_str()), ("refused", NOBODY));
        assert_eq!(entry.request, Some(asking.request));
        entry.body().expect("it can be in the log");
        reasons.push((entry.resource.starts_with("opr_"), entry.changes.clone()));
        let all = format!("{entry:?}");
        assert!(!all.contains("not the password") && !all.contains(password), "{all}");
        assert!(!all.contains("bob") && !all.contains("Ada"), "{all}");
    }
    let because = |known: bool, why: &str| (known, format!(r#"[["because",null,"{why}"]]"#));
    assert_eq!(
        reasons,
        [
            because(true, "wrong_password"),
            because(true, "wrong_code"),
            because(true, "wrong_code"),
            because(false, "unknown"),
            because(false, "unknown"),
            because(false, "unknown"),
        ]
    );
    assert!(office.sign_in(NOON).await.is_ok());
}

#[tokio::test]
async fn a_code_is_used_once() {
    let office = Office::new().await;
    assert!(office.sign_in(NOON).await.is_ok());
    assert_eq!(office.sign_in(NOON).await.map(drop), Err(Refused::SignIn));
    // Nor an older one that would still count.
    let late = NOON.plus_millis(30_000);
    let older = shown("ada", &office.ada.password, &office.ada.seed.code(NOON));
    let refused = office.operators.sign_in(older, &asking(late)).await.map(drop);
    assert_eq!(refused, Err(Refused::SignIn));
    assert!(office.sign_in(late).await.is_ok());
    let refused = office.entries(Action::SessionRefused).await;
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|entry| entry.changes.contains("code_used")));
}

#[tokio::test]
async fn five_failures_are_enough_and_nothing_is_hashed_after_them() {
    let office = Office::new().await;
    let there = Office::beside(&office.store).await;
    for n in 0..5 {
        let at = if n % 2 == 0 { &office.operators } else { &there };
        let wrong = shown("ada", "not the password", "000000");
        let refused = at.sign_in(wrong, &asking_from(n, NOON)).await.map(drop);
        assert_eq!(refused, Err(Refused::SignIn));
    }
    let places = office.operators.hasher_is_taken();
    let refused = office.operators.sign_in(office.ada(NOON), &asking(NOON)).await.map(drop);
    let limited = Err(Refused::Limited { retry_after_ms: 15 * MINUTE_MS });
    assert_eq!(refused, limited, "even what is right is not looked at, nor hashed");
    drop(places);
    assert_eq!(there.sign_in(office.ada(NOON), &asking(NOON)).await.map(drop), limited);
    assert_eq!(office.entries(Action::SessionRefused).await.len(), 5);
    // Half an hour on it is as if nothing had been.
    assert!(office.sign_in(NOON.plus_millis(30 * MINUTE_MS)).await.is_ok());
}

#[tokio::test]
async fn what_is_good_is_not_counted_as_failed() {
    let office = Office::new().await;
    for n in 0..8 {
        let now = NOON.plus_millis(n * 30_000);
        assert!(office.sign_in(now).await.is_ok(), "{n}");
    }
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again() {
    let office = Office::new().await;
    let places = office.operators.hasher_is_taken();
    assert_eq!(office.sign_in(NOON).await.map(drop), Err(Refused::Busy));
    drop(places);
    assert!(office.sign_in(NOON).await.is_ok());
}

#[tokio::test]
async fn who_confirms_has_another_token_and_no_more_time() {
    let office = Office::new().await;
    let first = office.signed_in(NOON).await;
    let later = NOON.plus_millis(6 * MINUTE_MS);
    let operator = office.operators.authenticate(&first, later).await.expect("it is hers");
    assert!(!operator.confirmed);
    let password = || office.ada.password.clone();
    let (code, wrong) = (office.ada.seed.code(later), wrong_code(&office.ada.seed, later));
    let confirm = |password, code: String| {
        let (operators, asking) = (office.operators.clone(), asking(later));
        async move { operators.confirm(&operator, password, &code, &asking).await }
    };
    let refused = confirm(Zeroizing::new("not the password".to_owned()), code.clone()).await;
    assert_eq!(refused.map(drop), Err(Refused::SignIn));
    assert_eq!(confirm(password(), wrong).await.map(drop), Err(Refused::SignIn));
    assert!(office.operators.authenticate(&first, later).await.is_ok());
    let confirmed = confirm(password(), code.clone()).await.expect("it is her");
    let second = confirmed.token.to_text();
    assert_ne!(first, second);
    let over = office.operators.authenticate(&first, later).await;
    assert_eq!(over, Err(Refused::Session));
    let operator = office.operators.authenticate(&second, later).await.expect("it goes on");
    assert!(operator.confirmed);
    assert_eq!(operator.ends_at, NOON.plus_millis(limits::SESSION_MS_MAX));
    assert_eq!(office.entries(Action::SessionConfirmed).await.len(), 1);
    assert_eq!(office.entries(Action::SessionRefused).await.len(), 2);
}

#[tokio::test]
async fn guessing_with_a_stolen_session_is_counted_like_any_other() {
    let office = Office::new().await;
    let token = office.signed_in(NOON).await;
    let operator = office.operators.authenticate(&token, NOON).await.expect("it is hers");
    for n in 0..5 {
        let guess = Zeroizing::new("not the password".to_owned());
        let asking = asking_from(n, NOON);
        let refused = office.operators.confirm(&operator, guess, "000000", &asking).await;
        assert_eq!(refused.map(drop), Err(Refused::SignIn));
    }
    let asking = asking_from(9, NOON.plus_millis(30_000));
    let guess = Zeroizing::new("another guess".to_owned());
    let limited = office.operators.confirm(&operator, guess, "000000", &asking).await.map(drop);
    assert!(matches!(limited, Err(Refused::Limited { .. })), "{limited:?}");
    // Sign-ins are counted apart, the other way round too: nobody is kept out by strangers.
    office.sign_in(NOON.plus_millis(30_000)).await.expect("it is her");
}

#[tokio::test]
async fn what_is_no_token_lets_nobody_in() {
    let office = Office::new().await;
    let token = office.signed_in(NOON).await;
    let other = Token::new([1; 32]).to_text();
    for wrong in ["", "cs_session_", &token[1..], &format!("{} ", token.as_str()), &other] {
        let refused = office.operators.authenticate(wrong, NOON).await;
        assert_eq!(refused, Err(Refused::Session), "{wrong}");
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let office = Office::new().await;
    let there = Office::beside(&office.store).await;
    let token = office.signed_in(NOON).await;
    let minutes = |n: i64| NOON.plus_millis(n * MINUTE_MS);
    assert!(office.operators.authenticate(&token, minutes(14)).await.is_ok());
    office.operators.write_uses().await;
    // It was used here, so it is not idle there.
    assert!(there.authenticate(&token, minutes(28)).await.is_ok());
    there.write_uses().await;
    // And it seems idle here, until the store is asked.
    assert!(office.operators.authenticate(&token, minutes(42)).await.is_ok());
    office.operators.write_uses().await;
    assert_eq!(there.authenticate(&token, minutes(57)).await, Err(Refused::Session));
    assert!(there.authenticate(&token, minutes(56)).await.is_ok());
    for n in (56..720).step_by(10) {
        assert!(there.authenticate(&token, minutes(n)).await.is_ok(), "{n}");
    }
    assert_eq!(there.authenticate(&token, minutes(720)).await, Err(Refused::Session));
}

#[tokio::test]
async fn who_signs_out_is_out() {
    let office = Office::new().await;
    let (one, other) =
        (office.signed_in(NOON).await, office.signed_in(NOON.plus_millis(30_000)).await);
    let now = NOON.plus_millis(40_000);
    let operator = office.operators.authenticate(&one, now).await.expect("it is hers");
    office.operators.sign_out(&operator, &asking(now)).await.expect("the store answers");
    assert_eq!(office.operators.authenticate(&one, now).await, Err(Refused::Session));
    assert!(office.operators.authenticate(&other, now).await.is_ok());
    assert_eq!(office.entries(Action::SessionEnded).await.len(), 1);
    // Twice is no harm.
    office.operators.sign_out(&operator, &asking(now)).await.expect("the store answers");
    assert_eq!(office.entries(Action::SessionEnded).await.len(), 1);
}

#[tokio::test]
async fn what_is_ended_beside_a_gateway_is_over_within_a_second() {
    let office = Office::new().await;
    let gateways = [office.running().await, office.running().await];
    let token = office.signed_in(NOON).await;
    for gateway in &gateways {
        gateway.sessions.refresh().await.expect("the store answers");
        assert!(gateway.authenticate(&token, NOON).await.is_ok());
        assert!(gateway.known(&token), "it is in memory");
    }
    office.change(OperatorChange::Disable).await;
    let begun = Instant::now();
    for gateway in &gateways {
        while gateway.authenticate(&token, NOON).await.is_ok() {
            assert!(begun.elapsed() < OVER_WITHIN, "a session goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let now = NOON.plus_millis(MINUTE_MS);
    assert_eq!(office.sign_in(now).await.map(drop), Err(Refused::SignIn), "she is disabled");
    // Enabled again she signs in, with the role that she has now.
    office.change(OperatorChange::Role(Role::Viewer)).await;
    office.change(OperatorChange::Enable).await;
    let token = office.signed_in(now).await;
    for gateway in &gateways {
        let operator = gateway.authenticate(&token, now).await.expect("it is hers");
        assert_eq!(operator.role, Role::Viewer);
    }
    office.change(OperatorChange::Role(Role::Administrator)).await;
    let begun = Instant::now();
    for gateway in &gateways {
        let role = async || gateway.authenticate(&token, now).await.expect("it is hers").role;
        while role().await != Role::Administrator {
            assert!(begun.elapsed() < OVER_WITHIN, "a role does not count");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_gateway_that_hears_nothing_believes_its_memory_for_a_moment_only() {
    let office = Office::new().await;
    let token = office.signed_in(NOON).await;
    // To sign in may take longer than the memory is believed.
    office.refresh().await;
    assert!(office.operators.authenticate(&token, NOON).await.is_ok());
    assert!(office.operators.known(&token));
    let note = office.desk.note(order(NOON)).await.expect("a note");
    assert_eq!(office.store.end_sessions(office.ada.id, note).await, Ok(1));
    let stale = Duration::from_millis(limits::OPERATORS_STALE_MS_MAX + 100);
    tokio::time::sleep(stale).await;
    assert!(office.operators.known(&token), "it has not looked");
    let refused = office.operators.authenticate(&token, NOON).await;
    assert_eq!(refused, Err(Refused::Session), "so it asks");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let office = Office::new().await;
    office.store.close().await;
    assert_eq!(office.sign_in(NOON).await.map(drop), Err(Refused::Unavailable));
    let wrong = shown("ada", "not the password", "000000");
    let refused = office.operators.sign_in(wrong, &asking(NOON)).await.map(drop);
    assert_eq!(refused, Err(Refused::Unavailable));
    assert_eq!(office.entries(Action::SessionOpened).await, []);
}

#[tokio::test]
async fn a_new_password_or_seed_is_the_only_one() {
    let office = Office::new().await;
    let token = office.signed_in(NOON).await;
    let row = office.store.operator(office.ada.id).await.unwrap().expect("she is kept");
    let set = async |password: &str| {
        let password = Zeroizing::new(password.to_owned());
        office
            .desk
            .set_password(&row, &password, Last::MayGo, order(NOON))
            .await
            .expect("the store answers")
    };
    let weak = |weak| Err(NoOperator::Weak(weak));
    assert_eq!(set("too short").await, weak(WeakPassword::Short));
    assert_eq!(set("Password1234").await, weak(WeakPassword::Common));
    office.refresh().await;
    assert!(office.operators.authenticate(&token, NOON).await.is_ok());
    assert_eq!(set("a new test password").await, Ok(()));
    office.refresh().await;
    assert_eq!(office.operators.authenticate(&token, NOON).await, Err(Refused::Session));
    let now = NOON.plus_millis(60_000);
    assert_eq!(office.sign_in(now).await.map(drop), Err(Refused::SignIn));
    let code = office.ada.seed.code(now);
    let new = |code: &str| shown("ada", "a new test password", code);
    assert!(office.operators.sign_in(new(&code), &asking(now)).await.is_ok());

    let seed =
        office.desk.new_seed(&row, Last::MayGo, order(now)).await.expect("the store answers");
    let seed = seed.expect("she is there");
    let now = NOON.plus_millis(120_000);
    let old = office.ada.seed.code(now);
    let refused = office.operators.sign_in(new(&old), &asking(now)).await.map(drop);
    assert_eq!(refused, Err(Refused::SignIn));
    assert!(office.operators.sign_in(new(&seed.code(now)), &asking(now)).await.is_ok());
}

#[tokio::test]
async fn a_new_operator_has_a_login_of_their_own() {
    let office = Office::new().await;
    let again = office.desk.add_operator(&login("ada"), Role::Viewer, order(NOON)).await;
    let taken = again.expect("the store answers").map(drop);
    assert_eq!(taken, Err(NoOperator::Changed(store::OperatorChanged::LoginTaken)));
    let change = async |id, change| {
        office
            .desk
            .change_operator(id, change, Last::MayGo, order(NOON))
            .await
            .expect("the store answers")
    };
    let enabled = change(office.ada.id, OperatorChange::Enable).await;
    assert_eq!(enabled.map_err(NoOperator::code), Err("already_so"));
    let nobody = OperatorId::new(NOON, [9; 10]);
    let disabled = change(nobody, OperatorChange::Disable).await;
    assert_eq!(disabled.map_err(NoOperator::code), Err("not_found"));
    let mut codes: Vec<_> = NoOperator::ALL.iter().map(|no| no.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), NoOperator::ALL.len());
}

#[tokio::test]
async fn nothing_of_it_stands_in_the_file_in_the_clear() {
    let office = Office::new().await;
    let grace = "grace.hopper.canary";
    let added = office.desk.add_operator(&login(grace), Role::Viewer, order(NOON)).await;
    let welcome = added.expect("the store answers").expect("she is added");
    let code = welcome.seed.code(NOON);
    let sign_in = shown(grace, &welcome.password, &code);
    let signed_in = office.operators.sign_in(sign_in, &asking(NOON)).await.expect("she is in");
    let wrong = shown("nobody.canary", "canary password", "123456");
    assert!(office.operators.sign_in(wrong, &asking(NOON)).await.is_err());
    let row = office.store.operator(welcome.id).await.unwrap().expect("she is kept");
    assert_eq!(office.desk.login(&row).await.expect("it opens"), login(grace));
    office.store.close().await;
    let mut searched = 0;
    for file in std::fs::read_dir(office.folder.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it can be read");
        searched += bytes.len();
        let token = signed_in.token.as_bytes();
        let seed = welcome.seed.as_bytes();
        for secret in [
            grace.as_bytes(),
            welcome.password.as_bytes(),
            b"$argon2id$",
            seed,
            welcome.seed.to_text().as_bytes(),
            token,
            signed_in.token.to_text().as_bytes(),
            b"canary",
        ] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{}", String::from_utf8_lossy(secret));
        }
    }
    assert!(searched > 0);
}

/// A small one: the measurement is `./prove keys`. Without hashing a name that is not there would
/// take a hundredth of the time.
#[tokio::test]
async fn who_is_not_there_takes_as_long_as_a_wrong_password() {
    let office = Office::new().await;
    let took = async |login: &str, asking: &Asking| {
        let wrong = shown(login, "not the password", "000000");
        let begun = Instant::now();
        let refused = office.operators.sign_in(wrong, asking).await;
        let took = begun.elapsed();
        assert_eq!(refused.map(drop), Err(Refused::SignIn));
        took
    };
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    // In turns, so that a machine that is busy with other tests is so for both; and so far apart that
    // neither has failed too often.
    for n in 0..8_u8 {
        let asking = asking_from(10 + n, NOON.plus_millis(i64::from(n) * 30 * MINUTE_MS));
        known = known.min(took("ada", &asking).await);
        unknown = unknown.min(took("bob", &asking).await);
    }
    assert!(unknown * 3 > known, "{unknown:?} for nobody, {known:?} for somebody");
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    let mut codes: Vec<_> = Refused::ALL.iter().map(|refused| refused.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Refused::ALL.len());
}
