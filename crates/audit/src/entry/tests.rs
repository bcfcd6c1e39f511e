//! An entry has one text, and nothing else is taken for one.

use super::*;
use crate::hash::leaf_hash;
use crate::limits::{CHANGES_MAX, LEAVES_MAX, TIME_MS_MAX, VALUE_BYTES_MAX};
use proptest::prelude::*;

pub(crate) fn example() -> Entry {
    Entry {
        time_ms: 1_767_225_600_000,
        action: "event.released".to_owned(),
        outcome: "done".to_owned(),
        actor: "operator:ana".to_owned(),
        resource: "evt_1".to_owned(),
        changes: vec![
            Change {
                name: "status".to_owned(),
                before: Value::Text("held".to_owned()),
                after: Value::Text("accepted".to_owned()),
            },
            Change {
                name: "e-mail".to_owned(),
                before: Value::Nothing,
                after: Value::Committed(Commitment::of("e-mail", &[3; 32], b"a@example.com")),
            },
        ],
        request: Some("req_1".to_owned()),
        address: Some(Commitment::of("address", &[1; 32], b"192.0.2.1")),
        agent: None,
        note: None,
    }
}

fn leaf(entry: &Entry) -> String {
    let body = Body::of(entry).expect("an entry that can be written");
    String::from_utf8(body.leaf(7)).expect("text")
}

#[track_caller]
fn refused(leaf: impl AsRef<[u8]>, expected: EntryError) {
    let parsed = Entry::parse(leaf.as_ref());
    assert_eq!(parsed, Err(expected), "{}", String::from_utf8_lossy(leaf.as_ref()));
}

/// Leaves that were signed must be read years later, and hashed as the same bytes.
#[test]
fn known_answer() {
    let leaf = leaf(&example());
    assert_eq!(
        leaf,
        "{\"v\":1,\"index\":7,\"time\":1767225600000,\"action\":\"event.released\",\
         \"outcome\":\"done\",\"actor\":\"operator:ana\",\"resource\":\"evt_1\",\"changes\":\
         [[\"status\",\"held\",\"accepted\"],[\"e-mail\",null,{\"commitment\":\
         \"391cf5ef9cbfb0f27e62f13ba650e7a440b4b79e9bf49eb1c5154aaaeb666910\"}]],\
         \"request\":\"req_1\",\
         \"address\":\"629d78c803c86cde0e0485c55a77ee381fc95106c700b01ba46eb14c1893313c\",\
         \"agent\":null,\"note\":null}"
    );
    assert_eq!(
        leaf_hash(leaf.as_bytes()).to_string(),
        "d899ff37392851422d10fcd76a186ad966517dac76bde62c48772e2be560a473"
    );
    assert_eq!(Entry::parse(leaf.as_bytes()), Ok((7, example())));
}

#[test]
fn fields_are_there_once_and_in_their_order() {
    let leaf = leaf(&example());
    refused(leaf.replace("\"agent\":null,", ""), EntryError::Field);
    refused(leaf.replace("\"agent\":null", "\"agent\":null,\"agent\":null"), EntryError::Field);
    refused(
        leaf.replace("\"agent\":null,\"note\":null", "\"note\":null,\"agent\":null"),
        EntryError::Field,
    );
    refused(leaf.replace("\"note\":null", "\"note\":null,\"more\":1"), EntryError::Field);
    refused(leaf.replace("\"agent\"", "\"agents\""), EntryError::Field);
    refused(leaf.replace("{\"v\"", "{ \"v\""), EntryError::Field);
    refused(format!("{leaf}\n"), EntryError::Field);
    refused(format!(" {leaf}"), EntryError::Field);
    refused(&leaf[..leaf.len() - 1], EntryError::Field);
    refused("", EntryError::Field);
    refused("{}", EntryError::Field);
    refused(leaf.replace("{\"v\":1", "{\"v\":2"), EntryError::Version);
    refused(leaf.replace("{\"v\":1", "{\"v\":\"1\""), EntryError::Number);
}

#[test]
fn numbers_are_plain_and_bounded() {
    let leaf = leaf(&example());
    for wrong in [
        "07",
        "-7",
        "+7",
        "7.0",
        "7e0",
        "\"7\"",
        "null",
        "",
        "9007199254740993",
        "18446744073709551623",
    ] {
        let changed = leaf.replace("\"index\":7,", &format!("\"index\":{wrong},"));
        let parsed = Entry::parse(changed.as_bytes());
        assert!(matches!(parsed, Err(EntryError::Number | EntryError::Field)), "{changed}");
    }
    refused(leaf.replace("1767225600000", "253402300800000"), EntryError::Number);
    let last = leaf.replace("1767225600000", "253402300799999");
    assert_eq!(Entry::parse(last.as_bytes()).expect("in time").1.time_ms, TIME_MS_MAX);
    let last = leaf.replace("\"index\":7,", "\"index\":9007199254740992,");
    assert_eq!(Entry::parse(last.as_bytes()).expect("an index").0, LEAVES_MAX);
}

