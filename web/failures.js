// The last failures over all graphs, with the end of what each wrote.

import {stateMark} from './bars.js';
import {showElapsed} from './clock.js';
import {h, setText, setTitled, syncList} from './dom.js';
import {cleanLog, formatCount, formatCounted, lastLines, parseTime} from './format.js';
import {graphHref, taskHref} from './routes.js';
import {taskState} from './states.js';

export const FAILURES_ASKED = 20;
const FAILURES_SHOWN = 3;
const LINES_SHOWN = 4;

export class FailuresPanel {
  #all = false;

  constructor(root) {
    this.list = root.querySelector('.rows');
    this.note = root.querySelector('.note');
    this.empty = root.querySelector('.empty');
    this.more = root.querySelector('.more');
    this.more.addEventListener('click', () => {
      this.#all = true;
      this.update(this.failures);
    });
  }

  update(failures) {
    this.failures = failures;
    this.empty.hidden = failures.length > 0;
    setText(this.note, failures.length === 0 ? ''
        : failures.length >= FAILURES_ASKED ? `the last ${formatCount(FAILURES_ASKED)}`
                                            : formatCount(failures.length));
    const shown = this.#all ? failures : failures.slice(0, FAILURES_SHOWN);
    syncList(this.list, shown,
             (failure) => JSON.stringify([failure.graphId, failure.taskName, failure.endTime]),
             failureRow);
    this.more.hidden = shown.length === failures.length;
    setText(this.more, `Show more (${formatCount(failures.length - shown.length)} not shown)`);
  }
}

function failureRow(failure) {
  const task = h('a', {class: 'name', href: taskHref(failure.graphId, failure.taskName)});
  const graph = h('a', {class: 'quiet', href: graphHref(failure.graphId)});
  const time = h('span', {class: 'time'});
  const message = h('p', {class: 'reason'});
  const log = h('pre', {class: 'tail'});
  const unfold = h('button', {type: 'button', class: 'link'});
  let whole = false;
  let text = '';
  const showLog = () => {
    const end = lastLines(text, whole ? Infinity : LINES_SHOWN);
    setText(log, text === '' ? 'It wrote nothing.' : end.text);
    log.classList.toggle('nothing', text === '');
    const all = lastLines(text, LINES_SHOWN).hidden;
    unfold.hidden = all === 0;
    setText(unfold, whole ? 'Show the last lines only'
                          : `Show ${formatCounted(all, 'line')} before`);
    unfold.setAttribute('aria-expanded', String(whole));
  };
  unfold.addEventListener('click', () => {
    whole = !whole;
    showLog();
  });
  return {
    node: h('li', {class: 'failure'},
            h('div', {class: 'line'}, stateMark(taskState('TASK_STATE_FAILED')), task, time),
            graph, message, unfold, log),
    update(now) {
      setTitled(task, now.taskName);
      setTitled(graph, `${now.graphName || now.graphId}`);
      showElapsed(time, parseTime(now.endTime), '% ago');
      setText(message, now.message || 'No reason was given.');
      text = cleanLog(now.logTail ?? '', false);
      showLog();
    },
  };
}
