// SPDX-License-Identifier: Apache-2.0
//! The standard streams of a program: input from memory, output kept up to a limit.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What a program wrote. It outlives the instance, so that what was written before a trap or a deadline is there.
#[derive(Clone)]
pub(crate) struct Captured(Arc<Mutex<Kept>>);

struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    most: usize,
    cut: bool,
}

impl Captured {
    /// Keeps so many bytes of each stream.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Kept { stdout: Vec::new(), stderr: Vec::new(), most, cut: false })))
    }

    /// Standard output, standard error, and whether something of them was dropped. Nothing is kept any more then.
    pub(crate) fn take(&self) -> (Vec<u8>, Vec<u8>, bool) {
        let mut kept = self.0.lock();
        (std::mem::take(&mut kept.stdout), std::mem::take(&mut kept.stderr), std::mem::take(&mut kept.cut))
    }

    /// Keeps so many bytes of each stream from now on.
    pub(crate) fn limit(&self, most: usize) {
        self.0.lock().most = most;
    }

    /// The stream that the program writes to.
    pub(crate) fn stream(&self, is_stderr: bool) -> impl OutputStream + use<> {
        Output { kept: self.clone(), is_stderr }
    }
}

struct Output {
    kept: Captured,
    is_stderr: bool,
}

impl OutputStream for Output {
    /// Takes everything: a program that prints too much should meet its deadline and not an error of its stream.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut kept = self.kept.0.lock();
        let most = kept.most;
        let stream = if self.is_stderr { &mut kept.stderr } else { &mut kept.stdout };
        let taken = bytes.len().min(most.saturating_sub(stream.len()));
        stream.extend_from_slice(&bytes[..taken]);
        kept.cut |= taken < bytes.len();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_is_kept_up_to_the_limit() {
        let captured = Captured::new(4);
        let (mut out, mut error) = (captured.stream(false), captured.stream(true));
        out.write(Bytes::from_static(b"abc")).unwrap();
        error.write(Bytes::from_static(b"1234")).unwrap();
        assert_eq!(captured.take(), (b"abc".to_vec(), b"1234".to_vec(), false));
        out.write(Bytes::from_static(b"abc")).unwrap();
        out.write(Bytes::from_static(b"defg")).unwrap();
        assert_eq!(captured.take(), (b"abcd".to_vec(), Vec::new(), true));
        captured.limit(2);
        out.write(Bytes::from_static(b"ab")).unwrap();
        assert_eq!(captured.take(), (b"ab".to_vec(), Vec::new(), false));
    }
}
