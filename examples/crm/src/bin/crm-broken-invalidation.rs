//! The CRM with writes that invalidate nothing. Its tour must notice and exit 1.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    crm::Mistake::NothingInvalidated.make();
    crm::run()
}
