//! What is read, and what is refused before anything is looked at.

use super::*;

fn faults(text: &str) -> Vec<(Refusal, usize, String)> {
    let mut found = Found::default();
    read(text, &mut found);
    found.into_list().into_iter().map(|p| (p.refusal, p.place.line, p.place.key)).collect()
}

#[test]
fn keeps_the_line_and_key_of_every_text() {
    let mut found = Found::default();
    let text = "environment = \"test\"\n\n[[source]]\nname = \"a\"\nsecrets = [\n  \"x\",\n  \
                \"y\",\n]\n[[source]]\nname = \"b\"\nbody_bytes_max = 1_000\n";
    let document = read(text, &mut found);
    assert!(found.is_empty());
    let places: Vec<_> = document.sources.iter().map(|s| s.place.line).collect();
    assert_eq!(places, [3, 9]);
    let secrets = document.sources[0].secrets.as_ref().expect("it is there");
    let lines: Vec<_> = secrets.value.iter().map(|s| (s.place.line, &*s.place.key)).collect();
    assert_eq!(lines, [(6, "source[0].secrets[0]"), (7, "source[0].secrets[1]")]);
    assert_eq!(document.sources[1].body_bytes_max.as_ref().map(|n| n.value), Some(1000));
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    let text = "enviroment = \"test\"\n[server]\nport = 1\n[[endpoint]]\nurll = \"x\"\n[extra]\n";
    let mut got = faults(text);
    got.sort_by_key(|(_, line, _)| *line);
    let unknown = |line, key: &str| (Refusal::UnknownKey, line, key.to_owned());
    let want = [
        unknown(1, "enviroment"),
        unknown(3, "server.port"),
        unknown(5, "endpoint[0].urll"),
        unknown(6, "extra"),
    ];
    assert_eq!(got, want);
}

#[test]
fn wrong_types_are_refused() {
    let wrong = |line, key: &str| (Refusal::WrongType, line, key.to_owned());
    assert_eq!(faults("environment = 1"), [wrong(1, "environment")]);
    assert_eq!(faults("server = \"x\""), [wrong(1, "server")]);
    assert_eq!(faults("[source]\nname = \"x\""), [wrong(1, "source")]);
    assert_eq!(faults("source = [1]"), [wrong(1, "source[0]")]);
    assert_eq!(faults("[[source]]\nsecrets = \"x\""), [wrong(2, "source[0].secrets")]);
    assert_eq!(faults("[[source]]\nsecrets = [1]"), [wrong(2, "source[0].secrets[0]")]);
    assert_eq!(faults("[[source]]\ntolerance_s = 1.5"), [wrong(2, "source[0].tolerance_s")]);
    let huge = "[[source]]\ntolerance_s = 99999999999999999999";
    assert_eq!(faults(huge), [wrong(2, "source[0].tolerance_s")]);
    assert_eq!(faults("[[endpoint]]\npaused = \"no\""), [wrong(2, "endpoint[0].paused")]);
}

#[test]
fn broken_toml_is_refused_and_never_quoted() {
    let whole = "environment = \"test\"\n[[source]]\nsecrets = [\"whsec_test_hush\"]\n";
    for end in 0..whole.len() {
        for extra in ["", "\"", "=", "[", "\u{0}", "]]\n= 1"] {
            let text = format!("{}{extra}whsec_test_hush", &whole[..end]);
            let mut found = Found::default();
            read(&text, &mut found);
            for problem in found.into_list() {
                let said = format!("{problem:?}");
                assert!(!said.contains("hush"), "{said}");
            }
        }
    }
    assert_eq!(faults("a = = 1")[0].0, Refusal::NotToml);
    assert_eq!(faults("environment = \"a\"\nenvironment = \"b\"")[0].0, Refusal::NotToml);
}
