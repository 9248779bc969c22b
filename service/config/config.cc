#include "service/config/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/argument_error.h"
#include "base/byte_size.h"
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

It can be used by its own user, through the socket STATE/run/grpc.sock, and by anyone who has the
token in STATE/token. `kartograph page` logs a browser in.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 it cannot start or go on, 2 the settings
are wrong.)";

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
      const absl::Status status = Apply(setting, text, config);
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

// Of a key of ServiceConfig::given.
const Setting& SettingOf(absl::string_view key) {
  const absl::string_view name = key.substr(0, key.find(' '));
  return *std::find_if(Settings().begin(), Settings().end(),
                       [&](const Setting& setting) { return setting.name == name; });
}

std::string TextOf(const Setting& setting, const std::string& key, const ServiceConfig& config) {
  if (const auto found = config.given.find(key); found != config.given.end()) return found->second;
  switch (setting.kind) {
    case Setting::Kind::kSwitch:
      return "false";
    case Setting::Kind::kNamed:
      return "none";
    case Setting::Kind::kValue:
      break;
  }
  return "default";
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine command_line;
  Flags flags;
  std::vector<std::string> problems;
  CLI::App app(
      "kartographd runs graphs of tasks on a cluster and never promises more resources than there "
      "are.",
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
    problems.push_back(ArgumentError(error));
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

std::vector<std::string> ChangedSettings(const ServiceConfig& before, const ServiceConfig& now,
                                         TakesEffect when) {
  std::set<std::string> keys;
  for (const ServiceConfig* config : {&before, &now}) {
    for (const auto& [key, text] : config->given) keys.insert(key);
  }
  std::vector<std::string> changed;
  for (const std::string& key : keys) {
    const Setting& setting = SettingOf(key);
    if (setting.reloads != (when == TakesEffect::kAtOnce)) continue;
    const std::string from = TextOf(setting, key, before), to = TextOf(setting, key, now);
    if (from != to) changed.push_back(absl::StrCat(key, " ", from, " -> ", to));
  }
  return changed;
}

std::vector<std::string> DoubtfulSettings(const ServiceConfig& config,
                                          const planner::ResourceVector& machine) {
  constexpr int64_t kSmallest = 1 << 20;  // of sizes that are meant
  std::vector<std::string> doubts;
  for (const Setting& setting : Settings()) {
    const auto given = config.given.find(setting.name);
    if (given == config.given.end() || absl::string_view(setting.value_name) != "SIZE") continue;
    const std::string& text = given->second;
    double bytes = 0;
    if (!absl::SimpleAtod(text, &bytes) || bytes <= 0 || bytes >= kSmallest) continue;
    const char* unit = absl::string_view(setting.name) == "ram" && bytes <= 1024 ? "GiB" : "MiB";
    doubts.push_back(absl::StrCat("--", setting.name, " ", text, " is ", text,
                                  " bytes: did you mean ", text, unit, "?"));
  }
  if (config.mesos_master) return doubts;
  const planner::Quantity cores = machine.Get(planner::Resource::Cpu());
  if (config.cpu && *config.cpu > cores) {
    doubts.push_back(absl::StrCat("--cpu ", config.cpu->ToString(), ": this machine has ",
                                  cores.ToString(),
                                  cores == planner::Quantity::Of(1) ? " core" : " cores"));
  }
  // By default a tenth is left to others.
  const int64_t memory = machine.Get(planner::Resource::Ram()).milli() / 1000 / 9 * 10;
  if (config.ram && config.ram->milli() / 1000 > memory + kSmallest * 2) {
    doubts.push_back(absl::StrCat("--ram ", config.given.at("ram"), ": this machine has ",
                                  FormatBytes(static_cast<double>(memory))));
  }
  return doubts;
}

}  // namespace kartograph::service
