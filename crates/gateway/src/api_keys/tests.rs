//! Who is let in by a key and who is not, how that is counted, and what is told of its end.

use super::*;
use model::api_key::{Cause, Overlap, Secret};
use store::{Options, Successor};

use crate::operations::{Desk, Order};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);
const DAY_MS: i64 = 86_400_000;
const HERE: &str = "192.0.2.7";

/// A store of its own with the keys of it.
struct Shop {
    _folder: tempfile::TempDir,
    store: Store,
    desk: Desk,
    keys: Arc<ApiKeys>,
}

fn order(at: Timestamp) -> Order {
    Order {
        actor: "cli:ada".to_owned(),
        reason: "a test".to_owned(),
        at,
        request: None,
        address: None,
        agent: None,
    }
}

fn wanted() -> Wanted {
    let grant = Grant { permissions: [Permission::EventsRead].into(), ..Grant::default() };
    Wanted { name: "shop".to_owned(), grant, days: 90 }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { reserve_bytes: 64 * 1024, ..Options::default() };
        let store = Store::open(&folder.path().join("store.db"), options).expect("a store");
        let root = || vault::RootKey::generate([9; 32]);
        let desk = Desk::open(store.clone(), root(), NOON).await.expect("a desk");
        let ring = Arc::new(KeyRing::open(root(), store.clone(), NOON).await.expect("a ring"));
        let keys = ApiKeys::open(store.clone(), ring, Environment::Test, NOON).await;
        Self { _folder: folder, store, desk, keys: Arc::new(keys.expect("the keys")) }
    }

    async fn create(&self, wanted: Wanted) -> ApiKey {
        let created = self.desk.create_api_key(Environment::Test, wanted, order(NOON)).await;
        let issued = created.expect("the store answers").expect("there can be such a key");
        self.keys.refresh().await.expect("the store answers");
        issued.key
    }

    async fn roll(&self, key: ApiKeyId, overlap: Overlap, at: Timestamp) -> ApiKey {
        let old = self.row(key).await;
        let rolled = self.desk.roll_api_key(&old, overlap, order(at)).await;
        self.keys.refresh().await.expect("the store answers");
        rolled.expect("the store answers").expect("it can be rolled").key
    }

    async fn row(&self, key: ApiKeyId) -> ApiKeyRow {
        self.store.api_key(key).await.expect("the store answers").expect("the key is kept")
    }

    fn show(&self, key: &ApiKey, at: Timestamp) -> Result<Caller, Denied> {
        self.keys.authenticate(&key.to_text(), ip(HERE), at)
    }
}

#[tokio::test]
async fn who_shows_a_key_that_works_is_let_in_with_what_it_allows() {
    let shop = Shop::new().await;
    let mut wanted = wanted();
    wanted.grant.reach.sources = Some(["stripe".to_owned()].into());
    let key = shop.create(wanted.clone()).await;
    let caller = shop.show(&key, NOON).expect("it works");
    assert_eq!((caller.key, caller.environment), (key.id, Environment::Test));
    assert_eq!(
        (&*caller.permissions, &*caller.reach),
        (&wanted.grant.permissions, &wanted.grant.reach)
    );
    assert!(caller.may(Permission::EventsRead) && !caller.may(Permission::EventsReveal));
    assert!(!caller.is_old_generation);
}

