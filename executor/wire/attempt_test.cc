#include "executor/wire/attempt.h"

#include <gtest/gtest.h>

#include <string>

namespace kartograph::executor::wire {
namespace {

TEST(MessagesTest, KeepEveryField) {
  executor::Launch launch;
  launch.attempt = {12345};
  launch.task_name = "decode";
  launch.consumption = {{planner::Resource::Cpu(), planner::Quantity::FromMilli(500)},
                        {planner::Resource::Named("gpu"), planner::Quantity::Of(2)}};
  launch.payload = std::string("a\0b", 3);
  launch.timeout = absl::Seconds(30);
  launch.cancel_grace = absl::Milliseconds(1500);
  Launch message;
  ToMessage(launch, &message);
  absl::StatusOr<executor::Launch> back = FromMessage(&message);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->attempt, launch.attempt);
  EXPECT_EQ(back->task_name, launch.task_name);
  EXPECT_EQ(back->consumption, launch.consumption);
  EXPECT_EQ(back->payload, launch.payload);
  EXPECT_EQ(back->timeout, launch.timeout);
  EXPECT_EQ(back->cancel_grace, launch.cancel_grace);
  launch.timeout = absl::InfiniteDuration();
  Launch endless;
  ToMessage(launch, &endless);
  EXPECT_EQ(FromMessage(&endless)->timeout, absl::InfiniteDuration());

  AttemptUpdate update;
  update.attempt = {12345};
  update.outcome = planner::Outcome::kSignalled;
  update.signal = 11;
  update.exit_status = 3;
  update.message = "killed";
  update.start_time = absl::FromUnixNanos(1700000000123456789);
  update.end_time = absl::FromUnixNanos(1700000001123456789);
  update.usage = {1 << 20, absl::Milliseconds(5), absl::Seconds(1)};
  update.return_value = std::string("\0x", 2);
  Update sent;
  ToMessage(update, &sent);
  AttemptUpdate got = FromMessage(&sent);
  EXPECT_EQ(got.attempt, update.attempt);
  EXPECT_EQ(got.outcome, update.outcome);
  EXPECT_EQ(got.signal, 11);
  EXPECT_EQ(got.exit_status, 3);
  EXPECT_EQ(got.message, "killed");
  EXPECT_EQ(got.start_time, update.start_time);
  EXPECT_EQ(got.end_time, update.end_time);
  EXPECT_EQ(got.usage.peak_ram_bytes, update.usage.peak_ram_bytes);
  EXPECT_EQ(got.usage.cpu_time, update.usage.cpu_time);
  EXPECT_EQ(got.usage.wall_time, update.usage.wall_time);
  EXPECT_EQ(got.return_value, update.return_value);
  Update nothing;
  ToMessage(AttemptUpdate(), &nothing);
  EXPECT_EQ(FromMessage(&nothing).start_time, absl::InfinitePast());
}

TEST(MessagesTest, KeepEveryFieldOfAHostReport) {
  executor::HostReport report;
  report.time = absl::FromUnixNanos(1700000000123456789);
  report.cpus = 8;
  report.load = 1.5;
  report.cpu_user = absl::Seconds(1);
  report.cpu_system = absl::Seconds(2);
  report.cpu_idle = absl::Seconds(3);
  report.cpu_wait = absl::Seconds(4);
  report.ram_bytes = 5;
  report.ram_available_bytes = 6;
  report.disk_bytes = 7;
  report.disk_free_bytes = 8;
  report.received_bytes = 9;
  report.sent_bytes = 10;
  HostReport message;
  ToMessage(report, &message);
  const executor::HostReport got = FromMessage(message);
  EXPECT_EQ(got.time, report.time);
  EXPECT_EQ(got.cpus, 8);
  EXPECT_EQ(got.load, 1.5);
  EXPECT_EQ(got.cpu_user, report.cpu_user);
  EXPECT_EQ(got.cpu_system, report.cpu_system);
  EXPECT_EQ(got.cpu_idle, report.cpu_idle);
  EXPECT_EQ(got.cpu_wait, report.cpu_wait);
  EXPECT_EQ(got.ram_bytes, 5u);
  EXPECT_EQ(got.ram_available_bytes, 6u);
  EXPECT_EQ(got.disk_bytes, 7u);
  EXPECT_EQ(got.disk_free_bytes, 8u);
  EXPECT_EQ(got.received_bytes, 9u);
  EXPECT_EQ(got.sent_bytes, 10u);
}

}  // namespace
}  // namespace kartograph::executor::wire
