// What lies beside a run history, so that one that was replaced or cut is noticed.
#ifndef KARTOGRAPH_STORAGE_HISTORY_MARK_H_
#define KARTOGRAPH_STORAGE_HISTORY_MARK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "planner/ids.h"
#include "storage/history.h"

namespace kartograph::storage {

// A small file with the identity of a history, its newest incarnation and its newest graph. It is
// written after the history, and not synchronized, so that it costs a commit nothing: after the end
// of a process it is right, after a power cut it may be behind, and it is never ahead.
// Thread-compatible.
class HistoryMark {
 public:
  struct Content {
    std::string history;
    uint64_t incarnation = 0;
    planner::GraphId last_graph = 0;
  };

  // Nothing where there is no such file, as of an empty path, or one that is damaged.
  static std::optional<Content> Read(const std::string& path);
  // Puts a file with this content in place of the one that is there.
  static absl::StatusOr<std::unique_ptr<HistoryMark>> Create(const std::string& path,
                                                             const Content& content);

  // The newest graph that is in the history. Lower than it was: no change. Where that cannot be
  // written, the file stays behind.
  void Raise(planner::GraphId last_graph);

 private:
  HistoryMark(Descriptor file, Content content)
      : file_(std::move(file)), content_(std::move(content)) {}

  const Descriptor file_;
  Content content_;
};

// What of a history is gone that was there when the mark was made, for people; empty: nothing.
std::string WhatIsLost(const HistoryMark::Content& mark, const Identity& identity,
                       planner::GraphId last_graph);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_HISTORY_MARK_H_
