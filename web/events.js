// Server-sent events over fetch: unlike EventSource it sees comments (the heartbeat), HTTP errors
// and silence, and says when it tries again.

import {STALE_MS} from './freshness.js';

// Takes the stream's text in pieces and gives its events: {type, data}.
export class EventParser {
  #rest = '';
  #type = '';
  #data = [];

  push(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length) {
          events.push({type: this.#type || 'message', data: this.#data.join('\n')});
        }
        this.#type = '';
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') this.#type = value;
      if (field === 'data') this.#data.push(value);
    }
    return events;
  }
}

const CONNECT_MS = 10000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 5000;

// Keeps one stream open, forever. Calls back:
//   onOpen()        a stream began: what was known before may be out of date
//   onEvent(event)  {type, data}
//   onActivity()    something arrived, heartbeats included
//   onDown(why)     the stream ended; it will be tried again at `retryAt` (browser's clock)
export class EventStream {
  isOpen = false;
  generation = 0;  // grows with each stream that opens
  retryAt = null;
  #abort = null;
  #wake = null;
  #paused = false;
  #lastByte = 0;

  constructor(url, callbacks) {
    this.url = url;
    this.callbacks = callbacks;
  }

  // Never returns.
  async run() {
    let delay = FIRST_DELAY_MS;
    for (;;) {
      const why = await this.#readOnce(() => { delay = FIRST_DELAY_MS; });
      this.isOpen = false;
      this.retryAt = this.#paused ? null : Date.now() + delay;
      this.callbacks.onDown(why);
      await this.#sleep(delay);
      while (this.#paused) await this.#sleep(0);
      this.retryAt = null;
      delay = Math.min(MAX_DELAY_MS, delay * 2);
    }
  }

  // Does not wait for the next try.
  retryNow() {
    if (!this.isOpen && !this.#paused) this.#wake?.();
  }

  // A paused stream is closed: a browser has six connections to one service, and hidden pages must
  // not use them up.
  pause() {
    this.#paused = true;
    this.#abort?.abort();
  }

  resume() {
    if (!this.#paused) return;
    this.#paused = false;
    this.#wake?.();
  }

  #sleep(delay) {
    return new Promise((resolve) => {
      const timer = this.#paused ? undefined : setTimeout(resolve, delay);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => { this.#wake = null; });
  }

  // Reads one stream to its end and says why it ended.
  async #readOnce(onFirstByte) {
    this.#abort = new AbortController();
    let why = 'the service closed the connection';
    this.#lastByte = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - this.#lastByte > (this.isOpen ? STALE_MS : CONNECT_MS)) {
        why = this.isOpen ? `nothing heard for ${STALE_MS / 1000} s` : 'no answer';
        this.#abort.abort();
      }
    }, 1000);
    try {
      const response = await fetch(this.url, {
        cache: 'no-store',
        headers: {Accept: 'text/event-stream'},
        signal: this.#abort.signal,
      });
      if (response.status === 401) return 'this browser is not logged in; type `kartograph page`';
      if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
      this.isOpen = true;
      this.generation++;
      this.#heard();
      this.callbacks.onOpen();
      const parser = new EventParser();
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        const {done, value} = await reader.read();
        if (done) return why;
        onFirstByte();
        this.#heard();
        for (const event of parser.push(decoder.decode(value, {stream: true}))) {
          this.callbacks.onEvent(event);
        }
      }
    } catch (error) {
      if (error.name === 'AbortError') return why;
      return error.message.startsWith('HTTP') ? error.message : 'the service cannot be reached';
    } finally {
      clearInterval(watch);
      this.#abort.abort();
    }
  }

  #heard() {
    this.#lastByte = performance.now();
    this.callbacks.onActivity();
  }
}
