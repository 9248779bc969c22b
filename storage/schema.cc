#include "storage/schema.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

// Times are microseconds since 1970, durations microseconds; NULL: it never was, or no limit.
// States and outcomes are the numbers of planner/states.h; the views at the end say them in words.
//
// A task's key holds its graph and index, an attempt's key its task and number (planner/ids.h), so
// that every table is in order of its key and grows at its end. What a task asks for is interned,
// because the tasks of a graph are mostly alike. What ends is a row of its own instead of an update
// of a wide one: inserting is cheaper than growing a row in the middle of a full page.
constexpr char kVersion1[] = R"sql(
CREATE TABLE counters (
  -- 'last graph' and 'last delivery': ids are not used again, even when their rows are pruned.
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE graphs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  client_queue TEXT NOT NULL,
  fail_fast INTEGER NOT NULL,
  open INTEGER NOT NULL,
  state INTEGER NOT NULL,
  submit_us INTEGER NOT NULL,
  end_us INTEGER,
  -- Counts of its tasks, kept up to date by every commit.
  tasks INTEGER NOT NULL DEFAULT 0,
  succeeded INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX graphs_by_state ON graphs (state);
CREATE INDEX graphs_by_end ON graphs (end_us) WHERE end_us IS NOT NULL;

CREATE TABLE settings (
  id INTEGER PRIMARY KEY,
  consumption TEXT NOT NULL,  -- JSON: {"cpu":1,"ram":536870912}
  timeout_us INTEGER,
  retry_delay_us INTEGER NOT NULL,
  max_retry_delay_us INTEGER NOT NULL,
  cancel_grace_us INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  priority INTEGER NOT NULL
) STRICT;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority);

