//! Where pictures come from: files, folders, standard input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name that stands for standard input.
pub const STDIN: &str = "-";

/// Endings of files that are taken from a folder.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// The pictures that `paths` mean, in their order: a folder stands for all JPEG and PNG files in and below
/// it, sorted, without hidden ones. A path that is no folder is taken as it is, whether it is there or not.
///
/// # Errors
/// With the folder that cannot be listed, or holds no picture.
pub fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut pictures = vec![];
    for path in paths {
        if path.as_os_str() == STDIN || !path.is_dir() {
            pictures.push(path.clone());
            continue;
        }
        let before = pictures.len();
        gather(path, &mut pictures)?;
        if pictures.len() == before {
            let none = io::Error::new(io::ErrorKind::NotFound, "no JPEG or PNG file is in it");
            return Err((path.clone(), none));
        }
    }
    Ok(pictures)
}

/// Links to folders are not followed: one that leads up would never end.
fn gather(folder: &Path, pictures: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let unlisted = |error| (folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(unlisted)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unlisted)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(unlisted)?.is_dir() {
            gather(&path, pictures)?;
        } else if is_picture(&path) && !path.is_dir() {
            pictures.push(path);
        }
    }
    Ok(())
}

/// The class, by its index, whose folder a picture lies in: the first folder below `root`.
pub fn class_of(classes: &[String], root: &Path, path: &Path) -> Option<usize> {
    let folder = path.strip_prefix(root).unwrap_or(path).parent()?.iter().next()?;
    classes.iter().position(|class| folder == class.as_str())
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
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
        let listed = pictures(&[at("notes.txt"), folder.path().to_owned(), "-".into(), at("no")]);
        let expected =
            ["notes.txt", "b/10.jpg", "b/2.jpg", "b/deep/1.jpeg", "b.png", "z.PNG", "-", "no"];
        let expected = expected.map(|name| if name == "-" { "-".into() } else { at(name) });
        assert_eq!(listed.unwrap(), expected);
    }

    #[test]
    fn a_folder_without_pictures_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let (path, error) = pictures(&[folder.path().to_owned()]).unwrap_err();
        assert_eq!((path.as_path(), error.kind()), (folder.path(), io::ErrorKind::NotFound));
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
        assert_eq!(pictures(&[folder.path().to_owned()]).unwrap().len(), 1);
    }
}
