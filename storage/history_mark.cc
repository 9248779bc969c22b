#include "storage/history_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "base/file_io.h"
#include "base/small_file.h"

namespace kartograph::storage {
namespace {

constexpr absl::string_view kMagic = "kartograph-history-mark";
constexpr size_t kMaxBytes = 4096;

// Of the same length whatever the numbers are, so that it can be written over.
std::string Format(const HistoryMark::Content& content) {
  return absl::StrFormat("%s %s %020u g%010u\n", kMagic, content.history, content.incarnation,
                         content.last_graph);
}

}  // namespace

std::optional<HistoryMark::Content> HistoryMark::Read(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return std::nullopt;
  const std::vector<absl::string_view> words = absl::StrSplit(absl::StripSuffix(*text, "\n"), ' ');
  Content content;
  if (words.size() != 4 || words[0] != kMagic || words[1].empty() || words[3].empty() ||
      words[3][0] != 'g' || !absl::SimpleAtoi(words[2], &content.incarnation) ||
      !absl::SimpleAtoi(words[3].substr(1), &content.last_graph)) {
    return std::nullopt;
  }
  content.history = std::string(words[1]);
  return content;
}

absl::StatusOr<std::unique_ptr<HistoryMark>> HistoryMark::Create(const std::string& path,
                                                                 const Content& content) {
  const std::string draft = absl::StrCat(path, ".new");
  Descriptor file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.ok() || !WriteAll(file.get(), Format(content)) ||
      rename(draft.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(draft.c_str());
    return ErrnoStatus(error, absl::StrCat("cannot write ", path));
  }
  return std::unique_ptr<HistoryMark>(new HistoryMark(std::move(file), content));
}

void HistoryMark::Raise(planner::GraphId last_graph) {
  if (last_graph <= content_.last_graph) return;
  content_.last_graph = last_graph;
  const std::string text = Format(content_);
  if (pwrite(file_.get(), text.data(), text.size(), 0) < 0) {
    // The next one is tried again.
  }
}

std::string WhatIsLost(const HistoryMark::Content& mark, const Identity& identity,
                       planner::GraphId last_graph) {
  if (mark.history != identity.history) return "it is not the one that was used here last";
  if (mark.last_graph > last_graph) {
    return absl::StrCat("it had graphs up to ", planner::GraphIdToString(mark.last_graph));
  }
  const std::vector<uint64_t>& known = identity.incarnations;
  if (std::find(known.begin(), known.end(), mark.incarnation) == known.end()) {
    return "it is an older copy of the one that was used here last";
  }
  return "";
}

}  // namespace kartograph::storage
