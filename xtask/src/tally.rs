//! What the tests came to, as their runners wrote it down: JUnit's XML, which all of them can write.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use quick_xml::events::Event;

use crate::{step, target};

/// Tests and checks that passed and failed, and the steps in which any did.
#[derive(Default)]
pub struct Tally {
    counts: Counts,
    broken: Vec<String>,
}

/// Tests that passed and failed; those that were skipped count as neither.
#[derive(Default, PartialEq, Debug)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs what either holds or not, and counts it as one.
    pub fn check(&mut self, name: &str, command: &mut Command) {
        match step::run(name, command) {
            Ok(_) => self.pass(),
            Err(error) => self.fail(name, &error),
        }
    }

    /// Runs a suite by nextest: the options of `cargo nextest run`.
    pub fn nextest(&mut self, name: &str, command: &mut Command) {
        self.suite(name, command, &target().join("nextest/default/junit.xml"));
    }

    /// Runs a suite whose runner writes its results to `report`.
    pub fn suite(&mut self, name: &str, command: &mut Command, report: &Path) {
        // A runner that dies early would leave the last run's.
        let _ = fs::remove_file(report);
        let ended = step::run(name, command).map(drop);
        let counted = fs::read_to_string(report)
            .with_context(|| format!("{name} left no {}", report.display()))
            .and_then(|xml| count(&xml));
        match (ended, counted) {
            (Ok(()), Ok(Counts { passed, failed: 0 })) if passed > 0 => {
                self.counts.passed += passed;
            }
            (Ok(()), Ok(counts)) => {
                let error = anyhow::anyhow!("{counts:?} is no success, whatever the runner says");
                self.fail(name, &error);
            }
            (Ok(()), Err(error)) => self.fail(name, &error),
            (Err(error), counted) => {
                let counts = counted.unwrap_or_default();
                self.counts.passed += counts.passed;
                // The step's own failure is one of them.
                self.counts.failed += counts.failed.saturating_sub(1);
                self.fail(name, &error);
            }
        }
    }

    pub fn pass(&mut self) {
        self.counts.passed += 1;
    }

    /// Counts a step that failed before or beside its tests.
    pub fn fail(&mut self, name: &str, error: &anyhow::Error) {
        step::say(&format!("    {error:#}"));
        self.counts.failed += 1;
        self.broken.push(name.to_owned());
    }

    /// Prints the sums.
    ///
    /// # Errors
    /// If anything failed.
    pub fn close(self) -> Result<()> {
        for name in &self.broken {
            println!("failed: {name}");
        }
        let Counts { passed, failed } = self.counts;
        println!("{passed} passed, {failed} failed");
        ensure!(failed == 0, "{failed} of the tests and checks failed");
        Ok(())
    }
}

/// Counts the test cases of a JUnit file.
///
/// # Errors
/// When it breaks off, or is no XML.
fn count(xml: &str) -> Result<Counts> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut cases, mut skipped, mut failed) = (0_u64, 0, 0);
    // A case that fails may say so more than once, in its body and when it is torn down.
    let mut said = false;
    let mut open = 0;
    loop {
        let event = reader.read_event()?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.name().as_ref() {
                b"testcase" => {
                    cases += 1;
                    said = false;
                }
                b"skipped" => skipped += 1,
                b"failure" | b"error" if !said => {
                    failed += 1;
                    said = true;
                }
                _ => {}
            },
            Event::Eof => {
                ensure!(open == 0, "it breaks off");
                return Ok(Counts { passed: cases.saturating_sub(skipped + failed), failed });
            }
            _ => {}
        }
        match event {
            Event::Start(_) => open += 1,
            Event::End(_) => open -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(xml: &str) -> (u64, u64) {
        let Counts { passed, failed } = count(xml).unwrap();
        (passed, failed)
    }

    #[test]
    fn every_case_is_counted_once() {
        let node = r#"<testsuites>
            <testcase name="a"/>
            <testcase name="b" failure="1 == 2"><failure type="testCodeFailure">b &lt; a</failure></testcase>
            <testcase name="c"><skipped type="skipped" message="true"/></testcase>
            <testsuite name="d"><testcase name="d1"/><testcase name="d2"></testcase></testsuite>
            <!-- pass 4 -->
        </testsuites>"#;
        assert_eq!(counts(node), (3, 1));
        let pytest = r#"<testsuites><testsuite errors="1" failures="1">
            <testcase name="a"><failure>no</failure><error>nor its tear-down</error></testcase>
            <testcase name="b"><error>no set-up</error></testcase>
            <testcase name="c"/>
        </testsuite></testsuites>"#;
        assert_eq!(counts(pytest), (1, 2));
        assert_eq!(counts(r#"<testsuites tests="0"/>"#), (0, 0));
    }

    #[test]
    fn half_a_report_is_an_error() {
        assert!(count("<testsuites><testcase name='a'/>").is_err());
        assert!(count("<testsuites><testcase name='a'></testsuites>").is_err());
    }
}
