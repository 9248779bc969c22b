#include "service/grpc/grpc_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using testing::HasSubstr;

class GrpcServerTest : public testing::Test {
 protected:
  // A unary call by name with raw bytes.
  grpc::Status Call(const std::string& method, const std::string& request,
                    std::string* response = nullptr) {
    grpc::GenericStub stub(harness_.NewChannel());
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer message(&slice, 1);
    auto call = stub.PrepareUnaryCall(&context, method, message, &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (response != nullptr && status.ok()) *response = TextOf(answer);
    return status;
  }

  static std::string TextOf(const grpc::ByteBuffer& bytes) {
    std::vector<grpc::Slice> slices;
    std::string text;
    if (!bytes.Valid() || !bytes.Dump(&slices).ok()) return text;
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return text;
  }

  // The bytes that answer one question to reflection.
  std::string Reflect(const std::string& version, const std::string& question) {
    grpc::GenericStub stub(harness_.NewChannel());
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto next = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto call = stub.PrepareCall(
        &context,
        absl::StrCat("/grpc.reflection.", version, ".ServerReflection/ServerReflectionInfo"),
        &queue);
    call->StartCall(this);
    EXPECT_TRUE(next());
    const grpc::Slice slice(question);
    call->Write(grpc::ByteBuffer(&slice, 1), this);
    EXPECT_TRUE(next());
    grpc::ByteBuffer answer;
    call->Read(&answer, this);
    EXPECT_TRUE(next());
    call->WritesDone(this);
    EXPECT_TRUE(next());
    grpc::Status status;
    call->Finish(&status, this);
    EXPECT_TRUE(next());
    EXPECT_TRUE(status.ok()) << status.error_message();
    return TextOf(answer);
  }

  bool Serves() {
    grpc::ClientContext context;
    v1::Cluster response;
    return harness_.stub->GetCluster(&context, {}, &response).ok();
  }

  // Sends bytes to the port and reads until the server closes the connection.
  void SendRaw(const std::string& bytes) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(harness_.server->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    char ignored[4096];
    while (recv(fd, ignored, sizeof ignored, 0) > 0) {
    }
    close(fd);
  }

  GrpcHarness harness_;
};

TEST_F(GrpcServerTest, TellsItsHealth) {
  std::string answer;
  ASSERT_TRUE(Call("/grpc.health.v1.Health/Check", "", &answer).ok());
  EXPECT_EQ(answer, "\x08\x02");  // NOT_SERVING
  harness_.server->SetServing(true);
  const std::string named = absl::StrCat("\x0a\x1a", "kartograph.v1.TaskExecuter");
  for (const std::string& request : {std::string(), named}) {
    answer.clear();
    ASSERT_TRUE(Call("/grpc.health.v1.Health/Check", request, &answer).ok());
    EXPECT_EQ(answer, "\x08\x01");  // SERVING
  }
}

TEST_F(GrpcServerTest, DescribesItselfInBothVersionsOfReflection) {
  for (const std::string version : {"v1", "v1alpha"}) {
    SCOPED_TRACE(version);
    const std::string services = Reflect(version, "\x3a\x01*");  // list_services
    for (const char* name : {"kartograph.v1.TaskExecuter", "grpc.reflection.v1.ServerReflection",
                             "grpc.reflection.v1alpha.ServerReflection"}) {
      EXPECT_THAT(services, HasSubstr(name));
    }
    const std::string contract =  // file_containing_symbol
        Reflect(version, absl::StrCat("\x22\x1a", "kartograph.v1.TaskExecuter"));
    EXPECT_THAT(contract, HasSubstr("SubmitGraphRequest"));
    EXPECT_THAT(Reflect(version, "\x22\x07nowhere"), HasSubstr("nowhere"));
  }
}

TEST_F(GrpcServerTest, SurvivesWhatIsNotTheProtocol) {
  SendRaw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  SendRaw(std::string(100'000, '\xFF'));
  SendRaw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(1000, '\x7F'));
  SendRaw("");
  EXPECT_TRUE(Serves());
}

TEST_F(GrpcServerTest, RefusesMessagesThatAreNotTheContracts) {
  EXPECT_FALSE(Call("/kartograph.v1.TaskExecuter/GetGraph", "\xFF\xFF\xFF").ok());
  EXPECT_FALSE(Call("/kartograph.v1.TaskExecuter/SubmitGraph", "\xFF\xFF\xFF").ok());
  EXPECT_EQ(Call("/kartograph.v1.TaskExecuter/Nonsense", "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(Serves());
}

TEST_F(GrpcServerTest, SaysWhenItsPortIsTaken) {
  const std::string address = absl::StrCat("127.0.0.1:", harness_.server->port());
  const auto second = GrpcServer::Start({.socket = harness_.socket + "2", .address = address},
                                        harness_.below.parts);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
  EXPECT_TRUE(Serves());
}

TEST_F(GrpcServerTest, ListensOnIpv6) {
  if (const int fd = socket(AF_INET6, SOCK_STREAM, 0); fd < 0) {
    GTEST_SKIP() << "no IPv6 on this machine";
  } else {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    const bool has_loopback = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (!has_loopback) GTEST_SKIP() << "no IPv6 loopback on this machine";
  }
  const auto server = GrpcServer::Start({.socket = harness_.socket + "2", .address = "[::1]:0"},
                                        harness_.below.parts);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT((*server)->port(), 0);
}

}  // namespace
}  // namespace kartograph::service
