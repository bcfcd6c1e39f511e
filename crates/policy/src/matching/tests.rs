//! Events beside the orders that they name.

use model::Money;
use model::money::Asset;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn order(n: u8) -> OrderId {
    OrderId::from_bytes([n; 16])
}

fn currency(code: &str) -> Unit {
    Unit::Currency(code.parse().unwrap())
}

fn expected(text: &str, unit: Unit) -> Expected {
    let money = Money::parse(text, Notation::Major, unit).unwrap();
    Expected { money, tolerance: 0, expires_at: None, cancelled_at: None }
}

/// An event that pays 20.00 USD as it should.
fn claim() -> Claim<'static> {
    Claim {
        provider: "stripe",
        source: "shop",
        status: Some("paid"),
        amount: Some("2000"),
        refunded: None,
        notation: Some(Notation::Minor),
        decimals: None,
        currency: Some("usd"),
        chain: None,
        address: None,
        payee: Some("acct_1"),
        payment: [1; 16],
        part: [0; 16],
        serves: None,
        at: at(10),
    }
}

fn match_with(claim: &Claim<'_>, wanted: &Wanted<'_>) -> (Result<(), &'static str>, Option<Fact>) {
    let Matched { decided, facts } = match_order(claim, wanted);
    let said = match decided {
        Decided::Permit(_) => Ok(()),
        Decided::Hold(reason) => Err(reason.code()),
        Decided::Deny(reason) => Err(reason.code()),
    };
    (said, facts.last().copied())
}

