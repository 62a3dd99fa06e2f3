// SPDX-License-Identifier: Apache-2.0
//! Files of this machine: checksums, sending, and files that are whole or not there.

use std::{
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::Stream;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::DatasetError;

const CHUNK: usize = 1 << 20;

/// Says which file could not be used.
pub(crate) fn problem(path: &Path) -> impl Fn(io::Error) -> DatasetError {
    let path = path.display().to_string();
    move |source| DatasetError::File { path: path.clone(), source }
}

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The name that Git gives the content.
    pub git: String,
}

/// Reads a file once.
pub(crate) fn digests(path: &Path) -> io::Result<Digests> {
    let mut file = std::fs::File::open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut sha256 = Sha256::new();
    let mut git = Sha1::new();
    git.update(format!("blob {}\0", data.len()));
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                sha256.update(&buffer[..read]);
                git.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Digests { size, sha256: hex(&sha256.finalize()), git: hex(&git.finalize()) })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Part of a file, to be sent.
pub(crate) async fn part(
    path: PathBuf,
    from: u64,
    length: u64,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    use tokio::io::{AsyncReadExt, AsyncSeekExt};
    let mut file = tokio::fs::File::open(&path).await?;
    file.seek(SeekFrom::Start(from)).await?;
    Ok(futures_util::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK)];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        chunk.truncate(read);
        Ok(Some((Bytes::from(chunk), (file, left - read as u64))))
    }))
}

/// A file that is being pulled: beside its final place, under a name that says what it will be, so that a later pull of
/// the same content continues it.
pub(crate) struct Partial {
    path: PathBuf,
    target: PathBuf,
    file: std::fs::File,
    /// Whether its content is known, so that another pull can go on.
    can_continue: bool,
    /// What is there already, in bytes.
    pub size: u64,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.can_continue || self.size == 0 {
            // Of no use to anybody; where it has its final name, there is nothing left to remove.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Partial {
    /// `content` tells contents apart: a checksum, say. Without it nothing is continued.
    pub(crate) fn open(target: &Path, content: Option<&str>) -> Result<Self, DatasetError> {
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let id = content.map_or_else(|| "new".to_owned(), |content| hex(&Sha256::digest(content)[..8]));
        let path = target.with_file_name(format!(".{name}.{id}.partial"));
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(problem(folder))?;
        }
        let file = std::fs::File::options().create(true).truncate(content.is_none()).write(true).open(&path);
        let mut file = file.map_err(problem(&path))?;
        let size = file.seek(SeekFrom::End(0)).map_err(problem(&path))?;
        Ok(Self { path, target: target.to_owned(), file, can_continue: content.is_some(), size })
    }

    /// Begins anew.
    pub(crate) fn restart(&mut self) -> Result<(), DatasetError> {
        let done = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        done.map_err(problem(&self.path))?;
        self.size = 0;
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        self.file.write_all(bytes).map_err(problem(&self.path))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Gives up. Whether the part can be removed does not matter to the error that led here.
    pub(crate) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }

    /// Checks what arrived, and gives the file its name. A wrong one is removed.
    pub(crate) fn finish(self, expected: &Expected) -> Result<Digests, DatasetError> {
        self.file.sync_all().map_err(problem(&self.path))?;
        let found = digests(&self.path).map_err(problem(&self.path))?;
        if let Err(error) = expected.check(&self.target.display().to_string(), &found) {
            // It is of no use; the error that matters is that of the checksum.
            std::fs::remove_file(&self.path).ok();
            return Err(error);
        }
        std::fs::rename(&self.path, &self.target).map_err(problem(&self.target))?;
        Ok(found)
    }
}

/// What is known of a file before it arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub size: Option<u64>,
    pub sha256: Option<String>,
    pub git: Option<String>,
}

impl Expected {
    /// What tells the content apart from others.
    pub(crate) fn content(&self) -> Option<&str> {
        self.sha256.as_deref().or(self.git.as_deref())
    }

    pub(crate) fn check(&self, what: &str, found: &Digests) -> Result<(), DatasetError> {
        let wrong = |expected: &str, found: &str| {
            Err(DatasetError::Checksum {
                what: what.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            })
        };
        match (self.size, &self.sha256, &self.git) {
            (Some(size), _, _) if size != found.size => {
                wrong(&format!("that of {size} bytes"), &format!("that of {} bytes", found.size))
            }
            (_, Some(sha256), _) if !sha256.eq_ignore_ascii_case(&found.sha256) => wrong(sha256, &found.sha256),
            (_, _, Some(git)) if !git.eq_ignore_ascii_case(&found.git) => wrong(git, &found.git),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_the_names_that_others_give_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "hello\n").unwrap();
        let found = digests(&path).unwrap();
        // `sha256sum` and `git hash-object` of a file with the line `hello`.
        assert_eq!(found.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!(found.git, "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(found.size, 6);
        assert!(digests(folder.path()).is_err());
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/er/a.jsonl");
        let wrong = Expected { sha256: Some("00".into()), ..Expected::default() };
        let mut partial = Partial::open(&target, Some("x")).unwrap();
        partial.write(b"hel").unwrap();
        drop(partial);
        let mut partial = Partial::open(&target, Some("x")).unwrap();
        assert_eq!(partial.size, 3);
        partial.write(b"lo\n").unwrap();
        assert!(matches!(partial.finish(&wrong), Err(DatasetError::Checksum { .. })));
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 0);
        let mut partial = Partial::open(&target, None).unwrap();
        partial.write(b"hello\n").unwrap();
        partial.finish(&Expected { size: Some(6), ..Expected::default() }).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"hello\n");
    }
}
