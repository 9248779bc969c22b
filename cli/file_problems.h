// What is wrong with a user's file: every problem at once, each with its place.
#ifndef KARTOGRAPH_CLI_FILE_PROBLEMS_H_
#define KARTOGRAPH_CLI_FILE_PROBLEMS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "yaml/yaml_tree.h"

namespace kartograph::cli {

using yaml::Mark;

struct FileProblem {
  Mark mark;
  std::string field;    // such as tasks[3].consumption.ram; may be empty
  std::string message;  // what is wrong and what would be right
};

// Collects problems, and warnings: what is allowed, but probably a mistake. Not thread-safe.
class FileProblems {
 public:
  // At most this many are kept; the rest are counted.
  static constexpr size_t kMaxKept = 100;

  void Add(Mark mark, std::string field, std::string message);
  void Warn(Mark mark, std::string field, std::string message);
  // Whether this is the first call with `topic`, so that long advice is given once.
  bool FirstTime(const std::string& topic) { return topics_.insert(topic).second; }
  // No problems; there may be warnings.
  bool empty() const { return total_ == 0; }
  // All, also those not kept.
  size_t total() const { return total_; }
  // In the order of their places, those without a place first.
  std::vector<FileProblem> Sorted() const;
  // One problem a line, "FILE:LINE:COLUMN: FIELD: MESSAGE", and a last line that counts the rest.
  std::string ToString(absl::string_view file) const;
  // The same of the warnings, with "warning: " before each message.
  std::string WarningsToString(absl::string_view file) const;

 private:
  std::vector<FileProblem> problems_;
  size_t total_ = 0;
  std::vector<FileProblem> warnings_;
  size_t total_warnings_ = 0;
  absl::flat_hash_set<std::string> topics_;
};

// `text` in double quotes, made printable and cut at 60 characters.
std::string Quoted(absl::string_view text);

// "1 task", "3 tasks".
std::string Count(int64_t number, absl::string_view thing);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_FILE_PROBLEMS_H_
