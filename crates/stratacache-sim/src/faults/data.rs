//! Faults of what the server holds.

use anyhow::{Context as _, Result};
use stratacache_core::stamp::Lane;
use stratacache_testkit::servers::{RedisServer, Reply};

use super::{Fault, lane::key};
use crate::{
    random::Random,
    stage::Stage,
    world::{TENANTS, tenant_id},
};

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    if stage.is_cluster() {
        return on_masters(fault, stage, random).await;
    }
    let duo = stage.duo().await;
    let server = &duo.primary;
    let said = match fault {
        Fault::Trim => {
            let key = control_key(random, &["s"]);
            server.command(&["XTRIM", &key, "MAXLEN", "0"]).await?;
            key
        }
        Fault::ControlKey => {
            let key = control_key(random, &["h", "m0", "m1", "s"]);
            server.command(&["DEL", &key]).await?;
            key
        }
        Fault::FlushAll => {
            server.command(&["FLUSHALL"]).await?;
            String::new()
        }
        Fault::ScriptFlush => {
            server.command(&["SCRIPT", "FLUSH"]).await?;
            String::new()
        }
        _ => return evict(server, stage, random).await,
    };
    stage.injected(fault, 1, said);
    Ok(())
}

/// The same on the masters of a cluster. Who is no master of it, or is dead meanwhile, refuses, and that does not count.
async fn on_masters(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let key = control_key(random, if fault == Fault::Trim { &["s"] } else { &["h", "m0", "m1", "s"] });
    let command: &[&str] = match fault {
        Fault::Trim => &["XTRIM", &key, "MAXLEN", "0"],
        Fault::ControlKey => &["DEL", &key],
        Fault::FlushAll => &["FLUSHALL"],
        _ => &["SCRIPT", "FLUSH"],
    };
    // a key has one owner; everything is lost by one master or by all
    let all = command.len() == 4 || fault == Fault::ControlKey || random.chance(0.5);
    let nodes = stage.cluster().nodes();
    let only = random.below(nodes.len() as u64) as usize;
    let mut masters = Vec::new();
    for (number, node) in nodes.iter().enumerate().filter(|(number, _)| all || *number == only) {
        let is_master = async {
            let role = node.command(&["ROLE"]).await?;
            anyhow::Ok(role.elements().first().and_then(Reply::text).as_deref() == Some("master"))
        };
        if is_master.await.unwrap_or(false) && node.command(command).await.is_ok() {
            masters.push(number);
        }
    }
    if !masters.is_empty() {
        let at = if command.len() == 1 || fault == Fault::ScriptFlush { String::new() } else { format!("{key} ") };
        stage.injected(fault, 1, format!("{at}at {masters:?}"));
    }
    Ok(())
}

/// Draws a control key of a lane that is in use.
fn control_key(random: &mut Random, what: &[&str]) -> String {
    let tenant = random.below(u64::from(TENANTS) + 1) as u32;
    let lane = if tenant == TENANTS { Lane::GLOBAL } else { Lane::of(tenant_id(tenant)) };
    key(lane, random.pick(what))
}

/// Leaves the server less memory than it has in use, or hardly more.
async fn evict(server: &RedisServer, stage: &Stage, random: &mut Random) -> Result<()> {
    let info = server.command(&["INFO", "memory"]).await?.text().unwrap_or_default();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse::<u64>().ok());
    let used = used.context("INFO has no used_memory")?;
    let bytes = (used as f64 * (0.85 + 0.2 * random.unit())) as u64;
    let time = random.millis(50, 500);
    stage.injected(Fault::Evict, 1, format!("{bytes} bytes for {time:?}, {used} in use"));
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru", "maxmemory", &bytes.to_string()]).await?;
    tokio::time::sleep(time).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await?;
    Ok(())
}
