// kartograph: the command line. Reads arguments; commands.h says what is done with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/state_folder.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/connection.h"
#include "cli/file_problems.h"
#include "cli/terminal.h"
#include "cli/usage.h"

namespace kartograph::cli {
namespace {

constexpr char kExitCodes[] =
    R"(Exit codes: 0 success, 1 the graph did not succeed, 2 invalid usage or invalid file,
3 the service cannot be reached, 4 the output cannot be written; run: that of its task.)";

// Of this type and name on the command line.
CompletedWord CompletedValue(const CLI::Option& option) {
  using Kind = CompletedWord::Kind;
  const std::string name = option.get_positional() ? option.get_name() : "";
  const std::string type = option.get_type_name();
  if (absl::StrContains(type, "|")) return {Kind::kChoice, absl::StrSplit(type, '|')};
  if (name == "FILE" || type == "FILE") return {Kind::kFile};
  if (type == "DIR") return {Kind::kFolder};
  if (name == "GRAPH") return {Kind::kGraph};
  if (name == "TASK") return {Kind::kGraphAndTask};
  if (name == "QUEUE" || type == "QUEUE") return {Kind::kQueue};
  return {option.get_items_expected() > 0 ? Kind::kText : Kind::kNothing};
}

std::vector<CompletedOption> CompletedOptions(const CLI::App& command) {
  std::vector<CompletedOption> options;
  for (const std::string& name : LongOptions(command)) {
    options.push_back({name, CompletedValue(*command.get_option(name))});
  }
  return options;
}

// What there is to complete, read off the commands themselves; those of a command follow it.
std::vector<CompletedCommand> CompletedCommands(const CLI::App& app, const std::string& before) {
  std::vector<CompletedCommand> completed;
  for (const CLI::App* command : Commands(app)) {
    const std::string name = before + command->get_name();
    std::vector<CompletedCommand> parts = CompletedCommands(*command, name + " ");
    CompletedCommand& added = completed.emplace_back();
    added.name = name;
    added.description = command->get_description();
    added.options = CompletedOptions(*command);
    added.has_commands = !parts.empty();
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) added.takes = CompletedValue(*option);
    }
    if (added.has_commands) added.takes.kind = CompletedWord::Kind::kChoice;
    for (const CLI::App* part : Commands(*command)) added.takes.choices.push_back(part->get_name());
    completed.insert(completed.end(), parts.begin(), parts.end());
  }
  return completed;
}

// Makes the commands of `app`, and theirs, refuse empty arguments, and say in their help what every
// command takes.
void FinishCommands(CLI::App& app, const CLI::App& program) {
  // A script's empty variable must not mean the whole graph, every graph or no name.
  const CLI::Validator not_empty(
      [](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");
  std::vector<std::string> general = LongOptions(program);
  std::erase(general, "--version");
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) {
      // Any word of a command may be empty, as the task gets it.
      if (option->get_name() != "COMMAND") option->check(not_empty);
      if (option->get_positional() && option->get_type_name() == "TEXT") option->type_name("");
    }
    command->footer(absl::StrCat("Every command also takes ", absl::StrJoin(general, ", "),
                                 ",\nbefore or after its name; \"kartograph --help\" describes "
                                 "them.\n\n",
                                 kExitCodes));
    FinishCommands(*command, program);
  }
}

