//! What of a cache depends on something that has changed.

use std::fmt;

use crate::{
    Error, Key, KeyPart, NamespacePath, NormalizeText, Prefix, Result, Tag, Target,
    key::{PartBuf, PartEncoder, encode_keyspace, encode_part},
};

/// Something of a tenant that has to be invalidated, as a [`Change`](super::Change) names it.
///
/// Made here, or read from JSON that a trigger wrote. The JSON is an object of one of these forms, or an array of such objects;
/// it is stable: what one release writes, every later one reads.
///
/// | JSON | what |
/// |---|---|
/// | `{"tag": ["contacts", 42]}` | everything with the tag `("contacts", 42)`, in the whole tenant |
/// | `{"key": 42, "keyspace": "contacts", "version": 2}` | the key `CONTACTS.key(&42)`; `version` is 0, or that of the registered keyspace, unless given |
/// | `{"key": ["contact", 42]}` | the key `("contact", 42)` of no keyspace |
/// | `{"prefix": [42, 2026], "keyspace": "sales"}` | the keys `SALES.prefix(&(42, 2026))` of a keyspace that is registered with the follower |
/// | `{"namespace": [["user", 42], "settings"]}` | all in `tenant.namespace(("user", 42)).namespace("settings")` |
/// | `{"everything": true}` | the whole tenant |
/// | `{"all_tenants": true}` | everything of every tenant and of none, on every node; only in a change of no tenant |
///
/// `key` and `prefix` take `"in": [["user", 42]]`, the levels of the namespace they are in; without it, the tenant's root.
/// In a change of no tenant, all of it is about `cache.global()`, and a tag is a global one.
///
/// A part is text, a whole number, a boolean, `null` for `None`, `{"some": part}` for `Some`, an array for a tuple or a derived struct,
/// `{"variant": [index, part, ..]}` for a derived enum, `{"uuid": "6b5d.."}`, `{"bytes": "00ff"}`, `{"unit": null}` for `()`.
///
/// `Debug` prints lengths, never the content.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeTarget {
    pub(super) levels: Vec<PartBuf>,
    pub(super) what: What,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A whole encoded key.
    Key(PartBuf),
    /// The part that follows the keyspace in its keys.
    In(OfKeyspace),
    /// A group of leading parts.
    Prefix(OfKeyspace),
    Tag(PartBuf),
    /// What the levels name.
    Levels,
    AllTenants,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct OfKeyspace {
    pub(super) name: Box<str>,
    pub(super) version: Option<u32>,
    pub(super) part: PartBuf,
}

impl ChangeTarget {
    /// Names everything with a tag, in the whole tenant.
    #[must_use]
    pub fn tag(tag: impl KeyPart) -> Self {
        Self { levels: Vec::new(), what: What::Tag(encode_part(&tag)) }
    }

    /// Names a key of no keyspace, at the tenant's root.
    #[must_use]
    pub fn key(part: impl KeyPart) -> Self {
        Self { levels: Vec::new(), what: What::Key(encode_part(&part)) }
    }

