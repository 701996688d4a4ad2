//! The kinds of stages there are.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What stands below the nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ground {
    /// One server, with a replica where a fault needs one.
    #[default]
    Server,
    /// A cluster.
    Cluster,
    /// One server, and an object store below it.
    Store,
}

impl Ground {
    pub(crate) const ALL: [Self; 3] = [Self::Server, Self::Cluster, Self::Store];

    pub(crate) fn is_cluster(self) -> bool {
        self == Self::Cluster
    }

    pub(crate) fn is_store(self) -> bool {
        self == Self::Store
    }

    /// Returns what is added to the name of a run.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Server => "",
            Self::Cluster => "-cluster",
            Self::Store => "-store",
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "one server",
            Self::Cluster => "a cluster",
            Self::Store => "one server and an object store",
        })
    }
}
