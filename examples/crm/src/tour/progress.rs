//! How far the tour is.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// A bar over the planned time, on a terminal only.
pub(super) struct Progress {
    bar: ProgressBar,
    planned: Duration,
    at: Duration,
    // moves the bar while a phase runs
    moving: JoinSet<()>,
}

impl Progress {
    pub(super) fn new(planned: Duration) -> Self {
        let bar = ProgressBar::new(planned.as_millis() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Self { bar, planned, at: Duration::ZERO, moving: JoinSet::new() }
    }

    /// Says what is done now, and which fraction of the planned time it takes; returns that time.
    pub(super) fn phase(&mut self, what: &'static str, fraction: f64) -> Duration {
        let lasts = self.planned.mul_f64(fraction);
        self.bar.set_message(what);
        self.moving.abort_all();
        let (bar, from, began) = (self.bar.clone(), self.at, Instant::now());
        self.moving.spawn(async move {
            while began.elapsed() < lasts {
                bar.set_position((from + began.elapsed()).as_millis() as u64);
                sleep(Duration::from_millis(100)).await;
            }
        });
        self.at += lasts;
        lasts
    }

    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}
