//! The book of orders: what must be noticed in it.

use sandbox::application::Accepted;

use super::*;

/// What the gateway told of orders: kind and reference.
fn diary(told: &[(&str, &str)]) -> Diary {
    let accepted = told.iter().map(|(kind, order)| Accepted {
        at_ms: 0,
        webhook_id: String::new(),
        source: "countersign".into(),
        kind: (*kind).into(),
        covers: "full".into(),
        order: Some((*order).into()),
        sequence: None,
        body: Vec::new(),
    });
    Diary { accepted: accepted.collect(), ..Diary::default() }
}

fn ordered(difference: Difference, reason: Option<&str>) -> Ordered {
    let guide = Guide::ALL.first().expect("there are five");
    let order = Placed { id: "ord_1".into(), reference: "o-1".into() };
    Ordered { guide, difference, order, reason: reason.map(str::to_owned) }
}

/// What is wrong with an order that stands so.
fn check(of: &Ordered, state: &str, told: &[(&str, &str)]) -> Option<String> {
    let entry = of.entry(state.to_owned(), &diary(told));
    assert_eq!(entry.is_good(), entry.wrong().is_none());
    entry.wrong()
}

#[test]
fn what_is_paid_as_ordered_is_told_once() {
    let right = ordered(Difference::Nothing, None);
    let told = [("order.detected", "o-1"), ("order.paid", "o-2"), ("order.paid", "o-1")];
    assert_eq!(check(&right, "paid", &told), None);
    for (told, said) in [
        (&told[..2], "order.detected"),
        (&[][..], "nothing"),
        (&[told[2], told[2]], "order.paid, order.paid"),
        (&[told[2], told[0]], "order.paid, order.detected"),
    ] {
        let wrong = format!("One2Pays, as-ordered: the application was told {said}");
        assert_eq!(check(&right, "paid", told), Some(wrong));
    }
    let wrong = "One2Pays, as-ordered: paid was expected, not partial";
    assert_eq!(check(&right, "partial", &told).as_deref(), Some(wrong));
    let held = ordered(Difference::Nothing, Some("amount_under"));
    let wrong = "One2Pays, as-ordered: paid was expected, not amount_under, paid";
    assert_eq!(check(&held, "paid", &told).as_deref(), Some(wrong));
}

#[test]
fn what_is_paid_otherwise_is_never_told_as_paid() {
    let yen = ordered(Difference::Unit, Some("currency_mismatch"));
    assert_eq!(check(&yen, "awaiting", &[]), None);
    assert!(check(&yen, "awaiting", &[("order.paid", "o-1")]).is_some());
    assert!(check(&yen, "paid", &[("order.paid", "o-1")]).is_some());
    let passed = ordered(Difference::Unit, Some("accepted"));
    assert!(check(&passed, "awaiting", &[]).is_some());
    let late = ordered(Difference::Late, None);
    assert_eq!(check(&late, "late", &[("order.late", "o-1")]), None);
    let told = [("order.paid", "o-1"), ("order.late", "o-1")];
    assert!(check(&late, "late", &told).is_some());
}

#[tokio::test]
async fn what_is_owed_is_counted_until_it_is_heard() {
    let till = Till::new("127.0.0.1:9".parse().expect("an address"), String::new());
    let orders = vec![
        ordered(Difference::Nothing, None),
        ordered(Difference::Unit, Some("currency_mismatch")),
    ];
    let book = Book { till, orders };
    assert_eq!(book.owed(), 1);
    assert_eq!(book.heard(&diary(&[("order.detected", "o-1")])), 0);
    assert_eq!(book.heard(&diary(&[("order.paid", "o-1")])), 1);
    assert!(book.close(&diary(&[])).await.is_err(), "nobody can be asked");
}
