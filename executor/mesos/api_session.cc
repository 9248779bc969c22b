#include "executor/mesos/api_session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "executor/mesos/http_connection.h"
#include "executor/mesos/record_io.h"

namespace kartograph::executor::mesos {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Kind = SessionEnd::Kind;

// Calls on their way at once: the answers to this many surely fit into the socket.
constexpr size_t kMaxBatch = 64;
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxErrorText = 16 << 10;
constexpr absl::Duration kCallTimeout = absl::Seconds(30);

using TextParser = http::response_parser<http::string_body>;

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::io_context& io, ApiSession::Options options, ApiSession::Handlers handlers)
      : io_(io),
        options_(std::move(options)),
        handlers_(std::move(handlers)),
        stream_(io, TlsContext()),
        wake_(io, asio::steady_timer::time_point::max()) {}

  void Start(std::string subscribe) {
    asio::co_spawn(io_, RunStream(shared_from_this(), std::move(subscribe)), asio::detached);
  }

  void Call(std::string call, std::function<void(const absl::Status&)> done) {
    if (overflowed_) return;
    unsent_bytes_ += call.size();
    if (unsent_bytes_ > options_.max_unsent_bytes) {
      overflowed_ = true;
      // Not from within the caller, which the end may destroy.
      asio::post(io_, [self = shared_from_this()] {
        self->End(Kind::kLost, absl::StrCat(self->options_.endpoint.ToString(),
                                            " does not take calls in time: ", self->unsent_bytes_,
                                            " bytes wait for it"));
      });
      return;
    }
    queue_.push_back({std::move(call), std::move(done)});
    wake_.cancel();
  }

  void Close() {
    closed_ = true;
    stream_.Close();
    if (calls_) calls_->Close();
    wake_.cancel();
  }

 private:
  struct Waiting {
    std::string call;
    std::function<void(const absl::Status&)> done;
  };

  asio::ssl::context* TlsContext() const {
    return options_.endpoint.tls ? options_.tls_context : nullptr;
  }

  void End(Kind kind, absl::string_view message, std::string location = "") {
    if (closed_) return;
    Close();
    SessionEnd end;
    end.kind = kind;
    end.message = std::string(message);
    end.location = std::move(location);
    handlers_.on_end(end);
  }

  // Of every request.
  RequestHeader MakeHeader() const {
    const Endpoint& to = options_.endpoint;
    RequestHeader header;
    header.version(11);
    header.method(http::verb::post);
    header.target(to.target);
    header.set(http::field::host, HostPort{to.host, to.port}.ToString());
    header.set(http::field::content_type, "application/x-protobuf");
    header.set(http::field::accept, "application/x-protobuf");
    if (!options_.authorization.empty()) {
      header.set(http::field::authorization, options_.authorization);
    }
    return header;
  }

  // The end that an answer outside the protocol means.
  void EndByAnswer(const http::response<http::string_body>& answer) {
    const std::string address = options_.endpoint.ToString();
    const unsigned status = answer.result_int();
    const auto header = answer.find(http::field::location);
    if (status >= 300 && status < 400 && header != answer.end()) {
      const std::string location(header->value());
      return End(Kind::kRedirected, absl::StrCat(address, " says that ", location, " leads"),
                 location);
    }
    const std::string text(absl::StripAsciiWhitespace(answer.body().substr(0, 1000)));
    const std::string said = absl::StrCat(address, " answers ", status, " ",
                                          std::string(http::obsolete_reason(answer.result())),
                                          text.empty() ? "" : ": ", text);
    if (status == 503) return End(Kind::kNotServing, said);
    if (status == 401 || status == 403) return End(Kind::kNotAuthorized, said);
    End(Kind::kRefused, said);
  }

  // The coroutines keep the session alive by their argument.
  static asio::awaitable<void> RunStream(std::shared_ptr<Session> self, std::string subscribe) {
    Session& s = *self;
    s.stream_.SetTimeout(s.options_.connect_timeout);
    absl::Status status =
        co_await s.stream_.Connect(s.options_.endpoint.host, s.options_.endpoint.port);
    if (status.ok()) {
      std::string request;
      AppendRequest(s.header_, subscribe, &request);
      status = co_await s.stream_.Write(request);
    }
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    if (status.ok()) status = co_await s.stream_.ReadHeader(parser);
    if (!status.ok()) {
      s.End(Kind::kUnreachable, status.message());
      co_return;
    }
    if (parser.get().result() != http::status::ok) {
      co_await s.ReadRefusal(parser);
      co_return;
    }
    const auto& head = parser.get();
    if (auto id = head.find("Mesos-Stream-Id"); id != head.end()) {
      s.header_.set("Mesos-Stream-Id", id->value());
    }
    s.stream_.SetTimeout(absl::InfiniteDuration());
    asio::co_spawn(s.io_, RunCalls(self), asio::detached);
    co_await s.ReadRecords(parser);
  }

  asio::awaitable<void> ReadRefusal(http::response_parser<http::buffer_body>& parser) {
    http::response<http::string_body> answer;
    answer.base() = parser.get().base();
    std::vector<char> piece(kMaxErrorText);
    while (!parser.is_done() && answer.body().size() < kMaxErrorText) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      const HttpConnection::Error error = co_await stream_.ReadSome(parser);
      answer.body().append(piece.data(), piece.size() - parser.get().body().size);
      if (error && error != http::error::need_buffer) break;
    }
    EndByAnswer(answer);
  }

  asio::awaitable<void> ReadRecords(http::response_parser<http::buffer_body>& parser) {
    RecordReader reader;
    std::string record;
    std::vector<char> piece(kReadBytes);
    const std::string address = options_.endpoint.ToString();
    while (!closed_) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      const HttpConnection::Error error = co_await stream_.ReadSome(parser);
      if (closed_) co_return;
      reader.Append({piece.data(), piece.size() - parser.get().body().size});
      while (!closed_) {
        const absl::StatusOr<bool> got = reader.Next(&record);
        if (!got.ok()) {
          End(Kind::kBroken, absl::StrCat(address, ": ", std::string(got.status().message())));
          co_return;
        }
        if (!*got) break;
        handlers_.on_record(record);
      }
      if (parser.is_done() || (error && error != http::error::need_buffer)) {
        End(Kind::kLost, absl::StrCat(address, " has ended the connection",
                                      reader.in_record() ? " in the middle of a message" : "",
                                      error ? ": " : "", error ? error.message() : ""));
        co_return;
      }
    }
  }

  static asio::awaitable<void> RunCalls(std::shared_ptr<Session> self) {
    Session& s = *self;
    while (!s.closed_) {
      if (s.queue_.empty()) {
        s.wake_.expires_at(asio::steady_timer::time_point::max());
        co_await s.wake_.async_wait(kAwaitResult);
        continue;
      }
      const absl::Status status = co_await s.SendBatch();
      if (!status.ok()) s.End(Kind::kUnreachable, status.message());
    }
  }

  asio::awaitable<absl::Status> SendBatch() {
    if (!calls_ || !calls_->IsOpen()) {
      calls_.emplace(io_, TlsContext());
      calls_->SetTimeout(kCallTimeout);
      absl::Status connected =
          co_await calls_->Connect(options_.endpoint.host, options_.endpoint.port);
      if (!connected.ok()) co_return connected;
    }
    calls_->SetTimeout(kCallTimeout);
    std::vector<Waiting> batch;
    std::string requests;
    while (!queue_.empty() && batch.size() < kMaxBatch) {
      AppendRequest(header_, queue_.front().call, &requests);
      unsent_bytes_ -= queue_.front().call.size();
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    absl::Status written = co_await calls_->Write(requests);
    if (!written.ok()) co_return written;
    for (Waiting& waiting : batch) {
      TextParser parser;
      absl::Status read = co_await calls_->Read(parser);
      if (!read.ok()) co_return read;
      if (closed_) co_return absl::OkStatus();
      const http::response<http::string_body>& answer = parser.get();
      const unsigned code = answer.result_int();
      absl::Status result;
      if (code >= 300 && (code < 400 || code == 503 || code == 401)) {
        EndByAnswer(answer);
        co_return absl::OkStatus();
      }
      if (code >= 300) {
        result = absl::InvalidArgumentError(absl::StrCat(
            options_.endpoint.ToString(), " refuses a call with ", code, ": ", answer.body()));
      }
      if (waiting.done) waiting.done(result);
      if (closed_) co_return absl::OkStatus();
    }
    co_return absl::OkStatus();
  }

  asio::io_context& io_;
  const ApiSession::Options options_;
  const ApiSession::Handlers handlers_;
  HttpConnection stream_;
  std::optional<HttpConnection> calls_;
  asio::steady_timer wake_;  // cancelled when there are calls to send
  std::deque<Waiting> queue_;
  size_t unsent_bytes_ = 0;              // of calls in queue_
  bool overflowed_ = false;              // the session is about to end
  RequestHeader header_ = MakeHeader();  // without a stream's id before there is a stream
  bool closed_ = false;
};

class Handle final : public ApiSession {
 public:
  explicit Handle(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~Handle() override { session_->Close(); }
  void Call(std::string call, std::function<void(const absl::Status&)> done) override {
    session_->Call(std::move(call), std::move(done));
  }

 private:
  const std::shared_ptr<Session> session_;
};

}  // namespace

std::unique_ptr<ApiSession> ApiSession::Open(asio::io_context& io, Options options,
                                             std::string subscribe, Handlers handlers) {
  auto session = std::make_shared<Session>(io, std::move(options), std::move(handlers));
  session->Start(std::move(subscribe));
  return std::make_unique<Handle>(std::move(session));
}

}  // namespace kartograph::executor::mesos
