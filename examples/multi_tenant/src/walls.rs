//! Names that cannot meet, and a tenant that leaves.

use stratacache::{Keyspace, Policy, TenantId, millis, minutes, seconds};

use crate::{LIMIT, Outcome, Tenants, check};

const THEME: Keyspace<str, String> = Keyspace::new("theme", Policy::ttl(minutes(5)));

/// `cache.get(..)` does not compile: a tenant comes first, and then nothing that its users type leads out of it.
pub(crate) async fn names(tenants: &Tenants) -> Outcome {
    let Tenants { quiet, noisy, .. } = tenants;
    quiet.insert(THEME.key("all"), "dark".to_owned()).await?;
    noisy.insert(THEME.key("all"), "light".to_owned()).await?;
    let (here, there) = (quiet.get(THEME.key("all")).await, noisy.get(THEME.key("all")).await);
    let told_apart = here.is_some_and(|theme| *theme == "dark") && there.is_some_and(|theme| *theme == "light");
    check("the same key in two tenants is two entries", told_apart)?;

    let mut found = 0;
    for typed in ["../quiet", "quiet:all", "quiet/theme/all", "\0quiet\0all", "*", "all"] {
        found += usize::from(noisy.namespace(typed).get(THEME.key("all")).await.is_some());
        found += usize::from(noisy.namespace("quiet").get(THEME.key(typed)).await.is_some());
    }
    check("whatever a user types as a namespace or key stays inside", found == 0)?;
    let refused = ["", ".quiet", "../quiet", "quiet/17", "quiet 17", "quiet*"];
    check("what is no id is refused", refused.iter().all(|id| TenantId::parse(*id).is_err()))?;

    noisy.invalidate_tag("theme").await?;
    noisy.clear().await?;
    check("who empties a tenant empties that one", quiet.get(THEME.key("all")).await.is_some())?;
    Ok(())
}

/// A customer goes: one mark, whatever there is.
pub(crate) async fn leaving(tenants: &Tenants) -> Outcome {
    let Tenants { quiet, noisy, .. } = tenants;
    let kept = quiet.tenant_stats().entries;
    tokio::time::sleep(seconds(1)).await; // it has used up its invalidations of this second
    noisy.clear().await?;
    check("nothing of a cleared tenant is served", noisy.get(THEME.key("all")).await.is_none())?;
    let held = || noisy.tenant_stats().weight.unwrap_or_default();
    let mut polls = 0;
    while held() > LIMIT / 100 && polls < 600 {
        tokio::time::sleep(millis(100)).await;
        polls += 1;
    }
    println!("     it still weighs {} bytes", held());
    check("its memory is free for others", held() <= LIMIT / 100 && noisy.tenant_stats().entries == Some(0))?;
    check("the other has all it had", quiet.tenant_stats().entries == kept)?;
    Ok(())
}
