//! Many pictures, answered in their order; hard ones ask the cloud together, in one frame.

use fogline::frame::{MAX_BATCH, MAX_FRAME};

use super::answer::Answer;
use super::pair::{EdgePass, Session};
use super::quota::{Exceeded, Quota};
use crate::cloud::{Asked, Client, CloudError, Transport};

/// What a sample takes in a frame beside its map, and a frame beside its samples, at most.
const BESIDE: usize = 64;
/// The most that wait, behind a hard one, for others to ask together with.
const LONGEST: usize = 1024;

/// A picture that has been through the edge.
#[derive(Debug, Clone)]
pub struct Passed {
    /// What the edge found.
    pub pass: EdgePass,
    /// Milliseconds it took.
    pub ms: f64,
}

/// Pictures, called by a `K`, that wait for their answers. What came to no pass is an `E`, and keeps its place.
pub struct Batch<K, E> {
    waiting: Vec<Queued<K, E>>,
    hard: usize,
    most: usize,
    quota: Option<Quota>,
}

struct Queued<K, E> {
    key: K,
    passed: Result<Passed, E>,
    /// Hard, and not to be sent.
    spared: Option<Exceeded>,
}

impl<K, E> Queued<K, E> {
    /// The map to send.
    fn map(&self) -> Option<&Vec<u8>> {
        self.passed.as_ref().ok()?.pass.map.as_ref().filter(|_| self.spared.is_none())
    }
}

impl<K, E> Batch<K, E> {
    /// A batch that asks for `most` samples at once; for fewer where a frame does not hold as many.
    pub fn new(session: &Session, most: usize) -> Self {
        Self { waiting: vec![], hard: 0, most: self::most(session, most), quota: None }
    }

    /// The same, sending no more than a quota of pictures.
    #[must_use]
    pub fn within(self, quota: Option<Quota>) -> Self {
        Self { quota, ..self }
    }

    /// Adds a picture.
    pub fn push(&mut self, key: K, passed: Result<Passed, E>) {
        let spared = match (&mut self.quota, &passed) {
            (Some(quota), Ok(passed)) => quota.pass(&passed.pass).err(),
            _ => None,
        };
        let waiting = Queued { key, passed, spared };
        self.hard += usize::from(waiting.map().is_some());
        self.waiting.push(waiting);
    }

    /// Whether there is something to answer and no more to wait for.
    pub fn is_due(&self) -> bool {
        let enough = self.hard == 0 || self.hard >= self.most || self.waiting.len() >= LONGEST;
        enough && !self.waiting.is_empty()
    }

    /// Answers all that wait. Every hard one has its own outcome, though one request asks for all.
    pub async fn answer<T: Transport>(
        &mut self,
        session: &Session,
        cloud: Option<&Client<T>>,
        request_id: [u8; 16],
    ) -> Vec<(K, Result<Answer, E>)> {
        let maps: Vec<Vec<u8>> =
            self.waiting.iter().filter_map(|waiting| waiting.map().cloned()).collect();
        let mut outcomes = match cloud {
            Some(cloud) if !maps.is_empty() => {
                let request = session.request(maps, request_id);
                cloud.ask(&request, session.manifest().classes.len()).await
            }
            _ => maps.iter().map(|_| Asked::not_configured()).collect(),
        }
        .into_iter();
        self.hard = 0;
        let answered = self.waiting.drain(..).map(|waiting| {
            let outcome = match &waiting.spared {
                Some(exceeded) => {
                    Some(Asked::not_asked(CloudError::OverQuota(exceeded.to_string())))
                }
                None => waiting.map().and_then(|_| outcomes.next()),
            };
            let answer = |Passed { pass, ms }| session.answer(&pass, outcome, ms);
            (waiting.key, waiting.passed.map(answer))
        });
        answered.collect()
    }
}

