#include "service/task_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::service {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kRoom = 64 << 10;

v1::Task Task(int attempts, size_t value, int after, size_t command) {
  v1::Task task;
  for (int i = 1; i <= attempts; ++i) {
    v1::Attempt& attempt = *task.add_attempts();
    attempt.set_number(i);
    attempt.set_message(std::string(1000, 'm'));
  }
  task.set_return_value(std::string(value, 'v'));
  for (int i = 0; i < after; ++i) task.mutable_spec()->add_after(absl::StrCat("task-", i));
  task.mutable_spec()->set_name("a");
  task.mutable_spec()->mutable_command()->set_shell(std::string(command, 'c'));
  return task;
}

TEST(TaskSizeTest, WhatFitsIsLeftAlone) {
  v1::Task task = Task(3, 10000, 100, 10000);
  const std::string before = task.SerializeAsString();
  FitTask(kRoom, task);
  EXPECT_EQ(task.SerializeAsString(), before);
}

TEST(TaskSizeTest, TheValueGoesFirst) {
  v1::Task task = Task(3, kRoom, 100, 1000);
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), ElementsAre("return_value"));
  EXPECT_THAT(task.return_value(), IsEmpty());
  EXPECT_EQ(task.attempts_size(), 3);
  EXPECT_EQ(task.spec().after_size(), 100);
}

TEST(TaskSizeTest, OfTheAttemptsTheNewestStay) {
  v1::Task task = Task(200, 100, 100, 1000);
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), ElementsAre("return_value", "attempts"));
  EXPECT_GT(task.attempts_size(), 50);
  EXPECT_EQ(task.attempts().rbegin()->number(), 200);
  EXPECT_EQ(task.attempts(0).number(), 200 - task.attempts_size() + 1);
}

TEST(TaskSizeTest, TheInputGoesBeforeThePredecessors) {
  v1::Task task = Task(2, 100, 100, 1000);
  task.mutable_spec()->set_input(std::string(kRoom, 'i'));
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), ElementsAre("return_value", "attempts", "spec.input"));
  EXPECT_THAT(task.spec().input(), IsEmpty());
  EXPECT_EQ(task.spec().after_size(), 100);
  task.clear_omitted();
  task.mutable_spec()->set_input("small");
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), IsEmpty());
  EXPECT_EQ(task.spec().input(), "small");
}

TEST(TaskSizeTest, OfThePredecessorsTheFirstStay) {
  v1::Task task = Task(2, 0, 100000, 1000);
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), ElementsAre("attempts", "spec.after"));
  EXPECT_EQ(task.attempts_size(), 1);
  EXPECT_GT(task.spec().after_size(), 1000);
  EXPECT_EQ(task.spec().after(1), "task-1");
  EXPECT_EQ(task.spec().command().shell().size(), 1000u);
}

TEST(TaskSizeTest, ACommandIsLeftOutAtLast) {
  v1::Task task = Task(0, 0, 10, kRoom);
  FitTask(kRoom, task);
  EXPECT_THAT(task.omitted(), ElementsAre("spec.after", "spec.command"));
  EXPECT_FALSE(task.spec().has_command());
  EXPECT_EQ(task.spec().name(), "a");
}

TEST(TaskSizeTest, TheRestFits) {
  for (size_t value : {size_t{0}, kRoom}) {
    for (int attempts : {0, 1, 100}) {
      for (int after : {0, 10, 20000}) {
        for (size_t command : {size_t{100}, kRoom}) {
          v1::Task task = Task(attempts, value, after, command);
          FitTask(kRoom, task);
          EXPECT_LE(task.ByteSizeLong(), kRoom);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kartograph::service
