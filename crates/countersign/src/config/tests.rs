//! Each refusal beside the configuration that starts.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

mod chains;
mod transport;

/// A secret that must never be said.
const HUSH: &str = "whsec_test_hush0123456789abcdef0123";
const ROOT: &str = "cs_root_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const APP: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const GOOD: &str = r#"environment = "test"
[server]
public = "127.0.0.1:8480"
api = "127.0.0.1:8482"
admin = "127.0.0.1:8481"
trusted_proxies = []
[store]
url = "sqlite:countersign.db"
[vault]
key = "${file:countersign.key}"
[[source]]
name = "stripe"
provider = "stripe"
secrets = ["${env:STRIPE_WEBHOOK_SECRET}"]
endpoints = ["app"]
[[endpoint]]
name = "app"
url = "http://127.0.0.1:9000/webhooks"
secret = "${env:APP_WEBHOOK_SECRET}"
allow_private = true
"#;

const VARIABLES: &[(&str, &str)] = &[
    ("STRIPE_WEBHOOK_SECRET", HUSH),
    ("APP_WEBHOOK_SECRET", APP),
    ("SECOND_SECRET", "whsec_test_second0123456789abcdef01"),
    ("LIVE_SECRET", "whsec_live_hush0123456789abcdef0123"),
    ("SECOND_APP_SECRET", "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="),
    ("BLANK", " "),
    (
        "ASYMMETRIC",
        "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
    ),
    ("API_KEY", "key_test_hush0123456789"),
];

fn judge(text: &str, folder: &Path) -> Result<Configuration, Problems> {
    let key = folder.join("countersign.key");
    std::fs::write(&key, format!("{ROOT}\n")).expect("written");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("set");
    let file = folder.join("countersign.toml");
    std::fs::write(&file, text).expect("written");
    let variables = Variables::of(VARIABLES);
    Origin { file, env_file: None, variables }.configuration()
}

fn load(text: &str) -> Result<Configuration, Problems> {
    let folder = tempfile::tempdir().expect("a folder");
    let result = judge(text, folder.path());
    if let Err(problems) = &result {
        let said = format!("{problems} {:?}", problems.to_json());
        for secret in ["hush", "second0123", "AAECAw", "ICEiIy"] {
            assert!(!said.contains(secret), "{said}");
        }
        assert!(problems.iter().all(|problem| !problem.fix.is_empty()), "{said}");
    }
    result
}

/// What is wrong with a configuration: code, line and key of each fault.
fn faults(text: &str) -> Vec<(&'static str, usize, String)> {
    let Err(problems) = load(text) else { return Vec::new() };
    problems.iter().map(|p| (p.refusal.code(), p.place.line, p.place.key.clone())).collect()
}

/// The good configuration with one text in the place of another has exactly this fault.
fn check(from: &str, to: &str, refusal: Refusal, line: usize, key: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    let got = faults(&GOOD.replace(from, to));
    assert_eq!(got, [(refusal.code(), line, key.to_owned())], "{to}");
}

fn notices(text: &str) -> Vec<String> {
    let configuration = load(text).unwrap_or_else(|problems| panic!("{problems}"));
    configuration.notices.into_iter().map(|n| format!("{}: {}", n.place.key, n.text)).collect()
}

