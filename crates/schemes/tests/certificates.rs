//! Signatures made with the key of a certificate: whose it must be, and how little of the body they
//! cover. The certificates are those of the profile's own vectors.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

use std::sync::LazyLock;

use proptest::prelude::*;
use schemes::bounds::CERTIFICATE_BYTES_MAX;
use schemes::{
    CertificateUrl, Certified, Chain, Covers, Freshness, Keys, Profile, Rejection, Request, Roots,
    Secret, embedded, read, verify, verify_certified,
};

const NOW_MS: i64 = 1_767_225_600_000;

static SOURCE: LazyLock<toml::Table> = LazyLock::new(|| text().parse().unwrap());
static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::parse("paypal", text()).unwrap());

fn text() -> &'static str {
    embedded().iter().find(|(name, _)| *name == "paypal").unwrap().1
}

/// A request as it came, and what was found for it.
#[derive(Clone)]
struct Case {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chain: Vec<u8>,
    roots: Vec<u8>,
    now_ms: i64,
}

impl Case {
    /// The first vector, which is good, with what the named one has instead.
    fn named(name: &str) -> Self {
        let vectors = SOURCE["vector"].as_array().unwrap();
        let of = |name: &str| vectors.iter().find(|v| v["name"].as_str() == Some(name)).unwrap();
        let (good, own) = (of("capture completed"), of(name));
        let text = |key: &str| {
            let value = own.get(key).or_else(|| good.get(key));
            value.and_then(toml::Value::as_str).unwrap_or_default().as_bytes().to_vec()
        };
        let mut headers = good["headers"].as_table().unwrap().clone();
        headers.extend(own.get("headers").and_then(|h| h.as_table()).cloned().unwrap_or_default());
        let headers = headers.iter();
        let headers =
            headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        Self {
            headers: headers.collect(),
            body: text("body"),
            chain: text("certificate"),
            roots: text("roots"),
            now_ms: own.get("now").and_then(toml::Value::as_integer).map_or(NOW_MS, |s| s * 1000),
        }
    }

    fn good() -> Self {
        Self::named("capture completed")
    }

