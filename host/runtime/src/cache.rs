// SPDX-License-Identifier: Apache-2.0
//! Compiled code on disk.
//!
//! An entry is named by what it was made from: the digest of the component and the fingerprint of the engine. It begins
//! with a MAC under a key that only this user can read. Loading compiled code is executing it, so an entry that is not
//! exactly what we wrote (tampered with, cut short, or from elsewhere) counts as missing and is compiled again.

mod key;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::{Mode, OFlags, open};

use crate::{
    code::{Code, CodeWriter},
    source::READ_AT_ONCE,
};

const MAGIC: &[u8; 8] = b"gymcode1";
const HEADER_BYTES: usize = 8 + 32 + 8;
const SUFFIX: &str = "cwasm";
/// How the names of entries begin that are being written.
const UNFINISHED: &str = "new-";
/// Nobody writes for so long.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// What compiled code was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeKey {
    /// blake3 of the component.
    pub(crate) component: [u8; 32],
    /// What the engine needs the code to be like.
    pub(crate) engine: [u8; 32],
}

impl CodeKey {
    fn file_name(&self) -> String {
        let hex = |bytes: [u8; 32]| blake3::Hash::from_bytes(bytes).to_hex();
        format!("{}-{}.{SUFFIX}", hex(self.component), &hex(self.engine)[..16])
    }
}

/// The cache. It never fails: what it cannot read is compiled, what it cannot write is used from memory.
pub(crate) struct CodeCache {
    disk: Option<Disk>,
}

struct Disk {
    folder: PathBuf,
    key: [u8; 32],
    max_bytes: u64,
}

impl CodeCache {
    /// A cache in `folder`, or none. It grows to `max_bytes`; then the entries unused for longest go.
    pub(crate) fn open(folder: Option<&Path>, max_bytes: u64) -> Self {
        let disk = folder.and_then(|folder| match key::prepare(folder) {
            Ok(key) => Some(Disk { folder: folder.to_owned(), key, max_bytes }),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "compiled environments are not kept on disk");
                None
            }
        });
        Self { disk }
    }

    /// The code, if an intact entry exists.
    pub(crate) fn get(&self, key: &CodeKey) -> Option<Code> {
        let disk = self.disk.as_ref()?;
        let path = disk.folder.join(key.file_name());
        match disk.read(&path, key) {
            Ok(Some(code)) => Some(code),
            Ok(None) => {
                tracing::warn!(entry = %path.display(), "a cache entry is not what this host wrote, compiling again");
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(entry = %path.display(), %error, "a cache entry cannot be read, compiling again");
                None
            }
        }
    }

    /// Keeps code for later runs and other processes.
    pub(crate) fn put(&self, key: &CodeKey, code: &[u8]) {
        let Some(disk) = &self.disk else { return };
        disk.make_room(code.len() as u64);
        if let Err(error) = disk.write(&disk.folder.join(key.file_name()), key, code) {
            tracing::warn!(folder = %disk.folder.display(), %error, "a compiled environment could not be kept on disk");
        }
    }
}

