//! `endpoints`: where events are delivered to, and whether anything is sent there now.

use store::EndpointState;

use super::beside::{Office, block_on, order};
use super::{Ended, say};
use crate::args::{Arguments, EndpointName, Endpoints};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash};

/// Lists or changes.
pub(super) fn run(command: &Endpoints, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let json = arguments.json;
        let ended = match command {
            Endpoints::List => list(&office, json).await,
            Endpoints::Enable(name) => change(&office, name, EndpointState::Active, json).await,
            Endpoints::Pause(name) => change(&office, name, EndpointState::Paused, json).await,
        };
        office.close().await;
        ended
    })
}

async fn list(office: &Office, json: bool) -> Ended {
    let states = office.store().endpoint_states().await?;
    let rests = office.store().endpoint_rests().await?;
    let mut table = Table::new(&["ENDPOINT", "STATE", "SINCE", "NOTE"]);
    for endpoint in &office.endpoints {
        let kept = states.iter().find(|(name, ..)| *name == endpoint.name);
        let state = kept.map_or(EndpointState::Active, |(_, state, _)| *state);
        let rests_until = rests.iter().find(|(name, _)| *name == endpoint.name);
        let rests_until = rests_until.map(|(_, until)| until.to_string());
        let since = kept.map(|(_, _, since)| since.to_string());
        if json {
            say(serde_json::json!({
                "name": endpoint.name, "state": word(state), "since": since,
                "paused_by_configuration": endpoint.paused, "left_alone_until": rests_until,
            }))?;
        }
        let note = match (state, endpoint.paused, rests_until) {
            (EndpointState::Disabled, ..) => "it answered 410: endpoints enable".to_owned(),
            (_, true, _) => "paused by the configuration".to_owned(),
            (.., Some(until)) => format!("keeps failing: next probe at {until}"),
            _ => String::new(),
        };
        table.row([endpoint.name.clone(), word(state).to_owned(), or_dash(since), note]);
    }
    if !json {
        say(table)?;
    }
    Ok(Outcome::Done)
}

async fn change(office: &Office, named: &EndpointName, state: EndpointState, json: bool) -> Ended {
    if !office.endpoints.iter().any(|endpoint| endpoint.name == named.name) {
        let known: Vec<&str> = office.endpoints.iter().map(|e| e.name.as_str()).collect();
        let fix = format!("known: {}", known.join(", "));
        return Err(Failure::new("not_found", "no endpoint has this name", fix));
    }
    let note = order(&named.reason).note();
    office.store().set_endpoint_state(&named.name, state, note).await?;
    if json {
        say(serde_json::json!({ "name": named.name, "state": word(state) }))?;
    } else {
        say(format_args!("{} is {}", named.name, word(state)))?;
    }
    Ok(Outcome::Done)
}

fn word(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Active => "active",
        EndpointState::Paused => "paused",
        EndpointState::Disabled => "disabled",
    }
}
