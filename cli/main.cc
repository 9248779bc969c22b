// kartograph: the command line. Reads arguments; commands.h says what is done with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/state_folder.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/connection.h"
#include "cli/file_problems.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

namespace kartograph::cli {
namespace {

constexpr char kFooter[] =
    R"(Exit codes: 0 done, 1 the graph did not succeed, 2 invalid usage or invalid file,
3 the service cannot be reached, 4 the output cannot be written; of run: those of its task.)";

// Whether the word after this option is its value.
bool TakesNextWord(const CLI::App& app, const CLI::App& command, const std::string& word) {
  if (absl::StrContains(word, "=")) return false;
  for (const CLI::App* owner : {&command, &app}) {
    const CLI::Option* option = owner->get_option_no_throw(word);
    if (option != nullptr) return option->get_items_expected() > 0;
  }
  return false;
}

// What to do with a word that is not one of the commands; empty where it is one.
std::string UnknownCommand(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  const std::vector<absl::string_view> known(names.begin(), names.end());
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (absl::StartsWith(word, "-")) {
      if (TakesNextWord(app, app, argv[i])) ++i;
      continue;
    }
    if (std::find(known.begin(), known.end(), word) != known.end()) return "";
    const absl::string_view meant = word == "ls" ? "list" : Nearest(word, known);
    return absl::StrCat(Quoted(word), " is not a command",
                        meant.empty() ? absl::StrCat("; there are ", absl::StrJoin(known, ", "))
                                      : absl::StrCat("; did you mean \"", meant, "\"?"));
  }
  return "";
}

// The arguments with a "--" before the command of `run`, so that its own options are left alone.
std::vector<std::string> WithCommandMarked(const CLI::App& app, const CLI::App& run_command,
                                           int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  bool run = false;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (absl::StartsWith(words[i], "-")) {
      if (TakesNextWord(app, run_command, words[i])) ++i;
    } else if (run) {
      words.insert(words.begin() + static_cast<ptrdiff_t>(i), "--");
      break;
    } else if (words[i] == run_command.get_name()) {
      run = true;
    } else {
      break;
    }
  }
  return words;
}

// But --help, which every command has.
std::vector<std::string> LongOptions(const CLI::App& app) {
  std::vector<std::string> options;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") options.push_back("--" + name);
    }
  }
  return options;
}

// What there is to complete, read off the commands themselves.
std::vector<CompletedCommand> CompletedCommands(const CLI::App& app) {
  std::vector<CompletedCommand> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    CompletedCommand& completed = commands.emplace_back();
    completed.name = command->get_name();
    completed.description = command->get_description();
    completed.options = LongOptions(*command);
    for (const CLI::Option* option : command->get_options()) {
      const std::string name = option->get_positional() ? option->get_name() : "";
      if (name == "FILE") completed.takes = CompletedCommand::Takes::kFile;
      if (name == "GRAPH") completed.takes = CompletedCommand::Takes::kGraph;
      if (name == "TASK") completed.takes = CompletedCommand::Takes::kGraphAndTask;
      if (name == "SHELL") completed.takes = CompletedCommand::Takes::kShell;
    }
  }
  return commands;
}

