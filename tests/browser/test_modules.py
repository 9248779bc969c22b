"""The page's modules by themselves, run in the browser."""

import pytest


@pytest.fixture
def run(shared_page):
    """Runs the body of an async function in a page of the service; `load` imports a module."""
    def run_script(body, argument=None):
        return shared_page.evaluate("async (given) => { const load = (name) => import('/' + name); "
                                    + body + "}", argument)
    return run_script


def formatted(run, function, cases):
    """What a function of format.js makes of each list of arguments."""
    return run(f"const m = await load('format.js'); return given.map((a) => m.{function}(...a));",
               [list(arguments) for arguments, _ in cases])


@pytest.mark.parametrize("function, cases", [
    ("formatBytes", [((0,), "0B"), ((1023,), "1023B"), ((1024,), "1KiB"),
                     ((536870912,), "512MiB"), ((1610612736,), "1.5GiB"),
                     ((1024**3 - 1,), "1GiB"), ((12.34 * 1024**3,), "12.3GiB"), ((2**52,), "4096TiB"),
                     (("268435456",), "256MiB")]),
    ("formatQuantity", [(("cpu", 1), "1 core"), (("cpu", 0.5), "0.5 cores"),
                        (("cpu", 2), "2 cores"), (("ram", 2**30), "1GiB"),
                        (("db_connections", 1200), "1,200 db_connections")]),
    ("formatUse", [(("cpu", 1.5, 2), "1.5 of 2 cores"), (("ram", 2**28, 2**30), "256MiB of 1GiB"),
                   (("licences", 0, 3), "0 of 3")]),
    ("formatConsumption", [(({"licence": 1, "ram": 2**20, "cpu": 0.25},),
                            "0.25 cores · 1MiB · 1 licence"),
                           (({"cpu": 1, "gpu": 0},), "1 core"), ((None,), "")]),
    ("formatHost", [((None,), ""), (({"load": 1.25, "cpus": 8},), "load 1.3 of 8 cores"),
                    (({"cpuBusy": 0.314, "load": 2, "cpus": 4, "ramBytes": "4294967296",
                       "ramAvailableBytes": "1073741824", "diskBytes": "10", "diskFreeBytes": "5",
                       "receivedBytesPerSecond": 2048, "sentBytesPerSecond": 0},),
                     "31% busy · load 2 of 4 cores · 1GiB ram free · 5B disk free · "
                     "2KiB/s in, 0B/s out")]),
    ("percentDone", [((0, 10), 0), ((1, 1000), 1), ((999999, 1000000), 99), ((7, 7), 100),
                     ((0, 0), 0)]),
    ("formatElapsed", [((-5,), "0 s"), ((999,), "0 s"), ((59999,), "59 s"), ((184000,), "3 min 04 s"),
                       ((7500000,), "2 h 05 min"), ((360000000,), "4 d 04 h")]),
    ("formatSpan", [((0,), "0.0 s"), ((42.9,), "0.0 s"), ((320,), "0.3 s"), ((4000,), "4.0 s"), ((9949,), "9.9 s"),
                    ((9999,), "10 s"), ((600000,), "10 min 00 s"), ((184600,), "3 min 05 s")]),
    ("formatSetting", [((0,), "0s"), ((10,), "10ms"), ((0.5,), "0.5ms"), ((1500,), "1.5s"), ((300000,), "5m"),
                       ((5400000,), "1h30m"), ((3601000,), "1h1s"), ((2 * 86400000,), "2d")]),
    ("parseDuration", [(("1.500s",), 1500), (("600s",), 600000), ((None,), None), (("x",), None)]),
    ("parseTime", [(("1970-01-01T00:00:01.500Z",), 1500), ((None,), None), (("soon",), None)]),
    ("formatCommand", [(({"shell": "a | b", "arguments": []},), "a | b"),
                       (({"shell": "a | b", "arguments": ["bash", "-c"]},), "bash -c 'a | b'"),
                       (({},), ""),
                       (({"arguments": ["echo", "a b", "it's"]},), "echo 'a b' 'it'\\''s'"),
                       ((None,), "")]),
    ("cleanLog", [(("half a line\nwhole\n", True), "whole\n"), (("one\n", False), "one\n"),
                  (("\x1b[31mred\x1b[0m", False), "red"), (("no end", True), "no end")]),
    ("decodeBytes", [(("aGVsbG8=",), {"size": 5, "text": "hello"}),
                     (("/w==",), {"size": 1, "text": None}),
                     (("AAE=",), {"size": 2, "text": None})]),
    ("lastLines", [(("a\nb\nc\n", 2), {"text": "b\nc", "hidden": 1}),
                   (("a", 2), {"text": "a", "hidden": 0})]),
])
def test_things_are_written_as_people_read_them(run, function, cases):
    assert formatted(run, function, cases) == [wanted for _, wanted in cases]


def test_events_are_read_however_they_are_cut(run):
    stream = (": heartbeat\n\nevent: graphs\ndata: {\"a\":\ndata: 1}\n\n"
              "id: 4\ndata:x\r\n\r\nevent: no\n\n")
    wanted = [{"type": "graphs", "data": '{"a":\n1}'}, {"type": "message", "data": "x"}]
    for size in (1, 2, 3, 7, len(stream)):
        pieces = [stream[i:i + size] for i in range(0, len(stream), size)]
        got = run("""const {EventParser} = await load('events.js');
            const parser = new EventParser();
            return given.flatMap((piece) => parser.push(piece));""", pieces)
        assert got == wanted, size


