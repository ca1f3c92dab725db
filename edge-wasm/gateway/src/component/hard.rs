//! Options for keeping hard pictures, and the folder of a run.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fogline_edge::device::hard::{Hard, HardError, is_hard};
use fogline_edge::device::picture::Crop;
use fogline_edge::device::source::STDIN;
use fogline_edge::session::Answer;
use serde::Serialize;

use crate::component::fault::{Fault, complain, hinted, json, shown};
use crate::component::line::Line;
use crate::component::pair;
use crate::component::transport::random;

/// Options for keeping hard pictures.
#[derive(clap::Args)]
pub struct Keeping {
    /// Keep the pictures that went to the cloud, and those of which the cloud contradicts a sure exit (--audit-rate), with a line of
    /// JSON each: DIR/ANSWER/TIME.jpg and TIME.json. Move a picture to the right folder, and it is ready to train on.
    #[arg(id = "keep_hard", long = "keep-hard", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Maximum size of that folder, in MiB; when it is full, the oldest pictures are removed.
    #[arg(id = "keep_hard_mib", long = "keep-hard-mib", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    mib: u64,
    /// Maximum age of pictures there, in days.
    #[arg(id = "keep_hard_days", long = "keep-hard-days", value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

/// The folder of a run.
pub struct Hardness {
    hard: Hard,
    /// Whether a picture that could not be kept was reported.
    reported: bool,
}

/// The line beside a picture.
#[derive(Serialize)]
struct Note<'a> {
    /// Seconds since 1970.
    unix: u64,
    /// Left, top, width and height of the part that was looked at, in parts of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<[f64; 4]>,
    #[serde(flatten)]
    line: Line<'a>,
}

impl Keeping {
    /// The folder, if the options name one, which is created if it does not exist.
    ///
    /// # Errors
    /// If it cannot be used, or contains one of the `watched` folders or lies in it: kept pictures would be found as new ones.
    pub fn open(&self, has_cloud: bool, watched: &[&Path]) -> Result<Option<Hardness>, Fault> {
        let Some(folder) = &self.folder else { return Ok(None) };
        if !has_cloud {
            let why = "--keep-hard keeps what the cloud was asked about: it has no effect without --cloud";
            complain(&Fault::new("keep_hard_without_cloud", why));
        }
        let plain = |path: &Path| path.components().collect::<PathBuf>();
        let own = plain(folder);
        if let Some(path) = watched.iter().map(|path| plain(path)).find(|path| {
            own.starts_with(path)
                || path.starts_with(&own)
                || [&own, path].contains(&&PathBuf::from("."))
        }) {
            let why = format!("it and the watched folder {} lie in each other", shown(&path));
            return Err(Fault::new("keep_hard_unusable", why).of(folder));
        }
        let age = Duration::from_hours(24 * self.days);
        Ok(Some(Hardness { hard: Hard::create(folder, self.mib << 20, age)?, reported: false }))
    }
}

impl Hardness {
    /// Keeps the picture's file if its answer shows that it is hard; `crop` is the part that was looked at. An error is reported once,
    /// and loses no answer.
    pub fn keep(&mut self, picture: &str, file: &[u8], answer: &Answer, crop: Option<Crop>) {
        if !is_hard(answer) {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line::answer(picture.to_owned(), answer);
        let note = Note { unix: since.as_secs(), crop: crop.map(Crop::parts), line };
        let [a, b, c, d, ..] = random();
        let tag = u32::from_le_bytes([a, b, c, d]);
        if let Err(error) = self.hard.keep(file, &answer.label, &json(&note), tag)
            && !std::mem::replace(&mut self.reported, true)
        {
            complain(&error.into());
        }
    }

    /// Keeps the picture at `path`. What came on standard input is gone, and is not kept.
    pub fn keep_file(&mut self, path: &Path, answer: &Answer) {
        if is_hard(answer)
            && path.as_os_str() != STDIN
            && let Ok(file) = pair::read(path)
        {
            self.keep(&path.display().to_string(), &file, answer, None);
        }
    }

    /// How many pictures were kept, and how many removed to stay within the limits.
    pub fn counts(&self) -> (u64, u64) {
        (self.hard.kept, self.hard.removed)
    }
}

impl From<HardError> for Fault {
    fn from(error: HardError) -> Self {
        Self::new(error.word(), hinted(&error.why)).of(&error.path)
    }
}
