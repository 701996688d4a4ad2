//! A client of many nodes: where one does not answer, it asks the next.

use std::{net::SocketAddr, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::stage::Stage;
use crate::{
    db::{Contact, Draft, Page},
    tour::client::{Reply, Visitor},
};

/// Some node is always there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with a connection to each node.
pub(super) struct Rover {
    pub(super) stage: Arc<Stage>,
    connections: Vec<Option<(SocketAddr, Visitor)>>,
}

/// What a node answered to a good read.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) node: usize,
    /// Taken before it was sent.
    pub(super) began: Instant,
}

/// What a node answered to a good write.
pub(super) struct Wrote {
    pub(super) contact: Contact,
    pub(super) node: usize,
    pub(super) cache_token: Option<String>,
}

/// A request of a company.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    company: u64,
    body: Bytes,
    cache_token: Option<&'a str>,
}

impl Rover {
    pub(super) fn new(stage: &Arc<Stage>) -> Self {
        Self { stage: Arc::clone(stage), connections: (0..stage.nodes()).map(|_| None).collect() }
    }

    /// Reads a page of a company, from this node if it is there.
    pub(super) async fn page(
        &mut self,
        node: usize,
        company: u64,
        number: u32,
        cache_token: Option<&str>,
    ) -> Result<Option<Read<Page>>> {
        let path = format!("/contacts?page={number}");
        let read = self.read::<Page>(node, company, &path, cache_token, 1).await?;
        if let Some(Read { value: Page { contacts, .. }, .. }) = &read {
            self.owned(company, contacts);
        }
        Ok(read)
    }

    /// Reads a contact of a company, from this node if it is there.
    pub(super) async fn contact(
        &mut self,
        node: usize,
        company: u64,
        id: i64,
        cache_token: Option<&str>,
    ) -> Result<Option<Read<Contact>>> {
        let read = self.read::<Contact>(node, company, &format!("/contacts/{id}"), cache_token, 1).await?;
        if let Some(Read { value: contact, .. }) = &read {
            self.owned(company, std::slice::from_ref(contact));
        }
        Ok(read)
    }

    fn owned(&self, company: u64, contacts: &[Contact]) {
        for contact in contacts {
            self.stage.witness.owner(self.stage.companies.name(company), &contact.tenant);
        }
    }

    /// Asks for something of another company, which must not be given.
    pub(super) async fn foreign(&mut self, node: usize, company: u64, id: i64) -> Result<()> {
        let ask = Ask::get(&format!("/contacts/{id}"), company, None).sent_by(self, node).await?;
        self.stage.counts.sql_without.fetch_add(1, Relaxed);
        let refused = ask.0.status == StatusCode::NOT_FOUND;
        self.stage.witness.refused(self.stage.companies.name(company), refused);
        Ok(())
    }

    /// Reads anything; `queries` is what that costs without a cache. An answer that is none is a violation.
    pub(super) async fn read<T: DeserializeOwned>(
        &mut self,
        node: usize,
        company: u64,
        path: &str,
        cache_token: Option<&str>,
        queries: u64,
    ) -> Result<Option<Read<T>>> {
        let began = Instant::now();
        let (reply, node) = Ask::get(path, company, cache_token).sent_by(self, node).await?;
        let Stage { counts, witness, .. } = &*self.stage;
        counts.sql_without.fetch_add(queries, Relaxed);
        match reply.json() {
            Ok(value) => Ok(Some(Read { value, node, began })),
            Err(error) => {
                counts.error();
                witness.unexpected(|| format!("{path} on node {node}: {error}"));
                Ok(None)
            }
        }
    }

    /// Changes a contact, on this node if it is there; `None` if it is not certain that everybody sees it yet.
    pub(super) async fn change(&mut self, node: usize, company: u64, id: i64, draft: &Draft) -> Result<Option<Wrote>> {
        self.stage.ledger.begins(company, id);
        let (path, body) = (format!("/contacts/{id}"), serde_json::to_vec(draft)?.into());
        let ask = Ask { method: Method::PUT, path: &path, company, body, cache_token: None };
        let (reply, node) = ask.sent_by(self, node).await?;
        let Stage { counts, witness, ledger, .. } = &*self.stage;
        counts.sql_without.fetch_add(1, Relaxed);
        if reply.status == StatusCode::SERVICE_UNAVAILABLE {
            counts.unsure();
            return Ok(None);
        }
        match reply.json::<Contact>() {
            Ok(contact) => {
                ledger.acknowledged(id, contact.version, Instant::now());
                counts.writes.fetch_add(1, Relaxed);
                Ok(Some(Wrote { contact, node, cache_token: reply.cache_token }))
            }
            Err(error) => {
                counts.error();
                witness.unexpected(|| format!("PUT {path} on node {node}: {error}"));
                Ok(None)
            }
        }
    }

    async fn connection(&mut self, node: usize, address: SocketAddr) -> Result<&mut Visitor> {
        // one to where the node was before is of no use
        let old = self.connections[node].take().filter(|(to, _)| *to == address);
        let connection = match old {
            Some(connection) => connection,
            None => (address, Visitor::connect(address).await?),
        };
        Ok(&mut self.connections[node].insert(connection).1)
    }
}

impl<'a> Ask<'a> {
    fn get(path: &'a str, company: u64, cache_token: Option<&'a str>) -> Self {
        Self { method: Method::GET, path, company, body: Bytes::new(), cache_token }
    }

    /// Sends it to a node, or to the next one that is there; returns which.
    async fn sent_by(&self, rover: &mut Rover, node: usize) -> Result<(Reply, usize)> {
        let (began, nodes, stage) = (Instant::now(), rover.connections.len(), Arc::clone(&rover.stage));
        loop {
            for node in (0..nodes).map(|step| (node + step) % nodes) {
                let Some(address) = stage.address(node) else { continue };
                match self.try_one(rover, node, address).await {
                    Ok(reply) => {
                        stage.counts.answered(node, began.elapsed());
                        return Ok((reply, node));
                    }
                    Err(_) => {
                        rover.connections[node] = None;
                        stage.gone(node, address);
                        stage.counts.moved();
                    }
                }
            }
            ensure!(began.elapsed() < PATIENCE, "no node answers {} {}", self.method, self.path);
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_one(&self, rover: &mut Rover, node: usize, address: SocketAddr) -> Result<Reply> {
        let stage = Arc::clone(&rover.stage);
        let token = stage.companies.token(self.company);
        let visitor = rover.connection(node, address).await?;
        visitor.send(self.method.clone(), self.path, token, self.body.clone(), self.cache_token).await
    }
}
