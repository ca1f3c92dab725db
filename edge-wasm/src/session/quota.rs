//! A limit of the offload rate: the most doubtful of the latest pictures go to the cloud, up to a share.
//!
//! A [`Quota`] sees every picture. At any moment, from the first picture on, at most the allowed share of the latest
//! [`WINDOW`] pictures was sent. A hard picture is sent only if it is among the most doubtful ones of the window. The last
//! exit's effective threshold thus follows the pictures: the more hard ones there are, the stricter it gets.

use core::fmt;
use std::collections::VecDeque;

use fogline::policy::Policy;

use crate::cloud::CloudError;

/// The number of latest pictures that a quota considers.
pub const WINDOW: usize = 256;

/// A picture in the window.
#[derive(Clone, Copy)]
struct Seen {
    /// Greater means less sure; minus infinity if an exit was sure.
    doubt: f32,
    sent: Sent,
}

/// Whether a picture was sent, and why.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    No,
    Hard,
    Audit,
}

/// A limit of the share of pictures that go to the cloud.
pub struct Quota {
    share: f64,
    /// The part of `share` that is for audits.
    reserved: f64,
    policy: Policy,
    latest: VecDeque<Seen>,
}

/// Why a picture is not sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exceeded {
    /// The allowed share, from 0 to 1.
    pub share: f64,
    /// The last exit's effective threshold at this moment. `None` if all hard pictures of the window would be within the
    /// share, but too many of them came at once.
    pub threshold: Option<f32>,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {}% of the latest pictures may go to the cloud", self.share * 100.0)?;
        match self.threshold {
            Some(threshold) => write!(f, ": the last exit's threshold is {threshold} for now"),
            None => f.write_str(", and as many did"),
        }
    }
}

impl From<Exceeded> for CloudError {
    fn from(why: Exceeded) -> Self {
        Self::Held { word: "over_quota", why: why.to_string() }
    }
}

impl Quota {
    /// A quota with a share from 0 to 1, for pictures whose exits decide by `policy`.
    pub fn new(share: f64, policy: Policy) -> Self {
        Self { share, reserved: 0.0, policy, latest: VecDeque::with_capacity(WINDOW) }
    }

    /// Keeps room for audits of this share of pictures: hard ones may take that much less.
    #[must_use]
    pub(super) fn auditing(self, rate: f64) -> Self {
        Self { reserved: rate.min(self.share), ..self }
    }

    /// Records the next picture, of which an exit was sure. Returns whether it may be audited, if that is `wanted`.
    pub fn audit(&mut self, wanted: bool) -> bool {
        self.make_room();
        let sent = if wanted && self.has_room() { Sent::Audit } else { Sent::No };
        self.latest.push_back(Seen { doubt: f32::NEG_INFINITY, sent });
        sent == Sent::Audit
    }

    /// Records the next picture, which is hard but not sent for another reason; `certainty` is the last exit's.
    pub fn hold(&mut self, certainty: f32) {
        self.make_room();
        self.latest.push_back(Seen { doubt: self.doubt(certainty), sent: Sent::No });
    }

    /// Drops the oldest picture of a full window.
    fn make_room(&mut self) {
        if self.latest.len() == WINDOW {
            self.latest.pop_front();
        }
    }

    /// How many pictures of the window, with the next one in it, this share is.
    fn of_window(&self, share: f64) -> usize {
        (share * (self.latest.len() + 1) as f64).floor() as usize
    }

    /// Whether one more may be sent.
    fn has_room(&self) -> bool {
        let sent = self.latest.iter().filter(|seen| seen.sent != Sent::No);
        sent.count() < self.of_window(self.share)
    }

