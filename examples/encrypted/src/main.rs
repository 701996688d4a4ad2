//! A disk below memory, encrypted with keys of each tenant: rotation without a flush, and a tenant that is forgotten also by a
//! backup from before.
//!
//! ```text
//! cargo run -p encrypted
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/encryption.md` has the rest.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::{error::Error, fs, io, path::Path, process::ExitCode};

use stratacache::{Cache, Disk, FileKeys, MasterKey, MasterKeys, Namespace, TenantId, seconds};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SECRET: &str = "the recipe of the sauce";

/// Where things are: in an application the keys, the master key and the data lie in three different places.
struct Home<'a>(&'a Path);

impl Home<'_> {
    fn master(&self, name: &str) -> Result<MasterKey> {
        let path = self.0.join(name);
        if !path.exists() {
            MasterKey::create_file(&path)?;
        }
        Ok(MasterKey::from_file(path)?)
    }

    async fn keys(&self, masters: impl Into<MasterKeys>) -> Result<FileKeys> {
        Ok(FileKeys::open(self.0.join("keys"), masters).await?)
    }

    async fn open(&self, data: &str, masters: impl Into<MasterKeys>) -> Result<Cache> {
        let disk = Disk::builder(self.0.join(data)).capacity(64 << 20).open().await?;
        let builder = Cache::builder().memory(16 << 20).tier(disk).encryption(self.keys(masters).await?);
        // patient, since this runs on busy machines, too
        Ok(builder.tier_deadline("disk", seconds(5)).build().await?)
    }
}

fn tenant(cache: &Cache, name: &str) -> Result<Namespace> {
    Ok(cache.tenant(&TenantId::parse(name)?))
}

async fn recipe(cache: &Cache, name: &str) -> Result<Option<String>> {
    Ok(tenant(cache, name)?.get::<String>("recipe").await.map(|found| found.to_string()))
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Tells whether any file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true => holds(&path, text)?,
            false => fs::read(path)?.windows(text.len()).any(|window| window == text.as_bytes()),
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn show(folder: &Path) -> Result<()> {
    let home = Home(folder);
    let cache = home.open("data", home.master("master.key")?).await?;
    for name in ["acme", "globex"] {
        tenant(&cache, name)?.insert("recipe", SECRET.to_owned()).await?;
    }
    cache.close().await?;
    drop(cache);
    check("nothing on the disk can be read without the keys", !holds(folder, SECRET)?)?;
    copy(&folder.join("data"), &folder.join("backup"))?;

    let cache = home.open("data", home.master("master.key")?).await?;
    let found = recipe(&cache, "acme").await?;
    check("a restart with the keys finds it", found.as_deref() == Some(SECRET))?;
    tenant(&cache, "acme")?.rotate_key().await?;
    tenant(&cache, "acme")?.insert("another", SECRET.to_owned()).await?;
    cache.close().await?;
    drop(cache);

    let both = MasterKeys::new(home.master("new.key")?).also(home.master("master.key")?);
    let rewrapped = home.keys(both).await?.rewrap().await?;
    check("the new master key wraps the three keys of two tenants", rewrapped == 3)?;
    let cache = home.open("data", home.master("new.key")?).await?;
    let found = recipe(&cache, "acme").await?;
    check("with new keys of both kinds the old entry is still read", found.as_deref() == Some(SECRET))?;

    tenant(&cache, "acme")?.destroy().await?;
    check("a destroyed tenant is gone", recipe(&cache, "acme").await?.is_none())?;
    check("its neighbour is not", recipe(&cache, "globex").await?.as_deref() == Some(SECRET))?;
    cache.close().await?;
    drop(cache);

    let backup = home.open("backup", home.master("new.key")?).await?;
    check("nor is it in a backup from before", recipe(&backup, "acme").await?.is_none())?;
    check("which has it, but unreadable", backup.stats().tiers[1].unknown_envelopes == 1)?;
    check("and the neighbour's is read", recipe(&backup, "globex").await?.as_deref() == Some(SECRET))?;
    backup.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let shown = match tempfile::tempdir() {
        Ok(folder) => show(folder.path()).await,
        Err(error) => Err(error.into()),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
