//! A source of contacts that counts what it is asked, and stops or fails where a test says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use stratacache::{
    Cache, Policy, Resource, Tag,
    resource::{
        CountSource, ListSource, PageSource, PartitionSource, Partitions, QuerySource, Source, Window, WritableSource,
        Written,
    },
    seconds,
};
use tokio::sync::Semaphore;

use crate::support::tenant;

pub const TTL: Policy = Policy::ttl(seconds(60)).jitter(0.0);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub id: u64,
    pub city: String,
    pub name: String,
}

pub fn contact(id: u64, city: &str, name: &str) -> Contact {
    Contact { id, city: city.to_owned(), name: name.to_owned() }
}

/// How the source answers a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writing {
    #[default]
    Well,
    /// It knows nothing of what there was before.
    Forgetful,
    /// It refuses, and nothing is written.
    Refuses,
    /// It writes, and says that the connection is gone.
    Breaks,
    /// It writes, and panics.
    Panics,
}

#[derive(Clone)]
pub struct Contacts(Arc<State>);

struct State {
    inner: Mutex<Inner>,
    go: Semaphore,
}

#[derive(Default)]
struct Inner {
    rows: BTreeMap<u64, Contact>,
    calls: Vec<String>,
    stops: bool,
    stopped: usize,
    fails: bool,
    writing: Writing,
}

impl Contacts {
    pub fn new(rows: &[(u64, &str)]) -> Self {
        let rows = rows.iter().map(|(id, city)| (*id, contact(*id, city, "old"))).collect();
        Self(Arc::new(State { inner: Mutex::new(Inner { rows, ..Inner::default() }), go: Semaphore::new(0) }))
    }

    /// Returns what it was asked since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.inner.lock().unwrap().calls)
    }

    /// Stops reads after they have read, and writes before they write and after they have committed.
    pub fn stop(&self, stops: bool) {
        self.0.inner.lock().unwrap().stops = stops;
    }

    pub async fn until_stopped(&self) {
        while self.0.inner.lock().unwrap().stopped == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub fn go(&self) {
        let stopped = std::mem::take(&mut self.0.inner.lock().unwrap().stopped);
        self.0.go.add_permits(stopped);
    }

    pub fn fail(&self, fails: bool) {
        self.0.inner.lock().unwrap().fails = fails;
    }

    pub fn writing(&self, writing: Writing) {
        self.0.inner.lock().unwrap().writing = writing;
    }

    pub fn row(&self, id: u64) -> Option<Contact> {
        self.0.inner.lock().unwrap().rows.get(&id).cloned()
    }

    async fn pass(&self) {
        let stops = {
            let mut inner = self.0.inner.lock().unwrap();
            inner.stopped += usize::from(inner.stops);
            inner.stops
        };
        if stops {
            self.0.go.acquire().await.unwrap().forget();
        }
    }

    async fn read<T>(&self, call: String, read: impl FnOnce(&BTreeMap<u64, Contact>) -> T) -> Result<T, String> {
        let (found, fails) = {
            let mut inner = self.0.inner.lock().unwrap();
            inner.calls.push(call);
            (read(&inner.rows), inner.fails)
        };
        self.pass().await;
        if fails { Err("the source is down".to_owned()) } else { Ok(found) }
    }

    async fn write(
        &self,
        change: impl FnOnce(&mut BTreeMap<u64, Contact>) -> (Option<Contact>, Option<Contact>) + Send,
    ) -> Result<Written<Contact>, String> {
        self.pass().await;
        let writing = self.0.inner.lock().unwrap().writing;
        if writing == Writing::Refuses {
            return Err("refused".to_owned());
        }
        let changed = change(&mut self.0.inner.lock().unwrap().rows);
        self.pass().await; // it is committed
        match (writing, changed) {
            (Writing::Breaks, _) => Err("broken".to_owned()),
            (Writing::Panics, _) => panic!("a bug of the source"),
            (Writing::Forgetful, (_, now)) => Ok(now.map_or_else(Written::removed, Written::changed)),
            (_, (Some(before), Some(now))) => Ok(Written::replaced(before, now)),
            (_, (Some(before), None)) => Ok(Written::deleted(before)),
            (_, (None, Some(now))) => Ok(Written::created(now)),
            (_, (None, None)) => Ok(Written::nothing()),
        }
    }
}

