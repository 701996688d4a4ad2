//! Invalidations from the database:
//!
//! ```text
//! cargo run -p outbox -- 'postgres://postgres@127.0.0.1/postgres?sslmode=disable'
//! ```
//!
//! takes an empty database. Every line it prints is checked; it exits 0 only if all of them hold. With `app` and `listener` it is one of
//! the processes that `tests/kills.rs` kills. `docs/guide/events.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod processes;
mod tour;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["app", postgres, company, id] => processes::app(postgres, company, id).await,
        ["listener", postgres, redis] => processes::listener(postgres, redis).await,
        [postgres] => tour::run(postgres).await,
        _ => Err("usage: outbox <url of an empty database>".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
