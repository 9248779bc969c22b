// What users of different roles may do.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/kartograph/v1/page.grpc.pb.h"
#include "api/kartograph/v1/users.grpc.pb.h"
#include "service/access/method_roles.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Calls with a user's token.
class Client {
 public:
  Client(const GrpcHarness& harness, std::string token) : token_(std::move(token)) {
    const auto channel = grpc::CreateChannel(harness.address(), grpc::InsecureChannelCredentials());
    tasks = v1::TaskExecuter::NewStub(channel);
    users = v1::Users::NewStub(channel);
    page = v1::StatusPage::NewStub(channel);
  }

  // A unary method of `stub`.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    return (stub.*method)(&context, request, response);
  }
  grpc::Status Submit(const std::string& name, const std::string& queue, std::string* graph_id,
                      const std::string& request_id = "") {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    v1::SubmitGraphResponse response;
    auto writer = tasks->SubmitGraph(&context, &response);
    v1::SubmitGraphRequest message;
    message.mutable_graph()->mutable_graph()->set_name(name);
    message.mutable_graph()->mutable_graph()->set_client_queue(queue);
    message.mutable_graph()->set_request_id(request_id);
    writer->Write(message);
    v1::TaskSpec& task = *message.mutable_tasks()->add_tasks();
    task = GrpcHarness::Task("a");
    (*task.mutable_command()->mutable_environment())["PASSWORD"] = "secret";
    writer->Write(message);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    *graph_id = response.graph_id();
    return status;
  }
  grpc::Status Cancel(const std::string& graph_id) {
    v1::CancelRequest request;
    request.set_graph_id(graph_id);
    v1::CancelResponse response;
    return Call(*tasks, &v1::TaskExecuter::Stub::Cancel, request, &response);
  }
  std::string PasswordOf(const std::string& graph_id) {
    v1::GetTaskRequest request;
    request.set_graph_id(graph_id);
    request.set_task_name("a");
    v1::Task task;
    const grpc::Status status = Call(*tasks, &v1::TaskExecuter::Stub::GetTask, request, &task);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::ListTasksRequest list;
    list.set_graph_id(graph_id);
    list.set_full(true);
    v1::ListTasksResponse all;
    EXPECT_TRUE(Call(*tasks, &v1::TaskExecuter::Stub::ListTasks, list, &all).ok());
    EXPECT_EQ(all.tasks(0).spec().command().environment().at("PASSWORD"),
              task.spec().command().environment().at("PASSWORD"));
    return task.spec().command().environment().at("PASSWORD");
  }
  // What waits in a queue, as names of graphs' ids.
  grpc::Status Pop(const std::string& queue, std::vector<std::string>* graphs) {
    v1::PopFinishedRequest request;
    request.set_client_queue(queue);
    request.mutable_lease();
    request.mutable_wait()->set_seconds(graphs == nullptr ? 0 : 20);
    v1::PopFinishedResponse response;
    const grpc::Status status =
        Call(*tasks, &v1::TaskExecuter::Stub::PopFinished, request, &response);
    if (graphs != nullptr) {
      for (const v1::FinishedTask& task : response.tasks()) graphs->push_back(task.graph_id());
    }
    return status;
  }
  std::set<std::string> Queues() {
    v1::ListQueuesResponse response;
    EXPECT_TRUE(Call(*tasks, &v1::TaskExecuter::Stub::ListQueues, {}, &response).ok());
    std::set<std::string> names;
    for (const v1::ClientQueue& queue : response.queues()) names.insert(queue.name());
    return names;
  }
  std::vector<v1::Graph> Graphs(const v1::ListGraphsRequest& request = {}) {
    v1::ListGraphsResponse response;
    EXPECT_TRUE(Call(*tasks, &v1::TaskExecuter::Stub::ListGraphs, request, &response).ok());
    return {response.graphs().begin(), response.graphs().end()};
  }

  std::unique_ptr<v1::TaskExecuter::Stub> tasks;
  std::unique_ptr<v1::Users::Stub> users;
  std::unique_ptr<v1::StatusPage::Stub> page;

 private:
  const std::string token_;
};

