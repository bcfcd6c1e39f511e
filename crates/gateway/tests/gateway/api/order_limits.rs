//! Limits on orders: how often one is created for a customer, and how much one party orders in a while.

use model::money::Unit;
use model::order::{LimitPer, OrderLimit};
use model::rate::Rate;
use serde_json::{Value, json};

use super::{Shop, is_refused, json as json_of};

const HOUR_MS: i64 = 3_600_000;

fn order(reference: &str, customer: &str, amount: &str) -> Value {
    json!({
        "reference": reference, "amount": amount, "currency": "USD", "provider": "stripe",
        "customer": customer,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_limited_is_five_a_minute_and_customer() {
    let shop = Shop::open().await;
    for n in 0..5 {
        let name = format!("o-{n}");
        shop.order_of(&name, &order(&name, "cus_1", "1")).await;
    }
    let sixth = shop.create("o-5", &order("o-5", "cus_1", "1")).await;
    is_refused(&sixth, 429, "orders_limited");
    assert_eq!(json_of(&sixth)["place"], "customer");
    let wait: i64 = sixth.header("retry-after").expect("how long").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    // What was answered before is answered again, and others order on.
    let replayed = shop.create("o-0", &order("o-0", "cus_1", "1")).await;
    assert_eq!(replayed.status, 200);
    shop.order_of("o-6", &order("o-6", "cus_2", "1")).await;
    shop.gateway.advance_ms(120_000);
    assert_eq!(shop.create("o-5", &order("o-5", "cus_1", "1")).await.status, 200);

    let strict = Shop::open_with(|settings| {
        settings.orders.per_customer = Rate { count: 1, period_ms: 60_000 };
    })
    .await;
    strict.order_of("o-1", &order("o-1", "cus_1", "1")).await;
    is_refused(&strict.create("o-2", &order("o-2", "cus_1", "1")).await, 429, "orders_limited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_limit_reached_says_which_and_when_to_come_again() {
    let shop = Shop::open_with(|settings| {
        let unit = Some(Unit::Currency("USD".parse().expect("a currency")));
        let limit = |count_max, sum_max| OrderLimit {
            per: LimitPer::Customer,
            unit: unit.clone(),
            window_ms: HOUR_MS,
            count_max,
            sum_max,
        };
        settings.orders.limits = vec![limit(Some(2), None), limit(None, Some(10_000))];
    })
    .await;
    let id = shop.order_of("o-1", &order("o-1", "cus_1", "60.00")).await;
    let too_much = shop.create("o-2", &order("o-2", "cus_1", "40.01")).await;
    is_refused(&too_much, 429, "order_limit_reached");
    assert_eq!(json_of(&too_much)["place"], "customer: at most 100.00 USD in 3600 s");
    assert_eq!(too_much.header("retry-after"), Some("3600"));
    assert!(!too_much.body.contains("cus_1"), "{too_much:?}");
    // Waiting is of no use for one that is too much by itself.
    let never = shop.create("o-3", &order("o-3", "cus_2", "100.01")).await;
    is_refused(&never, 429, "order_limit_reached");
    assert_eq!(never.header("retry-after"), None);
    shop.order_of("o-2", &order("o-2", "cus_1", "40.00")).await;
    let too_many = shop.create("o-4", &order("o-4", "cus_1", "0.01")).await;
    is_refused(&too_many, 429, "order_limit_reached");
    assert_eq!(json_of(&too_many)["place"], "customer: at most 2 orders in USD in 3600 s");
    // One that is cancelled does not count.
    let path = format!("/v1/orders/{id}/cancel");
    let cancel = super::post(&path, &shop.full_key().await, "c-1");
    assert_eq!(shop.ask(&cancel).await.status, 200);
    assert_eq!(shop.create("o-4", &order("o-4", "cus_1", "0.01")).await.status, 200);
}
