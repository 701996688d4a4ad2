//! A coordinator in a few lines, right or wrong, that the clauses must tell apart.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use stratacache_core::{
    EntryName, Error, ErrorKind, Result,
    clock::Millis,
    coordinator::{
        Answer, Applied, Coordinator, Invalidate, LaneSnapshot, Lease, LeaseReply, LeaseRequest, Question, Subscriber,
    },
    stamp::{Incarnation, LANES, Lane, Position},
};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Flaw {
    None,
    Skips,
    SharesOneCounter,
    AppliesLate,
    ForgetsTheGlobalLane,
    AppliesOutsideTheLock,
    SplitsScopes,
    ForgetsToClose,
    LosesLeases,
}

pub(super) struct Toy {
    flaw: Flaw,
    lanes: Vec<Mutex<u64>>,
    subscriber: Mutex<Option<Arc<dyn Subscriber>>>,
    late: Mutex<Vec<Applied>>,
    closed: Mutex<bool>,
}

impl Toy {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            lanes: (0..=LANES).map(|_| Mutex::new(1)).collect(),
            subscriber: Mutex::default(),
            late: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    fn at(&self, seq: u64) -> Position {
        Position { incarnation: Incarnation(5), seq }
    }
}

impl Coordinator for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn time(&self) -> Result<Option<Millis>> {
        Ok(None)
    }

    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        for lane in Lane::all().filter(|lane| *lane != Lane::GLOBAL || self.flaw != Flaw::ForgetsTheGlobalLane) {
            subscriber.snapshot(LaneSnapshot::empty(lane, Incarnation(5)));
        }
        *self.subscriber.lock().unwrap() = Some(subscriber);
        Ok(())
    }

    async fn position(&self, lane: Lane) -> Result<Position> {
        Ok(self.at(*self.lanes[lane.index()].lock().unwrap()))
    }

    async fn keep_key_marks(&self) -> Result<()> {
        Ok(())
    }

    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.position(lane).await
    }

    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        tokio::task::yield_now().await;
        if *self.closed.lock().unwrap() && self.flaw != Flaw::ForgetsToClose {
            return Err(Error::new(ErrorKind::Closed, "the toy was closed"));
        }
        let subscriber = self.subscriber.lock().unwrap().clone().unwrap();
        let counter = if self.flaw == Flaw::SharesOneCounter { 0 } else { request.lane.index() };
        let mut seq = self.lanes[counter].lock().unwrap();
        *seq += if self.flaw == Flaw::Skips { 2 } else { 1 };
        let position = self.at(*seq);
        let message = |scopes| Applied::new(request.lane, position, scopes, request.at);
        match self.flaw {
            Flaw::AppliesLate => {
                let due = std::mem::replace(&mut *self.late.lock().unwrap(), vec![message(request.scopes)]);
                due.iter().for_each(|message| subscriber.apply(message));
            }
            Flaw::AppliesOutsideTheLock => {
                drop(seq);
                subscriber.apply(&message(request.scopes));
            }
            Flaw::SplitsScopes => {
                for scope in request.scopes {
                    subscriber.apply(&Applied::new(request.lane, position, vec![scope], request.at));
                }
            }
            _ => subscriber.apply(&message(request.scopes)),
        }
        Ok(position)
    }

    fn watch(&self, _: EntryName) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }

    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        Ok(LeaseReply::Granted(Lease { lane: request.lane, name: request.name, token: 1, life: request.life }))
    }

    async fn renew(&self, _: Lease) -> Result<bool> {
        Ok(self.flaw != Flaw::LosesLeases)
    }

    async fn release(&self, _: Lease) -> Result<()> {
        Ok(())
    }

    async fn ask(&self, _: Question, _: Duration) -> Result<Vec<Answer>> {
        Ok(Vec::new())
    }

    async fn tick(&self, _: Millis, _: Millis) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        *self.closed.lock().unwrap() = true;
        Ok(())
    }
}
