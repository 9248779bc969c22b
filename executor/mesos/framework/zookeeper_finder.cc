#include "executor/mesos/framework/zookeeper_finder.h"

#include <spdlog/spdlog.h>
#include <zookeeper/zookeeper.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "executor/mesos/framework/master_node.h"

namespace kartograph::executor::mesos {
namespace {

namespace asio = boost::asio;

template <typename ToText>
std::string Joined(const std::vector<HostPort>& hosts, ToText to_text) {
  return absl::StrJoin(hosts, ",", [&](std::string* out, const HostPort& host) {
    absl::StrAppend(out, std::invoke(to_text, host));
  });
}

// The client looks up addresses and says good-bye in blocking calls; so it has a thread of its own,
// the worker, which owns everything here but what is named otherwise. The client's own threads only
// post to it.
class ZookeeperFinder final : public MasterFinder {
 public:
  ZookeeperFinder(asio::io_context& io, MasterAddress address, ZookeeperOptions options,
                  std::function<void()> changed)
      : io_(io),
        changed_(std::move(changed)),
        found_(absl::UnavailableError("")),
        alive_(std::make_shared<bool>(true)),
        address_(std::move(address)),
        options_(options),
        is_alive_(alive_),
        hosts_(Joined(address_.hosts, &HostPort::ToString)),
        reopen_(worker_),
        retry_(worker_) {
    found_ = absl::UnavailableError(NoConnection());
    thread_ = std::thread([this] {
      Open();
      worker_.run();
    });
  }

  ~ZookeeperFinder() override {
    alive_.reset();
    asio::post(worker_, [this] {
      Close();
      worker_.stop();
    });
    thread_.join();
  }

  absl::StatusOr<Endpoint> Next() override { return found_; }

 private:
  // What the client passes to its callbacks. What was posted for an earlier one is void.
  struct Session;
  struct Reading {
    const Session* session;
    std::string node;
  };
  struct Session {
    ZookeeperFinder* finder;
    int64_t number;
    // Under way. The client forgets some without a word when it is closed, so that none of them can
    // be their callback's to destroy.
    std::list<Reading> readings;
  };
  struct Leader {
    std::string node;
    Endpoint endpoint;
  };

  // Runs `then` on the worker, if the session is still the current one.
  template <typename Then>
  static void Post(const Session& session, Then then) {
    ZookeeperFinder* finder = session.finder;
    asio::post(finder->worker_,
               [finder, number = session.number, then = std::move(then)]() mutable {
                 if (finder->session_ && finder->session_->number == number) then(*finder);
               });
  }

  // The client's callbacks, on its threads, and on the worker while it closes a handle.
  static void OnSession(zhandle_t*, int type, int state, const char*, void* context) {
    if (type != ZOO_SESSION_EVENT) return;
    Post(*static_cast<Session*>(context),
         [state](ZookeeperFinder& finder) { finder.SessionChanged(state); });
  }
  static void OnWatch(zhandle_t*, int type, int, const char*, void* context) {
    if (type == ZOO_SESSION_EVENT) return;  // OnSession gets it, too
    Post(*static_cast<Session*>(context), [](ZookeeperFinder& finder) { finder.List(); });
  }
  static void OnChildren(int code, const String_vector* names, const void* context) {
    std::vector<std::string> copy;
    if (code == ZOK && names != nullptr) copy.assign(names->data, names->data + names->count);
    Post(*static_cast<const Session*>(context),
         [code, copy = std::move(copy)](ZookeeperFinder& finder) { finder.Listed(code, copy); });
  }
  static void OnExists(int code, const Stat*, const void* context) {
    Post(*static_cast<const Session*>(context), [code](ZookeeperFinder& finder) {
      if (code == ZOK) return finder.List();  // it has just been made
      if (code != ZNONODE) finder.Failed(code, finder.address_.path);
    });
  }
  static void OnData(int code, const char* value, int length, const Stat*, const void* context) {
    const auto* reading = static_cast<const Reading*>(context);
    std::string data;
    if (code == ZOK && value != nullptr && length > 0) data.assign(value, length);
    Post(*reading->session, [code, reading, data = std::move(data)](ZookeeperFinder& finder) {
      const std::string node = reading->node;
      finder.session_->readings.remove_if(
          [reading](const Reading& other) { return &other == reading; });
      finder.Read(code, node, data);
    });
  }
  // Its warnings repeat with each attempt; what matters of them is in our own reasons.
  static void OnLog(const char* message) { spdlog::debug("ZooKeeper: {}", message); }

