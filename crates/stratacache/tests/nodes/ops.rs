//! Everything that brings the row into a cache.

use std::convert::Infallible;

use stratacache::{Consistency, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::time::advance;

use crate::{
    kit::{BEHIND, IDLE, LATER, PLAIN, Peer, Row, Source, Stop},
    support::settle,
};

/// An operation that puts the version it has read into a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A read through that loads.
    Load,
    /// A read through of what another node has put below.
    Promotion,
    /// A plain read of the same.
    Get,
    /// A forced load.
    Refresh,
    /// A load behind the reader of a stale value.
    Behind,
    /// The absence of the first version.
    Negative,
    /// A load of many.
    Bulk,
    /// A read of many, of what is below.
    BulkPromotion,
    Insert,
    StampedInsert,
    /// What is read while it is idle is written below again.
    Touch,
    /// As `Load`, `Refresh`, `Insert` and `StampedInsert`, written behind.
    LoadBehind,
    RefreshBehind,
    InsertBehind,
    StampedInsertBehind,
}

impl Op {
    pub fn row(self) -> &'static Row {
        match self {
            Self::Behind => &BEHIND,
            Self::Touch => &IDLE,
            Self::LoadBehind | Self::RefreshBehind | Self::InsertBehind | Self::StampedInsertBehind => &LATER,
            _ => &PLAIN,
        }
    }

    /// The calls it makes in this order, and its loader.
    pub fn stops(self) -> Vec<Stop> {
        let (get, take, lease) = ([Step::Get].as_slice(), [Step::Take].as_slice(), [Step::Get, Step::Lease].as_slice());
        let (before, loads, after): (&[Step], bool, &[Step]) = match self {
            Self::Load | Self::LoadBehind | Self::Negative => (lease, true, &[Step::Fill]),
            Self::Promotion | Self::Get | Self::BulkPromotion => (get, false, &[]),
            Self::Refresh | Self::RefreshBehind => (take, true, &[Step::Fill]),
            Self::Behind => (lease, true, &[Step::Fill]),
            Self::Bulk => (&[Step::Get, Step::Take], true, &[Step::Fill]),
            Self::Insert | Self::InsertBehind => {
                (&[Step::DelFence, Step::Take, Step::Invalidate], false, &[Step::Fill])
            }
            Self::StampedInsert | Self::StampedInsertBehind => {
                (&[], true, &[Step::DelFence, Step::Take, Step::Invalidate, Step::Fill])
            }
            Self::Touch => (take, false, &[Step::Fill]),
        };
        let mut stops = Vec::new();
        let ats = |step: &Step| [Stop::At(*step, At::Late), Stop::At(*step, At::After)];
        stops.extend(before.iter().flat_map(ats));
        stops.extend(loads.then_some(Stop::Load));
        stops.extend(after.iter().flat_map(ats));
        stops
    }

    /// Brings about what it needs: it is `here` that will run it.
    pub async fn prepare(self, here: &Peer, there: &Peer, source: &Source) {
        match self {
            Self::Promotion | Self::Get | Self::BulkPromotion => {
                there.read(source).await;
            }
            Self::Behind => {
                here.read_as(&BEHIND, source, Consistency::Inherit).await;
                advance(seconds(11)).await;
            }
            Self::Touch => {
                here.read_as(&IDLE, source, Consistency::Inherit).await;
                advance(seconds(11)).await;
                here.ns().get(PLAIN.key(&99)).await; // it is up to date: memory may answer at once
            }
            _ => {}
        }
        settle().await;
    }

    /// Runs it; an absence is version 1.
    pub async fn run(self, here: Peer, source: Source) {
        let (ns, key) = (here.ns(), self.row().key(&1));
        let for_load = source.clone();
        let load = async move || Ok::<_, Infallible>(for_load.load().await);
        match self {
            Self::Load | Self::LoadBehind | Self::Promotion | Self::Behind => drop(ns.get_or_load(key, load).await),
            Self::Get | Self::Touch => drop(ns.get(key).await),
            Self::Refresh | Self::RefreshBehind => drop(ns.refresh(key, load).await),
            Self::Negative => {
                let load = async move || Ok::<_, Infallible>(Some(source.load().await).filter(|version| *version > 1));
                drop(ns.get_or_load_optional(key, load).await);
            }
            Self::Bulk | Self::BulkPromotion => {
                let load = async move |ids: Vec<u32>| {
                    let version = source.load().await;
                    Ok::<_, Infallible>(ids.into_iter().map(|id| (id, version)).collect::<Vec<_>>())
                };
                drop(ns.get_or_load_many(self.row(), [1, 2], load).await);
            }
            Self::Insert | Self::InsertBehind => drop(ns.insert(key, source.version()).await),
            Self::StampedInsert | Self::StampedInsertBehind => {
                let stamp = ns.stamp();
                let version = source.load().await;
                drop(ns.insert(key, version).stamped(stamp).await);
            }
        }
    }

    /// Reads the latest in every way there is, and checks that it is the present version.
    pub async fn check(self, peer: &Peer, source: &Source, when: &str) {
        let (ns, version, row) = (peer.ns(), source.version(), self.row());
        let latest = Consistency::Latest;
        if let Some(found) = ns.get(row.key(&1)).consistency(latest).await {
            assert_eq!(*found, version, "{when}: get");
        }
        if let Some(found) = &ns.get_many([row.key(&1)]).consistency(latest).await[0] {
            assert_eq!(**found, version, "{when}: get_many");
        }
        let for_load = source.clone();
        let load = async move || Ok::<_, Infallible>(Some(for_load.load().await).filter(|version| *version > 1));
        let read = ns.get_or_load_optional(row.key(&1), load).consistency(latest).await.unwrap();
        assert_eq!(read.map_or(1, |value| *value), version, "{when}: get_or_load");
        let for_load = source.clone();
        let load = async move |ids: Vec<u32>| {
            let version = for_load.load().await;
            Ok::<_, Infallible>(ids.into_iter().map(|id| (id, version)).collect::<Vec<_>>())
        };
        let many = ns.get_or_load_many(row, [1], load).consistency(latest).await.unwrap();
        assert_eq!(*many[&1], version, "{when}: get_or_load_many");
    }

    /// Checks the nodes that were there, and one that starts now.
    pub async fn check_all(self, peers: &[&Peer], store: &SharedStore, source: &Source, when: &str) {
        for (number, peer) in peers.iter().enumerate() {
            self.check(peer, source, &format!("{when}: node {number}")).await;
        }
        self.check(&Peer::new(store).await, source, &format!("{when}: a new node")).await;
    }
}