    fn lines(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    fn url(&self) -> Result<Option<CertificateUrl>, Rejection> {
        let (lines, body) = (self.lines(), &self.body);
        let request = Request { method: "POST", url: "/", headers: &lines, body };
        PROFILE.certificate_url(&keys(), &request, self.now_ms, Freshness::Profile)
    }

    /// What the signature covers, or why it does not hold.
    fn verdict(&self) -> Result<Covers, Rejection> {
        let url = self.url()?.unwrap();
        self.verdict_from(&url)
    }

    fn verdict_from(&self, url: &CertificateUrl) -> Result<Covers, Rejection> {
        let (lines, body) = (self.lines(), &self.body);
        let request = Request { method: "POST", url: "/", headers: &lines, body };
        let roots = Roots::from_pem(&self.roots).unwrap();
        let chain = Chain::from_pem(&self.chain);
        let certified = chain.as_ref().map(|chain| Certified { url, chain, roots: &roots });
        let keys = keys();
        let at = self.now_ms;
        verify_certified(&PROFILE, &keys, &request, at, Freshness::Profile, certified)
            .map(|verified| verified.covers())
    }

    fn with_url(&self, url: &str) -> Self {
        let mut other = self.clone();
        for (name, value) in &mut other.headers {
            if name == "PAYPAL-CERT-URL" {
                url.clone_into(value);
            }
        }
        other
    }
}

fn keys() -> Keys {
    PROFILE.keys(&[Secret::new("1JE4291016473214C".to_owned())]).unwrap()
}

#[test]
fn the_good_case() {
    assert_eq!(Case::good().verdict(), Ok(Covers::Checksum));
    assert!(PROFILE.takes_certificates() && PROFILE.asymmetric());
}

#[test]
fn certificate_url() {
    let good = Case::good();
    let path = "/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";
    for host in
        ["api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com"]
    {
        let url = format!("https://{host}{path}");
        assert_eq!(good.with_url(&url).url().unwrap().unwrap().as_str(), url);
    }
    for url in [
        "",
        "https://",
        "https:///",
        "https://api.paypal.com",
        "https://api.paypal.com/",
        "//api.paypal.com/v1/notifications/certs/C",
        "api.paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com:443/v1/notifications/certs/C",
        "https://api.paypal.com./v1/notifications/certs/C",
        "https://Api.paypal.com/v1/notifications/certs/C",
        "https://user:pass@api.paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com@attacker.example/v1/notifications/certs/C",
        "https://attacker.example/https://api.paypal.com/v1/notifications/certs/C",
        "https://attacker.example#@api.paypal.com/v1/notifications/certs/C",
        "https://attacker.example?@api.paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com.attacker.example/v1/notifications/certs/C",
        "https://xapi.paypal.com/v1/notifications/certs/C",
        "https://paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com%00.attacker.example/v1/notifications/certs/C",
        "https://api%2epaypal.com/v1/notifications/certs/C",
        "https://api.paypal.com\\@attacker.example/v1/notifications/certs/C",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/..",
        "https://api.paypal.com/v1/notifications/certs/../C",
        "https://api.paypal.com/v1/notifications/certs/C?x",
        "https://api.paypal.com/v1/notifications/certs/C#x",
        "https://api.paypal.com/v1/notifications/certs/C/x",
        "https://api.paypal.com/v1/notifications/certs/C\n",
        "https://api.paypal.com/V1/notifications/certs/C",
        "https://api.paypal.com/x/v1/notifications/certs/C",
        "\u{a0}https://api.paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com/v1/notifications/certs/\u{441}",
    ] {
        let case = good.with_url(url);
        assert_eq!(case.url(), Err(Rejection::CertificateUrl), "{url:?}");
        let elsewhere = good.url().unwrap().unwrap();
        assert_eq!(case.verdict_from(&elsewhere), Err(Rejection::CertificateUrl), "{url:?}");
    }
    let long = format!("https://api.paypal.com/v1/notifications/certs/{}", "C".repeat(600));
    assert_eq!(good.with_url(&long).url(), Err(Rejection::CertificateUrl));
}

#[test]
fn a_chain_from_another_url_is_not_taken() {
    let good = Case::good();
    let other = "https://api.paypal.com/v1/notifications/certs/CERT-other";
    let other = good.with_url(other).url().unwrap().unwrap();
    assert_eq!(good.verdict_from(&other), Err(Rejection::CertificateUrl));
}

#[test]
fn certificate_unreadable() {
    let mut case = Case::good();
    let pem = case.chain.clone();
    let cut = |end: usize| pem[..end].to_vec();
    let padded = [&pem[..], &vec![b'\n'; CERTIFICATE_BYTES_MAX]].concat();
    for (what, chain) in [
        ("nothing", Vec::new()),
        ("no PEM", b"certificate".to_vec()),
        ("HTML", b"<html>-----BEGIN</html>".to_vec()),
        ("cut in the first", cut(400)),
        ("cut in the second", cut(pem.len() - 40)),
        ("cut in the label of the second", cut(pem.len() / 2)),
        ("too long", padded),
        ("too many", pem.repeat(5)),
        (
            "a private key beside it",
            [&pem[..], b"\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
                .concat(),
        ),
        ("not base64", pem.iter().map(|b| if *b == b'M' { b'!' } else { *b }).collect()),
    ] {
        case.chain = chain;
        assert_eq!(case.verdict(), Err(Rejection::CertificateUnreadable), "{what}");
    }
    let (lines, body) = (case.lines(), &case.body);
    let request = Request { method: "POST", url: "/", headers: &lines, body };
    let without = verify(&PROFILE, &keys(), &request, NOW_MS, Freshness::Profile).err();
    assert_eq!(without, Some(Rejection::CertificateUnreadable));
}

fn refused(names: &[&str], reason: Rejection) {
    for name in names {
        assert_eq!(Case::named(name).verdict(), Err(reason), "{name}");
    }
}

#[test]
fn certificate_untrusted() {
    let names = [
        "certificate: self-signed",
        "certificate: vouched for by somebody of the same name",
        "certificate: without the one that vouches for it",
        "certificate: vouched for by one that may not",
        "certificate: signed with SHA-1",
        "certificate: of another authority",
    ];
    refused(&names, Rejection::CertificateUntrusted);
    // Nobody whom Mozilla trusts vouches for a made-up one.
    let case = Case::good();
    let (lines, body) = (case.lines(), &case.body);
    let request = Request { method: "POST", url: "/", headers: &lines, body };
    let (url, chain) = (case.url().unwrap().unwrap(), Chain::from_pem(&case.chain).unwrap());
    let certified = Some(Certified { url: &url, chain: &chain, roots: &Roots::mozilla() });
    let found =
        verify_certified(&PROFILE, &keys(), &request, NOW_MS, Freshness::Profile, certified);
    assert_eq!(found.err(), Some(Rejection::CertificateUntrusted));
}

#[test]
fn certificate_expired() {
    refused(&["certificate: expired", "certificate: not valid yet"], Rejection::CertificateExpired);
}

#[test]
fn certificate_name() {
    refused(&["certificate: for another name that looks alike"], Rejection::CertificateName);
}

#[test]
fn certificate_use() {
    let names = ["certificate: for signing code", "certificate: one that may vouch for others"];
    refused(&names, Rejection::CertificateUse);
}

#[test]
fn certificate_key() {
    let names = ["certificate: RSA of 1024 bits", "certificate: of another kind of key"];
    refused(&names, Rejection::CertificateKey);
}

#[test]
fn what_can_be_refused_without_a_certificate_asks_for_none() {
    for (name, reason) in [
        ("SHA-1, and a signature made so", Rejection::FieldMismatch),
        ("an id that holds a separator", Rejection::FieldMismatch),
        ("no signature in base64", Rejection::MalformedSignature),
        ("too old", Rejection::TooOld),
        ("future", Rejection::InFuture),
    ] {
        assert_eq!(Case::named(name).url(), Err(reason), "{name}");
    }
}

/// CRC-32 as in zlib, apart from the code under test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// The text with letters `a` and `c` in the place of `@` that give it the wanted checksum. Each
/// choice of a letter flips certain bits of the checksum, so it is a system of linear equations.
fn collide(text: &str, wanted: u32) -> String {
    let (before, after) = text.split_once('@').unwrap();
    let filled = |bits: u64| {
        let pad: String = (0..48).map(|n| if bits >> n & 1 == 1 { 'c' } else { 'a' }).collect();
        format!("{before}{pad}{after}")
    };
    let base = crc32(filled(0).as_bytes());
    let mut basis: Vec<(u32, u64)> = Vec::new();
    let reduce = |basis: &[(u32, u64)], mut value: u32, mut bits: u64| {
        for (other, choice) in basis {
            if value ^ other < value {
                (value, bits) = (value ^ other, bits ^ choice);
            }
        }
        (value, bits)
    };
    for n in 0..48 {
        let flips = crc32(filled(1 << n).as_bytes()) ^ base;
        let (value, bits) = reduce(&basis, flips, 1 << n);
        if value != 0 {
            basis.push((value, bits));
            basis.sort_unstable_by_key(|(value, _)| std::cmp::Reverse(*value));
        }
    }
    let (left, bits) = reduce(&basis, base ^ wanted, 0);
    assert_eq!(left, 0, "there are letters for every checksum");
    filled(bits)
}

#[test]
fn another_body_with_the_same_checksum_verifies_and_is_covered_by_its_checksum_only() {
    let good = Case::good();
    let body = String::from_utf8(good.body.clone()).unwrap();
    let forged = body.replace("\"20.00\"", "\"12345.67\"").replacen('{', "{\"pad\":\"@\",", 1);
    let forged = collide(&forged, crc32(&good.body));
    assert!(forged.contains("12345.67") && crc32(forged.as_bytes()) == crc32(&good.body));

    let case = Case { body: forged.into_bytes(), ..good };
    assert_eq!(case.verdict(), Ok(Covers::Checksum));
    let url = case.url().unwrap().unwrap();
    let (lines, body) = (case.lines(), &case.body);
    let request = Request { method: "POST", url: "/", headers: &lines, body };
    let (chain, roots) =
        (Chain::from_pem(&case.chain).unwrap(), Roots::from_pem(&case.roots).unwrap());
    let certified = Some(Certified { url: &url, chain: &chain, roots: &roots });
    let keys = keys();
    let verified =
        verify_certified(&PROFILE, &keys, &request, NOW_MS, Freshness::Profile, certified).unwrap();
    let events = read(&PROFILE, &verified, None).unwrap();
    assert_eq!(events[0].amount.as_deref(), Some("12345.67"));
}

#[test]
fn a_profile_must_pin_whose_certificates_it_takes() {
    for (from, to, part) in [
        ("setting = \"webhook_id\"\n", "", "needs from, setting, url"),
        ("host = [\"api.paypal.com\",", "hosts = [\"api.paypal.com\",", "hosts"),
        ("path = \"/v1/notifications/certs/[A-Za-z0-9_-]{1,128}\"\n", "", "needs from, setting"),
        ("\"messageverificationcerts.paypal.com\",", "\"*.paypal.com\",", "no host name"),
        ("host = [\"api.paypal.com\",", "host = [\"API.paypal.com\",", "no host name"),
        ("host = [\"api.paypal.com\",", "host = [\"api.paypal.com.\",", "no host name"),
        ("host = [\"api.paypal.com\",", "host = [\"localhost\",", "no host name"),
        ("host = [\"api.paypal.com\",", "host = [\"10.0.0.1\",", "no host name"),
        ("from = \"certificate\"", "from = \"anywhere\"", "from is"),
        ("from = \"certificate\"", "decode = \"utf8\"\nfrom = \"certificate\"", "either decode"),
        ("{cfg:webhook_id}|", "", "must stand in every message"),
        ("rsa-pkcs1-sha256", "hmac-sha256", "public key"),
        ("covers = \"checksum\"", "covers = \"full\"", "body is not signed"),
        ("unsigned = [\"id\", ", "unsigned = [", "id is read from what is not signed"),
    ] {
        assert!(text().contains(from), "{from}");
        let error = Profile::parse("paypal", &text().replacen(from, to, 1)).err();
        let error = error.unwrap_or_else(|| panic!("{to} loads")).to_string();
        assert!(error.contains(part), "{to}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A changed chain is refused, and nothing panics.
    #[test]
    fn a_changed_certificate_is_refused(at: prop::sample::Index, bit in 0_u8..7) {
        let mut case = Case::good();
        let leaf_end = case.chain.windows(5).position(|part| part == b"-----E").unwrap_or(900);
        let at = at.index(leaf_end.min(case.chain.len()));
        case.chain[at] ^= 1 << bit;
        let same = Chain::from_pem(&case.chain)
            .is_some_and(|chain| chain.leaf() == Chain::from_pem(&Case::good().chain).unwrap().leaf());
        prop_assert!(same || case.verdict().is_err());
    }

    #[test]
    fn no_bytes_make_a_chain_panic(pem in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Chain::from_pem(&pem), Roots::from_pem(&pem));
    }
}
