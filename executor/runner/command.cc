#include "executor/runner/command.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "planner/ids.h"

namespace kartograph::executor {
namespace {

constexpr absl::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

}  // namespace

absl::Status Command::Read(const Launch& launch) {
  payload_.Clear();
  if (!payload_.ParseFromString(launch.payload)) {
    return absl::FailedPreconditionError("the payload cannot be read");
  }
  if (payload_.has_container()) {
    return absl::FailedPreconditionError("containers need a Mesos cluster (--cluster mesos:...)");
  }
  if (payload_.arguments().empty() == payload_.shell().empty()) {
    return absl::FailedPreconditionError(payload_.shell().empty()
                                             ? "there is no command to run"
                                             : "there are two commands, a list and a shell line");
  }
  if (!payload_.arguments().empty() && payload_.arguments(0).empty()) {
    return absl::FailedPreconditionError("the name of the program is empty");
  }
  bool has_nul = HasNul(payload_.shell()) || HasNul(payload_.directory()) ||
                 HasNul(launch.task_name) ||
                 std::any_of(payload_.arguments().begin(), payload_.arguments().end(), HasNul);
  for (const auto& [name, value] : payload_.environment()) {
    if (name.empty() || name.find('=') != std::string::npos) {
      return absl::FailedPreconditionError(
          absl::StrCat("\"", name, "\" cannot be the name of a variable"));
    }
    has_nul = has_nul || HasNul(name) || HasNul(value);
  }
  if (has_nul) {
    return absl::FailedPreconditionError("a command, directory or variable has a NUL byte");
  }
  return absl::OkStatus();
}

void Command::SetUp(const Launch& launch, const std::string& attempt, const std::string& sandbox,
                    const Environment& base) {
  directory_ = payload_.directory().empty() ? sandbox : payload_.directory();
  std::string graph = planner::GraphIdToString(launch.attempt.task().graph());
  std::string result = absl::StrCat(sandbox, "/result");
  Environment::Variables variables;
  variables.push_back({"PWD", directory_});  // ours is not theirs
  for (const auto& [name, value] : payload_.environment()) variables.push_back({name, value});
  variables.push_back({"KARTOGRAPH_GRAPH", graph});
  variables.push_back({"KARTOGRAPH_TASK", launch.task_name});
  variables.push_back({"KARTOGRAPH_ATTEMPT", attempt});
  variables.push_back({"KARTOGRAPH_RESULT", result});
  base.Build(variables, &environment_);

  without_shell_ = false;
  searched_again_ = false;
  if (payload_.arguments().empty()) {
    without_shell_ = UseWordsOfShellLine();
    if (!without_shell_) UseShell();
  } else {
    argv_.clear();
    for (std::string& argument : *payload_.mutable_arguments()) argv_.push_back(argument.data());
    argv_.push_back(nullptr);
  }
  program_ = argv_[0];
  searched_ = !absl::StrContains(program_, '/');
  if (!searched_) return;
  auto own = payload_.environment().find("PATH");
  path_ = own != payload_.environment().end() ? own->second : std::string(base.Get("PATH"));
  if (path_.empty()) path_ = std::string(kDefaultPath);
}

void Command::UseShell() {
  static char shell_name[] = "/bin/sh";
  static char shell_option[] = "-c";
  argv_ = {shell_name, shell_option, payload_.mutable_shell()->data(), nullptr};
}

// As make does: a shell that would only execute one program is left out. Nothing that a shell could
// give a meaning to is in such a line, and a full path is no builtin.
bool Command::UseWordsOfShellLine() {
  const std::string& line = payload_.shell();
  const bool plain = std::all_of(line.begin(), line.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains(" _-./:,+@%=", static_cast<char>(c));
  });
  if (!plain || line[0] != '/') return false;
  words_ = absl::StrSplit(line, ' ', absl::SkipEmpty());
  if (absl::StrContains(words_[0], '=')) return false;  // an assignment
  argv_.clear();
  for (std::string& word : words_) argv_.push_back(word.data());
  argv_.push_back(nullptr);
  return true;
}

absl::Status Command::FindProgram(ProgramFinder* programs, int64_t now_ns) {
  if (!searched_) return absl::OkStatus();
  int error = programs->Find(argv_[0], path_, directory_, now_ns, &program_);
  return error == 0 ? absl::OkStatus() : CannotStart(error);
}

bool Command::TryAnotherWay(ProgramFinder* programs, int64_t now_ns) {
  if (without_shell_) {
    // A script without a first line, a missing program: the shell knows what to do or to say.
    without_shell_ = false;
    UseShell();
    program_ = argv_[0];
    return true;
  }
  if (!searched_ || searched_again_) return false;
  // What was found a moment ago may have moved.
  searched_again_ = true;
  programs->Forget();
  return FindProgram(programs, now_ns).ok();
}

SpawnRequest Command::Request() {
  SpawnRequest request;
  request.program = program_.c_str();
  request.argv = argv_.data();
  request.environment = environment_.pointers.data();
  request.directory = directory_.c_str();
  return request;
}

absl::Status Command::CannotStart(int error) const {
  std::string message = absl::StrCat("cannot start \"", argv_[0], "\": ", strerror(error));
  if (searched_) absl::StrAppend(&message, " (searched PATH=", path_, ")");
  return absl::FailedPreconditionError(message);
}

absl::Status Command::Problem(Spawning::Step step, int error) const {
  if (step == Spawning::Step::kExec) return CannotStart(error);
  return absl::FailedPreconditionError(
      absl::StrCat("cannot enter the directory \"", directory_, "\": ", strerror(error)));
}

}  // namespace kartograph::executor
