//! Listening for work that another replica has recorded, on a connection of its own.
//!
//! It only wakes: whoever misses it finds the work when it looks by itself.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use super::options::Target;

/// Before a connection is made again that could not be made or broke, at first and at most.
const BACKOFF_MS: (u64, u64) = (250, 1_000);

/// Listens until it is ended.
pub(super) async fn listen(target: Target, fresh: Arc<Notify>, ended: CancellationToken) {
    let (mut wait_ms, longest_ms) = BACKOFF_MS;
    let listening = async {
        loop {
            if listen_once(&target, &fresh).await {
                wait_ms = BACKOFF_MS.0;
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = (wait_ms * 2).min(longest_ms);
        }
    };
    ended.run_until_cancelled(listening).await;
}

/// Listens until the connection breaks; says whether there was one.
async fn listen_once(target: &Target, fresh: &Notify) -> bool {
    let connecting = target.config.connect(target.tls.clone());
    let connected = timeout(target.connect_within, connecting).await;
    let Ok(Ok((client, mut connection))) = connected else { return false };
    let asked = async { client.batch_execute("LISTEN countersign_work").await.is_ok() };
    let heard = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(_))) => fresh.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    };
    let asked = async {
        if asked.await {
            // Something may have come while nobody listened.
            fresh.notify_one();
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = heard => {}
        () = asked => {}
    }
    true
}
