// SPDX-License-Identifier: Apache-2.0
//! Reading rows.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gym_protocol::{Members, Raw};

use super::JsonlError;

/// A longer line is an error: it is more likely a file of another kind than a row, and it would have to fit into memory.
const MAX_LINE: u64 = 256 << 20;

/// One row of a file.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line that it stands in, from 1.
    pub line: u64,
    /// Where the line begins in the file, in bytes.
    pub offset: u64,
    /// The line as it stands there, without the line break and without white space around it.
    pub text: Bytes,
    /// Its members.
    pub members: Members,
}

/// What lines without any text mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlankLines {
    /// They are errors: in a dataset every line is a row.
    #[default]
    Refused,
    /// They are passed over, as readers of rollouts do.
    Skipped,
    /// [`Reader::next_line`] gives them as empty texts; to [`Reader::next_row`] they are errors.
    Kept,
}

/// Reads the rows of a file one after the other. Memory does not grow with the file.
pub struct Reader {
    path: PathBuf,
    input: BufReader<File>,
    line: u64,
    offset: u64,
    blank: BlankLines,
    max_line: u64,
}

impl Reader {
    /// Opens a file. A byte order mark at its begin and `\r\n` at the end of lines are accepted.
    pub fn open(path: &Path) -> Result<Self, JsonlError> {
        Self::with_capacity(path, 1 << 20)
    }

    /// The same for rows in any order ([`seek`](Self::seek)): little is read ahead, as it would be thrown away.
    pub fn open_for_seeking(path: &Path) -> Result<Self, JsonlError> {
        Self::with_capacity(path, 32 << 10)
    }

