//! The CRM, which makes no mistake.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    crm::run()
}
