//! Two faults at once.

use anyhow::Result;

use super::{Fault, Group};
use crate::{random::Random, stage::Stage};

pub(super) async fn inject(stage: &Stage, random: &mut Random) -> Result<()> {
    let cluster = stage.is_cluster();
    let all = Fault::all(cluster);
    let (a, b) = loop {
        let (a, b) = (random.pick(&all), random.pick(&all));
        let fits = a.group() != b.group() && ![a, b].iter().any(|fault| fault.group() == Group::Several);
        // on a cluster one is of the cluster
        if fits && (!cluster || a.group() == Group::Cluster) {
            break (a, b);
        }
    };
    stage.injected(Fault::Two, 1, format!("{a} and {b}"));
    let mut others = Random::new(random.next());
    let (first, second) = tokio::join!(a.inject_once(stage, random), b.inject_once(stage, &mut others));
    first.and(second)
}
