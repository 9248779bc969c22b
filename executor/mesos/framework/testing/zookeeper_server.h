// A real ZooKeeper for tests, and a client to write into it.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_ZOOKEEPER_SERVER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_ZOOKEEPER_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"

struct _zhandle;

namespace kartograph::executor::mesos {

// Not thread-safe, as all here. Sessions may be as short as 200 ms.
class ZookeeperServer {
 public:
  // Whether Debian's libzookeeper-java and a Java are installed.
  static bool IsInstalled();

  // In a folder of its own in `folder`, on a free port of 127.0.0.1; not started yet.
  explicit ZookeeperServer(const std::string& folder);
  // Kills the server.
  ~ZookeeperServer();

  int port() const { return port_; }
  std::string hosts() const;  // "127.0.0.1:port"

  // Returns when the server answers. What an earlier start has stored is there again.
  absl::Status Start();
  // By SIGKILL, so that its clients are not notified.
  void Kill();
  // Deletes all data and sessions; not while it runs.
  void Wipe();
  // The sessions that watch the data of the node.
  std::vector<int64_t> Watching(absl::string_view path) const;

 private:
  bool Spawn();

  std::string folder_;
  int port_ = 0;
  int keeper_;  // a socket
  pid_t pid_ = -1;
};

// A session with a server; each call waits for its answer.
class ZookeeperClient {
 public:
  // `user`: "name:password", or empty. With `session`, it takes that session over, which its owner
  // then loses with the end of this.
  explicit ZookeeperClient(const std::string& hosts, const std::string& user = "",
                           int64_t session = 0);
  ~ZookeeperClient();

  int64_t session() const;
  // With `mine`, only this user may see it.
  absl::Status Create(const std::string& path, absl::string_view data, bool mine = false);
  absl::Status Set(const std::string& path, absl::string_view data);
  absl::Status Delete(const std::string& path);

 private:
  std::unique_ptr<absl::Notification> known_;  // the session stands, or is over
  _zhandle* handle_ = nullptr;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_ZOOKEEPER_SERVER_H_