impl Source for Contacts {
    const NAME: &'static str = "contacts";
    const POLICY: Policy = TTL;
    type Id = u64;
    type Item = Contact;
    type Error = String;

    fn id(item: &Contact) -> u64 {
        item.id
    }

    async fn one(&self, id: &u64) -> Result<Option<Contact>, String> {
        self.read(format!("one {id}"), |rows| rows.get(id).cloned()).await
    }

    async fn many(&self, ids: Vec<u64>) -> Result<Vec<Contact>, String> {
        let call = format!("many {ids:?}");
        self.read(call, |rows| ids.iter().filter_map(|id| rows.get(id).cloned()).collect()).await
    }
}

impl PageSource for Contacts {
    type Page = (String, u32);
    type Content = Vec<String>;

    async fn page(&self, page: &(String, u32)) -> Result<Vec<String>, String> {
        self.read(format!("page {page:?}"), |rows| rows.values().map(|row| row.name.clone()).collect()).await
    }
}

impl ListSource for Contacts {
    type Filter = Option<String>;

    async fn list(&self, city: &Option<String>, window: Window) -> Result<Vec<Contact>, String> {
        let call = format!("list {city:?} {} {}", window.offset, window.limit);
        let fits = |row: &&Contact| city.as_ref().is_none_or(|city| *city == row.city);
        let (offset, limit) = (window.offset as usize, window.limit as usize);
        self.read(call, |rows| rows.values().filter(fits).skip(offset).take(limit).cloned().collect()).await
    }
}

impl CountSource for Contacts {
    async fn count(&self, city: &Option<String>) -> Result<u64, String> {
        let fits = |row: &&Contact| city.as_ref().is_none_or(|city| *city == row.city);
        self.read(format!("count {city:?}"), |rows| rows.values().filter(fits).count() as u64).await
    }
}

impl QuerySource for Contacts {
    type Query = String;
    type Answer = usize;

    async fn query(&self, text: &String) -> Result<usize, String> {
        self.read(format!("query {text}"), |rows| rows.values().filter(|row| row.name.contains(text)).count()).await
    }
}

impl PartitionSource for Contacts {
    type Partition = String;

    async fn partition(&self, city: &String) -> Result<Vec<Contact>, String> {
        let call = format!("partition {city}");
        self.read(call, |rows| rows.values().filter(|row| row.city == *city).cloned().collect()).await
    }
}

impl WritableSource for Contacts {
    type Draft = Contact;

    async fn save(&self, contact: Contact) -> Result<Written<Contact>, String> {
        self.write(move |rows| (rows.insert(contact.id, contact.clone()), Some(contact))).await
    }

    async fn delete(&self, id: &u64) -> Result<Written<Contact>, String> {
        let id = *id;
        self.write(move |rows| (rows.remove(&id), None)).await
    }

    fn wrote_nothing(error: &String) -> bool {
        error == "refused"
    }

    fn partitions(contact: &Contact, into: &mut Partitions) {
        into.add(&contact.city);
    }

    fn touches(contact: &Contact) -> Vec<Tag> {
        vec![Tag::new(("statistics", contact.city.as_str()))]
    }
}

/// A resource of a tenant over some rows, and its source.
pub fn resource(cache: &Cache, name: &str, rows: &[(u64, &str)]) -> (Resource<Contacts>, Contacts) {
    let source = Contacts::new(rows);
    (Resource::new(&tenant(cache, name), source.clone()), source)
}

pub const ROWS: [(u64, &str); 5] = [(1, "Bonn"), (2, "Bonn"), (3, "Kiel"), (4, "Kiel"), (5, "Ulm")];

/// Reads everything there is, and returns what the source was asked.
pub async fn read_all(contacts: &Resource<Contacts>, source: &Contacts) -> Vec<String> {
    for id in 1..=5 {
        contacts.one(id).await.unwrap();
    }
    contacts.page(("name".to_owned(), 1)).await.unwrap();
    contacts.list(None, Window::first(2)).await.unwrap();
    contacts.count(None).await.unwrap();
    contacts.query("old".to_owned()).await.unwrap();
    for city in ["Bonn", "Kiel", "Ulm"] {
        contacts.partition(city.to_owned()).await.unwrap();
    }
    source.asked()
}

/// What is made of many items.
pub const LISTS: [&str; 4] = ["page (\"name\", 1)", "list None 0 2", "count None", "query old"];
