//! `endpoints`: where events are delivered to, and whether anything is sent there now.

use http::HeaderName;
use schemes::standard_webhooks::SigningKey;
use store::EndpointState;

use super::beside::{Office, block_on, order};
use super::{Ended, origin, say};
use crate::args::{Arguments, EndpointName, Endpoints};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash};

/// Lists or changes.
pub(super) fn run(command: &Endpoints, arguments: &Arguments) -> Ended {
    if let Endpoints::Show { name } = command {
        return show(name, arguments);
    }
    block_on(async {
        let office = Office::open(arguments).await?;
        let json = arguments.json;
        let ended = match command {
            Endpoints::List | Endpoints::Show { .. } => list(&office, json).await,
            Endpoints::Enable(name) => change(&office, name, EndpointState::Active, json).await,
            Endpoints::Pause(name) => change(&office, name, EndpointState::Paused, json).await,
        };
        office.close().await;
        ended
    })
}

async fn list(office: &Office, json: bool) -> Ended {
    let known = gateway::operations::endpoints(office.store()).await?;
    let mut table = Table::new(&["ENDPOINT", "STATE", "SINCE", "NOTE"]);
    for endpoint in &office.endpoints {
        let shown = known.shown(&endpoint.name, endpoint.paused);
        if json {
            say(serde_json::to_value(&shown).unwrap_or_default())?;
        }
        let state = EndpointState::from(shown.state);
        let note = match (state, endpoint.paused, shown.left_alone_until) {
            (EndpointState::Disabled, ..) => "it answered 410: endpoints enable".to_owned(),
            (_, true, _) => "paused by the configuration".to_owned(),
            (.., Some(until)) => format!("keeps failing: next probe at {until}"),
            _ => String::new(),
        };
        table.row([shown.name, state.code().to_owned(), or_dash(shown.since), note]);
    }
    if !json {
        say(table)?;
    }
    Ok(Outcome::Done)
}

/// What the application needs to know: no secret, and no header's value.
fn show(name: &str, arguments: &Arguments) -> Ended {
    let settings = origin(arguments).configuration()?.settings;
    let Some(endpoint) = settings.endpoints.iter().find(|endpoint| endpoint.name == name) else {
        return Err(unknown(settings.endpoints.iter().map(|endpoint| endpoint.name.as_str())));
    };
    let keys = endpoint.secrets.iter().filter_map(|secret| SigningKey::parse(secret).ok());
    let public: Vec<_> = keys.filter_map(|key| key.public_key()).collect();
    let headers: Vec<_> = endpoint.headers.keys().map(HeaderName::as_str).collect();
    if arguments.json {
        say(serde_json::json!({
            "name": endpoint.name, "url": endpoint.url.as_str(),
            "header_prefix": endpoint.header_prefix, "headers": headers,
            "secrets": endpoint.secrets.len(), "public_keys": public,
        }))?;
        return Ok(Outcome::Done);
    }
    say(format_args!("{} {}", endpoint.name, endpoint.url))?;
    say(format_args!(
        "signed with {} secrets, in {}-signature",
        endpoint.secrets.len(),
        endpoint.header_prefix
    ))?;
    for key in public {
        say(format_args!("verifies with {key}"))?;
    }
    for name in headers {
        say(format_args!("sends {name}"))?;
    }
    Ok(Outcome::Done)
}

fn unknown<'a>(known: impl Iterator<Item = &'a str>) -> Failure {
    let fix = format!("known: {}", known.collect::<Vec<_>>().join(", "));
    Failure::new("not_found", "no endpoint has this name", fix)
}

async fn change(office: &Office, named: &EndpointName, state: EndpointState, json: bool) -> Ended {
    if !office.endpoints.iter().any(|endpoint| endpoint.name == named.name) {
        return Err(unknown(office.endpoints.iter().map(|endpoint| endpoint.name.as_str())));
    }
    let note = office.desk.note(order(&named.reason)).await?;
    office.store().set_endpoint_state(&named.name, state, note).await?;
    if json {
        say(serde_json::json!({ "name": named.name, "state": state.code() }))?;
    } else {
        say(format_args!("{} is {}", named.name, state.code()))?;
    }
    Ok(Outcome::Done)
}
