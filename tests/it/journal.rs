//! The contract of a journal on a real file, and what only a file can go through.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use proptest::prelude::*;
use rusqlite::Connection;
use skypunch::journal::{FileJournal, codec};
use skypunch_actors::{
    domain::{
        Alert, AlertTarget, Batch, Cause, Delivery, DeliveryState, Edge, Event, Incident, Notification,
        NotificationNews, NotifierId, Outcome, Parcel, RawResult, Status, Tally, TargetId, TargetNews,
        Timings, Trace, text,
    },
    journal_contract,
    port::Journal,
    testing::journal_suite::{Disk, ROOMY, announcing, batch, notification, rest, sum},
};
use tempfile::TempDir;
use time::macros::datetime;
use uuid::Uuid;

use crate::repository::root;

journal_contract!(file, Folder::new());

/// A folder that holds a journal.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn file(&self) -> PathBuf {
        self.directory().join("journal.db")
    }
}

#[async_trait]
impl Disk for Folder {
    async fn open(&self, max_bytes: u64) -> Arc<dyn Journal> {
        Arc::new(FileJournal::open(&self.directory(), max_bytes).await.unwrap())
    }

    async fn spoil(&self, number: u64) {
        let connection = Connection::open(self.file()).unwrap();
        let spoilt = "UPDATE batches SET body = zeroblob(length(body)) WHERE number = ?1";
        assert_eq!(connection.execute(spoilt, [number.cast_signed()]).unwrap(), 1);
    }
}

