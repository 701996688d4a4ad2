use std::time::Duration;

use stratacache_core::clock::Clock;
use tokio::time::{advance, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn timers_and_the_simulated_clock_move_together() {
    let clock = SimulatedClock::new();
    let before = clock.now();
    advance(Duration::from_millis(1_501)).await;
    assert_eq!(clock.now() - before, Duration::from_millis(1_501));
    sleep(24 * 3600 * SECOND).await;
    let passed = clock.now() - before;
    assert!(passed >= 24 * 3600 * SECOND + Duration::from_millis(1_501), "{passed:?}");
    assert_eq!(clock.coarse(), clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_moves_boot_time_but_no_timer_and_leaves_coarse_behind_until_refresh() {
    let clock = SimulatedClock::new();
    let (boot, coarse, wall, timers) = (clock.now(), clock.coarse(), clock.wall(), tokio::time::Instant::now());
    clock.suspend(3600 * SECOND);
    assert_eq!(clock.now() - boot, 3600 * SECOND);
    assert_eq!(clock.wall() - wall, 3600 * SECOND);
    assert_eq!(clock.coarse(), coarse);
    assert_eq!(tokio::time::Instant::now(), timers);
    clock.refresh();
    assert_eq!(clock.coarse(), clock.now());
}

#[tokio::test(start_paused = true)]
async fn setting_the_wall_clock_moves_no_other_reading() {
    let clock = SimulatedClock::new();
    let now = clock.now();
    clock.set_wall(5 * SECOND);
    assert_eq!(clock.wall(), 5 * SECOND);
    advance(SECOND).await;
    assert_eq!(clock.wall(), 6 * SECOND);
    clock.jump_wall(-60_000);
    assert_eq!(clock.wall(), Duration::ZERO, "a wall clock before 1970 reads as 1970");
    clock.jump_wall(1_000_000_000_000);
    assert_eq!(clock.wall(), 999_999_946 * SECOND);
    assert_eq!(clock.now() - now, SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stepped_coarse_reading_is_behind_by_less_than_a_step_and_never_ahead() {
    let clock = SimulatedClock::with_coarse_step(Duration::from_millis(4));
    for _ in 0..50 {
        advance(Duration::from_micros(700)).await;
        let (coarse, now) = (clock.coarse(), clock.now());
        assert!(coarse <= now && now - coarse < Duration::from_millis(4), "{coarse:?} {now:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outside_the_runtime_the_simulated_clock_shows_the_latest_reading_made_inside() {
    let clock = SimulatedClock::new();
    advance(90 * SECOND).await;
    let inside = clock.now();
    let other = clock.clone();
    let outside = std::thread::spawn(move || other.now()).join().unwrap();
    assert_eq!(outside, inside);
}

#[test]
fn the_manual_clock_moves_only_when_told_and_for_all_its_clones() {
    let clock = ManualClock::new();
    let (before, wall) = (clock.now(), clock.wall());
    assert_eq!(clock.now(), before);
    let other = clock.clone();
    std::thread::spawn(move || other.advance(7 * SECOND)).join().unwrap();
    assert_eq!(clock.now() - before, 7 * SECOND);
    assert_eq!(clock.coarse(), clock.now());
    assert_eq!(clock.wall() - wall, 7 * SECOND);
    clock.set_wall(SECOND);
    clock.jump_wall(500);
    assert_eq!(clock.wall(), Duration::from_millis(1_500));
}
