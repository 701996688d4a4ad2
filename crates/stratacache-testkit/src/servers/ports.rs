//! Free ports.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

// Below the range from which systems take the ports of outgoing connections: one of those could take the port of a server
// that is down for a moment, and a client that connects to such a port could meet itself.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;
/// The distance from the port of a cluster node to that of its bus.
pub(super) const BUS: u16 = 10_000;
/// Of these, and of those of their buses, programs that run side by side take shares.
const SHARED: u32 = BUS as u32;

static SHARE: OnceLock<(u32, u32)> = OnceLock::new();

/// Keeps the servers of this process to a share of the ports: that of the `number`th, from 1, of so many processes that run
/// side by side. Without it each process begins at another port, and one may take the port of another's server while that is
/// down for a moment.
///
/// Only the first call counts, before the first server.
///
/// # Panics
/// When `number` is not one of 1 to `of`, or when there are more than 50.
pub fn keep_to_share_of_ports(number: u32, of: u32) {
    assert!((1..=of).contains(&number) && of <= 50, "there is no share {number} of {of}");
    SHARE.get_or_init(|| (number, of));
}

/// Returns a port that nobody listens on, another one at each call until all were given.
///
/// Somebody may take it before its server does, which then says so.
pub(crate) fn free() -> Option<u16> {
    find(COUNT, is_free)
}

/// Returns a port that is free together with the port of its cluster bus.
pub(super) fn free_with_bus() -> Option<u16> {
    find(COUNT - u32::from(BUS), |port| is_free(port) && is_free(port + BUS))
}

fn find(count: u32, free: impl Fn(u16) -> bool) -> Option<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // tests run as processes of their own: each begins elsewhere, those with neighbouring ids far apart
    let begin = process::id().wrapping_mul(7919);
    let (first, count, begin) = match SHARE.get() {
        Some((number, of)) => (FIRST + SHARED / of * (number - 1), SHARED / of, 0),
        None => (FIRST, count, begin),
    };
    (0..count).find_map(|_| {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(first + begin.wrapping_add(next) % count).ok()?;
        free(port).then_some(port)
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_each_is_given_once() {
        let ports: Vec<_> = (0..50).map(|_| free().unwrap()).collect();
        let listeners: Vec<_> = ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port))).collect();
        assert!(listeners.iter().all(Result::is_ok), "{listeners:?}");
    }

    #[test]
    fn the_bus_of_a_cluster_node_is_free_too() {
        let port = free_with_bus().unwrap();
        let both =
            (TcpListener::bind((Ipv4Addr::LOCALHOST, port)), TcpListener::bind((Ipv4Addr::LOCALHOST, port + BUS)));
        assert!(matches!(both, (Ok(_), Ok(_))), "{both:?}");
    }

    #[test]
    fn processes_that_run_side_by_side_get_ports_of_their_own() {
        // each test is a process
        keep_to_share_of_ports(2, 4);
        let ports: Vec<_> = (0..20).flat_map(|_| [free().unwrap(), free_with_bus().unwrap()]).collect();
        assert!(ports.iter().all(|port| (12_500..15_000).contains(port)), "{ports:?}");
    }
}
