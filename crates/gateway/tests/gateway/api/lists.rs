//! Lists: pages, cursors, filters, and whose things they hold.

use super::*;

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let data = &json(reply)["data"];
    let ids = data.as_array().expect("a list").iter();
    ids.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

async fn all_pages(shop: &Shop, list: &str, key: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), list.to_owned());
    let separator = if list.contains('?') { '&' } else { '?' };
    loop {
        let reply = shop.ask(&get(&path, key)).await;
        pages.push(ids(&reply));
        let Some(next) = json(&reply)["next"].as_str().map(str::to_owned) else { return pages };
        path = format!("{list}{separator}cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_page_by_page_newest_first() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let mut events = Vec::new();
    for n in 0..5 {
        shop.gateway.advance_ms(60_000);
        events.push(if n % 2 == 0 { shop.accepted(n).await } else { shop.held(n).await });
    }
    events.reverse();
    assert_eq!(all_pages(&shop, "/v1/events", &key).await, [events.clone()]);
    let pages = all_pages(&shop, "/v1/events?limit=2", &key).await;
    assert_eq!(pages, [&events[0..2], &events[2..4], &events[4..]]);
    let held = all_pages(&shop, "/v1/events?status=held&limit=1", &key).await;
    assert_eq!(held, [[events[1].clone()], [events[3].clone()]]);
    let weak = all_pages(&shop, "/v1/events?source=weak&status=accepted", &key).await;
    assert_eq!(weak, [[""; 0]]);
    assert_eq!(all_pages(&shop, "/v1/events?source=weak", &key).await.concat().len(), 2);
    let span = "since=2026-01-01T00:02:00Z&until=2026-01-01T00%3A04%3A00.000Z";
    let span = all_pages(&shop, &format!("/v1/events?{span}&limit=1"), &key).await;
    assert_eq!(span.concat(), events[2..4]);
    let nowhere = shop.ask(&get("/v1/events?source=nowhere", &key)).await;
    assert_eq!(ids(&nowhere), [""; 0], "it may have been a source once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_come_page_by_page_with_their_attempts() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let mut deliveries = Vec::new();
    let mut last = String::new();
    for n in 0..3 {
        last = shop.accepted(n).await;
        deliveries.push(shop.delivered(&last).await);
    }
    deliveries.reverse();
    let pages = all_pages(&shop, "/v1/deliveries?limit=2", &key).await;
    assert_eq!(pages, [&deliveries[..2], &deliveries[2..]]);
    let of_event = format!("/v1/deliveries?event={last}&endpoint=app&status=delivered");
    assert_eq!(all_pages(&shop, &of_event, &key).await, [[deliveries[0].clone()]]);
    let dead = shop.ask(&get("/v1/deliveries?status=dead", &key)).await;
    assert_eq!(ids(&dead), [""; 0]);
    let path = format!("/v1/deliveries/{}", deliveries[0]);
    let shown = json(&shop.ask(&get(&path, &key)).await);
    assert_eq!((&shown["event"], &shown["status"]), (&last.into(), &"delivered".into()));
    assert_eq!(shown["tries"][0]["http_status"], 200);
    let absent = shop.ask(&get("/v1/deliveries?event=evt_1", &key)).await;
    is_refused(&absent, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_key_lists_its_own_alone() {
    let shop = Shop::open().await;
    let accepted = shop.accepted(1).await;
    let delivery = shop.delivered(&accepted).await;
    let held = shop.held(1).await;
    for (reach, events, deliveries, endpoints) in [
        (of_source("stripe"), vec![&accepted], vec![&delivery], vec!["app"]),
        (of_source("weak"), vec![&held], vec![], vec!["books"]),
        (shop.of_customer("cus_1"), vec![&accepted], vec![&delivery], vec![]),
        (shop.of_customer("cus_2"), vec![], vec![], vec![]),
        (Reach::default(), vec![&held, &accepted], vec![&delivery], vec!["app", "books", "lonely"]),
    ] {
        let key = shop.key(every_permission(), reach.clone()).await;
        assert_eq!(all_pages(&shop, "/v1/events?limit=1", &key).await.concat(), to_owned(events));
        let listed = all_pages(&shop, "/v1/deliveries", &key).await.concat();
        assert_eq!(listed, to_owned(deliveries), "{reach:?}");
        let reply = json(&shop.ask(&get("/v1/endpoints", &key)).await);
        let names = reply["data"].as_array().expect("a list").iter();
        let names: Vec<_> = names.map(|one| one["name"].as_str().expect("a name")).collect();
        assert_eq!(names, endpoints, "{reach:?}");
    }
}

fn to_owned(ids: Vec<&String>) -> Vec<String> {
    ids.into_iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_does_not_reach_further_than_the_key() {
    let shop = Shop::open().await;
    let accepted = shop.accepted(1).await;
    let key = shop.key(every_permission(), of_source("weak")).await;
    for path in ["/v1/events?source=stripe", "/v1/events?source=nowhere"] {
        is_refused(&shop.ask(&get(path, &key)).await, 403, "out_of_reach");
    }
    for event in [accepted.as_str(), "evt_00000000000000000000000000", "x"] {
        let path = format!("/v1/deliveries?event={event}");
        is_refused(&shop.ask(&get(&path, &key)).await, 403, "out_of_reach");
    }
    assert_eq!(shop.ask(&get("/v1/events?source=weak", &key)).await.status, 200);
    let customer = shop.key(every_permission(), shop.of_customer("cus_1")).await;
    let reply = shop.ask(&get("/v1/events?source=stripe", &customer)).await;
    assert_eq!(ids(&reply), [accepted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_of_its_list_and_its_reach() {
    let shop = Shop::open().await;
    for n in 0..2 {
        shop.held(n).await;
        shop.delivered(&shop.accepted(n).await).await;
    }
    let full = shop.full_key().await;
    let next = async |list: &str, key: &str| {
        let reply = shop.ask(&get(&format!("{list}?limit=1"), key)).await;
        json(&reply)["next"].as_str().expect("another page").to_owned()
    };
    let ask = async |list: &str, cursor: &str, key: &str| {
        shop.ask(&get(&format!("{list}?limit=1&cursor={cursor}"), key)).await
    };
    let cursor = next("/v1/events", &full).await;
    assert_eq!(ids(&ask("/v1/events", &cursor, &full).await).len(), 1);
    // Another key with the same reach, such as its successor.
    let other = shop.key([Permission::EventsRead], Reach::default()).await;
    assert_eq!(ids(&ask("/v1/events", &cursor, &other).await).len(), 1);
    let weak = shop.key(every_permission(), of_source("weak")).await;
    is_refused(&ask("/v1/events", &cursor, &weak).await, 403, "out_of_reach");
    let of_weak = next("/v1/events", &weak).await;
    assert_eq!(ids(&ask("/v1/events", &of_weak, &weak).await).len(), 1);
    let both = Reach { sources: Some(["stripe".into(), "weak".into()].into()), ..Reach::default() };
    let both = shop.key(every_permission(), both).await;
    is_refused(&ask("/v1/events", &of_weak, &both).await, 403, "out_of_reach");
    is_refused(&ask("/v1/events", &of_weak, &full).await, 400, "cursor_invalid");
    is_refused(&ask("/v1/deliveries", &cursor, &full).await, 400, "cursor_invalid");
    let (kept, last) = cursor.split_at(cursor.len() - 1);
    let forged = format!("{kept}{}", if last == "A" { "Q" } else { "A" });
    for bad in [forged.as_str(), "", "x", "AAAAAAAAAAA", "%00"] {
        is_refused(&ask("/v1/events", bad, &full).await, 400, "cursor_invalid");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_invalid_names_the_parameter() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    for (query, place) in [
        ("limit=101", "limit"),
        ("limit=5&limit=5", "limit"),
        ("status=Held", "status"),
        ("since=yesterday", "since"),
        ("source=%00", "source"),
        ("colour=red", "colour"),
    ] {
        let reply = shop.ask(&get(&format!("/v1/events?{query}"), &key)).await;
        is_refused(&reply, 400, "query_invalid");
        assert_eq!(json(&reply)["place"], place, "{query}");
    }
    for path in ["/v1/endpoints?a=b", "/v1/events/evt_1?a=b", "/v1/deliveries/dlv_1?limit=1"] {
        is_refused(&shop.ask(&get(path, &key)).await, 400, "query_invalid");
    }
    let resume = post("/v1/endpoints/app/resume?a=b", &key, "1");
    is_refused(&shop.ask(&resume).await, 400, "query_invalid");
    // An address of a person in a name is not repeated.
    let reply = shop.ask(&get("/v1/events?ada@birds.example=1", &key)).await;
    is_refused(&reply, 400, "query_invalid");
    assert!(!reply.body.contains("ada@"), "{reply:?}");
    assert_eq!(shop.ask(&get("/v1/events?limit=100&status=held", &key)).await.status, 200);
}
