//! What a cut leaves, and that it tells a store that syncs from one that does not.

use super::mount::Mounted;
use super::*;

fn name(name: &str) -> &OsStr {
    OsStr::new(name)
}

fn put(disk: &mut Disk, file: &str, at: usize, bytes: &[u8]) {
    let id = disk.find(name(file)).unwrap_or_else(|| disk.create(name(file), 0o600));
    disk.file_mut(id).unwrap().change(Change::Write { at, bytes: bytes.to_vec() });
}

fn sync(disk: &mut Disk, file: &str) {
    let id = disk.find(name(file)).unwrap();
    disk.file_mut(id).unwrap().sync();
}

fn content(disk: &Disk, file: &str) -> Option<Vec<u8>> {
    disk.find(name(file)).map(|id| disk.file(id).unwrap().bytes.clone())
}

#[test]
fn what_was_synced_stays_and_the_rest_goes() {
    let mut disk = Disk::default();
    put(&mut disk, "a", 0, b"kept");
    sync(&mut disk, "a");
    disk.sync_names();
    put(&mut disk, "a", 2, b"lost too");
    assert!(disk.is_unsynced(name("a")));
    assert_eq!(content(&disk, "a").unwrap(), b"kelost too");
    let disk = disk.after(&mut Cut::Nothing);
    assert_eq!(content(&disk, "a").unwrap(), b"kept");
    assert!(!disk.is_unsynced(name("a")));
}

#[test]
fn a_file_whose_folder_was_not_synced_is_gone() {
    let mut disk = Disk::default();
    put(&mut disk, "a", 0, b"synced");
    sync(&mut disk, "a");
    assert_eq!(content(&disk.after(&mut Cut::Nothing), "a"), None);
}

#[test]
fn a_removal_that_was_not_synced_is_undone_and_so_is_a_rename() {
    let mut disk = Disk::default();
    put(&mut disk, "a", 0, b"one");
    put(&mut disk, "b", 0, b"two");
    sync(&mut disk, "a");
    sync(&mut disk, "b");
    disk.sync_names();
    assert!(disk.remove(name("a")));
    assert!(disk.rename(name("b"), name("c")));
    assert!(!disk.remove(name("a")) && !disk.rename(name("b"), name("d")), "they are gone");
    let disk = disk.after(&mut Cut::Nothing);
    assert_eq!(content(&disk, "a").unwrap(), b"one");
    assert_eq!(content(&disk, "b").unwrap(), b"two");
    assert_eq!(content(&disk, "c"), None);
}

#[test]
fn a_length_is_lost_and_kept_as_bytes_are() {
    let mut disk = Disk::default();
    put(&mut disk, "a", 0, b"whole");
    sync(&mut disk, "a");
    disk.sync_names();
    let id = disk.find(name("a")).unwrap();
    disk.file_mut(id).unwrap().change(Change::Resize(2));
    assert_eq!(content(&disk, "a").unwrap(), b"wh");
    sync(&mut disk, "a");
    disk.file_mut(id).unwrap().change(Change::Resize(4));
    assert_eq!(content(&disk, "a").unwrap(), b"wh\0\0");
    assert_eq!(content(&disk.after(&mut Cut::Nothing), "a").unwrap(), b"wh");
}

#[test]
fn a_torn_write_keeps_some_sectors_whole() {
    let mut mixed = 0;
    for seed in 0..100 {
        let mut disk = Disk::default();
        put(&mut disk, "a", 0, &[1; 4096]);
        sync(&mut disk, "a");
        disk.sync_names();
        put(&mut disk, "a", 100, &[2; 3000]);
        let left = content(&disk.after(&mut Cut::Torn(Chance::new(seed))), "a").unwrap();
        assert_eq!(left.len(), 4096);
        assert!(left[..100].iter().chain(&left[3100..]).all(|byte| *byte == 1), "none beside it");
        for sector in left[512..3072].chunks(512) {
            assert!(sector.iter().all(|byte| byte == &sector[0]), "seed {seed}");
        }
        mixed += u32::from(left.contains(&2) && left[100..3100].contains(&1));
    }
    assert!(mixed > 50, "{mixed} of 100 were torn");
}

#[test]
fn sectors_are_those_of_the_file() {
    let bytes = [0; 1500];
    let lengths = |at, length: usize| -> Vec<(usize, usize)> {
        sectors(at, &bytes[..length]).map(|(at, sector)| (at, sector.len())).collect()
    };
    assert_eq!(lengths(500, 1100), [(500, 12), (512, 512), (1024, 512), (1536, 64)]);
    assert_eq!(lengths(512, 512), [(512, 512)]);
    assert_eq!(lengths(3, 2), [(3, 2)]);
}

/// Commits rows until the power is cut; how many were committed, and how many are left.
fn rows_over_cuts(synchronous: &str, torn: bool) -> (i64, i64) {
    let (mut committed, mut left) = (0, 0);
    for seed in 0..4_u8 {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Mounted::new(Disk::default(), folder.path()).unwrap();
        let database = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.pragma_update(None, "synchronous", synchronous).unwrap();
        database.execute_batch("CREATE TABLE item (n INTEGER PRIMARY KEY)").unwrap();
        for n in 0..100 + seed {
            database.execute("INSERT INTO item VALUES (?1)", [n]).unwrap();
            committed += 1;
        }
        // Closing would write the log back, and there is no closing at a power cut.
        let disk = std::mem::take(&mut *mounted.disk());
        let mut cut = if torn { Cut::Torn(Chance::new(seed.into())) } else { Cut::Nothing };
        let found = tempfile::tempdir().unwrap();
        disk.after(&mut cut).save(found.path()).unwrap();
        left += count(&found.path().join("test.db"));
        drop(database);
        mounted.unmount().unwrap();
    }
    (committed, left)
}

fn count(database: &Path) -> i64 {
    let database = rusqlite::Connection::open(database).unwrap();
    let said: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    database.query_row("SELECT count(*) FROM item", (), |row| row.get(0)).unwrap_or(0)
}

#[test]
#[ignore = "needs FUSE; `./test` runs it where there is one"]
fn a_power_cut_takes_nothing_of_a_store_that_syncs_and_some_of_one_that_does_not() {
    for torn in [false, true] {
        let (committed, left) = rows_over_cuts("FULL", torn);
        assert_eq!(left, committed);
        let (committed, left) = rows_over_cuts("NORMAL", torn);
        assert!(left < committed, "{left} of {committed} left");
    }
}
