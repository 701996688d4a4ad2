//! The program of this example does what it says.
#![allow(clippy::unwrap_used)] // everything here is a test

mod support;

use std::process::Command;

use support::Server;

#[test]
fn the_program_sees_what_it_promises_and_fails_without_a_server() {
    let server = Server::start(&[]);
    let run = || Command::new(env!("CARGO_BIN_EXE_memcached-tier")).arg(server.address()).output().unwrap();
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((said.matches("ok   ").count(), said.matches("FAIL").count()), (7, 0), "{said}");
    server.kill();
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be reached"));
}
