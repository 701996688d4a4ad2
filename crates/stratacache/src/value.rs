//! What an insert takes as a value.

use std::sync::Arc;

use crate::memory::Held;

/// A value to insert: a `V`, or an `Arc<V>` that somebody keeps too.
///
/// Two implementations only, so that `insert("name", String::from("Ada"))` needs no type annotation. Inserting an
/// `Arc<V>` does: `insert::<V>(..)`, or a key of a keyspace.
pub trait IntoValue<V> {
    /// Turns it into what the cache holds.
    fn into_value(self) -> Value<V>;
}

/// A value on its way into the cache.
pub struct Value<V>(pub(crate) Held<V>);

impl<V> IntoValue<V> for V {
    fn into_value(self) -> Value<V> {
        Value(Held::Own(self))
    }
}

impl<V> IntoValue<V> for Arc<V> {
    fn into_value(self) -> Value<V> {
        // one allocation less where nobody else holds it
        Value(Self::try_unwrap(self).map_or_else(Held::Shared, Held::Own))
    }
}

impl<V> std::fmt::Debug for Value<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(..)")
    }
}
