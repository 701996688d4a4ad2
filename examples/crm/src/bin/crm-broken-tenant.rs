//! The CRM with the tenant dropped from the key. Its tour must notice and exit 1.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    crm::Mistake::OneCacheForAll.make();
    crm::run()
}
