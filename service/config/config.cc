#include "service/config/config.h"

#include <CLI/CLI.hpp>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/state_folder.h"
#include "base/suggest.h"
#include "base/version.h"
#include "service/config/config_file.h"
#include "service/config/settings.h"

namespace kartograph::service {
namespace {

constexpr char kFooter[] = R"(
The file of --config is YAML with the same settings, named like the flags; `resources` and `pools`
are maps:

  state: /var/lib/kartograph
  cpu: 8
  ram: 24GiB
  pools:
    db_connections: 40

A flag wins over the file. When the service serves, it prints one line to stdout:

  ready grpc=HOST:PORT http=HOST:PORT        (grpc=unix:PATH with --grpc none)

Who may use it: its own user, through the socket STATE/run/grpc.sock, and who has the token in
STATE/token. `kartograph page` logs a browser in.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 it cannot start or go on, 2 wrong use.)";

struct Flags {
  std::map<std::string, std::vector<std::string>> values;  // by setting's name
  std::string config_file;
};

void AddFlags(CLI::App& app, Flags& flags) {
  for (const Setting& setting : Settings()) {
    const std::string flag = absl::StrCat("--", setting.name);
    if (setting.kind == Setting::Kind::kSwitch) {
      app.add_flag_callback(
          flag, [&flags, &setting] { flags.values[setting.name] = {"true"}; }, setting.help);
      continue;
    }
    CLI::Option* option = app.add_option(flag, flags.values[setting.name], setting.help);
    option->type_name(setting.value_name);
    // One text each time; of a plain value given twice that would be two, which is refused below.
    option->expected(1)->take_all()->allow_extra_args(false);
  }
  app.add_option("--config", flags.config_file, "A YAML file with these settings.")
      ->type_name("FILE");
}

void ApplyFlags(const Flags& flags, ServiceConfig& config, std::vector<std::string>& problems) {
  for (const Setting& setting : Settings()) {
    const auto found = flags.values.find(setting.name);
    if (found == flags.values.end()) continue;
    const std::vector<std::string>& texts = found->second;
    if (setting.kind != Setting::Kind::kNamed && texts.size() > 1) {
      problems.push_back(
          absl::StrCat("--", setting.name, ": is given ", texts.size(), " times; give it once"));
    }
    std::set<std::string> names;  // of NAME=N
    for (const std::string& text : texts) {
      if (setting.kind == Setting::Kind::kNamed &&
          !names.insert(text.substr(0, text.find('='))).second) {
        problems.push_back(absl::StrCat("--", setting.name, " = ", text, ": ",
                                        text.substr(0, text.find('=')),
                                        " is given twice; give it once"));
      }
      const absl::Status status = setting.apply(text, config);
      if (status.ok()) continue;
      problems.push_back(
          absl::StrCat("--", setting.name, " = ", text, ": ", std::string(status.message())));
    }
  }
}

// What is left of the arguments, but not what looks like the value of an unknown flag.
void ReportUnknown(const CLI::App& app, std::vector<std::string>& problems) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  bool value_may_follow = false;
  for (const std::string& extra : app.remaining()) {
    const bool flag = absl::StartsWith(extra, "-");
    const bool is_value = !flag && value_may_follow;
    value_may_follow = flag && !absl::StrContains(extra, '=');
    if (is_value) continue;
    const std::string word = extra.substr(0, extra.find('='));
    const absl::string_view meant =
        Nearest(word, std::vector<absl::string_view>(flags.begin(), flags.end()));
    problems.push_back(absl::StrCat(word, ": is not known; ",
                                    meant.empty() ? "kartographd --help lists all flags"
                                                  : absl::StrCat("did you mean ", meant, "?")));
  }
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine command_line;
  Flags flags;
  std::vector<std::string> problems;
  CLI::App app(
      "kartographd runs graphs of tasks on a cluster and never promises more than there is.",
      "kartographd");
  app.footer(kFooter);
  app.set_version_flag("--version", absl::StrCat("kartographd ", kVersion), "Print the version.");
  app.set_help_flag("--help,-h", "Print this help.");
  app.get_formatter()->column_width(28);
  app.allow_extras();
  AddFlags(app, flags);
  // CLI11 throws exceptions; they end here. It takes the arguments in reverse.
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForVersion& version) {
    command_line.print = absl::StrCat(version.what(), "\n");
    return command_line;
  } catch (const CLI::CallForHelp&) {
    command_line.print = app.help();
    return command_line;
  } catch (const CLI::ParseError& error) {
    problems.emplace_back(error.what());
  }
  ReportUnknown(app, problems);
  if (!flags.config_file.empty()) {
    ReadConfigFile(flags.config_file, command_line.config, problems);
  }
  ApplyFlags(flags, command_line.config, problems);
  if (command_line.config.state.empty()) command_line.config.state = DefaultStateFolder();
  if (problems.empty()) {
    if (absl::Status status = CheckConfig(command_line.config); !status.ok()) {
      problems.emplace_back(status.message());
    }
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return command_line;
}

std::vector<std::string> ChangedSettings(const ServiceConfig& before, const ServiceConfig& now) {
  std::vector<std::string> changed;
  const auto compare = [&](const char* name, bool same) {
    if (!same) changed.emplace_back(name);
  };
  compare("state", before.state == now.state);
  compare("grpc", before.grpc.ToString() == now.grpc.ToString());
  compare("http", before.http.ToString() == now.http.ToString());
  compare("cpu", before.cpu == now.cpu);
  compare("ram", before.ram == now.ram);
  compare("resource", before.resources == now.resources && before.instances == now.instances);
  compare("max-graph-tasks", before.max_graph_tasks == now.max_graph_tasks);
  compare("max-streams", before.max_streams == now.max_streams);
  compare("max-blob", before.max_blob_bytes == now.max_blob_bytes);
  compare("max-waiting", before.max_waiting == now.max_waiting);
  compare("log-limit", before.disk_limits.log == now.disk_limits.log);
  compare("disk-reserve", before.disk_limits.reserve == now.disk_limits.reserve);
  compare("drain", before.drain == now.drain);
  compare("agent-binary", before.agent_binary == now.agent_binary);
  return changed;
}

}  // namespace kartograph::service
