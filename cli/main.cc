// kartograph: the command line. Reads arguments; commands.h says what is done with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

namespace kartograph::cli {
namespace {

constexpr char kFooter[] =
    R"(Exit codes: 0 done, 1 the graph did not succeed, 2 wrong use or wrong file,
3 the service cannot be reached, 4 the output cannot be written.)";

// Makes HOST:PORT of what was given as the service's address; what is wrong, where it cannot be
// one.
std::string CompleteAddress(std::string* address) {
  const size_t scheme = address->find("://");
  if (scheme != std::string::npos) {
    return absl::StrCat("--server takes HOST:PORT, without \"", address->substr(0, scheme + 3),
                        "\"; the service listens for gRPC on port ", kDefaultPort,
                        " unless it was told otherwise");
  }
  const size_t host_end = absl::StartsWith(*address, "[") ? address->find(']') : 0;
  if (host_end != std::string::npos && address->find(':', host_end) == std::string::npos) {
    absl::StrAppend(address, ":", kDefaultPort);
  }
  return "";
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
    if (word == "--server") ++i;
    if (absl::StartsWith(word, "-")) continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) return "";
    const absl::string_view meant = word == "ls" ? "list" : Nearest(word, known);
    return absl::StrCat(Quoted(word), " is not a command",
                        meant.empty() ? absl::StrCat("; there are ", absl::StrJoin(known, ", "))
                                      : absl::StrCat("; did you mean \"", meant, "\"?"));
  }
  return "";
}

int Main(int argc, char** argv) {
  CLI::App app("Runs graphs of tasks on Kartograph.", "kartograph");
  app.footer(kFooter);
  app.set_version_flag("--version", absl::StrCat("kartograph ", kVersion), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();  // so that --server and --json may stand on either side of the command

  ClientOptions options;
  bool json = false;
  app.add_option("--server", options.address, "Address of the service")
      ->type_name("HOST:PORT")
      ->envname("KARTOGRAPH_SERVER")
      ->capture_default_str();
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
  sub = command("status", "Show the cluster, or one graph",
                [&](const Context& context) { return Status(context, status); });
  sub->add_option("GRAPH", status.graph, "Id or name of a graph");
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

  sub = command("cancel", "Cancel a graph, or one task of it",
                [&](const Context& context) { return Cancel(context, graph, task); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_option("TASK", task, "Name of a task");

  LogsArguments logs;
  sub = command("logs", "Print the output of a task",
                [&](const Context& context) { return Logs(context, logs); });
  sub->add_option("GRAPH", logs.graph, "Id or name of a graph")->required();
  sub->add_option("TASK", logs.task, "Name of a task")->required();
  sub->add_flag("--follow,-f", logs.follow, "Follow the output until the task ends");
  sub->add_flag("--stderr", logs.standard_error, "Print stderr instead of stdout");
  sub->add_option("--attempt", logs.attempt, "Number of an attempt (default: the last one)")
      ->check(CLI::Range(1, 1000000));

  std::string file;
  double scale = 1.0;
  sub = command("validate", "Check a graph file without a service",
                [&](const Context& context) { return Validate(context, file, scale); });
  sub->add_option("FILE", file, "Graph file; - for stdin")->required();
  sub->add_option("--scale", scale, "As in submit")->capture_default_str();

  bool wait = false;
  sub = command("retry", "Retry the failed, cancelled and skipped tasks of an ended graph",
                [&](const Context& context) { return Retry(context, graph, wait); });
  sub->add_option("GRAPH", graph, "Id or name of a graph")->required();
  sub->add_flag("--wait", wait, "Show progress until the graph ends");

  // A script's empty variable must not mean the whole graph, every graph or no name.
  const CLI::Validator not_empty(
      [](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) option->check(not_empty);
  }

  if (argc > 1 && absl::string_view(argv[1]) == "help") {
    std::cout << app.help();
    return kDone;
  }
  if (const std::string unknown = UnknownCommand(app, argc, argv); !unknown.empty()) {
    std::cerr << "kartograph: " << unknown << "\n";
    return kWrongUse;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUse;  // --help is an "error" too
  }

  if (const std::string problem = CompleteAddress(&options.address); !problem.empty()) {
    std::cerr << "kartograph: " << problem << "\n";
    return kWrongUse;
  }

  Context context;
  context.out = &std::cout;
  context.err = &std::cerr;
  context.out_terminal = DetectTerminal(1);
  context.err_terminal = DetectTerminal(2);
  context.json = json;
  options.on_retry = [&] {
    // For a person who waits at the terminal.
    if (!context.err_terminal.interactive) return;
    std::cerr << "waiting for the service at " << options.address << " ...\n";
  };
  Client client(options);
  context.client = &client;
  const int code = run(context);
  std::cout.flush();
  if (std::cout.good() && code != kOutputLost) return code;
  std::cerr << "kartograph: the output cannot be written";
  if (std::fflush(stdout) != 0) std::cerr << ": " << std::strerror(errno);
  std::cerr << "\n";
  return kOutputLost;
}

}  // namespace
}  // namespace kartograph::cli

int main(int argc, char** argv) { return kartograph::cli::Main(argc, argv); }
