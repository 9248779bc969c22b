#include "executor/mesos/api_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "executor/mesos/record_io.h"

namespace kartograph::executor::mesos {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A self-signed certificate for 127.0.0.1.
struct SelfSigned {
  std::string certificate;
  std::string key;

  SelfSigned() {
    EVP_PKEY* pair = EVP_RSA_gen(2048);
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400);
    X509_set_pubkey(made, pair);
    X509_NAME* name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
    X509_set_issuer_name(made, name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(made, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(made, pair, EVP_sha256());
    certificate = Text([&](BIO* out) { PEM_write_bio_X509(out, made); });
    key = Text([&](BIO* out) {
      PEM_write_bio_PrivateKey(out, pair, nullptr, nullptr, 0, nullptr, nullptr);
    });
    X509_free(made);
    EVP_PKEY_free(pair);
  }

 private:
  template <typename Write>
  static std::string Text(Write write) {
    BIO* out = BIO_new(BIO_s_mem());
    write(out);
    char* bytes = nullptr;
    const auto size = BIO_get_mem_data(out, &bytes);
    std::string text(bytes, static_cast<size_t>(size));
    BIO_free(out);
    return text;
  }
};

// Answers one connection after the other with what a test says, on a thread of its own: the first
// is the stream, the second that of the calls. Keeps the requests.
class Server {
 public:
  struct Answer {
    std::string text;
    int requests = 1;   // that are read before it
    bool stay = false;  // open after it
  };
  Server(std::vector<Answer> answers, const SelfSigned* tls = nullptr)
      : answers_(std::move(answers)), acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    if (tls != nullptr) {
      context_.emplace(ssl::context::tls_server);
      context_->use_certificate_chain(asio::buffer(tls->certificate));
      context_->use_private_key(asio::buffer(tls->key), ssl::context::pem);
    }
    port_ = acceptor_.local_endpoint().port();
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    // Wakes an accept without a client.
    boost::system::error_code ignored;
    tcp::socket last(io_);
    last.connect({asio::ip::address_v4::loopback(), port_}, ignored);
    last.close(ignored);
    thread_.join();
  }

  uint16_t port() const { return port_; }
  // After the session has ended.
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  void Run() {
    for (const Answer& answer : answers_) {
      boost::system::error_code error;
      auto socket = std::make_unique<tcp::socket>(io_);
      acceptor_.accept(*socket, error);
      if (context_) {
        auto stream = std::make_unique<ssl::stream<tcp::socket>>(std::move(*socket), *context_);
        stream->handshake(ssl::stream_base::server, error);
        if (error) continue;
        Serve(*stream, answer);
        if (answer.stay) secure_.push_back(std::move(stream));
      } else {
        Serve(*socket, answer);
        if (answer.stay) plain_.push_back(std::move(socket));
      }
    }
  }
  template <typename Stream>
  void Serve(Stream& stream, const Answer& answer) {
    boost::system::error_code error;
    std::string got;
    for (int i = 0; i < answer.requests && !error; ++i) {
      const size_t head = asio::read_until(stream, asio::dynamic_buffer(got), "\r\n\r\n", error);
      if (error) return;
      const size_t at = got.find("Content-Length: ");
      const size_t body = static_cast<size_t>(std::stoul(got.substr(at + 16)));
      while (got.size() < head + body && !error) {
        std::string more(head + body - got.size(), '\0');
        more.resize(stream.read_some(asio::buffer(more), error));
        got += more;
      }
      requests_.push_back(got.substr(0, head + body));
      got.erase(0, head + body);
    }
    asio::write(stream, asio::buffer(answer.text), error);
  }

  asio::io_context io_;
  const std::vector<Answer> answers_;
  tcp::acceptor acceptor_;
  std::optional<ssl::context> context_;
  uint16_t port_ = 0;
  std::vector<std::string> requests_;
  // That stay open as long as this lives.
  std::vector<std::unique_ptr<ssl::stream<tcp::socket>>> secure_;
  std::vector<std::unique_ptr<tcp::socket>> plain_;
  std::thread thread_;
};

std::string Stream(std::vector<std::string> records) {
  std::string answer =
      "HTTP/1.1 200 OK\r\nMesos-Stream-Id: 42\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& record : records) {
    const std::string framed = EncodeRecord(record);
    absl::StrAppend(&answer, absl::Hex(framed.size()), "\r\n", framed, "\r\n");
  }
  return answer;
}

constexpr char kEndOfStream[] = "0\r\n\r\n";
constexpr char kAccepted[] = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

// Runs a session until it has ended.
struct SessionRun {
  std::vector<std::string> records;
  SessionEnd end;
  std::vector<absl::Status> answers;

  // Makes these calls at the first record.
  SessionRun(uint16_t port, ssl::context* tls = nullptr, std::vector<std::string> calls = {},
             ApiSession::Options options = {}) {
    asio::io_context io;
    options.endpoint = {tls != nullptr, "127.0.0.1", port, "/api/v1/scheduler"};
    options.authorization = "Basic abc";
    options.tls_context = tls;
    std::unique_ptr<ApiSession> session =
        ApiSession::Open(io, options, "subscribe",
                         {[&](absl::string_view record) {
                            records.emplace_back(record);
                            if (records.size() > 1) return;
                            for (const std::string& call : calls) {
                              session->Call(call, [&](const absl::Status& status) {
                                answers.push_back(status);
                                if (answers.size() == calls.size()) session.reset();
                              });
                            }
                          },
                          [&](const SessionEnd& ended) { end = ended; }});
    io.run();
  }
};

