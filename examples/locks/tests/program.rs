//! The program of this example does what it says.

use std::process::Command;

#[test]
fn the_program_sees_what_it_promises() {
    let output = Command::new(env!("CARGO_BIN_EXE_locks")).output().expect("it was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((said.matches("ok   ").count(), said.matches("FAIL").count()), (9, 0), "{said}");
}
