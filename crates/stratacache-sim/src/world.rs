//! Which keys there are, what each depends on, and how often each is read: the same in every process, without a word
//! between them.

use std::{fmt, sync::LazyLock};

use stratacache::TenantId;
use stratacache_core::stamp::Lane;

use crate::random::Random;

pub(crate) const TENANTS: u32 = 4;
pub(crate) const KEYS: u32 = 480;
/// Tags of each tenant.
pub(crate) const TAGS: u32 = 6;
/// Of two versions of such a key, one says that there is nothing.
const ABSENCES: u64 = 3;
const SKEW: f64 = 0.9;
/// Has no factor in common with the number of keys, so that neighbours in popularity differ in everything else.
const SPREAD: u32 = 7;

/// How a key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Form {
    /// In the namespace `a`.
    Plain,
    /// In the namespace `b` in `a`; a tag is known to the loader only; lives shortly, with stale windows.
    Nested,
    /// In the namespace `n`, for values that may be absent.
    Negative,
    /// In the namespace `k`, read and loaded many at once.
    Bulk,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Nested, Self::Negative, Self::Bulk];
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u32);

/// Something that can be invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// The global tag.
    Global,
    /// A tenant.
    Tenant(u32),
    /// A namespace of a tenant, with what is nested in it.
    Space(u32, Form),
    /// A tag of a tenant.
    Tag(u32, u32),
    /// A key.
    Key(Key),
}

impl Key {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self)
    }

    pub(crate) const fn tenant(self) -> u32 {
        self.0 % TENANTS
    }

    pub(crate) const fn form(self) -> Form {
        Form::ALL[(self.0 / TENANTS % 4) as usize]
    }

    /// Returns the tag that every call names.
    pub(crate) const fn tag(self) -> u32 {
        self.0 / (TENANTS * 4) % TAGS
    }

    /// Returns the tag that only the loader knows.
    pub(crate) fn late_tag(self) -> Option<u32> {
        (self.form() == Form::Nested).then(|| (self.tag() + 1 + self.0 % (TAGS - 1)) % TAGS)
    }

    /// Tells whether it has the global tag. Of a bulk, all have it or none.
    pub(crate) const fn is_global(self) -> bool {
        (self.tag() + self.tenant()).is_multiple_of(3)
    }

    /// Returns which node writes it.
    pub(crate) const fn writer(self, nodes: u32) -> u32 {
        self.0 % nodes
    }

    /// Returns how many bytes are added to its value.
    pub(crate) const fn padding(self) -> usize {
        (self.0 % 13 * self.0 % 13 * 12) as usize
    }

    /// Returns everything it depends on.
    pub(crate) fn scopes(self) -> Vec<Scope> {
        let tenant = self.tenant();
        let mut scopes = vec![
            Scope::Key(self),
            Scope::Tag(tenant, self.tag()),
            Scope::Space(tenant, self.form()),
            Scope::Tenant(tenant),
        ];
        scopes.extend(self.late_tag().map(|tag| Scope::Tag(tenant, tag)));
        if self.form() == Form::Nested {
            scopes.push(Scope::Space(tenant, Form::Plain));
        }
        if self.is_global() {
            scopes.push(Scope::Global);
        }
        scopes
    }

    /// Returns the keys that are read together with it: same tenant, same tags.
    pub(crate) fn companions(self) -> impl Iterator<Item = Self> {
        Self::all().filter(move |other| {
            other.form() == self.form() && other.tenant() == self.tenant() && other.tag() == self.tag()
        })
    }
}

/// Tells whether a version of a key says that there is nothing.
pub(crate) const fn is_absence(form: Form, version: u64) -> bool {
    matches!(form, Form::Negative) && (version.is_multiple_of(ABSENCES))
}

impl Scope {
    /// Returns the keys that depend on it.
    pub(crate) fn keys(self) -> impl Iterator<Item = Key> {
        Key::all().filter(move |key| match self {
            Self::Key(only) => *key == only,
            _ => key.scopes().contains(&self),
        })
    }