void AddConnectionOptions(CLI::App& app, ConnectionArguments& connection) {
  const auto add = [&app](const char* name, std::string& value, const std::string& help,
                          const char* type) {
    return app.add_option(name, value, help)->type_name(type);
  };
  CLI::Option* state =
      add("--state-folder", connection.state,
          absl::StrCat("State folder of a service of this user on this machine (default: ",
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
      "With --tls-ca: our own certificate; also KARTOGRAPH_TLS_CERT", "FILE");
  add("--tls-key", connection.tls_key, "Its private key; also KARTOGRAPH_TLS_KEY", "FILE");
}

int Main(int argc, char** argv) {
  CLI::App app("Runs graphs of tasks on Kartograph.", "kartograph");
  app.footer(kFooter);
  app.set_version_flag("--version", absl::StrCat("kartograph ", kVersion), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();  // so that --server and --json may stand on either side of the command

  ConnectionArguments connection;
  bool json = false;
  AddConnectionOptions(app, connection);
  app.add_flag("--json", json, "Print the service's messages as one JSON document");

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
  sub->add_option("--queue", submit.queue, "Client queue, instead of the file's");
  sub->add_option("--scale", submit.scale, "WfFormat: factor for the recorded runtimes")
      ->capture_default_str();

  StatusArguments status;
  sub = command("status", "Show the cluster, a graph, or one task of it",
                [&](const Context& context) { return Status(context, status); });
  sub->add_option("GRAPH", status.graph, "Id or name of a graph");
  sub->add_option("TASK", status.task, "Name of a task");
  sub->add_flag("--all", status.all, "Show all unfinished and failed tasks, not the first 20");
  sub->add_flag("--tasks", status.tasks, "Show every task with its attempts");

  ListArguments list;
  sub = command("list", "List graphs, the newest first",
                [&](const Context& context) { return List(context, list); });
  sub->add_option("--limit", list.limit, "How many graphs")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--state", list.state, "Only running, succeeded, failed or cancelled ones");

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
  sub->add_option("--cpu", cpu, "Cores that it takes, such as 2 or 0.5 (default: 1)");
  sub->add_option("--ram", ram, "Memory that it takes, and may use, such as 2GiB");
  sub->add_option("--resource", run_arguments.consumption, "What else it takes")
      ->type_name("NAME=QUANTITY")
      ->allow_extra_args(false);
  sub->add_option("--env", run_arguments.environment, "A variable of its environment")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--directory", run_arguments.directory,
                  "Where it runs, on the agent's host (default: the current directory)");
  sub->add_flag("--sandbox", run_arguments.sandbox, "Run it in an empty folder of its own instead")
      ->excludes("--directory");
  sub->add_option("--name", run_arguments.name, "Name of the task (default: the program's)");
  sub->add_option("--timeout", run_arguments.timeout, "Limit of its wall time, such as 30m")
      ->type_name("DURATION");
  sub->add_option("--max-attempts", run_arguments.max_attempts, "How often it may be tried")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_option("--priority", run_arguments.priority, "Higher goes first")->capture_default_str();

  std::vector<std::string> tasks;
  sub = command("cancel", "Cancel a graph, or some tasks of it",
                [&](const Context& context) { return Cancel(context, graph, tasks); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", tasks, "Names of tasks, or patterns such as 'tile-*' (* and ?)");

  sub = command("close", "Let an open graph end: nothing is added to it any more",
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
      ->check(CLI::Range(0, 1000000));
  sub->add_option("--attempt", logs.attempt, "Number of an attempt (default: the last one)")
      ->check(CLI::Range(1, 1000000));

  sub = command("result", "Print the return value of a task, as it is",
                [&](const Context& context) { return Result(context, graph, task); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", task, "Name of a task")->required();

  std::string file;
  double scale = 1.0;
  sub = command("validate", "Check a graph file without a service",
                [&](const Context& context) { return Validate(context, file, scale); });
  sub->add_option("FILE", file, "Graph file; - for stdin")->required();
  sub->add_option("--scale", scale, "As in submit")->capture_default_str();

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

  CLI::App* const queue = app.add_subcommand("queue", "Show and empty the queues of clients");
  queue->require_subcommand(1);
  const auto queue_command = [&](const char* name, const char* description,
                                 std::function<int(const Context&)> action) {
    CLI::App* added = queue->add_subcommand(name, description);
    added->callback([&run, action = std::move(action)] { run = action; });
    return added;
  };
  PopArguments pop;
  queue_command("list", "List the queues in which finished tasks wait",
                [](const Context& context) { return ListQueues(context); });
  sub = queue_command("pop", "Print finished tasks, and acknowledge them",
                      [&](const Context& context) { return PopQueue(context, pop); });
  sub->add_option("QUEUE", pop.queue, "Name of a client queue")->required();
  sub->add_option("--limit", pop.limit, "How many at most")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->add_option("--wait", pop.wait_seconds, "How long to wait for the first one")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 600))
      ->capture_default_str();
  sub->add_flag("--keep", pop.keep, "Do not acknowledge them: only look");
  sub = queue_command("purge", "Acknowledge everything that waits in a queue",
                      [&](const Context& context) { return PurgeQueue(context, pop.queue); });
  sub->add_option("QUEUE", pop.queue, "Name of a client queue")->required();

  command("page", "Print a link that logs a browser in to the status page, and open it",
          [](const Context& context) { return Page(context); });

  std::string shell;
  sub = command("completion", "Print a script with which a shell completes these commands",
                [&](const Context& context) {
                  std::vector<std::string> general = LongOptions(app);
                  general.push_back("--help");
                  *context.out << CompletionScript(shell, CompletedCommands(app), general);
                  return int{kDone};
                });
  sub->add_option("SHELL", shell, "bash, zsh or fish; source what is printed")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));

  // A script's empty variable must not mean the whole graph, every graph or no name.
  const CLI::Validator not_empty(
      [](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) {
      // Any word of a command may be empty, as the task gets it.
      if (option->get_name() != "COMMAND") option->check(not_empty);
    }
  }

  if (argc > 1 && absl::string_view(argv[1]) == "help") {
    std::cout << app.help();
    return kDone;
  }
  if (const std::string unknown = UnknownCommand(app, argc, argv); !unknown.empty()) {
    std::cerr << "kartograph: " << unknown << "\n";
    return kWrongUse;
  }
  // Files may have any name; all other words go to the service, as text.
  const bool of_file = argc > 1 && (absl::string_view(argv[1]) == "submit" ||
                                    absl::string_view(argv[1]) == "validate");
  for (int i = 1; i < argc && !of_file; ++i) {
    if (IsValidUtf8(argv[i])) continue;
    std::cerr << "kartograph: " << Quoted(argv[i]) << " is not valid UTF-8\n";
    return kWrongUse;
  }
  // What cannot be written is found when it is, and reported.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    std::vector<std::string> words = WithCommandMarked(app, *run_command, argc, argv);
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUse;  // --help is an "error" too
  }

  absl::StatusOr<ClientOptions> options =
      FindService(std::move(connection), [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value == nullptr ? "" : value;
      });
  if (!options.ok()) {
    std::cerr << "kartograph: " << options.status().message() << "\n";
    return kWrongUse;
  }

  Context context;
  context.out = &std::cout;
  context.err = &std::cerr;
  context.out_terminal = DetectTerminal(1);
  context.err_terminal = DetectTerminal(2);
  context.json = json;
  options->on_retry = [&] {
    // For a person who waits at the terminal.
    if (!context.err_terminal.interactive) return;
    std::cerr << "waiting for the service at " << options->address << " ...\n";
  };
  Client client(*options);
  context.client = &client;
  const int code = run(context);
  std::cout.flush();
  // The status of a task may be any number.
  const bool output_lost = code == kOutputLost && !app.got_subcommand(run_command);
  if (std::cout.good() && !output_lost) return code;
  std::cerr << "kartograph: the output cannot be written";
  if (std::fflush(stdout) != 0) std::cerr << ": " << std::strerror(errno);
  std::cerr << "\n";
  return kOutputLost;
}

}  // namespace
}  // namespace kartograph::cli

int main(int argc, char** argv) { return kartograph::cli::Main(argc, argv); }
