#include "service/grpc/testing/proxy.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {
namespace {

// The header of an HTTP/2 PING frame that is no answer: eight bytes, of type 6, without flags, of
// no stream.
constexpr absl::string_view kPing("\0\0\x08\x06\0\0\0\0\0", 9);

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool SendAll(int to, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = send(to, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace

Proxy::Proxy(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener_, 16), 0);
  EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Proxy::~Proxy() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  MutexLock lock(&mutex_);
  for (int fd : sockets_) shutdown(fd, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (int fd : sockets_) close(fd);
  close(listener_);
}

std::string Proxy::address() const { return absl::StrCat("localhost:", port_); }

void Proxy::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    ++connections_;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    EXPECT_EQ(connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    MutexLock lock(&mutex_);
    sockets_.insert(sockets_.end(), {client, server});
    threads_.emplace_back([this, client, server] { Pass(client, server, true); });
    threads_.emplace_back([this, client, server] { Pass(server, client, false); });
  }
}

void Proxy::Pass(int from, int to, bool of_client) {
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = recv(from, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    if (dropping_) continue;
    const absl::string_view data(buffer, static_cast<size_t>(got));
    if (of_client && data.find(kPing) != absl::string_view::npos) ++pings_;
    if (!SendAll(to, data)) break;
  }
  if (!of_client) ++ended_by_server_;
  // A black hole does not tell one side that the other has gone.
  if (!dropping_) shutdown(to, SHUT_RDWR);
}

}  // namespace kartograph::service