impl Disk {
    fn mac(&self, key: &CodeKey, length: u64) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(MAGIC).update(&key.component).update(&key.engine).update(&length.to_le_bytes());
        mac
    }

    /// Copies an entry, checking the copy. None if it is not intact.
    fn read(&self, path: &Path, key: &CodeKey) -> io::Result<Option<Code>> {
        let mut file = File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?);
        let metadata = file.metadata()?;
        let mut header = [0; HEADER_BYTES];
        if !metadata.is_file() || metadata.len() < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact(&mut header)?;
        let (magic, rest) = header.split_at(8);
        let (mac, length) = rest.split_at(32);
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes are left"));
        if magic != MAGIC || metadata.len() - HEADER_BYTES as u64 != length {
            return Ok(None);
        }

        let mut expected = self.mac(key, length);
        let mut code = CodeWriter::new();
        let mut buffer = vec![0; READ_AT_ONCE];
        let mut source = Read::by_ref(&mut file).take(length);
        let mut copied = 0;
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            expected.update(&buffer[..count]);
            code.write(&buffer[..count])?;
            copied += count as u64;
        }
        // Comparing `Hash`es takes the same time wherever they differ.
        let mac = blake3::Hash::from_bytes(mac.try_into().expect("a MAC has 32 bytes"));
        if copied != length || expected.finalize() != mac {
            return Ok(None);
        }
        // The time of last use decides what has to go; without it the entry only looks older than it is.
        if let Err(error) = file.set_modified(SystemTime::now()) {
            tracing::debug!(entry = %path.display(), %error, "time of use not noted");
        }
        code.finish().map(Some)
    }

    /// Other processes see the whole entry or none.
    fn write(&self, path: &Path, key: &CodeKey, code: &[u8]) -> io::Result<()> {
        let length = code.len() as u64;
        let mac = self.mac(key, length).update(code).finalize();
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(mac.as_bytes())?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(code)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes the entries unused for longest until `bytes` more fit, and what a process left that died while it wrote.
    fn make_room(&self, bytes: u64) {
        let Ok(folder) = fs::read_dir(&self.folder) else { return };
        let now = SystemTime::now();
        let abandoned = |path: &Path, modified: SystemTime| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
                && now.duration_since(modified).is_ok_and(|age| age > ABANDONED_AFTER)
        };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in folder.filter_map(Result::ok).map(|entry| entry.path()) {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                entries.push((modified, metadata.len(), path));
            } else if abandoned(&path, modified)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(file = %path.display(), %error, "an unfinished cache entry cannot be removed");
            }
        }
        let mut total = entries.iter().map(|(_, size, _)| size).sum::<u64>() + bytes;
        entries.sort();
        for (_, size, path) in entries {
            if total <= self.max_bytes {
                return;
            }
            match fs::remove_file(&path) {
                Ok(()) => total -= size,
                Err(error) => tracing::warn!(entry = %path.display(), %error, "a cache entry cannot be removed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: CodeKey = CodeKey { component: [1; 32], engine: [2; 32] };
    const OTHER: CodeKey = CodeKey { component: [3; 32], engine: [2; 32] };

    fn content(code: Option<Code>) -> Option<Vec<u8>> {
        code.map(|code| match code {
            Code::Bytes(bytes) => bytes,
            Code::Sealed(file) => {
                let mut bytes = Vec::new();
                let mut file = File::from(file);
                io::Seek::rewind(&mut file).unwrap();
                file.read_to_end(&mut bytes).unwrap();
                bytes
            }
        })
    }

    fn cache() -> (tempfile::TempDir, CodeCache, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(Some(folder.path()), 1 << 20);
        let entry = folder.path().join(KEY.file_name());
        (folder, cache, entry)
    }

    #[test]
    fn what_was_put_is_found_also_by_another_process() {
        let (folder, cache, _) = cache();
        cache.put(&KEY, b"machine code");
        assert_eq!(content(cache.get(&KEY)).unwrap(), b"machine code");
        let second = CodeCache::open(Some(folder.path()), 1 << 20);
        assert_eq!(content(second.get(&KEY)).unwrap(), b"machine code");
        assert!(second.get(&OTHER).is_none());
    }

    #[test]
    fn no_single_changed_bit_is_loaded() {
        let (_folder, cache, entry) = cache();
        cache.put(&KEY, b"machine code");
        let intact = fs::read(&entry).unwrap();
        for bit in 0..intact.len() * 8 {
            let mut tampered = intact.clone();
            tampered[bit / 8] ^= 1 << (bit % 8);
            fs::write(&entry, &tampered).unwrap();
            assert!(cache.get(&KEY).is_none(), "bit {bit}");
        }
        fs::write(&entry, &intact).unwrap();
        assert!(cache.get(&KEY).is_some());
    }

    #[test]
    fn cut_lengthened_and_foreign_entries_are_not_loaded() {
        let (folder, cache, entry) = cache();
        cache.put(&KEY, b"machine code");
        let intact = fs::read(&entry).unwrap();
        for length in 0..intact.len() {
            fs::write(&entry, &intact[..length]).unwrap();
            assert!(cache.get(&KEY).is_none(), "{length} bytes");
        }
        fs::write(&entry, [intact.as_slice(), b"x"].concat()).unwrap();
        assert!(cache.get(&KEY).is_none());
        // An intact entry of another component under this name.
        cache.put(&OTHER, b"other code");
        fs::rename(folder.path().join(OTHER.file_name()), &entry).unwrap();
        assert!(cache.get(&KEY).is_none());
        // An intact entry of another host.
        let (_elsewhere, elsewhere, theirs) = super::tests::cache();
        elsewhere.put(&KEY, b"machine code");
        fs::copy(theirs, &entry).unwrap();
        assert!(cache.get(&KEY).is_none());
        // A link to an intact entry.
        fs::write(folder.path().join("intact"), &intact).unwrap();
        fs::remove_file(&entry).unwrap();
        std::os::unix::fs::symlink(folder.path().join("intact"), &entry).unwrap();
        assert!(cache.get(&KEY).is_none());
    }

    #[test]
    fn entries_unused_for_longest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(Some(folder.path()), 2500);
        let keys = [1, 2, 3].map(|component| CodeKey { component: [component; 32], engine: [0; 32] });
        for (key, age) in keys.iter().zip([300, 200, 100]) {
            cache.put(key, &[0; 1000]);
            let file = File::options().write(true).open(folder.path().join(key.file_name())).ok();
            if let Some(file) = file {
                file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            }
        }
        assert_eq!(keys.map(|key| cache.get(&key).is_some()), [false, true, true]);
    }

    #[test]
    fn what_a_dead_process_left_is_removed() {
        let (folder, cache, _) = cache();
        for (name, age) in [("new-old", 7200), ("new-fresh", 60)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        cache.put(&KEY, b"machine code");
        assert!(!folder.path().join("new-old").exists() && folder.path().join("new-fresh").exists());
    }

    #[test]
    fn without_a_place_on_disk_everything_is_missing_and_nothing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for cache in [CodeCache::open(None, 1), CodeCache::open(Some(&file.join("cache")), 1)] {
            cache.put(&KEY, b"machine code");
            assert!(cache.get(&KEY).is_none());
        }
    }
}
