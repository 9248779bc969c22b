#include "executor/runner/command.h"

#include <string.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/exec_limits.h"
#include "executor/declared_variables.h"
#include "executor/runner/worker.h"
#include "planner/ids.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

using planner::Quantity;

constexpr absl::string_view kThreads = "OMP_NUM_THREADS";
// Without it CUDA numbers the fastest device 0, and nvidia-smi the first one on the bus.
constexpr absl::string_view kDeviceOrder = "CUDA_DEVICE_ORDER";

constexpr absl::string_view kWorkingDirectory = "PWD";
constexpr absl::string_view kNul("\0", 1);

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
  if (payload_.arguments().empty() && payload_.shell().empty()) {
    return absl::FailedPreconditionError("there is no command to run");
  }
  if (!payload_.arguments().empty() && payload_.arguments(0).empty()) {
    return absl::FailedPreconditionError("the name of the program is empty");
  }
  if (script() != nullptr && !payload_.arguments().empty() &&
      !OptionBeforeFile(*payload_.arguments().rbegin())) {
    return absl::FailedPreconditionError(
        "the text is too long for an argument, and no option such as -c is before it");
  }
  values_ = launch.values;
  if (values_.has_value() && std::any_of(values_->begin(), values_->end(), [](const auto& value) {
        return ValueFile(value.first).empty();
      })) {
    values_.reset();  // it has to read them elsewhere
  }
  // They become paths.
  const auto is_path = [](const std::string& blob) { return absl::StrContains(blob, '/'); };
  if (is_path(payload_.input_blob()) ||
      std::any_of(payload_.blobs().begin(), payload_.blobs().end(), is_path)) {
    return absl::FailedPreconditionError("the id of a blob must not hold a slash");
  }
  bool has_nul = HasNul(payload_.shell()) || HasNul(payload_.directory()) ||
                 HasNul(launch.task_name) || HasNul(payload_.input_blob()) ||
                 std::any_of(payload_.blobs().begin(), payload_.blobs().end(), HasNul) ||
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

std::string Command::ValueFile(absl::string_view task_name) {
  constexpr size_t kMaxFileName = 255;
  // Names of tasks have no %.
  std::string file = absl::StrReplaceAll(task_name, {{"/", "%2F"}});
  if (file.find_first_not_of('.') == std::string::npos) {
    file = absl::StrReplaceAll(file, {{".", "%2E"}});
  }
  if (file.size() > kMaxFileName || HasNul(file)) file.clear();
  return file;
}

const std::string* Command::script() const {
  return payload_.shell().size() > kMaxExecString ? &payload_.shell() : nullptr;
}

void Command::SetUp(const Launch& launch, const std::string& attempt, const std::string& sandbox,
                    const std::string& blob_folder, std::shared_ptr<const Environment> base) {
  base_ = std::move(base);
  directory_ = payload_.directory().empty() ? sandbox : payload_.directory();
  std::string graph = planner::GraphIdToString(launch.attempt.task().graph());
  std::string result = absl::StrCat(sandbox, "/result");
  Environment::Variables variables;
  variables.push_back({kWorkingDirectory, directory_});  // ours is not theirs
  const Quantity cpu = launch.consumption.Get(planner::Resource::Cpu());
  // Libraries that count the host's cores would use all of them.
  const std::string threads = absl::StrCat(std::max<int64_t>(1, cpu.milli() / 1000));
  if (base_->Get(kThreads).empty()) variables.push_back({kThreads, threads});
  const executor::Variables devices = DeviceVariables(launch);
  if (!devices.empty() && base_->Get(kDeviceOrder).empty()) {
    variables.push_back({kDeviceOrder, "PCI_BUS_ID"});
  }
  variables.insert(variables.end(), devices.begin(), devices.end());
  // In order, as a worker's key must not depend on how a map happens to be laid out.
  const std::map<absl::string_view, absl::string_view> own(payload_.environment().begin(),
                                                           payload_.environment().end());
  variables.insert(variables.end(), own.begin(), own.end());
  variables.push_back({"KARTOGRAPH_GRAPH", graph});
  variables.push_back({"KARTOGRAPH_TASK", launch.task_name});
  variables.push_back({"KARTOGRAPH_ATTEMPT", attempt});
  variables.push_back({"KARTOGRAPH_RESULT", result});
  const executor::Variables declared = DeclaredVariables(launch);
  const bool for_worker = CanBeWorkers(declared);
  // Files take longer to make than such a task takes.
  const std::string inlined = for_worker ? InlineForWorker() : "";
  std::string input_path;
  if (!payload_.input_blob().empty()) {
    input_path = absl::StrCat(blob_folder, "/", payload_.input_blob());
  } else if (!payload_.input().empty()) {
    input_path = absl::StrCat(sandbox, "/", kInput);
  }
  if (!input_path.empty()) variables.push_back({"KARTOGRAPH_INPUT", input_path});
  if (!payload_.blobs().empty()) variables.push_back({"KARTOGRAPH_BLOBS", blob_folder});
  const std::string inputs = absl::StrCat(sandbox, "/", kInputs);
  if (values() != nullptr) variables.push_back({"KARTOGRAPH_INPUTS", inputs});
  variables.insert(variables.end(), declared.begin(), declared.end());
  worker_key_.clear();
  if (for_worker) DescribeToWorker(variables, inlined);
  if (is_worker()) variables.push_back({kWorkerVariable, kWorkerSocket});
  base_->Build(variables, &environment_);

  shell_argv_.clear();
  if (payload_.arguments().empty()) {
    static char shell_name[] = "/bin/sh";
    static char shell_option[] = "-c";
    if (script() != nullptr) {
      script_path_ = absl::StrCat(sandbox, "/", kScript);
      argv_ = {shell_name, script_path_.data(), nullptr};
    } else {
      shell_argv_ = {shell_name, shell_option, payload_.mutable_shell()->data(), nullptr};
      if (!UseWordsOfShellLine()) argv_ = std::exchange(shell_argv_, {});
    }
  } else {
    argv_.clear();
    for (std::string& argument : *payload_.mutable_arguments()) argv_.push_back(argument.data());
    if (!payload_.shell().empty()) AddText(sandbox);
    argv_.push_back(nullptr);
  }
  ListPrograms();
}