    fn with_capacity(path: &Path, capacity: usize) -> Result<Self, JsonlError> {
        let problem = |source| JsonlError::Open { path: path.display().to_string(), source };
        let file = File::open(path).map_err(problem)?;
        if file.metadata().map_err(problem)?.is_dir() {
            return Err(problem(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let input = BufReader::with_capacity(capacity, file);
        Ok(Self { path: path.to_owned(), input, line: 0, offset: 0, blank: BlankLines::default(), max_line: MAX_LINE })
    }

    /// Says what lines without any text mean; otherwise they are errors.
    pub fn blank_lines(mut self, blank: BlankLines) -> Self {
        self.blank = blank;
        self
    }

    /// Goes to the line `line` (from 1) that begins at `offset`. What was read ahead is kept if that place is in it, so that
    /// rows that stand one after the other are read once.
    pub fn seek(&mut self, line: u64, offset: u64) -> Result<(), JsonlError> {
        let moved = match i64::try_from(i128::from(offset) - i128::from(self.offset)) {
            Ok(way) => self.input.seek_relative(way),
            Err(_) => self.input.seek(SeekFrom::Start(offset)).map(drop),
        };
        moved.map_err(|source| JsonlError::Read { path: self.path.display().to_string(), line, source })?;
        (self.line, self.offset) = (line.saturating_sub(1), offset);
        Ok(())
    }

    /// The next row; `None` at the end of the file.
    pub fn next_row(&mut self) -> Result<Option<Row>, JsonlError> {
        match self.next_line()? {
            Some((offset, text)) => self.row(offset, text).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a row from the text of the line that [`next_line`](Self::next_line) gave last.
    fn row(&self, offset: u64, text: Bytes) -> Result<Row, JsonlError> {
        let members = Raw::parse(text.clone()).and_then(|raw| raw.members());
        let members = members.map_err(|error| self.wrong(error.to_string()))?;
        Ok(Row { line: self.line, offset, text, members })
    }

    /// The place and the text of the next line, without white space around it; `None` at the end of the file.
    pub fn next_line(&mut self) -> Result<Option<(u64, Bytes)>, JsonlError> {
        loop {
            let mut text = Vec::new();
            self.line += 1;
            let offset = self.offset;
            let read = (&mut self.input).take(self.max_line).read_until(b'\n', &mut text).map_err(|source| {
                JsonlError::Read { path: self.path.display().to_string(), line: self.line, source }
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            if read as u64 == self.max_line && text.last() != Some(&b'\n') {
                return Err(self.wrong(format!("the line is longer than {} MiB", self.max_line >> 20)));
            }
            let mut content = text.as_slice();
            if self.line == 1 {
                content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
            }
            let content = content.trim_ascii();
            if content.is_empty() {
                match self.blank {
                    BlankLines::Skipped => continue,
                    BlankLines::Kept => {}
                    BlankLines::Refused => return Err(self.wrong("the line is empty")),
                }
            }
            let start = content.as_ptr() as usize - text.as_ptr() as usize;
            let end = start + content.len();
            return Ok(Some((offset, Bytes::from(text).slice(start..end))));
        }
    }

    /// The number of the line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn wrong(&self, reason: impl Into<String>) -> JsonlError {
        JsonlError::Line { path: self.path.display().to_string(), line: self.line, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn rows_are_read_with_their_places() {
        let file = file("\u{feff}{\"a\":1.50}\r\n {\"b\":2} \n{\"c\":3}".as_bytes());
        let mut reader = Reader::open(file.path()).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            rows.push((row.line, row.offset, String::from_utf8_lossy(&row.text).into_owned()));
        }
        let expected = [(1, 0, "{\"a\":1.50}"), (2, 15, "{\"b\":2}"), (3, 25, "{\"c\":3}")];
        assert_eq!(rows, expected.map(|(line, offset, text)| (line, offset, text.to_owned())));
        reader.seek(2, 15).unwrap();
        assert_eq!(reader.next_row().unwrap().unwrap().line, 2);
    }

    #[test]
    fn rows_are_found_in_any_order_within_and_beyond_what_was_read_ahead() {
        // Rows of 1 KB to 40 KB: some places are in the buffer of 32 KiB, some are not.
        let rows: Vec<String> = (0..40).map(|row| format!("{{\"a\":\"{}\"}}", "x".repeat(1000 * (row + 1)))).collect();
        let file = file((rows.join("\n") + "\n").as_bytes());
        let mut reader = Reader::open_for_seeking(file.path()).unwrap();
        let offset = |row: usize| rows[..row].iter().map(|row| row.len() as u64 + 1).sum::<u64>();
        // Every row after every other: in order, back by one, and far away.
        for row in (0..40).chain((0..40).rev()).chain((0..400).map(|step| step * 17 % 40)) {
            reader.seek(row as u64 + 1, offset(row)).unwrap();
            let found = reader.next_row().unwrap().unwrap();
            assert_eq!((found.line, found.offset), (row as u64 + 1, offset(row)));
            assert_eq!(found.text, rows[row].as_bytes());
        }
        // Beyond the end there is nothing, and from there one comes back.
        reader.seek(41, offset(40)).unwrap();
        assert!(reader.next_row().unwrap().is_none());
        reader.seek(1, 0).unwrap();
        assert_eq!(reader.next_row().unwrap().unwrap().line, 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        for bad in [&b"{\"a\": \n"[..], b"[1]\n", b"\n", b"{} {}\n", b"{\"a\":\"\xff\"}\n", b"NaN\n", b"\0\n"] {
            let file = file(&[b"{}\n", bad].concat());
            let mut reader = Reader::open(file.path()).unwrap();
            reader.next_row().unwrap();
            let error = reader.next_row().unwrap_err();
            assert!(matches!(error, JsonlError::Line { line: 2, .. }), "{bad:?}: {error}");
        }
        assert!(matches!(Reader::open(Path::new("/")), Err(JsonlError::Open { .. })));
        assert!(matches!(Reader::open(Path::new("/nowhere.jsonl")), Err(JsonlError::Open { .. })));
    }

    #[test]
    fn blank_lines_can_be_skipped() {
        let file = file(b"\n{}\n  \n{}\n\n");
        let mut reader = Reader::open(file.path()).unwrap().blank_lines(BlankLines::Skipped);
        let mut lines = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            lines.push(row.line);
        }
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let file = file(format!("{{}}\n{{\"a\":\"{}\"}}\n", "x".repeat(3 << 20)).as_bytes());
        let mut reader = Reader::open(file.path()).unwrap();
        reader.max_line = 1 << 20;
        reader.next_row().unwrap();
        let error = reader.next_row().unwrap_err().to_string();
        assert!(error.ends_with(":2 is not a JSON object: the line is longer than 1 MiB"), "{error}");
    }
}
