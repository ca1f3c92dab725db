use core::cell::RefCell;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use fogline::frame::{Response, Tensor};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::cloud::{Client, Reply, Transport, TransportError};
use crate::kernel::Backend;

fn session() -> Session {
    let manifest = include_bytes!("../../../tests/tiny/manifest.json");
    let model = include_bytes!("../../../tests/tiny/edge.fog");
    Session::load(manifest, model, Backend::fastest()).unwrap()
}

/// A sample of this session, with `mark` as the first byte of its map.
fn request(session: &Session, mark: u8) -> Request {
    session.request(vec![vec![mark; session.manifest().payload_bytes()]], [mark; 16])
}

/// A request whose file takes `bytes`, of any pair.
fn of_size(bytes: u32, picture: &str) -> Request {
    let around = entry::write(picture, &plain(1000)).unwrap().len() as u32 - 1000;
    plain(bytes - around)
}

fn plain(bytes: u32) -> Request {
    let tensor = Tensor { shape: [8, bytes, 1], bits: 1, bytes: vec![1; bytes as usize] };
    Request { pair: [3; 32], request_id: [7; 16], tensors: vec![tensor] }
}

fn files(folder: &TempDir, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        all.filter(|path| path.extension().is_some_and(|is| is == ending)).collect();
    files.sort();
    files
}

fn names(waiting: &[Waiting]) -> Vec<&str> {
    waiting.iter().map(|one| one.picture.as_str()).collect()
}

/// Whether the numbers add up, so that no frame was lost.
fn adds_up(counts: Balance) -> bool {
    let Balance { found, spooled, settled, dropped, damaged, gone, left, .. } = counts;
    found + spooled == settled + dropped + damaged + gone + left
}

/// A cloud that assigns each sample to the class in its map's first byte, after failing some posts.
struct Marks {
    away: RefCell<Vec<Result<Reply, TransportError>>>,
    asked: RefCell<Vec<usize>>,
}

impl Transport for &Marks {
    async fn post(&self, body: &[u8], _: Duration) -> Result<Reply, TransportError> {
        if let Some(fault) = self.away.borrow_mut().pop() {
            return fault;
        }
        let request = Request::decode(body).unwrap();
        self.asked.borrow_mut().push(request.tensors.len());
        let scores = |tensor: &Tensor| {
            (0..5).map(|class| f32::from(u8::from(class == tensor.bytes[0])) * 9.0).collect()
        };
        let scores = request.tensors.iter().map(scores).collect();
        let body = Response { request_id: request.request_id, scores }.encode().unwrap();
        Ok(Reply { status: 200, retry_after: None, body })
    }

    async fn pause(&self, _: Duration) {}

    fn random(&self) -> [u8; 16] {
        [9; 16]
    }
}

fn ask(
    session: &Session,
    client: &Client<&Marks>,
    waiting: Vec<Waiting>,
) -> Result<Vec<Settled>, crate::cloud::CloudError> {
    let asking = settle(session, client, waiting);
    let Poll::Ready(settled) = pin!(asking).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it never waits")
    };
    settled
}

#[test]
fn what_is_kept_is_settled_once_oldest_first_by_another_run() {
    let (folder, session) = (tempdir().unwrap(), session());
    let mut spool = Spool::create(&folder.path().join("new"), 1 << 20).unwrap();
    for mark in 0..5 {
        spool.keep(&format!("{mark}.png"), &request(&session, mark)).unwrap();
    }
    drop(spool);
    let mut spool = Spool::open(&folder.path().join("new"), 1 << 20).unwrap();
    let marks = Marks { away: RefCell::default(), asked: RefCell::default() };
    let client = Client::new(&marks);
    let mut answers = vec![];
    loop {
        let (waiting, troubles) = spool.oldest(&session, 2);
        assert!(troubles.is_empty());
        if waiting.is_empty() {
            break;
        }
        for one in ask(&session, &client, waiting).unwrap() {
            answers.push((one.picture, one.answer.index, one.answer.origin));
            spool.settled(one.name).unwrap();
        }
    }
    let expected = (0..5).map(|mark| (format!("{mark}.png"), mark, "cloud"));
    assert_eq!(answers, expected.collect::<Vec<_>>());
    assert_eq!(*marks.asked.borrow(), [2, 2, 1]);
    let counts = Balance { found: 5, settled: 5, ..Balance::default() };
    assert_eq!(spool.counts(), counts);
    assert_eq!(Spool::open(&folder.path().join("new"), 1).unwrap().counts(), Balance::default());
}

