//! The pictures that a command's arguments name: files, folders, standard input.
//!
//! Gateway, `eval`, recipe and page use one rule for which files of a folder are pictures: docs/pictures.md.

#[cfg(target_os = "wasi")]
mod wasi;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The argument that means standard input.
pub const STDIN: &str = "-";

/// The file name extensions of pictures in a folder.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// What [`pictures`] found under the given paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Pictures in the order of the arguments, those of a folder sorted by name. Entries and folders that cannot be read
    /// are among them, so that opening them gives the error.
    pub pictures: Vec<PathBuf>,
    /// Folders among the arguments that contain no picture.
    pub empty: Vec<PathBuf>,
    /// The other files in the folders.
    pub left_out: LeftOut,
}

/// Numbers of files in folders that are not pictures, by extension.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    by_ending: BTreeMap<String, usize>,
    hidden: usize,
}

impl LeftOut {
    /// Whether every file was a picture.
    pub fn is_empty(&self) -> bool {
        self.by_ending.is_empty() && self.hidden == 0
    }
}

/// For people: `left out: 2 .gif, 1 .heic, 3 hidden`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings = self.by_ending.iter().map(|(ending, count)| format!("{count} {ending}"));
        let hidden = (self.hidden > 0).then(|| format!("{} hidden", self.hidden));
        let counts: Vec<String> = endings.chain(hidden).collect();
        write!(f, "left out: {}", counts.join(", "))
    }
}

/// The pictures that `paths` name, in their order. A folder means all pictures in it and below it. Any other path is
/// taken as it is, even if nothing exists there.
pub fn pictures(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == STDIN || !path.is_dir() {
            found.pictures.push(path.clone());
            continue;
        }
        let before = found.pictures.len();
        found.gather(path);
        if found.pictures.len() == before {
            found.empty.push(path.clone());
        }
    }
    found
}

impl Found {
    /// Adds the pictures in and below `folder`. Links to folders are not followed: one that leads up would never end.
    fn gather(&mut self, folder: &Path) {
        let (mut entries, all) = entries(folder);
        if !all {
            self.pictures.push(folder.to_owned());
        }
        entries.sort();
        for (name, is_folder) in entries {
            let path = folder.join(&name);
            if is_hidden(&name, is_folder) {
                self.left_out.hidden += 1;
            } else if is_folder {
                self.gather(&path);
            } else if !path.is_dir() {
                let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
                if ENDINGS.contains(&&*ending) {
                    self.pictures.push(path);
                    continue;
                }
                let ending = match ending.as_str() {
                    "" => "without an ending".to_owned(),
                    ending => format!(".{ending}"),
                };
                *self.left_out.by_ending.entry(ending).or_default() += 1;
            }
        }
    }
}

/// The readable names in a folder, each with whether it is a folder; and whether these are all names.
fn entries(folder: &Path) -> (Vec<(OsString, bool)>, bool) {
    let Ok(listed) = fs::read_dir(folder) else { return (vec![], false) };
    let mut entries = vec![];
    for entry in listed {
        let Ok(entry) = entry else {
            #[cfg(target_os = "wasi")]
            if let Some(entries) = wasi::entries(folder) {
                return (entries, false);
            }
            return (entries, false);
        };
        entries.push((entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_dir())));
    }
    (entries, true)
}

/// Whether a name is one that programs keep for themselves: `.DS_Store`, `._cat.jpg`, `.git`, `__MACOSX`.
pub fn is_hidden(name: &OsStr, is_folder: bool) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || is_folder && name.starts_with(b"__")
}

/// The index of the class whose folder contains a picture: the first folder below `root`.
pub fn class_of(classes: &[String], root: &Path, path: &Path) -> Option<usize> {
    let folder = path.strip_prefix(root).unwrap_or(path).parent()?.iter().next()?;
    classes.iter().position(|class| folder == class.as_str())
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_pictures_and_a_file_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in
            ["z.PNG", "b/2.jpg", "b/deep/1.jpeg", "b/10.jpg", "notes.txt", ".hidden.png", "b.png"]
        {
            fs::write(at(name), "").unwrap();
        }
        let found = pictures(&[at("notes.txt"), folder.path().to_owned(), "-".into(), at("no")]);
        let expected =
            ["notes.txt", "b/10.jpg", "b/2.jpg", "b/deep/1.jpeg", "b.png", "z.PNG", "-", "no"];
        let expected = expected.map(|name| if name == "-" { "-".into() } else { at(name) });
        assert_eq!(found.pictures, expected);
        assert_eq!(found.left_out.to_string(), "left out: 1 .txt, 1 hidden");
    }

    #[test]
    fn a_folder_without_pictures_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let found = pictures(&[folder.path().to_owned()]);
        assert_eq!((found.pictures, found.empty), (vec![], vec![folder.path().to_owned()]));
    }

    #[test]
    fn a_picture_s_class_is_the_folder_it_lies_in() {
        let classes = ["cat", "dog"].map(String::from);
        let class = |path: &str| class_of(&classes, Path::new("cat/set"), Path::new(path));
        assert_eq!(class("cat/set/dog/1.png"), Some(1));
        assert_eq!(class("cat/set/dog/cat/1.png"), Some(1));
        assert_eq!(class("cat/set/1.png"), None);
        assert_eq!(class("cat/set/bird/1.png"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_up_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.png"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("up.png")).unwrap();
        assert_eq!(pictures(&[folder.path().to_owned()]).pictures, [folder.path().join("a.png")]);
    }
}
