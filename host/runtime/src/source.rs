// SPDX-License-Identifier: Apache-2.0
//! A component's file.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

/// Bytes that are read at once: few enough to stay in a core's cache until they are hashed.
pub(crate) const READ_AT_ONCE: usize = 128 << 10;

/// A component that was read once, to know which one it is. Its bytes are read again when it must be compiled: to keep
/// them until then would be half of the work of a start from the cache, most of it memory that the kernel clears.
pub(crate) struct Source {
    pub(crate) length: usize,
    pub(crate) digest: blake3::Hash,
}

impl Source {
    /// Reads a file of at most `most` bytes.
    pub(crate) fn read(path: &Path, most: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; READ_AT_ONCE];
        let mut length = 0;
        loop {
            let count = file.read(&mut buffer)?;
            length += count;
            if length as u64 > most {
                let size = file.metadata()?.len().max(length as u64);
                return Err(io::Error::other(format!("it has {size} bytes, {most} are accepted")));
            }
            if count == 0 {
                return Ok(Self { length, digest: hasher.finalize() });
            }
            hasher.update(&buffer[..count]);
        }
    }

    /// The same bytes again. It is an error if they are others by now.
    pub(crate) async fn bytes(&self, path: PathBuf) -> io::Result<Vec<u8>> {
        let (length, digest) = (self.length, self.digest);
        let read = move || {
            let mut bytes = Vec::with_capacity(length);
            File::open(path)?.take(length as u64 + 1).read_to_end(&mut bytes)?;
            if blake3::hash(&bytes) == digest {
                Ok(bytes)
            } else {
                Err(io::Error::other("it changed while it was loaded"))
            }
        };
        spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_known_by_its_bytes_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        for bytes in [Vec::new(), b"abc".to_vec(), vec![7; READ_AT_ONCE], vec![9; 2 * READ_AT_ONCE + 1]] {
            std::fs::write(&path, &bytes).unwrap();
            let source = Source::read(&path, bytes.len() as u64).unwrap();
            assert_eq!((source.length, source.digest), (bytes.len(), blake3::hash(&bytes)));
            assert_eq!(source.bytes(path.clone()).await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_another_by_now_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "abc").unwrap();
        let source = Source::read(&path, 3).unwrap();
        for other in ["abd", "ab", "abcd", ""] {
            std::fs::write(&path, other).unwrap();
            let error = source.bytes(path.clone()).await.unwrap_err();
            assert_eq!(error.to_string(), "it changed while it was loaded", "{other}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(source.bytes(path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_too_large_is_an_error_with_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, vec![1; 3 * READ_AT_ONCE]).unwrap();
        let error = Source::read(&path, 10).err().unwrap();
        assert_eq!(error.to_string(), format!("it has {} bytes, 10 are accepted", 3 * READ_AT_ONCE));
    }
}
