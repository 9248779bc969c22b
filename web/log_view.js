// What an attempt wrote: the end of one of its streams, followed while the attempt runs.

import * as api from './api.js';
import {h, Refresher, setAttribute, setText} from './dom.js';
import {cleanLog, formatBytes} from './format.js';
import {attemptEnded} from './states.js';

const MAX_BYTES = 64 * 1024;
const FOLLOW_MS = 2000;
const RAW_BYTES = 1024 * 1024;  // an answer's limit

export class LogView {
  #subject = null;  // {graphId, task, attempts, failed}
  #attempt = 0;     // chosen by the user; 0: the last one
  #stream = '';     // chosen by the user; '': stderr of what failed, else stdout
  #shown = '';      // which log the text is of
  #ended = '';      // which log was read after its attempt had ended: it changes no more
  #refresher = new Refresher(() => this.#read(), 200);

  constructor(root) {
    this.root = root;
    this.text = root.querySelector('pre');
    this.note = root.querySelector('.note');
    this.raw = root.querySelector('.raw');
    this.choices = root.querySelector('.choices');
    this.attempt = h('select', {'aria-label': 'attempt'});
    this.attempt.addEventListener('change', () => {
      this.#attempt = Number(this.attempt.value);
      this.#changed();
    });
    this.streams = ['stdout', 'stderr'].map((stream) => h('button', {
      type: 'button',
      class: 'pill',
      onclick: () => {
        this.#stream = stream;
        this.#changed();
      },
    }, stream));
    this.choices.append(this.attempt, ...this.streams);
    setInterval(() => {
      if (this.#subject && !document.hidden) this.#readUnlessEnded();
    }, FOLLOW_MS);
  }

  // Shows the attempts of a task; null: hides.
  show(subject) {
    const other = subject?.graphId !== this.#subject?.graphId ||
        subject?.task !== this.#subject?.task;
    this.#subject = subject;
    this.root.hidden = !subject;
    if (other) {
      this.#attempt = 0;
      this.#stream = '';
    }
    if (subject) this.#changed();
  }

  #chosen() {
    const {attempts, failed} = this.#subject;
    const attempt = attempts.find(({number}) => number === this.#attempt) ?? attempts.at(-1);
    return {attempt, stream: this.#stream || (failed ? 'stderr' : 'stdout')};
  }

  #key({attempt, stream}) {
    return JSON.stringify([this.#subject.graphId, attempt.attemptId, stream]);
  }

  #changed() {
    const chosen = this.#chosen();
    const {attempts, graphId, task} = this.#subject;
    const numbers = attempts.map(({number}) => number).join();
    if (this.attempt.dataset.numbers !== numbers) {
      this.attempt.dataset.numbers = numbers;
      this.attempt.replaceChildren(...attempts.map(
          ({number}) => h('option', {value: number}, `attempt ${number}`)));
    }
    this.attempt.value = chosen.attempt.number;
    this.attempt.hidden = attempts.length < 2;
    for (const button of this.streams) {
      setAttribute(button, 'aria-pressed', String(button.textContent === chosen.stream));
    }
    setAttribute(this.raw, 'href', api.logUrl(graphId, task, {
      attempt: chosen.attempt.number,
      stream: chosen.stream,
      offset: -RAW_BYTES,
    }));
    setText(this.raw, `as plain text, up to ${formatBytes(RAW_BYTES)}`);
    if (this.#shown !== this.#key(chosen)) {
      this.#shown = this.#key(chosen);
      this.#ended = '';
      setText(this.text, '');
      setText(this.note, 'Reading…');
    }
    this.#readUnlessEnded();
  }

  #readUnlessEnded() {
    if (this.#ended !== this.#shown) this.#refresher.request();
  }

  async #read() {
    if (!this.#subject) return;
    const chosen = this.#chosen();
    const key = this.#key(chosen);
    const {graphId, task} = this.#subject;
    const ended = attemptEnded(chosen.attempt);
    try {
      const {text, cut} = await api.readLogEnd(
          graphId, task,
          {attempt: chosen.attempt.number, stream: chosen.stream, maxBytes: MAX_BYTES});
      if (key !== this.#shown) return;
      this.#showText(cleanLog(text, cut));
      const what = text === '' ? (ended ? 'It wrote nothing here.' : 'Nothing written here yet.')
          : cut ? `The last ${formatBytes(MAX_BYTES)}.` : '';
      setText(this.note, [what, ended ? '' : 'Following.'].filter(Boolean).join(' '));
      this.note.classList.remove('error');
      if (ended) this.#ended = key;
    } catch (error) {
      if (key !== this.#shown) return;
      setText(this.note, `The log could not be read (${error.message}).`);
      this.note.classList.add('error');
      if (ended && error.status === 404) this.#ended = key;
    }
  }

  // Stays at the end where the reader is at the end; a selection survives what is added.
  #showText(text) {
    const pre = this.text;
    const atEnd = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 8;
    const before = pre.textContent;
    if (text === before) return;
    if (before && text.startsWith(before)) pre.append(text.slice(before.length));
    else pre.textContent = text;
    if (atEnd || !before) pre.scrollTop = pre.scrollHeight;
  }
}