/// What becomes of a claim beside an order of 20.00 USD.
fn said(claim: &Claim<'_>) -> Result<(), &'static str> {
    let expected = expected("20.00", currency("USD"));
    let facts = Facts::default();
    match_with(claim, &wanted(&expected, &facts)).0
}

fn wanted<'a>(expected: &'a Expected, facts: &'a Facts) -> Wanted<'a> {
    Wanted {
        order: order(1),
        expected,
        provider: Some("stripe"),
        source: Some("shop"),
        address: None,
        payee: Some("acct_1"),
        payee_usual: None,
        watched: false,
        facts,
    }
}

#[test]
fn what_is_as_expected_passes_and_counts() {
    let expected = expected("20.00", currency("USD"));
    let (said, fact) = match_with(&claim(), &wanted(&expected, &Facts::default()));
    assert_eq!(said, Ok(()));
    assert_eq!(fact.map(|fact| (fact.kind, fact.amount)), Some((FactKind::Paid, 2000)));
}

#[test]
fn each_mismatch_holds_with_its_own_reason() {
    let serves = Some(order(2));
    for (claim, reason) in [
        (Claim { provider: "one2pays", ..claim() }, "provider_mismatch"),
        (Claim { source: "other", ..claim() }, "source_mismatch"),
        (Claim { serves, ..claim() }, "payment_reused"),
        (Claim { payee: Some("acct_2"), ..claim() }, "payee_mismatch"),
        (Claim { payee: None, ..claim() }, "payee_mismatch"),
        (Claim { chain: Some("ethereum"), ..claim() }, "chain_mismatch"),
        (Claim { currency: Some("jpy"), ..claim() }, "currency_mismatch"),
        (Claim { currency: None, ..claim() }, "amount_missing"),
        (Claim { decimals: Some(4), amount: Some("2000"), ..claim() }, "amount_under"),
        (Claim { decimals: Some(4), amount: Some("200001"), ..claim() }, "amount_unreadable"),
        (Claim { amount: None, ..claim() }, "amount_missing"),
        (Claim { notation: None, ..claim() }, "amount_unreadable"),
        (Claim { amount: Some("20.00"), ..claim() }, "amount_unreadable"),
        (Claim { amount: Some("1"), ..claim() }, "amount_under"),
        (Claim { amount: Some("2001"), ..claim() }, "amount_over"),
        (Claim { status: Some("refunded"), ..claim() }, "refund_exceeds_paid"),
    ] {
        assert_eq!(said(&claim), Err(reason));
    }
}

#[test]
fn one_dollar_is_counted_as_one_dollar_and_its_event_waits() {
    let expected = expected("2000.00", currency("USD"));
    let facts = Facts::default();
    let one = Claim { amount: Some("100"), ..claim() };
    let (said, fact) = match_with(&one, &wanted(&expected, &facts));
    assert_eq!(said, Err("amount_under"));
    assert_eq!(fact.map(|fact| fact.amount), Some(100));
    // What is not the order's own money is not counted at all.
    let yen = Claim { amount: Some("200000"), currency: Some("JPY"), ..claim() };
    assert_eq!(match_with(&yen, &wanted(&expected, &facts)), (Err("currency_mismatch"), None));
}

#[test]
fn the_last_part_of_a_payment_passes() {
    let expected = expected("20.00", currency("USD"));
    let first = Claim { amount: Some("500"), payment: [7; 16], ..claim() };
    let facts = match_with(&first, &wanted(&expected, &Facts::default())).1;
    let facts: Facts = facts.into_iter().collect();
    let rest = Claim { amount: Some("1500"), ..claim() };
    assert_eq!(match_with(&rest, &wanted(&expected, &facts)).0, Ok(()));
    let less = Claim { amount: Some("1499"), ..claim() };
    assert_eq!(match_with(&less, &wanted(&expected, &facts)).0, Err("amount_under"));
}

#[test]
fn nothing_passes_for_a_cancelled_order() {
    let cancelled = Expected { cancelled_at: Some(at(1)), ..expected("20.00", currency("USD")) };
    let (said, fact) = match_with(&claim(), &wanted(&cancelled, &Facts::default()));
    assert_eq!(said, Err("order_cancelled"));
    assert_eq!(fact.map(|fact| fact.amount), Some(2000), "the money came all the same");
}

#[test]
fn what_goes_back_of_a_cancelled_order_is_told() {
    let cancelled = Expected { cancelled_at: Some(at(1)), ..expected("20.00", currency("USD")) };
    let paid = facts_of(&claim(), &wanted(&cancelled, &Facts::default())).unwrap();
    let facts: Facts = paid.into_iter().collect();
    let said = |claim: &Claim<'_>| match_with(claim, &wanted(&cancelled, &facts)).0;
    for status in ["refunded", "disputed", "dispute_won", "dispute_lost"] {
        assert_eq!(said(&Claim { status: Some(status), ..claim() }), Ok(()), "{status}");
    }
    assert_eq!(said(&Claim { refunded: Some("500"), ..claim() }), Ok(()));
    for status in [Some("paid"), Some("pending"), Some("failed"), None] {
        assert_eq!(said(&Claim { status, ..claim() }), Err("order_cancelled"), "{status:?}");
    }
    assert_eq!(said(&Claim { refunded: Some("0"), ..claim() }), Err("order_cancelled"));
    let unheard = Claim { refunded: Some("1"), payment: [2; 16], ..claim() };
    assert_eq!(said(&unheard), Err("order_cancelled"));
}

#[test]
fn a_cent_that_is_paid_back_makes_no_small_payment_the_order() {
    let expected = expected("20.00", currency("USD"));
    let little = Claim { amount: Some("100"), refunded: Some("1"), ..claim() };
    assert_eq!(said(&little), Err("amount_under"));
    let much = Claim { amount: Some("9000"), refunded: Some("1"), ..claim() };
    assert_eq!(said(&much), Err("amount_over"));
    assert_eq!(said(&Claim { refunded: Some("1"), ..claim() }), Ok(()));
    // It says nothing else once it is known, by itself too.
    let known = facts_of(&little, &wanted(&expected, &Facts::default())).unwrap();
    let mut facts: Facts = known.into_iter().collect();
    assert_eq!(match_with(&little, &wanted(&expected, &facts)).0, Err("amount_under"));
    // Of an order that is paid, or was until then, it is news of the refund.
    let rest = Claim { amount: Some("1900"), payment: [2; 16], ..claim() };
    facts.extend(facts_of(&rest, &wanted(&expected, &Facts::default())).unwrap());
    assert_eq!(match_with(&little, &wanted(&expected, &facts)).0, Ok(()));
    let more = Claim { amount: Some("2000"), ..rest };
    facts.extend(facts_of(&more, &wanted(&expected, &Facts::default())).unwrap());
    let back = Claim { refunded: Some("100"), ..little };
    assert_eq!(match_with(&back, &wanted(&expected, &facts)).0, Ok(()));
}

#[test]
fn where_a_node_is_asked_a_provider_only_hints() {
    let ether = Asset::new("ETH", "ethereum", 18).unwrap();
    let expected = expected("1.5", Unit::Asset(ether));
    let facts = Facts::default();
    let wanted = Wanted { watched: true, address: Some("0xaa"), ..wanted(&expected, &facts) };
    let pays = Claim {
        amount: Some("1.5"),
        notation: Some(Notation::Major),
        currency: Some("ETH"),
        chain: Some("Ethereum"),
        address: Some("0xaa"),
        ..claim()
    };
    let (said, fact) = match_with(&pays, &wanted);
    assert_eq!(said, Err("confirmations_missing"));
    assert_eq!(fact.map(|fact| fact.kind), Some(FactKind::Pending));
    let counted = Fact { kind: FactKind::Counted, payment: [9; 16], version: 3, ..fact.unwrap() };
    let facts: Facts = [counted].into_iter().collect();
    assert_eq!(match_with(&pays, &Wanted { facts: &facts, ..wanted }).0, Ok(()));
    let spelled = Claim { address: Some("0xAA"), ..pays };
    assert_eq!(match_with(&spelled, &wanted), match_with(&pays, &wanted));
    let bech32 = Wanted { address: Some("bc1qaa"), ..wanted };
    let shouted = Claim { address: Some("BC1QAA"), ..pays };
    assert_eq!(match_with(&shouted, &bech32), (Err("address_mismatch"), None));
    let elsewhere = Claim { address: Some("0xbb"), ..pays };
    assert_eq!(match_with(&elsewhere, &wanted), (Err("address_mismatch"), None));
    for chain in [Some("polygon"), None] {
        let other = Claim { chain, ..pays };
        assert_eq!(match_with(&other, &wanted), (Err("chain_mismatch"), None));
    }
    let silent = Claim { address: None, ..pays };
    assert_eq!(match_with(&silent, &wanted), (Err("address_mismatch"), None));
}

#[test]
fn refunds_are_counted_up_to_what_was_paid() {
    let expected = expected("20.00", currency("USD"));
    let paid = match_with(&claim(), &wanted(&expected, &Facts::default())).1;
    let facts: Facts = paid.into_iter().collect();
    let refund = |text| Claim { refunded: Some(text), ..claim() };
    let beside = |claim: &Claim<'_>| match_with(claim, &wanted(&expected, &facts));
    assert_eq!(beside(&refund("2000")).0, Ok(()));
    assert_eq!(beside(&refund("2001")), (Err("refund_exceeds_paid"), None));
    let other = |amount| Claim { status: Some("refunded"), amount, part: [3; 16], ..claim() };
    assert_eq!(beside(&other(Some("2000"))).0, Ok(()));
    assert_eq!(beside(&other(Some("2001"))), (Err("refund_exceeds_paid"), None));
    // Nothing is paid back yet: then it is about the payment.
    assert_eq!(beside(&refund("0")).1.map(|fact| fact.kind), Some(FactKind::Paid));
    assert_eq!(beside(&refund("0.5")), (Err("amount_unreadable"), None));
}

#[test]
fn what_says_nothing_of_money_passes_and_changes_nothing() {
    for status in [None, Some("held"), Some("requires_action")] {
        let claim = Claim { status, ..claim() };
        let expected = expected("20.00", currency("USD"));
        assert_eq!(match_with(&claim, &wanted(&expected, &Facts::default())), (Ok(()), None));
    }
}

#[test]
fn a_source_s_usual_account_need_not_be_named() {
    let expected = expected("20.00", currency("USD"));
    let facts = Facts::default();
    let wanted = Wanted { payee: None, payee_usual: Some("acct_1"), ..wanted(&expected, &facts) };
    assert_eq!(match_with(&Claim { payee: None, ..claim() }, &wanted).0, Ok(()));
    let other = Claim { payee: Some("acct_2"), ..claim() };
    assert_eq!(match_with(&other, &wanted), (Err("payee_mismatch"), None));
}

#[test]
fn a_provider_may_count_in_other_units_than_the_standard() {
    // Two decimals of a currency that has none: 50000 is 500 ISK.
    let expected = expected("500", currency("ISK"));
    let facts = Facts::default();
    let pays = |amount| Claim {
        amount: Some(amount),
        currency: Some("isk"),
        decimals: Some(2),
        ..claim()
    };
    let wanted = wanted(&expected, &facts);
    assert_eq!(match_with(&pays("50000"), &wanted).0, Ok(()));
    assert_eq!(match_with(&pays("500"), &wanted).0, Err("amount_under"));
    assert_eq!(match_with(&pays("50050"), &wanted), (Err("amount_unreadable"), None));
}

#[test]
fn a_refund_that_overtakes_its_payment_is_remembered() {
    let expected = expected("20.00", currency("USD"));
    let first = Claim { status: Some("refunded"), part: [3; 16], ..claim() };
    let (said, fact) = match_with(&first, &wanted(&expected, &Facts::default()));
    assert_eq!(said, Err("refund_exceeds_paid"));
    let facts: Facts = fact.into_iter().collect();
    let paid = match_with(&claim(), &wanted(&expected, &facts)).1.expect("it is paid");
    let both: Facts = facts.iter().copied().chain([paid]).collect();
    assert_eq!(judge(&expected, &both, at(20)).state, OrderState::Refunded);
}

#[test]
fn so_many_payments_are_enough() {
    let expected = expected("20.00", currency("USD"));
    let fact = |n: usize| Fact {
        payment: u128::try_from(n).unwrap().to_be_bytes(),
        kind: FactKind::Failed,
        part: [0; 16],
        amount: 0,
        at: at(1),
        version: 0,
    };
    let facts: Facts = (0..limits::ORDER_FACTS_MAX).map(fact).collect();
    let claim = Claim { payment: [255; 16], ..claim() };
    let many = match_with(&claim, &wanted(&expected, &facts));
    assert_eq!(many, (Err("too_many_payments"), None));
}

/// What counts of a claim that a person releases, beside an order of 20.00 USD with these facts.
fn released(claim: &Claim<'_>, facts: &Facts) -> Result<Vec<(FactKind, u128)>, &'static str> {
    let expected = expected("20.00", currency("USD"));
    let counted = match_released(claim, &wanted(&expected, facts));
    let told = |facts: Vec<Fact>| facts.iter().map(|fact| (fact.kind, fact.amount)).collect();
    counted.map(told).map_err(HoldReason::code)
}

#[test]
fn a_person_vouches_for_how_it_was_paid() {
    let paid = |amount| Ok(vec![(FactKind::Paid, amount)]);
    for (claim, counts) in [
        (claim(), paid(2000)),
        (Claim { provider: "one2pays", ..claim() }, paid(2000)),
        (Claim { source: "other", payee: Some("acct_2"), ..claim() }, paid(2000)),
        (Claim { amount: Some("1"), ..claim() }, paid(1)),
        (Claim { amount: Some("9999"), ..claim() }, paid(9999)),
        (Claim { status: None, ..claim() }, Ok(Vec::new())),
    ] {
        assert_eq!(released(&claim, &Facts::default()), counts);
    }
}

#[test]
fn nobody_makes_other_money_the_orders_or_a_payment_two_orders() {
    let refund = Claim { status: Some("refunded"), ..claim() };
    for (claim, reason) in [
        (Claim { serves: Some(order(2)), ..claim() }, "payment_reused"),
        (Claim { currency: Some("jpy"), ..claim() }, "currency_mismatch"),
        (Claim { chain: Some("ethereum"), ..claim() }, "chain_mismatch"),
        (Claim { amount: None, ..claim() }, "amount_missing"),
        (Claim { amount: Some("2,000"), ..claim() }, "amount_unreadable"),
        (refund, "refund_exceeds_paid"),
    ] {
        assert_eq!(released(&claim, &Facts::default()), Err(reason));
    }
    let paid: Facts =
        match_order(&claim(), &wanted(&expected("20.00", currency("USD")), &Facts::default()))
            .facts
            .into_iter()
            .collect();
    assert_eq!(released(&refund, &paid), Ok(vec![(FactKind::Refunded, 2000)]));
    let more = Claim { amount: Some("2001"), ..refund };
    assert_eq!(released(&more, &paid), Err("refund_exceeds_paid"));
}
