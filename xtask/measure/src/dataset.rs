//! Reads test pictures from folders of classes or from CIFAR's binary version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use fogline::manifest::Manifest;
use fogline_edge::device::{picture, source};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress, probe};

/// A labelled picture.
#[derive(Clone)]
pub struct Sample {
    /// Index of its class.
    pub label: usize,
    /// Its path below the dataset's folder, such as `test/cat/1.jpg`; for a record of a CIFAR batch the file and the index,
    /// from 0, such as `test_batch.bin[17]`.
    pub name: String,
    pixels: Pixels,
}

#[derive(Clone)]
enum Pixels {
    File(PathBuf),
    /// The record at this offset in a CIFAR batch: 1,024 bytes per channel.
    Planes(Arc<Vec<u8>>, usize),
}

const SIDE: u32 = 32;

impl Sample {
    /// The picture as RGB bytes, resized to the model's input.
    pub fn rgb(&self, size: u32) -> Result<Vec<u8>> {
        match &self.pixels {
            // Like the gateway: format by content, orientation applied.
            Pixels::File(path) => {
                let file = read(path)?;
                picture::decode(&file, size, picture::MOST_PIXELS)
                    .with_context(|| path.display().to_string())
            }
            Pixels::Planes(batch, at) => {
                Ok(picture::from_rgba(&interleaved(batch, *at), SIDE, SIDE, size)?)
            }
        }
    }

    /// The picture as a file: extension and bytes. Unchanged if it already is a file.
    pub fn file(&self) -> Result<(String, Vec<u8>)> {
        match &self.pixels {
            Pixels::File(path) => Ok((extension(path), read(path)?)),
            Pixels::Planes(batch, at) => {
                let mut png = vec![];
                let rgba = interleaved(batch, *at);
                PngEncoder::new(&mut png).write_image(
                    &rgba,
                    SIDE,
                    SIDE,
                    ExtendedColorType::Rgba8,
                )?;
                Ok(("png".to_owned(), png))
            }
        }
    }

    /// Bytes of the JPEG that would be sent instead of a map: the picture's file if it is one of the network's size;
    /// otherwise the network's pixels `rgb`, with quality 75 and half the resolution of colours.
    pub fn jpeg_bytes(&self, rgb: &[u8], size: u32) -> Result<usize> {
        if let Some(file) = self.jpeg_of_size(size)? {
            return Ok(file.len());
        }
        let size = size as usize;
        Ok(compress(rgb, size, size, PixelFormat::Rgb, 75, Subsampling::S420)?.len())
    }

    /// The picture's file if it is a JPEG of the network's size.
    pub fn jpeg_of_size(&self, size: u32) -> Result<Option<Vec<u8>>> {
        let Pixels::File(path) = &self.pixels else { return Ok(None) };
        let (file, size) = (read(path)?, size as usize);
        let fits = probe(&file).is_ok_and(|info| (info.width, info.height) == (size, size));
        Ok(fits.then_some(file))
    }
}

/// Reads a picture's file.
fn read(path: &Path) -> Result<Vec<u8>> {
    let at = || path.display().to_string();
    // Reading a pipe would wait for ever.
    ensure!(fs::metadata(path).with_context(at)?.is_file(), "{}: not a regular file", at());
    fs::read(path).with_context(at)
}

/// The RGBA bytes of the record at this offset.
fn interleaved(batch: &[u8], at: usize) -> Vec<u8> {
    let plane = (SIDE * SIDE) as usize;
    let pixel = |i: usize| {
        let of = |channel: usize| batch[at + channel * plane + i];
        [of(0), of(1), of(2), 255]
    };
    (0..plane).flat_map(pixel).collect()
}

/// Reads the test pictures of the dataset in `root`; with `limit`, only that many, spread evenly.
pub fn test_pictures(
    root: &Path,
    manifest: &Manifest,
    limit: Option<usize>,
) -> Result<Vec<Sample>> {
    let samples = if root.join("test_batch.bin").is_file() {
        cifar(root, ["test_batch.bin", "batches.meta.txt"], 1, &manifest.classes)?
    } else if root.join("test.bin").is_file() {
        cifar(root, ["test.bin", "fine_label_names.txt"], 2, &manifest.classes)?
    } else {
        folders(root, manifest)?
    };
    ensure!(!samples.is_empty(), "{} has no test pictures", root.display());
    Ok(evenly(samples, limit))
}

/// Returns all samples, or, with `limit`, at least one and at most that many, spread evenly.
pub fn evenly(samples: Vec<Sample>, limit: Option<usize>) -> Vec<Sample> {
    let count = samples.len();
    let limit = limit.unwrap_or(count).clamp(1, count);
    let chosen = samples
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (i + 1) * limit / count > i * limit / count);
    chosen.map(|(_, sample)| sample).collect()
}

