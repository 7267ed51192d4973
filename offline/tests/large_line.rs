//! A line of a gigabyte, in a process of its own so that its memory can be measured.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use freshrank_offline::tables::{self, ReadOptions};

#[test]
fn a_line_of_a_gigabyte_costs_one_fault_and_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::create(dir.path().join("merchants.csv")).unwrap();
    file.write_all(b"merchant_id,name,latitude,longitude,cuisines\nm1,Kuu,60.17,24.93,\nm2,").unwrap();
    // The hole is read as zeros and takes no room on the disk.
    file.seek(SeekFrom::Start(1 << 30)).unwrap();
    file.write_all(b",60.17,24.93,\nm3,Sea,60.17,24.93,\n").unwrap();
    drop(file);

    let options = ReadOptions { max_bad_share: 0.5, ..ReadOptions::default() };
    let (tables, report) = tables::read(dir.path(), &options).unwrap();
    assert_eq!(tables.merchants.len(), 2);
    let fault = &report.faults["merchants: line too long"];
    assert_eq!(fault.first, ["merchants.csv:3: found a line of more than 1048576 bytes, expected a record"]);

    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 100_000, "held {kib} KiB at most");
    }
}
