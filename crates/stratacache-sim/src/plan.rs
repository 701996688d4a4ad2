//! Which runs make a form of the campaign.

use std::{path::PathBuf, time::Duration};

use crate::{
    checker::Broken,
    faults::Fault,
    mutants::Hunt,
    node::Aim,
    random::Random,
    segment::{Script, folder},
    stage::Settings,
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
    /// Makes the short form: one run on a server, a shorter one on a cluster.
    pub(crate) fn short(&self, seed: u64, seconds: Option<u64>) -> Vec<Script> {
        let whole = seconds.map(Duration::from_secs);
        [false, true]
            .into_iter()
            .filter_map(|cluster| {
                let faults = self.faults_for(cluster);
                let each = whole.map_or(SHORT, |whole| whole / faults.len().max(1) as u32);
                (!faults.is_empty()).then(|| self.script("run", seed, cluster, &faults, each))
            })
            .collect()
    }

    /// Makes a run of the long form: every fourth is on a cluster.
    pub(crate) fn long(&self, seed: u64, number: u64) -> Script {
        let seed = Random::part(seed, number).next() >> 16;
        let cluster = number % 4 == 3;
        let faults = self.faults_for(cluster);
        let (cluster, faults) =
            if faults.is_empty() { (!cluster, self.faults_for(!cluster)) } else { (cluster, faults) };
        self.script("long", seed, cluster, &shuffled(faults, seed), LONG)
    }

    /// Makes a run that looks for a violation of a mutant.
    pub(crate) fn hunt(&self, rule: &str, seed: u64, hunt: &Hunt, by_probe: bool) -> Script {
        let plan = Self { without_rule: Some(rule.to_owned()), ..self.clone() };
        let faults = shuffled(if self.faults.is_empty() { hunt.faults.to_vec() } else { self.faults.clone() }, seed);
        let name = format!("mutant-{rule}");
        let mut script = plan.script(&name, seed, hunt.cluster, &faults, HUNT);
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

    fn faults_for(&self, cluster: bool) -> Vec<Fault> {
        let asked = |fault: &Fault| self.faults.is_empty() || self.faults.contains(fault);
        Fault::all(cluster).into_iter().filter(asked).collect()
    }

    fn script(&self, name: &str, seed: u64, cluster: bool, faults: &[Fault], each: Duration) -> Script {
        let name = if cluster { format!("{name}-cluster") } else { name.to_owned() };
        let settings = Settings {
            program: self.program.clone(),
            folder: folder(&self.root, seed, &name),
            seed,
            nodes: self.nodes,
            rate: self.rate,
            cluster,
            few_marks: !cluster && seed.is_multiple_of(2),
            connections: if seed.is_multiple_of(5) { 3 } else { 1 },
            disks: !cluster && seed.is_multiple_of(3),
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
