//! Counts test results from the JUnit XML that every test runner writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use quick_xml::events::Event;

use crate::{step, target};

/// Numbers of passed and failed tests and checks, and the names of the steps that failed.
#[derive(Default)]
pub struct Tally {
    counts: Counts,
    broken: Vec<String>,
}

/// Numbers of passed and failed tests; skipped ones count as neither.
#[derive(Default, PartialEq, Debug)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs a check and counts it as one test.
    pub fn check(&mut self, name: &str, command: &mut Command) {
        match step::run(name, command) {
            Ok(_) => self.pass(),
            Err(error) => self.fail(name, &error),
        }
    }

    /// Runs a test suite with cargo-nextest; `command` is a `cargo nextest run`.
    pub fn nextest(&mut self, name: &str, command: &mut Command) {
        self.suite(name, command, &target().join("nextest/default/junit.xml"));
    }

    /// Runs a test suite that writes its JUnit results to `report`.
    pub fn suite(&mut self, name: &str, command: &mut Command, report: &Path) {
        // A runner that crashes early must not leave the last run's results.
        let _ = fs::remove_file(report);
        let ended = step::run(name, command).map(drop);
        let counted = fs::read_to_string(report)
            .with_context(|| format!("{name} did not write {}", report.display()))
            .and_then(|xml| count(&xml));
        match (ended, counted) {
            (Ok(()), Ok(Counts { passed, failed: 0 })) if passed > 0 => {
                self.counts.passed += passed;
            }
            (Ok(()), Ok(counts)) => {
                let error =
                    anyhow::anyhow!("the runner reported success, but the results are {counts:?}");
                self.fail(name, &error);
            }
            (Ok(()), Err(error)) => self.fail(name, &error),
            (Err(error), counted) => {
                let counts = counted.unwrap_or_default();
                self.counts.passed += counts.passed;
                // The failed step is already among the counted failures.
                self.counts.failed += counts.failed.saturating_sub(1);
                self.fail(name, &error);
            }
        }
    }

    pub fn pass(&mut self) {
        self.counts.passed += 1;
    }

    /// Counts a step that failed outside its tests.
    pub fn fail(&mut self, name: &str, error: &anyhow::Error) {
        step::say(&format!("    {error:#}"));
        self.counts.failed += 1;
        self.broken.push(name.to_owned());
    }

    /// Prints the totals.
    ///
    /// # Errors
    /// If any test or check failed.
    pub fn close(self) -> Result<()> {
        for name in &self.broken {
            println!("failed: {name}");
        }
        let Counts { passed, failed } = self.counts;
        println!("{passed} passed, {failed} failed");
        ensure!(failed == 0, "{failed} tests or checks failed");
        Ok(())
    }
}

/// Counts the test cases in JUnit XML.
///
/// # Errors
/// If the XML is invalid or truncated.
fn count(xml: &str) -> Result<Counts> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut cases, mut skipped, mut failed) = (0_u64, 0, 0);
    // A case may report more than one failure, for example in its body and its tear-down.
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
                ensure!(open == 0, "the file is truncated");
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
