// Who may call.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kartograph/v1/page.grpc.pb.h"
#include "service/access/testing/certificates.h"
#include "service/grpc/grpc_server.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kGetCluster[] = "/kartograph.v1.TaskExecuter/GetCluster";
constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
const std::string& Right() {
  static const auto& right = *new std::string(absl::StrCat("Bearer ", GrpcHarness::kToken));
  return right;
}

// Calls a method by name with an empty message and these values of `authorization`.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::vector<std::string>& authorization = {}) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  for (const std::string& value : authorization) context.AddMetadata("authorization", value);
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const grpc::ByteBuffer message(&nothing, 1);
  auto call = stub.PrepareUnaryCall(&context, method, message, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, &call);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

std::shared_ptr<grpc::Channel> Plain(const std::string& address) {
  return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
}

TEST(GrpcAccessTest, APortTakesCallsWithTheTokenAlone) {
  const GrpcHarness harness;
  const auto channel = Plain(harness.address());
  EXPECT_TRUE(Call(channel, kGetCluster, {Right()}).ok());
  const grpc::Status without = Call(channel, kGetCluster);
  EXPECT_EQ(without.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(without.error_message(), AllOf(HasSubstr("--token-file"), HasSubstr("Bearer")));
  const std::string token = GrpcHarness::kToken;
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"Bearer "},
                                             {""},
                                             {token},
                                             {"Basic " + token},
                                             {"Bearer " + token.substr(1)},
                                             {"Bearer " + token + "x"},
                                             {Right(), Right()},
                                             {"Bearer wrong", Right()}}) {
    const grpc::Status status = Call(channel, kGetCluster, wrong);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << wrong[0];
    EXPECT_THAT(status.error_message(), HasSubstr("not the service's token")) << wrong[0];
  }
}

TEST(GrpcAccessTest, OnlyHealthIsOpen) {
  const GrpcHarness harness;
  const auto channel = Plain(harness.address());
  EXPECT_TRUE(Call(channel, kHealth).ok());
  for (const char* method :
       {"/kartograph.v1.TaskExecuter/SubmitGraph", "/kartograph.v1.TaskExecuter/WatchGraph",
        "/kartograph.v1.TaskExecuter/Nonsense", "/kartograph.v1.StatusPage/GetPageLink",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Healthy/Check", "/no.such.Service/Method"}) {
    EXPECT_EQ(Call(channel, method).error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
  }
  EXPECT_TRUE(
      Call(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {Right()})
          .ok());
}

TEST(GrpcAccessTest, TheSocketIsItsOwnersAndNeedsNoToken) {
  GrpcHarness harness;
  struct stat info = {};
  ASSERT_EQ(stat(harness.socket.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(Call(harness.NewChannel(), kGetCluster).ok());
  const auto page = v1::StatusPage::NewStub(harness.NewChannel());
  grpc::ClientContext context;
  v1::GetPageLinkResponse link;
  EXPECT_TRUE(page->GetPageLink(&context, {}, &link).ok());
  EXPECT_EQ(link.url(), "http://page/login?code=own");
}

TEST(GrpcAccessTest, TakesTheSocketOfAnEarlierOneThatWasKilled) {
  GrpcHarness harness;
  const std::string path = harness.socket + "2";
  // Bound and never removed, as after kill -9.
  {
    SocketTarget target = *MakeSocketTarget(path);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    target.target.copy(address.sun_path, sizeof address.sun_path, strlen("unix:"));
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    close(fd);
  }
  const auto server = GrpcServer::Start({.socket = path}, harness.below.parts);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->port(), 0);
  const SocketTarget target = *MakeSocketTarget(path);
  EXPECT_TRUE(Call(Plain(target.target), kGetCluster).ok());
  (*server)->Shutdown(absl::ZeroDuration());
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "it is left behind";
}

TEST(GrpcAccessTest, NamesASocketThatCannotBeMade) {
  GrpcHarness harness;
  const std::string path = harness.socket + ".d";
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  const auto server = GrpcServer::Start({.socket = path}, harness.below.parts);
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr(path));
}

TEST(GrpcAccessTest, SpeaksTlsWhereItHasACertificate) {
  const SelfSigned own;
  GrpcHarness harness(nullptr, Tls{.certificates = own.certificate, .key = own.key});
  const auto secure =
      grpc::CreateChannel(harness.address(), grpc::SslCredentials({own.certificate, "", ""}));
  EXPECT_TRUE(Call(secure, kGetCluster, {Right()}).ok());
  EXPECT_EQ(Call(secure, kGetCluster).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Call(secure, kHealth).ok());
  EXPECT_EQ(Call(Plain(harness.address()), kGetCluster, {Right()}).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  const SelfSigned other;
  const auto distrustful =
      grpc::CreateChannel(harness.address(), grpc::SslCredentials({other.certificate, "", ""}));
  EXPECT_EQ(Call(distrustful, kGetCluster, {Right()}).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Call(harness.NewChannel(), kGetCluster).ok()) << "the socket is as it was";
}

TEST(GrpcAccessTest, WantsCertificatesOfItsClientsWhereItKnowsTheirAuthority) {
  const SelfSigned own;
  const SelfSigned client;
  const GrpcHarness harness(
      nullptr,
      Tls{.certificates = own.certificate, .key = own.key, .client_ca = client.certificate});
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = own.certificate;
  const auto without = grpc::CreateChannel(harness.address(), grpc::SslCredentials(options));
  EXPECT_EQ(Call(without, kGetCluster, {Right()}).error_code(), grpc::StatusCode::UNAVAILABLE);
  options.pem_private_key = client.key;
  options.pem_cert_chain = client.certificate;
  const auto with = grpc::CreateChannel(harness.address(), grpc::SslCredentials(options));
  EXPECT_TRUE(Call(with, kGetCluster, {Right()}).ok());
  EXPECT_EQ(Call(with, kGetCluster).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace kartograph::service
