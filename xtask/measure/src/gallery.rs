//! `fogline-measure gallery`: copies some of a dataset's test pictures to a folder for the page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fogline_stack::models::Models;
use serde::Serialize;

use crate::dataset::{self, Sample};

/// Options of `fogline-measure gallery`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair with the dataset's classes: NAME or NAME/VERSION [default: the first].
    #[arg(long)]
    model: Option<String>,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The dataset, as for `eval`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Number of pictures, spread over the classes.
    #[arg(long, default_value_t = 50)]
    count: usize,
    /// Output folder for the pictures and their index.json; its content is deleted first.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A picture in the index.
#[derive(Serialize)]
struct Shown {
    file: String,
    /// Name of its class.
    label: String,
}

/// Chooses the pictures, writes them and prints the folder.
pub fn run(options: &Options) -> Result<()> {
    let models = Models::find(&options.models)?;
    let manifest = &models.choose(options.model.as_deref())?.manifest;
    let samples = dataset::test_pictures(&options.data, manifest, None)?;
    let shown = write(&spread(samples, options.count), &manifest.classes, &options.out)?;
    println!("{shown} test pictures in {}", options.out.display());
    Ok(())
}

/// Chooses `count` samples: equally many per class, give or take one, spread over the class. The classes alternate.
fn spread(mut samples: Vec<Sample>, count: usize) -> Vec<Sample> {
    samples.sort_by_key(|sample| sample.label);
    let mut rest = dataset::evenly(samples, Some(count));
    let (mut rank, mut last) = (0, None);
    let mut ranked: Vec<(usize, Sample)> = rest
        .drain(..)
        .map(|sample| {
            rank = if last == Some(sample.label) { rank + 1 } else { 0 };
            last = Some(sample.label);
            (rank, sample)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, sample)| sample).collect()
}

/// Writes the files and the index. Returns the number of pictures.
fn write(samples: &[Sample], classes: &[String], out: &Path) -> Result<usize> {
    if out.is_dir() {
        fs::remove_dir_all(out).with_context(|| out.display().to_string())?;
    }
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut index = vec![];
    for (at, sample) in samples.iter().enumerate() {
        let (extension, bytes) = sample.file()?;
        let shown =
            Shown { file: format!("{at}.{extension}"), label: classes[sample.label].clone() };
        let path = out.join(&shown.file);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        index.push(shown);
    }
    fs::write(out.join("index.json"), serde_json::to_vec(&index)?)?;
    Ok(index.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CIFAR-10 of `records` pictures with shuffled classes.
    const CLASSES: &str = "airplane automobile bird cat deer dog frog horse ship truck";

    fn binary(root: &Path, records: usize) {
        let record = |at: usize| {
            let label = (at * 7 % 10) as u8;
            [vec![label], vec![label * 20; 1024], vec![at as u8; 1024], vec![255; 1024]].concat()
        };
        let batch: Vec<u8> = (0..records).flat_map(record).collect();
        fs::write(root.join("test_batch.bin"), batch).unwrap();
        fs::write(root.join("batches.meta.txt"), CLASSES.replace(' ', "\n")).unwrap();
    }

    fn index(out: &Path) -> Vec<(String, String)> {
        let text = fs::read(out.join("index.json")).unwrap();
        let index: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        let of = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
        index.iter().map(|one| (of(one, "file"), of(one, "label"))).collect()
    }

    fn gallery(data: &Path, count: usize, out: &Path) -> Vec<(String, String)> {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../onnx-models");
        let (data, out) = (data.to_owned(), out.to_owned());
        let model = Some("cifar10-w1".to_owned());
        run(&Options { model, models, data, count, out: out.clone() }).unwrap();
        index(&out)
    }

    #[test]
    fn cifars_records_become_pictures_of_every_class() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("gallery");
        binary(folder.path(), 100);
        let shown = gallery(folder.path(), 20, &out);
        assert_eq!(shown.len(), 20);
        let labels: Vec<&str> = shown.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels[..3], ["airplane", "automobile", "bird"]);
        assert_eq!(labels[..10], labels[10..], "one of each class, then the next of each");
        // Red encodes the class, green the record.
        let truck = image::open(out.join(&shown[9].0)).unwrap().into_rgb8();
        let image::Rgb([red, green, blue]) = *truck.get_pixel(31, 31);
        assert_eq!((truck.dimensions(), red, blue), ((32, 32), 180, 255));
        assert_eq!(usize::from(green) * 7 % 10, 9);
        // A second run with fewer pictures leaves nothing of the first.
        assert_eq!(gallery(folder.path(), 4, &out).len(), 4);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 5);
    }

    #[test]
    fn a_folders_files_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for class in CLASSES.split(' ') {
            let test = folder.path().join("test").join(class);
            fs::create_dir_all(&test).unwrap();
            fs::write(test.join("1.jpg"), class).unwrap();
        }
        let out = folder.path().join("gallery");
        let shown = gallery(folder.path(), 50, &out);
        assert_eq!(shown.len(), 10, "no more than there are");
        for (file, label) in shown {
            assert_eq!(file.rsplit_once('.').unwrap().1, "jpg");
            assert_eq!(fs::read_to_string(out.join(file)).unwrap(), label);
        }
    }
}
