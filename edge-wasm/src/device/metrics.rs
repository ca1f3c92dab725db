//! A gateway's metrics, in Prometheus' text format.
//!
//! Add up the [`Metrics`] of several instances for a whole gateway; `Display` writes the text format:
//!
//! ```
//! use fogline_edge::device::metrics::Metrics;
//!
//! let mut all = Metrics::default();
//! for refused in ["too_large", "malformed", "malformed"] {
//!     let mut one = Metrics::default();
//!     one.refuse(refused);
//!     all.add(&one);
//! }
//! assert!(all.to_string().contains("fogline_refused_total{error=\"malformed\"} 2\n"));
//! ```

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::audits::Audits;
use crate::session::Answer;

/// The upper bounds of a histogram's buckets, in seconds. The last bucket has none.
const BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// The limit of distinct codes per metric: some come from the cloud, which may send anything.
const MOST_WORDS: usize = 64;

/// Samples and refusals since counting began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Answers by origin, degraded ones included.
    pub samples: Words,
    /// Degraded answers by the error code of their reason.
    pub degraded: Words,
    /// Requests, and pictures of requests, that got no answer, by error code.
    pub refused: Words,
    /// Bytes of request bodies sent to the cloud.
    pub bytes_sent: u64,
    /// Sure answers that were audited, by exit and class.
    #[serde(default)]
    pub audits: Audits,
    /// Alarms of drift, by the histogram that was off.
    #[serde(default)]
    pub drift_alarms: Words,
    /// Files of metrics that were damaged, and whose counts are lost.
    #[serde(default)]
    pub damaged: u64,
    /// Seconds from a complete request to its answer.
    pub request: Histogram,
    /// Seconds that a sample took on the edge: layers and exits.
    pub edge: Histogram,
    /// Seconds that a sample waited for the cloud, if the cloud was asked.
    pub cloud: Histogram,
}

/// Counts by code or origin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(BTreeMap<String, u64>);

impl Words {
    /// All codes with their counts, sorted by code.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(word, &number)| (word.as_str(), number))
    }

    fn add(&mut self, word: &str, number: u64) {
        let known = self.0.contains_key(word) || self.0.len() < MOST_WORDS;
        *self.0.entry(if known { word } else { "other" }.to_owned()).or_default() += number;
    }
}

/// Numbers of durations in buckets, and their sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Counts per bucket: each duration belongs to the first bound that is not below it, else to the last bucket.
    counts: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

impl Histogram {
    /// Counts a duration in seconds.
    pub fn observe(&mut self, seconds: f64) {
        self.counts[BOUNDS.partition_point(|&bound| bound < seconds)] += 1;
        self.seconds += seconds;
    }

    fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, more)| *sum += more);
        self.seconds += other.seconds;
    }
}

impl Metrics {
    /// Counts an answer, its bytes and its times.
    pub fn answer(&mut self, answer: &Answer) {
        self.samples.add(&answer.origin, 1);
        if let Some(degraded) = &answer.degraded {
            self.degraded.add(&degraded.reason, 1);
        }
        self.audits.count(answer);
        self.bytes_sent += answer.bytes_sent as u64;
        self.edge.observe(answer.timings.edge_ms / 1e3);
        if answer.bytes_sent > 0 {
            self.cloud.observe(answer.timings.cloud_ms / 1e3);
        }
    }

    /// Counts an alarm of drift.
    pub fn drift(&mut self, histogram: &str) {
        self.drift_alarms.add(histogram, 1);
    }

    /// Counts a request or picture that got no answer, by error code.
    pub fn refuse(&mut self, word: &str) {
        self.refused.add(word, 1);
    }

    /// Adds series with the value 0, so that Prometheus sees a code before it is first counted.
    pub fn name(&mut self, reasons: &[&str], refusals: &[&str]) {
        self.samples.add("cloud", 0);
        for reason in reasons {
            self.degraded.add(reason, 0);
        }
        for refusal in refusals {
            self.refused.add(refusal, 0);
        }
    }