#[test]
fn the_good_configuration_starts() {
    let configuration = load(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
    let settings = &configuration.settings;
    assert_eq!(settings.public.to_string(), "127.0.0.1:8480");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:8481");
    assert_eq!(configuration.settings.api.to_string(), "127.0.0.1:8482");
    let StorePlace::File(file) = &configuration.store else { panic!("a file") };
    assert!(file.ends_with("countersign.db") && file.is_absolute());
    let [source] = settings.sources.as_slice() else { panic!("one source") };
    assert_eq!((source.name.as_str(), source.profile.name()), ("stripe", "stripe"));
    assert_eq!(source.endpoints, ["app"]);
    assert_eq!(source.body_bytes_max, model::limits::BODY_BYTES_DEFAULT);
    let [endpoint] = settings.endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!(endpoint.secrets.len(), 1);
    assert!(endpoint.allow_private && !endpoint.paused);
}

#[test]
fn every_key_is_taken() {
    let text = GOOD
        .replace(
            "trusted_proxies = []",
            "trusted_proxies = [\"10.0.0.0/8\"]\nhosts = [\"A.Example\"]",
        )
        .replace(
            "endpoints = [\"app\"]",
            "endpoints = [\"app\"]\nallow_addresses = [\"203.0.113.0/24\", \"2001:db8::1\"]\n\
             body_bytes_max = 5242880\ntolerance_s = 60\nrate_limit = \"10/1m\"\n\
             accept_unconfirmed = true\nreceipt_secrets = [\"${env:SECOND_SECRET}\"]\n\
             public_url = \"https://shop.example.com/in/stripe\"",
        )
        .replace(
            "secret = \"${env:APP_WEBHOOK_SECRET}\"",
            "secrets = [\"${env:APP_WEBHOOK_SECRET}\", \"${env:SECOND_APP_SECRET}\"]\n\
             format = \"original\"\npaused = true",
        );
    let settings = load(&text).unwrap_or_else(|problems| panic!("{problems}")).settings;
    assert_eq!(settings.hosts, ["a.example"]);
    assert_eq!(settings.trusted_proxies.len(), 1);
    let source = &settings.sources[0];
    assert_eq!(source.allow_addresses.len(), 2);
    assert_eq!((source.body_bytes_max, source.tolerance_s), (5_242_880, Some(60)));
    assert!(source.rate_limit.is_some() && source.accept_unconfirmed);
    let endpoint = &settings.endpoints[0];
    assert_eq!((endpoint.secrets.len(), endpoint.format), (2, gateway::Format::Original));
    assert!(endpoint.paused);
}

#[test]
fn all_faults_are_said_at_once_in_the_order_of_their_lines() {
    let text = GOOD
        .replace("\"test\"", "\"prod\"")
        .replace("[\"${env:STRIPE_WEBHOOK_SECRET}\"]", "[\"whsec_test_hush\", \"${env:NOT_SET}\"]")
        .replace("[\"app\"]", "[\"application\"]")
        .replace("allow_private = true", "allow_privat = true");
    let got: Vec<_> = faults(&text).into_iter().map(|(code, line, _)| (code, line)).collect();
    let want = [
        ("bad_environment", 1),
        ("literal_secret", 14),
        ("variable_unset", 14),
        ("unknown_endpoint", 15),
        ("private_address", 18),
        ("unknown_key", 20),
    ];
    assert_eq!(got, want);
}

#[test]
fn a_missing_configuration_is_refused() {
    let origin = Origin {
        file: "/nowhere/at/all.toml".into(),
        env_file: None,
        variables: Variables::of(&[]),
    };
    let problems = origin.configuration().err().expect("it is not there");
    let refusals: Vec<_> = problems.iter().map(|problem| problem.refusal).collect();
    assert_eq!(refusals, [Refusal::ConfigUnreadable]);
}

#[test]
fn missing_keys_are_refused() {
    let missing = |line: &str, at: usize, key: &str| {
        check(line, "", Refusal::MissingKey, at, key);
    };
    missing("environment = \"test\"", 1, "environment");
    missing("url = \"sqlite:countersign.db\"", 1, "store.url");
    missing("key = \"${file:countersign.key}\"", 1, "vault.key");
    missing("name = \"stripe\"", 11, "source[0].name");
    missing("provider = \"stripe\"", 11, "source[0].provider");
    missing("url = \"http://127.0.0.1:9000/webhooks\"", 16, "endpoint[0].url");
}

#[test]
fn an_unknown_key_is_refused() {
    let to = "allow_private = true\npause = true";
    check("allow_private = true", to, Refusal::UnknownKey, 21, "endpoint[0].pause");
}

#[test]
fn an_unknown_environment_is_refused() {
    check("\"test\"", "\"production\"", Refusal::BadEnvironment, 1, "environment");
}

#[test]
fn a_bad_listener_is_refused() {
    for bad in ["localhost:8480", "127.0.0.1", ":8480", "127.0.0.1:99999", "http://127.0.0.1:1"] {
        check("127.0.0.1:8480", bad, Refusal::BadListener, 3, "server.public");
    }
}

#[test]
fn two_listeners_on_one_address_are_refused() {
    check("127.0.0.1:8481", "127.0.0.1:8480", Refusal::ListenerTaken, 5, "server.admin");
    check("127.0.0.1:8482", "0.0.0.0:8480", Refusal::ListenerTaken, 4, "server.api");
}

#[test]
fn a_bad_host_is_refused() {
    for bad in ["https://a.example", "a.example:443", "a.example/x", "", "*"] {
        let to = format!("hosts = [\"{bad}\"]");
        check("trusted_proxies = []", &to, Refusal::BadHost, 6, "server.hosts[0]");
    }
}

#[test]
fn bad_networks_are_refused_wherever_they_stand() {
    let bad = [
        ("203.0.113.0", Refusal::NetworkAsHost),
        ("203.0.113.7/24", Refusal::HostBitsSet),
        ("0.0.0.0/0", Refusal::NetworkIsEverything),
        ("a.example", Refusal::BadNetwork),
    ];
    for (network, refusal) in bad {
        let to = format!("trusted_proxies = [\"{network}\"]");
        check("trusted_proxies = []", &to, refusal, 6, "server.trusted_proxies[0]");
        let to = format!("allow_addresses = [\"192.0.2.1\", \"{network}\"]\nendpoints = [\"app\"]");
        check("endpoints = [\"app\"]", &to, refusal, 15, "source[0].allow_addresses[1]");
    }
}

#[test]
fn an_unknown_store_is_refused() {
    for bad in ["mysql://u:p@db/x", "sqlite:", "sqlite::memory:", "countersign.db", "sqlite:a?b"] {
        check("sqlite:countersign.db", bad, Refusal::BadStoreUrl, 8, "store.url");
    }
}

#[test]
fn a_bad_root_key_is_refused() {
    let to = "${env:STRIPE_WEBHOOK_SECRET}";
    check("${file:countersign.key}", to, Refusal::BadRootKey, 10, "vault.key");
}

#[test]
fn bad_names_are_refused() {
    for bad in ["Stripe", "a/b", "", "-a", "a b", "ä", &"a".repeat(65)] {
        let to = format!("name = \"{bad}\"");
        check("name = \"stripe\"", &to, Refusal::BadName, 12, "source[0].name");
    }
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let more = "[[source]]\nname = \"stripe\"\nprovider = \"stripe\"\n\
                secrets = [\"${env:SECOND_SECRET}\"]\n";
    let got = faults(&format!("{GOOD}{more}"));
    assert_eq!(got, [("duplicate_name", 22, "source[1].name".to_owned())]);
    let to = "endpoints = [\"app\", \"app\"]";
    check("endpoints = [\"app\"]", to, Refusal::DuplicateName, 15, "source[0].endpoints[1]");
}

#[test]
fn an_unknown_endpoint_is_refused() {
    let key = "source[0].endpoints[0]";
    check("endpoints = [\"app\"]", "endpoints = [\"ap\"]", Refusal::UnknownEndpoint, 15, key);
}

#[test]
fn an_unknown_provider_is_refused_and_the_known_ones_are_named() {
    let (from, to) = ("provider = \"stripe\"", "provider = \"strip\"");
    check(from, to, Refusal::UnknownProvider, 13, "source[0].provider");
    let problems = load(&GOOD.replace(from, to)).err().expect("it is unknown");
    let fix = problems.iter().next().map(|problem| problem.fix.clone()).unwrap_or_default();
    assert!(fix.contains("did you mean `stripe`?") && fix.contains("koywe"), "{fix}");
}

#[test]
fn a_source_without_secrets_is_refused() {
    let secrets = "secrets = [\"${env:STRIPE_WEBHOOK_SECRET}\"]";
    check(secrets, "secrets = []", Refusal::NoSecrets, 14, "source[0].secrets");
    check(secrets, "", Refusal::NoSecrets, 11, "source[0].secrets");
    let secret = "secret = \"${env:APP_WEBHOOK_SECRET}\"";
    check(secret, "", Refusal::NoSecrets, 16, "endpoint[0].secret");
}

#[test]
fn secret_and_secrets_together_are_refused() {
    let secret = "secret = \"${env:APP_WEBHOOK_SECRET}\"";
    let to = format!("{secret}\nsecrets = [\"${{env:SECOND_APP_SECRET}}\"]");
    check(secret, &to, Refusal::SecretTwice, 20, "endpoint[0].secrets");
}

#[test]
fn references_are_refused_with_their_line() {
    let variable = "${env:STRIPE_WEBHOOK_SECRET}";
    let cases = [
        (HUSH, Refusal::LiteralSecret),
        ("a${env:STRIPE_WEBHOOK_SECRET}", Refusal::PartialReference),
        ("${vault:x}", Refusal::BadReference),
        ("${env:NOT_SET}", Refusal::VariableUnset),
        ("${env:BLANK}", Refusal::VariableEmpty),
        ("${file:not-there}", Refusal::FileMissing),
    ];
    for (to, refusal) in cases {
        check(variable, to, refusal, 14, "source[0].secrets[0]");
    }
    check(
        "http://127.0.0.1:9000",
        "http://${env:BLANK}",
        Refusal::PartialReference,
        18,
        "endpoint[0].url",
    );
}

#[test]
fn a_secret_of_the_wrong_shape_is_refused() {
    let app = "${env:APP_WEBHOOK_SECRET}";
    check(app, "${env:SECOND_SECRET}", Refusal::SecretShape, 19, "endpoint[0].secret");
}

#[test]
fn a_secret_twice_in_one_list_is_refused() {
    let once = "\"${env:STRIPE_WEBHOOK_SECRET}\"";
    let twice = format!("{once}, {once}");
    check(once, &twice, Refusal::SecretRepeated, 14, "source[0].secrets[1]");
}

#[test]
fn a_secret_of_a_provider_signs_no_deliveries() {
    let text = GOOD.replace("provider = \"stripe\"", "provider = \"standard-webhooks\"");
    let text = text.replace("${env:STRIPE_WEBHOOK_SECRET}", "${env:APP_WEBHOOK_SECRET}");
    // Endpoints are judged first.
    assert_eq!(faults(&text), [("secret_shared", 14, "source[0].secrets[0]".to_owned())]);
}

#[test]
fn one_secret_for_two_sources_is_warned_about() {
    let more = "[[source]]\nname = \"other\"\nprovider = \"stripe\"\nendpoints = [\"app\"]\n\
                secrets = [\"${env:STRIPE_WEBHOOK_SECRET}\"]\n";
    let notices = notices(&format!("{GOOD}{more}"));
    assert!(notices.iter().any(|notice| notice.contains("the same secret")), "{notices:?}");
}

#[test]
fn keys_of_the_other_environment_are_refused() {
    let variable = "${env:STRIPE_WEBHOOK_SECRET}";
    let key = "source[0].secrets[0]";
    check(variable, "${env:LIVE_SECRET}", Refusal::LiveKeyInTest, 14, key);
    let live = GOOD.replace("\"test\"", "\"live\"").replace("= []", "= [\"10.0.0.0/8\"]");
    assert_eq!(faults(&live), [("test_key_in_live", 14, key.to_owned())]);
    assert_eq!(faults(&live.replace("STRIPE_WEBHOOK_SECRET", "LIVE_SECRET")), []);
}

#[test]
fn bad_urls_are_refused() {
    let url = "http://127.0.0.1:9000/webhooks";
    let key = "endpoint[0].url";
    check(url, "/webhooks", Refusal::BadUrl, 18, key);
    check(url, "ftp://shop.example.com/", Refusal::BadUrl, 18, key);
    check(url, "https://u:hush@shop.example.com/", Refusal::UrlCredentials, 18, key);
    check("allow_private = true", "allow_private = false", Refusal::PrivateAddress, 18, key);
    let live = GOOD.replace("\"test\"", "\"live\"").replace("= []", "= [\"10.0.0.0/8\"]");
    let live = live.replace("STRIPE_WEBHOOK_SECRET", "LIVE_SECRET");
    let plain = live.replace(url, "http://shop.example.com/w");
    assert_eq!(faults(&plain), [("plain_http_in_live", 18, key.to_owned())]);
}

#[test]
fn an_unknown_format_is_refused() {
    let to = "allow_private = true\nformat = \"raw\"";
    check("allow_private = true", to, Refusal::BadFormat, 21, "endpoint[0].format");
}

#[test]
fn original_bytes_come_from_one_source() {
    let more = "format = \"original\"\n[[source]]\nname = \"other\"\nprovider = \"stripe\"\n\
                endpoints = [\"app\"]\nsecrets = [\"${env:SECOND_SECRET}\"]\n";
    let got = faults(&format!("{GOOD}{more}"));
    assert_eq!(got, [("original_needs_one_source", 21, "endpoint[0].format".to_owned())]);
}

#[test]
fn a_bad_limit_of_a_body_is_refused() {
    for bad in ["0", "-1", "5242881", "9223372036854775807"] {
        let to = format!("endpoints = [\"app\"]\nbody_bytes_max = {bad}");
        check("endpoints = [\"app\"]", &to, Refusal::BadBodyLimit, 16, "source[0].body_bytes_max");
    }
}

#[test]
fn a_bad_window_is_refused() {
    for bad in ["0", "-300", "86401"] {
        let to = format!("endpoints = [\"app\"]\ntolerance_s = {bad}");
        check("endpoints = [\"app\"]", &to, Refusal::BadTolerance, 16, "source[0].tolerance_s");
    }
}

#[test]
fn a_bad_rate_is_refused() {
    for bad in ["10", "10/m", "0/1m", "ten/1m", "10/1y", ""] {
        let to = format!("endpoints = [\"app\"]\nrate_limit = \"{bad}\"");
        check("endpoints = [\"app\"]", &to, Refusal::BadRate, 16, "source[0].rate_limit");
    }
}

#[test]
fn limits_on_orders_are_read_and_all_their_faults_told() {
    let limit = "[[orders.limit]]\nper = \"customer\"\ncurrency = \"USD\"\nwindow = \"24h\"\ncount = 20\nsum = \"5000.00\"\n";
    let text = |rate: &str, limits: &str| {
        GOOD.replace(
            "[[source]]",
            &format!("[orders]\nper_customer = \"{rate}\"\n{limits}[[source]]"),
        )
    };
    let rules = load(&text("7/1h", limit)).map(|c| c.settings.orders).expect("it starts");
    assert_eq!((rules.per_customer.count, rules.per_customer.period_ms), (7, 3_600_000));
    let said: Vec<String> = rules.limits.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["customer: at most 20 orders and 5000.00 USD in 86400 s"]);
    let usual = load(GOOD).map(|c| c.settings.orders.per_customer).expect("it starts");
    assert_eq!((usual.count, usual.period_ms), (5, 60_000));

    let wrong = text("5", &format!("{limit}[[orders.limit]]\nper = \"nobody\"\ncolour = 1\n"));
    let codes: Vec<_> = faults(&wrong).into_iter().map(|(code, ..)| code).collect();
    assert_eq!(codes, ["bad_rate", "bad_order_limit", "unknown_key"]);
    let many = faults(&text("5/1m", &limit.repeat(51)));
    assert_eq!(many.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), ["bad_order_limit"]);
}