def test_an_answer_does_not_overwrite_what_an_event_told_since(run):
    got = run("""const {GraphStore} = await load('store.js');
        const store = new GraphStore();
        const graph = (graphId, note) => ({graphId, note});
        const early = store.mark();
        store.tell([graph('g1', 'event')]);
        store.merge([graph('g1', 'old answer'), graph('g2', 'answer')], early);
        const first = store.get('g1').note;
        store.merge([graph('g1', 'new answer')], store.mark());
        const second = store.get('g1').note;
        store.tell([graph('g10', 'event')]);
        store.drop(new Set(['g1']), early, () => true);
        const kept = store.select(() => true).map(({graphId}) => graphId);
        store.drop(new Set(['g10']), store.mark(), () => true);
        return [first, second, kept, store.select(() => true).map(({graphId}) => graphId)];""")
    assert got == ["event", "new answer", ["g10", "g1"], ["g10"]]


def test_a_list_shows_no_graph_beyond_what_was_asked_for(run):
    got = run("""const {GraphStore, GraphList} = await load('store.js');
        const store = new GraphStore();
        let number = 10;
        const all = () => Array.from({length: number}, (_, i) => (
            {graphId: `g${number - i}`, state: 'GRAPH_STATE_RUNNING'}));
        const fetchPage = async ({pageSize, pageToken}) => {
          const begin = Number(pageToken || 0);
          const rest = begin + pageSize < number;
          return {graphs: all().slice(begin, begin + pageSize),
                  nextPageToken: rest ? String(begin + pageSize) : ''};
        };
        const list = new GraphList(store, 'running', fetchPage, 4);
        const ids = () => list.graphs().map(({graphId}) => graphId).join(' ');
        const seen = [ids()];
        await list.reload(); seen.push(ids());
        store.tell([{graphId: 'g2', state: 'GRAPH_STATE_RUNNING'}]); seen.push(ids());
        store.tell([{graphId: 'g11', state: 'GRAPH_STATE_RUNNING'}]); number = 11; seen.push(ids());
        store.tell([{graphId: 'g9', state: 'GRAPH_STATE_FAILED'}]); seen.push(ids());
        await list.more(); seen.push(list.complete);
        await list.more(); seen.push(list.complete, list.graphs().length);
        number = 3;
        await list.reload(); seen.push(ids());
        return seen;""")
    # g9 failed by an event; the answers, asked for later, have it running again.
    assert got == ["", "g10 g9 g8 g7", "g10 g9 g8 g7", "g11 g10 g9 g8 g7", "g11 g10 g8 g7",
                   False, True, 10, "g3 g2 g1"]


def test_what_is_wrong_with_the_connection_is_told_apart(run):
    got = run("""const {Freshness} = await load('freshness.js');
        const f = new Freshness(0);
        const seen = [f.kind(1000), f.kind(5000)];
        Object.assign(f, {streamOpen: true, lastHeard: 5000});
        seen.push(f.kind(6000), f.kind(15000));
        Object.assign(f, {synced: true, loaded: true, lastAnswer: 6000});
        seen.push(f.kind(20000), f.asOf(), f.kind(25001));
        f.lastHeard = 27000;
        seen.push(f.kind(27001), f.asOf());
        Object.assign(f, {streamOpen: false, synced: false, why: 'closed'});
        seen.push(f.kind(27002));
        Object.assign(f, {streamOpen: true, lastHeard: 28000});
        seen.push(f.kind(28001));
        f.paused = true;
        seen.push(f.kind(28001));
        return seen;""")
    assert got == ["connecting", "lost", "connecting", "unanswered", "live", 5000, "silent",
                   "unanswered", 6000, "lost", "catching-up", "paused"]


def test_addresses_lead_back_to_what_made_them(run):
    names = ["decode", "a/b:c+d@e=f,g[h]", "100%"]
    got = run("""const m = await load('routes.js');
        return given.map((name) => m.parseRoute(m.taskHref('g7', name, 'failed')));""", names)
    assert got == [{"graphId": "g7", "task": name, "state": "failed"} for name in names]
    nowhere = {"graphId": "", "task": "", "state": ""}
    assert run("const m = await load('routes.js'); return given.map(m.parseRoute);",
               ["", "#", "#/", "#/graphs/%zz", "#/else/g1"]) == [nowhere] * 5


def test_a_browsers_wrong_clock_does_not_change_how_long_things_take(run):
    got = run("""const m = await load('clock.js');
        const node = document.createElement('span');
        const real = Date.now();
        m.learnServiceTime(new Date(real + 3600000).toUTCString(), real, real);
        m.freezeAt(real);
        m.showElapsed(node, real + 3600000 - 65000);
        const seen = [Math.abs(m.clockDifference() - 3600) <= 1, node.textContent];
        m.learnServiceTime(new Date(real + 900).toUTCString(), real, real);
        m.freezeAt(null);
        seen.push(m.clockDifference());
        return seen;""")
    assert got[0] is True and got[1] in ("1 min 04 s", "1 min 05 s") and got[2] == 0


def test_a_refresher_does_not_wait_for_a_wall_clock_that_was_set_back(run):
    assert run("""
        const {Refresher} = await load('dom.js');
        const real = Date.now;
        let runs = 0;
        const refresher = new Refresher(async () => { ++runs; }, 10);
        try {
          await refresher.request();
          Date.now = () => real() - 3600000;
          await refresher.request();
        } finally {
          Date.now = real;
        }
        return runs;""") == 2