  void Open() {
    Close();
    session_ = std::make_unique<Session>(Session{this, ++sessions_, {}});
    // The client takes the last colon for the port's, and knows no brackets.
    const std::string hosts = Joined(address_.hosts, [](const HostPort& host) {
      return absl::StrCat(host.host, ":", host.port);
    });
    handle_ = zookeeper_init2(hosts.c_str(), &OnSession,
                              static_cast<int>(absl::ToInt64Milliseconds(options_.session_timeout)),
                              nullptr, session_.get(), ZOO_NO_LOG_CLIENTENV, &OnLog);
    if (handle_ == nullptr) {
      const int error = errno;
      Keep(absl::StrCat(NoConnection(), ": ",
                        error == EINVAL || error == ENOENT ? "no address of a host can be found"
                                                           : strerror(error)));
      return After(reopen_, options_.retry_delay, &ZookeeperFinder::Open);
    }
    if (!address_.user.empty()) {
      const std::string both = absl::StrCat(address_.user, ":", address_.password);
      zoo_add_auth(handle_, "digest", both.data(), static_cast<int>(both.size()), nullptr, nullptr);
    }
    After(reopen_, 2 * options_.session_timeout, &ZookeeperFinder::Open);
  }

  // After it no callback runs for the handle.
  void Close() {
    reopen_.cancel();
    retry_.cancel();
    if (handle_ != nullptr) zookeeper_close(handle_);
    handle_ = nullptr;
    session_.reset();
    connected_ = false;
  }

  void SessionChanged(int state) {
    if (state == ZOO_CONNECTED_STATE) {
      connected_ = true;
      reopen_.cancel();
      List();
    } else if (state == ZOO_EXPIRED_SESSION_STATE) {
      Open();
    } else if (state == ZOO_AUTH_FAILED_STATE) {
      Keep(absl::StrCat(Named(), " does not accept the user ", address_.user));
      After(reopen_, options_.retry_delay, &ZookeeperFinder::Open);
    } else if (connected_) {
      // Not for each attempt to reconnect.
      connected_ = false;
      Keep(NoConnection());
      After(reopen_, 2 * options_.session_timeout, &ZookeeperFinder::Open);
    }
  }

  void List() {
    const int code = zoo_awget_children(handle_, address_.path.c_str(), &OnWatch, session_.get(),
                                        &OnChildren, session_.get());
    if (code != ZOK) Failed(code, address_.path);
  }

  void Listed(int code, const std::vector<std::string>& names) {
    if (code != ZOK && code != ZNONODE) return Failed(code, address_.path);
    wanted_ = LeadingNode(names).value_or("");
    if (wanted_.empty()) {
      Lose(absl::StrCat("no master is registered under ", address_.path, " in ", Named()));
    }
    if (code == ZNONODE) {
      // A watch for the children would need the node.
      code = zoo_awexists(handle_, address_.path.c_str(), &OnWatch, session_.get(), &OnExists,
                          session_.get());
      if (code != ZOK) Failed(code, address_.path);
      return;
    }
    if (wanted_.empty()) return;
    Reading& reading = session_->readings.emplace_back(Reading{session_.get(), wanted_});
    const std::string path = PathOf(wanted_);
    code = zoo_awget(handle_, path.c_str(), &OnWatch, session_.get(), &OnData, &reading);
    if (code == ZOK) return;
    session_->readings.pop_back();
    Failed(code, path);
  }