#[test]
fn a_scheme_that_signs_the_url_needs_it() {
    let text = GOOD.replace("provider = \"stripe\"", "provider = \"square\"");
    let got = faults(&text);
    assert_eq!(got, [("public_url_missing", 11, "source[0].public_url".to_owned())]);
    let with = "endpoints = [\"app\"]\npublic_url = \"https://shop.example.com/in/square\"";
    let settings = load(&text.replace("endpoints = [\"app\"]", with)).map(|c| c.settings);
    let url = settings.ok().and_then(|settings| settings.sources[0].public_url.clone());
    assert_eq!(url.as_deref(), Some("https://shop.example.com/in/square"));
}

#[test]
fn what_becomes_of_unknown_orders_is_one_of_two_words() {
    let with = |word: &str| {
        let to = format!("endpoints = [\"app\"]\nunknown_orders = \"{word}\"");
        GOOD.replace("endpoints = [\"app\"]", &to)
    };
    let key = "source[0].unknown_orders".to_owned();
    assert_eq!(faults(&with("drop")), [("bad_unknown_orders", 16, key)]);
    assert_eq!(faults(&with("hold")), []);
    assert_eq!(faults(&with("pass")), []);
}

#[test]
fn a_provider_without_a_unit_needs_one() {
    let text = GOOD.replace("provider = \"stripe\"", "provider = \"one2pays\"");
    let key = "source[0].amount_unit".to_owned();
    assert_eq!(faults(&text), [("amount_unit_missing", 11, key.clone())]);
    let with = |unit: &str| {
        let to = format!("endpoints = [\"app\"]\namount_unit = \"{unit}\"");
        text.replace("endpoints = [\"app\"]", &to)
    };
    assert_eq!(faults(&with("bananas")), [("amount_unit_unknown", 16, key)]);
    assert_eq!(faults(&with("satang")), []);
}

