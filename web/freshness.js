// From when the shown data is, and whether it may be trusted. Pure; times are the browser's clock.

export const STALE_MS = 20000;    // without a heartbeat, or without an answer of the scheduler
export const CONNECT_MS = 4000;   // the first connection may take so long before it is called lost

export class Freshness {
  streamOpen = false;
  synced = false;         // everything was asked for again since the stream opened
  loaded = false;         // something is shown
  lastHeard = null;       // the stream's last byte
  lastAnswer = null;      // the scheduler's last sign: an event of the cluster, or an answer
  why = '';               // why the stream ended, or why not everything could be read
  paused = false;

  // `now` is when the page began to connect.
  constructor(now) {
    this.begun = now;
  }

  // What is shown was true then; null where nothing is shown.
  asOf() {
    if (!this.loaded) return null;
    return Math.min(this.lastHeard ?? this.lastAnswer, this.lastAnswer);
  }

  // 'connecting', 'live', 'paused', or what is wrong: 'lost' (no connection), 'silent' (no
  // heartbeat), 'unanswered' (heartbeats, but the scheduler does not answer), 'catching-up'
  // (connected again, still showing what was known before).
  kind(now) {
    if (this.paused) return 'paused';
    if (!this.streamOpen) {
      if (this.why || now - this.begun >= CONNECT_MS) return 'lost';
      return this.loaded ? 'catching-up' : 'connecting';
    }
    if (now - this.lastHeard > STALE_MS) return 'silent';
    if (!this.synced) {
      if (this.loaded) return 'catching-up';
      return now - this.lastHeard < CONNECT_MS ? 'connecting' : 'unanswered';
    }
    if (now - this.lastAnswer > STALE_MS) return 'unanswered';
    return 'live';
  }
}

// What to say: {title, detail, action}, or null where all is well. `asOf` and `age` are words.
export function bannerWords(kind, {asOf, age, why, retryIn}) {
  const shown = asOf ? `What you see is from ${asOf}, ${age} ago, and may no longer be true.`
                     : 'There is nothing to show yet.';
  const reason = why ? `Reason: ${why}. ` : '';
  const again = retryIn === null ? 'Trying again now.' : `Trying again in ${retryIn}.`;
  switch (kind) {
    case 'lost':
      return {
        title: 'No connection to Kartograph',
        detail: `${shown} ${reason}${again}`,
        action: true,
      };
    case 'silent':
      return {
        title: 'Kartograph has gone silent',
        detail: `${shown} No heartbeat for more than ${STALE_MS / 1000} s.`,
        action: false,
      };
    case 'unanswered':
      return {
        title: 'Kartograph is up but does not answer',
        detail: `${shown} Heartbeats arrive, but questions are not answered. ${reason}`,
        action: false,
      };
    case 'catching-up':
      return {
        title: 'Catching up',
        detail: `${shown} Reading what changed… ${reason}`,
        action: false,
      };
    default:
      return null;
  }
}
