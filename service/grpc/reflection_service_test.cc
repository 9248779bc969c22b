#include "service/grpc/reflection_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "api/kartograph/v1/task_executer.pb.h"

namespace kartograph::service {
namespace {

using testing::Contains;
using testing::HasSubstr;

using Request = ReflectionService::Request;
using Response = ReflectionService::Response;

class ReflectionServiceTest : public testing::Test {
 protected:
  // Names of the files in an answer, in order.
  static std::vector<std::string> FilesIn(const Response& response) {
    std::vector<std::string> names;
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }
  static void ExpectError(const Response& response, grpc::StatusCode code, const char* words) {
    EXPECT_EQ(response.error_response().error_code(), code);
    EXPECT_THAT(response.error_response().error_message(), HasSubstr(words));
  }

  const ReflectionService service_{{"a.Service", "b.Service"}};
  const std::string contract_ = v1::Graph::descriptor()->file()->name();
};

TEST_F(ReflectionServiceTest, ListsTheServices) {
  Request request;
  request.set_host("here");
  request.set_list_services("*");
  const Response response = service_.Answer(request);
  EXPECT_EQ(response.valid_host(), "here");
  EXPECT_EQ(response.original_request().list_services(), "*");
  ASSERT_EQ(response.list_services_response().service_size(), 2);
  EXPECT_EQ(response.list_services_response().service(0).name(), "a.Service");
  EXPECT_EQ(response.list_services_response().service(1).name(), "b.Service");
}

TEST_F(ReflectionServiceTest, GivesAFileBeforeAllThatItImportsEachOnce) {
  Request request;
  request.set_file_containing_symbol("kartograph.v1.Graph");
  const std::vector<std::string> files = FilesIn(service_.Answer(request));
  ASSERT_FALSE(files.empty());
  EXPECT_EQ(files.front(), contract_);
  EXPECT_THAT(files, Contains("google/protobuf/timestamp.proto").Times(1));
  EXPECT_THAT(files, Contains("google/protobuf/duration.proto").Times(1));
  request.set_file_by_filename(contract_);
  EXPECT_EQ(FilesIn(service_.Answer(request)), files);
}

TEST_F(ReflectionServiceTest, KnowsThatTheContractHasNoExtensions) {
  Request request;
  request.set_all_extension_numbers_of_type("kartograph.v1.Graph");
  const Response response = service_.Answer(request);
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "kartograph.v1.Graph");
  EXPECT_EQ(response.all_extension_numbers_response().extension_number_size(), 0);
  request.mutable_file_containing_extension()->set_containing_type("kartograph.v1.Graph");
  request.mutable_file_containing_extension()->set_extension_number(7);
  ExpectError(service_.Answer(request), grpc::StatusCode::NOT_FOUND, "extension 7");
}

TEST_F(ReflectionServiceTest, SaysWhatIsNotThere) {
  Request request;
  ExpectError(service_.Answer(request), grpc::StatusCode::INVALID_ARGUMENT, "nothing");
  request.set_file_by_filename("no.proto");
  ExpectError(service_.Answer(request), grpc::StatusCode::NOT_FOUND, "no.proto");
  request.set_file_containing_symbol("no.Symbol");
  ExpectError(service_.Answer(request), grpc::StatusCode::NOT_FOUND, "no.Symbol");
  request.set_all_extension_numbers_of_type("no.Type");
  ExpectError(service_.Answer(request), grpc::StatusCode::NOT_FOUND, "no.Type");
}

}  // namespace
}  // namespace kartograph::service