#[tokio::test]
async fn whoever_shows_anything_else_is_told_why_inside() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    let denied = |key: &ApiKey| shop.show(key, NOON).expect_err("it is not let in");
    let guessed = ApiKey { secret: Secret::new([1; 32]), ..key.clone() };
    assert_eq!(denied(&guessed), Denied::WrongSecret);
    let unknown = ApiKey { id: ApiKeyId::new(NOON, [1; 10]), ..key.clone() };
    assert_eq!(denied(&unknown), Denied::Unknown);
    let elsewhere = ApiKey { environment: Environment::Live, ..key.clone() };
    assert_eq!(denied(&elsewhere), Denied::Environment);
    for text in ["", "Bearer x", &key.to_text()[1..], &format!("{} ", key.to_text().as_str())] {
        let denied = shop.keys.authenticate(text, ip(HERE), NOON).expect_err("it is no key");
        assert_eq!(denied, Denied::Malformed, "{text}");
    }
    let mut codes: Vec<_> = Denied::ALL.iter().map(|denied| denied.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Denied::ALL.len());
    assert_eq!(Denied::ALL.iter().filter(|denied| denied.is_unavailable()).count(), 1);
}

#[tokio::test]
async fn a_hash_is_one_keys_alone() {
    let shop = Shop::new().await;
    let one = shop.create(wanted()).await;
    let other = shop.create(wanted()).await;
    // Whoever writes the hash of his own key into another's row gains nothing.
    let mixed = ApiKey { secret: one.secret.clone(), ..other.clone() };
    assert_ne!(shop.keys.pepper.hash(&one), shop.keys.pepper.hash(&mixed));
    let live = ApiKey { environment: Environment::Live, ..one.clone() };
    assert_ne!(shop.keys.pepper.hash(&one), shop.keys.pepper.hash(&live));
    assert_eq!(shop.row(one.id).await.secret_hash, shop.keys.pepper.hash(&one));
    let again = shop.keys.ring.pepper(NOON).await.expect("it is kept");
    assert_eq!(again.hash(&one), shop.keys.pepper.hash(&one));
}

#[tokio::test]
async fn a_revoked_key_lets_nobody_in() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    assert!(shop.show(&key, NOON).is_ok());
    let note = shop.desk.note(order(NOON)).await.expect("a note");
    shop.store.revoke_api_key(key.id, Cause::Leaked, note).await.expect("the store answers");
    shop.keys.refresh().await.expect("the store answers");
    assert_eq!(shop.show(&key, NOON), Err(Denied::Revoked));
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let shop = Shop::new().await;
    let key = shop.create(Wanted { days: 1, ..wanted() }).await;
    assert!(shop.show(&key, NOON.plus_millis(DAY_MS - 1)).is_ok());
    assert_eq!(shop.show(&key, NOON.plus_millis(DAY_MS)), Err(Denied::Expired));
}

#[tokio::test]
async fn both_generations_work_within_the_overlap_and_the_new_one_after_it() {
    let shop = Shop::new().await;
    let old = shop.create(wanted()).await;
    let new = shop.roll(old.id, Overlap::Hour, NOON).await;
    let hour = NOON.plus_millis(Overlap::Hour.as_millis());
    let last = hour.plus_millis(-1);
    assert!(shop.show(&old, last).is_ok_and(|caller| caller.is_old_generation));
    assert!(shop.show(&new, last).is_ok_and(|caller| !caller.is_old_generation));
    assert_eq!(shop.show(&old, hour), Err(Denied::Expired));
    assert!(shop.show(&new, hour).is_ok());
    // Rolled again, the one before is over at once.
    let newest = shop.roll(new.id, Overlap::Week, NOON.plus_millis(5)).await;
    assert_eq!(shop.show(&old, NOON.plus_millis(5)), Err(Denied::Expired));
    assert!(shop.show(&new, hour).is_ok_and(|caller| caller.is_old_generation));
    assert!(shop.show(&newest, hour).is_ok());
    let (first, third) = (shop.row(old.id).await, shop.row(newest.id).await);
    assert_eq!((first.name, first.grant), (third.name, third.grant));
}

