//! `cargo run --release -p stratacache-sim --bin campaign`: see `docs/campaign.md`.

fn main() -> std::process::ExitCode {
    stratacache_sim::campaign()
}
