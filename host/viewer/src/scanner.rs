// SPDX-License-Identifier: Apache-2.0
//! Reading a file of lines in blocks, and lines of a block on all cores.

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::FileExt,
};

use bytes::Bytes;

/// How much is read at once, in bytes.
const BLOCK: usize = 8 << 20;
/// A longer line is an error: the file is more likely of another kind.
const MAX_LINE: usize = 256 << 20;

/// Reads whole lines from where it stopped, also when the file has grown since.
pub(crate) struct Scanner {
    file: File,
    /// Where the next line begins, in bytes.
    pub position: u64,
    /// Lines read so far.
    line: u64,
    /// Whether the last line that was read had no line break yet.
    open_line: bool,
    block: usize,
}

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub number: u64,
    pub offset: u64,
    pub text: Bytes,
}

impl Scanner {
    pub(crate) fn new(file: File) -> Self {
        Self { file, position: 0, line: 0, open_line: false, block: BLOCK }
    }

    /// The file's length in bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The next lines; none at the end of the file. A last line without a line break is given if `is_whole` says so:
    /// otherwise somebody is still writing it.
    pub(crate) fn next_lines(&mut self, is_whole: impl Fn(Bytes) -> bool) -> io::Result<Vec<Line>> {
        let mut size = self.block;
        loop {
            let mut block = vec![0; size];
            let read = read_at(&self.file, &mut block, self.position)?;
            block.truncate(read);
            let block = Bytes::from(block);
            let at_end = read < size;
            let end = match memchr::memrchr(b'\n', &block) {
                Some(end) => end + 1,
                None if at_end => {
                    let tail = trim(&block, 0..block.len(), self.position == 0);
                    if tail.is_empty() || !is_whole(block.slice(tail)) {
                        return Ok(Vec::new());
                    }
                    block.len()
                }
                None if size >= MAX_LINE => {
                    let line = self.line + 1;
                    let reason = format!("line {line} is longer than {} MiB", MAX_LINE >> 20);
                    return Err(io::Error::new(ErrorKind::InvalidData, reason));
                }
                None => {
                    size = (size * 4).min(MAX_LINE);
                    continue;
                }
            };
            let lines = self.split(&block.slice(..end));
            // A block of blank lines says nothing, and an empty list would mean the end.
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
    }

    fn split(&mut self, block: &Bytes) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < block.len() {
            let end = memchr::memchr(b'\n', &block[start..]).map_or(block.len(), |end| start + end + 1);
            let offset = self.position;
            self.position += (end - start) as u64;
            self.line += u64::from(!self.open_line);
            self.open_line = block[end - 1] != b'\n';
            let range = trim(block, start..end, offset == 0);
            if !range.is_empty() {
                let offset = offset + (range.start - start) as u64;
                lines.push(Line { number: self.line, offset, text: block.slice(range) });
            }
            start = end;
        }
        lines
    }
}

/// A line without white space around it, and without the byte order mark of a file.
fn trim(block: &[u8], mut range: Range<usize>, first: bool) -> Range<usize> {
    if first && block[range.clone()].starts_with(b"\xEF\xBB\xBF") {
        range.start += 3;
    }
    let line = &block[range.clone()];
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |end| end + 1);
    range.start + start..range.start + end
}

fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], position + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Works on lines on all cores; the results are in the order of the lines.
pub(crate) fn in_parallel<T: Send>(lines: &[Line], work: impl Fn(Bytes) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(cores).max(64);
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(|line| work(line.text.clone())).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("reading a line does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn whole(text: Bytes) -> bool {
        text.ends_with(b"}")
    }

    fn all(scanner: &mut Scanner) -> Vec<(u64, u64, String)> {
        let mut found = Vec::new();
        loop {
            let lines = scanner.next_lines(whole).unwrap();
            if lines.is_empty() {
                return found;
            }
            let text = |line: &Line| String::from_utf8_lossy(&line.text).into_owned();
            found.extend(lines.iter().map(|line| (line.number, line.offset, text(line))));
        }
    }

    #[test]
    fn lines_are_found_whatever_the_size_of_blocks() {
        let content = "\u{feff}{a}\r\n\n  {bb} \n\n\n\n\n\n{c}\n{d}";
        let expected = [(1, 3, "{a}"), (3, 11, "{bb}"), (9, 22, "{c}"), (10, 26, "{d}")];
        let expected = expected.map(|(number, offset, text)| (number, offset, text.to_owned()));
        for block in [1, 2, 3, 7, 100] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let mut scanner = Scanner::new(file);
            scanner.block = block;
            assert_eq!(all(&mut scanner), expected, "blocks of {block}");
        }
    }

    #[test]
    fn a_line_that_is_being_written_is_waited_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = file.reopen().unwrap();
        writer.write_all(b"{a}\n{b").unwrap();
        let mut scanner = Scanner::new(file.reopen().unwrap());
        assert_eq!(all(&mut scanner), [(1, 0, "{a}".to_owned())]);
        writer.write_all(b"b}").unwrap();
        assert_eq!(all(&mut scanner), [(2, 4, "{bb}".to_owned())]);
        writer.write_all(b"\n{c}\n").unwrap();
        assert_eq!(all(&mut scanner), [(3, 9, "{c}".to_owned())]);
    }
}