void Command::AddText(const std::string& sandbox) {
  if (script() == nullptr) {
    argv_.push_back(payload_.mutable_shell()->data());
    return;
  }
  option_ = OptionBeforeFile(argv_.back()).value_or("");
  argv_.pop_back();
  if (!option_.empty()) argv_.push_back(option_.data());
  script_path_ = absl::StrCat(sandbox, "/", kScript);
  argv_.push_back(script_path_.data());
}

bool Command::CanBeWorkers(const executor::Variables& declared) const {
  if (!payload_.worker() || payload_.arguments().empty() || !payload_.shell().empty()) return false;
  // The others have paths and names, which are short.
  size_t bytes = 0;
  for (const auto& [name, value] : declared) bytes += name.size() + value.size();
  return bytes <= kMaxWorkerVariables / 2;
}

std::string Command::InlineForWorker() {
  constexpr size_t kHeader = 32;
  size_t bytes = payload_.input().size();
  if (values_.has_value()) {
    for (const auto& [name, value] : *values_) bytes += name.size() + value.size() + kHeader;
  }
  if (bytes > kMaxWorkerInput) return "";
  std::string inlined;
  if (!payload_.input().empty()) {
    inlined = absl::StrCat("input ", payload_.input().size(), "\n", payload_.input());
    payload_.clear_input();
  }
  if (values_.has_value()) {
    absl::StrAppend(&inlined, "values ", values_->size(), "\n");
    for (const auto& [name, value] : *values_) {
      absl::StrAppend(&inlined, "value ", value.size(), " ", name, "\n", value);
    }
    values_.reset();
  }
  return inlined;
}

void Command::DescribeToWorker(const Environment::Variables& variables, absl::string_view inlined) {
  worker_message_.clear();
  for (const std::string& argument : payload_.arguments()) {
    absl::StrAppend(&worker_key_, argument, kNul);
  }
  absl::StrAppend(&worker_key_, kNul, payload_.directory(), kNul);
  // The first one is the directory that it runs in, whatever the task says of PWD.
  for (size_t i = 0; i < variables.size(); ++i) {
    const auto& [name, value] = variables[i];
    const bool of_attempt = i == 0 || absl::StartsWith(name, "KARTOGRAPH_");
    absl::StrAppend(of_attempt ? &worker_message_ : &worker_key_, name, "=", value, kNul);
  }
  absl::StrAppend(&worker_message_, kNul, inlined);
}

void Command::ListPrograms() {
  path_.clear();
  programs_.clear();
  const absl::string_view name = argv_[0];
  if (absl::StrContains(name, '/')) {
    programs_.emplace_back(name);
  } else {
    auto own = payload_.environment().find("PATH");
    path_ = own != payload_.environment().end() ? own->second : std::string(base_->Get("PATH"));
    if (path_.empty()) path_ = std::string(kDefaultPath);
    for (absl::string_view folder : absl::StrSplit(path_, ':')) {
      // Without a folder it is the working directory.
      programs_.push_back(absl::StrCat(folder.empty() ? "." : folder, "/", name));
    }
  }
  program_pointers_.clear();
  for (const std::string& program : programs_) program_pointers_.push_back(program.c_str());
  program_pointers_.push_back(nullptr);
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

SpawnRequest Command::Request() {
  SpawnRequest request;
  request.programs = program_pointers_.data();
  request.argv = argv_.data();
  // A script without a first line, a missing program: the shell knows what to do or to say.
  if (!shell_argv_.empty()) request.fallback_argv = shell_argv_.data();
  request.environment = environment_.pointers.data();
  request.directory = directory_.c_str();
  return request;
}

std::string Command::Error(Spawner::Step step, int error) const {
  if (step == Spawner::Step::kDirectory) {
    return absl::StrCat("cannot enter the directory \"", directory_, "\": ", strerror(error));
  }
  const char* program = shell_argv_.empty() ? argv_[0] : shell_argv_[0];
  std::string text = absl::StrCat("cannot start \"", program, "\": ", strerror(error));
  if (!path_.empty()) {
    absl::StrAppend(&text, " (searched PATH=", path_, ")");
  } else if (program[0] != '/') {
    // Mostly it is named as if the task ran where it was submitted.
    absl::StrAppend(&text, "; it was looked for in ",
                    payload_.directory().empty() ? "its own empty folder, " : "", directory_);
  }
  return text;
}

}  // namespace kartograph::executor
