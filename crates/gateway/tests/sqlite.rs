//! The suite over the embedded backend, and what is particular to its file.

#[expect(dead_code, reason = "nothing here starts a second gateway on one store")]
mod gateway;
mod rot;

use store::Store;

use self::gateway::harness::Backend;

fn backend() -> Backend {
    Backend {
        open: |path, options| {
            Box::pin(async move { Store::open(&path, options).expect("a store") })
        },
        open_beside: |path| Box::pin(async move { Store::open_beside(&path).expect("a store") }),
        files: |path| {
            Box::pin(async move {
                let folder = path.parent().expect("a folder").read_dir().expect("a folder");
                folder.map(|entry| entry.expect("an entry").path()).collect()
            })
        },
        is_alone: true,
    }
}
