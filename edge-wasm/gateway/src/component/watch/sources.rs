//! The sources, and how each is looked at: from arguments and from a TOML file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fogline_edge::device::picture::Crop;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use wstd::http::Uri;

use super::topics::is_name;
use crate::component::cloud::{seconds, share};
use crate::component::config::given;
use crate::component::fault::{Fault, shown_url};
use crate::component::pair;

/// How sources are looked at. A table of the file overrides these for its source.
#[derive(Clone, clap::Args)]
pub struct Look {
    /// Time between two frames of a source.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// How long a camera may take for a frame before it counts as away.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Look at this part of each frame only: LEFT,TOP,WIDTH,HEIGHT in parts of its sides. Of a part, too, the central square is
    /// classified.
    #[arg(long, value_name = "PART")]
    crop: Option<Crop>,
    /// Skip frames in which less than this share of the picture changed since the last one that was classified, 0 to 1; 0 skips
    /// none. Frames are classified all the same until their source's state is settled.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    motion: f64,
    /// A class becomes a source's state after so many equal answers in a row.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    equal: u32,
    /// Minimum time between two pictures of a source that go to the cloud; in between, the best exit answers, degraded with
    /// `too_soon`.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    escalate_every: Option<Duration>,
    /// Also classify the pictures that are in a folder at the start.
    #[arg(long)]
    existing: bool,
}

/// The most sources of a run. Wasmtime's poll lists at most 128 ready events at once, of which a source may have two; beyond that,
/// wstd's executor spins and nothing gets its turn.
const MOST: usize = 50;

/// Where frames come from.
pub enum Place {
    Camera { url: Uri, login: Option<Login> },
    Folder(PathBuf),
}

/// A camera's user and password (HTTP Basic).
pub struct Login {
    pub user: String,
    pub password: String,
}

/// A source and how it is looked at.
pub struct Source {
    pub name: String,
    pub place: Place,
    pub interval: Duration,
    pub timeout: Duration,
    pub crop: Option<Crop>,
    pub motion: f64,
    pub equal: u32,
    pub escalate_every: Option<Duration>,
    pub existing: bool,
}

/// A table of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    url: Option<String>,
    folder: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "checked_seconds")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "checked_seconds")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "checked_crop")]
    crop: Option<Crop>,
    motion: Option<f64>,
    equal: Option<u32>,
    #[serde(default, deserialize_with = "checked_seconds")]
    escalate_every: Option<Duration>,
    existing: Option<bool>,
}

/// The sources that arguments and file name, at least one.
///
/// # Errors
/// If there is none, a name is taken twice or cannot be part of a topic, or the file has another mistake; with the line.
pub fn sources(named: &[String], file: Option<&Path>, look: &Look) -> Result<Vec<Source>, Fault> {
    let mut sources = vec![];
    for (at, text) in named.iter().enumerate() {
        let (name, place) = match text.split_once('=') {
            // The = of a URL's query names nothing.
            Some((name, place)) if !name.contains(['/', ':', '.']) => (name.to_owned(), place),
            _ => (format!("source-{}", at + 1), text.as_str()),
        };
        let place = if place.contains("://") {
            camera(place, None)?
        } else if place.contains('@') && !Path::new(place).exists() {
            let why = format!("'{}' is not an http:// or https:// URL", shown_url(place));
            return Err(Fault::new("source_url", why));
        } else {
            folder(Path::new(place))?
        };
        sources.push(look.source(name, place));
    }
    if let Some(path) = file {
        let read = tables(path, look).map_err(|fault| fault.of(path))?;
        sources.extend(read);
    }
    let mut names = BTreeSet::new();
    for Source { name, .. } in &sources {
        if !is_name(name) {
            let why = format!("'{name}' cannot name a source: use letters, digits, - and _");
            return Err(Fault::new("source_name", why));
        }
        if !names.insert(name) {
            return Err(Fault::new("source_name", format!("two sources are named '{name}'")));
        }
    }
    if sources.len() > MOST {
        let why = format!(
            "{} sources: at most {MOST} in one run; start several, each with its own --mqtt-name",
            sources.len()
        );
        return Err(Fault::new("source_limit", why));
    }
    if sources.is_empty() {
        let why = "there is nothing to watch: give a URL, a folder, or --sources FILE";
        return Err(Fault::new("source_missing", why));
    }
    Ok(sources)
}

impl Look {
    fn source(&self, name: String, place: Place) -> Source {
        let Self { interval, timeout, crop, motion, equal, escalate_every, existing } =
            self.clone();
        Source { name, place, interval, timeout, crop, motion, equal, escalate_every, existing }
    }
}

