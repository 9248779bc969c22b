#include "executor/mesos/executor/outbox.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;

v1::TaskInfo Task(const std::string& id) {
  v1::TaskInfo task;
  task.mutable_task_id()->set_value(id);
  return task;
}

v1::TaskStatus Update(const std::string& id, v1::TaskState state, const std::string& uuid) {
  v1::TaskStatus status;
  status.mutable_task_id()->set_value(id);
  status.set_state(state);
  status.set_uuid(uuid);
  return status;
}

// "task task | uuid uuid"
std::string Sent(Outbox& outbox) {
  v1::executor::Call::Subscribe subscribe;
  outbox.Fill(&subscribe);
  std::string text;
  for (const auto& task : subscribe.unacknowledged_tasks()) {
    absl::StrAppend(&text, task.task_id().value(), " ");
  }
  absl::StrAppend(&text, "|");
  for (const auto& update : subscribe.unacknowledged_updates()) {
    absl::StrAppend(&text, " ", update.status().uuid());
  }
  return text;
}

TEST(OutboxTest, SendsTasksAndUpdatesInOrder) {
  Outbox all;
  EXPECT_TRUE(all.empty());
  EXPECT_TRUE(all.AddTask(Task("b")));
  EXPECT_TRUE(all.AddTask(Task("a")));
  EXPECT_FALSE(all.AddTask(Task("b")));
  all.AddUpdate(Update("b", v1::TASK_RUNNING, "b1"));
  all.AddUpdate(Update("a", v1::TASK_RUNNING, "a1"));
  all.AddUpdate(Update("b", v1::TASK_FINISHED, "b2"));
  EXPECT_EQ(Sent(all), "b a | b1 a1 b2");
  EXPECT_EQ(Sent(all), "b a | b1 a1 b2");
}

TEST(OutboxTest, ForgetsWhatIsAcknowledged) {
  Outbox all;
  all.AddTask(Task("a"));
  all.AddUpdate(Update("a", v1::TASK_RUNNING, "a1"));
  all.AddUpdate(Update("a", v1::TASK_FAILED, "a2"));
  all.Acknowledge("a", "a1");
  EXPECT_EQ(Sent(all), "| a2");
  EXPECT_FALSE(all.AddTask(Task("a")));
  all.Acknowledge("a", "a1");
  all.Acknowledge("a", "unknown");
  all.Acknowledge("other", "a2");
  EXPECT_EQ(Sent(all), "| a2");
  EXPECT_TRUE(all.has_updates());
  all.Acknowledge("a", "a2");
  EXPECT_TRUE(all.empty());
  EXPECT_TRUE(all.AddTask(Task("a")));
}

TEST(OutboxTest, KeepsATaskWhoseEndIsAcknowledgedBeforeItsStart) {
  Outbox all;
  all.AddTask(Task("a"));
  all.AddUpdate(Update("a", v1::TASK_RUNNING, "a1"));
  all.AddUpdate(Update("a", v1::TASK_KILLED, "a2"));
  all.Acknowledge("a", "a2");
  EXPECT_EQ(Sent(all), "| a1");
  EXPECT_FALSE(all.empty());
  all.Acknowledge("a", "a1");
  EXPECT_TRUE(all.empty());
}

TEST(OutboxTest, SendsEachUpdateOnce) {
  Outbox all;
  all.AddTask(Task("a"));
  EXPECT_EQ(all.NextToSend(), nullptr);
  all.AddUpdate(Update("a", v1::TASK_RUNNING, "a1"));
  all.AddUpdate(Update("a", v1::TASK_KILLING, "a2"));
  EXPECT_EQ(all.NextToSend()->uuid(), "a1");
  EXPECT_EQ(all.NextToSend()->uuid(), "a2");
  EXPECT_EQ(all.NextToSend(), nullptr);
  all.Acknowledge("a", "a2");
  all.AddUpdate(Update("a", v1::TASK_KILLED, "a3"));
  EXPECT_EQ(Sent(all), "| a1 a3");
  EXPECT_EQ(all.NextToSend(), nullptr);
}

TEST(OutboxTest, NothingFollowsAnEnd) {
  Outbox all;
  all.AddUpdate(Update("a", v1::TASK_RUNNING, "a0"));
  EXPECT_TRUE(all.empty());
  all.AddTask(Task("a"));
  EXPECT_TRUE(all.IsAlive("a"));
  EXPECT_FALSE(all.IsAlive("b"));
  all.AddUpdate(Update("a", v1::TASK_ERROR, "a1"));
  EXPECT_FALSE(all.IsAlive("a"));
  all.AddUpdate(Update("a", v1::TASK_KILLED, "a2"));
  EXPECT_EQ(Sent(all), "a | a1");
}

}  // namespace
}  // namespace kartograph::executor::mesos
