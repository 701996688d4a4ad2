//! Three nodes, one row, and whatever comes: writes that are announced or wait, nodes that are cut off, replies that are
//! lost, histories that end, slow loads.

use stratacache::{Consistency, Invalidation, Queued, millis};
use stratacache_testkit::shared::{SharedStore, Step};
use tokio::task::JoinHandle;

use crate::{
    kit::{ALL, How, PLAIN, Peer, Source, spawn},
    support::settle,
};

/// Uniform numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

struct World {
    seed: u64,
    dice: Dice,
    store: SharedStore,
    source: Source,
    peers: Vec<Peer>,
    /// The version that each node must not be older than, since it was told.
    told: Vec<usize>,
    /// The version that no node must be older than.
    applied: usize,
    waiting: Vec<(usize, Queued)>,
    slow: Vec<(usize, JoinHandle<usize>)>,
    queued: usize,
}

impl World {
    async fn new(seed: u64) -> Self {
        let store = SharedStore::new(seed);
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(Peer::new(&store).await);
        }
        let (source, dice) = (Source::new(), Dice(seed));
        let (told, waiting, slow) = (vec![1; 3], Vec::new(), Vec::new());
        Self { seed, dice, store, source, peers, told, applied: 1, waiting, slow, queued: 0 }
    }

    /// Notes what was applied meanwhile.
    fn note(&mut self) {
        let applied = &mut self.applied;
        self.waiting.retain(|(version, queued)| {
            if !queued.is_waiting() {
                *applied = (*applied).max(*version);
            }
            queued.is_waiting()
        });
    }

    async fn write(&mut self, node: usize) {
        let how = ALL[self.dice.below(ALL.len() - 1)];
        assert_ne!(how, How::Insert);
        let version = self.source.write();
        match how.tell_or_queue(&self.peers[node], &PLAIN).await.unwrap() {
            Invalidation::Applied(_) => self.applied = self.applied.max(version),
            Invalidation::Queued(queued) => {
                self.queued += 1;
                self.waiting.push((version, queued));
            }
        }
        self.told[node] = version;
    }

    async fn read(&mut self, node: usize) {
        self.note();
        let (peer, seed, source) = (&self.peers[node], self.seed, self.source.version());
        let (told, applied) = (self.told[node], self.applied);
        let latest = self.dice.below(2) == 0;
        let (how_new, least) =
            if latest { (Consistency::Latest, told.max(applied)) } else { (Consistency::Inherit, told) };
        let reads_through = self.dice.below(3) > 0;
        let read = async {
            match reads_through {
                true => Some(peer.read_as(&PLAIN, &self.source, how_new).await),
                false => peer.get(how_new).await,
            }
        };
        let go = async {
            settle().await;
            self.source.go(); // it may wait for a slow load
        };
        let (read, ()) = tokio::join!(read, go);
        let Some(read) = read else { return };
        assert!((least..=source).contains(&read), "seed {seed}: node {node} read {read}, not {least} ({how_new:?})");
    }

    async fn step(&mut self) {
        let node = self.dice.below(3);
        match self.dice.below(16) {
            0..3 => self.write(node).await,
            3..8 => self.read(node).await,
            8 => self.peers[node].node.away(true),
            9 => self.peers[node].node.away(false),
            10 => self.peers[node].node.lose_reply_of([Step::Invalidate, Step::DelFence][self.dice.below(2)], 1),
            11 if self.slow.is_empty() => {
                self.source.stop(1);
                let (peer, source) = (self.peers[node].clone(), self.source.clone());
                let least = self.told[node];
                self.slow.push((least, spawn(async move { peer.latest(&source).await })));
                settle().await;
                self.source.stop(0);
            }
            12 => self.land().await,
            13 => match self.dice.below(4) {
                0 => self.store.lose_everything(),
                1 => self.store.trim_streams(),
                2 => self.store.fail_over_data(),
                _ => self.store.checkpoint(),
            },
            _ => {
                let pause = [1, 40, 300, 2_000][self.dice.below(4)];
                tokio::time::sleep(millis(pause)).await;
            }
        }
    }

    async fn land(&mut self) {
        self.source.go();
        for (least, slow) in std::mem::take(&mut self.slow) {
            let read = slow.await.unwrap();
            assert!(read >= least, "seed {}: a slow read brought {read}, not {least}", self.seed);
        }
    }

    async fn end(mut self) -> usize {
        self.land().await;
        self.peers.iter().for_each(|peer| peer.node.away(false));
        for (version, queued) in std::mem::take(&mut self.waiting) {
            queued.applied().await.unwrap();
            self.applied = self.applied.max(version);
        }
        for node in 0..3 {
            let read = self.peers[node].latest(&self.source).await;
            assert_eq!(read, self.source.version(), "seed {}: node {node}, in the end", self.seed);
        }
        self.queued
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_no_node_serves_what_it_was_told_to_forget() {
    let mut queued = 0;
    for seed in 1..=400 {
        let mut world = World::new(seed).await;
        for _ in 0..60 {
            world.step().await;
        }
        queued += world.end().await;
    }
    println!("400 seeds, {queued} invalidations waited");
    assert!(queued > 400);
}
