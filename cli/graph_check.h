// Whether tasks and the names they come after make a graph.
#ifndef KARTOGRAPH_CLI_GRAPH_CHECK_H_
#define KARTOGRAPH_CLI_GRAPH_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/file_problems.h"

namespace kartograph::cli {

// The names of a file's tasks and what each comes after, flat: 24 bytes a name. Names belong to the
// caller.
class TaskNames {
 public:
  struct Name {
    absl::string_view text;
    uint32_t place;  // where it stands, as the caller counts
  };

  void AddTask(absl::string_view name, uint32_t place);
  // What the task that was added last comes after.
  void AddAfter(absl::string_view name, uint32_t place) { after_.push_back({name, place}); }

  uint32_t size() const { return static_cast<uint32_t>(tasks_.size()); }
  const Name& operator[](uint32_t task) const { return tasks_[task]; }
  absl::Span<const Name> after(uint32_t task) const;

 private:
  std::vector<Name> tasks_;
  std::vector<Name> after_;
  std::vector<uint32_t> first_after_;  // of each task, in after_
};

// Reports names given twice, unknown names in `after` with the nearest known one, and for each
// strongly connected component one shortest cycle as a path of names. Tasks without a name were
// reported already. `mark` says what a place is in lines and columns. Gives the number of edges; a
// name said twice in one `after` makes one. Linear in tasks and edges.
int64_t CheckGraph(const TaskNames& tasks, absl::FunctionRef<Mark(uint32_t place)> mark,
                   FileProblems* problems);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_GRAPH_CHECK_H_
