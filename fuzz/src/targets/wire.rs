//! What comes over the wire before anything is verified, and the bodies that are verified.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::Timestamp;
use serde_json::Value;

use crate::input::Input;

/// JSON: whatever is taken, another reader takes too and reads the same.
pub(super) fn json(bytes: &[u8]) {
    let checked = schemes::json::check(bytes);
    let Some(ours) = schemes::fuzzing::leaves(bytes) else {
        assert!(checked.is_err());
        return;
    };
    assert_eq!(checked, Ok(()));
    let theirs: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        // Ours may go deeper than theirs, and nowhere else further.
        Err(error) => panic!("taken here and refused there: {error}"),
    };
    let mut read = Vec::new();
    walk(&theirs, String::new(), &mut read);
    let mut ours: Vec<(String, Value)> =
        ours.into_iter().map(|(pointer, leaf)| (pointer, meaning(&leaf))).collect();
    ours.sort_by(|one, other| one.0.cmp(&other.0));
    read.sort_by(|one: &(String, Value), other| one.0.cmp(&other.0));
    assert_eq!(ours, read, "two readers, two readings");

    let compact = schemes::fuzzing::compact(bytes).expect("it was taken");
    assert_eq!(serde_json::from_slice::<Value>(&compact).ok(), Some(theirs));
    assert_eq!(schemes::fuzzing::compact(&compact).as_ref(), Some(&compact));
}

/// A query of the API: whatever is taken has known parameters, each once, and a limit in its bounds.
pub(super) fn api_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(limit) = gateway::fuzzing::api_query(text) else { return };
    assert!((1..=100).contains(&limit), "{limit}");
    let known = ["status", "source", "since", "until", "limit", "cursor"];
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    let mut names: Vec<String> = pairs.map(|(name, _)| name.into_owned()).collect();
    names.sort();
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
    assert!(names.is_sorted_by(|one, next| one < next), "twice: {names:?}");
}

/// A body of the API: whatever is taken is JSON that has one reading, with the one member; and of a
/// receipt that is asked about every byte is that of the text.
pub(super) fn api_body(bytes: &[u8]) {
    if let Some((source, receipt)) = gateway::fuzzing::api_receipt(bytes) {
        let read: Value = serde_json::from_slice(bytes).expect("JSON");
        assert_eq!(read.get("source"), Some(&Value::from(source)));
        assert_eq!(read.get("receipt"), Some(&Value::from(receipt)));
    }
    let Some(reason) = gateway::fuzzing::api_reason(bytes) else { return };
    assert!(!reason.trim().is_empty() && reason.chars().count() <= 500);
    assert_eq!(schemes::json::check(bytes), Ok(()), "two readers could read it in two ways");
    let read: Value = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!(read, serde_json::json!({ "reason": reason }));
}

/// A leaf as the other reader would say it.
fn meaning(leaf: &str) -> Value {
    match leaf.strip_prefix('"') {
        Some(text) => Value::String(text.to_owned()),
        None => serde_json::from_str(leaf).expect("a leaf is JSON"),
    }
}

fn walk(value: &Value, pointer: String, leaves: &mut Vec<(String, Value)>) {
    let before = leaves.len();
    if let Some(members) = value.as_object() {
        for (name, member) in members {
            let name = name.replace('~', "~0").replace('/', "~1");
            walk(member, format!("{pointer}/{name}"), leaves);
        }
    }
    for (at, element) in value.as_array().into_iter().flatten().enumerate() {
        walk(element, format!("{pointer}/{at}"), leaves);
    }
    if leaves.len() == before {
        leaves.push((pointer, value.clone()));
    }
}