/// With them receipts are looked at, without them the start says that they are not.
#[test]
fn receipt_secrets_become_keys_or_stop_the_start() {
    let text = GOOD.replace("provider = \"stripe\"", "provider = \"x402tele\"");
    let with = |secrets: &str| {
        let to = format!("endpoints = [\"app\"]\nreceipt_secrets = [{secrets}]");
        text.replace("endpoints = [\"app\"]", &to)
    };
    let keys = |text: &str| {
        let settings = load(text).map(|configuration| configuration.settings);
        settings.ok().map(|settings| settings.sources[0].receipt_keys.is_some())
    };
    assert_eq!(keys(&text), Some(false));
    assert!(notices(&text).iter().any(|notice| notice.contains("no receipt_secrets")));
    let good = with("\"${env:SECOND_SECRET}\"");
    assert_eq!(keys(&good), Some(true));
    assert!(!notices(&good).iter().any(|notice| notice.contains("receipt")));
    // An empty list must not be read as: let every receipt pass.
    let key = "source[0].receipt_secrets".to_owned();
    assert_eq!(faults(&with("")), [("secret_shape", 16, key)]);
}

/// With one the provider is asked, without it the start says that it is not.
#[test]
fn a_confirm_token_is_of_a_provider_that_can_be_asked() {
    let text = GOOD.replace("provider = \"stripe\"", "provider = \"paypal\"");
    let with = |text: &str, token: &str| {
        let to = format!("endpoints = [\"app\"]\nconfirm_token = \"{token}\"");
        text.replace("endpoints = [\"app\"]", &to)
    };
    let key = "source[0].confirm_token".to_owned();
    // Of PayPal it is a name and a password.
    let faults_of = |text: &str| {
        let all = faults(text).into_iter();
        all.filter(|(_, _, place)| *place == key).map(|(code, ..)| code).collect::<Vec<_>>()
    };
    assert_eq!(faults_of(&with(&text, "${env:SECOND_SECRET}")), ["secret_shape"]);
    assert_eq!(faults_of(&with(&text, "${env:NOWHERE}")).len(), 1);
    let unused = with(GOOD, "${env:SECOND_SECRET}");
    assert_eq!(faults(&unused), []);
    assert!(notices(&unused).iter().any(|notice| notice.contains("the token is not used")));
    assert!(!notices(GOOD).iter().any(|notice| notice.contains("confirm_token")));
}

