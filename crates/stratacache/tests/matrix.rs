//! One script over every combination of tiers, codec, compression, consistency and write mode.
//!
//! The clock of the cache stands still unless the script moves it; the runtime's is the real one, since the disk is real.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // everything here is a test, and starts its own tasks

#[path = "matrix/invariants.rs"]
mod invariants;
#[path = "matrix/script.rs"]
mod script;
#[path = "matrix/setting.rs"]
mod setting;

/// Makes a test of every combination, in modules named after its parts.
macro_rules! matrix {
    (@write $below:expr, $codec:expr, $compress:expr, $consistency:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn write_through() {
            script::play(Setting::new($below, $codec, $compress, $consistency, WriteMode::Through)).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn write_memory_only() {
            script::play(Setting::new($below, $codec, $compress, $consistency, WriteMode::MemoryOnly)).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn write_behind() {
            script::play(Setting::new($below, $codec, $compress, $consistency, WriteMode::Behind)).await;
        }
    };
    (@consistency $below:expr, $codec:expr, $compress:expr) => {
        mod bounded {
            use super::*;
            matrix!(@write $below, $codec, $compress, Consistency::Bounded(seconds(1)));
        }
        mod latest {
            use super::*;
            matrix!(@write $below, $codec, $compress, Consistency::Latest);
        }
    };
    (@compress $below:expr, $codec:expr) => {
        mod uncompressed {
            use super::*;
            matrix!(@consistency $below, $codec, Compress::Off);
        }
        mod lz4 {
            use super::*;
            matrix!(@consistency $below, $codec, Compress::Lz4 { over: 16 });
        }
    };
    ($($tiers:ident: $below:expr;)*) => {$(
        mod $tiers {
            use stratacache::{Codec, Compress, Consistency, WriteMode, seconds};

            use crate::{script, setting::{Below, Setting}};

            mod message_pack {
                use super::*;
                matrix!(@compress $below, Codec::MessagePack);
            }
            mod json {
                use super::*;
                matrix!(@compress $below, Codec::Json);
            }
            mod postcard {
                use super::*;
                matrix!(@compress $below, Codec::Postcard);
            }
        }
    )*};
}

matrix! {
    memory: Below::nothing();
    memory_and_disk: Below::disk();
    memory_and_persistent_tier: Below::persistent_memory();
    memory_and_three_tiers: Below::three();
}
