//! Values by which a membership is decided, looked up without allocating.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::functions::Value;
use super::cell::{Cell, utf8, uuid_text};

/// Up to so many, looking at each is faster than halving.
const FEW: usize = 16;

/// A set of values as `IN` sees them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Set {
    integers: Vec<i64>,
    texts: Vec<Box<str>>,
    blobs: Vec<Box<[u8]>>,
    reals: Vec<f64>,
    null: bool,
}

impl Set {
    pub(super) fn of(values: impl IntoIterator<Item = Value>) -> Self {
        let mut set = Set::default();
        for value in values {
            match value {
                Value::Null => set.null = true,
                Value::Integer(number) => set.integers.push(number),
                Value::Real(number) if number.is_nan() => set.null = true,
                Value::Real(number) => set.reals.push(number),
                Value::Text(text) => set.texts.push(text.into()),
                Value::Blob(bytes) => set.blobs.push(bytes.into()),
            }
        }
        set.integers.sort_unstable();
        set.integers.dedup();
        set.texts.sort_unstable();
        set.texts.dedup();
        set.blobs.sort_unstable();
        set.blobs.dedup();
        set
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many distinct values it holds, NULL as one.
    pub(super) fn len(&self) -> usize {
        let kinds = [self.integers.len(), self.texts.len(), self.blobs.len(), self.reals.len()];
        kinds.iter().sum::<usize>() + usize::from(self.null)
    }

    /// What `IN` answers: NULL where the value, or one of the set's, is NULL and none is equal.
    pub(super) fn holds(&self, value: &Cell<'_>) -> Option<bool> {
        let found = match value {
            Cell::Null => return if self.is_empty() { Some(false) } else { None },
            Cell::Integer(number) => self.integer(*number),
            Cell::Real(_) => return self.slow(value),
            Cell::Text(text) => self.text(text),
            Cell::Blob(bytes) => self.blob(bytes),
            Cell::Uuid(bytes) => self.text(utf8(&uuid_text(bytes))),
        };
        self.answer(found)
    }

    pub(super) fn answer(&self, found: bool) -> Option<bool> {
        if found {
            Some(true)
        } else if self.null {
            None
        } else {
            Some(false)
        }
    }

    #[inline]
    pub(super) fn integer(&self, number: i64) -> bool {
        let found = if self.integers.len() <= FEW {
            self.integers.contains(&number)
        } else {
            self.integers.binary_search(&number).is_ok()
        };
        found || self.reals.iter().any(|real| super::cell::integer_real(number, *real) == Ordering::Equal)
    }

    #[inline]
    pub(super) fn text(&self, text: &str) -> bool {
        if self.texts.len() <= FEW {
            return self.texts.iter().any(|one| **one == *text);
        }
        self.texts.binary_search_by(|one| (**one).cmp(text)).is_ok()
    }

    #[inline]
    pub(super) fn blob(&self, bytes: &[u8]) -> bool {
        if self.blobs.len() <= FEW {
            return self.blobs.iter().any(|one| **one == *bytes);
        }
        self.blobs.binary_search_by(|one| (**one).cmp(bytes)).is_ok()
    }

    fn slow(&self, value: &Cell<'_>) -> Option<bool> {
        let equal = |other: Cell<'_>| value.order(&other) == Some(Ordering::Equal);
        let found = self.integers.iter().any(|number| equal(Cell::Integer(*number)))
            || self.reals.iter().any(|number| equal(Cell::Real(*number)));
        self.answer(found)
    }

    /// Some of its values, for a person to read.
    pub(super) fn sample(&self, most: usize) -> Vec<Value> {
        let integers = self.integers.iter().map(|number| Value::Integer(*number));
        let reals = self.reals.iter().map(|number| Value::Real(*number));
        let texts = self.texts.iter().map(|text| Value::Text(text.to_string()));
        let blobs = self.blobs.iter().map(|bytes| Value::Blob(bytes.to_vec()));
        integers.chain(reals).chain(texts).chain(blobs).take(most).collect()
    }
}

/// The rows that answer one fact, in the shape in which they are asked for.
#[derive(Debug)]
pub(super) struct Answers {
    /// How many rows there are at all.
    pub(super) rows: usize,
    /// Without keys: the outputs. With one key and no output: the keys.
    pub(super) set: Arc<Set>,
    /// With keys otherwise, sorted by them.
    entries: Vec<Entry>,
}

/// The rows of one combination of keys.
#[derive(Debug)]
pub(super) struct Entry {
    keys: Vec<Value>,
    pub(super) rows: usize,
    pub(super) outputs: Set,
    pub(super) first: Value,
}

impl Answers {
    /// Rows of `keys` keys and, if there is one, an output.
    pub(super) fn of(rows: Vec<Vec<Value>>, keys: usize, output: bool) -> Self {
        let count = rows.len();
        if keys == 1 && !output {
            let set = Set::of(rows.into_iter().filter_map(|row| row.into_iter().next()));
            return Self { rows: count, set: Arc::new(set), entries: Vec::new() };
        }
        let mut sorted: Vec<(Vec<Value>, Value)> = rows
            .into_iter()
            .map(|mut row| {
                let rest = row.split_off(keys.min(row.len()));
                (row, rest.into_iter().next().unwrap_or(Value::Null))
            })
            // `=` is never true of NULL.
            .filter(|(keys, _)| !keys.contains(&Value::Null))
            .collect();
        sorted.sort_by(|(one, _), (other, _)| compare(one, other));
        let mut entries = Vec::new();
        let mut outputs: Vec<Value> = Vec::new();
        let mut pending: Option<Vec<Value>> = None;
        for (keys, output) in sorted {
            if let Some(last) = pending.take()
                && compare(&last, &keys) != Ordering::Equal
            {
                entries.push(Entry::of(last, std::mem::take(&mut outputs)));
            }
            outputs.push(output);
            pending = Some(keys);
        }
        if let Some(last) = pending {
            entries.push(Entry::of(last, outputs));
        }
        let set = match (keys, entries.first_mut()) {
            (0, Some(all)) => std::mem::take(&mut all.outputs),
            _ => Set::default(),
        };
        Self { rows: count, set: Arc::new(set), entries }
    }

