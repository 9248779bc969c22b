// The service's time, as well as the page can know it, and the spans on the page that grow with it.

import {formatElapsed, formatExact} from './format.js';

// The Date header has whole seconds, and an answer takes a while: below this the clocks agree.
const AGREEMENT_MS = 2000;

let offset = 0;     // service's clock minus the browser's
let frozen = null;  // browser's time at which the shown data ends, while it is not live

// From an answer's Date header: asked and answered are the browser's clock.
export function learnServiceTime(dateHeader, asked, answered) {
  const served = Date.parse(dateHeader ?? '');
  if (Number.isNaN(served)) return;
  const difference = served + 500 - (asked + answered) / 2;
  offset = Math.abs(difference) < AGREEMENT_MS ? 0 : difference;
}

// Spans stop growing at `browserTime`: nobody knows whether what grew still runs. null: go on.
export function freezeAt(browserTime) {
  frozen = browserTime;
}

export function toServiceTime(browserTime) {
  return browserTime + offset;
}

// The moment the page shows.
export function now() {
  return (frozen ?? Date.now()) + offset;
}

// How far the clocks are apart in seconds, 0 where they agree.
export function clockDifference() {
  return Math.round(offset / 1000);
}

// Makes `node` say how long ago `since` was (milliseconds of the service's clock), from now on.
// `words` holds a % for the span.
export function showElapsed(node, since, words = '%') {
  if (since === null) {
    showFixed(node, '');
    return;
  }
  node.dataset.since = since;
  node.dataset.words = words;
  node.title = formatExact(since);
  tick(node);
}

export function showFixed(node, text, title = '') {
  delete node.dataset.since;
  if (node.textContent !== text) node.textContent = text;
  if (node.title !== title) node.title = title;
}

function tick(node) {
  const text = node.dataset.words.replace('%', formatElapsed(now() - Number(node.dataset.since)));
  if (node.textContent !== text) node.textContent = text;
}

export function tickAll() {
  for (const node of document.querySelectorAll('[data-since]')) tick(node);
}
