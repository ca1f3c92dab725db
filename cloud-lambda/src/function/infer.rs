//! `POST /infer`: scores for a frame within the deadline, and one log line per request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fogline::frame::{Arrived, Response as Scores};
use fogline::refusal::{DEADLINE, INTERNAL, Refusal};
use http::{Request, Response};
use tracing::warn;

use super::call::Call;
use super::record::Record;
use super::{answer, body};
use crate::plan::Plan;
use crate::plans::Plans;

/// Time reserved before the host's deadline for sending the `deadline` refusal.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Runs inference on the request's frame and logs one line about it. The response carries `server-timing`.
///
/// # Errors
/// The error codes of [`body::frame`], [`Plans::get`], [`Plan::decoded`], [`Plan::check`] and [`Plan::logits`], and `deadline`
/// if the pair was not loaded in time.
pub async fn infer(
    plans: &Arc<Plans>,
    request: &Request<Bytes>,
    call: &Call,
) -> Result<Response<Bytes>, Refusal> {
    static WARM: AtomicBool = AtomicBool::new(false);
    let start = Instant::now();
    let left = |at: Instant| at.saturating_duration_since(start).saturating_sub(LAST_WORD);
    let until = call.deadline.map(|at| start + left(at));
    let cold = !WARM.swap(true, Ordering::Relaxed);
    let mut record = Record { cold, ..Record::of(request, call) };
    let mut answer = answered(plans, request, until, &mut record).await;
    record.outcome = match &answer {
        Ok(_) => "ok".into(),
        Err(refusal) => refusal.error.clone(),
    };
    if let Err(refusal) = &answer {
        warn!(
            request = record.request,
            frame = record.frame,
            error = refusal.error,
            "{}",
            refusal.message
        );
    }
    record.total_ms = ms(start);
    if let (Ok(response), Ok(timing)) = (&mut answer, record.server_timing().parse()) {
        response.headers_mut().insert("server-timing", timing);
    }
    record.print();
    answer
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn answered(
    plans: &Arc<Plans>,
    request: &Request<Bytes>,
    until: Option<Instant>,
    record: &mut Record,
) -> Result<Response<Bytes>, Refusal> {
    let frame = body::frame(request)?;
    record.frame = Some(hex::encode(frame.request_id()));
    record.samples = frame.samples();
    let (plan, scores) = match until {
        None => scores(plans, frame, None, record).await?,
        Some(until) => {
            let late =
                || Refusal::new(DEADLINE, "the model was not loaded in time; try again soon");
            let scores = scores(plans, frame, Some(until), record);
            tokio::time::timeout_at(until.into(), scores).await.map_err(|_| late())??
        }
    };
    answer::scores(request.headers(), &plan, &scores)
}

async fn scores(
    plans: &Arc<Plans>,
    frame: Arrived,
    until: Option<Instant>,
    record: &mut Record,
) -> Result<(Arc<Plan>, Scores), Refusal> {
    let start = Instant::now();
    let plan = plans.get(frame.pair()).await;
    record.load_ms = ms(start);
    let plan = plan?;
    let manifest = plan.manifest();
    record.pair = Some(format!("{}/{}", manifest.name, manifest.version));
    let request_id = frame.request_id();
    let infer = || {
        let frame = plan.decoded(frame)?;
        plan.check(&frame.tensors)?;
        plan.logits(&frame.tensors, until)
    };
    // On this thread: Lambda sends one request at a time, so nobody else waits for it.
    let logits = catch_unwind(AssertUnwindSafe(infer))
        .unwrap_or_else(|_| Err(Refusal::new(INTERNAL, "inference panicked; see the log")))?;
    record.infer_ms = logits.took.as_secs_f64() * 1e3;
    Ok((plan, Scores { request_id, scores: logits.scores }))
}
