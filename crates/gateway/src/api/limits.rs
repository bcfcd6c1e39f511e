//! How much a key and a customer may ask for, and who fails to authenticate.
//!
//! The headers are those of the IETF draft "RateLimit header fields for HTTP": `RateLimit-Policy` names
//! the quotas, `RateLimit` what is left of each and for how many seconds.

use http::HeaderValue;
use model::ApiKeyId;
use model::limits::{
    FAILED_KEYS_MAX, FAILED_KEYS_PERIOD_MS, REQUESTS_PER_CUSTOMER_MAX,
    REQUESTS_PER_CUSTOMER_PERIOD_MS, REQUESTS_PER_KEY_MAX,
};
use model::rate::Rate;

use super::refusal::{ApiRefusal, Problem};
use crate::answer::{Answer, Limited, whole_seconds};
use crate::api_keys::Caller;
use crate::inbound::limits::AddressLimit;
use crate::limit::{Left, Limit};

const PER_KEY: Rate = Rate { count: REQUESTS_PER_KEY_MAX, period_ms: 1_000 };
const PER_CUSTOMER: Rate =
    Rate { count: REQUESTS_PER_CUSTOMER_MAX, period_ms: REQUESTS_PER_CUSTOMER_PERIOD_MS };
const FAILED: Rate = Rate { count: FAILED_KEYS_MAX, period_ms: FAILED_KEYS_PERIOD_MS };

/// The limits of the API.
pub(crate) struct Limits {
    pub(super) failed: AddressLimit,
    keys: Limit<ApiKeyId>,
    pub(super) customers: Limit<[u8; 16]>,
    /// Orders that are created for a customer.
    pub(super) orders: Limit<[u8; 16]>,
}

impl Limits {
    /// Those of the API, with so many orders a customer.
    pub(crate) fn new(orders: Rate) -> Self {
        Self {
            failed: AddressLimit::new(FAILED),
            keys: Limit::new(PER_KEY),
            customers: Limit::new(PER_CUSTOMER),
            orders: Limit::new(orders),
        }
    }

    /// Counts an order that is to be created for a customer, by whatever key.
    pub(super) fn take_order(&self, customer: [u8; 16], now_ms: i64) -> Result<(), Problem> {
        let taken = self.orders.take(customer, now_ms).map(drop);
        taken.map_err(|limited| Problem {
            place: Some("customer".to_owned()),
            ..Problem::wait(ApiRefusal::OrdersLimited, limited.retry_after_ms)
        })
    }
}

/// What is left of each quota, as the headers say it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Quotas {
    policies: Vec<String>,
    left: Vec<String>,
}

impl Limits {
    /// Counts a request, for its key and for the customer that the key is bound to.
    pub(super) fn take(&self, caller: &Caller, now_ms: i64) -> (Quotas, Result<(), Problem>) {
        let mut quotas = Quotas::default();
        let of_key = quotas.note("key", PER_KEY, self.keys.take(caller.key, now_ms));
        let taken = of_key.and_then(|()| match caller.reach.customer {
            Some(customer) => {
                let taken = self.customers.take(customer, now_ms);
                quotas.note("customer", PER_CUSTOMER, taken)
            }
            None => Ok(()),
        });
        (quotas, taken)
    }
}

impl Quotas {
    fn note(
        &mut self,
        name: &str,
        rate: Rate,
        taken: Result<Left, Limited>,
    ) -> Result<(), Problem> {
        let (left, reset_ms) = match &taken {
            Ok(left) => (left.count, left.reset_ms),
            Err(limited) => (0, limited.retry_after_ms),
        };
        self.policies.push(format!("\"{name}\";q={};w={}", rate.count, rate.period_ms / 1000));
        self.left.push(format!("\"{name}\";r={left};t={}", whole_seconds(reset_ms)));
        taken
            .map(drop)
            .map_err(|limited| Problem::wait(ApiRefusal::RateLimited, limited.retry_after_ms))
    }

    /// Says what is left.
    pub(super) fn told(&self, answer: &mut Answer) {
        for (name, parts) in [("ratelimit-policy", &self.policies), ("ratelimit", &self.left)] {
            let value = HeaderValue::from_str(&parts.join(", "));
            if let Some(value) = value.ok().filter(|value| !value.is_empty()) {
                answer.headers_mut().insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Environment, Reach, Timestamp};

    const FIVE: Rate = Rate { count: 5, period_ms: 60_000 };

    fn caller(key: u8, customer: Option<u8>) -> Caller {
        Caller {
            key: ApiKeyId::new(Timestamp::from_millis(0), [key; 10]),
            permissions: Default::default(),
            reach: Reach { customer: customer.map(|byte| [byte; 16]), ..Reach::default() }.into(),
            environment: Environment::Test,
            is_old_generation: false,
        }
    }

    #[test]
    fn each_key_has_a_hundred_a_second() {
        let limits = Limits::new(FIVE);
        for _ in 0..100 {
            assert!(limits.take(&caller(1, None), 0).1.is_ok());
        }
        let (quotas, refused) = limits.take(&caller(1, None), 250);
        assert_eq!(refused, Err(Problem::wait(ApiRefusal::RateLimited, 750)));
        assert_eq!(quotas.policies, ["\"key\";q=100;w=1"]);
        assert_eq!(quotas.left, ["\"key\";r=0;t=1"]);
        assert!(limits.take(&caller(2, None), 250).1.is_ok());
        assert!(limits.take(&caller(1, None), 2_000).1.is_ok());
    }

    #[test]
    fn a_customer_has_a_hundred_in_fifteen_minutes_by_whatever_key() {
        let limits = Limits::new(FIVE);
        for second in 0..100 {
            let key = u8::try_from(second % 2).expect("small");
            let (quotas, taken) = limits.take(&caller(key, Some(7)), second * 1_000);
            assert_eq!(taken, Ok(()));
            assert_eq!(
                quotas.left[1],
                format!("\"customer\";r={};t={}", 99 - second, 900 - second)
            );
        }
        let (quotas, refused) = limits.take(&caller(0, Some(7)), 100_000);
        assert_eq!(refused, Err(Problem::wait(ApiRefusal::RateLimited, 800_000)));
        assert_eq!(quotas.policies, ["\"key\";q=100;w=1", "\"customer\";q=100;w=900"]);
        assert!(limits.take(&caller(0, Some(8)), 100_000).1.is_ok());
        assert!(limits.take(&caller(0, None), 100_000).1.is_ok());
    }

    #[test]
    fn a_customer_has_five_orders_a_minute() {
        let limits = Limits::new(FIVE);
        for second in 0..5 {
            assert_eq!(limits.take_order([7; 16], second * 1_000), Ok(()));
        }
        let limited = limits.take_order([7; 16], 5_000).expect_err("the sixth is too many");
        assert_eq!(limited.refusal, ApiRefusal::OrdersLimited);
        assert_eq!(limited.retry_after_ms, Some(55_000));
        assert_eq!(limits.take_order([8; 16], 5_000), Ok(()));
        assert_eq!(limits.take_order([7; 16], 120_000), Ok(()));
    }
}
