//! Many pictures, answered in order. Hard ones ask the cloud together, in one frame.

use fogline::frame::{MAX_BATCH, MAX_FRAME};

use super::answer::Answer;
use super::classify::ask;
use super::offload::Offload;
use super::pair::Session;
use crate::cloud::{Client, Transport};

/// The most bytes that a frame adds to each map, and to the request.
const BESIDE: usize = 64;
/// The most pictures that wait for a request to fill up.
const LONGEST: usize = 1024;

/// The sizes of requests, and what else decides about what is sent.
pub struct Batch {
    most: usize,
    offload: Offload,
}

impl Batch {
    /// Sends up to `most` samples per request, or as many as fit a frame.
    pub fn new(session: &Session, most: usize) -> Self {
        Self { most: self::most(session, most), offload: Offload::default() }
    }

    /// Sends what these limits and audits allow or demand.
    #[must_use]
    pub fn offloading(self, offload: Offload) -> Self {
        Self { offload, ..self }
    }

    /// Takes pictures, each a key with its RGB bytes or with an error, and returns answers in the same order; `None` at the
    /// end. Easy pictures are answered at once. From the first hard or audited picture on, it takes pictures until a request is
    /// full or there are no more.
    ///
    /// # Panics
    /// If a picture does not have the model's input size.
    pub async fn next<K, P: AsRef<[u8]>, E, T: Transport>(
        &mut self,
        session: &mut Session,
        cloud: Option<&Client<T>>,
        pictures: &mut impl Iterator<Item = (K, Result<P, E>)>,
    ) -> Option<Vec<(K, Result<Answer, E>)>> {
        let (mut drafts, mut hard) = (vec![], 0);
        for (key, picture) in pictures {
            let chance = cloud.map_or(1.0, Client::fraction);
            let draft = picture.map(|rgb| self.offload.draft(session, rgb.as_ref(), chance, None));
            hard += usize::from(draft.as_ref().is_ok_and(|draft| draft.to_send().is_some()));
            drafts.push((key, draft));
            if hard == 0 || hard >= self.most || drafts.len() >= LONGEST {
                break;
            }
        }
        if drafts.is_empty() {
            return None;
        }
        let manifest = session.manifest();
        let drafted = drafts.iter().filter_map(|(_, draft)| draft.as_ref().ok());
        let maps = drafted.filter_map(|draft| draft.to_send().cloned()).collect();
        let (asked, request_id) =
            ask(manifest, session.coder().map(AsRef::as_ref), maps, cloud).await;
        let mut asked = asked.into_iter();
        let answered = drafts.into_iter().map(|(key, draft)| {
            let answer = draft.map(|draft| {
                let asked = draft.to_send().and_then(|_| asked.next());
                draft.conclude(manifest, asked, request_id)
            });
            (key, answer)
        });
        Some(answered.collect())
    }
}

/// `most`, or the number of samples that fit one request, if that is less.
pub fn most(session: &Session, most: usize) -> usize {
    most.min(fitting(session.manifest().payload_bytes())).clamp(1, MAX_BATCH)
}

