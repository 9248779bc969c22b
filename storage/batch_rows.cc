#include "storage/batch_rows.h"

#include <string>

#include "storage/encoding.h"

namespace kartograph::storage {

void Put(const NewTask& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Text(row.task->name);
    case 2:
      return value.Int(row.settings_id);
    case 3: {
      if (row.task->after.empty()) return value.Text("[]");
      std::string json;
      EncodeIndexes(row.task->after, json);
      return value.TextCopy(json);
    }
    case 4:
      return value.Bytes(row.task->payload);
    case 5:
      return value.Bytes(row.task->details);
    case 6:
      return value.Int(EncodeDuration(row.task->expected_duration));
  }
}

void Put(const NewAttempt& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Int(row.agent_id);
    case 2:
      return value.Int(EncodeTime(row.launched->launch_time));
  }
}

void Put(const NewAttemptEnd& row, int column, FeedValue value) {
  const AttemptEnded& ended = *row.ended;
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Int(static_cast<int64_t>(ended.outcome));
    case 2:
      return value.Int(ended.exit_status);
    case 3:
      return value.Int(ended.signal);
    case 4:
      if (ended.start_time != absl::InfinitePast()) value.Int(EncodeTime(ended.start_time));
      return;
    case 5:
      return value.Int(EncodeTime(ended.end_time));
    case 6:
      return value.Int(static_cast<int64_t>(ended.peak_ram_bytes));
    case 7:
      return value.Int(EncodeDuration(ended.cpu_time));
    case 8:
      return value.Int(EncodeDuration(ended.wall_time));
    case 9:
      return value.Text(ended.message);
    case 10:
      return value.Bytes(ended.return_value);
    case 11:
      return value.Int(ended.has_value);
  }
}

void Put(const NewTaskEnd& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Int(static_cast<int64_t>(row.ended->state));
    case 2:
      return value.Int(EncodeTime(row.ended->end_time));
    case 3:
      return value.Text(row.ended->reason);
  }
}

void Put(const NewFinished& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.queue_id);
    case 1:
      return value.Int(row.key);
    case 2:
      return value.Int(static_cast<int64_t>(row.queued->task.value));
  }
}

void Put(const NewReset& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Int(row.attempts_before);
  }
}

void Put(const WantedPayload& row, int column, FeedValue value) {
  switch (column) {
    case 0:
      return value.Int(row.key);
    case 1:
      return value.Int(row.position);
  }
}

}  // namespace kartograph::storage
