//! URLs: of endpoints, and those under which providers know us.

use std::net::IpAddr;

use model::{Environment, destination};
use url::{Host, Url};

use super::document::At;
use super::problem::{Found, Place, Refusal};
use super::reference::Resolver;

/// An absolute http or https URL without a user name, a password or a fragment.
pub(super) fn absolute(
    written: &At<String>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Url> {
    of_scheme(&["http", "https"], written, resolver, found)
}

fn of_scheme(
    schemes: &[&str],
    written: &At<String>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Url> {
    let text = resolver.text(written, found)?;
    let url =
        Url::parse(&text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
    let Some(url) = url.filter(|url| url.fragment().is_none()) else {
        let message = format!("this is not an absolute {} URL", schemes.join(" or "));
        let fix = "write it whole, such as https://shop.example.com/webhooks, without a #fragment";
        found.add(Refusal::BadUrl, &written.place, message, fix);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a user name or password stands in this URL";
        let fix = "take it out: deliveries are authenticated by their signature";
        found.add(Refusal::UrlCredentials, &written.place, message, fix);
        return None;
    }
    Some(url)
}

/// An endpoint's URL, and whether it may be dialled as it is.
pub(super) fn endpoint(
    written: &At<String>,
    allow_private: bool,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Url> {
    let url = absolute(written, resolver, found)?;
    may_be_dialled(&url, &written.place, allow_private, environment, found).then_some(url)
}

/// The URL of a node of a chain, which may be for WebSocket, and whether it may be dialled as it is.
pub(super) fn node(
    written: &At<String>,
    allow_private: bool,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Url> {
    let url = of_scheme(&["http", "https", "ws", "wss"], written, resolver, found)?;
    may_be_dialled(&url, &written.place, allow_private, environment, found).then_some(url)
}

fn may_be_dialled(
    url: &Url,
    place: &Place,
    allow_private: bool,
    environment: Environment,
    found: &mut Found,
) -> bool {
    let mut is_fine = true;
    if is_private(url) && !allow_private {
        let message = "this address is private or loopback";
        let fix = "add allow_private = true to this endpoint if it is meant";
        found.add(Refusal::PrivateAddress, place, message, fix);
        is_fine = false;
    }
    if url.port().is_some_and(destination::is_never_http) && !allow_private {
        let message = "this port is known for another protocol than HTTP";
        let fix = "write the port of the application's web server; add allow_private = true to \
                   this endpoint if this is it";
        found.add(Refusal::PortNotHttp, place, message, fix);
        is_fine = false;
    }
    let on_this_host = allow_private && is_loopback(url);
    if environment == Environment::Live && is_plain(url) && !on_this_host {
        let message = "a live gateway does not deliver over plain HTTP";
        let fix = "use https (plain HTTP is for loopback with allow_private = true only), and wss in \
                   the place of ws";
        found.add(Refusal::PlainHttpInLive, place, message, fix);
        is_fine = false;
    }
    is_fine
}

/// Without TLS.
fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "ws")
}

/// The URL under which a provider knows this source.
pub(super) fn public(
    written: &At<String>,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<String> {
    let url = absolute(written, resolver, found)?;
    if environment == Environment::Live && url.scheme() == "http" {
        let message = "a provider would send live webhooks over plain HTTP";
        let fix = "register an https URL with the provider and write that one";
        found.add(Refusal::PlainHttpInLive, &written.place, message, fix);
        return None;
    }
    // The text as registered is what was signed: a normalised URL would be another one.
    resolver.text(written, found)
}

/// The proxy that deliveries go through. One with a password is a secret.
pub(super) fn proxy(
    written: &At<String>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<gateway::Proxy> {
    let mut text = resolver.text(written, found)?;
    let parsed = Url::parse(&text);
    if parsed.is_ok_and(|url| url.password().is_some()) {
        text = resolver.secret(written, found)?;
    }
    let proxy = Url::parse(&text).ok().and_then(|url| gateway::Proxy::new(&url));
    if proxy.is_none() {
        let message = "this is no proxy that we can go through";
        let fix = "write http://HOST:PORT of an HTTP proxy that allows CONNECT; with a user name and \
                   password, put http://USER:PASSWORD@HOST:PORT into the environment and write \
                   \"${env:NAME}\"";
        found.add(Refusal::BadUrl, &written.place, message, fix);
    }
    proxy
}

/// The address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.to_canonical().is_loopback(),
        None => false,
    }
}

/// The address as written is not a public one. Names are resolved and judged when they are dialled.
pub(super) fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => destination::is_local_name(name),
        Some(Host::Ipv4(v4)) => !destination::is_public(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => !destination::is_public(IpAddr::V6(v6)),
        None => false,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::super::reference::Variables;
    use super::*;
    use std::path::Path;

    fn check(text: &str, allow_private: bool, environment: Environment) -> Vec<Refusal> {
        let mut found = Found::default();
        let variables = Variables::of(&[]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/") };
        let written = At { value: text.to_owned(), place: Place { line: 1, key: "url".into() } };
        let url = endpoint(&written, allow_private, environment, &resolver, &mut found);
        assert_eq!(url.is_some(), found.is_empty());
        found.into_list().iter().map(|problem| problem.refusal).collect()
    }

    #[test]
    fn https_is_fine_everywhere() {
        assert_eq!(check("https://shop.example.com/w", false, Environment::Live), []);
        assert_eq!(check("https://shop.example.com:8443/w?a=1", false, Environment::Test), []);
    }

    #[test]
    fn a_node_may_be_asked_over_websocket_and_nobody_else() {
        let check = |text: &str, allow_private, environment| {
            let mut found = Found::default();
            let variables = Variables::of(&[]);
            let resolver = Resolver { variables: &variables, folder: Path::new("/") };
            let place = Place { line: 1, key: "url".into() };
            let written = At { value: text.to_owned(), place };
            let url = node(&written, allow_private, environment, &resolver, &mut found);
            assert_eq!(url.is_some(), found.is_empty());
            found.into_list().iter().map(|problem| problem.refusal).collect::<Vec<_>>()
        };
        for text in ["https://node.example/v3", "wss://node.example/v3", "wss://node.example:8546"]
        {
            assert_eq!(check(text, false, Environment::Live), [], "{text}");
        }
        for text in ["ws://10.0.0.1:8546", "wss://localhost", "ws://[::1]/"] {
            let private = [Refusal::PrivateAddress];
            assert_eq!(check(text, false, Environment::Test), private, "{text}");
            assert_eq!(check(text, true, Environment::Test), [], "{text}");
        }
        assert_eq!(check("ws://127.0.0.1:8546", true, Environment::Live), []);
        let plain = [Refusal::PlainHttpInLive];
        assert_eq!(check("ws://node.example", false, Environment::Live), plain);
        let port = [Refusal::PortNotHttp];
        assert_eq!(check("wss://node.example:6379", false, Environment::Test), port);
        let credentials = [Refusal::UrlCredentials];
        assert_eq!(check("wss://u:p@node.example", false, Environment::Test), credentials);
        for text in ["wss://", "ipc:///geth.ipc", "wss://node.example/#a", "tcp://node.example"] {
            assert_eq!(check(text, true, Environment::Test), [Refusal::BadUrl], "{text}");
        }
        let endpoint = self::check("wss://shop.example.com/w", true, Environment::Test);
        assert_eq!(endpoint, [Refusal::BadUrl]);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["", "/webhooks", "shop.example.com/w", "ftp://a/b", "https://", "unix:/x"] {
            assert_eq!(check(text, true, Environment::Test), [Refusal::BadUrl], "{text}");
        }
        assert_eq!(check("https://a/b#c", true, Environment::Test), [Refusal::BadUrl]);
    }

    #[test]
    fn credentials_in_a_url_are_refused() {
        for text in ["https://u:p@shop.example.com/", "https://u@shop.example.com/"] {
            assert_eq!(check(text, true, Environment::Test), [Refusal::UrlCredentials]);
        }
    }

    #[test]
    fn private_addresses_need_leave() {
        let private = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]"];
        let spelt = ["localhost", "a.localhost", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]"];
        for host in private.into_iter().chain(spelt) {
            let url = format!("http://{host}:9000/w");
            assert_eq!(check(&url, false, Environment::Test), [Refusal::PrivateAddress], "{host}");
            assert_eq!(check(&url, true, Environment::Test), [], "{host}");
        }
    }

    #[test]
    fn ports_of_other_protocols_need_leave() {
        for port in [22, 25, 5432, 6379] {
            let url = format!("https://shop.example.com:{port}/w");
            assert_eq!(check(&url, false, Environment::Test), [Refusal::PortNotHttp], "{port}");
            assert_eq!(check(&url, true, Environment::Test), [], "{port}");
        }
        assert_eq!(check("https://shop.example.com:8080/w", false, Environment::Test), []);
    }

    /// The targets that the gateway is tested to never dial; those that can be seen to be private
    /// from their spelling do not even start.
    #[test]
    fn every_spelling_of_a_private_address_stops_the_start() {
        let targets = include_str!("../../../gateway/tests/ssrf/targets.tsv");
        let mut stopped = 0;
        for line in targets.lines().filter(|line| !line.starts_with('#')) {
            let [url, _, want] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}")
            };
            let refused = check(&url.replace("{port}", "8080"), false, Environment::Test);
            let got = refused.first().map_or("starts", |refusal| refusal.code());
            assert_eq!(got, want, "{url}");
            stopped += usize::from(got != "starts");
        }
        assert!(stopped >= 250, "{stopped} targets");
    }

    #[test]
    fn a_proxy_is_an_http_url_and_its_password_a_reference() {
        let variables = Variables::of(&[("PROXY", "http://egress:p_test_1@10.0.0.1:3128")]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/") };
        let refused = |text: &str| {
            let mut found = Found::default();
            let place = Place { line: 1, key: "proxy".into() };
            let proxy = proxy(&At { value: text.to_owned(), place }, &resolver, &mut found);
            assert_eq!(proxy.is_some(), found.is_empty());
            found.into_list().first().map(|problem| problem.refusal)
        };
        assert_eq!(refused("http://10.0.0.1:3128"), None);
        assert_eq!(refused("${env:PROXY}"), None);
        let literal = Some(Refusal::LiteralSecret);
        assert_eq!(refused("http://egress:p_test_1@10.0.0.1:3128"), literal);
        for text in ["", "10.0.0.1:3128", "https://10.0.0.1", "socks5://10.0.0.1", "http://a/b"] {
            assert_eq!(refused(text), Some(Refusal::BadUrl), "{text}");
        }
    }

    #[test]
    fn live_takes_plain_http_on_loopback_only() {
        assert_eq!(check("http://127.0.0.1/w", true, Environment::Live), []);
        let plain = [Refusal::PlainHttpInLive];
        assert_eq!(check("http://10.0.0.1/w", true, Environment::Live), plain);
        assert_eq!(check("http://shop.example.com/w", true, Environment::Live), plain);
        assert_eq!(check("http://shop.example.com/w", false, Environment::Test), []);
    }
}
