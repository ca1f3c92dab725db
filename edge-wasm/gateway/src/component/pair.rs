//! The pair that decides, and the pictures that it is given.

use std::fs;
use std::io::{ErrorKind, Read, stdin};
use std::path::{Path, PathBuf};
use std::time::Instant;

use fogline::policy::Policy;
use fogline_edge::device::folder::Folder;
use fogline_edge::device::picture::{self, MOST_PIXELS};
use fogline_edge::device::source::{self, STDIN};
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;
use fogline_edge::session::batch::Passed;

use crate::component::fault::{Fault, hinted};

/// Larger files are not read: no picture within the limits needs more.
const MOST_BYTES: u64 = 50 << 20;

/// A folder holds no picture.
pub const EMPTY: &str = "folder_empty";

/// What decides.
#[derive(clap::Args)]
pub struct PairOptions {
    /// Folder of the pair: manifest.json and edge.fog.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// How exits decide: entropy, max_probability, margin or appeal [default: the manifest's].
    #[arg(long)]
    policy: Option<Policy>,
    /// Thresholds in place of the manifest's, one an exit: `0.3,0.5`. More pictures end at an exit with a higher
    /// entropy, a lower max_probability, margin or appeal.
    #[arg(long, value_name = "N,…", value_delimiter = ',', allow_hyphen_values = true)]
    thresholds: Option<Vec<f32>>,
    /// The most pixels that a picture may have; larger ones are refused before memory is taken for them, which is up to
    /// 20 bytes a pixel.
    #[arg(long, value_name = "N", default_value_t = MOST_PIXELS)]
    max_pixels: u64,
}

impl PairOptions {
    /// Loads and verifies it.
    pub fn load(&self) -> Result<Session, Fault> {
        let mut session = load(&self.model)?;
        if let Some(policy) = self.policy {
            session.set_policy(policy)?;
        }
        if let Some(thresholds) = &self.thresholds {
            session.set_thresholds(thresholds)?;
        }
        Ok(session)
    }

    /// A picture's pixels, and the bytes of its file.
    pub fn open(&self, session: &Session, path: &Path) -> Result<(Vec<u8>, usize), Fault> {
        let file = read(path)?;
        Ok((self.decode(session, &file)?, file.len()))
    }

    /// The pixels of a picture's file.
    pub fn decode(&self, session: &Session, file: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(picture::decode(file, session.manifest().input.size, self.max_pixels)?)
    }
}

/// Loads and verifies the pair of a folder.
pub fn load(model: &Path) -> Result<Session, Fault> {
    Ok(Folder::at(model).load(Backend::fastest())?)
}

/// The pictures that `paths` mean.
pub fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    source::pictures(paths).map_err(|(path, error)| {
        let word = if error.kind() == ErrorKind::NotFound { EMPTY } else { "folder_unreadable" };
        Fault::new(word, error).of(&path)
    })
}

/// Runs the edge on pixels.
pub fn pass(session: &mut Session, rgb: &[u8]) -> Passed {
    let began = Instant::now();
    let pass = session.run_edge(rgb);
    Passed { pass, ms: began.elapsed().as_secs_f64() * 1e3 }
}

/// All of a file, or of standard input.
pub fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::new("file_too_large", format!("over {MOST_BYTES} bytes"));
    let unreadable = |error| Fault::new("file_unreadable", hinted(&error));
    if path.as_os_str() == STDIN {
        let mut bytes = vec![];
        stdin().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        return if bytes.len() as u64 > MOST_BYTES { Err(too_large()) } else { Ok(bytes) };
    }
    if fs::metadata(path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(too_large());
    }
    fs::read(path).map_err(unreadable)
}
