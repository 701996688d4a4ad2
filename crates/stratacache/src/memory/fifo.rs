//! A queue of entries in the order in which they came.

use std::collections::VecDeque;

/// A place in a queue. An entry that left the map leaves its ticket behind; nothing answers to it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The hash by which the map finds the entry.
    pub(super) hash: u32,
    /// Told apart from all tickets of the shard for 2^32 inserts.
    pub(super) number: u32,
}

/// Below so many tickets the dead ones are not worth a walk.
const FEW: usize = 64;

/// Tickets, the oldest first, and what their entries weigh.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    tickets: VecDeque<Ticket>,
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Fifo {
    /// Puts an entry in at the young end.
    pub(super) fn push(&mut self, ticket: Ticket, weight: u64) {
        self.tickets.push_back(ticket);
        self.entries += 1;
        self.bytes += weight;
    }

    /// Takes the oldest ticket, which may be a dead one.
    pub(super) fn pop(&mut self) -> Option<Ticket> {
        self.tickets.pop_front()
    }

    /// Notes that an entry is no longer here. `alive` tells whose tickets are kept when the dead ones become too many.
    pub(super) fn forget(&mut self, weight: u64, alive: impl Fn(Ticket) -> bool) {
        self.entries -= 1;
        self.bytes -= weight;
        if self.tickets.len() > FEW && self.entries * 2 < self.tickets.len() {
            self.tickets.retain(|ticket| alive(*ticket));
        }
    }

    /// Gives the room of its block back that it has no use for.
    pub(super) fn tidy(&mut self) {
        if self.tickets.capacity() > FEW.max(self.tickets.len() * 4) {
            self.tickets.shrink_to(self.tickets.len() * 2);
        }
        if self.tickets.is_empty() {
            self.tickets = VecDeque::new();
        }
    }

    /// Returns the bytes of its block.
    pub(super) fn structure(&self) -> u64 {
        (self.tickets.capacity() * size_of::<Ticket>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(number: u32) -> Ticket {
        Ticket { hash: number, number }
    }

    #[test]
    fn dead_tickets_never_outnumber_the_living_by_much() {
        let mut fifo = Fifo::default();
        let mut living = std::collections::HashSet::new();
        for n in 0..10_000 {
            fifo.push(ticket(n), 1);
            living.insert(n);
            if n >= 10 {
                living.remove(&(n - 10));
                fifo.forget(1, |t| living.contains(&t.number));
            }
            assert!(fifo.tickets.len() <= FEW + 1, "{}", fifo.tickets.len());
        }
        let left: Vec<_> = std::iter::from_fn(|| fifo.pop()).map(|t| t.number).filter(|n| living.contains(n)).collect();
        assert_eq!(left, (9_990..10_000).collect::<Vec<_>>(), "in their order");
        fifo.tidy();
        assert_eq!(fifo.structure(), 0);
    }
}
