//! Data of no tenant, and tags that reach all of them.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use stratacache::{Keyspace, Policy, Tag, hours};

use crate::{Outcome, Tenants, check};

const RATE: Keyspace<str, f64> = Keyspace::new("rate", Policy::ttl(hours(1)));
const OFFER: Keyspace<u32, String> = Keyspace::new("offer", Policy::ttl(hours(1)));

/// What is the same for everybody is loaded once, not once for each.
pub(crate) async fn global_data(tenants: &Tenants) -> Outcome {
    let rates = tenants.cache.global().namespace("rates");
    let loads = Arc::new(AtomicU32::new(0));
    for _of_tenant in 0..100 {
        let loads = Arc::clone(&loads);
        let load = async move || {
            loads.fetch_add(1, SeqCst);
            Ok::<_, Infallible>(1.08)
        };
        rates.get_or_load(RATE.key("EUR/USD"), load).await?;
    }
    check("what is for all is there once", loads.load(SeqCst) == 1 && rates.tenant().is_none())?;
    let seen = tenants.quiet.namespace("rates").get(RATE.key("EUR/USD")).await;
    check("and in no tenant", seen.is_none())?;
    Ok(())
}

/// The price list is for all, and the offers made of it are of each tenant.
pub(crate) async fn global_tags(tenants: &Tenants) -> Outcome {
    let Tenants { cache, quiet, noisy } = tenants;
    let price_list = || Tag::global("price-list");
    for tenant in [quiet, noisy] {
        tenant.insert(OFFER.key(&1), "ten for nine".to_owned()).tag(price_list()).await?;
        tenant.insert(OFFER.key(&2), "by hand".to_owned()).tag("price-list").await?; // a tag of the tenant's own
    }
    check("no tenant can invalidate for all", quiet.invalidate_tag(price_list()).await.is_err())?;
    cache.invalidate_global_tag("price-list").await?;
    let mut there = Vec::new();
    for (tenant, offer) in [(quiet, 1), (noisy, 1), (quiet, 2), (noisy, 2)] {
        there.push(tenant.get(OFFER.key(&offer)).await.is_some());
    }
    check("a global tag reaches what has it, in every tenant", there == [false, false, true, true])?;
    Ok(())
}
