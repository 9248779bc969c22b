#include "executor/runner/testing/dead_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::testing {

DeadMount::DeadMount(std::string folder)
    : folder_(std::move(folder)), device_(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)) {
  if (!device_.ok()) return;
  const std::string data =
      absl::StrCat("fd=", device_.get(), ",rootmode=40000,user_id=0,group_id=0,allow_other");
  mounted_ = mount("dead", folder_.c_str(), "fuse", MS_NOSUID | MS_NODEV, data.c_str()) == 0;
  if (mounted_) server_ = std::thread([this] { Serve(); });
}

DeadMount::~DeadMount() {
  stopping_ = true;
  if (server_.joinable()) server_.join();
  // Closing the device gives every waiting process an error.
  if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
}

void DeadMount::Serve() {
  std::vector<char> buffer(1 << 17);
  while (!stopping_) {
    struct pollfd wait = {device_.get(), POLLIN, 0};
    if (poll(&wait, 1, 10) <= 0) continue;
    const ssize_t bytes = read(device_.get(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EAGAIN) continue;
    if (bytes < static_cast<ssize_t>(sizeof(struct fuse_in_header))) return;
    struct fuse_in_header request;
    memcpy(&request, buffer.data(), sizeof(request));
    if (request.opcode == FUSE_INTERRUPT) continue;
    if (request.opcode != FUSE_INIT) {
      ++requests_;
      continue;
    }
    struct fuse_init_out answer = {};
    answer.major = FUSE_KERNEL_VERSION;
    answer.minor = 31;
    answer.max_readahead = 1 << 16;
    answer.flags = FUSE_PARALLEL_DIROPS;  // or only the first request would come
    answer.max_background = 12;
    answer.congestion_threshold = 10;
    answer.max_write = 1 << 16;
    struct fuse_out_header header = {};
    header.len = sizeof(header) + sizeof(answer);
    header.unique = request.unique;
    struct iovec parts[2] = {{&header, sizeof(header)}, {&answer, sizeof(answer)}};
    if (writev(device_.get(), parts, 2) < 0) return;
  }
}

}  // namespace kartograph::executor::testing