fn tables(path: &Path, look: &Look) -> Result<Vec<Source>, Fault> {
    let bytes = pair::read(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Fault::new("sources_syntax", "it is not UTF-8 text"))?;
    let tables: BTreeMap<String, Table> = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |at| text[..at.start].matches('\n').count()) + 1;
        let said = error.message();
        Fault::new("sources_syntax", format!("line {line}: {said}"))
    })?;
    tables.into_iter().map(|(name, table)| table.source(name, look)).collect()
}

impl Table {
    fn source(self, name: String, look: &Look) -> Result<Source, Fault> {
        let wrong = |why: &str| Fault::new("sources_value", format!("[{name}]: {why}"));
        let place = match (&self.url, &self.folder) {
            (Some(url), None) => {
                camera(url, self.login()?).map_err(|fault| wrong(&fault.message))?
            }
            (None, Some(path)) => folder(path).map_err(|fault| wrong(&fault.message))?,
            _ => return Err(wrong("give either `url` or `folder`")),
        };
        if self.folder.is_some() && self.user.is_some() {
            return Err(wrong("a folder has no `user`"));
        }
        let share = |share: &f64| (0.0..=1.0).contains(share);
        if self.motion.is_some_and(|motion| !share(&motion)) {
            return Err(wrong("`motion` is a number between 0 and 1"));
        }
        if self.equal == Some(0) {
            return Err(wrong("`equal` is at least 1"));
        }
        let own = look.source(name, place);
        Ok(Source {
            interval: self.interval.unwrap_or(own.interval),
            timeout: self.timeout.unwrap_or(own.timeout),
            crop: self.crop.or(own.crop),
            motion: self.motion.unwrap_or(own.motion),
            equal: self.equal.unwrap_or(own.equal),
            escalate_every: self.escalate_every.or(own.escalate_every),
            existing: self.existing.unwrap_or(own.existing),
            ..own
        })
    }

    fn login(&self) -> Result<Option<Login>, Fault> {
        let password = match &self.password_file {
            Some(_) if self.user.is_none() => {
                return Err(Fault::new("login", "`password-file` needs `user`"));
            }
            Some(path) => {
                let path = given(path.clone()).map_err(|why| Fault::new("path", why).of(path))?;
                let bytes = pair::read(&path).map_err(|fault| fault.of(&path))?;
                String::from_utf8_lossy(&bytes).trim_end().to_owned()
            }
            None => String::new(),
        };
        Ok(self.user.clone().map(|user| Login { user, password }))
    }
}

fn folder(path: &Path) -> Result<Place, Fault> {
    let fault = |why: String| Fault::new("source_folder", why).of(path);
    let path = given(path.to_owned()).map_err(fault)?;
    if path.as_os_str().is_empty() || !path.is_dir() {
        let why =
            "there is no such folder (wasmtime gives access only to folders given with --dir)";
        return Err(fault(why.into()));
    }
    Ok(Place::Folder(path))
}

/// A camera's URL, which may have a user and a password in front of its host.
fn camera(text: &str, login: Option<Login>) -> Result<Place, Fault> {
    let fault = |why: &str| Fault::new("source_url", format!("'{}': {why}", shown_url(text)));
    let url: Uri = text.parse().map_err(|_| fault("it is not a URL"))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        Some("rtsp") => {
            return Err(fault(
                "RTSP is not supported: most cameras also have a snapshot or Motion JPEG URL over HTTP",
            ));
        }
        _ => return Err(fault("it is not an http:// or https:// URL")),
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let (before, host) =
        authority.rsplit_once('@').map_or((None, authority), |(before, host)| (Some(before), host));
    let mut parts = url.clone().into_parts();
    parts.authority = Some(host.parse().map_err(|_| fault("its host is not valid"))?);
    let url = Uri::from_parts(parts).map_err(|_| fault("it is not a URL"))?;
    if url.host().is_none_or(|name| name != host && url.port_u16().is_none()) {
        return Err(fault("its port is not a number (in a password, / is written %2F)"));
    }
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let login = login.or(before.map(|before| {
        let (user, password) = before.split_once(':').unwrap_or((before, ""));
        Login { user: plain(user), password: plain(password) }
    }));
    Ok(Place::Camera { url, login })
}

fn checked_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let number = f64::deserialize(from)?;
    seconds(&number.to_string()).map(Some).map_err(serde::de::Error::custom)
}

fn checked_crop<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Crop>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