/// The number of maps of `bytes` each that fit one frame.
fn fitting(bytes: usize) -> usize {
    (MAX_FRAME - BESIDE) / (bytes + BESIDE)
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;

    use fogline::frame::{Request, Response, Tensor};
    use fogline::packed::packed_len;
    use fogline::policy::Policy;

    use super::*;
    use crate::cloud::{Reply, TransportError};
    use crate::kernel::Backend;
    use crate::session::Audit;
    use crate::session::quota::Quota;

    /// A cloud that assigns sample `i` of a request to class `i`, and records the number of samples in each request.
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

        fn random(&self) -> [u8; 16] {
            [1; 16]
        }
    }

    /// An easy picture, and a hard one.
    const PICTURES: [[u8; 16 * 16 * 3]; 2] = [[0; _], [127; _]];
    const EASY: usize = 0;
    const HARD: usize = 1;

    /// A session whose exits are sure of the easy picture only.
    fn session() -> Session {
        let manifest = include_bytes!("../../tests/tiny/manifest.json");
        let model = include_bytes!("../../tests/tiny/edge.fog");
        let mut session = Session::load(manifest, model, Backend::fastest()).unwrap();
        let measures = PICTURES.map(|picture| session.run_edge(&picture).verdicts[0].certainty);
        let [easy, hard] = measures;
        assert!(easy < hard, "entropy of the easy one {easy}, of the hard one {hard}");
        session.decide_by(session.policy(), Some(&[easy, -1.0])).unwrap();
        session
    }

    type Answers = Vec<(usize, Result<Answer, &'static str>)>;

    /// The answers to easy pictures, hard ones and errors, in the groups in which they are returned.
    fn answers(batch: &mut Batch, counting: &Counting, kinds: &[Option<usize>]) -> Vec<Answers> {
        let (mut session, client) = (session(), Client::new(counting));
        let picture = |kind: &Option<usize>| kind.map(|kind| PICTURES[kind]).ok_or("no picture");
        let mut pictures = kinds.iter().map(picture).enumerate();
        let mut groups = vec![];
        loop {
            let next = pin!(batch.next(&mut session, Some(&client), &mut pictures));
            let Poll::Ready(answers) = next.poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("it never waits")
            };
            let Some(answers) = answers else { return groups };
            groups.push(answers);
        }
    }

    fn reasons(answers: &Answers) -> Vec<&str> {
        let degraded = answers.iter().map(|(_, answer)| answer.as_ref().unwrap().degraded.as_ref());
        degraded.map(|degraded| degraded.map_or("", |degraded| &degraded.reason)).collect()
    }

    #[test]
    fn hard_ones_ask_together_and_all_keep_their_order() {
        let counting = Counting::default();
        let kinds = [Some(EASY), Some(HARD), Some(EASY), None, Some(HARD), Some(HARD)];
        let groups = answers(&mut Batch::new(&session(), 2), &counting, &kinds);
        let said = |(key, answer): &(usize, Result<Answer, &'static str>)| match answer {
            Ok(answer) => (*key, answer.origin.clone(), answer.index),
            Err(error) => (*key, (*error).to_owned(), 0),
        };
        let said: Vec<Vec<_>> =
            groups.iter().map(|group| group.iter().map(said).collect()).collect();
        // An easy picture waits for nothing.
        assert_eq!((said[0].len(), said[0][0].1.as_str()), (1, "exit-1"));
        assert_eq!(said[1][0], (1, "cloud".to_owned(), 0));
        assert_eq!((said[1][1].0, said[1][1].1.as_str()), (2, "exit-1"));
        assert_eq!(said[1][2], (3, "no picture".to_owned(), 0));
        assert_eq!(said[1][3], (4, "cloud".to_owned(), 1));
        // Nor does the last one.
        assert_eq!(said[2], [(5, "cloud".to_owned(), 0)]);
        assert_eq!(said.len(), 3);
        assert_eq!(*counting.asked.borrow(), [2, 1]);
    }

    #[test]
    fn where_none_is_hard_nothing_is_asked() {
        let counting = Counting::default();
        let groups = answers(&mut Batch::new(&session(), 8), &counting, &[Some(EASY); 3]);
        assert_eq!(groups.len(), 3);
        assert!(counting.asked.borrow().is_empty());
    }

    #[test]
    fn a_cloud_that_is_away_degrades_every_hard_one_and_leaves_its_question() {
        let counting = Counting { away: true, ..Counting::default() };
        let groups = answers(&mut Batch::new(&session(), 3), &counting, &[Some(HARD); 3]);
        assert_eq!(reasons(&groups[0]), ["cloud_late"; 3]);
        for (_, answer) in &groups[0] {
            let degraded = answer.as_ref().unwrap().degraded.as_ref().unwrap();
            let question = degraded.question.as_ref().expect("it may be answered another time");
            assert_eq!((question.request_id, question.tensors.len()), ([1; 16], 1));
        }
    }

    #[test]
    fn what_is_over_the_quota_is_answered_here_in_its_place() {
        let counting = Counting::default();
        let quota = Quota::new(0.5, session().policy());
        let offload = Offload::default().within(Some(quota));
        let mut batch = Batch::new(&session(), 2).offloading(offload);
        let groups = answers(&mut batch, &counting, &[Some(HARD); 4]);
        let said: Vec<&str> = groups.iter().flat_map(reasons).collect();
        assert_eq!(said, ["over_quota", "", "over_quota", ""]);
        let over = groups[0][0].1.as_ref().unwrap();
        assert_eq!((over.bytes_sent, over.timings.cloud_ms), (0, 0.0));
        assert!(over.degraded.as_ref().unwrap().question.is_none(), "not to be asked later");
    }

    #[test]
    fn an_audit_sends_the_map_of_a_sure_picture_and_leaves_its_answer() {
        let counting = Counting::default();
        let audits = || Offload::default().auditing(1.0);
        let mut batch = Batch::new(&session(), 2).offloading(audits());
        let groups = answers(&mut batch, &counting, &[Some(EASY), Some(HARD), Some(EASY)]);
        let all: Vec<&Answer> = groups.iter().flatten().map(|a| a.1.as_ref().unwrap()).collect();
        let origins: Vec<&str> = all.iter().map(|answer| &*answer.origin).collect();
        assert_eq!(origins, ["exit-1", "cloud", "exit-1"]);
        // The cloud has class 0 for the first sample of a request, and class 1 for the second.
        let label = all[0].index;
        let audit = |answer: &Answer| match answer.audit.as_deref() {
            Some(Audit::Answered { index, agrees, .. }) => Some((*index, *agrees)),
            _ => None,
        };
        assert_eq!(audit(all[0]), Some((0, label == 0)));
        assert!(all[1].audit.is_none(), "the cloud answered this one");
        assert_eq!(audit(all[2]), Some((0, label == 0)));
        assert!(all[0].bytes_sent > 0 && all[0].degraded.is_none());
        assert_eq!(all[0].exits.len(), 1, "only the exits that the picture reached");
        assert_eq!(*counting.asked.borrow(), [2, 1]);
        let mut session = session();
        let audited = audits().draft(&mut session, &PICTURES[EASY], 0.0, None);
        assert_eq!(*audited.to_send().unwrap(), session.run_through(&PICTURES[EASY]).1);
    }

    #[test]
    fn an_audit_that_the_cloud_misses_degrades_nothing() {
        let counting = Counting { away: true, ..Counting::default() };
        let mut batch = Batch::new(&session(), 1).offloading(Offload::default().auditing(1.0));
        let groups = answers(&mut batch, &counting, &[Some(EASY)]);
        let answer = groups[0][0].1.as_ref().unwrap();
        assert!(answer.degraded.is_none());
        let missed = Audit::Unanswered { reason: "cloud_late".into() };
        assert_eq!(answer.audit.as_deref(), Some(&missed));
    }

    #[test]
    fn audits_are_a_random_share_and_count_against_the_quota() {
        let (mut session, quota) = (session(), Quota::new(0.1, Policy::Entropy));
        let mut offload = Offload::default().auditing(0.02).within(Some(quota));
        let (mut audits, mut hard) = (0, 0);
        for at in 0..2000_u32 {
            let kind = [EASY, HARD][usize::from(at % 2 == 0)];
            let chance = f64::from(at.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
            let drafted = offload.draft(&mut session, &PICTURES[kind], chance, None);
            let sent = u32::from(drafted.to_send().is_some());
            *[&mut audits, &mut hard][kind] += sent;
        }
        assert!((10..=30).contains(&audits), "{audits} of 1000 sure pictures");
        assert!((140..=160).contains(&hard) && audits + hard <= 200, "{hard} hard ones");
    }

    #[test]
    fn maps_of_photographs_fill_a_frame_and_no_more() {
        for (shape, bits, fit) in
            [([128, 14, 14], 1, 256), ([128, 14, 14], 4, 83), ([256, 28, 28], 8, 5)]
        {
            let bytes = packed_len(shape, bits).unwrap();
            let most = fitting(bytes).min(MAX_BATCH);
            assert_eq!(most, fit);
            let tensors = vec![Tensor { shape, bits, bytes: vec![0xff; bytes] }; most];
            let request = Request { pair: [0xff; 32], request_id: [0xff; 16], tensors };
            assert_eq!(Request::decode(&request.encode().unwrap()).unwrap(), request);
        }
    }

    #[test]
    fn a_batch_is_no_larger_than_a_frame() {
        let session = session();
        for (wanted, most) in [(0, 1), (7, 7), (10_000, MAX_BATCH)] {
            assert_eq!(Batch::new(&session, wanted).most, most);
        }
    }
}