#[test]
fn a_cloud_that_is_away_takes_nothing_out() {
    let (folder, session) = (tempdir().unwrap(), session());
    let mut spool = Spool::create(folder.path(), 1 << 20).unwrap();
    spool.keep("a.png", &request(&session, 1)).unwrap();
    let refusal = || Ok(Reply { status: 404, retry_after: None, body: vec![] });
    let late = || Err(TransportError::Late);
    let marks = Marks {
        away: RefCell::new(vec![refusal(), late(), late(), late()]),
        asked: RefCell::default(),
    };
    let client = Client::new(&marks);
    for word in ["cloud_late", "cloud_refused"] {
        let (waiting, _) = spool.oldest(&session, 9);
        let error = ask(&session, &client, waiting).unwrap_err();
        assert_eq!((error.word(), error.may_pass()), (word, word == "cloud_late"));
        assert_eq!(spool.counts(), Balance { spooled: 1, left: 1, ..Balance::default() });
    }
    let (waiting, _) = spool.oldest(&session, 9);
    assert_eq!(ask(&session, &client, waiting).unwrap()[0].answer.index, 1);
}

#[test]
fn the_line_says_what_was_settled() {
    let (folder, session) = (tempdir().unwrap(), session());
    let mut spool = Spool::create(folder.path(), 1 << 20).unwrap();
    let name = spool.keep("a.png", &request(&session, 1)).unwrap();
    assert_eq!(name.to_string(), "000000000000-01010101");
    let marks = Marks { away: RefCell::default(), asked: RefCell::default() };
    let (waiting, _) = spool.oldest(&session, 1);
    let settled = ask(&session, &Client::new(&marks), waiting).unwrap();
    let line = serde_json::to_value(&settled[0]).unwrap();
    assert_eq!((&line["picture"], &line["spooled"]), (&"a.png".into(), &name.to_string().into()));
    let answer = &line["settled"];
    assert_eq!((&answer["origin"], &answer["index"]), (&"cloud".into(), &1.into()));
    assert!(answer["bytesSent"].as_u64().unwrap() > 0 && answer["scores"][1].as_f64() > Some(0.9));
}

#[test]
fn altered_and_foreign_files_are_said_and_neither_asked_about_nor_removed() {
    let (folder, session) = (tempdir().unwrap(), session());
    let mut spool = Spool::create(folder.path(), 1 << 20).unwrap();
    for mark in 0..5 {
        spool.keep(&format!("{mark}.png"), &request(&session, mark)).unwrap();
    }
    spool.keep("foreign.png", &plain(100)).unwrap();
    let kept = files(&folder, FRAME);
    let mut altered = fs::read(&kept[0]).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&kept[0], altered).unwrap();
    let whole = fs::read(&kept[1]).unwrap();
    fs::write(&kept[1], &whole[..whole.len() / 2]).unwrap();
    fs::write(&kept[2], "").unwrap();
    fs::remove_file(&kept[3]).unwrap();
    let (waiting, troubles) = spool.oldest(&session, 9);
    assert_eq!(names(&waiting), ["4.png"]);
    let said: Vec<_> = troubles.iter().map(|trouble| (trouble.word(), trouble.path())).collect();
    let damaged = |at: usize| ("spool_damaged", Some(kept[at].as_path()));
    assert_eq!(said, [damaged(0), damaged(1), damaged(2)]);
    assert_eq!(files(&folder, DAMAGED).len(), 3);
    let counts = spool.counts();
    assert_eq!((counts.damaged, counts.gone, counts.left, counts.foreign), (3, 1, 2, 1));
    assert!(adds_up(counts));
    // The next run finds the two that are left, and does not reuse a name.
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.counts().found, 2);
    let name = spool.keep("6.png", &request(&session, 6)).unwrap();
    assert_eq!(name.to_string(), "000000000006-06060606");
}

