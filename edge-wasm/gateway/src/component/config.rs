//! Where options come from: the command line, the environment, one TOML file, or the default, in this order.
//!
//! There is no list of options here. Every option of every command that has a long name also has a variable and a key in the
//! file. A value in the file replaces the default.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::builder::{BoolishValueParser, PathBufValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};
use wasip2::filesystem::preopens::get_directories;

use crate::component::auth::TOKEN;
use crate::component::fault::{Fault, complain};
use crate::component::pair;

/// The variable with the password for an MQTT broker. It is no option, because lists of processes show options.
pub const MQTT_PASSWORD: &str = "FOGLINE_MQTT_PASSWORD";

const FILE: &str = "config";
const PREFIX: &str = "FOGLINE_";

/// The values by key; an array has several.
type Values = BTreeMap<String, Vec<String>>;

/// The command, with defaults from environment and file.
pub fn layered(command: Command) -> Result<Command, Fault> {
    let file = Arg::new(FILE)
        .long(FILE)
        .value_name("FILE")
        .global(true)
        .help("TOML file with any of these options: `batch = 64`")
        .long_help(
            "TOML file with any of these options: `cloud = \"URL\"`, `batch = 64`, `json = true`. The command line \
             takes precedence over the environment (`wasmtime run --env FOGLINE_BATCH=64`), and that over the file.",
        );
    let command = command.arg(with_variable(file));
    let command = command.mut_subcommands(|command| {
        command.mut_args(switch).mut_args(within_folders).mut_args(with_variable)
    });
    tell_of_unknown(&command);
    let Some(path) = named(env::args_os().skip(1)) else { return Ok(command) };
    let path = given(path.clone()).map_err(|why| Fault::new("config_path", why).of(&path))?;
    let values = read(&command, &path).map_err(|fault| fault.of(&path))?;
    Ok(command.mut_subcommands(|command| command.mut_args(|arg| by_default(arg, &values))))
}

/// Warns about variables with Fogline's prefix that belong to no option: a misspelt one would silently have no effect.
fn tell_of_unknown(command: &Command) {
    let names = options(command).filter_map(Arg::get_long).map(variable);
    let known: BTreeSet<_> =
        names.chain([variable(FILE), TOKEN.to_owned(), MQTT_PASSWORD.to_owned()]).collect();
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && !known.contains(name.as_ref()) {
            let why = format!("{} belongs to no option: check its spelling", name.escape_debug());
            complain(&Fault::new("variable_unknown", why));
        }
    }
}

/// The file named on the command line or in the environment. It is needed before the command line can be parsed.
fn named(mut line: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = line.next() {
        match word.to_str() {
            Some("--") => break,
            Some("--config") => return line.next().map(PathBuf::from),
            Some(word) => {
                if let Some(path) = word.strip_prefix("--config=") {
                    return Some(path.into());
                }
            }
            None => {}
        }
    }
    env::var_os(variable(FILE)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The environment variable of an option: `FOGLINE_MAX_OFFLOAD` for `max-offload`.
fn variable(option: &str) -> String {
    PREFIX.to_owned() + &option.to_ascii_uppercase().replace('-', "_")
}

/// Adds the option's variable. An empty variable counts as not set.
fn with_variable(arg: Arg) -> Arg {
    let name = arg.get_long().map(variable);
    let is_empty = |name: &String| env::var_os(name).is_some_and(|value| value.is_empty());
    match name.filter(|name| !is_empty(name)) {
        Some(name) => arg.env(name).hide_env_values(true),
        None => arg,
    }
}

/// Checks that paths are in a folder that the host has given access to.
fn within_folders(arg: Arg) -> Arg {
    if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
        return arg.value_parser(PathBufValueParser::new().try_map(given));
    }
    arg
}

/// The path, if wasmtime gives access to it. WASI's library would take `/data` for `data` in the working folder if only that
/// folder is accessible.
pub fn given(path: PathBuf) -> Result<PathBuf, String> {
    let is_below = |folder: &str| folder.starts_with('/') && path.starts_with(folder);
    if path.is_relative() || get_directories().iter().any(|(_, folder)| is_below(folder)) {
        return Ok(path);
    }
    Err("wasmtime gives no access to this path: add --dir FOLDER, or --dir FOLDER::NAME".into())
}

/// Lets a flag that file or environment turned on be turned off again: `--json=false`.
fn switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(BoolishValueParser::new())
        .value_name("BOOL")
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// The option with the file's value as its default.
fn by_default(arg: Arg, values: &Values) -> Arg {
    match arg.get_long().and_then(|option| values.get(option)) {
        Some(texts) => arg.required(false).default_values(texts.clone()),
        None => arg,
    }
}

/// The values in a TOML file.
///
/// # Errors
/// If the file is not TOML, or has an unknown option or an invalid value; with the line.
fn read(command: &Command, path: &Path) -> Result<Values, Fault> {
    let bytes = pair::read(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Fault::new("config_syntax", "it is not UTF-8 text"))?;
    let line = |at: usize| text[..at.min(text.len())].lines().count().max(1);
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.end);
        Fault::new("config_syntax", format!("line {}: {}", line(at), error.message()))
    })?;
    let mut values = Values::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        let fault = |word, why: &dyn Display| {
            Fault::new(word, format!("line {}: {why}", line(key.span().end)))
        };
        let arg = options(command).find(|arg| arg.get_long() == Some(name)).ok_or_else(|| {
            fault("config_key", &format!("'{name}' is not an option; use {}", known(command)))
        })?;
        let texts = texts(value.get_ref(), arg).ok_or_else(|| {
            fault("config_value", &format!("'{name}' cannot be a date or a table"))
        })?;
        check(arg, name, &texts).map_err(|why| fault("config_value", &why))?;
        values.insert(name.to_owned(), texts);
    }
    Ok(values)
}

/// The options of all commands, since one file may serve several.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let of_commands = command.get_subcommands().flat_map(Command::get_arguments);
    of_commands.filter(|arg| arg.get_long().is_some())
}

fn known(command: &Command) -> String {
    let mut names: Vec<_> = options(command).filter_map(Arg::get_long).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// The value as it would be written on the command line.
fn texts(value: &DeValue, arg: &Arg) -> Option<Vec<String>> {
    let one = |value: &DeValue| match value {
        DeValue::String(text) => Some(text.to_string()),
        // Options only parse decimal numbers, but TOML may have hexadecimal ones, for example.
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(is) => Some(is.to_string()),
        _ => None,
    };
    match (value, arg.get_value_delimiter()) {
        (DeValue::Array(values), _) => values.iter().map(|value| one(value.get_ref())).collect(),
        (value, Some(delimiter)) => Some(one(value)?.split(delimiter).map(str::to_owned).collect()),
        (value, None) => one(value).map(|text| vec![text]),
    }
}

/// Checks the values with the option's own parser, so that errors can name the line.
fn check(arg: &Arg, name: &str, texts: &[String]) -> Result<(), String> {
    if texts.is_empty() || (texts.len() > 1 && arg.get_value_delimiter().is_none()) {
        return Err(format!("'{name}' takes one value"));
    }
    for text in texts {
        let option = Arg::new("value").long(name.to_owned()).allow_hyphen_values(true);
        let option = option.value_parser(arg.get_value_parser().clone());
        let alone = Command::new("fogline").no_binary_name(true).arg(option);
        alone.try_get_matches_from([format!("--{name}={text}")]).map_err(|error| {
            let said = error.to_string();
            said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
    }
    Ok(())
}