    /// Records the next picture; `hard` is the last exit's certainty if no exit was sure.
    ///
    /// # Errors
    /// If the picture is hard but may not be sent.
    pub fn pass(&mut self, hard: Option<f32>) -> Result<(), Exceeded> {
        let doubt = hard.map_or(f32::NEG_INFINITY, |certainty| self.doubt(certainty));
        self.make_room();
        let most = self.of_window(self.share - self.reserved);
        let already = self.latest.iter().filter(|seen| seen.sent == Sent::Hard).count();
        let ahead = self.latest.iter().filter(|seen| seen.doubt > doubt).count();
        let sent = hard.is_some() && already < most && ahead < most && self.has_room();
        self.latest.push_back(Seen { doubt, sent: if sent { Sent::Hard } else { Sent::No } });
        if hard.is_some() && !sent {
            return Err(Exceeded { share: self.share, threshold: self.threshold(most) });
        }
        Ok(())
    }

    /// The certainty of the last picture within the share, if the window's pictures were sent in order of doubt.
    fn threshold(&self, most: usize) -> Option<f32> {
        let mut doubts: Vec<f32> = self.latest.iter().map(|seen| seen.doubt).collect();
        doubts.sort_by(|a, b| b.total_cmp(a));
        let last = doubts.get(most.checked_sub(1)?).copied().filter(|doubt| doubt.is_finite())?;
        // `doubt` is its own inverse.
        Some(self.doubt(last))
    }

    fn doubt(&self, certainty: f32) -> f32 {
        if self.policy.less_is_surer() { certainty } else { -certainty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pseudo-random number in 0..1, from `at`.
    fn noise(at: usize) -> f32 {
        ((at as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
    }

    #[test]
    fn at_no_moment_are_more_sent_than_the_share() {
        for share in [0.0, 0.1, 0.34, 0.9] {
            let mut quota = Quota::new(share, Policy::Entropy);
            let mut sent = vec![];
            for at in 0..3 * WINDOW {
                // First all pictures are equally hard, then some, then each more than the one before.
                let doubt = [1.0, noise(at), at as f32][at / WINDOW];
                let hard = at / WINDOW != 1 || at % 2 == 0;
                sent.push(quota.pass(hard.then_some(doubt)).is_ok() && hard);
                let window = &sent[sent.len().saturating_sub(WINDOW)..];
                let count = window.iter().filter(|sent| **sent).count();
                assert!(count as f64 <= share * window.len() as f64, "{share} {at} {count}");
            }
            let all = sent.iter().filter(|sent| **sent).count() as f64;
            assert!(all >= share * 0.5 * sent.len() as f64, "{share}: {all}");
        }
    }

    #[test]
    fn the_most_doubtful_are_sent_by_every_policy() {
        for (policy, sign) in [(Policy::Entropy, 1.0), (Policy::Margin, -1.0)] {
            let mut quota = Quota::new(0.2, policy);
            let mut sent = 0;
            for at in 0..4 * WINDOW {
                let doubt = noise(at);
                let outcome = quota.pass(Some(sign * doubt));
                // The first window is not full yet, so its threshold is rough.
                match outcome {
                    _ if at < WINDOW => {}
                    Ok(()) => {
                        assert!(doubt > 0.75, "{policy}: {doubt} was sent");
                        sent += 1;
                    }
                    Err(exceeded) => {
                        let threshold = exceeded.threshold.unwrap() * sign;
                        assert!((0.75..0.85).contains(&threshold), "{policy}: {threshold}");
                    }
                }
            }
            // A fifth of three windows, minus hard pictures that came at a moment when none could be sent.
            assert!((120..=154).contains(&sent), "{policy}: {sent}");
        }
    }

    #[test]
    fn a_whole_share_refuses_nothing_and_none_says_why() {
        let mut all = Quota::new(1.0, Policy::Entropy);
        assert!((0..2 * WINDOW).all(|at| all.pass(Some(noise(at))).is_ok()));
        let mut none = Quota::new(0.0, Policy::Entropy);
        assert!(none.pass(None).is_ok());
        let exceeded = none.pass(Some(0.1)).unwrap_err();
        let expected = "at most 0% of the latest pictures may go to the cloud, and as many did";
        assert_eq!(exceeded.to_string(), expected);
    }
}