CREATE TABLE tasks (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  settings_id INTEGER NOT NULL,
  after TEXT NOT NULL,  -- JSON: [0,1], indexes in the same graph
  payload BLOB NOT NULL,
  graph_id INTEGER GENERATED ALWAYS AS (key >> 20) VIRTUAL,
  task_index INTEGER GENERATED ALWAYS AS (key & 1048575) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX tasks_by_name ON tasks (graph_id, name);

CREATE TABLE agents (
  id INTEGER PRIMARY KEY,
  agent TEXT NOT NULL,
  name TEXT NOT NULL
) STRICT;
CREATE INDEX agents_by_value ON agents (agent, name);

CREATE TABLE attempts (
  key INTEGER PRIMARY KEY,
  agent_id INTEGER NOT NULL,
  launch_us INTEGER NOT NULL,
  task_key INTEGER GENERATED ALWAYS AS (key >> 11) VIRTUAL,
  number INTEGER GENERATED ALWAYS AS (key & 2047) VIRTUAL
) STRICT;

CREATE TABLE attempt_ends (
  key INTEGER PRIMARY KEY,
  outcome INTEGER NOT NULL,
  exit_status INTEGER NOT NULL,
  signal INTEGER NOT NULL,
  start_us INTEGER,
  end_us INTEGER NOT NULL,
  peak_ram INTEGER NOT NULL,
  cpu_us INTEGER NOT NULL,
  wall_us INTEGER NOT NULL,
  message TEXT NOT NULL,
  return_value BLOB NOT NULL
) STRICT;

CREATE TABLE task_ends (
  key INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  end_us INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX failures ON task_ends (end_us) WHERE state = 6;

-- The ends that were undone to run a task again, and how many attempts came before.
CREATE TABLE task_resets (
  task_key INTEGER NOT NULL,
  number INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  state INTEGER,
  end_us INTEGER,
  reason TEXT,
  PRIMARY KEY (task_key, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- Deliveries that are not acknowledged.
CREATE TABLE finished (
  queue_id INTEGER NOT NULL,
  delivery_id INTEGER NOT NULL,
  task_key INTEGER NOT NULL,
  resets INTEGER NOT NULL,  -- of the task before this end
  PRIMARY KEY (queue_id, delivery_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
  id TEXT PRIMARY KEY,
  answer BLOB NOT NULL,
  time_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (time_us);

CREATE VIEW graph_list AS
SELECT
  'g' || id AS graph, name,
  CASE state WHEN 1 THEN 'running' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'failed'
    WHEN 4 THEN 'cancelled' END AS state,
  tasks, succeeded, failed, cancelled, skipped,
  datetime(submit_us / 1000000, 'unixepoch') AS submitted,
  datetime(end_us / 1000000, 'unixepoch') AS ended,
  client_queue
FROM graphs;

CREATE VIEW task_list AS
SELECT
  'g' || t.graph_id AS graph, t.task_index, t.name,
  CASE e.state WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed' WHEN 7 THEN 'cancelled'
    WHEN 8 THEN 'skipped' ELSE 'not final' END AS state,
  datetime(e.end_us / 1000000, 'unixepoch') AS ended, e.reason,
  s.consumption, s.max_attempts, s.priority, s.timeout_us / 1e6 AS timeout_s, t.after
FROM tasks t JOIN settings s ON s.id = t.settings_id LEFT JOIN task_ends e ON e.key = t.key;

CREATE VIEW attempt_list AS
SELECT
  'g' || t.graph_id AS graph, t.name AS task, a.number, g.name AS agent,
  CASE e.outcome WHEN 1 THEN 'succeeded' WHEN 2 THEN 'exited' WHEN 3 THEN 'signalled'
    WHEN 4 THEN 'timed out' WHEN 5 THEN 'out of memory' WHEN 6 THEN 'cancelled'
    WHEN 7 THEN 'not started' WHEN 8 THEN 'result too large' WHEN 9 THEN 'lost'
    WHEN 10 THEN 'refused' ELSE 'alive' END AS outcome,
  e.exit_status, e.signal, e.message,
  datetime(a.launch_us / 1000000, 'unixepoch') AS launched,
  datetime(e.start_us / 1000000, 'unixepoch') AS started,
  datetime(e.end_us / 1000000, 'unixepoch') AS ended,
  e.peak_ram, e.cpu_us / 1e6 AS cpu_s, e.wall_us / 1e6 AS wall_s
FROM attempts a JOIN agents g ON g.id = a.agent_id JOIN tasks t ON t.key = a.task_key
  LEFT JOIN attempt_ends e ON e.key = a.key;
)sql";

// What can become of attempts on agents that are unreachable.
constexpr char kVersion2[] = R"sql(
ALTER TABLE settings ADD COLUMN unreachable_timeout_us INTEGER;
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us);

DROP VIEW attempt_list;
CREATE VIEW attempt_list AS
SELECT
  'g' || t.graph_id AS graph, t.name AS task, a.number, g.name AS agent,
  CASE e.outcome WHEN 1 THEN 'succeeded' WHEN 2 THEN 'exited' WHEN 3 THEN 'signalled'
    WHEN 4 THEN 'timed out' WHEN 5 THEN 'out of memory' WHEN 6 THEN 'cancelled'
    WHEN 7 THEN 'not started' WHEN 8 THEN 'result too large' WHEN 9 THEN 'lost'
    WHEN 10 THEN 'refused' WHEN 11 THEN 'dropped' WHEN 12 THEN 'gone'
    WHEN 13 THEN 'unreachable' ELSE 'alive' END AS outcome,
  e.exit_status, e.signal, e.message,
  datetime(a.launch_us / 1000000, 'unixepoch') AS launched,
  datetime(e.start_us / 1000000, 'unixepoch') AS started,
  datetime(e.end_us / 1000000, 'unixepoch') AS ended,
  e.peak_ram, e.cpu_us / 1e6 AS cpu_s, e.wall_us / 1e6 AS wall_s
FROM attempts a JOIN agents g ON g.id = a.agent_id JOIN tasks t ON t.key = a.task_key
  LEFT JOIN attempt_ends e ON e.key = a.key;
)sql";

// How often a task may take its agent with it, and attempts that their agent could not start.
constexpr char kVersion3[] = R"sql(
ALTER TABLE settings ADD COLUMN max_losses INTEGER NOT NULL DEFAULT 5;
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us, max_losses);

DROP VIEW attempt_list;
CREATE VIEW attempt_list AS
SELECT
  'g' || t.graph_id AS graph, t.name AS task, a.number, g.name AS agent,
  CASE e.outcome WHEN 1 THEN 'succeeded' WHEN 2 THEN 'exited' WHEN 3 THEN 'signalled'
    WHEN 4 THEN 'timed out' WHEN 5 THEN 'out of memory' WHEN 6 THEN 'cancelled'
    WHEN 7 THEN 'not started' WHEN 8 THEN 'result too large' WHEN 9 THEN 'lost'
    WHEN 10 THEN 'refused' WHEN 11 THEN 'dropped' WHEN 12 THEN 'gone'
    WHEN 13 THEN 'unreachable' WHEN 14 THEN 'agent failed' ELSE 'alive' END AS outcome,
  e.exit_status, e.signal, e.message,
  datetime(a.launch_us / 1000000, 'unixepoch') AS launched,
  datetime(e.start_us / 1000000, 'unixepoch') AS started,
  datetime(e.end_us / 1000000, 'unixepoch') AS ended,
  e.peak_ram, e.cpu_us / 1e6 AS cpu_s, e.wall_us / 1e6 AS wall_s
FROM attempts a JOIN agents g ON g.id = a.agent_id JOIN tasks t ON t.key = a.task_key
  LEFT JOIN attempt_ends e ON e.key = a.key;
)sql";

// Work on whole graphs that takes more than one commit: the numbers of GraphWork. Graphs that are
// being submitted (1) or removed (5) are not part of the history.
constexpr char kVersion4[] = R"sql(
ALTER TABLE graphs ADD COLUMN work INTEGER NOT NULL DEFAULT 0;
CREATE INDEX graphs_by_work ON graphs (work) WHERE work <> 0;

DROP VIEW graph_list;
CREATE VIEW graph_list AS
SELECT
  'g' || id AS graph, name,
  CASE state WHEN 1 THEN 'running' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'failed'
    WHEN 4 THEN 'cancelled' END AS state,
  tasks, succeeded, failed, cancelled, skipped,
  datetime(submit_us / 1000000, 'unixepoch') AS submitted,
  datetime(end_us / 1000000, 'unixepoch') AS ended,
  client_queue
FROM graphs WHERE work NOT IN (1, 5);
)sql";