    /// Returns its number in logs.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Global => 0,
            Self::Tenant(tenant) => 1 << 24 | tenant,
            Self::Space(tenant, form) => 2 << 24 | tenant << 8 | form as u32,
            Self::Tag(tenant, tag) => 3 << 24 | tenant << 8 | tag,
            Self::Key(Key(key)) => 4 << 24 | key,
        }
    }

    /// Returns the scope of a number.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let (high, low) = (number >> 8 & 0xffff, number & 0xff);
        match number >> 24 {
            0 => Some(Self::Global),
            1 => Some(Self::Tenant(number & 0xff_ffff)),
            2 => Some(Self::Space(high, *Form::ALL.get(low as usize)?)),
            3 => Some(Self::Tag(high, low)),
            4 => Some(Self::Key(Key(number & 0xff_ffff))),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} ({:?} of tenant {})", self.0, self.form(), self.tenant())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("the global tag"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
            Self::Space(tenant, form) => write!(f, "namespace {form:?} of tenant {tenant}"),
            Self::Tag(tenant, tag) => write!(f, "tag {tag} of tenant {tenant}"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// Returns the id of a tenant. The first two share a lane, the others do not.
pub(crate) fn tenant_id(tenant: u32) -> &'static TenantId {
    static IDS: LazyLock<Vec<TenantId>> = LazyLock::new(|| {
        let mut ids: Vec<TenantId> = Vec::new();
        for id in (0..).map(|n| TenantId::from(1000_u64 + n)) {
            let sharing = ids.iter().filter(|other| Lane::of(other) == Lane::of(&id)).count();
            if sharing == usize::from(ids.len() == 1) {
                ids.push(id);
            }
            if ids.len() == TENANTS as usize {
                break;
            }
        }
        ids
    });
    &IDS[tenant as usize]
}

/// Draws keys, some much more often than others.
#[derive(Debug, Clone)]
pub(crate) struct Popularity(Vec<(f64, Key)>);

impl Popularity {
    pub(crate) fn new(keys: impl Fn(Key) -> bool) -> Self {
        let mut sum = 0.0;
        let ranked = (0..KEYS).map(|rank| Key(rank * SPREAD % KEYS)).filter(|key| keys(*key));
        let mut drawn: Vec<_> = ranked
            .enumerate()
            .map(|(rank, key)| {
                sum += 1.0 / (rank as f64 + 1.0).powf(SKEW);
                (sum, key)
            })
            .collect();
        drawn.iter_mut().for_each(|(upto, _)| *upto /= sum);
        Self(drawn)
    }

    /// Tells whether a key can be drawn.
    pub(crate) fn holds(&self, key: Key) -> bool {
        self.0.iter().any(|(_, each)| *each == key)
    }

    pub(crate) fn draw(&self, random: &mut Random) -> Key {
        let at = random.unit();
        let found = self.0.partition_point(|(upto, _)| *upto <= at);
        self.0[found.min(self.0.len() - 1)].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_a_number_of_its_own() {
        let mut numbers = std::collections::HashMap::new();
        for scope in Key::all().flat_map(Key::scopes) {
            assert_eq!(Scope::from_number(scope.number()), Some(scope));
            assert_eq!(*numbers.entry(scope.number()).or_insert(scope), scope);
        }
    }

    #[test]
    fn every_writer_writes_keys_of_every_form_and_tenant() {
        for (writer, form, tenant) in (0..3)
            .flat_map(|w| Form::ALL.into_iter().map(move |f| (w, f)))
            .flat_map(|(w, f)| (0..TENANTS).map(move |t| (w, f, t)))
        {
            assert!(Key::all().any(|key| key.writer(3) == writer && key.form() == form && key.tenant() == tenant));
        }
    }

    #[test]
    fn two_tenants_share_a_lane_and_two_do_not() {
        let lanes: Vec<_> = (0..TENANTS).map(|tenant| Lane::of(tenant_id(tenant))).collect();
        assert_eq!(lanes[0], lanes[1]);
        assert!(lanes[2] != lanes[0] && lanes[3] != lanes[0] && lanes[2] != lanes[3]);
    }

    #[test]
    fn popular_keys_are_drawn_more_often_and_all_are_drawn() {
        let (popularity, mut random) = (Popularity::new(|_| true), Random::new(1));
        let mut counts = vec![0; KEYS as usize];
        (0..200_000).for_each(|_| counts[popularity.draw(&mut random).0 as usize] += 1);
        assert!(counts.iter().all(|n| *n > 0) && counts[0] > 20 * counts[(KEYS - SPREAD) as usize]);
    }
}
