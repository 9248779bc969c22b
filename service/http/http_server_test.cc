#include "service/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "service/access/testing/certificates.h"
#include "service/http/testing/raw_client.h"

namespace kartograph::service {
namespace {

namespace net = boost::asio;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

// Answers with the path; the handler may be replaced.
class HttpServerTest : public testing::Test {
 protected:
  ~HttpServerTest() override {
    if (server_ != nullptr) server_->Stop();
  }

  int Start(HttpServerOptions options = {}) {
    if (options.address.host.empty()) options.address = {"127.0.0.1", 0};
    auto server =
        HttpServer::Start(std::move(options), [this](HttpRequest request, HttpReply reply) {
          last_ = request;
          handler_(request, std::move(reply));
        });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    return server_->port();
  }

  static void Echo(const HttpRequest& request, const HttpReply& reply) {
    HttpResponse response;
    response.content_type = "text/plain";
    response.body = absl::StrCat("at ", request.path);
    reply(std::move(response));
  }

  std::function<void(HttpRequest, HttpReply)> handler_ = Echo;
  HttpRequest last_;  // read after its answer
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  RawClient client(Start());
  for (int i = 0; i < 3; ++i) {
    const RawClient::Response response = client.Get(absl::StrCat("/", i));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, absl::StrCat("at /", i));
    EXPECT_EQ(response.headers.at("cache-control"), "no-cache");
    EXPECT_THAT(response.headers.at("content-security-policy"),
                AllOf(StartsWith("default-src 'self';"), HasSubstr("frame-ancestors 'none'")));
    EXPECT_EQ(response.headers.at("cross-origin-resource-policy"), "same-origin");
    EXPECT_THAT(response.headers.at("date"), HasSubstr("GMT"));
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  RawClient client(Start());
  client.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().body, "at /1");
  EXPECT_EQ(client.ReadResponse().body, "at /2");
}

TEST_F(HttpServerTest, TakesARequestThatComesByteByByte) {
  RawClient client(Start());
  for (char c : std::string("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client.Send(std::string(1, c));
  }
  EXPECT_EQ(client.ReadResponse().body, "at /slow");
}

TEST_F(HttpServerTest, ClosesAfterTheAnswerWhereAskedTo) {
  RawClient client(Start());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("at /")));
  RawClient old(server_->port());
  old.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.ReadAll(), HasSubstr("at /"));
}

TEST_F(HttpServerTest, TellsAHeadTheLengthAlone) {
  RawClient client(Start());
  client.Send("HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawClient::Response head = client.ReadResponse(/*head=*/true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "7");
  // Nothing is between it and the next answer.
  EXPECT_EQ(client.Get("/x").body, "at /x");
}

TEST_F(HttpServerTest, TakesTargetsApart) {
  RawClient client(Start());
  client.Get("/a%2Fb/c%20d?x=1%262&y&x=%C3%A9+z");
  EXPECT_THAT(last_.segments, ElementsAre("a/b", "c d"));
  EXPECT_THAT(last_.query, ElementsAre(Pair("x", "1&2"), Pair("y", ""), Pair("x", "\xC3\xA9 z")));
}

TEST_F(HttpServerTest, PassesOnWhoAsks) {
  RawClient client(Start());
  client.Send(
      "GET / HTTP/1.1\r\nhost: here:1\r\nOrigin: http://there\r\n"
      "AUTHORIZATION: Bearer x\r\nCookie: a=b; c=d\r\n\r\n");
  client.ReadResponse();
  EXPECT_EQ(last_.host, "here:1");
  EXPECT_EQ(last_.origin, "http://there");
  EXPECT_EQ(last_.authorization, "Bearer x");
  EXPECT_EQ(last_.cookie, "a=b; c=d");
  EXPECT_FALSE(last_.head);
  client.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadResponse(/*head=*/true);
  EXPECT_TRUE(last_.head);
  EXPECT_EQ(last_.origin, "");
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().status, 400) << "which of them is meant?";
}

TEST_F(HttpServerTest, RefusesWhatItCannotRead) {
  const int port = Start();
  for (const char* garbage :
       {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    RawClient client(port);
    client.Send(garbage);
    client.EndSending();
    EXPECT_THAT(client.ReadAll(),
                AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("\"code\":\"INVALID_ARGUMENT\"")))
        << garbage;
  }
  for (const char* target : {"/%zz", "/a b", "*", "http://x/"}) {
    RawClient client(port);
    client.Send(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_EQ(client.ReadResponse().status, 400) << target;
  }
  EXPECT_EQ(RawClient(port).Get("/").status, 200);
}

TEST_F(HttpServerTest, RefusesWhatIsTooLarge) {
  const int port = Start();
  RawClient header(port);
  header.Send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(header.ReadResponse().status, 431);
  RawClient target(port);
  target.Send("GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n");
  EXPECT_EQ(target.ReadResponse().status, 431);
  RawClient body(port);
  body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  EXPECT_EQ(body.ReadResponse().status, 413);
}

TEST_F(HttpServerTest, OnlyReads) {
  const int port = Start();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"}) {
    RawClient client(port);
    client.Send(absl::StrCat(method, " / HTTP/1.1\r\nHost: x\r\n\r\n"));
    const RawClient::Response response = client.ReadResponse();
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.headers.at("allow"), "GET, HEAD");
    EXPECT_THAT(response.body, HasSubstr("\"error\""));
  }
}

