//! `[orders]`: what orders may be like.

use gateway::OrderRules;
use model::limits::ORDER_LIMITS_MAX;
use model::money::Currency;
use model::rate::NotARate;

use super::document::{self, At};
use super::order_limits;
use super::problem::{Found, Refusal};

/// What the section means. What cannot be understood is refused.
pub(super) fn orders(written: &document::Orders, found: &mut Found) -> OrderRules {
    let mut rules = OrderRules::default();
    for code in written.currencies.iter().flat_map(|texts| &texts.value) {
        match code.value.parse::<Currency>() {
            Ok(currency) => rules.currencies.push(currency),
            Err(error) => {
                let fix = "write codes of ISO 4217, such as [\"EUR\", \"USD\"]";
                found.add(Refusal::UnknownCurrency, &code.place, error.to_string(), fix);
            }
        }
    }
    for host in written.return_hosts.iter().flat_map(|texts| &texts.value) {
        // As it stands in a parsed URL, so that equal hosts are equal texts.
        let parsed = url::Host::parse(&host.value).map(|host| host.to_string());
        match parsed {
            // A star would stand for itself.
            Ok(parsed) if parsed == host.value && !parsed.contains('*') => {
                rules.return_hosts.push(parsed);
            }
            _ => {
                let message = "this is no host as it stands in a URL";
                let fix = "write a host name in lower case without scheme, port and path";
                found.add(Refusal::BadReturnHost, &host.place, message, fix);
            }
        }
    }
    if let Some(At { value, place }) = &written.per_customer {
        match value.parse() {
            Ok(rate) => rules.per_customer = rate,
            Err(NotARate) => {
                let fix = "write a count, a slash, and a time in s, m or h, such as \"5/1m\"";
                found.add(Refusal::BadRate, place, "this is not a rate", fix);
            }
        }
    }
    for written in &written.limits {
        match order_limits::limit(written) {
            Ok(limit) => rules.limits.push(limit),
            Err((place, message, fix)) => {
                found.add(Refusal::BadOrderLimit, &place, message, fix);
            }
        }
    }
    if let Some(one_more) = written.limits.get(ORDER_LIMITS_MAX) {
        let fix = format!("keep {ORDER_LIMITS_MAX} of them: each is looked at for every order");
        found.add(Refusal::BadOrderLimit, &one_more.place, "these are too many limits", fix);
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;

    fn texts(texts: &[&str]) -> Option<document::Texts> {
        let place = || Place { line: 1, key: "orders".into() };
        let at = |text: &&str| At { value: (*text).to_owned(), place: place() };
        Some(At { value: texts.iter().map(at).collect(), place: place() })
    }

    fn judge(currencies: &[&str], hosts: &[&str]) -> (OrderRules, Found) {
        let written = document::Orders {
            currencies: texts(currencies),
            return_hosts: texts(hosts),
            ..Default::default()
        };
        let mut found = Found::default();
        (orders(&written, &mut found), found)
    }

    #[test]
    fn currencies_and_hosts_are_what_they_say() {
        let (rules, found) = judge(&["EUR", "jpy"], &["shop.example"]);
        assert!(found.is_empty());
        assert_eq!(rules.currencies, ["EUR".parse().unwrap(), "JPY".parse().unwrap()]);
        assert_eq!(rules.return_hosts, ["shop.example"]);
    }

    #[test]
    fn what_is_no_currency_or_host_is_refused() {
        for bad in ["EURO", "", "USDT"] {
            assert!(judge(&[bad], &[]).1.has(Refusal::UnknownCurrency), "{bad:?}");
        }
        for bad in ["https://shop.example", "shop.example:443", "Shop.example", "", "a/b", "*.x"] {
            assert!(judge(&[], &[bad]).1.has(Refusal::BadReturnHost), "{bad:?}");
        }
    }
}
