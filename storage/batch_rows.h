// Rows that go to SQLite many at a time: what one commit adds to each of the large tables, and what
// is looked up there.
#ifndef KARTOGRAPH_STORAGE_BATCH_ROWS_H_
#define KARTOGRAPH_STORAGE_BATCH_ROWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/records.h"
#include "storage/row_feed.h"

namespace kartograph::storage {

// Each row type points into the caller's records, says its columns in the order in which Put
// numbers them, and is sorted by `key`.
struct NewTask {
  int64_t key;
  int64_t settings_id;
  const TaskSubmitted* task;
  static constexpr char kColumns[] = "key, name, settings_id, after, payload, details, expected_us";
};
void Put(const NewTask& row, int column, FeedValue value);

struct NewAttempt {
  int64_t key;
  int64_t agent_id;
  const AttemptLaunched* launched;
  static constexpr char kColumns[] = "key, agent_id, launch_us";
};
void Put(const NewAttempt& row, int column, FeedValue value);

struct NewAttemptEnd {
  int64_t key;
  const AttemptEnded* ended;
  static constexpr char kColumns[] =
      "key, outcome, exit_status, signal, start_us, end_us, peak_ram, cpu_us, wall_us, message, "
      "return_value, has_value";
};
void Put(const NewAttemptEnd& row, int column, FeedValue value);

struct NewTaskEnd {
  int64_t key;
  const TaskEnded* ended;
  static constexpr char kColumns[] = "key, state, end_us, reason";
};
void Put(const NewTaskEnd& row, int column, FeedValue value);

struct NewFinished {
  int64_t key;  // the delivery's id
  int64_t queue_id;
  const FinishedQueued* queued;
  static constexpr char kColumns[] = "queue_id, delivery_id, task_key";
};
void Put(const NewFinished& row, int column, FeedValue value);

struct NewReset {
  int64_t key;  // the task's
  int64_t attempts_before;
  static constexpr char kColumns[] = "key, attempts_before";
};
void Put(const NewReset& row, int column, FeedValue value);

// A payload that is asked for, and where in the answer it belongs.
struct WantedPayload {
  int64_t key;  // the task's
  int64_t position;
  static constexpr char kColumns[] = "key, position";
};
void Put(const WantedPayload& row, int column, FeedValue value);

// Collects rows and feeds them to one statement.
template <typename Row>
class BatchRows : public RowFeed {
 public:
  void Add(const Row& row) {
    sorted_ = sorted_ && (rows_.empty() || rows_.back().key < row.key);
    rows_.push_back(row);
  }
  bool empty() const { return rows_.empty(); }
  void Clear() {
    rows_.clear();
    // One huge graph must not keep its memory forever.
    if (rows_.capacity() > kKeptRows) std::vector<Row>().swap(rows_);
    sorted_ = true;
  }
  // Neighbours in the table then come one after the other, which is what makes them cheap.
  void Sort() {
    if (sorted_) return;
    std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    sorted_ = true;
  }

  size_t size() const override { return rows_.size(); }
  void Column(size_t row, int column, FeedValue value) const override {
    Put(rows_[row], column, value);
  }

 private:
  static constexpr size_t kKeptRows = 1 << 17;

  std::vector<Row> rows_;
  bool sorted_ = true;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_BATCH_ROWS_H_
