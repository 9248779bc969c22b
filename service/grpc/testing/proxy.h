// A network between a client and a server that can lose everything.
#ifndef KARTOGRAPH_SERVICE_GRPC_TESTING_PROXY_H_
#define KARTOGRAPH_SERVICE_GRPC_TESTING_PROXY_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kartograph::service {

// Passes bytes on between those who connect to it and a port of this machine, until it is told to
// drop them. Then it goes on taking what both sides send, so that neither sees an error or an end.
class Proxy {
 public:
  explicit Proxy(int server_port);
  ~Proxy();

  std::string address() const;
  void DropEverything() { dropping_ = true; }
  // HTTP/2 pings of clients.
  int pings() const { return pings_; }
  // That were ever made.
  int connections() const { return connections_; }
  // Of them, those that the server has ended.
  int ended_by_server() const { return ended_by_server_; }

 private:
  void Accept();
  // From one socket to another, until either ends.
  void Pass(int from, int to, bool of_client);

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> dropping_{false};
  std::atomic<int> pings_{0};
  std::atomic<int> connections_{0};
  std::atomic<int> ended_by_server_{0};
  Mutex mutex_;
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_TESTING_PROXY_H_