TEST_F(HttpServerTest, DropsAClientThatDoesNotFinishItsRequest) {
  HttpServerOptions options;
  options.request_timeout = absl::Milliseconds(50);
  RawClient client(Start(std::move(options)));
  client.Send("GET / HTTP/1.1\r\n");
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

TEST_F(HttpServerTest, ClosesConnectionsOverItsLimit) {
  HttpServerOptions options;
  options.max_connections = 2;
  const int port = Start(std::move(options));
  RawClient first(port);
  RawClient second(port);
  EXPECT_EQ(first.Get("/").status, 200);
  EXPECT_EQ(second.Get("/").status, 200);
  RawClient third(port);
  EXPECT_THAT(third.ReadAll(), IsEmpty());
  EXPECT_EQ(first.Get("/").status, 200);
}

TEST_F(HttpServerTest, TakesAnswersFromOtherThreads) {
  std::thread thread;
  handler_ = [&](HttpRequest request, HttpReply reply) {
    thread = std::thread([request, reply] { Echo(request, reply); });
  };
  RawClient client(Start());
  EXPECT_EQ(client.Get("/there").body, "at /there");
  thread.join();
}

TEST_F(HttpServerTest, DropsAnswersThatComeAfterItsEnd) {
  absl::Mutex mutex;
  HttpReply kept;
  handler_ = [&](HttpRequest, HttpReply reply) {
    absl::MutexLock lock(&mutex);
    kept = std::move(reply);
  };
  RawClient client(Start());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto has_reply = [&] { return kept != nullptr; };
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&has_reply));
  server_.reset();
  Echo({}, kept);
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

class HttpStreamTest : public HttpServerTest {
 protected:
  HttpStreamTest() {
    handler_ = [this](HttpRequest, HttpReply reply) {
      HttpResponse response;
      response.content_type = "text/event-stream";
      response.on_stream = [this](std::shared_ptr<HttpStream> stream) {
        absl::MutexLock lock(&mutex_);
        stream_ = std::move(stream);
      };
      reply(std::move(response));
    };
  }
  std::shared_ptr<HttpStream> WaitForStream() {
    const auto has_stream = [&] { return stream_ != nullptr; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&has_stream));
    return stream_;
  }
  static std::shared_ptr<const std::string> Text(std::string text) {
    return std::make_shared<const std::string>(std::move(text));
  }

  absl::Mutex mutex_;
  std::shared_ptr<HttpStream> stream_;
};

TEST_F(HttpStreamTest, SendsAsItComes) {
  RawClient client(Start());
  const RawClient::Response response = client.Get("/events");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(response.headers.count("content-length"), 0u);
  const auto stream = WaitForStream();
  EXPECT_TRUE(stream->Send(Text("one\n")));
  EXPECT_EQ(client.ReadUntil("\n"), "one\n");
  EXPECT_TRUE(stream->Send(Text("two\n")));
  EXPECT_TRUE(stream->Send(Text("three\n")));
  EXPECT_EQ(client.ReadUntil("three\n"), "two\nthree\n");
  server_->Stop();
  EXPECT_THAT(client.ReadAll(), IsEmpty());
  stream->Send(Text("late"));
}