#[test]
fn only_its_own_files_are_a_spool_s() {
    let folder = tempdir().unwrap();
    let strange = [
        "notes.txt",
        "1-2.frame",
        "+00000000001-00000000.frame",
        "000000000001-0000000g.frame",
        "9000000000001-00000000.frame",
    ];
    for name in strange {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    fs::write(folder.path().join("000000000003-00000000.new"), "half").unwrap();
    let mut spool = Spool::create(folder.path(), 4096).unwrap();
    assert_eq!(spool.counts(), Balance::default());
    for _ in 0..3 {
        spool.keep("a", &plain(9)).unwrap();
    }
    assert_eq!(spool.counts().dropped, 2);
    assert!(files(&folder, NEW).is_empty());
    for name in strange {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_that_names_the_place() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Spool::create(&file, 1 << 20).err().unwrap();
    assert_eq!((error.word(), error.path()), ("spool_unwritable", Some(file.as_path())));
    let missing = folder.path().join("missing");
    assert_eq!(Spool::open(&missing, 1 << 20).err().unwrap().word(), "spool_unreadable");
    let mut spool = Spool::create(&missing, 4096).unwrap();
    assert_eq!(spool.keep("a", &plain(4096)).unwrap_err().word(), "spool_too_small");
    fs::remove_dir(&missing).unwrap();
    assert_eq!(spool.keep("a", &plain(9)).unwrap_err().word(), "spool_unwritable");
    let counts = spool.counts();
    assert_eq!((counts.unwritten, counts.spooled), (2, 0));
    assert!(adds_up(counts));
}

proptest! {
    #[test]
    fn a_file_is_read_as_it_was_written_or_not_at_all(
        picture in ".{0,40}", map in vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let mut request = plain(map.len() as u32);
        request.tensors[0].bytes.clone_from(&map);
        let file = entry::write(&picture, &request).unwrap();
        let entry = Entry::parse(&file).unwrap();
        prop_assert_eq!((&entry.picture, &entry.pair), (&picture, &request.pair));
        prop_assert_eq!(&entry.tensor, &request.tensors[0]);
        let at = at.index(file.len());
        let mut altered = file.clone();
        altered[at] ^= 1 << bit;
        prop_assert!(Entry::parse(&altered).is_err());
        prop_assert!(Entry::parse(&file[..at]).is_err());
        prop_assert!(Entry::parse(&[&file[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_bytes_are_worse_than_an_error(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Entry::parse(&bytes).is_err());
        // Also if the digest is right.
        let whole = [b"FOGS\x01", fogline::manifest::sha256_hex(&bytes).as_bytes(), &bytes].concat();
        prop_assert!(Entry::parse(&whole).is_err());
    }

    #[test]
    fn the_newest_stay_within_the_bound(
        blocks in 1..6_u64, sizes in vec(500..9000_u32, 1..12), reopened in any::<prop::sample::Index>(),
    ) {
        let folder = tempdir().unwrap();
        let mut spool = Spool::create(folder.path(), blocks * BLOCK).unwrap();
        let (mut kept, mut dropped) = (vec![], 0);
        for (at, &size) in sizes.iter().enumerate() {
            if at == reopened.index(sizes.len()) {
                dropped += spool.counts().dropped;
                spool = Spool::create(folder.path(), blocks * BLOCK).unwrap();
            }
            match spool.keep("a.png", &of_size(size, "a.png")) {
                Ok(name) => kept.push(name),
                Err(error) => prop_assert_eq!(error.word(), "spool_too_small"),
            }
            let lengths = files(&folder, FRAME).into_iter().map(|path| path.metadata().unwrap().len());
            let taken: u64 = lengths.map(|length| length.next_multiple_of(BLOCK)).sum();
            prop_assert!(taken <= blocks * BLOCK && taken == spool.bytes);
            prop_assert!(adds_up(spool.counts()));
        }
        dropped += spool.counts().dropped;
        let left: Vec<_> = spool.held.keys().copied().collect();
        prop_assert_eq!(&kept[dropped as usize..], &left[..]);
    }
}
