//! Rows as the evaluator sees them: borrowed, column by column, in an order fixed when the policy is compiled.

use super::super::functions::Value;
use crate::types::{SessionId, Timestamp, UserId};

/// One value of a row, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// `NULL`.
    Null,
    /// The row does not hold the column, as in a change event that carries keys only: a policy that reads it
    /// answers with an error, never with a guess.
    Missing,
    /// A boolean; SQLite keeps 0 and 1.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A float; NaN is NULL, as in SQLite.
    Real(f64),
    /// Text, also times, JSON and uuids that are kept as text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
    /// A uuid, whichever way the column keeps it: the policy was compiled for the column's declared type.
    Uuid(&'a [u8; 16]),
    /// A moment, for a column that keeps it as text or as seconds.
    Time(Timestamp),
}

/// A row that a policy can be asked about. Implemented by hand, by [`row!`](crate::row), and for slices of
/// [`ValueRef`] and of [`Value`].
pub trait Row {
    /// The value of the column at that position of the [`RowLayout`] for which the policy was compiled.
    /// A position that the row does not have is [`ValueRef::Missing`].
    fn value(&self, column: usize) -> ValueRef<'_>;
}

/// A struct that is a row: made by [`row!`](crate::row).
pub trait Record: Row {
    /// Its columns in order.
    const COLUMNS: &'static [&'static str];

    /// The layout to compile policies for.
    fn layout() -> RowLayout {
        RowLayout::new(Self::COLUMNS.iter().copied())
    }
}

impl Row for [ValueRef<'_>] {
    fn value(&self, column: usize) -> ValueRef<'_> {
        self.get(column).copied().unwrap_or(ValueRef::Missing)
    }
}

impl Row for [Value] {
    fn value(&self, column: usize) -> ValueRef<'_> {
        match self.get(column) {
            None => ValueRef::Missing,
            Some(value) => value.as_value(),
        }
    }
}

/// The columns of a row in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLayout(Vec<String>);

impl RowLayout {
    /// The columns in the order in which [`Row::value`] counts them.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self(columns.into_iter().map(Into::into).collect())
    }

    /// Where the column stands; SQLite's names ignore ASCII case.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.0.iter().position(|name| name.eq_ignore_ascii_case(column))
    }
}

/// What a struct's field may be to be a column of a row.
pub trait AsValue {
    /// The field as a value.
    fn as_value(&self) -> ValueRef<'_>;
}

macro_rules! as_value {
    ($($type:ty: |$value:ident| $read:expr;)+) => {$(
        impl AsValue for $type {
            fn as_value(&self) -> ValueRef<'_> {
                let $value = self;
                $read
            }
        }
    )+};
}

as_value! {
    bool: |value| ValueRef::Bool(*value);
    i8: |value| ValueRef::Integer((*value).into());
    i16: |value| ValueRef::Integer((*value).into());
    i32: |value| ValueRef::Integer((*value).into());
    i64: |value| ValueRef::Integer(*value);
    u8: |value| ValueRef::Integer((*value).into());
    u16: |value| ValueRef::Integer((*value).into());
    u32: |value| ValueRef::Integer((*value).into());
    f64: |value| ValueRef::Real(*value);
    f32: |value| ValueRef::Real((*value).into());
    str: |value| ValueRef::Text(value);
    String: |value| ValueRef::Text(value);
    [u8]: |value| ValueRef::Blob(value);
    Vec<u8>: |value| ValueRef::Blob(value);
    [u8; 16]: |value| ValueRef::Uuid(value);
    UserId: |value| ValueRef::Uuid(value.as_bytes());
    SessionId: |value| ValueRef::Uuid(value.as_bytes());
    Timestamp: |value| ValueRef::Time(*value);
    Value: |value| match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    };
}

impl<T: AsValue + ?Sized> AsValue for &T {
    fn as_value(&self) -> ValueRef<'_> {
        (**self).as_value()
    }
}

impl<T: AsValue> AsValue for Option<T> {
    fn as_value(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, AsValue::as_value)
    }
}

/// Makes a struct a [`Row`](crate::policy::Row): its fields by name, each an
/// [`AsValue`](crate::policy::AsValue), or read by an expression of your own.
///
/// ```
/// use aurora_core::policy::ValueRef;
///
/// struct Note { id: i64, owner: String, team: Option<i64>, kind: Kind }
/// enum Kind { Draft, Public }
///
/// aurora_core::row!(Note {
///     id,
///     owner,
///     team,
///     kind = |note| ValueRef::Text(match note.kind { Kind::Draft => "draft", Kind::Public => "public" }),
/// });
/// # use aurora_core::policy::Row as _;
/// # let note = Note { id: 1, owner: "ann".into(), team: None, kind: Kind::Draft };
/// # assert_eq!((note.value(1), note.value(2)), (ValueRef::Text("ann"), ValueRef::Null));
/// # assert_eq!((note.value(3), note.value(4)), (ValueRef::Text("draft"), ValueRef::Missing));
/// # let _ = (note.id, Kind::Public);
/// ```
#[macro_export]
macro_rules! row {
    ($type:ty { $($column:ident $(= |$row:ident| $read:expr)?),+ $(,)? }) => {
        impl $crate::policy::Record for $type {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];
        }

        impl $crate::policy::Row for $type {
            #[inline]
            fn value(&self, column: usize) -> $crate::policy::ValueRef<'_> {
                #[allow(non_camel_case_types, reason = "named as the fields are")]
                enum Column { $($column),+ }
                match column {
                    $(at if at == Column::$column as usize => $crate::row!(@read self $column $(|$row| $read)?),)+
                    _ => $crate::policy::ValueRef::Missing,
                }
            }
        }
    };
    (@read $this:ident $column:ident) => { $crate::policy::AsValue::as_value(&$this.$column) };
    (@read $this:ident $column:ident |$row:ident| $read:expr) => {{
        let $row = $this;
        $read
    }};
}
