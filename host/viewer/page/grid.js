// SPDX-License-Identifier: Apache-2.0
// A list of any length of which only the rows in sight exist. Rows are fetched in pages.

import { announce, element } from './dom.js';

const PAGE = 200;
const PAGES_KEPT = 40;
// Browsers do not lay out boxes of any height; beyond this the scroll bar is a scale.
const HIGHEST = 8_000_000;

/**
 * `fetchPage(start, count)` answers `{rows, matched}`; `draw(row, position)` makes the cells of a row;
 * `open(row)` opens one; `name(row)` says it in words.
 */
export class Grid {
  constructor({ label, columns, fetchPage, draw, open, name, key }) {
    Object.assign(this, { fetchPage, draw, open, name });
    this.matched = 0;
    this.selected = 0;
    this.pages = new Map();
    this.wanted = new Map();
    this.drawn = new Map();
    this.generation = 0;
    this.space = element('div', { class: 'grid-space', role: 'presentation' });
    this.scroller = element(
      'div',
      {
        class: 'grid',
        role: 'grid',
        tabIndex: 0,
        'aria-label': label,
        'aria-colcount': columns,
        onscroll: () => this.later(),
        onkeydown: (event) => this.press(event, key),
        onclick: (event) => this.click(event),
        onfocus: () => this.later(),
      },
      this.space,
    );
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.scroller);
  }

  close() {
    this.observer.disconnect();
    this.generation += 1;
  }

  /** Starts anew, at a position. */
  async load(selected = 0) {
    this.generation += 1;
    this.pages.clear();
    this.wanted.clear();
    this.selected = selected;
    const page = Math.floor(selected / PAGE);
    await this.fetch(page);
    this.measure();
    this.reveal(selected, 'center');
    this.render(true);
  }

  /** Asks again for everything in sight, without moving. */
  async refresh() {
    this.generation += 1;
    this.wanted.clear();
    const old = this.pages;
    this.pages = new Map();
    await this.fetch(Math.floor(this.first() / PAGE)).catch((error) => {
      this.pages = old;
      throw error;
    });
    this.measure();
    this.render(true);
  }

  async fetch(page) {
    if (this.pages.has(page)) return;
    if (this.wanted.has(page)) {
      await this.wanted.get(page);
      return;
    }
    const generation = this.generation;
    const request = this.fetchPage(page * PAGE, PAGE);
    this.wanted.set(page, request);
    try {
      const answer = await request;
      if (generation !== this.generation) return;
      this.pages.set(page, answer.rows);
      if (this.pages.size > PAGES_KEPT) this.pages.delete(this.pages.keys().next().value);
      if (answer.matched !== this.matched) {
        this.matched = answer.matched;
        this.measure();
      }
    } finally {
      if (generation === this.generation) this.wanted.delete(page);
    }
  }

  row(position) {
    return this.pages.get(Math.floor(position / PAGE))?.[position % PAGE];
  }

  measure() {
    const style = getComputedStyle(this.scroller);
    this.rowHeight = Number.parseFloat(style.getPropertyValue('--row')) || 36;
    this.height = this.scroller.clientHeight;
    const full = this.matched * this.rowHeight;
    this.total = Math.min(full, HIGHEST);
    // Pixels of rows for each pixel of the scroll bar.
    this.scale = full > this.total && this.total > this.height ? (full - this.height) / (this.total - this.height) : 1;
    this.space.style.height = `${this.total}px`;
    this.scroller.setAttribute('aria-rowcount', this.matched);
    this.later();
  }

  first() {
    return Math.max(0, Math.floor((this.scroller.scrollTop * this.scale) / this.rowHeight));
  }

  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.render(false);
    });
  }

  render(anew) {
    if (!this.rowHeight) return;
    const top = this.scroller.scrollTop;
    const first = Math.max(0, this.first() - 4);
    const last = Math.min(this.matched, this.first() + Math.ceil(this.height / this.rowHeight) + 6);
    for (const [position, drawn] of this.drawn) {
      if (anew || position < first || position >= last) {
        drawn.remove();
        this.drawn.delete(position);
      }
    }
    const missing = new Set();
    for (let position = first; position < last; position += 1) {
      const row = this.row(position);
      if (!row) missing.add(Math.floor(position / PAGE));
      let drawn = this.drawn.get(position);
      if (drawn && drawn.dataset.empty && row) {
        drawn.remove();
        drawn = undefined;
      }
      if (!drawn) {
        drawn = this.make(row, position);
        this.drawn.set(position, drawn);
        this.space.append(drawn);
      }
      const y = this.scale === 1 ? position * this.rowHeight : position * this.rowHeight - top * this.scale + top;
      drawn.style.transform = `translateY(${y}px)`;
      drawn.setAttribute('aria-selected', position === this.selected);
    }
    this.scroller.setAttribute('aria-activedescendant', this.drawn.has(this.selected) ? `row-${this.selected}` : '');
    // The next pages, so that scrolling seldom meets rows that are not there yet.
    for (const near of [first - PAGE / 2, last + PAGE / 2]) {
      if (near >= 0 && near < this.matched) missing.add(Math.floor(near / PAGE));
    }
    for (const page of missing) {
      if (!this.pages.has(page)) this.fetch(page).then(() => this.later(), () => {});
    }
  }

  make(row, position) {
    const made = element('div', { class: 'row', role: 'row', id: `row-${position}`, 'aria-rowindex': position + 1 });
    made.dataset.position = position;
    if (row) made.append(...this.draw(row, position));
    else made.dataset.empty = 'true';
    return made;
  }

  /** Scrolls so that a row can be seen. */
  reveal(position, where = 'nearest') {
    const y = position * this.rowHeight;
    const top = this.scroller.scrollTop * this.scale;
    let target = top;
    if (where === 'center') target = y - this.height / 2;
    else if (y < top) target = y;
    else if (y + this.rowHeight > top + this.height) target = y + this.rowHeight - this.height;
    if (target !== top) this.scroller.scrollTop = Math.max(0, target) / this.scale;
  }

  async select(position) {
    if (this.matched === 0) return;
    this.selected = Math.min(Math.max(position, 0), this.matched - 1);
    this.reveal(this.selected);
    this.render(false);
    await this.fetch(Math.floor(this.selected / PAGE));
    this.render(false);
    const row = this.row(this.selected);
    if (row) announce(this.name(row));
  }

  click(event) {
    const position = Number(event.target.closest('.row')?.dataset.position ?? -1);
    if (position < 0) return;
    this.selected = position;
    this.render(false);
    const row = this.row(position);
    if (row && !event.target.closest('input, label, button')) this.open(row, position);
  }

  press(event, other) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, button')) return;
    const page = Math.max(1, Math.floor(this.height / this.rowHeight) - 1);
    const moves = {
      ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
    };
    const row = this.row(this.selected);
    if (event.key in moves) this.select(this.selected + moves[event.key]);
    else if (event.key === 'Enter' && row) this.open(row, this.selected);
    else if (!(row && other?.(event.key, row, this.selected))) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