#[test]
fn a_folder_of_profiles_adds_and_overrides() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("profiles");
    std::fs::create_dir(&own).expect("made");
    let (_, stripe) =
        schemes::embedded().iter().find(|(name, _)| *name == "stripe").expect("it is embedded");
    std::fs::write(own.join("acme.toml"), stripe).expect("written");
    let text = format!("{GOOD}[providers]\ndirectory = \"profiles\"\n")
        .replace("provider = \"stripe\"", "provider = \"acme\"");
    let settings = judge(&text, folder.path()).map(|configuration| configuration.settings);
    let name = settings.map(|settings| settings.sources[0].profile.name().to_owned());
    assert_eq!(name.unwrap_or_else(|problems| panic!("{problems}")), "acme");

    std::fs::write(own.join("broken.toml"), "title = 1").expect("written");
    let problems = judge(&text, folder.path()).err().expect("one is broken");
    let got: Vec<_> = problems.iter().map(|p| (p.refusal, p.place.line)).collect();
    assert_eq!(got, [(Refusal::BadProfile, 22)]);
}

#[test]
fn a_missing_folder_of_profiles_is_refused() {
    let got = faults(&format!("{GOOD}[providers]\ndirectory = \"not-there\"\n"));
    let want = ("bad_providers_directory", 22, "providers.directory".to_owned());
    assert_eq!(got, [want]);
}

