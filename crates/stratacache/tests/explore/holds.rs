//! With every rule in force no reader is given what was invalidated before it came.

use std::sync::Arc;

use shuttle::thread::{self, JoinHandle};

use crate::{
    runs::holds,
    world::{ALL, Kept, What, World},
};

pub(crate) fn start(world: &Arc<World>, work: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

/// A loader, somebody who changes the source, and readers who look twice; then a last look.
pub(crate) fn play(what: What, kept: Kept) {
    let world = World::new(kept);
    let read_twice = |world: &World| {
        world.read();
        world.read();
    };
    let threads = [
        start(&world, World::load),
        start(&world, move |world| world.change(what)),
        start(&world, read_twice),
        start(&world, read_twice),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    world.read();
    world.read();
}

#[test]
fn a_key_that_was_invalidated_during_its_load_is_never_read_old() {
    holds(|| play(What::Key, ALL));
}

#[test]
fn a_tag_that_was_invalidated_during_a_load_is_never_read_old() {
    holds(|| play(What::Tag, ALL));
}

#[test]
fn a_tenant_that_was_cleared_during_a_load_is_never_read_old() {
    holds(|| play(What::Tenant, ALL));
}

#[test]
fn a_global_tag_that_was_invalidated_during_a_load_is_never_read_old() {
    holds(|| play(What::GlobalTag, ALL));
}

#[test]
fn a_lane_that_lost_its_history_during_a_load_is_never_read_old() {
    holds(|| play(What::Everything, ALL));
}

#[test]
fn two_loaders_and_two_changes_of_different_kinds_never_serve_what_is_old() {
    for (one, other) in [(What::Key, What::Tag), (What::Tag, What::GlobalTag), (What::Key, What::Key)] {
        holds(move || {
            let world = World::new(ALL);
            let threads = [
                start(&world, World::load),
                start(&world, |world| {
                    world.load();
                    world.read();
                }),
                start(&world, move |world| world.change(one)),
                start(&world, move |world| {
                    world.change(other);
                    world.read();
                }),
            ];
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            world.read();
        });
    }
}

#[test]
fn an_insert_is_never_hidden_by_an_older_load_nor_by_an_older_insert() {
    holds(|| {
        let world = World::new(ALL);
        let threads = [
            start(&world, World::load),
            start(&world, |world| {
                world.insert();
                world.read();
            }),
            start(&world, |world| {
                world.insert();
                world.read();
            }),
            start(&world, |world| {
                world.read();
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.read();
    });
}

#[test]
fn a_load_that_began_after_the_change_is_kept() {
    holds(|| {
        let world = World::new(ALL);
        world.change(What::Key);
        world.change(What::Tag);
        let reader = start(&world, |world| {
            world.read();
        });
        world.load();
        reader.join().unwrap();
        assert_eq!(world.read(), Some(3), "nothing overtook it");
    });
}