#[tokio::test]
async fn a_key_is_used_from_its_networks_only() {
    let shop = Shop::new().await;
    let mut wanted = wanted();
    wanted.grant.networks = vec!["192.0.2.0/24".parse().expect("a network")];
    let key = shop.create(wanted).await;
    let from = |address: &str| shop.keys.authenticate(&key.to_text(), ip(address), NOON);
    assert!(from("192.0.2.255").is_ok() && from("::ffff:192.0.2.1").is_ok());
    for other in ["192.0.3.0", "127.0.0.1", "::1", "2001:db8::1"] {
        assert_eq!(from(other), Err(Denied::AddressNotAllowed), "{other}");
    }
}

#[tokio::test]
async fn what_is_not_seen_for_long_is_not_believed() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    let long = Duration::from_millis(limits::API_KEYS_STALE_MS_MAX + 1);
    let Some(then) = Instant::now().checked_sub(long) else { return };
    shop.keys.keys.write().expect("no panic").seen = then;
    assert_eq!(shop.show(&key, NOON), Err(Denied::Unavailable));
    shop.keys.refresh().await.expect("the store answers");
    assert!(shop.show(&key, NOON).is_ok());
}

#[tokio::test]
async fn uses_are_written_of_each_generation() {
    let shop = Shop::new().await;
    let old = shop.create(wanted()).await;
    let new = shop.roll(old.id, Overlap::Day, NOON).await;
    for at in [2, 9, 5] {
        assert!(shop.show(&old, NOON.plus_millis(at)).is_ok());
    }
    assert!(shop.show(&new, NOON).is_ok());
    let guessed = ApiKey { secret: Secret::new([1; 32]), ..new.clone() };
    assert!(shop.show(&guessed, NOON).is_err());
    let unknown = ApiKey { id: ApiKeyId::new(NOON, [1; 10]), ..new.clone() };
    assert!(shop.show(&unknown, NOON).is_err());
    let version = shop.store.api_keys_version().await.expect("the store answers");
    shop.keys.write_uses(NOON).await;
    shop.keys.write_uses(NOON).await;
    let (first, second) = (shop.row(old.id).await, shop.row(new.id).await);
    assert_eq!((first.uses, first.refusals), (3, 0));
    assert_eq!(first.last_used_at, Some(NOON.plus_millis(9)));
    assert_eq!((second.uses, second.refusals), (1, 1));
    let address = shop.desk.last_address(&first).await.expect("it opens");
    assert_eq!(address.as_deref(), Some(HERE));
    assert_eq!(shop.store.api_keys_version().await.expect("it answers"), version);
}

#[tokio::test]
async fn what_cannot_be_written_waits() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    assert!(shop.show(&key, NOON).is_ok());
    shop.store.close().await;
    shop.keys.write_uses(NOON).await;
    assert!(shop.show(&key, NOON).is_ok());
    assert_eq!(shop.keys.uses.waiting(key.id), (2, 0));
}

#[tokio::test]
async fn ends_are_announced_at_each_mark_until_the_key_is_rolled() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    let later = shop.create(Wanted { days: 91, ..wanted() }).await;
    let days_before = |days: i64| NOON.plus_millis((90 - days) * DAY_MS);
    let near = |days: i64| -> Vec<_> {
        let near = shop.keys.expiring(days_before(days));
        near.into_iter().map(|near| (near.key, near.within_days)).collect()
    };
    assert_eq!(near(15), []);
    assert_eq!(near(14), [(key.id, 14)]);
    assert_eq!(near(7), [(key.id, 7), (later.id, 14)]);
    assert_eq!(near(1), [(key.id, 1), (later.id, 7)]);
    let mark = || shop.keys.warned.lock().expect("no panic").get(&key.id).copied();
    for (days, marked) in [(15, None), (14, Some(14)), (10, Some(14)), (7, Some(7)), (1, Some(1))] {
        shop.keys.warn(days_before(days));
        assert_eq!(mark(), marked);
    }
    shop.roll(key.id, Overlap::Week, days_before(1)).await;
    assert_eq!(near(1), [(later.id, 7)]);
    shop.keys.warn(days_before(1));
    assert_eq!(mark(), None);
}