/// As many samples of `most` as one request holds.
pub fn most(session: &Session, most: usize) -> usize {
    let fit = (MAX_FRAME - BESIDE) / (session.manifest().payload_bytes() + BESIDE);
    most.min(fit).clamp(1, MAX_BATCH)
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;

    use fogline::frame::{Request, Response};

    use super::*;
    use crate::cloud::{Reply, TransportError};
    use crate::kernel::Backend;

    /// A function that gives sample `i` of a request to class `i`, and keeps how many it was asked for.
    #[derive(Default)]
    struct Counting {
        asked: RefCell<Vec<usize>>,
        away: bool,
    }

    impl Transport for &Counting {
        async fn post(&self, body: &[u8], _: Duration) -> Result<Reply, TransportError> {
            let request = Request::decode(body).unwrap();
            self.asked.borrow_mut().push(request.tensors.len());
            if self.away {
                return Err(TransportError::Late);
            }
            let scores =
                |sample| (0..5).map(|class| f32::from(u8::from(class == sample))).collect();
            let scores = (0..request.tensors.len()).map(scores).collect();
            let body = Response { request_id: request.request_id, scores }.encode().unwrap();
            Ok(Reply { status: 200, retry_after: None, body })
        }

        async fn pause(&self, _: Duration) {}

        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn random(&self) -> f64 {
            0.0
        }
    }

    /// A session whose exits are all sure, or none.
    fn session(sure: bool) -> Session {
        let manifest = include_bytes!("../../tests/tiny/manifest.json");
        let model = include_bytes!("../../tests/tiny/edge.fog");
        let mut session = Session::load(manifest, model, Backend::fastest()).unwrap();
        let threshold = if sure { 99.0 } else { -1.0 };
        session.set_thresholds(&vec![threshold; session.thresholds().len()]).unwrap();
        session
    }

    fn passed(sure: bool) -> Passed {
        Passed { pass: session(sure).run_edge(&[127; 16 * 16 * 3]), ms: 1.0 }
    }

    type Answers = Vec<(usize, Result<Answer, &'static str>)>;

    fn answer(batch: &mut Batch<usize, &'static str>, counting: &Counting) -> Answers {
        let (session, client) = (session(false), Client::new(counting));
        let answering = batch.answer(&session, Some(&client), [1; 16]);
        let Poll::Ready(answers) = pin!(answering).poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("it never waits")
        };
        answers
    }

    #[test]
    fn hard_ones_ask_together_and_all_keep_their_order() {
        let counting = Counting::default();
        let mut batch = Batch::new(&session(false), 2);
        assert!(!batch.is_due());
        let all = [Ok(passed(false)), Ok(passed(true)), Err("no picture"), Ok(passed(false))];
        for (key, passed) in all.into_iter().enumerate() {
            batch.push(key, passed);
            assert_eq!(batch.is_due(), key == 3, "{key}");
        }
        let answers = answer(&mut batch, &counting);
        let said: Vec<_> = answers
            .iter()
            .map(|(key, answer)| match answer {
                Ok(answer) => (*key, answer.origin.as_str(), answer.index),
                Err(error) => (*key, *error, 0),
            })
            .collect();
        assert_eq!(said[0], (0, "cloud", 0));
        assert_eq!(said[1].1, "exit-1");
        assert_eq!(said[2], (2, "no picture", 0));
        assert_eq!(said[3], (3, "cloud", 1));
        assert_eq!(*counting.asked.borrow(), [2]);
        assert!(!batch.is_due());
    }

    #[test]
    fn where_none_is_hard_nothing_waits_and_nothing_is_asked() {
        let counting = Counting::default();
        let mut batch = Batch::new(&session(false), 8);
        batch.push(0, Ok(passed(true)));
        assert!(batch.is_due());
        assert_eq!(answer(&mut batch, &counting).len(), 1);
        assert!(counting.asked.borrow().is_empty());
    }

    #[test]
    fn a_cloud_that_is_away_degrades_every_hard_one() {
        let counting = Counting { away: true, ..Counting::default() };
        let mut batch = Batch::new(&session(false), 3);
        for key in 0..3 {
            batch.push(key, Ok(passed(false)));
        }
        for (_, answer) in answer(&mut batch, &counting) {
            let degraded = answer.unwrap().degraded.expect("marked");
            assert_eq!(degraded.reason, "cloud_late");
        }
    }

    #[test]
    fn what_is_over_the_quota_is_answered_here_in_its_place() {
        let counting = Counting::default();
        let session = session(false);
        let quota = Quota::new(0.5, session.policy());
        let mut batch = Batch::new(&session, 2).within(Some(quota));
        for key in 0..4 {
            batch.push(key, Ok(passed(false)));
        }
        let answers = answer(&mut batch, &counting);
        let said: Vec<_> = answers
            .iter()
            .map(|(_, answer)| answer.as_ref().unwrap().degraded.as_ref())
            .map(|degraded| degraded.map_or("cloud", |degraded| &degraded.reason))
            .collect();
        assert_eq!(said, ["over_quota", "cloud", "over_quota", "cloud"]);
        assert_eq!(*counting.asked.borrow(), [2]);
        let over = answers[0].1.as_ref().unwrap();
        assert_eq!((over.bytes_sent, over.timings.cloud_ms), (0, 0.0));
        assert!(over.degraded.as_ref().unwrap().map.is_none(), "not to be asked later");
    }

    #[test]
    fn a_batch_is_no_larger_than_a_frame() {
        let session = session(false);
        for (wanted, most) in [(0, 1), (7, 7), (10_000, MAX_BATCH)] {
            assert_eq!(Batch::<(), ()>::new(&session, wanted).most, most);
        }
    }
}
