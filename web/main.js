// Wires the page: one stream of events, answers to questions, and panels that show them.

import * as api from './api.js';
import {
  clockDifference, freezeAt, learnServiceTime, showElapsed, tickAll, toServiceTime,
} from './clock.js';
import {AgentsPanel, PoolsPanel, RunningPanel, SummaryPanel} from './cluster.js';
import {Refresher, setText} from './dom.js';
import {EventStream} from './events.js';
import {FAILURES_ASKED, FailuresPanel} from './failures.js';
import {
  formatClock, formatCount, formatElapsed, formatExact, parseTime, zoneName,
} from './format.js';
import {bannerWords, Freshness} from './freshness.js';
import {GraphPage} from './graph_page.js';
import {GraphsPanel} from './graphs.js';
import {parseRoute} from './routes.js';
import {GraphStore} from './store.js';

const ASK_AGAIN_MS = 10000;   // the cluster, where no event reported it
const PAGE_MS = 5000;         // one graph's tasks: reasons change without an event of their graph
const RESYNC_MS = 60000;      // everything, in case an event was missed
const HIDDEN_MS = 120000;     // a page hidden for longer closes its stream
const RENDER_MS = 100;        // events are shown at most this often

const byId = (id) => document.getElementById(id);

const freshness = new Freshness(Date.now());
const store = new GraphStore();
const graphs = new GraphsPanel(byId('graphs'), store, api.listGraphs);
const summary = new SummaryPanel(byId('summary'));
const running = new RunningPanel(byId('running'));
const pools = new PoolsPanel(byId('pools'));
const agents = new AgentsPanel(byId('agents'));
const failures = new FailuresPanel(byId('failures'));
const graphPage = new GraphPage(byId('graph-page'), store);

let cluster = null;
let firstVersion = null;
let lastResync = -Infinity;  // by performance.now(), as the wall clock may be set back
let lastAsked = 0;
let lastPage = -Infinity;

function showCluster(answer) {
  cluster = answer;
  firstVersion ??= answer.version ?? '';
  freshness.lastAnswer = Date.now();
  renderSoon();
}

const clusterReader = new Refresher(async () => {
  lastAsked = Date.now();
  try {
    showCluster(await api.getCluster());
  } catch {
    // Freshness shows when the last answer is too old.
  }
}, 1000);

const failuresReader = new Refresher(async () => {
  try {
    showFailures(await api.listFailures(FAILURES_ASKED));
  } catch {
    lastResync = -Infinity;  // Soon again, with everything else.
  }
}, 1000);

function showFailures(answer) {
  failures.update(answer.failures ?? []);
}

// Asks for everything. Events that arrive meanwhile are kept (see GraphStore).
const resync = new Refresher(async () => {
  const stream = events.generation;
  try {
    const [clusterAnswer, failuresAnswer] = await Promise.all([
      api.getCluster(), api.listFailures(FAILURES_ASKED), graphs.reload(), graphPage.refresh(),
    ]);
    showCluster(clusterAnswer);
    showFailures(failuresAnswer);
    lastResync = performance.now();
    if (stream === events.generation && freshness.streamOpen) {
      freshness.synced = true;
      freshness.loaded = true;
      freshness.why = '';
    }
  } catch (error) {
    freshness.why = error.message;
  }
  render();
}, 1000);

const events = new EventStream('/api/v1/events', {
  onOpen() {
    freshness.streamOpen = true;
    freshness.synced = false;
    resync.request();
    render();
  },
  onActivity() {
    freshness.lastHeard = Date.now();
  },
  onEvent({type, data}) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (type === 'cluster') showCluster(message);
    if (type === 'failures') failuresReader.request();
    if (type === 'graphs') {
      store.tell(message.graphs ?? []);
      if ((message.graphs ?? []).some(({graphId}) => graphId === graphPage.graphId)) {
        graphPage.refresh();
      }
      renderSoon();
    }
  },
  onDown(why) {
    freshness.streamOpen = false;
    freshness.synced = false;
    freshness.why = why;
    render();
  },
});

// --- Showing ------------------------------------------------------------------------------------

let renderTimer = null;
function renderSoon() {
  renderTimer ??= setTimeout(() => {
    renderTimer = null;
    render();
  }, RENDER_MS);
}

function render() {
  renderFreshness();
  if (document.hidden) return;
  if (cluster) renderService();
  graphPage.render();
  if (byId('overview').hidden) return;
  if (cluster) {
    summary.update(cluster);
    running.update(cluster);
    pools.update(cluster);
    agents.update(cluster);
  }
  graphs.render();
}

