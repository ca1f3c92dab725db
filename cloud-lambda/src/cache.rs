//! Models on the function's own disk, named by their SHA-256. A model that was evicted from memory, or that an earlier
//! process downloaded, need not be downloaded again.
//!
//! Each file is written under a temporary name and then renamed, so that it is either complete or absent. The cache
//! does not verify what it reads: [`crate::plan::Plan::new`] does, exactly as for bytes from the store.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use fogline::manifest::File;
use tempfile::Builder;

/// Prefix of the temporary names of unfinished files.
const UNFINISHED: &str = ".fogline-";

/// A folder of models with a size limit; the least recently used model goes first.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    cap: u64,
}

impl Cache {
    /// A cache of at most `cap` bytes in `folder`, which is created if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn new(folder: PathBuf, cap: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, cap })
    }

    /// Returns the cached bytes of a file, unverified, or `None` if there are none.
    pub fn read(&self, file: &File) -> Option<Vec<u8>> {
        let path = self.path(file)?;
        let bytes = fs::read(&path).ok()?;
        // The modification time is the time of last use, by which `make_room` evicts.
        let used = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        used.ok().map(|()| bytes)
    }

    /// Stores verified bytes and evicts the least recently used files until they fit. Does nothing if the bytes alone
    /// exceed the limit.
    ///
    /// # Errors
    /// If the disk cannot be written; nothing of the file is left behind then.
    pub fn put(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let Some(path) = self.path(file) else { return Ok(()) };
        if bytes.len() as u64 > self.cap {
            return Ok(());
        }
        self.make_room(bytes.len() as u64)?;
        let mut fresh = Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        fresh.write_all(bytes)?;
        fresh.persist(path)?;
        Ok(())
    }

    /// Removes a file whose bytes failed verification.
    pub fn remove(&self, file: &File) {
        if let Some(path) = self.path(file) {
            let _ = fs::remove_file(path);
        }
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let entries = fs::read_dir(&self.folder)?.filter_map(Result::ok);
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                // The folder may be shared: never remove a file that the cache did not write.
                let is_own = entry.file_name().to_str().is_some_and(is_own);
                let data = entry.metadata().ok().filter(|data| is_own && data.is_file())?;
                Some((data.modified().ok()?, data.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if total + bytes <= self.cap {
                break;
            }
            fs::remove_file(path)?;
            total -= len;
        }
        Ok(())
    }

    /// The path of a file, or `None` if its digest is not 64 hexadecimal digits: a manifest must not choose the path.
    fn path(&self, file: &File) -> Option<PathBuf> {
        let digest = file.sha256.to_ascii_lowercase();
        is_digest(&digest).then(|| self.folder.join(digest))
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether the cache wrote a file of this name, finished or not.
fn is_own(name: &str) -> bool {
    is_digest(name) || name.starts_with(UNFINISHED)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fogline::manifest::sha256_hex;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        File { sha256: sha256_hex(bytes), bytes: bytes.len() as u64 }
    }

    #[test]
    fn what_was_used_last_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("models"), 25).unwrap();
        let [a, b, c] = [[1; 10], [2; 10], [3; 10]];
        let age = |bytes: &[u8], seconds| {
            let path = cache.path(&file(bytes)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(seconds);
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        };
        cache.put(&file(&a), &a).unwrap();
        cache.put(&file(&b), &b).unwrap();
        fs::write(folder.path().join("models/mine"), [4; 30]).unwrap();
        age(&a, 20);
        age(&b, 10);
        assert_eq!(cache.read(&file(&a)), Some(a.into()));
        cache.put(&file(&c), &c).unwrap();
        assert_eq!(cache.read(&file(&b)), None);
        assert_eq!(
            (cache.read(&file(&a)), cache.read(&file(&c))),
            (Some(a.into()), Some(c.into()))
        );
        // Larger than the whole cache: not kept, and nothing is evicted for it.
        cache.put(&file(&[0; 26]), &[0; 26]).unwrap();
        assert_eq!(cache.read(&file(&a)), Some(a.into()));
        assert!(folder.path().join("models/mine").exists(), "somebody else's");
    }

    #[test]
    fn a_digest_that_is_a_path_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("models"), 100).unwrap();
        let outside = File { sha256: "../outside".into(), bytes: 1 };
        cache.put(&outside, &[1]).unwrap();
        assert_eq!(cache.read(&outside), None);
        assert!(!folder.path().join("outside").exists());
    }
}
