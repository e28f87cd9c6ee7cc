use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Type};

use super::RowKey;

/// A sealed cell: what [`Guarded::seal`](super::super::Guarded::seal) gave, or what was read. It opens with
/// [`Guarded::open`](super::super::Guarded::open), and prints nothing.
pub struct Sealed<T> {
    bytes: Vec<u8>,
    /// For which cell it was sealed just now; none for one that was read, which is not written elsewhere.
    place: Option<Place>,
    content: PhantomData<fn() -> T>,
}

/// A cell, by its column and row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) key: RowKey,
}

impl<T> Sealed<T> {
    pub(crate) fn new(bytes: Vec<u8>, place: Place) -> Self {
        Self { bytes, place: Some(place), content: PhantomData }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), place: self.place, content: PhantomData }
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// What a sealed cell is found by: a keyed hash of its content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Blind {
    hash: [u8; 32],
    index: Option<(&'static str, &'static str)>,
}

impl Blind {
    pub(crate) fn new(hash: [u8; 32], table: &'static str, column: &'static str) -> Self {
        Self { hash, index: Some((table, column)) }
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(..)")
    }
}

/// What a bound value was, where it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::guard) enum Noted {
    Key(RowKey),
    Cell(Option<Place>),
    Index(Option<(&'static str, &'static str)>),
}

thread_local! {
    /// While a value is bound: what it says of itself. Encoding does not wait, so it is this value.
    static BINDING: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

impl Noted {
    /// Binds a value, and answers what it was.
    pub(in crate::guard) fn while_binding<R>(bind: impl FnOnce() -> R) -> (R, Option<Self>) {
        BINDING.with_borrow_mut(|noted| *noted = None);
        let bound = bind();
        (bound, BINDING.with_borrow_mut(Option::take))
    }

    pub(super) fn key(key: RowKey) {
        BINDING.with_borrow_mut(|noted| *noted = Some(Self::Key(key)));
    }

    fn cell(place: Option<Place>) {
        BINDING.with_borrow_mut(|noted| *noted = Some(Self::Cell(place)));
    }

    fn index(index: Option<(&'static str, &'static str)>) {
        BINDING.with_borrow_mut(|noted| *noted = Some(Self::Index(index)));
    }
}

macro_rules! as_bytes {
    ($type:ty $(, $parameter:ident)?; $self:ident: $bytes:expr, $note:expr; $from:expr) => {
        impl$(<$parameter>)? Type<Sqlite> for $type {
            fn type_info() -> SqliteTypeInfo {
                <[u8] as Type<Sqlite>>::type_info()
            }
        }

        impl$(<$parameter>)? Encode<'_, Sqlite> for $type {
            fn encode_by_ref(&$self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                $note;
                Encode::<Sqlite>::encode(Vec::from($bytes), buffer)
            }
        }

        impl<'r $(, $parameter)?> Decode<'r, Sqlite> for $type {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let read: fn(&[u8]) -> Result<Self, BoxDynError> = $from;
                read(<&[u8] as Decode<'r, Sqlite>>::decode(value)?)
            }
        }

        impl$(<$parameter>)? Type<Postgres> for $type {
            fn type_info() -> PgTypeInfo {
                <[u8] as Type<Postgres>>::type_info()
            }
        }

        impl$(<$parameter>)? Encode<'_, Postgres> for $type {
            fn encode_by_ref(&$self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                $note;
                Encode::<Postgres>::encode(Vec::from($bytes), buffer)
            }
        }

        impl<'r $(, $parameter)?> Decode<'r, Postgres> for $type {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                let read: fn(&[u8]) -> Result<Self, BoxDynError> = $from;
                read(&<Vec<u8> as Decode<'r, Postgres>>::decode(value)?)
            }
        }
    };
}

as_bytes! { Sealed<T>, T; self: self.bytes.as_slice(), Noted::cell(self.place); |bytes| {
    Ok(Self { bytes: bytes.to_vec(), place: None, content: PhantomData })
} }
as_bytes! { Blind; self: self.hash.as_slice(), Noted::index(self.index); |bytes| {
    Ok(Self { hash: bytes.try_into()?, index: None })
} }
