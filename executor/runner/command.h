// What an attempt executes: read from its payload, with its directory and its environment.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "executor/cluster.h"
#include "executor/declared_variables.h"
#include "executor/payload.pb.h"
#include "executor/runner/environment.h"
#include "executor/runner/spawn.h"

namespace kartograph::executor {

// Owns all that a SpawnRequest points to, so that the caller may go on while a process is on its
// way to its program. Accesses no file: a program is searched for by its own process, as whatever
// PATH names may be on a file server that does not answer. Made to be used again: it keeps its
// memory. Thread-compatible; errors are FailedPrecondition with a message for the task's author.
class Command {
 public:
  // Reads the payload of `launch`, and says what is wrong with it.
  absl::Status Read(const Launch& launch);
  // After Read: `sandbox` is the working directory where the payload names none. Blobs are files of
  // `blob_folder`.
  void SetUp(const Launch& launch, const std::string& attempt, const std::string& sandbox,
             const std::string& blob_folder, std::shared_ptr<const Environment> base);

  // After Read: a text of `shell` that is too long for an argument. It is to be in the sandbox, as
  // kScript, when the process is made. Null where there is none.
  const std::string* script() const;
  static constexpr char kScript[] = "command.sh";

  // After SetUp: what the task reads that is to be in the sandbox, as kInput, when the process is
  // made. Empty where there is none. It may be taken away, so as not to be kept.
  const std::string& input() const { return payload_.input(); }
  std::string TakeInput() { return std::exchange(*payload_.mutable_input(), std::string()); }
  static constexpr char kInput[] = "input";

  // After SetUp: the return values of tasks before it, each to be a file of the folder kInputs in
  // the sandbox. Null where there is no such folder. May be taken away as the input.
  using Values = std::vector<std::pair<std::string, std::string>>;
  const Values* values() const { return values_.has_value() ? &*values_ : nullptr; }
  void DropValues() { values_.reset(); }
  static constexpr char kInputs[] = "inputs";
  // The name of the file with the value of a task; empty where there can be none.
  static std::string ValueFile(absl::string_view task_name);

  // After Read: the blob that is its input, empty where there is none, and the others.
  const std::string& input_blob() const { return payload_.input_blob(); }
  const google::protobuf::RepeatedPtrField<std::string>& blobs() const { return payload_.blobs(); }

  // After SetUp: whether the program is a worker (worker.h) that can be given this attempt.
  bool is_worker() const { return !worker_key_.empty(); }
  // What must be the same for a worker to be given another attempt: program and arguments,
  // directory, and the environment over its base, but for what tells attempts apart.
  const std::string& worker_key() const { return worker_key_; }
  // What a worker is given for this attempt (worker.h).
  const std::string& worker_message() const { return worker_message_; }
  const std::shared_ptr<const Environment>& base() const { return base_; }

  // After Read: whether the payload names the working directory.
  bool has_directory() const { return !payload_.directory().empty(); }

  // After SetUp: programs, arguments, environment and directory. Valid until the next change.
  SpawnRequest Request();
  // Why the process has not become the program, from what Spawner reports.
  std::string Error(Spawner::Step step, int error) const;

 private:
  // Whether the shell line is a plain command by its full path, which is then in argv_.
  bool UseWordsOfShellLine();
  // Adds the text of `shell` to the arguments that run it, or the file that has it.
  void AddText(const std::string& sandbox);
  void ListPrograms();
  bool CanBeWorkers(const executor::Variables& declared) const;
  // Takes input and values away, where they go along with a message to a worker.
  std::string InlineForWorker();
  void DescribeToWorker(const Environment::Variables& variables, absl::string_view inlined);

  Payload payload_;
  std::string directory_;
  std::string script_path_;
  std::string option_;  // before it
  std::shared_ptr<const Environment> base_;
  EnvironmentBlock environment_;
  std::optional<Values> values_;
  std::string worker_key_;
  std::string worker_message_;
  std::vector<std::string> words_;  // of a shell line
  std::vector<char*> argv_;
  std::vector<char*> shell_argv_;  // of a shell line; otherwise empty
  // Where the program may be, and the same for Spawner.
  std::vector<std::string> programs_;
  std::vector<const char*> program_pointers_;
  std::string path_;  // that was searched; empty where it was not
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_
