//! How much memory there is: the cgroup's limit or the machine's.

use std::{fs, path::Path};

/// A control group without a limit says a number near this.
const UNLIMITED: u64 = 1 << 60;

/// Returns the memory this process may use: the smaller of the cgroup's limit (version 2 or 1) and the machine's
/// memory, in bytes; `None` where neither can be read.
pub(crate) fn machine_memory() -> Option<u64> {
    memory_below(Path::new("/"))
}

fn memory_below(root: &Path) -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let total = read(&root.join("proc/meminfo")).and_then(|text| meminfo_total(&text));
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limit = total;
    for (base, file, group) in cgroup_limit_files(&groups) {
        // the limit of every group above counts too
        let mut folder = root.join(base).join(group.trim_start_matches('/'));
        loop {
            let here = read(&folder.join(file)).and_then(|text| text.trim().parse::<u64>().ok());
            limit = [limit, here.filter(|l| *l < UNLIMITED)].into_iter().flatten().min();
            if folder == root.join(base) || !folder.pop() {
                break;
            }
        }
    }
    limit
}

fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cgroup_limit_files(groups: &str) -> Vec<(&'static str, &'static str, &str)> {
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            match (fields.next()?, fields.next()?) {
                ("", group) => Some(("sys/fs/cgroup", "memory.max", group)),
                (names, group) if names.split(',').any(|n| n == "memory") => {
                    Some(("sys/fs/cgroup/memory", "memory.limit_in_bytes", group))
                }
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       8000000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_smallest_limit_on_the_way_up_counts_with_cgroup_2() {
        let root = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/app/web\n"),
            ("sys/fs/cgroup/app/memory.max", "1000000\n"),
            ("sys/fs/cgroup/app/web/memory.max", "max\n"),
        ]);
        assert_eq!(memory_below(root.path()), Some(1_000_000));
    }

    #[test]
    fn cgroup_1_is_read_and_its_unlimited_number_ignored() {
        let unlimited = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(memory_below(unlimited.path()), Some(8_000_000 * 1024));
        let limited = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "123456\n"),
        ]);
        assert_eq!(memory_below(limited.path()), Some(123_456));
    }

    #[test]
    fn a_machine_that_tells_nothing_has_no_known_memory() {
        assert_eq!(memory_below(machine(&[]).path()), None);
    }
}
