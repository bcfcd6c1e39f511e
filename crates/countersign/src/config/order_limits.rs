//! `[[orders.limit]]`: how much, and how many, one customer or address may order in a while.

use model::limits::ORDER_LIMIT_WINDOW_MS_MAX;
use model::money::{self, Asset, Currency, Notation, Unit};
use model::order::{LimitPer, OrderLimit};

use super::document::{self, At};
use super::problem::Place;

/// Why a limit cannot be: where, what is wrong, and the cure.
pub(super) type Unfit = (Place, &'static str, &'static str);

/// What a section means.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn limit(written: &document::OrderLimit) -> Result<OrderLimit, Unfit> {
    let missing = |message, fix| Err((written.place.clone(), message, fix));
    let Some(per) = &written.per else {
        return missing(
            "it is not said whose orders count",
            "write per = \"customer\" or \"address\"",
        );
    };
    let per = LimitPer::from_code(&per.value).ok_or((
        per.place.clone(),
        "this is nobody whose orders could be counted",
        "write \"customer\" or \"address\"",
    ))?;
    let Some(window) = &written.window else {
        return missing("it is not said how far back orders count", "write window = \"24h\"");
    };
    let window_ms = window_ms(&window.value).ok_or((
        window.place.clone(),
        "this is no time that a limit could look back",
        "write a number and s, m, h or d, such as \"24h\": at most a year",
    ))?;
    let unit = unit(written)?;
    let count_max = written.count.as_ref().map(count).transpose()?;
    let sum_max = match (&written.sum, &unit) {
        (None, _) => None,
        (Some(sum), Some(unit)) => Some(minor(sum, unit)?),
        (Some(sum), None) => {
            let message = "a sum is of one currency or asset";
            return Err((sum.place.clone(), message, "write the currency beside it"));
        }
    };
    if count_max.is_none() && sum_max.is_none() {
        return missing("this limits nothing", "write count = 10, or sum = \"1000.00\", or both");
    }
    Ok(OrderLimit { per, unit, window_ms, count_max, sum_max })
}

fn unit(written: &document::OrderLimit) -> Result<Option<Unit>, Unfit> {
    let document::OrderLimit { currency, asset, chain, decimals, .. } = written;
    match (currency, asset, chain, decimals) {
        (None, None, None, None) => Ok(None),
        (Some(code), None, None, None) => match code.value.parse::<Currency>() {
            Ok(currency) => Ok(Some(Unit::Currency(currency))),
            Err(_) => {
                let fix = "write a code of ISO 4217, such as \"EUR\"";
                Err((code.place.clone(), "this is no currency", fix))
            }
        },
        (None, Some(symbol), Some(chain), Some(places)) => {
            let decimals = u8::try_from(places.value).ok();
            let asset = decimals.and_then(|n| Asset::new(&symbol.value, &chain.value, n).ok());
            let fix = "write its symbol, chain and decimals as orders have them";
            asset.map(|asset| Some(Unit::Asset(asset))).ok_or((
                symbol.place.clone(),
                "this is no asset",
                fix,
            ))
        }
        _ => {
            let message = "it is not said in what";
            let fix = "write currency, or asset with chain and decimals";
            Err((written.place.clone(), message, fix))
        }
    }
}

fn count(written: &At<i64>) -> Result<u32, Unfit> {
    let count = u32::try_from(written.value).ok().filter(|count| (1..=10_000).contains(count));
    let fix = "write a whole number from 1 to 10000";
    count.ok_or((written.place.clone(), "so many orders cannot be a limit", fix))
}

fn minor(written: &At<String>, unit: &Unit) -> Result<u128, Unfit> {
    let minor = money::parse(&written.value, Notation::Major, unit.decimals()).ok();
    let fix = "write it in major units, such as \"1000.00\"";
    minor.filter(|minor| *minor > 0).ok_or((written.place.clone(), "this is no amount", fix))
}

fn window_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let window_ms = digits.parse::<i64>().ok().filter(|_| is_plain)?.checked_mul(unit_ms)?;
    (1..=ORDER_LIMIT_WINDOW_MS_MAX).contains(&window_ms).then_some(window_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of 3 orders and 100.00 EUR of a customer in a day, with one member changed.
    fn with(change: impl FnOnce(&mut document::OrderLimit)) -> Result<OrderLimit, &'static str> {
        let place = || Place { line: 1, key: "orders.limit[0]".into() };
        let text = |value: &str| Some(At { value: value.to_owned(), place: place() });
        let mut written = document::OrderLimit {
            place: place(),
            per: text("customer"),
            currency: text("EUR"),
            asset: None,
            chain: None,
            decimals: None,
            window: text("1d"),
            count: Some(At { value: 3, place: place() }),
            sum: text("100"),
        };
        change(&mut written);
        limit(&written).map_err(|(_, message, _)| message)
    }

    fn at<T>(value: T) -> Option<At<T>> {
        Some(At { value, place: Place { line: 1, key: "orders.limit[0]".into() } })
    }

    #[test]
    fn a_limit_is_what_it_says() {
        let limit = with(|_| {}).expect("a limit");
        let said = limit.to_string();
        assert_eq!(said, "customer: at most 3 orders and 100.00 EUR in 86400 s");
        let any = with(|limit| (limit.currency, limit.sum) = (None, None)).expect("a limit");
        assert_eq!((any.unit, any.sum_max, any.count_max), (None, None, Some(3)));
        let asset = with(|limit| {
            (limit.currency, limit.per) = (None, at("address".to_owned()));
            limit.asset = at("USDC".to_owned());
            (limit.chain, limit.decimals) = (at("base".to_owned()), at(6));
        });
        assert_eq!(asset.expect("a limit").sum_max, Some(100_000_000));
        assert_eq!(with(|limit| limit.window = at("90s".to_owned())).unwrap().window_ms, 90_000);
    }

    #[test]
    fn what_limits_nobody_or_nothing_is_refused() {
        let refused = |change: &dyn Fn(&mut document::OrderLimit)| with(change).is_err();
        assert!(refused(&|limit| limit.per = None));
        assert!(refused(&|limit| limit.per = at("everybody".to_owned())));
        assert!(refused(&|limit| limit.window = None));
        for window in ["", "d", "24", "0h", "-1h", "+1h", "1.5h", "367d", "1w", "é"] {
            assert!(refused(&|limit| limit.window = at(window.to_owned())), "{window:?}");
        }
        for count in [0, -1, 10_001] {
            assert!(refused(&|limit| limit.count = at(count)), "{count}");
        }
        for sum in ["", "0", "-5", "1e3", "0.001", "NaN", "1,000"] {
            assert!(refused(&|limit| limit.sum = at(sum.to_owned())), "{sum:?}");
        }
        assert!(refused(&|limit| (limit.count, limit.sum) = (None, None)));
        assert!(refused(&|limit| limit.currency = None), "a sum of nothing");
        assert!(refused(&|limit| limit.currency = at("EURO".to_owned())));
        assert!(refused(&|limit| limit.asset = at("USDC".to_owned())), "a currency and an asset");
    }
}
