//! Warm-up: filling before traffic, as patiently as it is fenced.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

#[path = "warm/kit.rs"]
mod kit;
mod support;

#[path = "warm/coherence.rs"]
mod coherence;
#[path = "warm/ends.rs"]
mod ends;
#[path = "warm/failures.rs"]
mod failures;
#[path = "warm/hot.rs"]
mod hot;
#[path = "warm/keys.rs"]
mod keys;
#[path = "warm/loads.rs"]
mod loads;
#[path = "warm/readers.rs"]
mod readers;