void AddConnectionOptions(CLI::App& app, ConnectionArguments& connection) {
  const auto add = [&app](const char* name, std::string& value, const std::string& help,
                          const char* type) {
    return app.add_option(name, value, help)->type_name(type);
  };
  CLI::Option* state =
      add("--state-folder", connection.state,
          absl::StrCat("State folder of your own service on this machine (default: ",
                       DefaultStateFolder(), "); also KARTOGRAPH_STATE_FOLDER"),
          "DIR");
  add("--server", connection.server,
      "Address of another service, HOST:PORT or unix:PATH; also KARTOGRAPH_SERVER", "ADDRESS")
      ->excludes(state);
  add("--token-file", connection.token_file,
      "With --server: file with the service's token; also KARTOGRAPH_TOKEN_FILE", "FILE");
  add("--tls-ca", connection.tls_ca,
      "With --server: use TLS, and trust the authorities in this PEM file; also KARTOGRAPH_TLS_CA",
      "FILE");
  add("--tls-cert", connection.tls_cert,
      "With --tls-ca: client certificate (PEM); also KARTOGRAPH_TLS_CERT", "FILE");
  add("--tls-key", connection.tls_key, "Its private key (PEM); also KARTOGRAPH_TLS_KEY", "FILE");
}

// The exit code of a command, once its output is out; where that cannot be, says so.
int FinishOutput(int code, bool lost) {
  errno = 0;  // stays 0 where the output was lost before
  std::cout.flush();
  if (std::cout.good() && !lost) return code;
  const int error = errno;
  std::cerr << "kartograph: the output cannot be written"
            << (error == 0 ? "" : absl::StrCat(": ", std::strerror(error))) << "\n";
  return kOutputLost;
}

