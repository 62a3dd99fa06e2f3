// SPDX-License-Identifier: Apache-2.0
//! Reading, checking and writing one dataset: a thread reads, some check, and the caller's takes the rows in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use bytes::Bytes;

use crate::{
    jsonl::{BlankLines, JsonlError, Reader},
    tokens::TokenCounter,
};

use super::{
    Preparation, PrepareError, PrepareEvent, Prepared, Problem,
    accumulate::Accumulated,
    dataset::{Dataset, RowError},
    facts::{self, Digests},
    outputs::Outputs,
};

/// Rows travel in blocks of about this size, so that passing them on costs little.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks that may wait for somebody.
const WAITING: usize = 8;

/// Lines of the file, with their numbers.
struct Block {
    number: u64,
    lines: Vec<(u64, Bytes)>,
    /// How far the file is read after it.
    bytes: u64,
}

/// A block whose rows were checked.
struct Checked {
    number: u64,
    rows: Vec<(u64, facts::Prepared)>,
    bytes: u64,
}

/// Checks the rows of a dataset, writes them, and counts them. Before it there were `first` rows of its type.
pub(super) fn run(
    dataset: &Dataset,
    preparation: &Preparation,
    outputs: &mut Outputs,
    prepared: &mut Prepared,
    first: u64,
    observer: &mut dyn FnMut(PrepareEvent<'_>),
) -> Result<Accumulated, PrepareError> {
    // The number of a row among those of its type follows from its line.
    let number = move |line: u64| first + (line - 1) - dataset.slice.start.unwrap_or(0);
    let reader = Reader::open(&dataset.path)?.blank_lines(BlankLines::Kept);
    let digests = Digests::default();
    let (send_block, blocks) = sync_channel::<Block>(WAITING);
    let (send_checked, checked) = sync_channel::<Checked>(WAITING);
    let blocks = Arc::new(Mutex::new(blocks));
    thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, dataset, &send_block));
        for _ in 0..preparation.threads.max(1) {
            let (blocks, send, digests, number) = (Arc::clone(&blocks), send_checked.clone(), &digests, &number);
            // Each thread has its own: the copies keep their caches of words apart.
            let tokens = preparation.tokens.clone();
            scope.spawn(move || check(dataset, number, digests, tokens.as_ref(), &blocks, &send));
        }
        // Whoever finds nobody at the other end of a channel ends: at an error `checked` is dropped, then the last
        // thread that checks drops `blocks`.
        drop((blocks, send_checked));
        let taken = take(dataset, checked, outputs, prepared, observer);
        let read = reading.join().expect("reading lines does not panic");
        // An error of writing ends the reading too, so it is the one that matters.
        let accumulated = taken?;
        read?;
        Ok(accumulated)
    })
}

fn read(mut reader: Reader, dataset: &Dataset, send: &SyncSender<Block>) -> Result<(), JsonlError> {
    let mut block = Block { number: 0, lines: Vec::new(), bytes: 0 };
    let mut size = 0;
    let mut row = 0;
    while !dataset.slice.is_over(row) {
        let Some((offset, text)) = reader.next_line()? else { break };
        if dataset.slice.has(row) {
            size += text.len();
            block.bytes = offset + text.len() as u64;
            block.lines.push((reader.line(), text));
        }
        row += 1;
        if size >= BLOCK_BYTES {
            let next = Block { number: block.number + 1, lines: Vec::new(), bytes: block.bytes };
            size = 0;
            if send.send(std::mem::replace(&mut block, next)).is_err() {
                return Ok(());
            }
        }
    }
    // Whether somebody takes the last block does not matter to the reader.
    send.send(block).ok();
    Ok(())
}

fn check(
    dataset: &Dataset,
    number_of: &(dyn Fn(u64) -> u64 + Sync),
    digests: &Digests,
    tokens: Option<&TokenCounter>,
    blocks: &Mutex<Receiver<Block>>,
    send: &SyncSender<Checked>,
) {
    loop {
        let block = blocks.lock().expect("no holder of this lock panics").recv();
        let Ok(Block { number, lines, bytes }) = block else { return };
        let read = |line, text| facts::read(&text, number_of(line), dataset, digests, tokens);
        let rows = lines.into_iter().map(|(line, text)| (line, read(line, text))).collect();
        if send.send(Checked { number, rows, bytes }).is_err() {
            return;
        }
    }
}

fn take(
    dataset: &Dataset,
    checked: Receiver<Checked>,
    outputs: &mut Outputs,
    prepared: &mut Prepared,
    observer: &mut dyn FnMut(PrepareEvent<'_>),
) -> Result<Accumulated, PrepareError> {
    let mut accumulated = Accumulated::default();
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut bytes = 0;
    while let Ok(block) = checked.recv() {
        early.insert(block.number, block);
        while let Some(block) = early.remove(&next) {
            next += 1;
            for (line, row) in block.rows {
                let errors = row.facts.and_then(|facts| {
                    let repeats = (0..dataset.num_repeats).map(|_| accumulated.add(&facts));
                    repeats.collect::<Result<(), String>>().map_err(|field| {
                        let reason = "a number here and a text in an earlier row, or the other way round".to_owned();
                        vec![RowError { field, reason }]
                    })
                });
                prepared.rows += 1;
                if let Err(errors) = errors {
                    prepared.invalid_rows += 1;
                    for RowError { field, reason } in errors {
                        let problem = Problem { path: dataset.path.clone(), line, field, reason };
                        observer(PrepareEvent::Problem(&problem));
                    }
                }
                for _ in 0..dataset.num_repeats {
                    if let Some(line) = &row.line {
                        outputs.line(line)?;
                    }
                }
            }
            bytes = block.bytes;
            observer(PrepareEvent::Progress { bytes, rows: prepared.rows });
        }
    }
    prepared.bytes += bytes;
    Ok(accumulated)
}
