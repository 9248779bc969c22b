// RecordIO, the framing of Mesos's streams: each record is its length in decimal digits, a newline,
// and that many bytes.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_RECORD_IO_H_
#define KARTOGRAPH_EXECUTOR_MESOS_RECORD_IO_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor::mesos {

// `record` as it goes over the wire.
std::string EncodeRecord(absl::string_view record);

// Takes the bytes of a stream in pieces cut anywhere, and gives whole records. Thread-compatible.
class RecordReader {
 public:
  // Larger records are an error, not a reason to fill the memory: far above what a master sends (an
  // OFFERS event is some kilobytes per agent).
  explicit RecordReader(size_t max_bytes = 256 << 20) : max_bytes_(max_bytes) {}

  void Append(absl::string_view bytes);

  // Whether there is a whole record; it is then in `record`. InvalidArgument where the stream is
  // not RecordIO; then it stays so, as nothing marks where the next record begins.
  absl::StatusOr<bool> Next(std::string* record);

  // Whether a record was begun and not finished: the end of the stream came too early.
  bool in_record() const { return have_length_ || position_ < buffer_.size(); }

 private:
  absl::Status ReadLength();

  const size_t max_bytes_;
  std::string buffer_;
  size_t position_ = 0;  // of what was not given yet
  bool have_length_ = false;
  size_t length_ = 0;  // of the record at position_
  absl::Status broken_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_RECORD_IO_H_
