//! How much is found of what is there, and how often something is found where nothing is.
//!
//! The numbers are made from a fixed seed. `docs/redaction.md` states the rates that are held here.

use redact::{Kind, Place, find};

/// Numbers of each kind that are made.
const MADE: usize = 20_000;

/// A small generator (SplitMix64), so that every run makes the same numbers.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")))
            .collect()
    }

    fn hex(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| {
                char::from_digit(u32::try_from(self.below(16)).expect("a digit"), 16)
                    .expect("a digit")
            })
            .collect()
    }
}

fn with_check_digit(mut digits: String) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let value = u32::from(byte - b'0') * if index % 2 == 0 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    digits
}

/// A card number with this prefix and length, no rounder than cards are.
fn card(chance: &mut Chance, prefix: &str, length: usize) -> String {
    loop {
        let rest = chance.digits(length - 1 - prefix.len());
        let number = with_check_digit(format!("{prefix}{rest}"));
        if !number.ends_with("000000") {
            return number;
        }
    }
}

const ISSUED: [(&str, usize); 24] = [
    ("4", 16),
    ("4", 19),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("644", 16),
    ("65", 16),
    ("300", 14),
    ("3095", 14),
    ("36", 14),
    ("38", 14),
    ("3528", 16),
    ("3589", 16),
    ("62", 16),
    ("62", 19),
    ("5018", 16),
    ("6759", 16),
    ("5019", 16),
    ("2200", 16),
    ("6763", 16),
];

/// Found only where they are grouped or where their key says that they are cards.
const ISSUED_WEAKLY: [(&str, usize); 8] = [
    ("4", 13),
    ("5018", 12),
    ("6304", 13),
    ("6759", 19),
    ("6011", 19),
    ("3528", 19),
    ("62", 18),
    ("36", 16),
];

/// A number in groups, with these separators in turn.
fn grouped(number: &str, sizes: &[usize], separator: &str) -> String {
    let mut rest = number;
    let mut groups = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (group, after) = rest.split_at(rest.len().min(*size));
        groups.push(group);
        rest = after;
    }
    groups.join(separator)
}

/// Every documented spelling in groups.
fn in_groups(number: &str) -> Vec<String> {
    let separators = [
        " ", "-", ".", "\u{a0}", "\u{2009}", "\u{202f}", "\u{3000}", "\u{2011}", "\u{2013}", " - ",
        "  ", "+", "%20", "%C2%A0", "\\u00a0", "\u{200b}",
    ];
    let sizes: &[usize] = match number.len() {
        15 => &[4, 6, 5],
        14 => &[4, 6, 4],
        _ => &[4],
    };
    separators
        .iter()
        .flat_map(|separator| {
            let one = grouped(number, &[1], separator);
            let two = grouped(number, &[2], separator);
            [grouped(number, sizes, separator), one, two]
        })
        .collect()
}

/// Every documented spelling without separators.
fn whole(number: &str) -> Vec<String> {
    let spelled = |spell: &dyn Fn(char) -> String| number.chars().map(spell).collect::<String>();
    let script = |zero: u32| {
        spelled(&|digit| {
            char::from_u32(zero + digit.to_digit(10).expect("a digit"))
                .expect("a digit")
                .to_string()
        })
    };
    vec![
        number.to_owned(),
        script(0xFF10),
        script(0x0660),
        script(0x06F0),
        script(0x0966),
        script(0x1D7CE),
        spelled(&|digit| format!("\\u{:04x}", u32::from(digit))),
        spelled(&|digit| format!("\\u{:04X}", 0xFF10 + digit.to_digit(10).expect("a digit"))),
        spelled(&|digit| format!("%{:02X}", u32::from(digit))),
        spelled(&|digit| format!("%EF%BC%{:02X}", 0x90 + digit.to_digit(10).expect("a digit"))),
    ]
}