TEST(ApiSessionTest, ReadsTheStreamAndMakesCallsWithItsId) {
  const SessionRun run = [] {
    Server server(
        {{Stream({"one", "two"}), 1, true},
         {absl::StrCat(kAccepted, "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\n", "wrong"),
          2}});
    SessionRun ran(server.port(), nullptr, {"first", "second"});
    EXPECT_EQ(server.requests().size(), 3u);
    if (server.requests().size() != 3) return ran;
    EXPECT_THAT(server.requests()[0], HasSubstr("POST /api/v1/scheduler HTTP/1.1\r\n"));
    EXPECT_THAT(server.requests()[0], HasSubstr("Authorization: Basic abc\r\n"));
    EXPECT_THAT(server.requests()[0], HasSubstr("Accept: application/x-protobuf\r\n"));
    EXPECT_FALSE(absl::StrContains(server.requests()[0], "Mesos-Stream-Id"));
    EXPECT_THAT(server.requests()[1], HasSubstr("Mesos-Stream-Id: 42\r\n"));
    EXPECT_TRUE(absl::EndsWith(server.requests()[1], "\r\n\r\nfirst"));
    EXPECT_TRUE(absl::EndsWith(server.requests()[2], "\r\n\r\nsecond"));
    return ran;
  }();
  EXPECT_THAT(run.records, ElementsAre("one", "two"));
  ASSERT_EQ(run.answers.size(), 2u) << run.end.message;
  EXPECT_TRUE(run.answers[0].ok()) << run.answers[0];
  EXPECT_EQ(run.answers[1].code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(run.answers[1].ToString(), HasSubstr("wrong"));
}

TEST(ApiSessionTest, SaysHowItEnded) {
  struct Case {
    std::string answer;
    SessionEnd::Kind kind;
    std::string message;
  };
  const std::vector<Case> cases = {
      {absl::StrCat(Stream({"one"}), kEndOfStream), SessionEnd::Kind::kLost, "ended"},
      {Stream({"one"}), SessionEnd::Kind::kLost, "ended"},
      {absl::StrCat(Stream({}), "6\r\n10\nabc\r\n", kEndOfStream), SessionEnd::Kind::kLost,
       "in the middle"},
      {absl::StrCat(Stream({}), "6\r\nnot a \r\n"), SessionEnd::Kind::kBroken, ""},
      {"HTTP/1.1 307 Temporary Redirect\r\nLocation: //10.0.0.1:5050\r\nContent-Length: 0\r\n\r\n",
       SessionEnd::Kind::kRedirected, "//10.0.0.1:5050"},
      {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno leader",
       SessionEnd::Kind::kNotServing, "no leader"},
      {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", SessionEnd::Kind::kNotAuthorized,
       "401"},
      {"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad", SessionEnd::Kind::kRefused,
       "bad"},
      {"", SessionEnd::Kind::kUnreachable, ""},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.answer);
    Server server({{one.answer}});
    const SessionRun run(server.port());
    EXPECT_EQ(run.end.kind, one.kind) << run.end.message;
    EXPECT_THAT(run.end.message, HasSubstr(one.message));
    EXPECT_THAT(run.end.message, HasSubstr("127.0.0.1"));
  }
}

TEST(ApiSessionTest, WhatWaitsToBeSentHasABound) {
  Server server({{Stream({"one"}), 1, true}});
  ApiSession::Options options;
  options.max_unsent_bytes = 1000;
  const std::string call(400, 'x');
  const SessionRun run(server.port(), nullptr, {call, call, call, call}, options);
  EXPECT_EQ(run.end.kind, SessionEnd::Kind::kLost);
  EXPECT_THAT(run.end.message, HasSubstr("does not take calls in time"));
}

TEST(ApiSessionTest, NobodyListens) {
  uint16_t port = 0;
  {
    asio::io_context io;
    tcp::acceptor free(io, {asio::ip::address_v4::loopback(), 0});
    port = free.local_endpoint().port();
  }
  EXPECT_EQ(SessionRun(port).end.kind, SessionEnd::Kind::kUnreachable);
}

TEST(ApiSessionTest, SpeaksTlsWithWhomItTrusts) {
  const SelfSigned pair;
  ssl::context trusting(ssl::context::tls_client);
  trusting.set_verify_mode(ssl::verify_peer);
  trusting.add_certificate_authority(asio::buffer(pair.certificate));
  std::vector<std::string> records;
  {
    Server server({{Stream({"one"}), 1, true}, {kAccepted}}, &pair);
    const SessionRun run(server.port(), &trusting, {"call"});
    EXPECT_THAT(run.records, ElementsAre("one"));
    ASSERT_EQ(run.answers.size(), 1u) << run.end.message;
    EXPECT_TRUE(run.answers[0].ok());
  }
  ssl::context strict(ssl::context::tls_client);
  strict.set_verify_mode(ssl::verify_peer);
  Server server({{Stream({"one"})}}, &pair);
  const SessionRun run(server.port(), &strict);
  EXPECT_THAT(run.records, ElementsAre());
  EXPECT_EQ(run.end.kind, SessionEnd::Kind::kUnreachable);
  EXPECT_THAT(run.end.message, HasSubstr("no TLS"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