    /// Adds the metrics of another instance to these.
    pub fn add(&mut self, other: &Self) {
        for (sums, more) in [
            (&mut self.samples, &other.samples),
            (&mut self.degraded, &other.degraded),
            (&mut self.refused, &other.refused),
            (&mut self.drift_alarms, &other.drift_alarms),
        ] {
            more.iter().for_each(|(word, number)| sums.add(word, number));
        }
        self.audits.add(&other.audits);
        self.bytes_sent += other.bytes_sent;
        self.damaged += other.damaged;
        self.request.add(&other.request);
        self.edge.add(&other.edge);
        self.cloud.add(&other.cloud);
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, "samples", "Answers by origin, degraded ones included.", "origin", &self.samples)?;
        words(f, "degraded", "Degraded answers by reason.", "reason", &self.degraded)?;
        words(f, "refused", "Requests and pictures without an answer.", "error", &self.refused)?;
        audits(f, &self.audits)?;
        let help = "Times that the latest pictures began to differ from the calibration's.";
        words(f, "drift_alarms", help, "histogram", &self.drift_alarms)?;
        head(f, "bytes_sent_total", "Bytes of bodies sent to the cloud.", "counter")?;
        writeln!(f, "fogline_bytes_sent_total {}", self.bytes_sent)?;
        head(
            f,
            "counts_damaged_total",
            "Damaged files of metrics, whose counts are lost.",
            "counter",
        )?;
        writeln!(f, "fogline_counts_damaged_total {}", self.damaged)?;
        histogram(f, "classify", "From a complete request to its answer.", &self.request)?;
        histogram(f, "edge", "A sample in the edge's layers and exits.", &self.edge)?;
        histogram(f, "cloud", "A sample waiting for the cloud, if it was asked.", &self.cloud)
    }
}

fn head(f: &mut fmt::Formatter<'_>, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(f, "# HELP fogline_{name} {help}\n# TYPE fogline_{name} {kind}")
}

fn words(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    help: &str,
    label: &str,
    words: &Words,
) -> fmt::Result {
    head(f, &format!("{name}_total"), help, "counter")?;
    words.iter().try_for_each(|(word, number)| {
        let word = escaped(word);
        writeln!(f, "fogline_{name}_total{{{label}=\"{word}\"}} {number}")
    })
}

fn audits(f: &mut fmt::Formatter<'_>, audits: &Audits) -> fmt::Result {
    head(f, "audits_total", "Sure answers sent to the cloud as well, by outcome.", "counter")?;
    audits.iter().try_for_each(|(exit, class, outcomes)| {
        let (exit, class) = (escaped(exit), escaped(class));
        outcomes.iter().try_for_each(|(outcome, number)| {
            let labels = format!("exit=\"{exit}\",class=\"{class}\",outcome=\"{outcome}\"");
            writeln!(f, "fogline_audits_total{{{labels}}} {number}")
        })
    })
}