/// Every documented place.
fn placed(spelled: &str) -> Vec<String> {
    vec![
        format!("{{\"card\":{{\"number\":\"{spelled}\"}}}}"),
        format!("{{\"reference\":\"my card is {spelled}, thanks\"}}"),
        format!("{{\"raw\":\"{{\\\"n\\\":\\\"{spelled}\\\"}}\"}}"),
        format!("{{\"note\":\"x\\n{spelled}\\n\"}}"),
        format!("a=b&note={spelled}&c=d"),
        format!("a=b&note=x%20%3A{spelled}%0A"),
        format!("<note>{spelled}</note>"),
        format!("card-{spelled}"),
        format!("卡号{spelled}。"),
        spelled.to_owned(),
    ]
}

fn missed(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let is_missed = |text: &String| {
        !find(text.as_bytes(), Place::Payload).iter().any(|found| found.kind == Kind::Card)
    };
    texts.into_iter().filter(is_missed).collect()
}

#[test]
fn every_documented_spelling_of_a_card_is_found() {
    let mut chance = Chance(1);
    let mut count = 0;
    for _ in 0..8 {
        for (prefix, length) in ISSUED {
            let number = card(&mut chance, prefix, length);
            let spellings = whole(&number).into_iter().chain(in_groups(&number));
            let texts: Vec<String> = spellings.flat_map(|spelled| placed(&spelled)).collect();
            count += texts.len();
            assert_eq!(missed(texts), [""; 0]);
            // A bare number can be spelled in one way only.
            assert_eq!(missed([format!("{{\"n\":{number}}}")]), [""; 0]);
        }
        for (prefix, length) in ISSUED_WEAKLY {
            let number = card(&mut chance, prefix, length);
            let keyed = whole(&number).into_iter().map(|n| format!("{{\"cardNumber\":\"{n}\"}}"));
            let fours = grouped(&number, &[4], " ");
            let in_text = (length >= 14).then(|| format!("it is {fours}"));
            let texts: Vec<String> = keyed.chain(in_text).collect();
            count += texts.len();
            assert_eq!(missed(texts), [""; 0]);
        }
    }
    println!("{count} spellings in place, all found");
    assert!(count > 50_000);
}

#[test]
fn the_test_cards_of_providers_are_found() {
    for number in [
        "4242424242424242",
        "4000056655665556",
        "5555555555554444",
        "2223003122003222",
        "5200828282828210",
        "5105105105105100",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "3056930009020004",
        "30569309025904",
        "38520000023237",
        "36227206271667",
        "6555900000604105",
        "3566002020360505",
        "6200000000000005",
        "6205500000000000004",
        "4111111111111111",
        "4988438843884305",
        "5136333333333335",
        "2222400070000005",
        "370000000000002",
        "6771798021000008",
        "5066991111111118",
        "8171999927660000",
    ] {
        assert_eq!(missed([format!("{{\"cardNumber\":\"{number}\"}}")]), [""; 0]);
    }
}

/// How many of the texts have a finding.
fn found(mut make: impl FnMut(usize) -> String) -> usize {
    let texts = (0..MADE).map(&mut make);
    texts.filter(|text| !find(text.as_bytes(), Place::Payload).is_empty()).count()
}