#[test]
fn what_is_not_safe_for_production_is_said() {
    let text = GOOD
        .replace("127.0.0.1:8480", "0.0.0.0:8480")
        .replace("127.0.0.1:8481", "0.0.0.0:8481")
        .replace(
            "endpoints = [\"app\"]",
            "endpoints = []\naccept_unconfirmed = true\ntolerance_s = 3600",
        );
    let notices = notices(&text).join("\n");
    for part in
        ["plain HTTP", "Host", "admin", "test:", "no endpoints", "accept_unconfirmed", "window"]
    {
        assert!(notices.contains(part), "{part}: {notices}");
    }
}

#[test]
fn no_broken_configuration_says_a_value() {
    let text = GOOD.replace("${env:STRIPE_WEBHOOK_SECRET}", HUSH);
    for at in 0..text.len() {
        for wedge in ["\"", "\n", "#", "= ", "[", "${"] {
            let Some((before, after)) = text.split_at_checked(at) else { continue };
            // `load` looks for the secret in what is said.
            let _ = load(&format!("{before}{wedge}{after}"));
        }
    }
}

#[test]
fn a_secret_that_no_library_verifies_with_does_not_stand_alone() {
    let one = "secret = \"${env:APP_WEBHOOK_SECRET}\"";
    let alone = "secret = \"${env:ASYMMETRIC}\"";
    check(one, alone, Refusal::OnlyAsymmetric, 19, "endpoint[0].secret");
    let both = "secrets = [\"${env:APP_WEBHOOK_SECRET}\", \"${env:ASYMMETRIC}\"]";
    let settings = load(&GOOD.replace(one, both)).unwrap_or_else(|p| panic!("{p}")).settings;
    let key = |secret| schemes::standard_webhooks::SigningKey::parse(secret).expect("a key");
    let keys = settings.endpoints[0].secrets.iter().map(key);
    let public: Vec<_> = keys.map(|key| key.public_key()).collect();
    let shown = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_eq!(public, [None, Some(shown.to_owned())]);
}

