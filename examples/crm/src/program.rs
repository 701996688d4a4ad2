//! The arguments, and what they ask for.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{
    options::ExtraOptions,
    serve::{self, Until},
    server::{Below, Extras, Near},
    tour,
};

/// A CRM for many companies on Strata. Without arguments: a tour that starts the server on a free port of the loopback,
/// drives it with 64 clients and checks every answer. Exit code 0 only if no row of another company, no stale read and no
/// second load was seen, in at least 10,000 and 1,000 probes.
#[derive(Parser)]
#[command(name = "crm", version)]
struct Arguments {
    /// Runs the server until Ctrl-C instead of the tour, and prints requests to try.
    #[arg(long)]
    serve: bool,
    /// Port of the loopback to serve on; 0 takes a free one.
    #[arg(long, default_value_t = 8080, requires = "serve")]
    port: u16,
    /// Folder of the data base and of the disk tier; made and filled at the first start.
    #[arg(long, value_name = "DIR", default_value = "crm-data")]
    data: PathBuf,
    /// Puts a Redis below memory in the place of the disk: `redis://user:password@host:6379`, for example.
    #[arg(long, value_name = "URL", env = "CRM_REDIS", hide_env_values = true)]
    redis: Option<String>,
    #[command(flatten)]
    extra: ExtraOptions,
    /// What all keys in Redis begin with; nodes with the same prefix share a cache.
    #[arg(long, value_name = "NAME", default_value = "crm", requires = "serve")]
    prefix: String,
    /// The tour of many nodes: starts so many servers on one Redis, drives them all, kills one, and restarts Redis empty.
    /// Starts a redis-server of its own where --redis names none.
    #[arg(long, value_name = "N", conflicts_with = "serve", value_parser = clap::value_parser!(u8).range(2..=8))]
    nodes: Option<u8>,
    /// How long the tour should take; longer where the probes need it.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Prints the report of the tour as JSON.
    #[arg(long, conflicts_with = "serve")]
    json: bool,
    /// Stops the server at the end of the standard input, too.
    #[arg(long, hide = true, requires = "serve")]
    until_input_ends: bool,
}

/// Runs the program with the arguments of the process, in a runtime of its own, and returns the exit code.
///
/// # Errors
///
/// What could not be started, read or written. That a tour saw something wrong is no error, but exit code 1.
#[tokio::main]
pub async fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (folder, seconds) = (&arguments.data, Duration::from_secs(arguments.seconds));
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let extras = arguments.extra.extras(folder)?;
    if arguments.serve {
        let near = match arguments.redis {
            Some(url) => Near::Redis { url, prefix: arguments.prefix },
            None => Near::Disk(folder.join("cache")),
        };
        let Extras { object, keys } = extras;
        let below = Below { near, object, keys };
        let until = if arguments.until_input_ends { Until::InputEnds } else { Until::CtrlC };
        serve::run(folder, arguments.port, &below, until).await?;
        return Ok(ExitCode::SUCCESS);
    }
    allow_open_files()?;
    let held = match arguments.nodes {
        Some(nodes) => {
            let report = tour::nodes::run(folder, seconds, nodes.into(), arguments.redis, extras).await?;
            if arguments.json {
                report.print_json()?
            } else {
                report.print_table()
            }
            report.failures().is_empty()
        }
        None => {
            let report = tour::run(folder, seconds, arguments.redis, extras).await?;
            if arguments.json {
                report.print_json()?
            } else {
                report.print_table()
            }
            report.failures().is_empty()
        }
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tour holds a thousand connections, both ends of each in this process: more files than many systems allow a program
/// that does not ask.
fn allow_open_files() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const NEEDED: u64 = 4096;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= NEEDED) {
        return Ok(());
    }
    let wanted = Rlimit { current: Some(NEEDED), maximum: limit.maximum };
    setrlimit(Resource::Nofile, wanted).context("the tour needs 4,096 open files; allow them with `ulimit -n 4096`")
}