#[tokio::test]
async fn what_cannot_be_wanted_is_not_made() {
    let shop = Shop::new().await;
    let none = Some(BTreeSet::new());
    let with = |change: &dyn Fn(&mut Wanted)| {
        let mut wanted = wanted();
        change(&mut wanted);
        wanted
    };
    let network: ipnet::IpNet = "192.0.2.0/24".parse().expect("a network");
    let names: BTreeSet<_> = (0..=limits::API_KEY_BOUNDS_MAX).map(|n| n.to_string()).collect();
    let many = limits::API_KEY_BOUNDS_MAX + 1;
    for (unfit, wanted) in [
        (Unfit::Name, with(&|w| w.name.clear())),
        (Unfit::Name, with(&|w| w.name = " shop".to_owned())),
        (Unfit::Name, with(&|w| w.name = "ada@example.com".to_owned())),
        (Unfit::Name, with(&|w| w.name = "shop\n".to_owned())),
        (Unfit::Name, with(&|w| w.name = "é".repeat(limits::API_KEY_NAME_CHARS_MAX + 1))),
        (Unfit::NoPermission, with(&|w| w.grant.permissions.clear())),
        (Unfit::NoReach, with(&|w| w.grant.reach.sources = none.clone())),
        (Unfit::NoReach, with(&|w| w.grant.reach.providers = none.clone())),
        (Unfit::TooManyBounds, with(&|w| w.grant.networks = vec![network; many])),
        (Unfit::TooManyBounds, with(&|w| w.grant.reach.sources = Some(names.clone()))),
        (Unfit::Days, with(&|w| w.days = 0)),
        (Unfit::Days, with(&|w| w.days = limits::API_KEY_DAYS_MAX + 1)),
    ] {
        let refused = shop.desk.create_api_key(Environment::Test, wanted, order(NOON)).await;
        let refused = refused.expect("the store answers").expect_err("there is no such key");
        assert_eq!(refused, unfit);
        assert!(refused.to_string().contains(": ") && !refused.code().is_empty());
    }
    assert!(shop.store.api_keys().await.expect("the store answers").is_empty());
    // The largest that can be wanted has room in the audit log.
    let names = (10..10 + limits::API_KEY_BOUNDS_MAX).map(|n| format!("{n}{}", "x".repeat(62)));
    let names: BTreeSet<String> = names.collect();
    let network = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128".parse().expect("a network");
    let largest = with(&|w| {
        w.name = "é".repeat(limits::API_KEY_NAME_CHARS_MAX);
        w.grant.permissions = Permission::ALL.iter().copied().collect();
        w.grant.reach.sources = Some(names.clone());
        w.grant.reach.providers = Some(names.clone());
        w.grant.networks = vec![network; limits::API_KEY_BOUNDS_MAX];
    });
    let key = shop.create(largest).await;
    assert!(shop.row(key.id).await.grant.reach.is_bound());
}

#[tokio::test]
async fn a_key_that_has_a_successor_or_is_revoked_is_not_rolled() {
    let shop = Shop::new().await;
    let key = shop.create(wanted()).await;
    shop.roll(key.id, Overlap::Day, NOON).await;
    let row = shop.row(key.id).await;
    let rolled = shop.desk.roll_api_key(&row, Overlap::Day, order(NOON)).await;
    let refused = rolled.expect("the store answers").expect_err("it has a successor");
    assert_eq!(refused, store::ApiKeyChanged::AlreadyRolled);
    let successor =
        Successor { id: key.id, secret_hash: [0; 16], expires_at: NOON, grace_until: NOON };
    let missing = ApiKeyId::new(NOON, [1; 10]);
    let note = shop.desk.note(order(NOON)).await.expect("a note");
    let unknown = shop.store.roll_api_key(missing, successor, note).await;
    assert_eq!(unknown, Ok(store::ApiKeyChanged::NotFound));
}
