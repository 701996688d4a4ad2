//! What is read before and after, and what is changed in between.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use hyper::Method;
use tokio::task::JoinSet;

use crate::{
    db::{Contact, Draft, Statistics, contacts_of},
    tour::{client::Visitor, scene::Scene},
};

const CLIENTS: usize = 16;
/// Companies whose things are read.
const COMPANIES: u64 = 40;
const PAGES: u32 = 8;
const CONTACTS: usize = 16;
/// So many of them ask for their statistics, each of which costs the slow query.
const COUNTING: u64 = 8;
/// Whose contacts are changed: one company in so many. A change makes its pages and statistics anew.
const CHANGING: u64 = 10;

/// One thing to read.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    Page(u64, u32),
    Contact(u64, i64),
    Statistics(u64),
}

impl Reading {
    fn list() -> Vec<Self> {
        let mut list = Vec::new();
        for company in 0..COMPANIES {
            list.extend((1..=PAGES).map(|number| Self::Page(company, number)));
            list.extend(contacts_of(company).take(CONTACTS).map(|id| Self::Contact(company, id)));
            list.extend((company < COUNTING).then_some(Self::Statistics(company)));
        }
        list
    }

    /// Reads all of them, under the eyes of the witness. Returns how many.
    pub(super) async fn all(scenes: &[Arc<Scene>]) -> Result<u64> {
        let list: Arc<[Self]> = Self::list().into();
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let (list, scenes) = (Arc::clone(&list), scenes.to_vec());
            clients.spawn(async move {
                let mut visitors = Vec::new();
                for scene in &scenes {
                    visitors.push(Visitor::connect(scene.address).await?);
                }
                for (at, reading) in list.iter().enumerate().skip(n).step_by(CLIENTS) {
                    let node = (at / CLIENTS) % scenes.len();
                    reading.once(&scenes[node], &mut visitors[node]).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Ok(list.len() as u64)
    }

    async fn once(self, scene: &Scene, visitor: &mut Visitor) -> Result<()> {
        match self {
            Self::Page(company, number) => drop(scene.page(visitor, company, number).await?),
            Self::Contact(company, id) => drop(scene.contact(visitor, company, id).await?),
            Self::Statistics(company) => {
                let reply = visitor.get("/statistics", scene.token(company)).await?;
                if let Some(statistics) = scene.expect::<Statistics>(&reply) {
                    scene.witness.statistics(scene.name(company), &statistics);
                }
            }
        }
        Ok(())
    }
}

/// Changes contacts of some companies on one server, and reads each at once on the next, with the token of the write. Every
/// second is then in the tiers again; of the others, these hold nothing newer than what was invalidated.
pub(super) async fn change(scenes: &[Arc<Scene>], turn: u64) -> Result<u64> {
    let mut visitors = Vec::new();
    for scene in scenes {
        visitors.push(Visitor::connect(scene.address).await?);
    }
    let mut changed = 0;
    for company in (turn..COMPANIES).step_by(CHANGING as usize) {
        for (n, id) in contacts_of(company).take(CONTACTS).enumerate() {
            let (here, there) = (n % scenes.len(), (n + 1) % scenes.len());
            let scene = &scenes[here];
            let Some(old) = scene.contact(&mut visitors[here], company, id).await? else { continue };
            let email = format!("restart-{turn}-{n}@mail.example");
            let draft = Draft { email, name: old.name, city: old.city, stage: old.stage };
            let reply = visitors[here].put(&format!("/contacts/{id}"), scene.token(company), &draft).await?;
            let Some(new) = scene.expect::<Contact>(&reply) else { continue };
            scene.witness.acknowledged(id, Some(new.version));
            changed += 1;
            if n % 2 == 0 {
                let (path, token) = (format!("/contacts/{id}"), reply.cache_token.as_deref());
                let began = scene.witness.now();
                let seen = visitors[there].send(Method::GET, &path, scene.token(company), Bytes::new(), token).await?;
                if let Some(seen) = scenes[there].expect::<Contact>(&seen) {
                    scene.witness.contacts(scene.name(company), &[seen], began);
                }
            }
        }
    }
    Ok(changed)
}
