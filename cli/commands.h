// What each subcommand does, apart from reading its arguments.
#ifndef KARTOGRAPH_CLI_COMMANDS_H_
#define KARTOGRAPH_CLI_COMMANDS_H_

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/terminal.h"

namespace kartograph::cli {

enum ExitCode : int {
  kDone = 0,
  kNotSucceeded = 1,  // the graph did not succeed, or the service refused, given its state
  kWrongUse = 2,      // invalid arguments, an invalid file, an unknown graph or task
  kUnreachable = 3,   // no service, or none that can serve
  kOutputLost = 4,    // the output cannot be written: a full disk, a pipe that nobody reads
  kInterrupted = 130,
};

// What all commands work with. Borrowed by each for as long as it runs.
struct Context {
  Client* client = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  Terminal out_terminal;
  Terminal err_terminal;
  bool json = false;
  // How long a lost service is waited for while following a graph or a log.
  absl::Duration patience = absl::Seconds(60);
};

// The largest `scale` below.
inline constexpr int kMaxScale = 1000000;

struct SubmitArguments {
  std::string file{};
  std::string name{};             // instead of the file's, where not empty
  std::string queue{};            // likewise
  std::optional<double> scale{};  // of WfFormat; 1 where it is not given
  bool wait = false;
};
struct RunArguments {
  std::vector<std::string> command{};      // one word at least
  std::string name{};                      // empty: made of the program's
  std::vector<std::string> consumption{};  // NAME=QUANTITY
  std::vector<std::string> environment{};  // NAME=VALUE
  std::string directory{};                 // empty: the current one
  bool sandbox = false;                    // in the attempt's own folder instead
  std::string timeout{};
  int max_attempts = 1;
  int priority = 0;
};
struct StatusArguments {
  std::string graph{};  // empty: the cluster
  std::string task{};   // empty: the graph
  bool all = false;
  bool tasks = false;
  bool users = false;  // how the cluster is shared out, instead of all else
};
struct ListArguments {
  int limit = 20;
  std::string state{};                // a word, empty: all
  std::string queue{};                // of one client queue, empty: all
  std::string user{};                 // of one user, empty: all
  std::vector<std::string> labels{};  // NAME=VALUE, all of them
};
struct LogsArguments {
  std::string graph{};
  std::string task{};  // empty: all that failed
  bool follow = false;
  // Only these streams; neither: both.
  bool standard_output = false;
  bool standard_error = false;
  int attempt = 0;  // 0: the last one
  int tail = -1;    // last lines; -1: all
};

struct PlanArguments {
  std::string file{};
  std::optional<double> scale{};      // as in SubmitArguments
  std::vector<std::string> agents{};  // [COUNTx]NAME=QUANTITY,...; none: those of the service
  std::vector<std::string> pools{};   // NAME=NUMBER
  std::string gantt{};                // a file; empty: no chart
  bool learned = false;               // the service is asked how long tasks take
};

struct UsageArguments {
  // None: all kinds; one: the name or pattern of tasks; two: those of a graph and a task.
  std::vector<std::string> names{};
};

struct PopArguments {
  std::string queue{};
  int limit = 100;
  int wait_seconds = 0;
  bool keep = false;  // only look
};

// Each writes its result to `out`, messages and problems to `err`, and returns an ExitCode.
// Wherever a graph is named, an id ("g17") or a name will do: that of the newest graph, or for what
// changes a graph that of the one that runs.
int Submit(const Context& context, const SubmitArguments& arguments);
int Validate(const Context& context, const std::string& file, std::optional<double> scale);
// How the graph in a file would run, found out by simulation.
int Plan(const Context& context, const PlanArguments& arguments);
// One task: waits for it, passes its output on, and returns its exit status.
int Run(const Context& context, const RunArguments& arguments);
// Of a running graph only the tasks that are named; a name may be a pattern (task_names.h).
int Retry(const Context& context, const std::string& graph, const std::vector<std::string>& tasks,
          bool wait);
int Status(const Context& context, const StatusArguments& arguments);
int List(const Context& context, const ListArguments& arguments);
// Without tasks the whole graph; a name may be a pattern.
int Cancel(const Context& context, const std::string& graph, const std::vector<std::string>& tasks);
// Takes ended graphs out of the history.
int Forget(const Context& context, const std::vector<std::string>& graphs);
// What tasks have used so far, by kind.
int Usage(const Context& context, const UsageArguments& arguments);
int ListQueues(const Context& context);
// Prints what waits and acknowledges it.
int PopQueue(const Context& context, const PopArguments& arguments);
int PurgeQueue(const Context& context, const std::string& queue);
// `role`: reader, user or admin. Prints the new user's token.
int AddUser(const Context& context, const std::string& name, const std::string& role);
int RemoveUser(const Context& context, const std::string& name);
int ListUsers(const Context& context);
int ListShares(const Context& context);
int WhoAmI(const Context& context);
// What a task waits for, or without one what those of a graph wait for.
int Explain(const Context& context, const std::string& graph, const std::string& task);
int ListPools(const Context& context);
// `setting`: NAME=NUMBER, or NAME=default for what the settings say.
int SetPool(const Context& context, const std::string& setting);
int Close(const Context& context, const std::string& graph);
int Watch(const Context& context, const std::string& graph);
// The return value of a task, as it is.
int Result(const Context& context, const std::string& graph, const std::string& task);
int Logs(const Context& context, const LogsArguments& arguments);
// Prints a link that logs a browser in, and opens it where somebody sits at a display.
int Page(const Context& context);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_COMMANDS_H_