/// A label's value, which cannot end the label.
pub fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn histogram(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    help: &str,
    histogram: &Histogram,
) -> fmt::Result {
    head(f, &format!("{name}_seconds"), help, "histogram")?;
    let mut below = 0;
    let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(histogram.counts) {
        below += count;
        writeln!(f, "fogline_{name}_seconds_bucket{{le=\"{bound}\"}} {below}")?;
    }
    writeln!(f, "fogline_{name}_seconds_sum {}", histogram.seconds)?;
    writeln!(f, "fogline_{name}_seconds_count {below}")
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use prometheus_parse::{Scrape, Value};

    use super::*;
    use crate::session::{Audit, Degraded, Timings};

    fn answer(origin: &str, reason: Option<&str>, cloud_ms: f64) -> Answer {
        let degraded = |reason: &str| Degraded {
            reason: reason.into(),
            message: String::new(),
            question: None,
        };
        Answer {
            label: "frog".into(),
            index: 6,
            confidence: 0.9,
            scores: vec![],
            origin: origin.into(),
            degraded: reason.map(degraded),
            exits: vec![],
            timings: Timings { edge_ms: 1.5, cloud_ms, ..Timings::default() },
            bytes_sent: if cloud_ms > 0.0 { 1085 } else { 0 },
            way: None,
            audit: None,
        }
    }

    /// Values by name and label, as Prometheus reads them.
    fn read(counts: &Metrics) -> BTreeMap<String, Value> {
        let text = counts.to_string();
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let named = scrape.samples.into_iter().map(|sample| {
            let labels = sample.labels.iter().map(|(name, value)| format!("{name}={value}"));
            (format!("{}{{{}}}", sample.metric, labels.collect::<String>()), sample.value)
        });
        named.collect()
    }

    #[test]
    fn prometheus_reads_what_was_counted() {
        let mut counts = Metrics::default();
        for _ in 0..3 {
            counts.answer(&answer("exit-1", None, 0.0));
        }
        counts.answer(&answer("cloud", None, 30.0));
        counts.answer(&answer("exit-2", Some("cloud_late"), 10_001.0));
        counts.refuse("too_large");
        counts.request.observe(0.002);
        let read = read(&counts);
        let counter = |name: &str, number: f64| {
            assert_eq!(read.get(name), Some(&Value::Counter(number)), "{name}: {read:?}");
        };
        counter("fogline_samples_total{origin=exit-1}", 3.0);
        counter("fogline_samples_total{origin=exit-2}", 1.0);
        counter("fogline_samples_total{origin=cloud}", 1.0);
        counter("fogline_degraded_total{reason=cloud_late}", 1.0);
        counter("fogline_refused_total{error=too_large}", 1.0);
        counter("fogline_bytes_sent_total{}", 2170.0);
        let buckets = |name: &str| match &read[&format!("fogline_{name}_seconds{{}}")] {
            Value::Histogram(buckets) => {
                buckets.iter().map(|bucket| (bucket.less_than, bucket.count)).collect::<Vec<_>>()
            }
            other => panic!("{name}: {other:?}"),
        };
        // A duration equal to a bound belongs to the bound's bucket.
        let classify = buckets("classify");
        assert_eq!((classify[1], classify[2]), ((0.001, 0.0), (0.002, 1.0)));
        assert_eq!((buckets("edge")[1], buckets("edge")[2]), ((0.001, 0.0), (0.002, 5.0)));
        let cloud = buckets("cloud");
        assert_eq!((cloud[13], cloud[14]), ((10.0, 1.0), (f64::INFINITY, 2.0)));
    }

    #[test]
    fn audits_have_a_series_for_each_exit_class_and_outcome() {
        let mut counts = Metrics::default();
        let answered =
            |agrees| Audit::Answered { label: "cat".into(), index: 3, confidence: 0.5, agrees };
        for audit in [answered(true), answered(false), answered(true)] {
            let answer = answer("exit-1", None, 20.0);
            counts.answer(&Answer { audit: Some(Box::new(audit)), ..answer });
        }
        let text = counts.to_string();
        for (outcome, number) in [("agreed", 2), ("disagreed", 1), ("unanswered", 0)] {
            let labels = format!("exit=\"exit-1\",class=\"frog\",outcome=\"{outcome}\"");
            let series = format!("fogline_audits_total{{{labels}}} {number}");
            assert!(text.lines().any(|line| line == series), "{series}: {text}");
        }
    }

    #[test]
    fn counts_add_up_over_instances_and_survive_their_file() {
        let (mut one, mut other) = (Metrics::default(), Metrics::default());
        one.answer(&answer("exit-1", None, 0.0));
        other.answer(&answer("exit-1", Some("no_cloud"), 0.0));
        other.request.observe(3.0);
        other.refuse("malformed");
        let file = serde_json::to_vec(&other).unwrap();
        one.add(&serde_json::from_slice(&file).unwrap());
        assert_eq!(one.samples.iter().collect::<Vec<_>>(), [("exit-1", 2)]);
        assert_eq!((one.degraded.0["no_cloud"], one.refused.0["malformed"]), (1, 1));
        assert_eq!(one.request, other.request);
    }

    #[test]
    fn a_cloud_of_many_words_does_not_make_as_many_series() {
        let mut counts = Metrics::default();
        for at in 0..10 * MOST_WORDS {
            counts.answer(&answer("exit-1", Some(&format!("word {at}")), 0.0));
        }
        assert_eq!(counts.degraded.iter().count(), MOST_WORDS + 1);
        assert_eq!(counts.degraded.0.values().sum::<u64>(), 10 * MOST_WORDS as u64);
    }

    #[test]
    fn a_word_cannot_break_out_of_its_label() {
        let mut counts = Metrics::default();
        counts.refuse("a\"} 1\nevil_total{a=\"\\");
        let text = counts.to_string();
        let expected = "fogline_refused_total{error=\"a\\\"} 1\\nevil_total{a=\\\"\\\\\"} 1";
        assert!(text.lines().any(|line| line == expected), "{text}");
    }
}