// Which history this is.
constexpr char kVersion5[] = R"sql(
CREATE TABLE identity (
  history TEXT NOT NULL  -- one row, which a copy of the database has too
) STRICT;
INSERT INTO identity VALUES (lower(hex(randomblob(16))));

CREATE TABLE incarnations (
  number INTEGER PRIMARY KEY,  -- in order of the starts of kartographd on this history
  value INTEGER NOT NULL       -- random
) STRICT;
)sql";

// Graphs are found by name.
constexpr char kVersion6[] = R"sql(
CREATE INDEX graphs_by_name ON graphs (name);
)sql";

// Which failures are worth another attempt: words as planner::FailureSet has them, "only
// these;never these".
constexpr char kVersion7[] = R"sql(
ALTER TABLE settings ADD COLUMN retry_rule TEXT NOT NULL DEFAULT ';';
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us, max_losses, retry_rule);
)sql";

// What clients say of graphs and tasks beside what to run, ends of graphs as deliveries, and blobs.
constexpr char kVersion8[] = R"sql(
ALTER TABLE graphs ADD COLUMN open_until_idle_us INTEGER;
ALTER TABLE graphs ADD COLUMN deliver_end INTEGER NOT NULL DEFAULT 0;
ALTER TABLE graphs ADD COLUMN details BLOB NOT NULL DEFAULT x'';
ALTER TABLE tasks ADD COLUMN details BLOB NOT NULL DEFAULT x'';
ALTER TABLE attempt_ends ADD COLUMN has_value INTEGER NOT NULL DEFAULT 0;