TEST_F(HttpStreamTest, NoticesAClientThatIsGone) {
  auto client = std::make_unique<RawClient>(Start());
  client->Get("/events");
  const auto stream = WaitForStream();
  client.reset();
  const absl::Time patience = absl::Now() + absl::Minutes(1);
  bool sent = true;
  while (sent && absl::Now() < patience) {
    sent = stream->Send(Text("?"));
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_FALSE(sent);
}

TEST_F(HttpServerTest, ListensOnAllAddressesOfLocalhost) {
  net::io_context io;
  net::ip::tcp::acceptor probe(io);
  boost::system::error_code no_ipv6;
  probe.open(net::ip::tcp::v6(), no_ipv6);
  if (!no_ipv6) probe.bind({net::ip::address_v6::loopback(), 0}, no_ipv6);
  probe.close();
  HttpServerOptions options;
  options.address = {"localhost", 0};
  const auto port = static_cast<uint16_t>(Start(std::move(options)));
  net::ip::tcp::resolver resolver(io);
  int addresses = 0;
  for (const auto& entry : resolver.resolve("localhost", "")) {
    const net::ip::address address = entry.endpoint().address();
    if (address.is_v6() && no_ipv6) continue;
    net::ip::tcp::socket socket(io);
    boost::system::error_code error;
    socket.connect({address, port}, error);
    EXPECT_FALSE(error) << address << ": " << error.message();
    ++addresses;
  }
  EXPECT_GT(addresses, 0);
}

TEST_F(HttpStreamTest, DropsAClientThatDoesNotRead) {
  constexpr size_t kLimit = 1 << 20;
  HttpServerOptions options;
  options.max_stream_bytes = kLimit;
  RawClient client(Start(std::move(options)), 4096);
  client.Get("/events");
  const auto stream = WaitForStream();
  const auto piece = Text(std::string(100'000, 'x'));
  size_t sent = 0;
  while (stream->Send(piece)) {
    sent += piece->size();
    ASSERT_LT(sent, size_t{100} << 20) << "more than the limit and all buffers on the way hold";
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GE(sent + piece->size(), kLimit);
  EXPECT_LT(client.ReadAll().size(), sent);  // up to the end of the connection
}

TEST_F(HttpStreamTest, TellsAHeadOnlyTheHeader) {
  RawClient client(Start());
  client.Send("HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.ReadResponse(true).headers.at("content-type"), "text/event-stream");
  EXPECT_THAT(client.ReadAll(), IsEmpty());
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(stream_, nullptr);
}

// A connection with TLS to a port of this machine.
class SecureClient {
 public:
  SecureClient(int port, const std::string& authority) {
    context_.set_verify_mode(net::ssl::verify_peer);
    context_.add_certificate_authority(net::buffer(authority));
    stream_.emplace(io_, context_);
    stream_->lowest_layer().connect({net::ip::address_v4::loopback(), static_cast<uint16_t>(port)});
    stream_->handshake(net::ssl::stream_base::client, error);
  }
  std::string Get(const std::string& target, const std::string& until) {
    net::write(*stream_, net::buffer("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"), error);
    std::string received;
    net::read_until(*stream_, net::dynamic_buffer(received), until, error);
    return received;
  }

  boost::system::error_code error;

 private:
  net::io_context io_;
  net::ssl::context context_{net::ssl::context::tls_client};
  std::optional<net::ssl::stream<net::ip::tcp::socket>> stream_;
};

class HttpTlsTest : public HttpStreamTest {
 protected:
  HttpServerOptions Options() const {
    return {.tls = Tls{.certificates = own_.certificate, .key = own_.key}};
  }
  const SelfSigned own_;
};

TEST_F(HttpTlsTest, AnswersAndStreamsOverTls) {
  const auto stream_events = std::exchange(handler_, Echo);
  SecureClient client(Start(Options()), own_.certificate);
  EXPECT_THAT(client.Get("/1", "at /1"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.Get("/2", "at /2"), StartsWith("HTTP/1.1 200")) << "on the same connection";
  handler_ = stream_events;
  std::thread feeding([&] { WaitForStream()->Send(Text("event\n")); });
  EXPECT_THAT(client.Get("/events", "event\n"), HasSubstr("text/event-stream"));
  feeding.join();
}

TEST_F(HttpTlsTest, TakesNothingThatIsNotEncrypted) {
  handler_ = Echo;
  const int port = Start(Options());
  RawClient plain(port);
  plain.Send("GET /secret HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(plain.ReadAll(), Not(HasSubstr("secret")));
  EXPECT_TRUE(SecureClient(port, SelfSigned().certificate).error) << "who is that?";
  SecureClient client(port, own_.certificate);
  EXPECT_THAT(client.Get("/1", "at /1"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpTlsTest, DropsAClientThatDoesNotFinishItsHandshake) {
  HttpServerOptions options = Options();
  options.request_timeout = absl::Milliseconds(50);
  RawClient client(Start(std::move(options)));
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

TEST(HttpServerStartTest, SaysWhenItsPortIsTaken) {
  HttpServerOptions options;
  options.address = {"127.0.0.1", 0};
  const auto first = HttpServer::Start(options, nullptr);
  ASSERT_TRUE(first.ok());
  options.address.port = static_cast<uint16_t>((*first)->port());
  const auto second = HttpServer::Start(options, nullptr);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr(options.address.ToString()), HasSubstr("--http")));
  options.address = {"no.such.host.invalid", 0};
  EXPECT_FALSE(HttpServer::Start(options, nullptr).ok());
}

}  // namespace
}  // namespace kartograph::service
