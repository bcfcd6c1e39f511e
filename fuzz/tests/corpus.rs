//! Every target holds for its seeds, which reach what they are meant to reach.

use std::collections::BTreeSet;
use std::path::Path;

use fuzz::targets::TARGETS;

#[test]
fn every_target_holds_for_its_seeds() {
    for target in TARGETS {
        let seeds = fuzz::seeds(target.name).expect("a folder of seeds");
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            (target.run)(&seed);
        }
        (target.run)(b"");
    }
}

#[test]
fn every_folder_of_seeds_is_a_target_s_and_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(names.contains(name.as_str()), "no target {name}");
        let bytes: usize = fuzz::seeds(&name).expect("seeds").iter().map(Vec::len).sum();
        assert!(bytes < 64 * 1024, "{name}: {bytes} bytes");
    }
}
