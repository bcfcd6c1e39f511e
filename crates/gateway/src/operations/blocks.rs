//! Blocking parties, and lifting blocks: what a person asks for, and what a rule finds.

use model::block::{BadParty, Party};
use model::{BlockId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{BlockChanged, BlockRow, NewBlock};

use super::{Desk, Order};
use crate::blocks::party_key;
use crate::entropy;
use crate::keys::{Held, KeyError};

/// Where it is sealed who is blocked: table and column.
const TABLE: &str = "block";
const COLUMN: &str = "sealed";

/// The bucket of what is no customer.
const BUCKET: &str = "blocks";

/// Who is blocked, and why. It rests sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedParty {
    /// What the party is called at its provider, or on its chain.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Why a party cannot be blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unblockable {
    /// The provider or chain, or the name there, is not 1 to 255 visible ASCII characters.
    Party(BadParty),
    /// The name looks like a card's number or a secret, which must not be kept.
    Secret,
    /// The end is over already.
    Past,
}

impl Unblockable {
    /// The member that is at fault.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Party(bad) => bad.member(),
            Self::Secret => "name",
            Self::Past => "ends_at",
        }
    }
}

impl Desk {
    /// Blocks a party until a time, or until the block is lifted. Whoever blocks does it here, a person
    /// as well as a rule; the reason of the order stands beside the party, sealed.
    ///
    /// # Errors
    /// The store fails. What cannot be blocked is answered, and nothing is done.
    pub async fn block(
        &self,
        party: &Party,
        ends_at: Option<Timestamp>,
        order: Order,
    ) -> Result<Result<(BlockId, BlockChanged), Unblockable>, KeyError> {
        if let Err(unblockable) = check(party, ends_at, order.at) {
            return Ok(Err(unblockable));
        }
        let id = BlockId::new(order.at, entropy::bytes());
        let key = self.key_of(party, order.at).await?;
        let reason = redact::line(&order.reason).into_owned();
        let blocked = BlockedParty { name: party.name().to_owned(), reason };
        let bytes = serde_json::to_vec(&blocked).expect("texts always serialise");
        let block = NewBlock {
            id,
            kind: party.kind(),
            of: party.of().to_owned(),
            party_key: party_key(&self.keys, party),
            ends_at,
            keys: key.to_store().into_iter().collect(),
            sealed: key.seal(TABLE, COLUMN, id.as_bytes(), &bytes),
        };
        let note = self.note(order).await?;
        let changed = self.store.add_block(block, note).await?;
        if changed == BlockChanged::Done {
            self.keys.stored(&key);
        }
        Ok(Ok((id, changed)))
    }

    /// Lifts a block. Events that it held stay held: a person releases them.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn lift_block(&self, id: BlockId, order: Order) -> Result<BlockChanged, KeyError> {
        let note = self.note(order).await?;
        Ok(self.store.lift_block(id, note).await?)
    }

    /// Who is blocked, and why.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn blocked_party(&self, row: &BlockRow) -> Result<BlockedParty, KeyError> {
        let bytes = self.keys.open_row(TABLE, COLUMN, row.id.as_bytes(), &row.sealed).await?;
        serde_json::from_slice(&bytes).map_err(|_| KeyError::NotAuthentic)
    }

    /// A customer's own key; else that of the day's blocks.
    async fn key_of(&self, party: &Party, now: Timestamp) -> Result<Held, KeyError> {
        match party.kind() {
            model::block::PartyKind::Customer => {
                self.keys.subject(party.of(), party.name(), now).await
            }
            _ => self.keys.bucket(BUCKET, now).await,
        }
    }
}

fn check(party: &Party, ends_at: Option<Timestamp>, now: Timestamp) -> Result<(), Unblockable> {
    party.check().map_err(Unblockable::Party)?;
    let mut kept = party.name().to_owned();
    redact::value(&mut kept);
    if kept != party.name() {
        return Err(Unblockable::Secret);
    }
    if ends_at.is_some_and(|end| end <= now) {
        return Err(Unblockable::Past);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::block::PartyKind;

    #[test]
    fn what_must_not_be_kept_or_is_over_cannot_be_blocked() {
        let at = Timestamp::from_millis;
        let of = |kind, name: &str, ends_at: Option<i64>| {
            check(&Party::named(kind, "stripe", name), ends_at.map(at), at(10))
        };
        assert_eq!(of(PartyKind::Card, "Xt5EWLLDS7FJjR1c", None), Ok(()));
        assert_eq!(of(PartyKind::Customer, "cus_1", Some(11)), Ok(()));
        assert_eq!(of(PartyKind::Customer, "cus_1", Some(10)), Err(Unblockable::Past));
        assert_eq!(of(PartyKind::Card, "4242424242424242", None), Err(Unblockable::Secret));
        let empty = Err(Unblockable::Party(BadParty::Name));
        assert_eq!(of(PartyKind::Customer, "", None), empty);
    }
}
