//! The energy of an inference, in three terms that are reported separately.
//!
//! - **Computation**, as in Long, Chakraborty, Roy 2020 (arXiv 2005.10851): a multiply-accumulate
//!   (MAC) on k-bit integers costs `3.1·k/32 + 0.1` pJ. The two constants are a 32-bit integer
//!   multiplication and addition in 45 nm (Horowitz, ISSCC 2014). The reductions that the paper
//!   reports are reductions of this term.
//! - **Memory**: each layer with weights reads its weights and its input map once, at `2.5·k` pJ
//!   per k-bit element. The same authors use this form in other papers.
//! - **Radio**: the bytes that an offloaded sample sends.
//!
//! The system's energy is edge + P(offload) · cloud. It is compared with its *twin*: the same
//! network at 32 bits without exits.
//!
//! ```
//! use fogline::energy::Constants;
//! use fogline::manifest::Counts;
//!
//! let mut constants = Constants::default();
//! let binary = Counts::from([(1, 1_000_000)]);
//! assert!((constants.macs(&binary) - 196_875.0).abs() < 1e-6);
//! constants.set("full_mac=4.6")?;
//! assert_eq!(constants.macs(&Counts::from([(32, 10)])), 46.0);
//! # Ok::<(), String>(())
//! ```

use std::ops::{Add, AddAssign, Div};

use serde::{Deserialize, Serialize};

use crate::manifest::{Counts, Manifest, Part, Role};

/// The constants of the energy model, in picojoules. They depend on the chip's process and the radio, so each can be set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// A 32-bit integer multiplication: 3.1 (Horowitz 2014, 45 nm). A k-bit one costs k/32 of it.
    pub multiply: f64,
    /// The addition in a MAC: 0.1 (Horowitz 2014, 32-bit integer).
    pub add: f64,
    /// A full-precision MAC: 3.2 by the same formula at 32 bits. A floating-point MAC costs 4.6 (Horowitz 2014).
    pub full_mac: f64,
    /// Reading one bit from memory: 2.5, between an 8 kB cache (0.16) and DRAM (20 and more; Horowitz 2014).
    pub access: f64,
    /// Sending one bit: 296456, for Wi-Fi at 10 Mbit/s with 283.17 mW per Mbit/s and a base of 132.86 mW (Huang et
    /// al., MobiSys 2012).
    pub radio: f64,
}

impl Default for Constants {
    fn default() -> Self {
        Self { multiply: 3.1, add: 0.1, full_mac: 3.2, access: 2.5, radio: 296_456.0 }
    }
}

impl Constants {
    /// Sets one constant from `NAME=PICOJOULES`.
    ///
    /// # Errors
    /// If no constant has this name, or the value is not a finite number above 0.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("'{assignment}' is not NAME=PICOJOULES"))?;
        let constant = match name {
            "multiply" => &mut self.multiply,
            "add" => &mut self.add,
            "full_mac" => &mut self.full_mac,
            "access" => &mut self.access,
            "radio" => &mut self.radio,
            _ => {
                return Err(format!(
                    "no energy constant '{name}': use multiply, add, full_mac, access or radio"
                ));
            }
        };
        *constant = value
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite() && *v > 0.0)
            .ok_or_else(|| format!("'{value}' is not a number of picojoules above 0"))?;
        Ok(())
    }

    /// The energy of `macs` in picojoules: `multiply · k/32 + add` per MAC of k bits, `full_mac` per MAC of 32.
    pub fn macs(&self, macs: &Counts) -> f64 {
        let each = |bits| match bits {
            32 => self.full_mac,
            k => self.multiply * f64::from(k) / 32.0 + self.add,
        };
        macs.iter().map(|(&bits, &count)| each(bits) * count as f64).sum()
    }

    /// The energy of reading `reads` elements in picojoules: `access · k` per element of k bits.
    pub fn reads(&self, reads: &Counts) -> f64 {
        reads.iter().map(|(&bits, &count)| self.access * f64::from(bits) * count as f64).sum()
    }

    /// The energy of sending `bytes` bytes in picojoules.
    pub fn sending(&self, bytes: f64) -> f64 {
        self.radio * 8.0 * bytes
    }

    fn part(&self, part: &Part) -> Terms {
        Terms { computation: self.macs(&part.macs), memory: self.reads(&part.reads) }
    }
}

/// The energy of an inference in picojoules, by term. Radio is not among them: it depends on the bytes sent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Terms {
    /// For multiply-accumulates.
    pub computation: f64,
    /// For reading weights and input maps.
    pub memory: f64,
}

impl Add for Terms {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            computation: self.computation + other.computation,
            memory: self.memory + other.memory,
        }
    }
}

impl AddAssign for Terms {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Div<f64> for Terms {
    type Output = Self;

