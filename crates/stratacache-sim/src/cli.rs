//! The command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    explain::explain,
    faults::Fault,
    mutants, node,
    plan::Plan,
    report::{self, Segment, say, table},
    segment::{self, Script},
    time,
};

/// Runs nodes of Strata on real servers under faults, and checks what they did.
#[derive(Debug, Parser)]
#[command(name = "campaign")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The seed; a new one unless given. It is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Kinds of faults, with commas; otherwise all.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Seconds of faults on each stage.
    #[arg(long)]
    seconds: Option<u64>,
    /// Nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u32,
    /// Operations of each node in a second.
    #[arg(long, default_value_t = 2500)]
    rate: u32,
    /// The long form; say which part.
    #[arg(long, requires = "part")]
    long: bool,
    /// Of the long form: `2/5` is the second of five parts.
    #[arg(long)]
    part: Option<Part>,
    /// Appends results to a file, a line for each run, and goes on with a part where the file ends.
    #[arg(long)]
    results: Option<PathBuf>,
    /// Adds up the file of results, as a table.
    #[arg(long, requires = "results")]
    table: bool,
    /// Switches a rule off. Needs the feature `mutants`.
    #[arg(long)]
    mutant: Option<String>,
    /// Switches each rule off, one after the other, until a violation is found. Needs the feature `mutants`.
    #[arg(long)]
    mutants: bool,
    /// Most operations for each mutant; otherwise as stated for each.
    #[arg(long)]
    most: Option<u64>,
    /// Where logs go; those of runs without a violation are removed.
    #[arg(long, default_value = "target/campaign")]
    logs: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A node: for the campaign itself.
    #[command(hide = true)]
    Node {
        /// What it is to be.
        setup: String,
    },
    /// Prints the events around a violation.
    Explain {
        /// The folder of the logs.
        folder: PathBuf,
        /// Which violation.
        #[arg(long, default_value_t = 0)]
        violation: usize,
    },
}

/// A part of the long form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    number: u64,
    of: u64,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("a part is k/N, from 1/N to N/N".to_owned()),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// What the parts of the long form add up to.
const ALL_FAULTS: u64 = 20_000;
const ALL_OPERATIONS: u64 = 30_000_000;
/// A part takes no longer: 27 minutes, and the run that is under way then.
const PART_NANOS: time::Nanos = time::ms(27 * 60_000);

/// Runs what the command line says.
#[must_use]
pub fn campaign() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Node { setup }) = &arguments.command {
        return node::main(setup);
    }
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the campaign could not be run: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Returns whether everything held.
fn run(arguments: Arguments) -> Result<bool> {
    if let Some(Command::Explain { folder, violation }) = &arguments.command {
        return explain(folder, *violation).map(|()| true);
    }
    if let (true, Some(path)) = (arguments.table, &arguments.results) {
        say(&table(&report::read(path)?));
        return Ok(true);
    }
    if (arguments.mutants || arguments.mutant.is_some()) && mutants::names().is_empty() {
        bail!("this build cannot switch rules off: build it with `--features mutants`");
    }
    if let Some(rule) = arguments.mutant.as_ref().filter(|rule| !mutants::names().contains(rule)) {
        bail!("there is no rule {rule}; there are: {}", mutants::names().join(", "));
    }
    std::fs::create_dir_all(&arguments.logs).context("making the folder for logs")?;
    let campaign = Campaign {
        seed: arguments.seed.unwrap_or_else(time::wall_seconds),
        plan: Plan {
            program: std::env::current_exe().context("finding this program")?,
            root: arguments.logs.canonicalize()?,
            nodes: arguments.nodes,
            rate: arguments.rate,
            faults: arguments.faults.clone(),
            without_rule: None,
        },
        arguments,
    };
    say(&format!("seed {}", campaign.seed));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = campaign.run() => done,
            // what was under way is dropped, and servers and nodes end with it
            stopped = until_stopped() => stopped.and_then(|()| bail!("it was stopped")),
        }
    })
}

