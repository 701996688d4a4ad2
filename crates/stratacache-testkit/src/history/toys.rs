//! Toy caches, right and wrong, that the checker must tell apart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::task::yield_now;

use super::*;
use crate::{random::Random, spawn::Tasks};

#[derive(Clone, Copy, PartialEq)]
enum Toy {
    /// Stamps loads and judges entries by marks.
    Right,
    /// Stores whatever a load brings, even after an invalidation.
    StoresAfterInvalidate,
    /// Forgets the tenant in its key.
    ForgetsTheTenant,
}

struct Cache {
    toy: Toy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clock: u64,
    marks: HashMap<ScopeId, u64>,
    entries: HashMap<(u32, u32), (u64, Value)>,
}

impl Cache {
    async fn get_or_load(&self, tenant: u32, key: u32, scopes: &[ScopeId], load: impl Future<Output = Value>) -> Value {
        let place = if self.toy == Toy::ForgetsTheTenant { (0, key) } else { (tenant, key) };
        let stamp = {
            let state = self.state.lock().unwrap();
            if let Some((stamp, value)) = state.entries.get(&place)
                && self.valid(&state, *stamp, scopes)
            {
                return *value;
            }
            state.clock
        };
        let value = load.await;
        let mut state = self.state.lock().unwrap();
        if self.toy == Toy::StoresAfterInvalidate || self.valid(&state, stamp, scopes) {
            let stamp = if self.toy == Toy::StoresAfterInvalidate { state.clock } else { stamp };
            state.entries.insert(place, (stamp, value));
        }
        value
    }

    fn valid(&self, state: &State, stamp: u64, scopes: &[ScopeId]) -> bool {
        scopes.iter().all(|scope| state.marks.get(scope).is_none_or(|mark| *mark <= stamp))
    }

    fn invalidate(&self, scope: ScopeId) {
        let mut state = self.state.lock().unwrap();
        state.clock += 1;
        let clock = state.clock;
        state.marks.insert(scope, clock);
    }
}

const TENANTS: u32 = 3;
const KEYS: u32 = 4;
const TASKS: u64 = 6;

/// Drives a toy with tasks that read and invalidate keys, tags and tenants at random.
async fn drive(toy: Toy, logical: bool, seed: u64, rounds: u64) -> Report {
    let mut plan = HistoryBuilder::new();
    if logical {
        plan.logical();
    }
    let mut scopes = HashMap::new();
    for tenant in 0..TENANTS {
        let whole = plan.scope(format!("tenant {tenant}"));
        let tags = [plan.scope(format!("tenant {tenant} tag 0")), plan.scope(format!("tenant {tenant} tag 1"))];
        for key in 0..KEYS {
            let own = plan.scope(format!("tenant {tenant} key {key}"));
            scopes.insert((tenant, key), [own, tags[key as usize % 2], whole]);
        }
    }
    let shared = Arc::new((plan.build(), Cache { toy, state: Mutex::default() }, scopes));
    let mut tasks = Tasks::default();
    for task in 0..TASKS {
        let shared = shared.clone();
        let random = Random::new(seed * TASKS + task);
        tasks.start(async move {
            let (history, cache, scopes) = &*shared;
            for _ in 0..rounds {
                let (tenant, key) = (random.below(TENANTS.into()) as u32, random.below(KEYS.into()) as u32);
                let scopes = &scopes[&(tenant, key)];
                if random.chance(0.2) {
                    let scope = scopes[random.below(3) as usize];
                    let call = history.invalidation(&[scope]);
                    pause(&random).await;
                    cache.invalidate(scope);
                    pause(&random).await;
                    call.returned();
                } else {
                    let read = history.read(tenant, key, scopes);
                    let load = async {
                        let load = history.load(tenant, key, scopes);
                        pause(&random).await;
                        load.finish()
                    };
                    read.saw(&cache.get_or_load(tenant, key, scopes, load).await);
                }
                pause(&random).await;
            }
        });
    }
    tasks.join().await;
    let report = shared.0.report();
    println!("seed {seed}: {report}");
    report
}

async fn pause(random: &Random) {
    for _ in 0..random.below(4) {
        yield_now().await;
    }
}

#[tokio::test]
async fn the_checker_accepts_a_right_cache_in_any_interleaving() {
    for seed in 0..20 {
        drive(Toy::Right, true, seed, 1_000).await.verdict(500).unwrap();
    }
}

#[tokio::test]
async fn the_checker_catches_a_cache_that_stores_after_an_invalidation_with_every_seed() {
    for seed in 0..20 {
        let report = drive(Toy::StoresAfterInvalidate, true, seed, 300).await;
        assert!(report.stale > 0 && report.foreign == 0, "{report}");
    }
}

#[tokio::test]
async fn the_checker_catches_a_cache_that_forgets_the_tenant() {
    let report = drive(Toy::ForgetsTheTenant, true, 1, 300).await;
    assert!(report.foreign > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_real_threads_and_the_real_clock_the_checker_tells_right_from_wrong() {
    drive(Toy::Right, false, 1, 20_000).await.verdict(1_000).unwrap();
    let wrong = drive(Toy::StoresAfterInvalidate, false, 1, 20_000).await;
    assert!(wrong.stale > 0, "{wrong}");
}
