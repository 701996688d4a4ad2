//! What an invalidation may be about.

use crate::{IntoTag, Key, KeyPart, Prefix, Tag};

/// One thing to invalidate; one call takes a mix.
///
/// ```
/// use stratacache_core::Target;
///
/// let all = [Target::key(("contact", 7)), Target::tag("contacts"), Target::namespace("settings")];
/// # let _ = all;
/// ```
#[derive(Debug, Clone)]
pub struct Target(TargetKind);

/// What a [`Target`] names.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TargetKind {
    /// A key of the namespace the operation is called on, encoded.
    Key(Key<()>),
    /// A tag.
    Tag(Tag),
    /// The namespace directly below, its part encoded as a key is.
    Namespace(Key<()>),
    /// The keys that begin alike, of the namespace the operation is called on.
    Prefix(Prefix),
}

impl Target {
    /// Names a key of the namespace the operation is called on. For a key of a keyspace: [`Target::of`].
    pub fn key(part: impl KeyPart) -> Self {
        Self(TargetKind::Key(Key::new(part)))
    }

    /// Names a key made by a keyspace.
    pub fn of<V: 'static>(key: &Key<V>) -> Self {
        Self(TargetKind::Key(key.untyped()))
    }

    /// Names a key by its encoded form, as operators find it.
    #[must_use]
    pub fn encoded(key: &[u8]) -> Self {
        Self(TargetKind::Key(Key::<()>::of_encoded(key)))
    }

    /// Names a tag; it reaches the whole tenant.
    pub fn tag(tag: impl IntoTag) -> Self {
        Self(TargetKind::Tag(tag.into_tag()))
    }

    /// Names a namespace directly below the one the operation is called on, with everything in it.
    pub fn namespace(part: impl KeyPart) -> Self {
        Self(TargetKind::Namespace(Key::new(part)))
    }

    pub(crate) fn namespace_encoded(part: Key<()>) -> Self {
        Self(TargetKind::Namespace(part))
    }

    /// Names all keys of a keyspace that begin with some parts, in the namespace the operation is called on.
    pub fn prefix(prefix: Prefix) -> Self {
        Self(TargetKind::Prefix(prefix))
    }

    /// Returns what it names.
    #[must_use]
    pub fn into_kind(self) -> TargetKind {
        self.0
    }
}

/// What `invalidate` and `expire` take: a key, or a list of [`Target`]s.
pub trait IntoTargets {
    /// Turns it into targets.
    fn into_targets(self) -> Vec<Target>;
}

impl<K: KeyPart> IntoTargets for K {
    fn into_targets(self) -> Vec<Target> {
        vec![Target::key(self)]
    }
}

impl<V: 'static> IntoTargets for Key<V> {
    fn into_targets(self) -> Vec<Target> {
        vec![Target::of(&self)]
    }
}

impl<V: 'static> IntoTargets for &Key<V> {
    fn into_targets(self) -> Vec<Target> {
        vec![Target::of(self)]
    }
}

impl IntoTargets for Target {
    fn into_targets(self) -> Vec<Target> {
        vec![self]
    }
}

impl IntoTargets for Prefix {
    fn into_targets(self) -> Vec<Target> {
        vec![Target::prefix(self)]
    }
}

impl IntoTargets for Vec<Target> {
    fn into_targets(self) -> Vec<Target> {
        self
    }
}

impl<const N: usize> IntoTargets for [Target; N] {
    fn into_targets(self) -> Vec<Target> {
        self.into()
    }
}