class UsersTest : public ::testing::Test {
 protected:
  Client Add(const std::string& name, Role role) {
    return Client(harness_, *harness_.below.users->Add(name, role));
  }

  GrpcHarness harness_;
  Client owner_{harness_, GrpcHarness::kToken};
};

TEST_F(UsersTest, AnAdministratorAddsAndRemovesThem) {
  v1::AddUserRequest request;
  request.set_name("alice");
  v1::AddUserResponse added;
  ASSERT_TRUE(owner_.Call(*owner_.users, &v1::Users::Stub::AddUser, request, &added).ok());
  Client alice(harness_, added.token());
  v1::User caller;
  ASSERT_TRUE(alice.Call(*alice.users, &v1::Users::Stub::GetCaller, {}, &caller).ok());
  EXPECT_EQ(caller.name(), "alice");
  EXPECT_EQ(caller.role(), v1::ROLE_USER);
  v1::ListUsersResponse list;
  ASSERT_TRUE(alice.Call(*alice.users, &v1::Users::Stub::ListUsers, {}, &list).ok());
  ASSERT_EQ(list.users_size(), 2);
  EXPECT_EQ(list.users(0).name(), ServiceHarness::kOwner);
  EXPECT_EQ(list.users(1).name(), "alice");

  request.set_name("bob");
  const grpc::Status refused = alice.Call(*alice.users, &v1::Users::Stub::AddUser, request, &added);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused.error_message(), HasSubstr("role `admin`"));
  request.set_name("a b");
  EXPECT_EQ(owner_.Call(*owner_.users, &v1::Users::Stub::AddUser, request, &added).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_name("bob");
  request.set_role(static_cast<v1::Role>(9));
  EXPECT_EQ(owner_.Call(*owner_.users, &v1::Users::Stub::AddUser, request, &added).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  v1::RemoveUserRequest remove;
  remove.set_name("alice");
  v1::RemoveUserResponse removed;
  EXPECT_TRUE(owner_.Call(*owner_.users, &v1::Users::Stub::RemoveUser, remove, &removed).ok());
  EXPECT_EQ(alice.Call(*alice.users, &v1::Users::Stub::GetCaller, {}, &caller).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(owner_.Call(*owner_.users, &v1::Users::Stub::RemoveUser, remove, &removed).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(UsersTest, AReaderChangesNothing) {
  Client reader = Add("rita", Role::kReader);
  std::string graph;
  ASSERT_TRUE(owner_.Submit("a", "", &graph).ok());
  EXPECT_EQ(reader.Graphs().size(), 1u);
  v1::GetPageLinkResponse link;
  EXPECT_TRUE(reader.Call(*reader.page, &v1::StatusPage::Stub::GetPageLink, {}, &link).ok());
  const grpc::Status refused = reader.Cancel(graph);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused.error_message(), HasSubstr("`reader`"));
  EXPECT_EQ(reader.Submit("b", "", &graph).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(reader.Pop("q", nullptr).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(UsersTest, VariablesAreTheirSubmittersAlone) {
  Client alice = Add("alice", Role::kUser);
  Client bob = Add("bob", Role::kUser);
  Client root = Add("root", Role::kAdmin);
  std::string hers;
  ASSERT_TRUE(alice.Submit("a", "", &hers).ok());
  EXPECT_EQ(alice.PasswordOf(hers), "secret");
  for (Client* other : {&bob, &root, &owner_}) EXPECT_EQ(other->PasswordOf(hers), "***");
  std::string owners;
  ASSERT_TRUE(owner_.Submit("b", "", &owners).ok());
  EXPECT_EQ(owner_.PasswordOf(owners), "secret");
  EXPECT_EQ(alice.PasswordOf(owners), "***");
}

TEST_F(UsersTest, AGraphIsChangedByItsUserAndAdministrators) {
  Client alice = Add("alice", Role::kUser);
  Client bob = Add("bob", Role::kUser);
  Client root = Add("root", Role::kAdmin);
  std::string hers;
  ASSERT_TRUE(alice.Submit("a", "", &hers).ok());
  const grpc::Status refused = bob.Cancel(hers);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused.error_message(), AllOf(HasSubstr(hers), HasSubstr("alice")));
  const auto denied = [&](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  };
  using Stub = v1::TaskExecuter::Stub;
  v1::RetryRequest retry;
  retry.set_graph_id(hers);
  v1::RetryResponse retried;
  denied(bob.Call(*bob.tasks, &Stub::Retry, retry, &retried));
  v1::CloseGraphRequest close;
  close.set_graph_id(hers);
  v1::CloseGraphResponse closed;
  denied(bob.Call(*bob.tasks, &Stub::CloseGraph, close, &closed));
  v1::ForgetGraphRequest forget;
  forget.set_graph_id(hers);
  v1::ForgetGraphResponse forgotten;
  denied(bob.Call(*bob.tasks, &Stub::ForgetGraph, forget, &forgotten));
  v1::AddTasksRequest add;
  add.set_graph_id(hers);
  *add.add_tasks() = GrpcHarness::Task("b");
  v1::AddTasksResponse added;
  denied(bob.Call(*bob.tasks, &Stub::AddTasks, add, &added));
  v1::ExecuteRequest execute;
  execute.set_graph_id(hers);
  *execute.mutable_task() = GrpcHarness::Task("b");
  v1::ExecuteResponse executed;
  denied(bob.Call(*bob.tasks, &Stub::Execute, execute, &executed));

  std::string owners;
  ASSERT_TRUE(owner_.Submit("a", "", &owners).ok());
  EXPECT_THAT(alice.Cancel(owners).error_message(), HasSubstr(ServiceHarness::kOwner));
  EXPECT_EQ(bob.Cancel("g99").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(alice.Cancel(hers).ok());
  EXPECT_TRUE(root.Cancel(owners).ok());
  std::string second;
  ASSERT_TRUE(alice.Submit("a", "", &second).ok());
  EXPECT_TRUE(owner_.Cancel(second).ok());
}

TEST_F(UsersTest, QueuesAndRequestIdsAreEachUsersOwn) {
  Client alice = Add("alice", Role::kUser);
  Client bob = Add("bob", Role::kUser);
  std::string hers;
  std::string his;
  std::string owners;
  ASSERT_TRUE(alice.Submit("a", "q", &hers, "one id").ok());
  ASSERT_TRUE(bob.Submit("a", "q", &his, "one id").ok());
  ASSERT_TRUE(owner_.Submit("a", "q", &owners, "one id").ok());
  EXPECT_EQ(std::set<std::string>({hers, his, owners}).size(), 3u);
  std::string again;
  ASSERT_TRUE(alice.Submit("a", "q", &again, "one id").ok());
  EXPECT_EQ(again, hers);

  for (const std::string& graph : {hers, his, owners}) ASSERT_TRUE(owner_.Cancel(graph).ok());
  std::vector<std::string> found;
  EXPECT_TRUE(alice.Pop("q", &found).ok());
  EXPECT_THAT(found, ElementsAre(hers));
  found.clear();
  EXPECT_TRUE(owner_.Pop("q", &found).ok());
  EXPECT_THAT(found, ElementsAre(owners));
  found.clear();
  EXPECT_TRUE(owner_.Pop("bob#q", &found).ok());
  EXPECT_THAT(found, ElementsAre(his));
  EXPECT_EQ(alice.Pop("bob#q", nullptr).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(alice.Pop("b b", nullptr).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  EXPECT_THAT(alice.Queues(), UnorderedElementsAre("q", "bob#q", "maps#q"));
  EXPECT_THAT(owner_.Queues(), UnorderedElementsAre("alice#q", "bob#q", "q"));
  v1::ListGraphsRequest filter;
  filter.set_client_queue("q");
  ASSERT_EQ(bob.Graphs(filter).size(), 1u);
  EXPECT_EQ(bob.Graphs(filter)[0].graph_id(), his);
  EXPECT_EQ(bob.Graphs(filter)[0].spec().client_queue(), "q");

  v1::DeleteQueueRequest purge;
  v1::DeleteQueueResponse purged;
  purge.set_client_queue("bob#q");
  EXPECT_EQ(
      alice.Call(*alice.tasks, &v1::TaskExecuter::Stub::DeleteQueue, purge, &purged).error_code(),
      grpc::StatusCode::PERMISSION_DENIED);
  purge.set_client_queue("q");
  EXPECT_TRUE(alice.Call(*alice.tasks, &v1::TaskExecuter::Stub::DeleteQueue, purge, &purged).ok());
  EXPECT_EQ(purged.tasks(), 1);
  EXPECT_THAT(owner_.Queues(), UnorderedElementsAre("bob#q", "q"));
}

TEST_F(UsersTest, GraphsSayWhoSubmittedThem) {
  Client alice = Add("alice", Role::kUser);
  std::string hers;
  std::string owners;
  ASSERT_TRUE(alice.Submit("a", "", &hers).ok());
  ASSERT_TRUE(owner_.Submit("a", "", &owners).ok());
  ASSERT_EQ(owner_.Graphs().size(), 2u);
  EXPECT_EQ(owner_.Graphs()[0].user(), ServiceHarness::kOwner);
  EXPECT_EQ(owner_.Graphs()[1].user(), "alice");
  ASSERT_TRUE(alice.Cancel(hers).ok());
  v1::ListGraphsRequest filter;
  filter.set_user("alice");
  ASSERT_EQ(owner_.Graphs(filter).size(), 1u);
  EXPECT_EQ(owner_.Graphs(filter)[0].graph_id(), hers);
  filter.set_user(ServiceHarness::kOwner);
  ASSERT_EQ(owner_.Graphs(filter).size(), 1u);
  EXPECT_EQ(owner_.Graphs(filter)[0].graph_id(), owners);
  filter.set_user("nobody");
  EXPECT_THAT(owner_.Graphs(filter), IsEmpty());
}

TEST_F(UsersTest, AGraphThatIsBeingSentByARemovedUserIsNotTaken) {
  const std::string token = *harness_.below.users->Add("alice", Role::kUser);
  const auto stub = v1::TaskExecuter::NewStub(
      grpc::CreateChannel(harness_.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + token);
  v1::SubmitGraphResponse response;
  const auto writer = stub->SubmitGraph(&context, &response);
  v1::SubmitGraphRequest message;
  message.mutable_graph()->mutable_graph()->set_name("late");
  ASSERT_TRUE(writer->Write(message));
  ServiceHarness::Eventually([&] { return harness_.below.parts.limits->streams.used() == 1; });
  ASSERT_TRUE(harness_.below.users->Remove("alice").ok());
  *message.mutable_tasks()->add_tasks() = GrpcHarness::Task("a");
  ASSERT_TRUE(writer->Write(message));
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(owner_.Graphs(), IsEmpty());
}

// A method that is not classified cannot be called by readers, also where it only reads.
TEST(MethodRolesTest, ReadersMayCallWhateverReads) {
  for (const google::protobuf::ServiceDescriptor* service :
       {v1::GetTaskRequest::descriptor()->file()->service(0),
        v1::GetPageLinkRequest::descriptor()->file()->service(0),
        v1::AddUserRequest::descriptor()->file()->service(0)}) {
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string path =
          absl::StrCat("/", service->full_name(), "/", service->method(i)->name());
      const std::string& name = service->method(i)->name();
      const Role role = RoleFor(path);
      for (const char* verb : {"Get", "List", "Read", "Watch", "Find", "Explain"}) {
        if (name.rfind(verb, 0) == 0) {
          EXPECT_EQ(role, Role::kReader) << path;
        }
      }
      for (const char* verb : {"Submit", "Execute", "Add", "Put", "Close", "Cancel", "Retry", "Pop",
                               "Delete", "Forget", "Remove", "Set"}) {
        if (name.rfind(verb, 0) == 0) {
          EXPECT_GT(role, Role::kReader) << path;
        }
      }
    }
  }
  EXPECT_EQ(RoleFor("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
            Role::kReader);
  EXPECT_EQ(RoleFor("/kartograph.v1.TaskExecuter/Nonsense"), Role::kUser);
}

}  // namespace
}  // namespace kartograph::service
