//! Two faults at once.

use anyhow::Result;

use super::{Fault, Group};
use crate::{
    random::Random,
    stage::{Ground, Stage},
};

pub(super) async fn inject(stage: &Stage, random: &mut Random) -> Result<()> {
    let ground = stage.settings.ground;
    let all = Fault::all(ground);
    let (a, b) = loop {
        let (a, b) = (random.pick(&all), random.pick(&all));
        let fits = a.group() != b.group() && ![a, b].iter().any(|fault| fault.group() == Group::Several);
        // on a cluster one is of the cluster, with an object store one of that
        let own = match ground {
            Ground::Server => true,
            Ground::Cluster => a.group() == Group::Cluster,
            Ground::Store => a.group() == Group::Store,
        };
        if fits && own {
            break (a, b);
        }
    };
    stage.injected(Fault::Two, 1, format!("{a} and {b}"));
    let mut others = Random::new(random.next());
    let (first, second) = tokio::join!(a.inject_once(stage, random), b.inject_once(stage, &mut others));
    first.and(second)
}
