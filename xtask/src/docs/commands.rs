//! Checks the command lines in the documentation.

use super::pages::pages;

/// Panics if the docs call `program` with an option that the subcommand of `command` does not have. Subcommands that pass
/// their options on may have any. With `all`, also panics if the subcommand does not exist.
pub fn check(program: &str, command: &clap::Command, all: bool) {
    let mut seen = 0;
    for (page, text) in pages() {
        // The markers of `cargo xtask figures` are not calls.
        let text = text.replace("\\\n", " ").replace("<!-- cargo xtask figures", "");
        for line in text.split(&format!("{program} ")).skip(1) {
            // A call ends at the end of its line or code span, or where a comment begins.
            let line = line.split(['\n', '`', '#', '"']).next().unwrap_or_default();
            let (mut at, mut words) = (command, line.split_whitespace().peekable());
            while let Some(next) = words.peek().and_then(|word| at.find_subcommand(word)) {
                at = next;
                words.next();
            }
            // fogline-measure has `bench cloud` as one word.
            let joined = line.split_whitespace().take(2).collect::<Vec<_>>().join("-");
            at = command.find_subcommand(joined).unwrap_or(at);
            let here = format!("{}: {program} {line}", page.display());
            if at.has_subcommands() {
                let known = !all || words.peek().is_none_or(|word| *word == "…");
                assert!(known, "{here}: unknown command");
                continue;
            }
            seen += 1;
            if at.get_arguments().any(clap::Arg::is_trailing_var_arg_set) {
                continue;
            }
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                let name = option.split('=').next().unwrap_or_default();
                let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                let there = at.get_arguments().any(|argument| argument.get_long() == Some(name));
                assert!(there || name == "help", "{here}: unknown option --{name}");
            }
        }
    }
    assert!(seen > 0, "the documentation never calls {program}");
}
