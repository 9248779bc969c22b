#include "executor/runner/output_collector.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "executor/cut_log.h"

namespace kartograph::executor {
namespace {

// An attempt that ends sooner is never watched, which makes short ones cheaper: what it wrote is
// read when it ends. Until it is watched it can write as much as a pipe takes.
constexpr absl::Duration kUnwatched = absl::Milliseconds(10);
// What is copied from one stream before the others have their turn.
constexpr int64_t kTurn = 1 << 20;
constexpr size_t kBufferBytes = 64 << 10;  // as much as a pipe takes
constexpr int64_t kBlock = 4096;           // of a file system
// How much a stream grows between two cuts: this part of its limit.
constexpr int64_t kCutsALimit = 16;
constexpr uint64_t kWakeKey = 0;  // of the eventfd

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe for the output");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputCollector>> OutputCollector::Create(Options options,
                                                                         const Sandboxes* sandboxes,
                                                                         DiskReserve* reserve) {
  Descriptor events(epoll_create1(EPOLL_CLOEXEC));
  if (!events.ok()) return ErrnoStatus(errno, "cannot watch the output of attempts");
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) return ErrnoStatus(errno, "cannot watch the output of attempts");
  struct epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeKey;
  if (epoll_ctl(events.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoStatus(errno, "cannot watch the output of attempts");
  }
  return std::unique_ptr<OutputCollector>(
      new OutputCollector(options, sandboxes, reserve, std::move(events), std::move(wake)));
}

OutputCollector::OutputCollector(Options options, const Sandboxes* sandboxes, DiskReserve* reserve,
                                 Descriptor events, Descriptor wake)
    : sandboxes_(sandboxes),
      reserve_(reserve),
      read_remotely_(options.read_remotely),
      limit_(options.limit),
      events_(std::move(events)),
      wake_(std::move(wake)),
      thread_([this] { Run(); }) {}

OutputCollector::~OutputCollector() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

absl::StatusOr<OutputCollector::Ends> OutputCollector::Open(planner::AttemptId attempt) {
  absl::StatusOr<Pipe> out = MakePipe();
  if (!out.ok()) return out.status();
  absl::StatusOr<Pipe> err = MakePipe();
  if (!err.ok()) return err.status();
  auto streams = std::make_shared<Streams>();
  for (size_t i = 0; i < streams->size(); ++i) {
    Stream& stream = (*streams)[i];
    const MutexLock lock(&stream.mutex);
    stream.attempt = attempt;
    stream.name = i == 0 ? "stdout" : "stderr";
    stream.pipe = std::move(i == 0 ? out->read_end : err->read_end);
    if (!read_remotely_) continue;
    if (absl::Status made = MakeFile(&stream); !made.ok()) return made;
  }
  const MutexLock lock(&mutex_);
  streams_[attempt] = std::move(streams);
  return Ends{std::move(out->write_end), std::move(err->write_end)};
}

void OutputCollector::Watch(planner::AttemptId attempt) {
  bool wake = false;
  {
    const MutexLock lock(&mutex_);
    begun_.push_back(attempt);
    wake = !std::exchange(will_look_, true);
  }
  if (wake) eventfd_write(wake_.get(), 1);
}

void OutputCollector::Close(planner::AttemptId attempt) {
  std::shared_ptr<Streams> streams;
  {
    const MutexLock lock(&mutex_);
    const auto it = streams_.find(attempt);
    if (it == streams_.end()) return;
    streams = std::move(it->second);
    streams_.erase(it);
    for (const Stream& stream : *streams) watched_.erase(stream.key);
  }
  for (Stream& stream : *streams) {
    const MutexLock lock(&stream.mutex);
    // Nobody writes any more, but for what has left the attempt's group and is being ended.
    Copy(&stream, kTurn);
    ReportDropped(&stream);
    stream.pipe.Reset();  // which ends its being watched
    stream.file.Reset();
  }
}

std::shared_ptr<OutputCollector::Stream> OutputCollector::Find(uint64_t key) {
  const MutexLock lock(&mutex_);
  const auto it = watched_.find(key);
  return it == watched_.end() ? nullptr : it->second;
}

void OutputCollector::WatchBegun() {
  const MutexLock lock(&mutex_);
  for (const planner::AttemptId attempt : begun_) {
    const auto it = streams_.find(attempt);
    if (it == streams_.end()) continue;
    for (Stream& stream : *it->second) {
      const MutexLock stream_lock(&stream.mutex);
      struct epoll_event event = {};
      event.events = EPOLLIN;
      event.data.u64 = stream.key = ++last_key_;
      watched_[stream.key] = std::shared_ptr<Stream>(it->second, &stream);
      // Fails only for want of memory; then it is read when the attempt ends.
      epoll_ctl(events_.get(), EPOLL_CTL_ADD, stream.pipe.get(), &event);
    }
  }
  begun_.clear();
  will_look_ = false;
}

void OutputCollector::Run() {
  constexpr int kEvents = 64;
  struct epoll_event events[kEvents];
  SteadyTime look_at = SteadyTime::InfiniteFuture();
  while (true) {
    int timeout = -1;
    if (look_at != SteadyTime::InfiniteFuture()) {
      const absl::Duration left = look_at - Clock::System().SteadyNow();
      timeout = static_cast<int>(
          std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)))));
    }
    const int count = epoll_wait(events_.get(), events, kEvents, timeout);
    for (int i = 0; i < count; ++i) {
      const uint64_t key = events[i].data.u64;
      if (key == kWakeKey) {
        eventfd_t value;
        eventfd_read(wake_.get(), &value);
        look_at = Clock::System().SteadyNow() + kUnwatched;
        continue;
      }
      const std::shared_ptr<Stream> stream = Find(key);
      if (stream == nullptr) continue;
      const MutexLock lock(&stream->mutex);
      if (!stream->pipe.ok()) continue;  // closed meanwhile
      // Of a pipe whose other end is closed epoll would report the same again and again.
      if (Copy(stream.get(), kTurn) == 0 && (events[i].events & EPOLLHUP) != 0) {
        epoll_ctl(events_.get(), EPOLL_CTL_DEL, stream->pipe.get(), nullptr);
      }
    }
    {
      const MutexLock lock(&mutex_);
      if (stopping_) return;
    }
    if (look_at <= Clock::System().SteadyNow()) {
      look_at = SteadyTime::InfiniteFuture();
      WatchBegun();
    }
  }
}

