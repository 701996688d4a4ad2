//! Frees the bytes of what was invalidated, beside the nodes at work:
//!
//! ```text
//! STRATA_SWEEP_URL=redis://sweeper:secret@cache.internal \
//!     cargo run --release -p stratacache-redis --example sweep -- [--prefix shop] [--tenant acme] [--dry-run]
//! ```
//!
//! The URL comes by the environment, since everybody on a machine can read the arguments of its programs; and so does
//! `STRATA_DEPLOYMENT_SECRET`, 32 hexadecimal digits, which `--tenant` needs where the caches have one.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program that reports

use std::{process::ExitCode, time::Duration};

use stratacache_core::{Error, TenantId};
use stratacache_redis::{Sweep, SweepBuilder, SweepCursor};

const USAGE: &str =
    "usage: sweep [--prefix PREFIX] [--tenant TENANT] [--dry-run] [--batch KEYS] [--pause MILLISECONDS] \
                     [--most KEYS] [--cursor WHERE-THE-LAST-RUN-ENDED] [--ca-file PEM]
environment: STRATA_SWEEP_URL, and STRATA_DEPLOYMENT_SECRET (32 hexadecimal digits) where the caches have a secret";

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{what}\n{USAGE}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| wrong(format!("`{text}` is no number")))
}

fn secret(hex: &str) -> Option<[u8; 16]> {
    let digits = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(hex, 16).ok()).flatten().map(u128::to_be_bytes)
}

fn told() -> Result<(SweepBuilder, Option<SweepCursor>), Error> {
    let url = std::env::var("STRATA_SWEEP_URL").map_err(|_| wrong("STRATA_SWEEP_URL is not set"))?;
    let (mut sweep, mut cursor) = (Sweep::builder(url), None);
    if let Ok(hex) = std::env::var("STRATA_DEPLOYMENT_SECRET") {
        let secret = secret(&hex).ok_or_else(|| wrong("STRATA_DEPLOYMENT_SECRET is not 32 hexadecimal digits"))?;
        sweep = sweep.deployment_secret(secret);
    }
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--dry-run" {
            sweep = sweep.dry_run(true);
            continue;
        }
        let value = words.next().ok_or_else(|| wrong(format!("`{word}` is not known, or lacks its value")))?;
        sweep = match word.as_str() {
            "--prefix" => sweep.prefix(value),
            "--tenant" => sweep.tenant(&TenantId::parse(&value)?),
            "--batch" => sweep.batch(number(&value)?),
            "--pause" => sweep.pause(Duration::from_millis(number(&value)?)),
            "--most" => sweep.most(number(&value)?),
            "--ca-file" => sweep.ca_file(value),
            "--cursor" => {
                cursor = Some(value.parse()?);
                sweep
            }
            _ => return Err(wrong(format!("`{word}` is not known"))),
        };
    }
    Ok((sweep, cursor))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let swept = async {
        let (builder, cursor) = told()?;
        let sweep = builder.build().await?;
        let report = match cursor {
            Some(cursor) => sweep.resume(cursor).await,
            None => sweep.run().await,
        };
        report.map_err(|stopped| Error::new(Error::from(stopped.clone()).kind(), stopped.to_string()))
    };
    match swept.await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