int Main(int argc, char** argv) {
  CLI::App app("Runs graphs of tasks on Kartograph.", "kartograph");
  app.footer(kExitCodes);
  app.set_version_flag("--version", absl::StrCat("kartograph ", kVersion), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();  // so that --server and --json may stand on either side of the command

  ConnectionArguments connection;
  bool json = false;
  AddConnectionOptions(app, connection);
  app.add_flag("--json", json, "Print the result as one JSON document");

  std::function<int(const Context&)> run;
  const auto command = [&](const char* name, const char* description,
                           std::function<int(const Context&)> action) {
    CLI::App* sub = app.add_subcommand(name, description);
    sub->callback([&run, action = std::move(action)] { run = action; });
    return sub;
  };

  SubmitArguments submit;
  CLI::App* sub = command("submit", "Submit the graph in a file and print its id",
                          [&](const Context& context) { return Submit(context, submit); });
  sub->add_option("FILE", submit.file, "Graph file (YAML, JSON or WfFormat 1.5); - for stdin")
      ->required();
  sub->add_flag("--wait", submit.wait, "Show progress until the graph ends");
  sub->add_option("--name", submit.name, "Name of the graph, instead of the file's");
  sub->add_option("--queue", submit.queue, "Client queue, instead of the file's")
      ->type_name("QUEUE");
  sub->add_option("--scale", submit.scale,
                  "WfFormat: factor for the recorded runtimes (default: 1)")
      ->check(Number(0, kMaxScale));

  StatusArguments status;
  sub = command("status", "Show the cluster, a graph, or one task of it",
                [&](const Context& context) { return Status(context, status); });
  sub->add_option("GRAPH", status.graph, "Id or name of a graph");
  sub->add_option("TASK", status.task, "Name of a task");
  sub->add_flag("--all", status.all, "Show all unfinished and failed tasks, not the first 20");
  sub->add_flag("--tasks", status.tasks, "Show every task with its attempts");
  sub->add_flag("--users", status.users, "Show how the cluster is shared out between users");

  ListArguments list;
  sub = command("list", "List graphs, the newest first",
                [&](const Context& context) { return List(context, list); });
  sub->add_option("--limit", list.limit, "List at most this many graphs")
      ->check(WholeNumber(1, 1000000))
      ->capture_default_str();
  sub->add_option("--queue", list.queue, "Only graphs of this client queue")->type_name("NAME");
  sub->add_option("--user", list.user, "Only graphs of this user")->type_name("NAME");
  sub->add_option("--label", list.labels, "Only graphs with this label; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--state", list.state, "Only graphs in this state")
      ->type_name("running|succeeded|failed|cancelled");

  std::string graph;
  std::string task;
  sub = command("watch", "Show a graph's progress until it ends",
                [&](const Context& context) { return Watch(context, graph); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();

  RunArguments run_arguments;
  std::string cpu;
  std::string ram;
  sub = command("run", "Run one command as a task, wait for it, and exit with its status",
                [&](const Context& context) {
                  if (!cpu.empty()) run_arguments.consumption.push_back("cpu=" + cpu);
                  if (!ram.empty()) run_arguments.consumption.push_back("ram=" + ram);
                  return Run(context, run_arguments);
                });
  const CLI::App* const run_command = sub;
  sub->add_option("COMMAND", run_arguments.command, "Program and arguments")->required();
  sub->add_option("--cpu", cpu, "Cores it takes, such as 2 or 0.5 (default: 1)");
  sub->add_option("--ram", ram, "Memory it takes and may not exceed, such as 2GiB");
  sub->add_option("--resource", run_arguments.consumption,
                  "Another resource it takes; may be repeated")
      ->type_name("NAME=QUANTITY")
      ->allow_extra_args(false);
  sub->add_option("--env", run_arguments.environment, "Environment variable; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--directory", run_arguments.directory,
                  "Where it runs, on the agent's host (default: the current directory)")
      ->type_name("DIR");
  sub->add_flag("--sandbox", run_arguments.sandbox, "Run it in an empty folder of its own instead")
      ->excludes("--directory");
  sub->add_option("--name", run_arguments.name, "Name of the task (default: the program's)");
  sub->add_option("--timeout", run_arguments.timeout,
                  "Limit on each attempt's wall time, such as 30m")
      ->type_name("DURATION");
  sub->add_option("--max-attempts", run_arguments.max_attempts, "How many attempts it gets")
      ->check(WholeNumber(1, 1000))
      ->capture_default_str();
  sub->add_option("--priority", run_arguments.priority, "Higher goes first")
      ->check(WholeNumber(INT32_MIN, INT32_MAX))
      ->capture_default_str();

  sub = command("explain", "Say what a task waits for, or what holds up a graph",
                [&](const Context& context) { return Explain(context, graph, task); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", task, "Name of a task; default: the whole graph");

  std::vector<std::string> tasks;
  sub = command("cancel", "Cancel a graph, or some tasks of it",
                [&](const Context& context) { return Cancel(context, graph, tasks); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", tasks, "Names of tasks, or patterns such as 'tile-*' (* and ?)");

  sub = command("close", "Close an open graph: nothing more can be added to it",
                [&](const Context& context) { return Close(context, graph); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();

  LogsArguments logs;
  sub = command("logs", "Print the output of a task, or of all that failed",
                [&](const Context& context) { return Logs(context, logs); });
  sub->add_option("GRAPH", logs.graph, "Id or name of a graph")->required();
  sub->add_option("TASK", logs.task, "Name of a task; default: all that failed");
  sub->add_flag("--follow,-f", logs.follow, "Follow the output until the task ends");
  sub->add_flag("--stdout", logs.standard_output, "Print stdout only");
  sub->add_flag("--stderr", logs.standard_error, "Print stderr only");
  sub->add_option("--tail", logs.tail, "Only the last N lines of each stream")
      ->type_name("N")
      ->check(WholeNumber(0, 1000000));
  sub->add_option("--attempt", logs.attempt, "Number of an attempt (default: the last one)")
      ->check(WholeNumber(1, 1000000));

  sub = command("result", "Print a task's return value, byte for byte",
                [&](const Context& context) { return Result(context, graph, task); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", task, "Name of a task")->required();

  std::string file;
  std::optional<double> scale;
  sub = command("validate", "Check a graph file without a service",
                [&](const Context& context) { return Validate(context, file, scale); });
  sub->add_option("FILE", file, "Graph file; - for stdin")->required();
  sub->add_option("--scale", scale, "As in submit")->check(Number(0, kMaxScale));

  PlanArguments plan;
  sub = command("plan", "Say how a graph would run, without running it",
                [&](const Context& context) { return Plan(context, plan); });
  sub->add_option("FILE", plan.file, "Graph file; - for stdin")->required();
  sub->add_option("--agents", plan.agents,
                  "Agents to plan for, such as 20xcpu=16,ram=64GiB; may be repeated (default: "
                  "those of the service)")
      ->type_name("[COUNTx]NAME=QUANTITY,...")
      ->allow_extra_args(false);
  sub->add_option("--pool", plan.pools, "A pool; may be repeated")
      ->type_name("NAME=NUMBER")
      ->allow_extra_args(false);
  sub->add_flag("--learned", plan.learned, "Ask the service how long such tasks have taken so far");
  sub->add_option("--gantt", plan.gantt, "Draw what runs when and where into this file, as SVG")
      ->type_name("FILE");
  sub->add_option("--scale", plan.scale, "As in submit")->check(Number(0, kMaxScale));

  bool wait = false;
  sub = command("retry",
                "Retry what failed, was cancelled or skipped: of an ended graph all, or some tasks",
                [&](const Context& context) { return Retry(context, graph, tasks, wait); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option(
      "TASK", tasks,
      "Names of tasks, or patterns; what was skipped because of them runs as well. Also "
      "while the graph runs");
  sub->add_flag("--wait", wait, "Show progress until the graph ends");

  std::vector<std::string> graphs;
  sub = command("forget", "Take ended graphs out of the history, with their logs",
                [&](const Context& context) { return Forget(context, graphs); });
  sub->add_option("GRAPH", graphs, "Ids or names of graphs")->required();

  UsageArguments usage;
  sub = command("usage", "Show what tasks of each kind have used, beside what they declare",
                [&](const Context& context) { return Usage(context, usage); });
  sub->add_option("KIND", usage.names,
                  "Name or pattern of tasks, such as tile-0431 or tile-#; or GRAPH TASK")
      ->expected(0, 2);

  CLI::App* const queue = app.add_subcommand("queue", "Show and empty the queues of clients");
  queue->require_subcommand(1);
  const auto command_of = [&](CLI::App* parent, const char* name, const char* description,
                              std::function<int(const Context&)> action) {
    CLI::App* added = parent->add_subcommand(name, description);
    added->callback([&run, action = std::move(action)] { run = action; });
    return added;
  };
  PopArguments pop;
  command_of(queue, "list", "List the queues in which finished tasks wait",
             [](const Context& context) { return ListQueues(context); });
  sub = command_of(queue, "pop", "Print finished tasks, and acknowledge them",
                   [&](const Context& context) { return PopQueue(context, pop); });
  sub->add_option("QUEUE", pop.queue, "Name of a client queue")->required();
  sub->add_option("--limit", pop.limit, "How many at most")
      ->check(WholeNumber(1, 10000))
      ->capture_default_str();
  sub->add_option("--wait", pop.wait_seconds, "How long to wait for the first one")
      ->type_name("SECONDS")
      ->check(WholeNumber(0, 600))
      ->capture_default_str();
  sub->add_flag("--keep", pop.keep, "Do not acknowledge them: only look");
  sub = command_of(queue, "purge", "Acknowledge everything that waits in a queue",
                   [&](const Context& context) { return PurgeQueue(context, pop.queue); });
  sub->add_option("QUEUE", pop.queue, "Name of a client queue")->required();

  CLI::App* const user = app.add_subcommand("user", "Show and change who may use the service");
  user->require_subcommand(1);
  std::string user_name;
  std::string role = "user";
  sub = command_of(user, "add", "Add a user, and print the token that gives access",
                   [&](const Context& context) { return AddUser(context, user_name, role); });
  sub->add_option("USER", user_name, "Name of a user")->required();
  sub->add_option("--role", role,
                  "What this user may do: look, submit and change own graphs, or everything")
      ->type_name("reader|user|admin")
      ->check(OneOf({"reader", "user", "admin"}))
      ->capture_default_str();
  command_of(user, "list", "List the users",
             [](const Context& context) { return ListUsers(context); });
  sub = command_of(user, "remove", "Remove a user; the token is refused from then on",
                   [&](const Context& context) { return RemoveUser(context, user_name); });
  sub->add_option("USER", user_name, "Name of a user")->required();
  command_of(user, "whoami", "Print who you are to the service",
             [](const Context& context) { return WhoAmI(context); });
  command("pools", "List the pools, who holds units of them, and who waits first",
          [](const Context& context) { return ListPools(context); });
  CLI::App* const pool = app.add_subcommand("pool", "Change pools while the service runs");
  pool->require_subcommand(1);
  std::string setting;
  sub = command_of(pool, "set", "Set the capacity of a pool, or make one; it is kept over restarts",
                   [&](const Context& context) { return SetPool(context, setting); });
  sub->add_option("POOL", setting, "NAME=NUMBER, or NAME=default: as in the settings")
      ->type_name("NAME=NUMBER")
      ->required();

  command("page", "Print a link that logs a browser in to the status page, and open it",
          [](const Context& context) { return Page(context); });

  std::string shell;
  sub = command("completion", "Print a shell completion script", [&](const Context& context) {
    std::vector<CompletedOption> general = CompletedOptions(app);
    general.push_back({"--help"});
    *context.out << CompletionScript(shell, CompletedCommands(app, ""), general);
    return int{kDone};
  });
  sub->add_option("SHELL", shell, "Whose script")
      ->type_name("bash|zsh|fish")
      ->required()
      ->check(OneOf({"bash", "zsh", "fish"}));

  FinishCommands(app, app);

  const auto refuse = [](absl::string_view why) {
    std::cerr << "kartograph: " << why << "\n";
    return int{kWrongUse};
  };
  std::vector<std::string> words(argv + 1, argv + argc);
  NamedCommand named = FindCommand(app, words);
  if (named.unknown == "help") {
    words.erase(words.begin() + static_cast<ptrdiff_t>(named.unknown_at));
    words.emplace_back("--help");
    named = FindCommand(app, words);
  }
  if (!named.unknown.empty()) return refuse(UnknownCommand(*named.command, named.unknown));
  // Files may have any name; all other words go to the service, as text.
  const std::string name = named.command->get_name();
  const bool of_file = name == "submit" || name == "validate" || name == "plan";
  for (const std::string& word : words) {
    if (!of_file && !IsValidUtf8(word))
      return refuse(absl::StrCat(Quoted(word), " is not valid UTF-8"));
  }
  words = WithCommandMarked(app, *run_command, std::move(words));
  if (const std::string unknown = UnknownOption(app, *named.command, words); !unknown.empty()) {
    return refuse(unknown);
  }
  // What cannot be written is found when it is, and reported.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::Success& help_or_version) {
    return FinishOutput(app.exit(help_or_version), /*lost=*/false);
  } catch (const CLI::ParseError& error) {
    return refuse(WrongUse(app, error));
  }

  absl::StatusOr<ClientOptions> options =
      FindService(std::move(connection), [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value == nullptr ? "" : value;
      });
  if (!options.ok()) return refuse(std::string(options.status().message()));

  Context context;
  context.out = &std::cout;
  context.err = &std::cerr;
  context.out_terminal = DetectTerminal(1);
  context.err_terminal = DetectTerminal(2);
  context.json = json;
  options->on_waiting = [&](absl::Duration left) {
    std::cerr << "kartograph: the service at " << options->address
              << " is unavailable; trying again for "
              << absl::ToInt64Seconds(absl::Ceil(left, absl::Seconds(1))) << " s" << std::endl;
  };
  Client client(*options);
  context.client = &client;
  const int code = run(context);
  // The status of a task may be any number.
  return FinishOutput(code, code == kOutputLost && !app.got_subcommand(run_command));
}

}  // namespace
}  // namespace kartograph::cli

int main(int argc, char** argv) { return kartograph::cli::Main(argc, argv); }