    /// The rows whose keys equal these.
    pub(super) fn at(&self, keys: &[Cell<'_>]) -> Option<&Entry> {
        let order = |entry: &Entry| {
            let pairs = entry.keys.iter().zip(keys);
            pairs.fold(Ordering::Equal, |known, (one, other)| {
                known.then_with(|| Cell::borrowed(one).order(other).unwrap_or(Ordering::Less))
            })
        };
        let found = self.entries.binary_search_by(order).ok()?;
        self.entries.get(found)
    }
}

impl Entry {
    fn of(keys: Vec<Value>, outputs: Vec<Value>) -> Self {
        let first = outputs.first().cloned().unwrap_or(Value::Null);
        Self { keys, rows: outputs.len(), first, outputs: Set::of(outputs) }
    }
}

fn compare(one: &[Value], other: &[Value]) -> Ordering {
    one.iter().zip(other).fold(Ordering::Equal, |known, (one, other)| {
        known.then_with(|| Cell::borrowed(one).order(&Cell::borrowed(other)).unwrap_or(Ordering::Equal))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn in_knows_null() {
        let set = Set::of([Value::Integer(1), text("a")]);
        assert_eq!(set.holds(&Cell::Integer(1)), Some(true));
        assert_eq!(set.holds(&Cell::Real(1.0)), Some(true));
        assert_eq!(set.holds(&Cell::Integer(2)), Some(false));
        assert_eq!(set.holds(&Cell::Null), None);
        let set = Set::of([Value::Integer(1), Value::Null]);
        assert_eq!(set.holds(&Cell::Integer(1)), Some(true));
        assert_eq!(set.holds(&Cell::Integer(2)), None);
        assert_eq!(Set::default().holds(&Cell::Null), Some(false));
    }

    #[test]
    fn many_members_are_found_as_few_are() {
        let set =
            Set::of((0..1_000).map(|i| if i % 2 == 0 { Value::Integer(i) } else { text(&i.to_string()) }));
        for i in 0..1_000_i64 {
            assert_eq!(set.integer(i), i % 2 == 0, "{i}");
            assert_eq!(set.text(&i.to_string()), i % 2 == 1, "{i}");
        }
    }

    #[test]
    fn rows_are_grouped_by_their_keys() {
        let rows = vec![
            vec![Value::Integer(2), text("b"), Value::Integer(20)],
            vec![Value::Integer(1), text("a"), Value::Integer(10)],
            vec![Value::Integer(2), text("b"), Value::Integer(21)],
            vec![Value::Null, text("b"), Value::Integer(99)],
        ];
        let answers = Answers::of(rows, 2, true);
        let at = |number, text: &'static str| {
            let entry = answers.at(&[Cell::Integer(number), Cell::borrowed(&Value::Text(text.into()))])?;
            Some((entry.rows, entry.first.clone()))
        };
        assert_eq!(at(2, "b"), Some((2, Value::Integer(20))));
        assert_eq!(at(1, "a"), Some((1, Value::Integer(10))));
        assert_eq!(at(1, "b"), None);
        let single = Answers::of(vec![vec![Value::Integer(7)]], 0, true);
        assert_eq!(single.at(&[]).map(|entry| entry.first.clone()), Some(Value::Integer(7)));
    }
}