  void Read(int code, const std::string& node, const std::string& data) {
    if (node != wanted_) return;
    // The watch of the children shows who follows.
    if (code == ZNONODE) return;
    if (code != ZOK) return Failed(code, PathOf(node));
    absl::StatusOr<Endpoint> endpoint = ParseMasterNode(node, data, address_.tls);
    if (!endpoint.ok()) {
      return Lose(
          absl::StrCat(endpoint.status().message(), " (in ", address_.path, " of ", Named(), ")"));
    }
    endpoint->target = kSchedulerTarget;
    Lead({node, *std::move(endpoint)});
  }

  // A request about `path` has failed.
  void Failed(int code, absl::string_view path) {
    // The session's own event has reported it, or will.
    if (code == ZCONNECTIONLOSS || code == ZSESSIONEXPIRED || code == ZCLOSING ||
        code == ZINVALIDSTATE) {
      return;
    }
    const std::string who =
        address_.user.empty() ? "without a user (zk://user:password@...)" : "to " + address_.user;
    Keep(absl::StrCat(Named(), " does not show ", path,
                      code == ZNOAUTH ? absl::StrCat(" ", who) : absl::StrCat(": ", zerror(code))));
    After(retry_, options_.retry_delay, &ZookeeperFinder::List);
  }

  // Another leader, or the first.
  void Lead(Leader leader) {
    if (leader_ && leader_->node == leader.node && leader_->endpoint == leader.endpoint) return;
    leader_ = std::move(leader);
    asio::post(io_, [this, is_alive = is_alive_, endpoint = leader_->endpoint] {
      if (is_alive.expired()) return;
      found_ = endpoint;
      const std::function<void()> changed = changed_;  // it may destroy this
      changed();
    });
  }

  // There is no leader.
  void Lose(std::string reason) {
    leader_.reset();
    asio::post(io_, [this, is_alive = is_alive_, reason = std::move(reason)] {
      if (!is_alive.expired()) found_ = absl::UnavailableError(reason);
    });
  }

  // Who leads is not known: the last leader is believed to go on.
  void Keep(std::string reason) {
    if (!leader_) return Lose(std::move(reason));
    spdlog::warn("{}; {} is taken for the leading master still", reason,
                 leader_->endpoint.ToString());
  }

  void After(asio::steady_timer& timer, absl::Duration delay, void (ZookeeperFinder::*then)()) {
    timer.expires_after(absl::ToChronoNanoseconds(delay));
    timer.async_wait([this, then, number = sessions_](const boost::system::error_code& error) {
      if (!error && session_ && number == sessions_) (this->*then)();
    });
  }

  std::string PathOf(absl::string_view node) const {
    return absl::StrCat(address_.path, "/", node);
  }
  std::string Named() const { return absl::StrCat("ZooKeeper at ", hosts_); }
  std::string NoConnection() const { return absl::StrCat("no connection to ", Named()); }

  // Of the io_context's thread.
  asio::io_context& io_;
  const std::function<void()> changed_;
  absl::StatusOr<Endpoint> found_;
  std::shared_ptr<bool> alive_;  // until the destructor

  const MasterAddress address_;
  const ZookeeperOptions options_;
  const std::weak_ptr<bool> is_alive_;
  const std::string hosts_;

  asio::io_context worker_;
  const asio::executor_work_guard<asio::io_context::executor_type> work_{worker_.get_executor()};
  asio::steady_timer reopen_;
  asio::steady_timer retry_;
  zhandle_t* handle_ = nullptr;
  std::unique_ptr<Session> session_;  // outlives the handle
  int64_t sessions_ = 0;
  bool connected_ = false;
  std::string wanted_;  // the node that leads, which may not have been read yet
  std::optional<Leader> leader_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<MasterFinder> MakeZookeeperFinder(asio::io_context& io, MasterAddress address,
                                                  ZookeeperOptions options,
                                                  std::function<void()> changed) {
  // One level for the whole process; without it the client formats each line of its log in vain.
  zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
  return std::make_unique<ZookeeperFinder>(io, std::move(address), options, std::move(changed));
}

}  // namespace kartograph::executor::mesos