#[test]
fn strings_are_escaped_in_one_way() {
    let with = |resource: &str| leaf(&Entry { resource: resource.to_owned(), ..example() });
    for text in ["", "a\"b\\c", "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}", "\u{7f}é\u{2028}😀/"] {
        let leaf = with(text);
        let wanted = serde_json::to_string(text).expect("a string");
        assert!(leaf.contains(&format!("\"resource\":{wanted},")), "{leaf}");
        assert_eq!(Entry::parse(leaf.as_bytes()).expect("its own text").1.resource, text);
    }
    let leaf = with("evt_1");
    for wrong in [
        "\\/",
        "\\u0061",
        "\\u000a",
        "\\u000A",
        "\\u001F",
        "\\u0020",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\x41",
        "\\",
        "\\u00",
        "\n",
        "\u{1}",
        "\t",
    ] {
        let changed = leaf.replace("evt_1", wrong);
        let parsed = Entry::parse(changed.as_bytes());
        assert!(matches!(parsed, Err(EntryError::Text | EntryError::Field)), "{changed}");
    }
    refused(leaf.replace("evt_1", "a\"b"), EntryError::Field);
    for bytes in [b"\xff".as_slice(), b"\xc0\x80", b"\xed\xa0\x80"] {
        let (before, after) = leaf.split_once("evt_1").expect("it is there");
        refused([before.as_bytes(), bytes, after.as_bytes()].concat(), EntryError::Text);
    }
}

#[test]
fn codes_and_commitments_have_their_alphabet() {
    let leaf = leaf(&example());
    for wrong in ["", "Event.released", "event released", "event\\nreleased", "é", &"a".repeat(65)]
    {
        refused(leaf.replace("event.released", wrong), EntryError::Code);
    }
    let hash = Commitment::of("address", &[1; 32], b"192.0.2.1").to_string();
    refused(leaf.replace(&hash, &hash.to_uppercase()), EntryError::Text);
    refused(leaf.replace(&hash, &hash[..63]), EntryError::Text);
    refused(leaf.replace(&hash, &format!("{hash}0")), EntryError::Field);
    refused(leaf.replace("{\"commitment\":", "{\"value\":"), EntryError::Field);
}

#[test]
fn what_is_too_long_is_neither_written_nor_read() {
    let change = |value: String| Change {
        name: "status".to_owned(),
        before: Value::Nothing,
        after: Value::Text(value),
    };
    let written =
        |changes| Body::of(&Entry { changes, ..example() }).map(|body| body.leaf(0).len());
    let value = "é".repeat(VALUE_BYTES_MAX / 2);
    assert!(written(vec![change(value.clone())]).is_ok());
    assert_eq!(written(vec![change(format!("{value}x"))]), Err(EntryError::TooLong));
    assert!(written(vec![change(String::new()); CHANGES_MAX]).is_ok());
    assert_eq!(written(vec![change(String::new()); CHANGES_MAX + 1]), Err(EntryError::TooLong));
    assert_eq!(written(vec![change(value); CHANGES_MAX]), Err(EntryError::TooLong));
    let actor = |length| Body::of(&Entry { actor: "a".repeat(length), ..example() });
    assert!(actor(128).is_ok());
    assert_eq!(actor(129), Err(EntryError::TooLong));
    assert_eq!(actor(0), Err(EntryError::Text));
    refused("x".repeat(20_000), EntryError::TooLong);
}

#[test]
fn a_body_is_kept_as_it_was_written() {
    let body = Body::of(&example()).expect("written");
    assert_eq!(Body::from_bytes(body.as_bytes().to_vec()).as_ref(), Ok(&body));
    let mut changed = body.as_bytes().to_vec();
    changed.push(b' ');
    assert_eq!(Body::from_bytes(changed), Err(EntryError::Field));
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nothing),
        ".{0,8}".prop_map(Value::Text),
        any::<[u8; 32]>().prop_map(|bytes| Value::Committed(Commitment(crate::Hash(bytes)))),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let change = ("[a-z0-9._-]{1,8}", value(), value()).prop_map(|(name, before, after)| Change {
        name,
        before,
        after,
    });
    let commitment =
        || proptest::option::of(any::<[u8; 32]>().prop_map(|b| Commitment(crate::Hash(b))));
    (
        (0..=TIME_MS_MAX, "[a-z.]{1,64}", "[a-z]{1,8}", ".{1,20}", "(?s).{0,20}"),
        proptest::collection::vec(change, 0..4),
        proptest::option::of("[ -~]{1,64}"),
        (commitment(), commitment(), commitment()),
    )
        .prop_map(|(texts, changes, request, (address, agent, note))| {
            let (time_ms, action, outcome, actor, resource) = texts;
            Entry {
                time_ms,
                action,
                outcome,
                actor,
                resource,
                changes,
                request,
                address,
                agent,
                note,
            }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(entry in entry(), index in 0..=LEAVES_MAX) {
        let leaf = Body::of(&entry).expect("within bounds").leaf(index);
        prop_assert_eq!(Entry::parse(&leaf), Ok((index, entry)));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&leaf).is_ok());
    }

    #[test]
    fn what_is_read_is_written_as_the_same_bytes(entry in entry(), at: usize, byte: u8) {
        let mut leaf = Body::of(&entry).expect("within bounds").leaf(7);
        let at = at % leaf.len();
        leaf[at] = byte;
        if let Ok((index, read)) = Entry::parse(&leaf) {
            prop_assert_eq!(Body::of(&read).expect("it was read").leaf(index), leaf);
        }
    }
}
