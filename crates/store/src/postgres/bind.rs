//! Parameters with their types, so that a statement needs no name and one round trip.
//!
//! Only types that the server has built in: for any other the client would look the type up with a
//! statement that has a name, which no pooler in transaction mode keeps.

use model::{
    ApiKeyId, ApprovalId, ArrivalId, AttemptId, BlockId, DeliveryId, EventId, OperatorId, OrderId,
    RequestId, SecretId,
};
use tokio_postgres::types::{ToSql, Type};
use vault::KeyId;

use super::codes::Sixteen;

/// A parameter and its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A parameter that outlives whoever asks.
pub(super) struct Owned(Box<dyn ToSql + Sync + Send>, Type);

impl Owned {
    pub(super) fn new(value: impl ToSql + Sync + Send + 'static, of: Type) -> Self {
        Self(Box::new(value), of)
    }

    pub(super) fn borrow(&self) -> Parameter<'_> {
        (&*self.0, self.1.clone())
    }
}

macro_rules! parameters {
    ($($name:ident $type:ident,)*) => {$(
        pub(super) fn $name<T: ToSql + Sync>(value: &T) -> Parameter<'_> {
            (value, Type::$type)
        }
    )*};
}

parameters! {
    boolean BOOL,
    int2 INT2,
    int4 INT4,
    int8 INT8,
    text TEXT,
    bytea BYTEA,
    uuid UUID,
    int2s INT2_ARRAY,
    int4s INT4_ARRAY,
    int8s INT8_ARRAY,
    texts TEXT_ARRAY,
    byteas BYTEA_ARRAY,
    uuids UUID_ARRAY,
}

macro_rules! ids {
    ($($id:ident,)*) => {$(
        impl From<$id> for Sixteen {
            fn from(id: $id) -> Self {
                Self(*id.as_bytes())
            }
        }

        impl From<Sixteen> for $id {
            fn from(bytes: Sixteen) -> Self {
                Self::from_bytes(bytes.0)
            }
        }
    )*};
}

ids! {
    ApiKeyId, ApprovalId, ArrivalId, AttemptId, BlockId, DeliveryId, EventId, OperatorId, OrderId, RequestId, SecretId,
}

impl From<KeyId> for Sixteen {
    fn from(id: KeyId) -> Self {
        Self(id.0)
    }
}

/// A number of things as the server takes it.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
