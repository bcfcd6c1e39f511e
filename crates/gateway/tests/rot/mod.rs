//! A store whose file rots: what was sealed opens as it was, or not at all.

use std::collections::HashMap;
use std::path::Path;

use gateway::operations::Desk;
use model::{EventId, Timestamp};
use store::{EventQuery, Options, Store};

use crate::gateway::harness::{Harness, START_MS, root, stripe_event};

const FLIPS: u64 = 300;

/// The body and the order of every event that can still be read, or how far reading came.
async fn read(path: &Path) -> Result<HashMap<EventId, (Vec<u8>, Option<String>)>, String> {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = Store::open(path, options).map_err(|error| error.code().to_owned())?;
    let opened = Desk::open(store.clone(), root(), Timestamp::from_millis(START_MS)).await;
    let desk = opened.map_err(|error| error.to_string())?;
    let query = EventQuery { limit: 100, ..EventQuery::default() };
    let rows = store.events(query).await.map_err(|error| error.code().to_owned())?;
    let mut read = HashMap::new();
    for row in rows {
        let (Ok(Some(body)), Ok(facts)) = (desk.body(&row).await, desk.facts(&row).await) else {
            continue;
        };
        read.insert(row.id, (body.to_vec(), facts.order));
    }
    drop((desk, store));
    Ok(read)
}

#[tokio::test]
async fn a_byte_that_rots_makes_no_other_event() {
    let mut gateway = Harness::start(|settings| settings.endpoints[0].paused = true).await;
    for n in 0..20 {
        let event = stripe_event(&format!("evt_{n}"), &format!("order-{n}"));
        assert_eq!(gateway.send(&event).await.status, 200);
    }
    gateway.stop().await;
    let files = gateway.files().await;
    let file = files.iter().find(|path| path.ends_with("store.db")).expect("the file");
    let whole = std::fs::read(file).expect("bytes");
    let copy = tempfile::tempdir().expect("a folder");
    let path = copy.path().join("store.db");
    std::fs::write(&path, &whole).expect("written");
    let expected = read(&path).await.expect("it is whole");
    assert_eq!(expected.len(), 20);

    let (mut refused, mut missing, mut harmless) = (0, 0, 0);
    for n in 1..=FLIPS {
        // Spread over the file, and over the bits of a byte (Knuth's multiplier).
        let spread = n.wrapping_mul(6_364_136_223_846_793_005) >> 16;
        let at = usize::try_from(spread).expect("64 bits") % whole.len();
        let mut rotten = whole.clone();
        rotten[at] ^= 1 << (spread % 8);
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(copy.path().join(format!("store.db{suffix}")));
        }
        std::fs::write(&path, &rotten).expect("written");
        match read(&path).await {
            Err(_) => refused += 1,
            Ok(found) => {
                for (id, read) in &found {
                    assert_eq!(expected.get(id), Some(read), "byte {at}: {id} reads otherwise");
                }
                if found.len() < expected.len() { missing += 1 } else { harmless += 1 }
            }
        }
    }
    println!(
        "{FLIPS} flips: {refused} refused, {missing} with events missing, {harmless} harmless"
    );
    assert!(refused + missing > 10 && harmless > 10, "{refused} {missing} {harmless}");
}