CREATE TABLE graph_labels (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  graph_id INTEGER NOT NULL,
  PRIMARY KEY (name, value, graph_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_labels_by_graph ON graph_labels (graph_id);

-- Which blobs the tasks of a graph read. The blobs are files beside the database.
CREATE TABLE graph_blobs (
  blob TEXT NOT NULL,
  graph_id INTEGER NOT NULL,
  PRIMARY KEY (blob, graph_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_blobs_by_graph ON graph_blobs (graph_id);

-- In `finished`, -1 resets stand for the end of the graph that task_key is in.
)sql";

// Who submitted a graph; empty for the service's own user, whatever its name is now.
constexpr char kVersion9[] = R"sql(
ALTER TABLE graphs ADD COLUMN user TEXT NOT NULL DEFAULT '';
DROP VIEW graph_list;
CREATE VIEW graph_list AS
SELECT
  'g' || id AS graph, name,
  CASE state WHEN 1 THEN 'running' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'failed'
    WHEN 4 THEN 'cancelled' END AS state,
  tasks, succeeded, failed, cancelled, skipped,
  datetime(submit_us / 1000000, 'unixepoch') AS submitted,
  datetime(end_us / 1000000, 'unixepoch') AS ended,
  client_queue, user
FROM graphs WHERE work NOT IN (1, 5);
)sql";

// Capacities of pools that were set at run time, and when and by whom.
constexpr char kVersion10[] = R"sql(
CREATE TABLE pool_changes (
  number INTEGER PRIMARY KEY,  -- in order of time; the newest of each pool is in force
  pool TEXT NOT NULL,
  capacity_milli INTEGER,          -- null: as in the settings
  setting_milli INTEGER NOT NULL,  -- what the settings said then; 0: nothing
  time_us INTEGER NOT NULL,
  caller TEXT NOT NULL
) STRICT;
CREATE INDEX pool_changes_by_pool ON pool_changes (pool, number);
)sql";

// How long tasks are expected to take, and what was learnt of those that are alike. `usage` holds
// three sketches (planner/usage_sketch.h), of wall time in microseconds, cpu in thousandths of a
// core, and peak memory in bytes.
constexpr char kVersion11[] = R"sql(
ALTER TABLE tasks ADD COLUMN expected_us INTEGER NOT NULL DEFAULT 0;  -- 0: nothing was said

CREATE TABLE kinds (
  id INTEGER PRIMARY KEY,
  graph TEXT NOT NULL,        -- patterns of names: digits are '#'
  task TEXT NOT NULL,
  consumption TEXT NOT NULL,  -- "cpu=1 ram=536870912"
  runs INTEGER NOT NULL,
  usage BLOB NOT NULL,
  last_run_us INTEGER NOT NULL
) STRICT;
)sql";

// What a graph is charged to; empty: its user.
constexpr char kVersion12[] = R"sql(
ALTER TABLE graphs ADD COLUMN share TEXT NOT NULL DEFAULT '';
)sql";

// On which agents tasks may run (storage/encoding.h), and whether they avoid the one where they
// failed.
constexpr char kVersion13[] = R"sql(
ALTER TABLE settings ADD COLUMN constraints TEXT NOT NULL DEFAULT '';
ALTER TABLE settings ADD COLUMN avoid_last_failure INTEGER NOT NULL DEFAULT 0;
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us, max_losses, retry_rule, constraints, avoid_last_failure);
)sql";

// What a graph may hold at once; null: as much as there is.
constexpr char kVersion14[] = R"sql(
ALTER TABLE graphs ADD COLUMN max_running INTEGER;
ALTER TABLE graphs ADD COLUMN max_held TEXT;  -- as in settings.consumption
)sql";

// Which tasks give way to those of higher priority, and attempts that did.
constexpr char kVersion15[] = R"sql(
ALTER TABLE settings ADD COLUMN preemptible INTEGER NOT NULL DEFAULT 0;
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us, max_losses, retry_rule, constraints, avoid_last_failure,
  preemptible);

