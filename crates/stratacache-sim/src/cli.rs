//! The command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use stratacache_testkit::servers::keep_to_share_of_ports;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    explain::explain,
    faults::Fault,
    mutants, node,
    part::{PART_NANOS, Part},
    plan::Plan,
    report::{self, Segment, say, table},
    segment::{self, Script},
    stage::Ground,
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
    /// Kinds of stages, with commas; otherwise all.
    #[arg(long, value_delimiter = ',')]
    on: Vec<Ground>,
    /// Seconds of faults on each stage; half of them with an object store.
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
    /// Goes on without a rule until a probe notices, whatever reads returned.
    #[arg(long, requires = "mutant")]
    by_probe: bool,
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
            grounds: arguments.on.clone(),
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
        let mut runs = Vec::new();
        for script in self.plan.short(self.seed, self.arguments.seconds) {
            runs.push(self.play(&script, None).await?);
        }
        let hunts = self.arguments.faults.is_empty() && self.arguments.on.is_empty() && !mutants::names().is_empty();
        let noticed = !hunts || self.hunt(&mutants::HANDFUL.map(str::to_owned), None).await?;
        let held = runs.iter().all(|run| run.violations() == 0);
        // said last, where whoever sees only the end looks
        runs.iter().for_each(|run| say(&run.verdict()));
        Ok(held && noticed)
    }

    /// Runs a part, or what is left of it.
    async fn long(&self, part: Part) -> Result<bool> {
        let _alone = part.alone(&self.plan.root)?;
        keep_to_share_of_ports(part.number, part.of);
        let results = self.arguments.results.as_deref().map_or(Ok(Vec::new()), report::read)?;
        let mut done = part.done(&results);
        let end = time::now() + PART_NANOS;
        loop {
            say(&format!("part {part}: {} runs, {} faults, {} operations", done.runs, done.faults, done.operations));
            if done.is_all_of(part) || time::now() > end {
                break;
            }
            let seed = self.seed.wrapping_mul(part.of.into()).wrapping_add(part.number.into());
            done.add(&self.play(&self.plan.long(seed, done.runs), Some(part)).await?);
        }
        let held = done.violations == 0;
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
                let run = self.play(&self.plan.hunt(rule, seed, &hunt, self.arguments.by_probe), None).await?;
                operations += run.operations;
                let noticed = if self.arguments.by_probe { run.is_probed() } else { hunt.is_caught(&run) };
                if noticed && operations <= most {
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
        say(&format!("run: seed {} on {}", script.settings.seed, script.settings.ground));
        let mut run = segment::run(script).await?;
        run.part = part.map(|part| part.to_string());
        let is_hunt = script.settings.without_rule.is_some();
        if is_hunt {
            run.shown.truncate(1); // they are what it is for
        }
        if run.violations() == 0 || is_hunt {
            std::fs::remove_dir_all(std::mem::take(&mut run.folder)).context("removing the logs")?;
        }
        say(&run.to_string());
        if let Some(path) = &self.arguments.results {
            report::append(path, &run)?;
        }
        Ok(run)
    }
}