/// A tmpfs of a few megabytes: a disk that can be filled, and made read-only.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Self {
        let folder = TempDir::new().unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"], folder.path());
        Self(folder)
    }

    fn make_read_only(&self) {
        mount(&["-o", "remount,ro"], self.0.path());
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    /// Leaves no room but what is there already.
    fn fill(&self) {
        let mut filler = File::create(self.0.path().join("filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(gone.unwrap().success() || thread::panicking(), "the small disk cannot be unmounted");
    }
}

fn mount(options: &[&str], at: &Path) {
    let mounted = Command::new("mount").args(options).arg(at).output().unwrap();
    assert!(mounted.status.success(), "mount: {}", String::from_utf8_lossy(&mounted.stderr));
}

async fn error_of(directory: &Path) -> String {
    let error = FileJournal::open(directory, ROOMY).await.err().expect("it cannot be opened");
    text::chain(&error)
}

#[tokio::test]
async fn the_journal_is_for_its_owner_alone() {
    let folder = Folder::new();
    let _journal = folder.open(ROOMY).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.directory()), 0o700);
    for entry in fs::read_dir(folder.directory()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_journal_that_another_process_holds_is_left_to_it() {
    let folder = Folder::new();
    let journal = folder.open(ROOMY).await;
    let error = error_of(&folder.directory()).await;
    assert!(error.contains("another process holds the journal") && error.contains("end it"), "{error}");
    journal.append(1, &batch(1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let disk = SmallDisk::mount(32);
    drop(FileJournal::open(&disk.directory(), ROOMY).await.unwrap());
    disk.make_read_only();
    let error = error_of(&disk.directory()).await;
    assert!(error.contains("cannot be kept in") && error.contains("Read-only file system"), "{error}");
    let error = error_of(Path::new("/dev/null/journal")).await;
    assert!(error.contains("cannot be kept in /dev/null/journal"), "{error}");
}

#[tokio::test]
async fn a_file_of_a_newer_skypunch_is_left_as_it_is() {
    let folder = Folder::new();
    drop(folder.open(ROOMY).await);
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch("PRAGMA user_version = 2; PRAGMA application_id = 0x736b0002").unwrap();
    drop(connection);
    let before = fs::read(folder.file()).unwrap();
    let error = error_of(&folder.directory()).await;
    assert!(error.contains("was made by a newer skypunch"), "{error}");
    assert_eq!(fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_batch_of_a_newer_skypunch_is_set_aside() {
    let folder = Folder::new();
    let journal = folder.open(ROOMY).await;
    for number in 1..=3 {
        journal.append(number, &batch(number, 1)).await.unwrap();
    }
    drop(journal);
    let connection = Connection::open(folder.file()).unwrap();
    let body = b"whatever it may be";
    let mut key = [0; 16];
    (key[0], key[8]) = (2, 1);
    let newer = "UPDATE batches SET format = ?1, checksum = ?2, body = ?3 WHERE number = 2";
    let checksum = codec::checksum(&key, codec::FORMAT + 1, body);
    assert_eq!(connection.execute(newer, (codec::FORMAT + 1, checksum, &body[..])).unwrap(), 1);
    drop(connection);
    let numbers: Vec<_> = rest(&folder.open(ROOMY).await, 0).await.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, [1, 3]);
    let connection = Connection::open(folder.file()).unwrap();
    let aside = connection.query_row("SELECT number, body FROM aside", (), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    assert_eq!(aside.unwrap(), (2, body.to_vec()));
}

#[tokio::test]
async fn a_full_disk_costs_the_oldest_results_and_nothing_else() {
    let disk = SmallDisk::mount(24);
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(&disk.directory(), ROOMY).await.unwrap());
    let (mut written, mut dropped, mut told) = (Vec::new(), 0, Vec::new());
    for number in 1..=400 {
        if number == 100 {
            disk.fill();
        }
        let mut batch = batch(number * 2, 500);
        if number % 20 == 0 {
            let notification = notification(7, number);
            batch.merge(announcing(&notification));
            told.push(notification.id);
        }
        dropped += journal.append(number, &batch).await.unwrap().dropped;
        written.push(batch);
    }
    let batches = rest(&journal, 0).await;
    assert_eq!(sum(batches.iter().map(|(_, batch)| batch)), sum(&written));
    let kept: usize = batches.iter().map(|(_, batch)| batch.results.len()).sum();
    assert!(dropped > 0 && kept > 0, "{dropped} dropped, {kept} kept");
    assert_eq!(kept as u64 + dropped, 400 * 500);
    let parcels = journal.undelivered(1_000).await.unwrap();
    assert_eq!(parcels.iter().map(|parcel| parcel.notification.id).collect::<Vec<_>>(), told);

    fs::remove_file(disk.0.path().join("filler")).unwrap();
    drop(journal);
    let journal = FileJournal::open(&disk.directory(), ROOMY).await.unwrap();
    assert_eq!(journal.append(401, &batch(401, 500)).await.unwrap().dropped, 0);
    assert_eq!(fs::metadata(disk.directory().join("spare")).unwrap().len(), 8 << 20);
}

#[tokio::test]
async fn a_journal_that_was_emptied_gives_its_room_back() {
    let folder = Folder::new();
    let journal = folder.open(ROOMY).await;
    for number in 1..=300 {
        journal.append(number, &batch(number, 1_000)).await.unwrap();
    }
    let full = fs::metadata(folder.file()).unwrap().len();
    assert!(full > 20 << 20, "{full} bytes");
    for through in 201..=300 {
        journal.forget(through).await.unwrap();
    }
    drop(journal);
    let emptied = fs::metadata(folder.file()).unwrap().len();
    assert!(emptied < 18 << 20, "{emptied} bytes");
}

/// Two batches in which every field has a value.
fn of_every_field() -> [Batch; 2] {
    let at = datetime!(2026-01-02 03:04:05.678_901_234 UTC);
    let mut trace = Trace::new(at);
    trace.push(Duration::from_micros(17), "resolve");
    trace.push(Duration::from_secs(3), "no such host");
    let outcome = Outcome {
        failure: Some(Cause::Timeout),
        reason: "no answer within 3 s".to_owned(),
        http_status: Some(503),
        timings: Timings {
            dns: Some(Duration::from_nanos(1)),
            connect: Some(Duration::from_micros(2)),
            tls: Some(Duration::from_millis(3)),
            ttfb: Some(Duration::from_secs(4)),
            total: Duration::new(5, 6),
        },
        trace,
    };
    let incident = Incident { failed_probes: 7, ..Incident::begin(at, 8) };
    let edge = Edge { from: Status::Pass, to: Status::Fail };
    let mut first = Batch::default();
    first.add(TargetId(9), TargetNews::of(&outcome, at, Status::Fail, Some(edge), Some(incident)));
    for (id, cause) in (10..).zip(Cause::ALL) {
        let outcome = Outcome { failure: Some(cause), ..outcome.clone() };
        first.add(TargetId(id), TargetNews::of(&outcome, at, Status::Unknown, None, None));
    }
    first.results.push(RawResult {
        target: TargetId(u64::MAX),
        at_ms: -1,
        status: Status::New,
        cause: Some(Cause::Dns),
        http_status: Some(200),
        dns_us: Some(1),
        connect_us: Some(200),
        tls_us: Some(30_000),
        ttfb_us: Some(4_000_000),
        total_us: u32::MAX,
        late: true,
        skipped: 5,
        frequency_s: 86_400,
    });
    let alert = Alert {
        event: Event::Fail,
        at,
        target: AlertTarget {
            id: TargetId(9),
            name: "Zürich".to_owned(),
            url: "https://example.org/".to_owned(),
            method: "GET".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
        },
        status: Status::Fail,
        previous_status: Status::Pass,
        incident: Some(incident),
        outcome: Arc::new(outcome),
        tally: Tally {
            pass_count: 1,
            fail_count: 2,
            count200: 3,
            count300: 4,
            count400: 5,
            count500: 6,
            network_fails: 7,
            repeated_fails: 8,
        },
    };
    let notification =
        Notification { id: Uuid::from_u128(0x1234), notifier: NotifierId(11), alert: Arc::new(alert) };
    first.merge(announcing(&notification));

    let mut second = Batch::default();
    let over = incident.end(at + Duration::from_secs(60));
    let edge = Edge { from: Status::Fail, to: Status::Pass };
    let passed = Outcome::pass("200 OK");
    second.add(TargetId(9), TargetNews::of(&passed, at, Status::Pass, Some(edge), Some(over)));
    let delivery = Delivery {
        state: DeliveryState::Sending,
        attempts: 3,
        last_error: Some("the receiver answered 500".to_owned()),
        at,
    };
    second.tell(notification.id, NotificationNews::of(&Parcel { notification, delivery }));
    [first, second]
}

/// Whoever makes this fail has changed what is stored: that needs a new format, and a reader of the old one.
#[tokio::test]
async fn a_journal_of_the_first_format_is_read_for_ever() {
    let folder = Folder::new();
    fs::create_dir(folder.directory()).unwrap();
    fs::copy(root().join("tests/it/fixtures/journal/format-1.db"), folder.file()).unwrap();
    let journal = folder.open(ROOMY).await;
    let expected = of_every_field();
    let read = rest(&journal, 0).await;
    assert_eq!(read.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    for ((_, read), expected) in read.iter().zip(&expected) {
        assert_eq!(format!("{read:#?}"), format!("{expected:#?}"));
    }
    let [parcel] = &journal.undelivered(10).await.unwrap()[..] else { panic!("one is undelivered") };
    let (id, news) = expected[0].notifications.first_key_value().unwrap();
    assert_eq!((parcel.notification.id, parcel.notification.notifier), (*id, news.notifier));
    assert_eq!(format!("{:?}", Some(&parcel.notification.alert)), format!("{:?}", news.alert.as_ref()));
    assert_eq!(parcel.delivery, expected[1].notifications[id].delivery);

    drop(journal);
    let connection = Connection::open(folder.file()).unwrap();
    let mut select = connection.prepare("SELECT format, body FROM batches ORDER BY number").unwrap();
    let stored = select.query_map((), |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?)));
    for (stored, expected) in stored.unwrap().zip(&expected) {
        assert_eq!(stored.unwrap(), (1, codec::write_batch(expected)));
    }
}

/// Appends and says so until somebody ends the process.
#[tokio::test]
#[ignore = "runs as a process of its own, which the next test kills"]
async fn appends_until_it_is_killed() {
    let directory = PathBuf::from(std::env::var_os("SKYPUNCH_TEST_JOURNAL").unwrap());
    let journal = FileJournal::open(&directory, 1 << 20).await.unwrap();
    for number in journal.last() + 1.. {
        let mut batch = batch(number, 100);
        if number % 7 == 0 {
            batch.merge(announcing(&notification(7, number % 1_000)));
        }
        let dropped = journal.append(number, &batch).await.unwrap().dropped;
        if number % 100 == 0 {
            journal.forget(number - 50).await.unwrap();
        }
        println!("kept {number} {dropped}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_that_it_said_it_kept() {
    let folder = Folder::new();
    let mut last = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "journal::appends_until_it_is_killed"])
            .env("SKYPUNCH_TEST_JOURNAL", folder.directory())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut kept = lines.filter_map(|line| {
            let numbers = line.split_once("kept ")?.1.to_owned();
            numbers.split_once(' ')?.0.parse::<u64>().ok()
        });
        // The pipe holds some lines, so that it is killed anywhere in the next.
        for _ in 0..17 + round * 13 {
            last = kept.next().expect("it appends");
        }
        child.kill().unwrap();
        last = kept.last().unwrap_or(last);
        child.wait().unwrap();

        let journal = folder.open(1 << 20).await;
        assert!((last..=last + 1).contains(&journal.last()), "{last} was kept, not {}", journal.last());
        last = journal.last();
        let batches = rest(&journal, 0).await;
        assert_eq!(batches.last().map(|(number, _)| *number), Some(last));
        for (number, found) in batches.iter().filter(|(_, batch)| !batch.results.is_empty()) {
            assert_eq!(found.results, batch(*number, 100).results, "{number}");
        }
        let told = journal.undelivered(usize::MAX).await.unwrap().len() as u64;
        assert_eq!(told, last / 7);
    }
}

/// A journal of some batches, as a process that is killed leaves it.
struct Left {
    folder: Folder,
    node: Uuid,
    /// How long the log of SQLite was after each batch.
    log: Vec<u64>,
}

const BATCHES: u64 = 24;

impl Left {
    async fn new() -> Self {
        let folder = Folder::new();
        let journal = folder.open(ROOMY).await;
        let mut log = Vec::new();
        for number in 1..=BATCHES {
            journal.append(number, &written(number)).await.unwrap();
            log.push(fs::metadata(folder.directory().join("journal.db-wal")).unwrap().len());
        }
        assert!(log.is_sorted(), "it was not written back meanwhile");
        let copy = Folder::new();
        fs::create_dir(copy.directory()).unwrap();
        for name in ["journal.db", "journal.db-wal"] {
            fs::copy(folder.directory().join(name), copy.directory().join(name)).unwrap();
        }
        Self { folder: copy, node: journal.node(), log }
    }

    /// The same, written back to the file as a process that ends in good order does.
    async fn closed(self) -> Self {
        drop(self.folder.open(ROOMY).await);
        assert!(!self.folder.directory().join("journal.db-wal").exists());
        self
    }

    /// A copy of it, of which `harm` spoils the bytes of one file.
    fn harmed(&self, name: &str, harm: impl FnOnce(&mut Vec<u8>)) -> Folder {
        let copy = Folder::new();
        fs::create_dir(copy.directory()).unwrap();
        for entry in fs::read_dir(self.folder.directory()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.directory().join(entry.file_name())).unwrap();
        }
        let path = copy.directory().join(name);
        let mut bytes = fs::read(&path).unwrap();
        harm(&mut bytes);
        fs::write(path, bytes).unwrap();
        copy
    }

    /// Opens what was harmed, works with it, and tells which batches and how many notifications are left.
    async fn left_in(&self, harmed: &Folder) -> (Vec<u64>, usize) {
        let mut journal = harmed.open(ROOMY).await;
        let found = rest(&journal, 0).await;
        for (number, batch) in &found {
            assert_eq!(format!("{batch:?}"), format!("{:?}", written(*number)), "{number}");
        }
        let told = journal.undelivered(1_000).await.unwrap().len();
        let next = journal.last().max(BATCHES) + 1;
        journal.append(next, &batch(next, 3)).await.unwrap();
        drop(journal);
        journal = harmed.open(ROOMY).await;
        assert_eq!(journal.last(), next);
        assert_eq!(rest(&journal, 0).await.len(), found.len() + 1);
        assert_eq!(journal.undelivered(1_000).await.unwrap().len(), told);
        journal.forget(next).await.unwrap();
        (found.into_iter().map(|(number, _)| number).collect(), told)
    }
}

fn written(number: u64) -> Batch {
    let mut batch = batch(number, 5 + number * 7 % 60);
    if number.is_multiple_of(4) {
        // With an id that is the same whenever this is called.
        let told = Notification { id: Uuid::from_u128(number.into()), ..notification(7, number) };
        batch.merge(announcing(&told));
    }
    batch
}

#[tokio::test]
async fn a_torn_log_costs_at_most_what_was_torn() {
    let left = Left::new().await;
    let length = *left.log.last().unwrap();
    let mut cuts: Vec<u64> = left.log.iter().flat_map(|&end| [end - 1, end]).collect();
    cuts.extend((0..length).step_by(9_973));
    for cut in cuts {
        let at = usize::try_from(cut).unwrap();
        let truncated = left.harmed("journal.db-wal", |bytes| bytes.truncate(at));
        let garbled = left.harmed("journal.db-wal", |bytes| {
            bytes.iter_mut().skip(at).take(50).for_each(|byte| *byte = !*byte);
        });
        let whole: Vec<u64> =
            (1..=BATCHES).zip(&left.log).filter(|(_, end)| **end <= cut).map(|(n, _)| n).collect();
        for harmed in [truncated, garbled] {
            let (batches, _) = left.left_in(&harmed).await;
            assert!(batches.starts_with(&whole), "cut at {cut}: {batches:?} of {whole:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_zeros_costs_at_most_the_batches_that_it_was_part_of() {
    let left = Left::new().await.closed().await;
    let pages = fs::metadata(left.folder.file()).unwrap().len() / 4096;
    let mut dear = Vec::new();
    for page in 0..pages {
        let at = usize::try_from(page * 4096).unwrap();
        let harmed = left.harmed("journal.db", |bytes| bytes[at..at + 4096].fill(0));
        let (batches, told) = left.left_in(&harmed).await;
        if batches.len() as u64 + 6 < BATCHES || told < 6 {
            dear.push((page, batches.len(), told));
        }
    }
    // The root of the batches leads to all of them.
    assert!(dear.len() <= 1, "{dear:?}");
}

#[tokio::test]
async fn a_file_that_ends_too_soon_is_mended() {
    let left = Left::new().await.closed().await;
    let length = usize::try_from(fs::metadata(left.folder.file()).unwrap().len()).unwrap();
    for cut in (0..length).step_by(9_973).chain([1, 50, 100, 4095, 4096, 4097]) {
        let harmed = left.harmed("journal.db", |bytes| bytes.truncate(cut));
        left.left_in(&harmed).await;
    }
}

#[tokio::test]
async fn what_is_no_database_is_set_aside_and_the_daemon_starts() {
    let left = Left::new().await.closed().await;
    for size in [0, 7, 4_096, 100_000] {
        let harmed =
            left.harmed("journal.db", |bytes| *bytes = b"hunter2!".repeat(size / 8 + 1)[..size].to_vec());
        left.left_in(&harmed).await;
        let names: Vec<_> = fs::read_dir(harmed.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("journal.db.damaged-"))
            .collect();
        assert_eq!(names.len(), usize::from(size > 0), "{names:?}");
    }
}

#[tokio::test]
async fn who_writes_the_journal_is_known_as_long_as_that_can_be_read() {
    let left = Left::new().await.closed().await;
    let harmed = left.harmed("journal.db", |bytes| bytes[..100].fill(0xff));
    let journal = harmed.open(ROOMY).await;
    assert_eq!((journal.node(), journal.last()), (left.node, BATCHES));
    assert_eq!(rest(&journal, 0).await.len() as u64, BATCHES);
    assert_eq!(journal.undelivered(100).await.unwrap().len() as u64, BATCHES / 4);
}

#[tokio::test]
async fn a_salvage_that_was_interrupted_is_ended_or_begun_again() {
    let left = Left::new().await.closed().await;
    let begun = left.harmed("journal.db", |_| {});
    fs::write(begun.directory().join("journal.db.new"), b"half of it").unwrap();
    assert_eq!(left.left_in(&begun).await.0.len() as u64, BATCHES);
    let moved = left.harmed("journal.db", |_| {});
    fs::rename(moved.file(), moved.directory().join("journal.db.new")).unwrap();
    assert_eq!(left.left_in(&moved).await.0.len() as u64, BATCHES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_over_a_journal_it_opens_and_tells_nothing_that_was_not_written(
        of_log: bool, spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1usize..5_000), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            static LEFT: tokio::sync::OnceCell<(Left, Left)> = tokio::sync::OnceCell::const_new();
            let (killed, closed) = LEFT
                .get_or_init(|| async { (Left::new().await, Left::new().await.closed().await) })
                .await;
            let (left, name) = if of_log { (killed, "journal.db-wal") } else { (closed, "journal.db") };
            let harmed = left.harmed(name, |bytes| {
                for (at, with, length) in &spots {
                    let at = at.index(bytes.len());
                    bytes.iter_mut().skip(at).take(*length).for_each(|byte| *byte ^= with | 1);
                }
            });
            left.left_in(&harmed).await;
        });
    }
}
