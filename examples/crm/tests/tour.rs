//! The tour holds what it promises, and notices when the application does not.

use std::process::{Command, Output};

use serde_json::Value;
use stratacache_testkit::s3::Moto;

const CRM: &str = env!("CARGO_BIN_EXE_crm");
// the same application with one mistake each
const BROKEN_TENANT: &str = env!("CARGO_BIN_EXE_crm-broken-tenant");
const BROKEN_INVALIDATION: &str = env!("CARGO_BIN_EXE_crm-broken-invalidation");

/// Runs the tour of a program and returns its exit code and report.
fn tour(program: &str) -> (Option<i32>, Value) {
    run(program, &[])
}

/// Runs the tour of three nodes on a Redis of its own.
fn tour_of_many_nodes(program: &str) -> (Option<i32>, Value) {
    run(program, &["--nodes", "3"])
}

fn run(program: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    run_in(program, arguments, &[])
}

/// Runs a tour with something in its environment.
fn run_in(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, Value) {
    let data = tempfile::tempdir().expect("a folder");
    let Output { status, stdout, stderr } = Command::new(program)
        .args(["--json", "--seconds", "4", "--data"])
        .arg(data.path())
        .args(arguments)
        .env_remove("CRM_REDIS") // the redis of whoever runs the tests is left alone
        .envs(environment.iter().copied())
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{status}, no report: {error}\n{text}\n{}", String::from_utf8_lossy(&stderr));
    });
    (status.code(), report)
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report:#}"))
}

#[test]
fn the_tour_of_the_application_exits_0_after_enough_probes() {
    let (code, report) = tour(CRM);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    assert!(count(&report, "/seen/rows") >= 10_000, "{report:#}");
    assert!(count(&report, "/read_at_once") >= 1_000, "{report:#}");
    assert_eq!(count(&report, "/cold_loads"), 1);
    assert_eq!((count(&report, "/seen/foreign"), count(&report, "/seen/stale")), (0, 0));
    assert!(count(&report, "/restart/changed") >= 100, "{report:#}");
    let after_a_save =
        ["touched", "neighbour", "other_company"].map(|read| count(&report, &format!("/one_save/{read}")));
    assert_eq!(after_a_save, [4, 0, 0], "{report:#}");
}

#[test]
fn the_tour_exits_1_when_the_tenant_is_dropped_from_the_key() {
    let (code, report) = tour(BROKEN_TENANT);
    assert_eq!(code, Some(1), "{report:#}");
    assert!(count(&report, "/seen/foreign") > 0, "{report:#}");
}

#[test]
fn the_tour_exits_1_when_writes_invalidate_nothing() {
    let (code, report) = tour(BROKEN_INVALIDATION);
    assert_eq!(code, Some(1), "{report:#}");
    assert!(count(&report, "/seen/stale") > 0, "{report:#}");
    assert_eq!(count(&report, "/seen/foreign"), 0, "only what is broken is reported: {report:#}");
}

#[test]
fn the_tour_of_many_nodes_exits_0_although_a_node_is_killed_and_redis_comes_back_empty() {
    let (code, report) = tour_of_many_nodes(CRM);
    assert_eq!(code, Some(0), "{report:#}");
    for probes in ["/with_token", "/without_token"] {
        assert!(count(&report, &format!("{probes}/reads")) >= 1_000, "{report:#}");
        assert_eq!(count(&report, &format!("{probes}/stale")), 0, "{report:#}");
    }
    assert!(count(&report, "/at_the_end/reads") > 0, "{report:#}");
    assert_eq!((count(&report, "/cold/page_queries"), count(&report, "/cold/statistics_queries")), (1, 1));
    assert!(count(&report, "/node_dead/requests") > 0 && count(&report, "/redis_away/requests") > 0, "{report:#}");
    for node in 0..3 {
        assert!(count(&report, &format!("/requests_by_node/{node}")) > 0, "{report:#}");
    }
}

#[test]
fn the_tour_of_many_nodes_exits_1_when_writes_invalidate_nothing() {
    let (code, report) = tour_of_many_nodes(BROKEN_INVALIDATION);
    assert_eq!(code, Some(1), "{report:#}");
    assert!(count(&report, "/with_token/stale") > 0, "{report:#}");
    assert!(count(&report, "/without_token/stale") > 0, "{report:#}");
    assert_eq!((count(&report, "/foreign"), count(&report, "/unexpected")), (0, 0), "only what is broken: {report:#}");
}

/// Everything was restarted: SQLite was asked for what had changed, Redis had nothing, and objects answered the rest; with an empty
/// Redis no object was believed. Nothing old and nothing foreign was seen.
fn assert_warm_from_objects(code: Option<i32>, report: &Value) {
    assert_eq!(code, Some(0), "{report:#}");
    let [cold, warm, without] =
        ["cold", "warm", "without_order"].map(|act| count(report, &format!("/everything/{act}/sql_queries")));
    assert!(warm * 4 <= cold, "{warm} SQL queries after the restart, {cold} before: {report:#}");
    assert!(without > warm * 2, "an empty Redis makes a cold start: {report:#}");
    assert!(
        count(report, "/everything/warm/objects") * 10 >= count(report, "/everything/warm/reads") * 6,
        "{report:#}"
    );
    assert_eq!(count(report, "/everything/without_order/objects"), 0, "{report:#}");
    for around in ["changed_before", "changed_after"] {
        assert!(count(report, &format!("/everything/{around}")) >= 50, "{report:#}");
    }
}

#[test]
fn after_a_restart_of_everything_objects_in_a_folder_answer_all_nodes_and_nothing_is_stale() {
    let objects = tempfile::tempdir().expect("a folder");
    let folder = objects.path().join("objects");
    let (code, report) = run(CRM, &["--nodes", "3", "--object", folder.to_str().expect("a name that is text")]);
    assert!(count(&report, "/readable/readable") > 0, "whoever copies the folder can read it: {report:#}");
    assert_warm_from_objects(code, &report);
    assert_eq!((count(&report, "/foreign"), count(&report, "/stale_around_it")), (0, 0), "{report:#}");
    let left = std::fs::read_dir(&folder).expect("the folder").count();
    assert!(left > 500, "the objects are there: {left}");
}

#[test]
fn encrypted_objects_answer_all_nodes_after_a_restart_of_everything_and_nobody_else_can_read_them() {
    let objects = tempfile::tempdir().expect("a folder");
    let folder = objects.path().join("objects");
    let arguments = ["--nodes", "3", "--encrypt", "--object", folder.to_str().expect("a name that is text")];
    let (code, report) = run(CRM, &arguments);
    assert_warm_from_objects(code, &report);
    assert_eq!((count(&report, "/foreign"), count(&report, "/stale_around_it")), (0, 0), "{report:#}");
    assert!(count(&report, "/readable/files") > 500, "{report:#}");
    assert_eq!(count(&report, "/readable/readable"), 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_everything_objects_in_a_bucket_answer_and_nothing_is_stale() {
    let moto = Moto::start(&["crm"]).await.expect("moto");
    let endpoint = moto.url();
    let tour = tokio::task::spawn_blocking(move || {
        let environment = [("CRM_S3_ENDPOINT", &*endpoint), ("CRM_S3_KEY", "any:secret")];
        run_in(CRM, &["--object", "s3://crm/cache"], &environment)
    });
    let (code, report) = tour.await.expect("the tour");
    assert_warm_from_objects(code, &report);
    assert_eq!((count(&report, "/seen/foreign"), count(&report, "/seen/stale")), (0, 0), "{report:#}");
}
