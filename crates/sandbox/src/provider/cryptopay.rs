//! CryptoPay (the provider of guide 003): crypto orders, `order_info` is JSON in a text.

use model::Money;

use super::{Event, Making, Provider, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;
use crate::payment::{Payment, asset, some};

/// Not published: assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 10_000,
    waits_ms: &[60_000, 300_000, 900_000, 3_600_000],
    waits_published: false,
};

/// What it tells of a payment: type, status and confirmations.
type Told = (&'static str, &'static str, u32);

const LIFE: [Told; 2] = [("payment.pending", "pending", 0), ("payment.confirmed", "confirmed", 15)];

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let (symbol, chain, decimals) =
        draw.pick(&[("USDC", "base", 6), ("USDT", "polygon", 6), ("DAI", "ethereum", 18)]);
    let money = some(draw, asset(symbol, chain, decimals));
    let payment = payment(draw, money);
    let mut happened = LIFE.to_vec();
    // A chain may take a confirmed transaction back.
    if draw.below(8) == 0 {
        happened.push(("payment.failed", "failed", 0));
    }
    told(draw, making, &payment, &happened)
}

/// A payment by a transaction, to an address of its order.
pub(super) fn payment(draw: &mut Draw, money: Money) -> Payment {
    Payment {
        reference: format!("ORD-{}", draw.hex(12)),
        name: format!("0x{}", draw.hex(64)),
        money,
        to: Some(address(draw)),
    }
}

/// An address.
pub(super) fn address(draw: &mut Draw) -> String {
    format!("0x{}", draw.hex(40))
}

/// All that CryptoPay tells of a payment that is made.
pub(super) fn paid(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> Vec<Event> {
    told(draw, making, payment, &LIFE)
}

fn told(draw: &mut Draw, making: Making<'_>, payment: &Payment, happened: &[Told]) -> Vec<Event> {
    let Payment { reference, name, money, to } = payment;
    let (amount, currency) = (payment.plain_amount(), money.unit.name());
    let chain = money.unit.chain().unwrap_or_default();
    let (from, to) = (address(draw), to.as_deref().unwrap_or_default());
    let block = 12_000_000 + draw.below(1_000_000);
    let at = rfc3339(making.now_ms);
    let event = |(kind, status, confirmations): &Told| {
        let id = format!("wh_{}", draw.hex(12));
        let body = format!(
            r#"{{"event":"{kind}","data":{{"order_id":"{reference}","transaction_hash":"{name}","amount":"{amount}","currency":"{currency}","blockchain":"{chain}","status":"{status}","confirmations":{confirmations},"block_number":{block},"from_address":"{from}","to_address":"{to}","order_info":"{{\"product\": \"Premium Plan\", \"quantity\": 1}}","created_at":"{at}","confirmed_at":"{at}"}},"timestamp":"{at}","webhook_id":"{id}"}}"#
        );
        Event::new(Provider::CryptoPay, id, reference, kind, body)
    };
    happened.iter().map(event).collect()
}
