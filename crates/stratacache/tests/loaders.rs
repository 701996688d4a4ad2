//! Loader protection: fair turns, rates, breakers, retries on a budget, and keys that rest after a failure.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

#[path = "loaders/kit.rs"]
mod kit;
mod support;

#[path = "loaders/breaker.rs"]
mod breaker;
#[path = "loaders/knobs.rs"]
mod knobs;
#[path = "loaders/rates.rs"]
mod rates;
#[path = "loaders/rest.rs"]
mod rest;
#[path = "loaders/rest_together.rs"]
mod rest_together;
#[path = "loaders/retries.rs"]
mod retries;
#[path = "loaders/turns.rs"]
mod turns;
#[path = "loaders/wrapped.rs"]
mod wrapped;
