//! The stores that the binary is tested over.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bench::postgres::{Cluster, OWNER, SERVING};
use store::{PostgresOptions, Store};

/// Makes a test of each case for each backend.
macro_rules! on_both {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[test]
            fn $case() {
                super::$case(crate::stores::Backend::Sqlite);
            })*
        }

        mod postgres {
            $(#[test]
            fn $case() {
                super::$case(crate::stores::Backend::Postgres);
            })*
        }
    };
}

/// Where a gateway under test keeps what it is given.
#[derive(Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// The server of this process; it ends with it.
pub(crate) static SERVER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::start(&["fsync=off"]).expect("PostgreSQL starts"));

impl Backend {
    /// Changes a configuration that `init` wrote, so that its store is a new one of this backend.
    pub(crate) fn configure(self, configuration: &str) -> String {
        match self {
            Self::Sqlite => configuration.to_owned(),
            Self::Postgres => {
                let changed = configuration.replace("sqlite:countersign.db", &database());
                assert_ne!(changed, configuration, "the store is named there");
                changed
            }
        }
    }
}

/// The URL of a database that is migrated and has nothing in it.
fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("shop_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    SERVER.make_database(&name).expect("a database");
    let owner = PostgresOptions::new(SERVER.url(OWNER, &name));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let migrated = runtime.block_on(Store::migrate_apply(&owner, Some(SERVING)));
    migrated.expect("an empty database is migrated");
    SERVER.url(SERVING, &name)
}
