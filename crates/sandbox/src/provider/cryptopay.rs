//! CryptoPay (the provider of guide 003): crypto orders, `order_info` is JSON in a text.

use super::{Event, Making, Provider, decimal, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

/// Not published: assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 10_000,
    waits_ms: &[60_000, 300_000, 900_000, 3_600_000],
    waits_published: false,
};

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = format!("ORD-{}", draw.hex(12));
    let transaction = format!("0x{}", draw.hex(64));
    let (from, to) = (format!("0x{}", draw.hex(40)), format!("0x{}", draw.hex(40)));
    let amount = decimal(draw);
    let (chain, currency) =
        draw.pick(&[("base", "USDC"), ("polygon", "USDT"), ("ethereum", "DAI")]);
    let block = 12_000_000 + draw.below(1_000_000);
    let at = rfc3339(making.now_ms);
    // A chain may take a confirmed transaction back.
    let reorganised = draw.below(8) == 0;
    let mut happened =
        vec![("payment.pending", "pending", 0), ("payment.confirmed", "confirmed", 15)];
    if reorganised {
        happened.push(("payment.failed", "failed", 0));
    }
    let event = |(kind, status, confirmations): (&'static str, &str, u32)| {
        let id = format!("wh_{}", draw.hex(12));
        let body = format!(
            r#"{{"event":"{kind}","data":{{"order_id":"{order}","transaction_hash":"{transaction}","amount":"{amount}","currency":"{currency}","blockchain":"{chain}","status":"{status}","confirmations":{confirmations},"block_number":{block},"from_address":"{from}","to_address":"{to}","order_info":"{{\"product\": \"Premium Plan\", \"quantity\": 1}}","created_at":"{at}","confirmed_at":"{at}"}},"timestamp":"{at}","webhook_id":"{id}"}}"#
        );
        Event {
            provider: Provider::CryptoPay,
            message_id: id.clone(),
            name: id,
            order: order.clone(),
            kind,
            body,
            retry_changes: None,
        }
    };
    happened.into_iter().map(event).collect()
}
