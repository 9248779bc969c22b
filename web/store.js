// The graphs this page knows, merged from answers and events. Pure, no DOM.
//
// An answer shows a state between its request and its arrival, and an event that came meanwhile may
// be newer. So each graph remembers when it was last updated by an event, and an answer to an older
// request does not overwrite it; if the answer was the newer one, its event is still to come.

// "g17" -> 17: a graph's place in the order of submission.
function graphNumber(graphId) {
  return Number(String(graphId).slice(1)) || 0;
}

export class GraphStore {
  #entries = new Map();  // graph id -> {graph, told}
  #sequence = 0;

  get size() {
    return this.#entries.size;
  }

  get(graphId) {
    return this.#entries.get(graphId)?.graph;
  }

  // Call before asking, and give the result to merge() and drop().
  mark() {
    return this.#sequence;
  }

  // Graphs of an event.
  tell(graphs) {
    this.#sequence++;
    for (const graph of graphs) this.#entries.set(graph.graphId, {graph, told: this.#sequence});
  }

  // Graphs of an answer to a request made at `mark`.
  merge(graphs, mark) {
    for (const graph of graphs) {
      const known = this.#entries.get(graph.graphId);
      if (known && known.told > mark) continue;
      this.#entries.set(graph.graphId, {graph, told: known?.told ?? 0});
    }
  }

  // Drops the graphs that `matches` and that a complete answer to a request made at `mark` did not
  // have.
  drop(answeredIds, mark, matches) {
    for (const [id, entry] of this.#entries) {
      if (entry.told <= mark && !answeredIds.has(id) && matches(entry.graph)) {
        this.#entries.delete(id);
      }
    }
  }

  // Newest first.
  select(matches) {
    const found = [];
    for (const {graph} of this.#entries.values()) if (matches(graph)) found.push(graph);
    return found.sort((a, b) => graphNumber(b.graphId) - graphNumber(a.graphId));
  }
}

// The graphs in one state (or all: state ''), newest first, as far back as was asked for. What is
// older than `horizon` is not shown, even where an event reported it: there would be gaps.
export class GraphList {
  horizon = Infinity;  // number of the oldest graph asked for; 0: all are known
  #token = '';
  #pages = 0;
  #generation = 0;

  // `fetchPage({state, pageSize, pageToken})` gives a ListGraphsResponse.
  constructor(store, state, fetchPage, pageSize) {
    this.store = store;
    this.state = state;
    this.fetchPage = fetchPage;
    this.pageSize = pageSize;
  }

  get complete() {
    return this.horizon === 0;
  }

  matches(graph) {
    return (!this.state || graph.state === `GRAPH_STATE_${this.state.toUpperCase()}`) &&
        graphNumber(graph.graphId) >= this.horizon;
  }

  graphs() {
    return this.store.select((graph) => this.matches(graph));
  }

  // Asks again for as many pages as are shown (one at least).
  async reload() {
    const generation = ++this.#generation;
    const pages = Math.max(1, this.#pages);
    const mark = this.store.mark();
    const answered = new Set();
    let token = '';
    let horizon = Infinity;
    let read = 0;
    do {
      const answer = await this.#read(token, mark);
      if (generation !== this.#generation) return;
      for (const graph of answer.graphs ?? []) answered.add(graph.graphId);
      horizon = oldest(answer, horizon);
      token = answer.nextPageToken ?? '';
      read++;
    } while (token && read < pages);
    this.#token = token;
    this.#pages = read;
    this.horizon = token ? horizon : 0;
    this.store.drop(answered, mark, (graph) => this.matches(graph));
  }

  async more() {
    if (!this.#token) return;
    const generation = ++this.#generation;
    const answer = await this.#read(this.#token, this.store.mark());
    if (generation !== this.#generation) return;
    this.#token = answer.nextPageToken ?? '';
    this.#pages++;
    this.horizon = this.#token ? oldest(answer, this.horizon) : 0;
  }

  async #read(pageToken, mark) {
    const answer = await this.fetchPage({state: this.state, pageSize: this.pageSize, pageToken});
    this.store.merge(answer.graphs ?? [], mark);
    return answer;
  }
}

function oldest(answer, horizon) {
  return (answer.graphs ?? []).reduce(
      (least, graph) => Math.min(least, graphNumber(graph.graphId)), horizon);
}
