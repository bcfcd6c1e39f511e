//! What one operator asks another to approve, before it is done.

use model::{ApprovalId, OperatorId, Permission, Timestamp};
use store::{ApprovalJudged, ApprovalRow, NewApproval};
use zeroize::Zeroizing;

use super::{Desk, Order};
use crate::entropy;
use crate::keys::KeyError;

const TABLE: &str = "approval";
const REQUEST: &str = "request";

/// A request that is to be approved: whoever repeats it must send the very same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Such as POST.
    pub(crate) method: String,
    /// With its query, as it was sent.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

impl Wanted {
    /// Neither a method nor a path has a line end in it.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(format!("{}\n{}\n", self.method, self.path).into_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        let (method, path, body) = (parts.next()?, parts.next()?, parts.next()?);
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        Some(Self { method: text(method)?, path: text(path)?, body: body.to_vec() })
    }
}

impl Desk {
    /// Asks for an approval of a request.
    pub(crate) async fn ask_approval(
        &self,
        operator: OperatorId,
        permission: Permission,
        wanted: &Wanted,
        order: Order,
    ) -> Result<(ApprovalId, ApprovalJudged), KeyError> {
        let id = ApprovalId::new(order.at, entropy::bytes());
        let key = self.keys.operator(operator, order.at).await?;
        let approval = NewApproval {
            id,
            operator,
            permission,
            fingerprint: self.fingerprint(wanted),
            request: key.seal(TABLE, REQUEST, id.as_bytes(), &wanted.to_bytes()),
        };
        let note = self.note(order).await?;
        Ok((id, self.store.ask_approval(approval, note).await?))
    }

    /// Approves what another operator asked for, or refuses it.
    pub(crate) async fn decide_approval(
        &self,
        id: ApprovalId,
        by: OperatorId,
        is_approved: bool,
        order: Order,
    ) -> Result<ApprovalJudged, KeyError> {
        let note = self.note(order).await?;
        Ok(self.store.decide_approval(id, by, is_approved, note).await?)
    }

    /// Uses an approval for a request, once.
    pub(crate) async fn use_approval(
        &self,
        id: ApprovalId,
        by: OperatorId,
        wanted: &Wanted,
        order: Order,
    ) -> Result<ApprovalJudged, KeyError> {
        let note = self.note(order).await?;
        Ok(self.store.use_approval(id, by, self.fingerprint(wanted), note).await?)
    }

    /// The approvals that wait, or are approved and not used.
    pub(crate) async fn approvals(&self, now: Timestamp) -> Result<Vec<ApprovalRow>, KeyError> {
        Ok(self.store.approvals(now).await?)
    }

    /// What an approval is about.
    pub(crate) async fn wanted(&self, row: &ApprovalRow) -> Result<Wanted, KeyError> {
        let id = row.id.as_bytes();
        let bytes = self.keys.open_row(TABLE, REQUEST, id, &row.request).await?;
        Wanted::from_bytes(&bytes).ok_or(KeyError::NotAuthentic)
    }

    fn fingerprint(&self, wanted: &Wanted) -> [u8; 16] {
        let parts = [wanted.method.as_bytes(), wanted.path.as_bytes(), &wanted.body];
        self.keys.index("operator.approval", &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_as_it_was_kept() {
        for body in ["", "{}", "{\n\"a\":\"\\n\"\n}\n"] {
            let wanted = Wanted {
                method: "POST".to_owned(),
                path: "/admin/v1/keys?a=b".to_owned(),
                body: body.as_bytes().to_vec(),
            };
            assert_eq!(Wanted::from_bytes(&wanted.to_bytes()), Some(wanted));
        }
        for none in ["", "POST", "POST\n/admin/v1/keys"] {
            assert_eq!(Wanted::from_bytes(none.as_bytes()), None, "{none}");
        }
        assert_eq!(Wanted::from_bytes(b"P\xff\n/\n"), None);
    }
}
