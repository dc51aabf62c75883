//! Amounts of memory: as they are written, and what the machine has.

/// Reads an amount: `512 MiB`, `2GB`, `1.5GiB`, or bytes.
///
/// # Errors
/// When it is none; the message says what would be right.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong =
        || "an amount of memory is written like 512MiB, 1.5GiB, 2GB, or as a number of bytes".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" | "k" => 1024.0,
        "mib" | "m" => 1024.0 * 1024.0,
        "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number * unit;
    if !(1e6..1e15).contains(&bytes) {
        return Err("a program needs a megabyte at least, and no machine has a million gigabytes".to_owned());
    }
    Ok(bytes as u64)
}

/// Half of what this process may use: of the machine's memory, or of what its container has. Nothing where the system does
/// not say.
pub fn half_of_all() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    [machine, container].into_iter().flatten().min().map(|all| all / 2)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("512 mib", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("2GB", 2_000_000_000),
            ("2g", 2 << 30),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_would_be_right() {
        for text in ["", "much", "-1", "GiB", "5 apples", "1.2.3MB", "NaN", "inf"] {
            assert!(parse(text).is_err_and(|why| why.contains("is written like 512MiB")), "{text}");
        }
        for text in ["0", "12", "99999999GiB"] {
            assert!(parse(text).is_err_and(|why| why.contains("a megabyte at least")), "{text}");
        }
    }

    #[test]
    fn the_machines_memory_is_read_in_kibibytes() {
        assert_eq!(total("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), Some(24_689_764 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }
}