#[test]
fn headers_of_ours_are_refused() {
    let with = |lines: &str| {
        GOOD.replace("allow_private = true", &format!("allow_private = true\n{lines}"))
    };
    let good =
        "header_prefix = \"svix\"\nheaders = { X-Api-Key = \"${env:API_KEY}\", X-Shop = \"one\" }";
    let settings = load(&with(good)).unwrap_or_else(|p| panic!("{p}")).settings;
    let [endpoint] = settings.endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!(endpoint.header_prefix, "svix");
    assert_eq!(endpoint.headers["x-shop"], "one");
    assert!(!format!("{:?}", endpoint.headers).contains("hush"), "values are never shown");
    for name in [
        "webhook-id",
        "Webhook-Signature",
        "Content-Type",
        "content-length",
        "Host",
        "Connection",
        "Transfer-Encoding",
        "te",
        "user-agent",
        "proxy-authorization",
        "\"a b\"",
        "\"\"",
    ] {
        let got = faults(&with(&format!("headers = {{ {name} = \"x\" }}")));
        assert_eq!(
            got.first().map(|(code, line, _)| (*code, *line)),
            Some(("bad_header", 21)),
            "{name}"
        );
    }
    for line in
        ["header_prefix = \"Svix\"", "header_prefix = \"\"", "headers = { X-Shop = \"a\\nb\" }"]
    {
        let got = faults(&with(line));
        assert_eq!(got.first().map(|(code, ..)| *code), Some("bad_header"), "{line}");
    }
    let same = faults(&with("header_prefix = \"svix\"\nheaders = { Svix-Id = \"x\" }"));
    assert_eq!(same.first().map(|(code, ..)| *code), Some("bad_header"));
    let literal = faults(&with("headers = { X-Api-Key = \"abc\" }"));
    assert_eq!(literal.first().map(|(code, ..)| *code), Some("literal_secret"));
}
