//! Values as PostgreSQL keeps them: enums as small numbers, ids and hashes as sixteen bytes.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::codes::{Code, Coded};

type Converted<T> = Result<T, Box<dyn Error + Sync + Send>>;

impl<T: Coded + std::fmt::Debug> ToSql for Code<T> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        self.0.number().to_sql(of, out)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::INT2
    }

    to_sql_checked!();
}

impl<'a, T: Coded> FromSql<'a> for Code<T> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Converted<Self> {
        let number = i16::from_sql(of, raw)?;
        let value = T::from_number(i64::from(number));
        value.map(Self).ok_or_else(|| format!("{number} is no such code").into())
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::INT2
    }
}

/// Sixteen bytes: an id or a keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sixteen(pub(super) [u8; 16]);

impl ToSql for Sixteen {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::UUID | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Sixteen {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Converted<Self> {
        Ok(Self(raw.try_into()?))
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::UUID | Type::BYTEA)
    }
}

/// A number that is never negative here and has no type of its own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsigned(pub(super) u32);

impl<'a> FromSql<'a> for Unsigned {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Converted<Self> {
        let number = match *of {
            Type::INT2 => i64::from(i16::from_sql(of, raw)?),
            Type::INT4 => i64::from(i32::from_sql(of, raw)?),
            _ => i64::from_sql(of, raw)?,
        };
        Ok(Self(number.try_into()?))
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT2 | Type::INT4 | Type::INT8)
    }
}
