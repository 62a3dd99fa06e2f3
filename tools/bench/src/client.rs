// SPDX-License-Identifier: Apache-2.0
//! An HTTP/1.1 client that costs as little as possible, so that the server is what is measured: one connection, one
//! request at a time, prepared bytes out, no header objects in.

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One keep-alive connection.
pub(crate) struct Connection {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, buffer: Vec::with_capacity(16 << 10) }
    }

    /// Opens the connection, unless it is open.
    pub(crate) async fn open(&mut self) -> anyhow::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).await.context("failed to connect")?;
            stream.set_nodelay(true).context("failed to set TCP_NODELAY")?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Sends a whole request and reads the whole answer. After an error the connection is opened anew.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.open().await?;
        match self.exchange_open(request).await {
            Ok((status, head, length, keep)) => {
                if !keep {
                    self.stream = None;
                }
                Ok(Answer { status, head: &self.buffer[..head], body: &self.buffer[head..head + length] })
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    async fn exchange_open(&mut self, request: &[u8]) -> anyhow::Result<(u16, usize, usize, bool)> {
        let stream = self.stream.as_mut().context("the connection is open")?;
        stream.write_all(request).await.context("failed to send")?;
        self.buffer.clear();
        let mut head = None;
        loop {
            if stream.read_buf(&mut self.buffer).await.context("failed to receive")? == 0 {
                bail!("the server closed the connection");
            }
            if head.is_none() {
                head = memchr::memmem::find(&self.buffer, b"\r\n\r\n").map(|at| at + 4);
            }
            if let Some(head) = head {
                let length = content_length(&self.buffer[..head])?;
                if self.buffer.len() >= head + length {
                    let status = status(&self.buffer[..head])?;
                    let keep = header(&self.buffer[..head], b"connection").is_none_or(|value| value != b"close");
                    return Ok((status, head, length, keep));
                }
            }
        }
    }
}

/// A POST request with a JSON body, in the bytes of the wire.
pub(crate) fn post(path: &str, cookie: Option<&str>, body: &str) -> Vec<u8> {
    let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{cookie}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn status(head: &[u8]) -> anyhow::Result<u16> {
    let text = head.get(9..12).and_then(|code| std::str::from_utf8(code).ok()).context("no status line")?;
    text.parse().with_context(|| format!("`{text}` is no status"))
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let value = header(head, b"content-length").context("the answer has no content-length")?;
    std::str::from_utf8(value)?.parse().context("content-length is no number")
}

/// The value of a header, found without regard to case.
pub(crate) fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nset-cookie: a=b\r\n\r\n";
        assert_eq!(status(head).unwrap(), 200);
        assert_eq!(content_length(head).unwrap(), 12);
        assert_eq!(header(head, b"Set-Cookie"), Some(&b"a=b"[..]));
        assert_eq!(header(head, b"connection"), None);
    }
}
