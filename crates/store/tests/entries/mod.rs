//! Audit entries and what they are about, when the server takes one and not the other.

use store::{Action, Store};

use crate::conformance::fixture::*;
use crate::patient;
use crate::server;

#[tokio::test]
async fn no_event_is_kept_without_its_audit_entry() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    let refuse = "ALTER TABLE audit_entry ADD CONSTRAINT refused CHECK (action <> 0) NOT VALID";
    server.run(&database, refuse).await;
    assert!(store.record(draft(1).to("app").record()).await.is_err());
    assert_eq!(all_events(&store).await, []);

    server.run(&database, "ALTER TABLE audit_entry DROP CONSTRAINT refused").await;
    keep(&store, draft(1).to("app")).await;
    let entries = store.entries(0, 100).await.unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.action == Action::Recorded).count(), 1);
}
