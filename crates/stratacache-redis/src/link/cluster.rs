//! Which server of a cluster owns which slot.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::Value;
use stratacache_core::clock::Clock;

use super::{
    Command, Endpoint, Failure, Node,
    command::{bytes, list, number},
};

const SLOTS: usize = 16_384;
const NOBODY: u16 = u16::MAX;
/// The map is not fetched more often than this, whatever servers say.
const OFTEN: Duration = Duration::from_millis(50);

/// The owners of the slots at one time.
#[derive(Debug)]
struct Map {
    nodes: Vec<Arc<Node>>,
    owner: Vec<u16>,
    fetched: Duration,
}

pub(super) struct Cluster {
    seeds: Vec<Arc<Node>>,
    make: Box<dyn Fn(Endpoint) -> Node + Send + Sync>,
    map: RwLock<Arc<Map>>,
    stale: AtomicBool,
    fetching: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
}

impl Cluster {
    pub(super) fn new(
        seeds: Vec<Endpoint>,
        make: impl Fn(Endpoint) -> Node + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let map = Map { nodes: Vec::new(), owner: vec![NOBODY; SLOTS], fetched: Duration::ZERO };
        Self {
            seeds: seeds.into_iter().map(|seed| Arc::new(make(seed))).collect(),
            make: Box::new(make),
            map: RwLock::new(Arc::new(map)),
            stale: AtomicBool::new(true),
            fetching: tokio::sync::Mutex::new(()),
            clock,
        }
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_alive(&self) -> bool {
        self.map().nodes.iter().all(|node| !node.breaker.is_open())
    }

    /// Notes that a server said that slots have moved.
    pub(super) fn moved(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Returns the masters with the slots of each.
    pub(super) async fn masters(&self, until: Duration) -> Result<Vec<(Arc<Node>, Vec<u16>)>, Failure> {
        let map = self.fresh(until).await?;
        let slots = |at: usize| (0..SLOTS as u16).filter(|s| usize::from(map.owner[usize::from(*s)]) == at).collect();
        Ok(map.nodes.iter().enumerate().map(|(at, node)| (Arc::clone(node), slots(at))).collect())
    }

    pub(super) async fn owner(&self, slot: u16, until: Duration) -> Result<Arc<Node>, Failure> {
        let map = self.fresh(until).await?;
        let owner = map.nodes.get(usize::from(map.owner[usize::from(slot)]));
        owner.cloned().ok_or_else(|| {
            self.moved();
            Failure::Away("no server of the cluster owns the slot".to_owned())
        })
    }

    /// Returns the server at an address that a redirection named.
    pub(super) fn at(&self, host: &str, port: u16) -> Option<Arc<Node>> {
        let endpoint = self.seeds.first()?.endpoint.at(host, port);
        let known = self.map().nodes.iter().find(|node| node.endpoint.is_at(&endpoint)).cloned();
        known.or_else(|| Some(Arc::new((self.make)(endpoint))))
    }

    async fn fresh(&self, until: Duration) -> Result<Arc<Map>, Failure> {
        let is_due = |map: &Map| {
            self.stale.load(Ordering::Acquire) && (map.nodes.is_empty() || self.clock.now() >= map.fetched + OFTEN)
        };
        let map = self.map();
        if !is_due(&map) {
            return Ok(map);
        }
        let _one = self.fetching.lock().await;
        let map = self.map();
        if !is_due(&map) {
            return Ok(map);
        }
        self.stale.store(false, Ordering::Release);
        let mut failure = Failure::Away("no server of the cluster answers".to_owned());
        for node in map.nodes.iter().chain(&self.seeds) {
            match node.send(&[Command::plain(&["CLUSTER", "SLOTS"])], until).await {
                Ok(answer) => {
                    let map = Arc::new(self.read(&map, node, answer.one()?)?);
                    *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&map);
                    return Ok(map);
                }
                Err(next) => failure = next,
            }
        }
        self.moved();
        // what was known is better than nothing: most of it is still so
        if map.nodes.is_empty() { Err(failure) } else { Ok(map) }
    }

    fn read(&self, old: &Map, asked: &Node, reply: Value) -> Result<Map, Failure> {
        let mut map = Map { nodes: Vec::new(), owner: vec![NOBODY; SLOTS], fetched: self.clock.now() };
        for range in list(reply)? {
            let mut range = list(range)?.into_iter();
            let mut next = || range.next().ok_or(Failure::Garbled("CLUSTER SLOTS"));
            let (first, last) = (number(next()?)? as usize, number(next()?)? as usize);
            let mut master = list(next()?)?.into_iter();
            let mut next = || master.next().ok_or(Failure::Garbled("CLUSTER SLOTS"));
            let host = match next()? {
                Value::Nil => String::new(),
                host => String::from_utf8(bytes(host)?).map_err(|_| Failure::Garbled("a host name"))?,
            };
            let port = u16::try_from(number(next()?)?).map_err(|_| Failure::Garbled("a port"))?;
            let endpoint = asked.endpoint.at(&host, port);
            let at = map.nodes.iter().position(|node| node.endpoint.is_at(&endpoint)).unwrap_or_else(|| {
                let known = old.nodes.iter().chain(&self.seeds).find(|node| node.endpoint.is_at(&endpoint));
                map.nodes.push(known.cloned().unwrap_or_else(|| Arc::new((self.make)(endpoint))));
                map.nodes.len() - 1
            });
            for owner in map.owner.iter_mut().take(last + 1).skip(first) {
                *owner = at as u16;
            }
        }
        Ok(map)
    }
}
