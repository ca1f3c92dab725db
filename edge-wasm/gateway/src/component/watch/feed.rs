//! Frames of a source, one after the other.

use super::folder::Folder;
use super::http::Camera;
use super::sources::{Place, Source};
use crate::component::fault::Fault;

/// A picture's file as it came.
pub struct Frame {
    pub file: Vec<u8>,
    /// The name of a folder's file, or the source's.
    pub picture: String,
}

/// Where a source's frames come from.
pub enum Feed {
    Camera(Camera),
    Folder(Folder),
}

impl Feed {
    pub fn of(source: &Source) -> Result<Self, Fault> {
        Ok(match &source.place {
            Place::Camera { url, login } => {
                Self::Camera(Camera::new(url, login.as_ref(), source.interval, source.timeout)?)
            }
            Place::Folder(path) => {
                Self::Folder(Folder::new(path, source.interval, source.existing))
            }
        })
    }

    /// Whether it is a camera.
    pub fn is_camera(&self) -> bool {
        matches!(self, Self::Camera(_))
    }

    /// The next frame, of a camera no sooner than its interval after the one before. `None` if the source is there, but has nothing
    /// new. An error passes, or will come again.
    pub async fn next(&mut self, name: &str) -> Result<Option<Frame>, Fault> {
        match self {
            Self::Camera(camera) => {
                Ok(Some(Frame { file: camera.next().await?, picture: name.to_owned() }))
            }
            Self::Folder(folder) => folder.next().await,
        }
    }
}