fn folders(root: &Path, manifest: &Manifest) -> Result<Vec<Sample>> {
    let test = root.join("test");
    let folder_of = folder_names(&root.join("classes.txt"))?;
    let folders =
        manifest.classes.iter().map(|class| test.join(folder_of.get(class).unwrap_or(class)));
    let folders: Vec<PathBuf> = folders.collect();
    if let Some(missing) = folders.iter().find(|folder| !folder.is_dir()) {
        bail!(
            "{} is not a dataset: expected DIR/test/CLASS/*.jpg with this pair's classes, or CIFAR's binary version",
            missing.display()
        );
    }
    for entry in fs::read_dir(&test).with_context(|| test.display().to_string())? {
        let entry = entry?;
        let is_class = entry.path().is_dir() && !source::is_hidden(&entry.file_name(), true);
        ensure!(
            !is_class || folders.contains(&entry.path()),
            "{}: the pair does not have this class; it has {}",
            entry.path().display(),
            manifest.classes.join(", ")
        );
    }
    let found = source::pictures(&folders);
    if !found.left_out.is_empty() {
        eprintln!("{}: {}", test.display(), found.left_out);
    }
    let samples = found.pictures.into_iter().map(|path| {
        let label = folders.iter().position(|folder| path.starts_with(folder));
        Sample {
            label: label.expect("it is in a class folder"),
            name: name_below(root, &path),
            pixels: Pixels::File(path),
        }
    });
    let samples: Vec<Sample> = samples.collect();
    for (label, folder) in folders.iter().enumerate() {
        ensure!(
            samples.iter().any(|sample| sample.label == label),
            "{}: the class folders have no .jpg, .jpeg, .png or .webp",
            folder.display()
        );
    }
    Ok(samples)
}

/// The path of `file` below `root`, with slashes on every system.
fn name_below(root: &Path, file: &Path) -> String {
    let parts = file.strip_prefix(root).unwrap_or(file).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Reads a dataset's `classes.txt`, which has one line FOLDER<TAB>NAME per class. Returns the folder of each class.
fn folder_names(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let at = path.display();
    let text = fs::read_to_string(path).with_context(|| at.to_string())?;
    let mut folders = BTreeMap::new();
    // Editors may begin a file with a byte order mark.
    for line in text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty()) {
        let (folder, name) = line.split_once('\t').unwrap_or((line, ""));
        let (folder, name) = (folder.trim(), name.trim());
        let is_whole = !folder.is_empty() && !name.is_empty() && !name.contains('\t');
        ensure!(is_whole, "{at}: the line '{line}' must be FOLDER, a tab and NAME");
        let is_new = folders.values().all(|known| known != folder);
        ensure!(is_new, "{at}: two lines name the folder {folder}");
        ensure!(
            folders.insert(name.to_owned(), folder.to_owned()).is_none(),
            "{at}: two folders are named {name}"
        );
    }
    Ok(folders)
}