    fn div(self, by: f64) -> Self {
        Self { computation: self.computation / by, memory: self.memory / by }
    }
}

/// Where a sample was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// At the exit of this index, from 0.
    Exit(usize),
    /// In the cloud, because no exit was sure.
    Cloud,
}

/// The energy of a sample with this ending: the sum over all parts that it ran. Where blocks have several ways, it took
/// `way`.
///
/// An extension counts only for the samples that it answers.
pub fn of_sample(manifest: &Manifest, ending: Ending, way: u8, constants: &Constants) -> Terms {
    let heads = match ending {
        Ending::Exit(index) => index + 1,
        Ending::Cloud => usize::MAX,
    };
    let (mut sum, mut seen) = (Terms::default(), 0);
    for part in manifest.parts.iter().filter(|part| part.way.is_none_or(|own| own == way)) {
        seen += usize::from(part.role == Role::Head);
        let extension = part.role == Role::Head && seen > manifest.deciding().len();
        if !extension || seen == heads {
            sum += constants.part(part);
        }
        if seen == heads {
            break;
        }
    }
    sum
}

/// The energy of a sample in the full-precision twin: trunk and cloud at 32 bits, no exits, and one of several ways.
pub fn of_twin(manifest: &Manifest, constants: &Constants) -> Terms {
    // A manifest may state any counts, and their sum must not panic.
    let sum =
        |counts: &Counts| counts.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let full = |counts: &Counts| Counts::from([(32, sum(counts))]);
    let of_all = |part: &&Part| part.role != Role::Head && part.way.unwrap_or(0) == 0;
    let parts = manifest.parts.iter().filter(of_all);
    parts.fold(Terms::default(), |sum, part| {
        sum + Terms {
            computation: constants.macs(&full(&part.macs)),
            memory: constants.reads(&full(&part.reads)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_meets_its_constants() {
        let one = |bits| Constants::default().macs(&Counts::from([(bits, 1)]));
        assert!((one(1) - 0.196_875).abs() < 1e-12);
        assert!((one(4) - 0.4875).abs() < 1e-12);
        assert!((one(8) - 0.875).abs() < 1e-12);
        assert!((one(32) - 3.2).abs() < 1e-12);
        // A full-precision number is 80 pJ to read; a KiB takes 2.4 mJ to send.
        assert_eq!(Constants::default().reads(&Counts::from([(32, 1)])), 80.0);
        assert!((Constants::default().sending(1024.0) / 1e9 - 2.43).abs() < 0.01);
    }

    #[test]
    fn constants_are_set_by_name() {
        let mut constants = Constants::default();
        constants.set("access=0.16").unwrap();
        assert_eq!(constants, Constants { access: 0.16, ..Constants::default() });
        for wrong in ["access", "acess=1", "add=-1", "add=NaN", "add=", "radio=inf"] {
            assert!(constants.set(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn energy_grows_with_every_part_passed() {
        let manifest = serde_json::json!({
            "format": 1, "name": "tiny", "version": "1.0.0", "classes": ["a", "b"],
            "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
            "exits": [
                {"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}},
                {"name": "exit-2", "after_block": 2, "thresholds": {"entropy": 0.5}}
            ],
            "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1}, "files": {},
            "parts": [
                {"name": "trunk-1", "role": "trunk", "macs": {"8": 100, "1": 1000}, "reads": {"8": 40}},
                {"name": "exit-1", "role": "head", "macs": {"8": 10}, "reads": {"32": 3}},
                {"name": "trunk-2", "role": "trunk", "macs": {"1": 1000}},
                {"name": "exit-2", "role": "head", "macs": {"8": 10}},
                {"name": "trunk-3", "role": "trunk", "macs": {"1": 500}},
                {"name": "cloud", "role": "cloud", "macs": {"32": 2000}, "reads": {"32": 10}}
            ]
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).unwrap();
        let constants = Constants::default();
        let at = |ending| of_sample(&manifest, ending, 0, &constants);
        let near = |terms: Terms, computation: f64, memory: f64| {
            (terms.computation - computation).abs() < 1e-9 && (terms.memory - memory).abs() < 1e-9
        };
        let one = 0.196_875;
        let first = 40.0 * 20.0 + 3.0 * 80.0;
        assert!(near(at(Ending::Exit(0)), 110.0 * 0.875 + 1000.0 * one, first));
        assert!(near(at(Ending::Exit(1)), 120.0 * 0.875 + 2000.0 * one, first));
        let cloud = at(Ending::Cloud);
        assert!(near(cloud, 120.0 * 0.875 + 2500.0 * one + 6400.0, first + 800.0));
        assert!(near(of_twin(&manifest, &constants), 4600.0 * 3.2, 50.0 * 80.0));
        let mut vast = manifest;
        vast.parts[0].macs.insert(4, u64::MAX);
        assert!(of_twin(&vast, &constants).computation > 5e19);
    }
}
