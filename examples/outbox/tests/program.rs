//! The program of this example does what it says.

use std::process::Command;

use stratacache_testkit::servers::PostgresServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_program_sees_what_it_promises() {
    let server = PostgresServer::start().await.expect("Postgres is installed");
    let output =
        Command::new(env!("CARGO_BIN_EXE_outbox")).arg(server.url()).output().expect("it was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((said.matches("ok   ").count(), said.matches("FAIL").count()), (12, 0), "{said}");
}
