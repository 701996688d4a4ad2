//! One exploration: a model at a size, and what is expected of it.

use std::{
    fmt::{self, Debug},
    hash::Hash,
};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::Rule;

/// How far an exploration may go.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// States it may generate, repeated ones included, before it gives up undecided.
    pub generated: usize,
}

/// What an exploration found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every state was visited, and the properties hold in each.
    Holds,
    /// A property does not hold, and these steps show it.
    Violated {
        /// The property.
        property: &'static str,
        /// The counterexample. The search is breadth first: it is among the shortest.
        steps: Vec<String>,
    },
    /// It gave up at the limit, having found nothing: that decides nothing.
    Capped,
}

/// The result of an exploration.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was found.
    pub verdict: Verdict,
    /// Different states visited.
    pub states: usize,
    /// Things that ought to happen at some time and never did: the model would be too narrow.
    pub unreached: Vec<&'static str>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Holds => write!(f, "holds, {} states", self.states),
            Verdict::Violated { property, steps } => {
                write!(f, "violates \"{property}\" in {} steps, {} states", steps.len(), self.states)
            }
            Verdict::Capped => write!(f, "undecided after {} states", self.states),
        }
    }
}

/// What is expected of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The properties hold, and everything that ought to happen does.
    Holds,
    /// A counterexample is found.
    Violated,
    /// The properties hold, since something that ought to happen never does.
    Useless,
}

type Explore = Box<dyn Fn(Limit) -> Outcome + Send + Sync>;

/// A model at a size, with or without some of its rules.
pub struct Case {
    /// The model.
    pub model: &'static str,
    /// The size.
    pub size: String,
    /// The rules that are switched off.
    pub off: Vec<Rule>,
    /// What is expected.
    pub expected: Expected,
    /// It takes more time than a test may.
    pub is_deep: bool,
    explore: Explore,
}

impl Case {
    /// Expects that a model holds.
    pub fn holds<M>(model: &'static str, size: impl Into<String>, instance: M) -> Self
    where
        M: Model + Clone + Send + Sync + 'static,
        M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
        M::Action: Clone + Debug + PartialEq + Send + Sync,
    {
        let explore = Box::new(move |limit| explore(instance.clone(), limit));
        Self { model, size: size.into(), off: Vec::new(), expected: Expected::Holds, is_deep: false, explore }
    }

    /// Expects that a model breaks; `off` says without which rules it is.
    pub fn refuted<M>(model: &'static str, off: &[Rule], size: impl Into<String>, instance: M) -> Self
    where
        M: Model + Clone + Send + Sync + 'static,
        M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
        M::Action: Clone + Debug + PartialEq + Send + Sync,
    {
        Self { off: off.to_vec(), expected: Expected::Violated, ..Self::holds(model, size, instance) }
    }

    /// Expects that a model holds although rules are switched off: they serve something else, or others cover for them.
    pub fn unneeded<M>(model: &'static str, off: &[Rule], size: impl Into<String>, instance: M) -> Self
    where
        M: Model + Clone + Send + Sync + 'static,
        M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
        M::Action: Clone + Debug + PartialEq + Send + Sync,
    {
        Self { off: off.to_vec(), ..Self::holds(model, size, instance) }
    }

    /// Expects that a model without some rules is safe, but no longer does what it is for.
    pub fn useless<M>(model: &'static str, off: &[Rule], size: impl Into<String>, instance: M) -> Self
    where
        M: Model + Clone + Send + Sync + 'static,
        M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
        M::Action: Clone + Debug + PartialEq + Send + Sync,
    {
        Self { off: off.to_vec(), expected: Expected::Useless, ..Self::holds(model, size, instance) }
    }

    /// Leaves it to the deep form.
    #[must_use]
    pub fn deep(self) -> Self {
        Self { is_deep: true, ..self }
    }

    /// Explores.
    #[must_use]
    pub fn explore(&self, limit: Limit) -> Outcome {
        (self.explore)(limit)
    }

    /// Tells whether an outcome is the expected one. An undecided one is not.
    #[must_use]
    pub fn expects(&self, outcome: &Outcome) -> bool {
        match outcome.verdict {
            Verdict::Holds if outcome.unreached.is_empty() => self.expected == Expected::Holds,
            Verdict::Holds => self.expected == Expected::Useless,
            Verdict::Violated { .. } => self.expected == Expected::Violated,
            Verdict::Capped => false,
        }
    }
}

impl Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("model", &self.model)
            .field("size", &self.size)
            .field("off", &self.off)
            .finish_non_exhaustive()
    }
}

fn explore<M>(model: M, limit: Limit) -> Outcome
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    // one thread: the same states and the same counterexample in every run
    let checker = model
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(limit.generated)
        .spawn_bfs()
        .join();
    let mut verdict = if checker.state_count() < limit.generated { Verdict::Holds } else { Verdict::Capped };
    let mut unreached = Vec::new();
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Always, Some(path)) => {
                let steps = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
                verdict = Verdict::Violated { property: property.name, steps };
            }
            (Expectation::Sometimes, None) => unreached.push(property.name),
            _ => {}
        }
    }
    Outcome { verdict, states: checker.unique_state_count(), unreached }
}
