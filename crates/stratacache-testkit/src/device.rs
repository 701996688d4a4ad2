//! A device that is full or refuses to be written to.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write as _},
    path::Path,
    process::Command,
};

/// A small file system in memory, to see what a tier does when its device is full or read-only.
///
/// It is a Linux `tmpfs` on a temporary folder of its own, both gone when it is dropped. Mounting needs the right to: a
/// test that may run without it says that it was skipped.
///
/// ```
/// use stratacache_testkit::device::SmallDevice;
///
/// match SmallDevice::mount(1 << 20) {
///     Ok(device) => {
///         device.fill();
///         let error = std::fs::write(device.path().join("one more"), [7; 100]).unwrap_err();
///         assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
///         device.free();
///     }
///     Err(error) => println!("skipped: {error}"),
/// }
/// ```
#[derive(Debug)]
pub struct SmallDevice(tempfile::TempDir);

impl SmallDevice {
    /// Mounts a file system that holds so many bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// Where there is no `mount`, or this process may not use it: with what it said.
    pub fn mount(bytes: u64) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = format!("size={bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(dir.path()))?;
        Ok(Self(dir))
    }

    /// Returns the folder where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left, with a file named `ballast`.
    ///
    /// # Panics
    /// When the device fails otherwise than by being full.
    pub fn fill(&self) {
        let Err(error) = self.write_ballast();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "the device failed before it was full: {error}");
    }

    /// Gives back what [`fill`](Self::fill) has taken.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        let removed = std::fs::remove_file(self.ballast());
        assert!(removed.is_ok(), "there is nothing to free: {removed:?}");
    }

    /// Lets nobody write any more, or lets everybody write again. Files that are open for writing must be closed before.
    ///
    /// # Panics
    /// When the system refuses: something is still open for writing.
    pub fn set_read_only(&self, read_only: bool) {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        let mounted = run(Command::new("mount").args(["-o", options]).arg(self.path()));
        assert!(mounted.is_ok(), "the device stays as it is: {mounted:?}");
    }

    fn write_ballast(&self) -> io::Result<Infallible> {
        let mut ballast = File::create(self.ballast())?;
        loop {
            ballast.write_all(&[7; 4096])?;
        }
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDevice {
    fn drop(&mut self) {
        // lazily, since a tier may still have files open; if it fails, the folder cannot be removed either and is left
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_takes_nothing_until_it_is_freed_and_a_read_only_one_until_it_may_be_written() {
        let device = match SmallDevice::mount(1 << 20) {
            Ok(device) => device,
            Err(error) => return println!("skipped: {error}"),
        };
        let file = device.path().join("file");
        device.fill();
        assert_eq!(std::fs::write(&file, [7; 100]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        device.free();
        std::fs::write(&file, [7; 100]).unwrap();
        device.set_read_only(true);
        assert_eq!(std::fs::write(&file, [8; 100]).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(std::fs::read(&file).unwrap(), [7; 100]);
        device.set_read_only(false);
        std::fs::write(&file, [8; 100]).unwrap();
        let path = device.path().to_owned();
        drop(device);
        assert!(!path.exists(), "neither the file system nor its folder is left");
    }
}
