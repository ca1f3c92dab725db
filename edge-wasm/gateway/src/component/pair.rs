//! The pair that a command runs, and the pictures that it reads.

use std::fs;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use fogline::policy::{Policy, Sure};
use fogline_edge::device::folder::Folder;
use fogline_edge::device::picture::{self, Crop, MOST_PIXELS};
use fogline_edge::device::source::{self, Found, STDIN};
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;

use crate::component::fault::{Fault, complain, hinted, note};

/// The size limit of a picture's file, in bytes. No picture within the pixel limit needs more.
const MOST_BYTES: u64 = 50 << 20;

/// The error code of a folder without pictures.
pub const EMPTY: &str = "folder_empty";

/// Options for the pair and how it decides.
#[derive(clap::Args)]
pub struct PairOptions {
    /// Folder of the pair, with manifest.json and edge.fog.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// How exits decide [default: the manifest's policy].
    #[arg(long, value_parser = PossibleValuesParser::new(Policy::ALL.iter().map(|policy| policy.name())).try_map(|name| name.parse::<Policy>()))]
    policy: Option<Policy>,
    #[arg(long, value_name = "N,…", value_delimiter = ',', allow_hyphen_values = true, help = thresholds_help())]
    thresholds: Option<Vec<f32>>,
    /// Maximum pixels of a picture. Larger pictures are refused before memory is allocated for them, which is up to 20 bytes
    /// per pixel.
    #[arg(long, value_name = "N", default_value_t = MOST_PIXELS)]
    max_pixels: u64,
}

fn thresholds_help() -> String {
    format!(
        "Thresholds instead of the manifest's, one per exit: `0.3,0.5`. An exit answers more pictures if its threshold is \
         higher ({}) or lower ({})",
        Policy::names(|rule| rule.sure == Sure::AtMost),
        Policy::names(|rule| rule.sure == Sure::AtLeast)
    )
}

impl PairOptions {
    /// Loads and verifies the pair, and sets its policy and thresholds.
    pub fn load(&self) -> Result<Session, Fault> {
        let mut session = load(&self.model)?;
        let policy = self.policy.unwrap_or(session.policy());
        session.decide_by(policy, self.thresholds.as_deref())?;
        Ok(session)
    }

    /// The JSON of the pair's manifest.
    pub fn manifest_json(&self) -> Result<Vec<u8>, Fault> {
        let path = self.model.join("manifest.json");
        read(&path).map_err(|fault| fault.of(&path))
    }

    /// Whether exits decide otherwise than the manifest says.
    pub fn decides_otherwise(&self) -> bool {
        self.policy.is_some() || self.thresholds.is_some()
    }

    /// The decoder for the pair's pictures.
    pub fn decoder(&self, session: &Session) -> Decoder {
        Decoder { size: session.manifest().input.size, max_pixels: self.max_pixels }
    }
}

/// Decodes picture files to pixels of the pair's input size.
#[derive(Clone, Copy)]
pub struct Decoder {
    size: u32,
    max_pixels: u64,
}

impl Decoder {
    /// A picture's pixels, and the size of its file in bytes.
    pub fn open(self, path: &Path) -> (Result<Vec<u8>, Fault>, usize) {
        match read(path) {
            Ok(file) => (self.decode(&file), file.len()),
            Err(fault) => (Err(fault), 0),
        }
    }

    /// The pixels of a picture's file.
    pub fn decode(self, file: &[u8]) -> Result<Vec<u8>, Fault> {
        self.decode_part(file, None)
    }

    /// The pixels of a part of a picture.
    pub fn decode_part(self, file: &[u8], part: Option<Crop>) -> Result<Vec<u8>, Fault> {
        Ok(picture::decode_part(file, self.size, self.max_pixels, part)?)
    }

    /// Pixels per side of what is decoded.
    pub fn size(self) -> usize {
        self.size as usize
    }
}

/// Loads and verifies the pair in a folder.
pub fn load(model: &Path) -> Result<Session, Fault> {
    Ok(Folder::at(model).load(Backend::fastest())?)
}

/// The pictures that `paths` name. Other files in folders are reported; a folder that cannot be listed is among the pictures.
pub fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let Found { pictures, empty, left_out } = source::pictures(paths);
    if !left_out.is_empty() {
        note(&left_out.to_string());
    }
    for folder in empty {
        let fault = Fault::new(EMPTY, "contains no JPEG, PNG or WebP file").of(&folder);
        if pictures.is_empty() {
            return Err(fault);
        }
        complain(&fault);
    }
    Ok(pictures)
}

/// Reads a file, or standard input, as a whole.
pub fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::new("file_too_large", format!("larger than {MOST_BYTES} bytes"));
    let unreadable = |error| Fault::new("file_unreadable", hinted(&error));
    if path.as_os_str() == STDIN {
        let mut bytes = vec![];
        stdin().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        return if bytes.len() as u64 > MOST_BYTES { Err(too_large()) } else { Ok(bytes) };
    }
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        // It is among the pictures because it cannot be listed completely.
        let why = match fs::read_dir(path) {
            Ok(mut entries) => match entries.find_map(Result::err) {
                Some(error) => {
                    format!("{error}: a name in it cannot be read; the others are used")
                }
                None => "a folder, not a file".to_owned(),
            },
            Err(error) => hinted(&error),
        };
        return Err(Fault::new("folder_unreadable", why));
    }
    // Reading a pipe might never end.
    if !metadata.is_file() {
        return Err(Fault::new("file_unreadable", "not a regular file"));
    }
    if metadata.len() > MOST_BYTES {
        return Err(too_large());
    }
    fs::read(path).map_err(unreadable)
}
