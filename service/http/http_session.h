// One connection of the HTTP server. For http_server.cc alone.
#ifndef KARTOGRAPH_SERVICE_HTTP_HTTP_SESSION_H_
#define KARTOGRAPH_SERVICE_HTTP_HTTP_SESSION_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "service/http/http_server.h"

namespace kartograph::service {

// The way onto the server's thread for those who may outlive the server. Thread-safe.
class HttpMailbox {
 public:
  explicit HttpMailbox(boost::asio::io_context* context) : context_(context) {}
  void Post(std::function<void()> job) {
    absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) boost::asio::post(*context_, std::move(job));
  }
  // What is posted from here on is dropped.
  void Close() {
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  boost::asio::io_context* context_ ABSL_GUARDED_BY(mutex_);
};

class HttpSession;

// What sessions need of their server; outlives them.
struct HttpShared {
  HttpServerOptions options;
  HttpHandler handler;
  std::shared_ptr<HttpMailbox> mailbox;
  std::set<std::shared_ptr<HttpSession>> sessions;  // used on the server's thread
};

// Used and destroyed on the server's thread alone: others hold weak pointers to it.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  // With `tls`, which outlives it, it begins with a handshake.
  static std::shared_ptr<HttpSession> Make(boost::asio::ip::tcp::socket socket,
                                           boost::asio::ssl::context* tls, HttpShared* shared);
  virtual ~HttpSession() = default;

  virtual void Begin() = 0;
  // Takes itself out of the server's set. Idempotent.
  virtual void Close() = 0;
  virtual void SendOnStream(std::shared_ptr<const std::string> data) = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_HTTP_SESSION_H_
