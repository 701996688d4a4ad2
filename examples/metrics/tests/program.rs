//! The program of this example does what it says.

use std::process::Command;

#[test]
fn the_program_sees_what_it_promises() {
    let output = Command::new(env!("CARGO_BIN_EXE_metrics-example"))
        .env("RUST_LOG", "stratacache=debug")
        .output()
        .expect("it was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    let logged = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{logged}");
    assert_eq!((said.matches("ok   ").count(), said.matches("FAIL").count()), (11, 0), "{said}");
    for line in [": hit ", ": miss ", ": loaded ", ": load failed ", ": invalidated "] {
        assert!(logged.contains(line), "{line} is missing in\n{logged}");
    }
    assert!(!logged.contains("cat-videos") && !said.contains("cat-videos"), "a key was shown\n{said}{logged}");
}