fn extension(file: &Path) -> String {
    file.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Reads the records of a batch. Their labels are line numbers in the archive's file of class names.
fn cifar(
    root: &Path,
    [file, names]: [&str; 2],
    labels: usize,
    classes: &[String],
) -> Result<Vec<Sample>> {
    let (path, names) = (root.join(file), root.join(names));
    let known = fs::read_to_string(&names).with_context(|| names.display().to_string())?;
    let known: Vec<&str> = known.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(other) = known.iter().find(|name| classes.iter().all(|class| class != *name)) {
        bail!(
            "{}: the pair has no class '{other}'; it has {}",
            names.display(),
            classes.join(", ")
        );
    }
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let record = labels + 3 * (SIDE * SIDE) as usize;
    ensure!(
        bytes.len().is_multiple_of(record),
        "{}: {} bytes are not a whole number of records of {record} bytes",
        path.display(),
        bytes.len()
    );
    let batch = Arc::new(bytes);
    let starts = (0..batch.len()).step_by(record);
    let sample = |(index, at): (usize, usize)| {
        let label = usize::from(batch[at + labels - 1]);
        let name = known.get(label).with_context(|| {
            format!(
                "{}: label {label} is out of range; {} has {} classes",
                path.display(),
                names.display(),
                known.len()
            )
        })?;
        let label =
            classes.iter().position(|class| class == name).expect("all names were checked above");
        let name = format!("{file}[{index}]");
        Ok(Sample { label, name, pixels: Pixels::Planes(batch.clone(), at + labels) })
    };
    starts.enumerate().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cifar_records_hold_planes_behind_their_label() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test_batch.bin");
        let read = |classes: &[&str]| {
            let classes: Vec<String> = classes.iter().map(|&class| class.into()).collect();
            cifar(folder.path(), ["test_batch.bin", "batches.meta.txt"], 1, &classes)
        };
        let refusal = |classes| read(classes).err().unwrap().to_string();
        let mut record = vec![1_u8];
        for channel in 0..3 {
            record.extend((0..1024).map(|i| (i % 100) as u8 + channel));
        }
        fs::write(&path, record.repeat(2)).unwrap();
        assert!(refusal(&["cat", "dog"]).contains("batches.meta.txt"));
        fs::write(folder.path().join("batches.meta.txt"), "cat\ndog\n\n").unwrap();
        let samples = read(&["cat", "dog"]).unwrap();
        assert_eq!((samples.len(), samples[1].label), (2, 1));
        assert_eq!(samples[1].name, "test_batch.bin[1]");
        // A choice of them keeps their indices in the file.
        assert_eq!(evenly(samples.clone(), Some(1))[0].name, "test_batch.bin[1]");
        assert_eq!(samples[1].rgb(32).unwrap()[..6], [0, 1, 2, 1, 2, 3]);
        // Classes are matched by name, not by position.
        assert_eq!(read(&["dog", "frog", "cat"]).unwrap()[0].label, 0);
        assert!(refusal(&["cat", "frog"]).contains("no class 'dog'"));
        record[0] = 2;
        fs::write(&path, &record).unwrap();
        assert!(refusal(&["cat", "dog"]).contains("label 2 is out of range"));
        fs::write(&path, &record[1..]).unwrap();
        assert!(refusal(&["cat", "dog"]).contains("whole number of records"));
    }

    #[test]
    fn a_jpeg_of_the_networks_size_counts_as_it_is_and_others_at_that_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let pixels: Vec<u8> = (0..48 * 48 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let best = compress(&pixels, 48, 48, PixelFormat::Rgb, 100, Subsampling::S444).unwrap();
        fs::write(&path, &best).unwrap();
        let sample = Sample { label: 0, name: String::new(), pixels: Pixels::File(path) };
        let sent = |size| sample.jpeg_bytes(&sample.rgb(size).unwrap(), size).unwrap();
        assert_eq!(sent(48), best.len());
        let smaller =
            compress(&sample.rgb(32).unwrap(), 32, 32, PixelFormat::Rgb, 75, Subsampling::S420);
        assert_eq!(sent(32), smaller.unwrap().len());
    }

    #[test]
    fn a_folder_is_read_by_the_rule_of_gateway_recipe_and_page() {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../edge-wasm/tests");
        let mut manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(at.join("tiny/manifest.json")).unwrap()).unwrap();
        manifest["classes"] = serde_json::json!(["cat", "dog", "odd"]);
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(at.join("pictures/tree"), root.path().join("test")).unwrap();
        let expected = fs::read(at.join("pictures/expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let rows = expected["pictures"].as_object().unwrap();
        let samples = test_pictures(root.path(), &manifest, None).unwrap();
        assert_eq!(samples.len(), rows.len());
        for sample in samples {
            let Pixels::File(path) = &sample.pixels else { panic!("a file") };
            let name = path.strip_prefix(root.path().join("test")).unwrap().to_str().unwrap();
            assert!(name.starts_with(&manifest.classes[sample.label]), "{name}");
            assert_eq!(sample.name, format!("test/{name}"));
            let Some(row) = rows[name].as_str() else {
                // An unreadable file stops the measurement with its name.
                assert!(format!("{:#}", sample.rgb(16).unwrap_err()).contains(name));
                continue;
            };
            let side = row.len() / 6;
            let rgb = sample.rgb(side as u32).unwrap();
            assert_eq!(hex::encode(&rgb[side * 9..side * 12]), row, "{name}");
        }
    }

    #[test]
    fn a_pipe_is_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cam.jpg");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let sample = Sample { label: 0, name: "cam.jpg".into(), pixels: Pixels::File(path) };
        assert!(sample.rgb(32).unwrap_err().to_string().contains("not a regular file"));
        assert!(sample.file().is_err());
    }

    #[test]
    fn a_dataset_may_say_what_its_folders_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.txt");
        assert!(folder_names(&path).unwrap().is_empty());
        fs::write(&path, "n01443537\tgoldfish\nn01698640\tAmerican alligator\n").unwrap();
        assert_eq!(folder_names(&path).unwrap()["American alligator"], "n01698640");
        for (text, why) in [
            ("n01443537 goldfish\n", "a tab and NAME"),
            ("n01443537\t \n", "a tab and NAME"),
            ("a\tgoldfish\na\tfrog\n", "two lines name the folder a"),
            ("a\tgoldfish\nb\tgoldfish\n", "two folders are named goldfish"),
        ] {
            fs::write(&path, text).unwrap();
            assert!(folder_names(&path).unwrap_err().to_string().contains(why), "{text}");
        }
        fs::write(&path, "\u{feff}a\tgoldfish\n").unwrap();
        assert_eq!(folder_names(&path).unwrap()["goldfish"], "a");
    }
}
