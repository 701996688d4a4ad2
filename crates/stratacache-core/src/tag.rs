//! Tags: what an entry depends on besides its key.

use std::fmt;

use crate::{
    TenantId,
    key::{Deployment, KeyPart, PartBuf, Scope, encode_part},
};

/// A tag of an entry: a [`KeyPart`] that belongs to one tenant, or a global one that reaches every tenant.
///
/// `Debug` prints the length, never the content.
///
/// ```
/// use stratacache_core::Tag;
///
/// let of_the_tenant = Tag::new(("user", 42));
/// let of_everybody = Tag::global("price-list");
/// assert!(!of_the_tenant.is_global() && of_everybody.is_global());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Tag {
    bytes: PartBuf,
    global: bool,
}

impl Tag {
    /// Makes a tag of the tenant it is used in.
    pub fn new(part: impl KeyPart) -> Self {
        Self { bytes: encode_part(&part), global: false }
    }

    /// Makes a tag of the tenant it is used in, of a part that was encoded before.
    pub(crate) fn from_encoded(bytes: PartBuf) -> Self {
        Self { bytes, global: false }
    }

    pub(crate) fn into_encoded(self) -> PartBuf {
        self.bytes
    }

    /// Makes a tag that reaches every tenant; only `Cache::invalidate_global_tag` invalidates it.
    pub fn global(part: impl KeyPart) -> Self {
        Self { bytes: encode_part(&part), global: true }
    }

    /// Returns the global tag of the same part.
    #[must_use]
    pub fn into_global(mut self) -> Self {
        self.global = true;
        self
    }

    /// Tells whether the tag reaches every tenant.
    #[must_use]
    pub const fn is_global(&self) -> bool {
        self.global
    }

    /// Returns the scope of the tag in a tenant.
    #[must_use]
    pub fn scope(&self, deployment: &Deployment, tenant: &TenantId) -> Scope {
        if self.global { deployment.global_tag_scope(&self.bytes) } else { deployment.tag_scope(tenant, &self.bytes) }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tag").field("global", &self.global).field("bytes", &self.bytes.len()).finish()
    }
}

/// Anything an operation takes as a tag: a [`Tag`], or any [`KeyPart`] for a tag of the tenant.
pub trait IntoTag {
    /// Turns it into the tag.
    fn into_tag(self) -> Tag;
}

impl IntoTag for Tag {
    fn into_tag(self) -> Tag {
        self
    }
}

impl IntoTag for &Tag {
    fn into_tag(self) -> Tag {
        self.clone()
    }
}

impl<P: KeyPart> IntoTag for P {
    fn into_tag(self) -> Tag {
        Tag::new(self)
    }
}