#[test]
fn numbers_of_other_kinds_are_left() {
    let mut c = Chance(2);
    let mut over = Vec::new();
    let mut hold = |name: &str, found: usize, per_mille_max: usize| {
        println!("{name}: {found} of {MADE} taken for a card");
        if found * 1000 > per_mille_max * MADE {
            over.push(name.to_owned());
        }
    };
    hold(
        "unix times, ms, µs, ns",
        found(|i| {
            let time = 1_600_000_000_000_u64 + c.below(400_000_000_000);
            format!("{{\"n\":{time}{}}}", c.digits(3 * (i % 3)))
        }),
        0,
    );
    hold(
        "IMEIs under their key",
        found(|_| {
            let digits = format!("35{}", c.digits(12));
            format!("{{\"imei\":\"{}\"}}", with_check_digit(digits))
        }),
        0,
    );
    hold(
        "IMEIs (35, 86, 01) under any key",
        found(|i| {
            let digits = format!("{}{}", ["35", "86", "01"][i % 3], c.digits(12));
            format!("{{\"n\":\"{}\"}}", with_check_digit(digits))
        }),
        0,
    );
    hold(
        "UUIDs",
        found(|_| {
            let hex: Vec<String> = [8, 4, 4, 4, 12].iter().map(|n| c.hex(*n)).collect();
            format!("{{\"n\":\"{}\"}}", hex.join("-"))
        }),
        0,
    );
    hold("hashes", found(|_| format!("{{\"n\":\"0x{}\",\"m\":\"{}\"}}", c.hex(64), c.hex(40))), 0);
    hold(
        "phone numbers",
        found(|_| {
            format!(
                "{{\"n\":\"+{} {} {} {}\",\"m\":\"+49{}\"}}",
                1 + c.below(98),
                c.digits(3),
                c.digits(3),
                c.digits(4),
                c.digits(11)
            )
        }),
        0,
    );
    hold(
        "amounts and coordinates",
        found(|_| {
            format!(
                "{{\"a\":{}.{},\"b\":\"{}.00\",\"lat\":{}.{}}}",
                c.below(1000),
                c.digits(16),
                c.below(100_000_000),
                c.below(90),
                c.digits(14)
            )
        }),
        0,
    );
    hold("wei", found(|_| format!("{{\"n\":\"{}000000000000000\"}}", 1 + c.below(9999))), 0);
    hold(
        "ids with letters",
        found(|_| format!("{{\"n\":\"pi_{}\",\"m\":\"PSP{}X\"}}", c.digits(16), c.digits(16))),
        0,
    );
    hold(
        "German IBANs in groups and whole",
        found(|_| {
            let iban = format!("DE{}", c.digits(20));
            format!("{{\"n\":\"{}\",\"m\":\"{iban}\"}}", grouped(&iban, &[4], " "))
        }),
        0,
    );
    hold(
        "dates and times",
        found(|_| {
            let two = |c: &mut Chance, below| format!("{:02}", 1 + c.below(below));
            format!(
                "{{\"n\":\"2026-{}-{}T{}:{}:{}.{}Z\",\"m\":\"2026{}{}{}{}{}\"}}",
                two(&mut c, 12),
                two(&mut c, 28),
                two(&mut c, 23),
                two(&mut c, 59),
                two(&mut c, 59),
                c.digits(6),
                two(&mut c, 12),
                two(&mut c, 28),
                two(&mut c, 23),
                two(&mut c, 59),
                two(&mut c, 59)
            )
        }),
        0,
    );
    hold(
        "tracking numbers under their key",
        found(|i| format!("{{\"tracking_number\":\"{}\"}}", c.digits([12, 15, 18][i % 3]))),
        0,
    );
    hold(
        "ids of 16 to 19 digits under id",
        found(|i| {
            format!(
                "{{\"order_id\":\"{}\",\"id\":{}}}",
                c.digits(16 + i % 4),
                1 + c.below(u64::MAX)
            )
        }),
        0,
    );
    // Nothing tells these from cards but the issuer, the length and the check digit.
    hold(
        "ids of 12 to 19 digits under any key",
        found(|i| format!("{{\"ref\":\"{}\"}}", c.digits(12 + i % 8))),
        12,
    );
    hold(
        "ids of 16 digits under any key",
        found(|_| format!("{{\"ref\":\"{}\"}}", c.digits(16))),
        40,
    );
    assert_eq!(over, [""; 0]);
}

/// Every text in a provider's profile: its samples and their headers among them.
fn texts(value: &toml::Value, all: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => all.push(text.clone()),
        toml::Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        toml::Value::Table(members) => members.values().for_each(|member| texts(member, all)),
        _ => {}
    }
}

#[test]
fn nothing_is_found_in_the_samples_of_providers() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let mut bodies = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let profile: toml::Table =
            std::fs::read_to_string(&path).expect("text").parse().expect("TOML");
        let vectors = profile.get("vector").and_then(toml::Value::as_array).expect("vectors");
        for body in vectors.iter().filter_map(|vector| vector.get("body")) {
            let mut all = Vec::new();
            texts(body, &mut all);
            for text in all {
                bodies += 1;
                assert_eq!(find(text.as_bytes(), Place::Payload), [], "{path:?}: {text}");
            }
        }
    }
    println!("{bodies} bodies");
    assert!(bodies > 50, "{bodies}");
}