/// Waits until somebody wants the campaign to end.
async fn until_stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

struct Campaign {
    arguments: Arguments,
    seed: u64,
    plan: Plan,
}

impl Campaign {
    async fn run(&self) -> Result<bool> {
        if self.arguments.mutants {
            return self.hunt(&mutants::names(), self.arguments.most).await;
        }
        if let Some(rule) = &self.arguments.mutant {
            return self.hunt(std::slice::from_ref(rule), self.arguments.most).await;
        }
        match self.arguments.part.filter(|_| self.arguments.long) {
            Some(part) => self.long(part).await,
            None => self.short().await,
        }
    }

    async fn short(&self) -> Result<bool> {
        let mut held = true;
        for script in self.plan.short(self.seed, self.arguments.seconds) {
            held &= self.play(&script, None).await?.violations() == 0;
        }
        if self.arguments.faults.is_empty() && !mutants::names().is_empty() {
            held &= self.hunt(&mutants::HANDFUL.map(str::to_owned), None).await?;
        }
        Ok(held)
    }

    /// Runs a part, or what is left of it.
    async fn long(&self, part: Part) -> Result<bool> {
        let before = self.arguments.results.as_deref().map_or(Ok(Vec::new()), report::read)?;
        let before: Vec<_> = before.into_iter().filter(|run| run.part == Some(part.to_string())).collect();
        let (mut faults, mut operations) =
            before.iter().fold((0, 0), |(f, o), run| (f + run.faults(), o + run.operations));
        let end = time::now() + PART_NANOS;
        let mut held = before.iter().all(|run| run.violations() == 0);
        for number in before.len() as u64.. {
            let done = faults * part.of >= ALL_FAULTS && operations * part.of >= ALL_OPERATIONS;
            say(&format!("part {part}: {number} runs, {faults} faults, {operations} operations"));
            if done || time::now() > end {
                break;
            }
            let script = self.plan.long(self.seed.wrapping_mul(part.of).wrapping_add(part.number), number);
            let run = self.play(&script, Some(part)).await?;
            faults += run.faults();
            operations += run.operations;
            held &= run.violations() == 0;
        }
        Ok(held)
    }

    /// Switches rules off, each until that is noticed.
    async fn hunt(&self, rules: &[String], most: Option<u64>) -> Result<bool> {
        let mut all = true;
        for rule in rules {
            let hunt = mutants::hunt(rule);
            if let Some(why) = hunt.elsewhere.filter(|_| rules.len() > 1) {
                say(&format!("{rule} is left to the models: {why}"));
                continue;
            }
            let most = most.unwrap_or(hunt.most);
            let (mut operations, mut seed) = (0, self.seed);
            let noticed = loop {
                let run = self.play(&self.plan.hunt(rule, seed, &hunt), None).await?;
                operations += run.operations;
                if run.is_noticed() || (hunt.by_recovery && run.is_slow_to_recover()) {
                    break Some(run);
                }
                if operations >= most {
                    break None;
                }
                seed += 1;
            };
            all &= noticed.is_some();
            let how = noticed.map_or("NOT NOTICED".to_owned(), |run| format!("noticed: {:?}", run.violations));
            say(&format!("without {rule}: {how}, {operations} operations"));
        }
        Ok(all)
    }

    async fn play(&self, script: &Script, part: Option<Part>) -> Result<Segment> {
        say(&format!("run: seed {}{}", script.settings.seed, if script.settings.cluster { ", cluster" } else { "" }));
        let mut run = segment::run(script).await?;
        run.part = part.map(|part| part.to_string());
        if run.violations() == 0 || script.settings.without_rule.is_some() {
            std::fs::remove_dir_all(std::mem::take(&mut run.folder)).context("removing the logs")?;
        }
        say(&run.to_string());
        if let Some(path) = &self.arguments.results {
            report::append(path, &run)?;
        }
        Ok(run)
    }
}