/// Forms: whatever is taken, another reader reads the same, and no name twice.
pub(super) fn form(bytes: &[u8]) {
    let Some(ours) = schemes::fuzzing::form(bytes) else { return };
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let theirs: Vec<(String, String)> = url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let read: Vec<(String, String)> =
        ours.iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
    assert_eq!(read, theirs, "two readers, two readings");
    let mut names: Vec<&[u8]> = ours.iter().map(|(name, _)| name.as_slice()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair.first() != pair.last()), "a name twice");
    for (name, value) in &read {
        let (name_text, value_text) =
            (schemes::fuzzing::form_encode(name), schemes::fuzzing::form_encode(value));
        let again = schemes::fuzzing::form(format!("{name_text}={value_text}").as_bytes());
        assert_eq!(again, Some(vec![(name.clone().into_bytes(), value.clone().into_bytes())]));
    }
}

/// Heads of requests: what is let in frames its body in one way only.
pub(super) fn head(bytes: &[u8]) {
    let Ok(Some((head_bytes, body_bytes))) = gateway::fuzzing::head(bytes) else { return };
    let head = bytes.get(..head_bytes).expect("a head is a part of the bytes");
    assert!(head.ends_with(b"\r\n\r\n"), "no end");
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let mut lengths = Vec::new();
    let mut hosts = 0;
    for line in lines.iter().skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!line.contains(&b'\r') && !line.contains(&0), "a control character");
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        assert!(!name.iter().any(u8::is_ascii_whitespace), "white space in a name");
        let name = String::from_utf8_lossy(name).to_lowercase();
        assert_ne!(name.replace('_', "-"), "transfer-encoding", "a transfer coding");
        hosts += usize::from(name == "host");
        if name == "content-length" {
            lengths.push(value.trim_ascii_start().get(1..).unwrap_or_default().trim_ascii());
        }
    }
    assert_eq!(hosts, 1, "one host");
    let told: Vec<Option<u64>> =
        lengths.iter().map(|text| std::str::from_utf8(text).ok()?.parse().ok()).collect();
    let wanted = if told.is_empty() { vec![] } else { vec![Some(body_bytes)] };
    assert_eq!(told, wanted, "one length");
    // Nothing shorter is a whole request already.
    for end in 0..head_bytes {
        let part = gateway::fuzzing::head(bytes.get(..end).unwrap_or_default());
        assert!(!matches!(part, Ok(Some(_))), "whole at {end}");
    }
}

/// `X-Forwarded-For`: a stranger's word counts for nothing, and what stands left of the sender
/// changes nothing.
pub(super) fn forwarded(bytes: &[u8]) {
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().flat_map(|t| t.parse()).collect();
    let proxy = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if let Some(sender) = gateway::fuzzing::sender(stranger, &lines, &trusted) {
        assert_eq!(sender, stranger);
    }
    let Some(sender) = gateway::fuzzing::sender(proxy, &lines, &trusted) else { return };
    assert_eq!(sender, sender.to_canonical());
    if !trusted.iter().any(|range| range.contains(&sender)) {
        let mut forged: Vec<&[u8]> = vec![b"203.0.113.99"];
        forged.extend(&lines);
        assert_eq!(gateway::fuzzing::sender(proxy, &forged, &trusted), Some(sender));
    }
}

/// The PROXY protocol: exactly the header is taken.
pub(super) fn proxy(bytes: &[u8]) {
    let Some((address, left)) = gateway::fuzzing::behind(bytes) else { return };
    let taken = bytes.len() - left;
    let header = bytes.get(..taken).expect("a header is a part of the bytes");
    assert_eq!(gateway::fuzzing::behind(header), Some((address, 0)));
    for end in 0..taken {
        assert_eq!(gateway::fuzzing::behind(bytes.get(..end).unwrap_or_default()), None);
    }
}

/// `Retry-After`: never in the past, and digits mean what they say.
pub(super) fn retry_after(bytes: &[u8]) {
    let mut input = Input(bytes);
    let now = Timestamp::from_millis(1_700_000_000_000 + i64::from(input.byte()) * 1000);
    let Some(wait_ms) = gateway::fuzzing::retry_after(input.0, now) else { return };
    assert!(wait_ms >= 0);
    if !input.0.is_empty() && input.0.iter().all(u8::is_ascii_digit) {
        let said: i64 = String::from_utf8_lossy(input.0).parse().expect("a number that was taken");
        assert_eq!(wait_ms, said * 1000);
    }
}
