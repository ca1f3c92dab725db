//! A command line of somebody else's tool, printed before it runs, and what is learnt from its answer.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};

use crate::{step, tools};

/// One command line.
pub struct Call {
    why: String,
    line: Vec<String>,
    /// What it reads from standard input.
    input: Option<String>,
    learn: Learn,
}

/// What is learnt from a call's output.
#[derive(Clone, Copy)]
pub enum Learn {
    Nothing,
    /// The stack's outputs, a line of name, tab and value each.
    Outputs,
    /// The version of the function that answers.
    Live,
    /// The version before the one that answers, or the one that is named.
    Before {
        named: Option<u64>,
    },
}

impl Call {
    /// `line`, in words without spaces, and what it is for.
    pub fn new(why: &str, line: &str) -> Self {
        let line = line.split_whitespace().map(str::to_owned).collect();
        Self { why: why.into(), line, input: None, learn: Learn::Nothing }
    }

    /// The same with this word at its end, whatever is in it.
    pub fn and(mut self, word: impl Into<String>) -> Self {
        self.line.push(word.into());
        self
    }

    /// The same, reading this.
    pub fn fed(self, input: String) -> Self {
        Self { input: Some(input), ..self }
    }

    /// The same, whose output says this.
    pub fn learning(self, learn: Learn) -> Self {
        Self { learn, ..self }
    }

    /// As a shell would take it.
    fn text(&self) -> String {
        let words: Vec<String> = self.line.iter().map(|word| quoted(word)).collect();
        let input = self.input.as_ref().map(|input| format!(" <<< {}", quoted(input)));
        words.join(" ") + &input.unwrap_or_default()
    }
}

/// Prints each call, and runs it unless it is a dry run.
pub fn run(calls: &[Call], known: &mut Known, dry_run: bool) -> Result<()> {
    let path = if dry_run { OsString::new() } else { path(calls)? };
    for call in calls {
        println!("# {}\n{}", call.why, call.text());
        if dry_run {
            continue;
        }
        std::io::stdout().flush()?;
        let line: Vec<String> = call.line.iter().map(|word| known.fill(word)).collect();
        let arguments: Vec<&str> = line[1..].iter().map(String::as_str).collect();
        let mut command = step::command(&line[0], &arguments);
        command.env("PATH", &path).env("SAM_CLI_TELEMETRY", "0");
        let input = call.input.as_ref().map(|input| known.fill(input)).unwrap_or_default();
        let said = step::fed(&call.why, &mut command, &input)?;
        known.learn(call.learn, &said)?;
    }
    Ok(())
}

/// PATH with all that the calls name, installed where it is missing.
fn path(calls: &[Call]) -> Result<OsString> {
    let mut folders: Vec<_> = env::split_paths(&tools::path()).collect();
    let named = |words: &str| calls.iter().any(|call| call.line.join(" ").starts_with(words));
    if named("cargo lambda") {
        tools::cargo_lambda_with_zig()?;
    }
    if named("wasmtime") {
        tools::wasmtime()?;
    }
    folders.push(tools::aws()?);
    Ok(env::join_paths(folders)?)
}

/// What stands for each `${NAME}`.
#[derive(Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// The region, where the environment has all that signing takes.
    pub fn from_env() -> Result<Self> {
        let wanted = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
        let missing: Vec<&str> = wanted.into_iter().filter(|name| !set(name)).collect();
        ensure!(
            missing.is_empty(),
            "{} not set: AWS is asked by the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, where \
             they are lent) in the region AWS_REGION; --dry-run needs none of them",
            missing.join(", ")
        );
        Ok(Self([("AWS_REGION".into(), env::var("AWS_REGION")?)].into()))
    }

    /// `text` with all that is known in its place.
    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
    }

    /// Says what stands for `${name}` from here on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Whether anything stands for `${name}`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn learn(&mut self, what: Learn, said: &str) -> Result<()> {
        // $LATEST is among them, and no number; nor is what a tool says beside its answer.
        let mut versions = said.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        match what {
            Learn::Nothing => {}
            Learn::Outputs => {
                let pairs = said.lines().filter_map(|line| line.split_once('\t'));
                self.0
                    .extend(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
            }
            Learn::Live => {
                let live = versions.next_back().context("the alias names no version")?;
                self.set("Live", live.to_string());
            }
            Learn::Before { named } => {
                let live: u64 = self.fill("${Live}").parse()?;
                let there: Vec<u64> = versions.filter(|version| *version != live).collect();
                let before = match named {
                    Some(version) if there.contains(&version) => version,
                    Some(version) => bail!(
                        "version {version} is not one to go back to: {live} answers, and there are {there:?}"
                    ),
                    None => {
                        there.into_iter().filter(|version| *version < live).max().with_context(
                            || format!("version {live} is the first: there is none to go back to"),
                        )?
                    }
                };
                self.set("Before", before.to_string());
            }
        }
        Ok(())
    }
}

/// A word as a shell takes it, what stands for something left open.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+${}@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // In double quotes a shell fills in what is known.
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the AWS command line lists versions, a line each.
    const VERSIONS: &str = "$LATEST\n1\n2\n10\n9\n";

    fn before(live: &str, named: Option<u64>) -> Result<String> {
        let mut known = Known::default();
        known.learn(Learn::Live, live)?;
        known.learn(Learn::Before { named }, VERSIONS)?;
        Ok(known.fill("${Before}"))
    }

    #[test]
    fn one_goes_back_to_the_version_before_or_to_one_that_is_there() {
        assert_eq!(before("10", None).unwrap(), "9");
        assert_eq!(before("9\n", None).unwrap(), "2");
        assert_eq!(before("9", Some(10)).unwrap(), "10");
        for (live, named) in [("1", None), ("9", Some(9)), ("9", Some(3)), ("", None)] {
            assert!(before(live, named).is_err(), "{live} {named:?}");
        }
    }

    #[test]
    fn what_a_stack_puts_out_is_filled_in_where_it_is_named() {
        let mut known = Known::default();
        known
            .learn(Learn::Outputs, "PageUrl\thttps://page\nFunctionUrl\thttps://a.on.aws/\n")
            .unwrap();
        assert_eq!(known.fill("${PageUrl}/x ${Other}"), "https://page/x ${Other}");
        assert!(known.has("FunctionUrl") && !known.has("Other"));
    }
}
