//! What a source says that it has written.

/// What a write has changed in the source: what there was, and what there is now.
///
/// A source that knows what there was before says so, and only the partitions of these two items are invalidated; if it does not, all
/// partitions are.
#[derive(Debug)]
#[must_use]
pub struct Written<T> {
    pub(super) before: Before<T>,
    pub(super) now: Option<T>,
}

#[derive(Debug)]
pub(super) enum Before<T> {
    Nothing,
    Known(T),
    Unknown,
}

impl<T> Written<T> {
    /// Says that there is an item now, and was none before.
    pub const fn created(now: T) -> Self {
        Self { before: Before::Nothing, now: Some(now) }
    }

    /// Says that there is an item now, in place of another.
    pub const fn replaced(before: T, now: T) -> Self {
        Self { before: Before::Known(before), now: Some(now) }
    }

    /// Says that there is an item now; what there was before, the source does not know: all partitions are invalidated.
    pub const fn changed(now: T) -> Self {
        Self { before: Before::Unknown, now: Some(now) }
    }

    /// Says that there is none any more, in place of this one.
    pub const fn deleted(before: T) -> Self {
        Self { before: Before::Known(before), now: None }
    }

    /// Says that there is none any more; what there was, the source does not know: all partitions are invalidated.
    pub const fn removed() -> Self {
        Self { before: Before::Unknown, now: None }
    }

    /// Says that there was no such item, and that nothing was written.
    pub const fn nothing() -> Self {
        Self { before: Before::Nothing, now: None }
    }

    /// Tells whether nothing was written.
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self.before, Before::Nothing) && self.now.is_none()
    }
}
