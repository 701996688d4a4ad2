//! What a list says of objects. Only a sweep and a scan list.

use stratacache_core::clock::Millis;

use crate::names::ObjectName;

/// An object in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: ObjectName,
    pub(crate) bytes: u64,
    /// When it was written, by the clock of the store.
    pub(crate) written: Millis,
}

/// A part of a list, in the order of the names.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    /// Nothing comes after it.
    pub(crate) last: bool,
}
