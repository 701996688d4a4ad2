//! Which runs make a form of the campaign.

use std::{path::PathBuf, time::Duration};

use crate::{
    checker::Broken,
    faults::Fault,
    mutants::Hunt,
    node::Aim,
    random::Random,
    segment::{Script, folder},
    stage::{Ground, Settings},
};

/// What all forms share.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    /// Where logs go.
    pub(crate) root: PathBuf,
    pub(crate) nodes: u32,
    pub(crate) rate: u32,
    /// Faults that were asked for; otherwise all.
    pub(crate) faults: Vec<Fault>,
    /// Stages that were asked for; otherwise all.
    pub(crate) grounds: Vec<Ground>,
    pub(crate) without_rule: Option<String>,
}

/// One in so many invalidations is probed: about ten in a second on each node.
const PROBE: u32 = 10;

/// What each fault gets in the short form and in the long one.
const SHORT: Duration = Duration::from_millis(3500);
const LONG: Duration = Duration::from_secs(10);
const HUNT: Duration = Duration::from_secs(3);
const BASELINE: Duration = Duration::from_secs(4);

impl Plan {
    /// Makes the short form: one run on a server, a shorter one on a cluster, and one with an object store.
    pub(crate) fn short(&self, seed: u64, seconds: Option<u64>) -> Vec<Script> {
        let whole = seconds.map(Duration::from_secs);
        Ground::ALL
            .into_iter()
            .filter_map(|ground| {
                let faults = self.faults_for(ground);
                // there are fewer faults of the store than of others
                let whole = whole.map(|whole| if ground.is_store() { whole / 2 } else { whole });
                let each = whole.map_or(SHORT, |whole| whole / faults.len().max(1) as u32);
                (!faults.is_empty()).then(|| self.script("run", seed, ground, &faults, each))
            })
            .collect()
    }

    /// Makes a run of the long form: every fourth is on a cluster, and every fourth with an object store.
    pub(crate) fn long(&self, seed: u64, number: u64) -> Script {
        let seed = Random::part(seed, number).next() >> 16;
        let turn = match number % 4 {
            1 => Ground::Store,
            3 => Ground::Cluster,
            _ => Ground::Server,
        };
        // where none of the faults that were asked for can be done, the run takes place where one can
        let grounds = [turn, Ground::Server, Ground::Cluster, Ground::Store];
        let ground = grounds.into_iter().find(|ground| !self.faults_for(*ground).is_empty()).unwrap_or(turn);
        self.script("long", seed, ground, &shuffled(self.faults_for(ground), seed), LONG)
    }

    /// Makes a run that looks for a violation of a mutant.
    pub(crate) fn hunt(&self, rule: &str, seed: u64, hunt: &Hunt, by_probe: bool) -> Script {
        let plan = Self { without_rule: Some(rule.to_owned()), ..self.clone() };
        let faults = shuffled(if self.faults.is_empty() { hunt.faults.to_vec() } else { self.faults.clone() }, seed);
        let name = format!("mutant-{rule}");
        let mut script = plan.script(&name, seed, hunt.ground, &faults, HUNT);
        script.until = match hunt.by_recovery {
            true => None,
            false if by_probe => Some(Broken::is_of_probe),
            false => Some(Broken::is_wrong_answer),
        };
        let settings = &mut script.settings;
        settings.few_marks = hunt.few_marks.unwrap_or(settings.few_marks);
        settings.connections = hunt.connections;
        settings.disks = hunt.disks;
        settings.aim = hunt.aim;
        settings.probe = if by_probe { Some(PROBE) } else { settings.probe };
        script
    }

    fn faults_for(&self, ground: Ground) -> Vec<Fault> {
        let here = self.grounds.is_empty() || self.grounds.contains(&ground);
        let asked = |fault: &Fault| here && (self.faults.is_empty() || self.faults.contains(fault));
        Fault::all(ground).into_iter().filter(asked).collect()
    }

    fn script(&self, name: &str, seed: u64, ground: Ground, faults: &[Fault], each: Duration) -> Script {
        let name = format!("{name}{}", ground.suffix());
        let settings = Settings {
            program: self.program.clone(),
            folder: folder(&self.root, seed, &name),
            seed,
            nodes: self.nodes,
            rate: self.rate,
            ground,
            few_marks: !ground.is_cluster() && seed.is_multiple_of(2),
            connections: if seed.is_multiple_of(5) { 3 } else { 1 },
            disks: ground == Ground::Server && seed.is_multiple_of(3),
            // mostly where there is most below memory, and now and then elsewhere
            encrypted: ground.is_store() != seed.is_multiple_of(4),
            probe: (seed / 2).is_multiple_of(2).then_some(PROBE),
            aim: Aim::Usual,
            without_rule: self.without_rule.clone(),
        };
        Script {
            settings,
            faults: faults.iter().map(|fault| (*fault, each)).collect(),
            baseline: BASELINE,
            until: None,
        }
    }
}

fn shuffled(mut faults: Vec<Fault>, seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed);
    for i in (1..faults.len()).rev() {
        faults.swap(i, random.below(i as u64 + 1) as usize);
    }
    faults
}
