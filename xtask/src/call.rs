//! Calls of external command-line tools: each is printed before it runs, and values are read from its output.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};

use crate::{step, tools};

/// A command line to print and run.
pub struct Call {
    why: String,
    line: Vec<String>,
    /// Text for its standard input, if any.
    input: Option<String>,
    learn: Learn,
}

/// What to read from a call's output.
#[derive(Clone, Copy)]
pub enum Learn {
    Nothing,
    /// The stack's outputs: one line per output, with name, tab and value.
    Outputs,
    /// The version behind the alias `live`.
    Live,
    /// The version before the live one, or the named one.
    Before {
        named: Option<u64>,
    },
}

impl Call {
    /// A call of `line`, whose words are separated by spaces, with a comment that says what it is for.
    pub fn new(why: &str, line: &str) -> Self {
        let line = line.split_whitespace().map(str::to_owned).collect();
        Self { why: why.into(), line, input: None, learn: Learn::Nothing }
    }

    /// Appends a word, which may contain spaces.
    pub fn and(mut self, word: impl Into<String>) -> Self {
        self.line.push(word.into());
        self
    }

    /// Sets the text for standard input.
    pub fn fed(self, input: String) -> Self {
        Self { input: Some(input), ..self }
    }

    /// Sets what to read from the output.
    pub fn learning(self, learn: Learn) -> Self {
        Self { learn, ..self }
    }

    /// The call as a shell command.
    fn text(&self) -> String {
        let words: Vec<String> = self.line.iter().map(|word| quoted(word)).collect();
        let input = self.input.as_ref().map(|input| format!(" <<< {}", quoted(input)));
        words.join(" ") + &input.unwrap_or_default()
    }
}

/// Prints each call and, unless this is a dry run, runs it.
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

/// PATH with every tool that the calls need; missing tools are installed.
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

/// The values of the placeholders `${NAME}`.
#[derive(Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Checks that the environment has AWS credentials, and takes the region from it.
    pub fn from_env() -> Result<Self> {
        let wanted = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
        let missing: Vec<&str> = wanted.into_iter().filter(|name| !set(name)).collect();
        ensure!(
            missing.is_empty(),
            "{} not set: calls to AWS need AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for temporary \
             credentials AWS_SESSION_TOKEN too); --dry-run needs none of them",
            missing.join(", ")
        );
        Ok(Self([("AWS_REGION".into(), env::var("AWS_REGION")?)].into()))
    }

    /// Replaces every known placeholder in `text`.
    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
    }

    /// Sets the value of `${name}`.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Whether `${name}` has a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn learn(&mut self, what: Learn, said: &str) -> Result<()> {
        // The output also has $LATEST and possibly a tool's messages, none of which are numbers.
        let mut versions = said.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        match what {
            Learn::Nothing => {}
            Learn::Outputs => {
                let pairs = said.lines().filter_map(|line| line.split_once('\t'));
                self.0
                    .extend(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
            }
            Learn::Live => {
                let live = versions.next_back().context("the alias 'live' points to no version")?;
                self.set("Live", live.to_string());
            }
            Learn::Before { named } => {
                let live: u64 = self.fill("${Live}").parse()?;
                let there: Vec<u64> = versions.filter(|version| *version != live).collect();
                let before = match named {
                    Some(version) if there.contains(&version) => version,
                    Some(version) => bail!(
                        "cannot roll back to version {version}: version {live} is live, and the function has {there:?}"
                    ),
                    None => {
                        there.into_iter().filter(|version| *version < live).max().with_context(
                            || format!("cannot roll back: version {live} is the first"),
                        )?
                    }
                };
                self.set("Before", before.to_string());
            }
        }
        Ok(())
    }
}

/// Quotes a word for a shell if necessary, so that `${NAME}` is still expanded.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+${}@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // Shells expand placeholders in double quotes.
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions as the AWS command line lists them, one per line.
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
