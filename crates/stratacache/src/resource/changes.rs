//! What of a resource is invalidated, in the words of a source of changes.

use stratacache_core::{Error, Result, follow::ChangeTarget};

use super::{Resource, Scope, Source, keys::Group, scope::Touched};
use crate::engine::Door;

impl<S: Source> Resource<S> {
    /// Returns what a change has to say so that whoever [follows](crate::Cache::follow) it invalidates some of the resource.
    ///
    /// For writes past the resource that must not lose their invalidation: `invalidate(tenant, targets)` of the outbox, in the
    /// transaction that writes the data, takes it as the JSON of [`targets_to_json`](crate::follow::targets_to_json). The
    /// tenant of the change is that of the resource, and `NULL` for data of no tenant: there all of the resource is named in place of its
    /// lists and partitions.
    ///
    /// ```
    /// use stratacache::{Resource, follow::targets_to_json, resource::{PartitionSource, Scope}};
    ///
    /// # fn f<S: PartitionSource<Id = i64, Partition = String>>(contacts: &Resource<S>) -> stratacache::Result<()> {
    /// let scope = Scope::item(&7).and(Scope::lists()).and(Scope::partition(&"Bonn".to_owned()));
    /// let targets = targets_to_json(&contacts.change_targets(&scope)?);
    /// // BEGIN; UPDATE contacts ..; SELECT strata.invalidate('acme', $1::text::jsonb); COMMIT
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where the namespace is not valid, and for a global tag: that
    /// belongs into a change of no tenant.
    pub fn change_targets(&self, scope: &Scope<S>) -> Result<Vec<ChangeTarget>> {
        self.ns.check()?;
        let mut targets = Vec::new();
        for touched in scope.touched() {
            let target = change_target(touched, self.door())?;
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        Ok(targets)
    }
}

fn change_target(touched: &Touched, door: &Door) -> Result<ChangeTarget> {
    let path = door.space.prefix.path();
    let everything = || ChangeTarget::everything().within_path(path);
    let global = door.tenant.id.is_global();
    let group = |group: Group<'_>| if global { everything() } else { ChangeTarget::from(group.tag(door)) };
    Ok(match touched {
        Touched::Item(key) => ChangeTarget::of(key).within_path(path),
        Touched::Lists => group(Group::Lists),
        Touched::Partition(name) => group(Group::Partition(name)),
        Touched::Partitions => group(Group::Partitions),
        Touched::Everything => everything(),
        Touched::Tag(tag) if tag.is_global() == global => ChangeTarget::from(tag.clone()),
        Touched::Tag(_) if global => {
            return Err(Error::invalid("a tag in a change of no tenant is a global one: say Tag::global(..)"));
        }
        Touched::Tag(_) => {
            return Err(Error::invalid("a global tag is in no tenant: write it in a change without a tenant"));
        }
    })
}
