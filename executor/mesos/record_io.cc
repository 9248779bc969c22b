#include "executor/mesos/record_io.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

// Of a length: as many digits as 64 bits can take.
constexpr size_t kMaxDigits = 20;

}  // namespace

std::string EncodeRecord(absl::string_view record) {
  return absl::StrCat(record.size(), "\n", record);
}

void RecordReader::Append(absl::string_view bytes) {
  // Moved together only when that is little beside what comes: a record in many pieces is copied
  // once or twice, not once per piece.
  if (position_ > 0 && position_ >= buffer_.size() - position_) {
    buffer_.erase(0, position_);
    position_ = 0;
  }
  if (have_length_) buffer_.reserve(position_ + length_);
  absl::StrAppend(&buffer_, bytes);
}

absl::Status RecordReader::ReadLength() {
  const absl::string_view rest = absl::string_view(buffer_).substr(position_);
  const size_t end = rest.find('\n');
  const absl::string_view digits = rest.substr(0, std::min(end, kMaxDigits + 1));
  const bool plain = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!plain || digits.size() > kMaxDigits || (end == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the stream is not RecordIO: a record's length begins with \"",
                     absl::CEscape(digits), "\""));
  }
  if (end == rest.npos) return absl::OkStatus();
  uint64_t length = 0;
  if (!absl::SimpleAtoi(digits, &length) || length > max_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a record of ", digits, " bytes was announced; at most ", max_bytes_, " are taken"));
  }
  length_ = static_cast<size_t>(length);
  have_length_ = true;
  position_ += end + 1;
  return absl::OkStatus();
}

absl::StatusOr<bool> RecordReader::Next(std::string* record) {
  if (broken_.ok() && !have_length_) broken_ = ReadLength();
  if (!broken_.ok()) return broken_;
  if (!have_length_ || buffer_.size() - position_ < length_) return false;
  record->assign(buffer_, position_, length_);
  position_ += length_;
  have_length_ = false;
  if (position_ == buffer_.size()) {
    // So as not to keep the room of the largest record forever.
    if (buffer_.capacity() > (1 << 20)) buffer_ = std::string();
    buffer_.clear();
    position_ = 0;
  }
  return true;
}

}  // namespace kartograph::executor::mesos
