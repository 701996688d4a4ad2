//! An exact LRU, to compare with: whoever was read or inserted least recently leaves.

use std::{collections::HashMap, hash::Hash};

const NONE: u32 = u32::MAX;

struct Node<K> {
    key: K,
    value: u32,
    newer: u32,
    older: u32,
}

/// A cache of one thread that holds up to `capacity` entries.
pub(crate) struct Lru<K> {
    capacity: usize,
    places: HashMap<K, u32>,
    nodes: Vec<Node<K>>,
    newest: u32,
    oldest: u32,
}

impl<K: Copy + Eq + Hash> Lru<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            places: HashMap::with_capacity(capacity),
            nodes: Vec::with_capacity(capacity),
            newest: NONE,
            oldest: NONE,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&mut self, key: K) -> Option<u32> {
        let place = *self.places.get(&key)?;
        self.unlink(place);
        self.push(place);
        Some(self.nodes[place as usize].value)
    }

    pub(crate) fn insert(&mut self, key: K, value: u32) {
        if let Some(place) = self.places.get(&key).copied() {
            self.nodes[place as usize].value = value;
            self.unlink(place);
            return self.push(place);
        }
        let node = Node { key, value, newer: NONE, older: NONE };
        let place = if self.nodes.len() < self.capacity {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(&self.nodes[place as usize].key);
            self.nodes[place as usize] = node;
            place
        };
        self.places.insert(key, place);
        self.push(place);
    }

    fn unlink(&mut self, place: u32) {
        let Node { newer, older, .. } = self.nodes[place as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
    }

    fn push(&mut self, place: u32) {
        let before = self.newest;
        let node = &mut self.nodes[place as usize];
        (node.newer, node.older) = (NONE, before);
        match before {
            NONE => self.oldest = place,
            before => self.nodes[before as usize].newer = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn it_answers_as_a_list_sorted_by_use_does() {
        let mut rng = StdRng::seed_from_u64(11);
        let mut lru = Lru::new(7);
        let mut list: Vec<(u32, u32)> = Vec::new();
        for step in 0..20_000 {
            let key = rng.random_range(0..15_u32);
            let known = list.iter().position(|(k, _)| *k == key).map(|i| list.remove(i));
            if rng.random_range(0..2) == 0 {
                assert_eq!(lru.get(key), known.map(|(_, value)| value));
                list.extend(known);
            } else {
                lru.insert(key, step);
                if known.is_none() && list.len() == 7 {
                    list.remove(0);
                }
                list.push((key, step));
            }
            assert_eq!(lru.len(), list.len());
        }
    }

    #[test]
    fn one_place_is_enough() {
        let mut lru = Lru::new(1);
        lru.insert('a', 1);
        lru.insert('b', 2);
        assert_eq!((lru.get('a'), lru.get('b'), lru.len()), (None, Some(2), 1));
    }
}
