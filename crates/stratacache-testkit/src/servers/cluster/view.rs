//! How one node sees its cluster: the answer to `CLUSTER NODES`.

use crate::servers::{ServerError, instance::Instance};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) is_me: bool,
    pub(super) is_master: bool,
    /// Is neither thought to have failed nor still a stranger.
    pub(super) is_well: bool,
    pub(super) master: Option<String>,
    pub(super) slots: Vec<(u16, u16)>,
}

impl Seen {
    pub(super) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

pub(super) fn view(node: &Instance) -> Result<Vec<Seen>, ServerError> {
    Ok(parse(&node.call(&["CLUSTER", "NODES"])?.text().unwrap_or_default()))
}

/// Says in one line for each viewer what it sees.
pub(super) fn brief(views: &[Vec<Seen>]) -> String {
    let node = |node: &Seen| {
        let me = if node.is_me { "me " } else { "" };
        let role = if node.is_master { "master" } else { "replica" };
        let state = if node.is_well { "" } else { " failing" };
        format!("{me}{} {role}{state} {:?}", node.port, node.slots)
    };
    let line = |seen: &Vec<Seen>| seen.iter().map(node).collect::<Vec<_>>().join("; ");
    views.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Vec<Seen> {
    text.lines().filter_map(node).collect()
}

fn node(line: &str) -> Option<Seen> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [id, address, flags, master, _, _, _, _, slots @ ..] = words.as_slice() else { return None };
    let flags: Vec<_> = flags.split(',').collect();
    let port = address.split('@').next()?.rsplit(':').next()?.parse().ok()?;
    Some(Seen {
        id: (*id).to_owned(),
        port,
        is_me: flags.contains(&"myself"),
        is_master: flags.contains(&"master"),
        is_well: !["fail", "fail?", "handshake", "noaddr"].iter().any(|bad| flags.contains(bad)),
        master: (*master != "-").then(|| (*master).to_owned()),
        slots: slots.iter().filter_map(|range| slot_range(range)).collect(),
    })
}

/// Slots on their way elsewhere are given in brackets and are no range.
fn slot_range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_understood_with_their_slots_and_without_those_on_their_way() {
        let text = "07c3 127.0.0.1:30004@31004,hostname4 slave e7d1 0 1426238317239 4 connected\n\
                    e7d1 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 7000 [93->-67ed]\n\
                    67ed 127.0.0.1:30002@31002 master,fail? - 0 1426238316232 2 connected\n";
        let seen = parse(text);
        let brief: Vec<_> =
            seen.iter().map(|n| (n.port, n.is_me, n.is_master, n.is_well, n.master.as_deref())).collect();
        let expected = [
            (30004, false, false, true, Some("e7d1")),
            (30001, true, true, true, None),
            (30002, false, true, false, None),
        ];
        assert_eq!(brief, expected);
        assert_eq!(seen[1].slots, [(0, 5460), (7000, 7000)]);
        assert!(seen[1].owns(7000) && seen[1].owns(0) && !seen[1].owns(93_00));
    }
}
