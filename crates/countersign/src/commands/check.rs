//! `check`: what is not safe for production, without starting anything: the configuration, and the
//! store as it is.

use store::Store;

use super::beside::block_on;
use super::{Ended, now, origin, say};
use crate::args::Arguments;
use crate::config::Configuration;
use crate::failure::{Failure, Outcome};
use crate::table::Table;

/// Something that is not as it should be.
struct Finding {
    code: &'static str,
    /// What it is about: the store, or a place in the configuration.
    about: String,
    /// What it means, and what to do.
    text: String,
}

/// Looks, and says what was found: the answer is yes when that is nothing.
pub(super) fn run(arguments: &Arguments) -> Ended {
    let configuration = origin(arguments).configuration()?;
    block_on(async {
        let store = configuration.store.open_beside().await?;
        let found = look(&configuration, &store).await;
        store.close().await;
        told(&found?, &configuration, arguments.json)
    })
}

async fn look(configuration: &Configuration, store: &Store) -> Result<Vec<Finding>, Failure> {
    let of_configuration = configuration.notices.iter().map(|notice| Finding {
        code: "configuration",
        about: notice.about(),
        text: notice.text.clone(),
    });
    let warnings = store.server_facts(now()).await?;
    let of_store = warnings.iter().map(|warning| Finding {
        code: warning.code(),
        about: "store".to_owned(),
        text: warning.to_string(),
    });
    Ok(of_configuration.chain(of_store).collect())
}

fn told(found: &[Finding], configuration: &Configuration, json: bool) -> Ended {
    let store = configuration.store.to_string();
    if json {
        let list: Vec<_> = found
            .iter()
            .map(
                |one| serde_json::json!({ "code": one.code, "about": one.about, "text": one.text }),
            )
            .collect();
        say(serde_json::json!({ "store": store, "findings": list }))?;
    } else if found.is_empty() {
        say(format!("nothing is wrong with the configuration, nor with the store {store}"))?;
    } else {
        let mut table = Table::new(&["CODE", "ABOUT", "WHAT IT MEANS, AND WHAT TO DO"]);
        for one in found {
            table.row([one.code.to_owned(), one.about.clone(), one.text.clone()]);
        }
        say(table)?;
    }
    Ok(if found.is_empty() { Outcome::Done } else { Outcome::No })
}