    /// Names a key made by a keyspace, at the tenant's root.
    #[must_use]
    pub fn of<V: 'static>(key: &Key<V>) -> Self {
        Self { levels: Vec::new(), what: What::Key(PartBuf::from_slice(key.as_bytes())) }
    }

    /// Names the whole tenant, or with [`within`](Self::within) a namespace of it.
    #[must_use]
    pub fn everything() -> Self {
        Self { levels: Vec::new(), what: What::Levels }
    }

    /// Names everything of every tenant and of none, on every node, by one mark: for what is lost or emptied as a whole. Until it is
    /// loaded again, sources get every read. Only in a change of no tenant.
    #[must_use]
    pub fn all_tenants() -> Self {
        Self { levels: Vec::new(), what: What::AllTenants }
    }

    /// Puts it one namespace deeper than it was: the outermost level is said first. A tag is not in a namespace, and stays as it is;
    /// so do all tenants.
    ///
    /// ```
    /// use stratacache_core::follow::ChangeTarget;
    ///
    /// let of_a_user = ChangeTarget::key("theme").within(("user", 42)).within("settings");
    /// let all_of_it = ChangeTarget::everything().within(("user", 42));
    /// # let _ = (of_a_user, all_of_it);
    /// ```
    #[must_use]
    pub fn within(mut self, level: impl KeyPart) -> Self {
        if !matches!(self.what, What::Tag(_) | What::AllTenants) {
            self.levels.push(encode_part(&level));
        }
        self
    }

    /// Puts it into the namespace at the end of a path, which is below those it was in: [`within`](Self::within) for each level.
    #[must_use]
    pub fn within_path(mut self, path: &NamespacePath) -> Self {
        if !matches!(self.what, What::Tag(_)) {
            self.levels.extend(path.levels().map(PartBuf::from_slice));
        }
        self
    }

    /// Returns where it is and what it names, by the keyspaces that are known.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when a key is too long, or a prefix is of a keyspace that is not known
    /// or marks fewer leading parts.
    pub fn locate(&self, known: &[KeyspaceShape]) -> Result<Located> {
        let mut levels: Vec<Key<()>> = self.levels.iter().map(|level| Key::from_encoded(level.clone())).collect();
        let shape = |of: &OfKeyspace| known.iter().find(|shape| shape.name == &*of.name).copied();
        let target = match &self.what {
            What::Key(bytes) => LocatedTarget::One(Target::of(&checked(Key::from_encoded(bytes.clone()))?)),
            What::In(of) => {
                let bytes = match shape(of) {
                    Some(shape) => shape.key(of.version, &of.part),
                    None => unknown_key(of),
                };
                LocatedTarget::One(Target::of(&checked(Key::from_encoded(bytes))?))
            }
            What::Prefix(of) => {
                let Some(shape) = shape(of) else {
                    return Err(Error::invalid(
                        "a prefix is of a keyspace that the follower does not know; register it with .keyspace(..)",
                    ));
                };
                let prefix = Prefix::of_shape(&shape, of.version, &of.part)?;
                prefix.check()?;
                LocatedTarget::One(Target::prefix(prefix))
            }
            What::Tag(bytes) => LocatedTarget::Tag(Tag::from_encoded(bytes.clone())),
            What::Levels => match levels.pop() {
                Some(last) => LocatedTarget::One(Target::namespace_encoded(last)),
                None => LocatedTarget::Everything,
            },
            What::AllTenants => LocatedTarget::AllTenants,
        };
        Ok(Located { levels, target })
    }
}

fn checked(key: Key<()>) -> Result<Key<()>> {
    key.check()?;
    Ok(key)
}

impl fmt::Debug for ChangeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, bytes) = match &self.what {
            What::Key(bytes) => ("key", bytes.len()),
            What::In(of) => ("key of a keyspace", of.part.len()),
            What::Prefix(of) => ("prefix", of.part.len()),
            What::Tag(bytes) => ("tag", bytes.len()),
            What::Levels => ("everything", 0),
            What::AllTenants => ("all tenants", 0),
        };
        let levels = self.levels.len();
        f.debug_struct("ChangeTarget").field("what", &what).field("levels", &levels).field("bytes", &bytes).finish()
    }
}

/// Where a [`ChangeTarget`] is, and what it names there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Located {
    /// The levels of its namespace below the tenant, encoded as keys are; the outermost first.
    pub levels: Vec<Key<()>>,
    /// What it names there.
    pub target: LocatedTarget,
}

/// What a [`ChangeTarget`] names in its namespace.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LocatedTarget {
    /// A key, a prefix, or a namespace directly below.
    One(Target),
    /// A tag of the tenant; of data of no tenant, a global one.
    Tag(Tag),
    /// The whole tenant.
    Everything,
    /// Everything of every tenant and of none. It may only be in a change of no tenant.
    AllTenants,
}

/// What the name of a keyspace stands for, without its types.
#[derive(Debug, Clone, Copy)]
pub struct KeyspaceShape {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) marked_parts: u8,
    pub(crate) normalize_text: Option<NormalizeText>,
}

/// Returns the key of a keyspace of which nothing but its name is known.
fn unknown_key(of: &OfKeyspace) -> PartBuf {
    let mut encoder = PartEncoder::default();
    encode_keyspace(&of.name, of.version.unwrap_or(0), &mut encoder);
    encoder.raw(&of.part);
    encoder.finish()
}

impl From<Tag> for ChangeTarget {
    /// Names everything with the tag. Whether it is a global one is decided by the change it is in, not by the tag.
    fn from(tag: Tag) -> Self {
        Self { levels: Vec::new(), what: What::Tag(tag.into_encoded()) }
    }
}