function renderService() {
  setText(byId('version'), cluster.version ? `version ${cluster.version}` : '');
  showElapsed(byId('uptime'), parseTime(cluster.startTime), 'up for %');
  const away = byId('cluster-away');
  away.hidden = cluster.connected !== false;
  setText(byId('cluster-away-reason'), cluster.disconnectReason ?? '');
  byId('write-error').hidden = !cluster.writeError;
  setText(byId('write-error-reason'), cluster.writeError ?? '');
  byId('updated').hidden = (cluster.version ?? '') === firstVersion;
}

const WORDS = {
  live: 'live', paused: 'paused', connecting: 'connecting', lost: 'not connected', silent: 'silent',
  unanswered: 'no answers', 'catching-up': 'catching up',
};

let lastKind = '';

function renderFreshness() {
  const now = Date.now();
  const kind = freshness.kind(now);
  const asOf = freshness.asOf();
  freezeAt(kind === 'live' || kind === 'connecting' ? null : asOf);
  document.body.dataset.link = kind;
  const status = byId('link');
  status.dataset.link = kind;
  setText(byId('link-word'), WORDS[kind]);
  const age = asOf === null ? '' : formatElapsed(now - asOf);
  const moment = asOf === null ? '' : formatClock(toServiceTime(asOf));
  setText(byId('as-of'), asOf === null ? '' : `data from ${moment}`);
  byId('as-of').title = asOf === null ? '' : formatExact(toServiceTime(asOf));
  const banner = bannerWords(kind, {
    asOf: moment,
    age,
    why: freshness.why,
    retryIn: events.retryAt === null ? null
        : formatElapsed(Math.max(0, events.retryAt - now) + 999),
  });
  byId('banner').hidden = banner === null;
  setText(byId('banner-title'), banner?.title ?? '');
  setText(byId('banner-detail'), banner?.detail ?? '');
  byId('retry').hidden = !banner?.action;
  if (kind !== lastKind) {
    // Said aloud once for each change, not with every second of the age.
    const back = lastKind && kind === 'live' ? 'Live again' : '';
    setText(byId('banner-spoken'), banner?.title ?? back);
    lastKind = kind;
  }
  document.title = title(kind);
  const difference = clockDifference();
  setText(byId('zone'), `Times in ${zoneName(now)}` + (difference === 0 ? ''
      : `; the service's clock is ${formatElapsed(Math.abs(difference) * 1000)} ` +
        `${difference > 0 ? 'ahead of' : 'behind'} this browser's`));
}

function title(kind) {
  if (kind === 'paused') return 'paused · Kartograph';
  if (kind !== 'live' && kind !== 'connecting') return `✕ ${WORDS[kind]} · Kartograph`;
  const counts = cluster?.counts;
  if (!counts || !Number(counts.total ?? 0)) return 'Kartograph';
  const failed = Number(counts.failed ?? 0);
  const words = [`${formatCount(counts.running)} running`];
  if (failed) words.push(`${formatCount(failed)} failed`);
  return `${words.join(', ')} · Kartograph`;
}

// --- Moving about -------------------------------------------------------------------------------

let overviewScroll = 0;

function followRoute() {
  const route = parseRoute(location.hash);
  const overview = byId('overview');
  const wasOverview = !overview.hidden;
  if (wasOverview && route.graphId) overviewScroll = window.scrollY;
  overview.hidden = route.graphId !== '';
  graphPage.show(route);
  render();
  if (!wasOverview && !route.graphId) window.scrollTo(0, overviewScroll);
}

// --- Running ------------------------------------------------------------------------------------

let hiddenTimer = null;

function followVisibility() {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      freshness.paused = true;
      events.pause();
      render();
    }, HIDDEN_MS);
    return;
  }
  if (freshness.paused) {
    freshness.paused = false;
    freshness.why = '';
    freshness.begun = Date.now();
    events.resume();
  }
  events.retryNow();
  render();
}

function everySecond() {
  const now = Date.now();
  const steady = performance.now();
  if (freshness.streamOpen) {
    if (!freshness.synced || steady - lastResync > RESYNC_MS) {
      if (!resync.busy) resync.request();
    } else if (now - Math.max(freshness.lastAnswer, lastAsked) > ASK_AGAIN_MS) {
      clusterReader.request();
    }
    if (!document.hidden && steady - lastPage > PAGE_MS) {
      lastPage = steady;
      graphPage.refresh();
    }
  }
  renderFreshness();
  tickAll();
}

api.setAnswerListener(learnServiceTime);
byId('retry').addEventListener('click', () => events.retryNow());
byId('reload').addEventListener('click', () => location.reload());
document.addEventListener('visibilitychange', followVisibility);
window.addEventListener('online', () => events.retryNow());
window.addEventListener('hashchange', followRoute);
followRoute();
setInterval(everySecond, 1000);
events.run();