int64_t OutputCollector::Copy(Stream* stream, int64_t budget) const {
  char buffer[kBufferBytes];
  int64_t copied = 0;
  while (copied < budget) {
    // Asked first, as most streams are empty and reading would wait.
    int waiting = 0;
    if (ioctl(stream->pipe.get(), FIONREAD, &waiting) != 0 || waiting == 0) break;
    const ssize_t bytes =
        read(stream->pipe.get(), buffer, std::min(sizeof(buffer), static_cast<size_t>(waiting)));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    Write(stream, {buffer, static_cast<size_t>(bytes)});
    copied += bytes;
  }
  return copied;
}

void OutputCollector::Write(Stream* stream, absl::string_view data) const {
  if (!stream->full && reserve_->Reached(static_cast<int64_t>(data.size()))) {
    stream->why = reserve_->ToString();
  } else if (!stream->full) {
    ReportDropped(stream);
    if (stream->dropped == 0) data.remove_prefix(Append(stream, data));
    CutMiddle(stream);
  }
  stream->dropped += static_cast<int64_t>(data.size());
}

absl::Status OutputCollector::MakeFile(Stream* stream) const {
  absl::StatusOr<Descriptor> file = sandboxes_->OpenToWrite(stream->attempt, stream->name);
  if (!file.ok()) return file.status();
  stream->file = *std::move(file);
  return absl::OkStatus();
}

size_t OutputCollector::Append(Stream* stream, absl::string_view data) const {
  if (!stream->file.ok()) {
    if (const absl::Status made = MakeFile(stream); !made.ok()) {
      stream->why = std::string(made.message());
      return 0;
    }
  }
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t bytes =
        pwrite(stream->file.get(), data.data() + done, data.size() - done, stream->size);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) {
      stream->why = strerror(errno);
      break;
    }
    done += static_cast<size_t>(bytes);
    stream->size += bytes;
  }
  return done;
}

void OutputCollector::CutMiddle(Stream* stream) const {
  const int64_t limit = limit_.load(std::memory_order_relaxed);
  const int64_t head = (limit / 2 + kBlock - 1) / kBlock * kBlock;
  const int64_t begin = std::max(stream->hole_end, head);
  const int64_t end = (stream->size - (limit - head)) / kBlock * kBlock;
  if (end - begin < std::max(limit / kCutsALimit, kBlock)) return;
  if (read_remotely_) {
    // First, so that a reader who finds zeros finds out why.
    const absl::StatusOr<Descriptor> told =
        sandboxes_->OpenToWrite(stream->attempt, absl::StrCat(stream->name, kCutSuffix).c_str());
    const std::string cut = FormatCut(stream->hole_end == 0 ? begin : stream->hole_begin, end);
    if (!told.ok() || pwrite(told->get(), cut.data(), cut.size(), 0) < 0) return;  // another time
  }
  if (fallocate(stream->file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin,
                end - begin) == 0) {
    if (stream->hole_end == 0) stream->hole_begin = begin;
    stream->hole_end = end;
  } else {
    stream->full = true;
    stream->why = absl::StrCat("a log has at most ", limit, " bytes");
  }
}

void OutputCollector::ReportDropped(Stream* stream) const {
  if (stream->dropped == 0) return;
  const std::string report = absl::StrCat("\n[kartograph: ", stream->dropped,
                                          " bytes are missing here: ", stream->why, "]\n");
  const int64_t before = stream->size;
  if (Append(stream, report) == report.size()) {
    stream->dropped = 0;
  } else {
    stream->size = before;  // what there is of it is overwritten
  }
}

}  // namespace kartograph::executor