DROP VIEW attempt_list;
CREATE VIEW attempt_list AS
SELECT
  'g' || t.graph_id AS graph, t.name AS task, a.number, g.name AS agent,
  CASE e.outcome WHEN 1 THEN 'succeeded' WHEN 2 THEN 'exited' WHEN 3 THEN 'signalled'
    WHEN 4 THEN 'timed out' WHEN 5 THEN 'out of memory' WHEN 6 THEN 'cancelled'
    WHEN 7 THEN 'not started' WHEN 8 THEN 'result too large' WHEN 9 THEN 'lost'
    WHEN 10 THEN 'refused' WHEN 11 THEN 'dropped' WHEN 12 THEN 'gone'
    WHEN 13 THEN 'unreachable' WHEN 14 THEN 'agent failed' WHEN 15 THEN 'preempted'
    ELSE 'alive' END AS outcome,
  e.exit_status, e.signal, e.message,
  datetime(a.launch_us / 1000000, 'unixepoch') AS launched,
  datetime(e.start_us / 1000000, 'unixepoch') AS started,
  datetime(e.end_us / 1000000, 'unixepoch') AS ended,
  e.peak_ram, e.cpu_us / 1e6 AS cpu_s, e.wall_us / 1e6 AS wall_s
FROM attempts a JOIN agents g ON g.id = a.agent_id JOIN tasks t ON t.key = a.task_key
  LEFT JOIN attempt_ends e ON e.key = a.key;
)sql";

// How many of a group may be on one agent: "2 workers".
constexpr char kVersion16[] = R"sql(
ALTER TABLE settings ADD COLUMN spread TEXT NOT NULL DEFAULT '';
DROP INDEX settings_by_value;
CREATE INDEX settings_by_value ON settings (
  consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, max_attempts,
  priority, unreachable_timeout_us, max_losses, retry_rule, constraints, avoid_last_failure,
  preemptible, spread);
)sql";

constexpr const char* kMigrations[] = {
    kVersion1, kVersion2,  kVersion3,  kVersion4,  kVersion5,  kVersion6,  kVersion7,  kVersion8,
    kVersion9, kVersion10, kVersion11, kVersion12, kVersion13, kVersion14, kVersion15, kVersion16};

absl::Status SetVersion(Connection& connection, int64_t version) {
  // A pragma takes no parameters; both are numbers of ours.
  const std::string sql =
      absl::StrCat("PRAGMA application_id = ", kApplicationId, "; PRAGMA user_version = ", version);
  return connection.Execute(sql.c_str());
}

}  // namespace

absl::Span<const char* const> Migrations() { return kMigrations; }

absl::Status CheckSchema(Connection& connection, absl::Span<const char* const> migrations) {
  absl::StatusOr<int64_t> application = connection.QueryInt("PRAGMA application_id");
  if (!application.ok()) return application.status();
  absl::StatusOr<int64_t> version = connection.QueryInt("PRAGMA user_version");
  if (!version.ok()) return version.status();
  absl::StatusOr<int64_t> objects = connection.QueryInt("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();
  if (*application == 0 && *version == 0 && *objects == 0) return absl::OkStatus();
  if (*application != kApplicationId || *version < 1) {
    return absl::DataLossError(
        absl::StrCat(connection.path(),
                     " is a database of another program, not a run history: move it away or give "
                     "another --state"));
  }
  if (*version > static_cast<int64_t>(migrations.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat(connection.path(), " was written by a newer kartographd (schema version ",
                     *version, ", this one knows up to ", migrations.size(),
                     "): start that version again or give another --state"));
  }
  return absl::OkStatus();
}

absl::Status MigrateSchema(Connection& connection, absl::Span<const char* const> migrations) {
  absl::StatusOr<int64_t> version = connection.QueryInt("PRAGMA user_version");
  if (!version.ok()) return version.status();
  for (int64_t next = *version; next < static_cast<int64_t>(migrations.size()); ++next) {
    absl::StatusOr<Transaction> transaction = Transaction::Begin(connection, Transaction::kWrite);
    if (!transaction.ok()) return transaction.status();
    if (absl::Status status = connection.Execute(migrations[next]); !status.ok()) return status;
    if (absl::Status status = SetVersion(connection, next + 1); !status.ok()) return status;
    if (absl::Status status = transaction->Commit(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace kartograph::storage
