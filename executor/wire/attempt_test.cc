#include "executor/wire/attempt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace kartograph::executor::wire {
namespace {

using ::testing::HasSubstr;

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
  planner::ResourceNames names;
  absl::StatusOr<executor::Launch> back = FromMessage(&message, &names);
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
  EXPECT_EQ(FromMessage(&endless, &names)->timeout, absl::InfiniteDuration());

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
  AttemptUpdate got = *FromMessage(&sent);
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
  EXPECT_EQ(FromMessage(&nothing)->start_time, absl::InfinitePast());
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
  const executor::HostReport got = *FromMessage(message);
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

Update Ended(int32_t outcome) {
  Update message;
  message.set_attempt(12345);
  message.set_outcome(outcome);
  return message;
}

TEST(UpdateRangesTest, AnOutcomeThatThereIsNotIsRefused) {
  // 256 is 0 in the byte that an outcome is kept in, and 0 says that the attempt lives.
  for (int32_t outcome : {INT32_MIN, -1, planner::kOutcomes, 255, 256, 257, INT32_MAX}) {
    Update message = Ended(outcome);
    const absl::Status status = FromMessage(&message).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << outcome;
    EXPECT_THAT(std::string(status.message()), HasSubstr("outcome"));
  }
  for (int32_t outcome = 0; outcome < planner::kOutcomes; ++outcome) {
    Update message = Ended(outcome);
    EXPECT_EQ(static_cast<int>(FromMessage(&message)->outcome), outcome);
  }
}

TEST(UpdateRangesTest, AnEndWithNumbersThatThereAreNotIsRefused) {
  const auto refuses = [](auto set) {
    Update message = Ended(2);
    set(message);
    return absl::IsInvalidArgument(FromMessage(&message).status());
  };
  EXPECT_FALSE(refuses([](Update& m) { m.set_exit_status(255); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_exit_status(256); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_exit_status(-1); }));
  EXPECT_FALSE(refuses([](Update& m) { m.set_signal(64); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_signal(65); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_signal(INT32_MIN); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_return_value_bytes(-1); }));
  EXPECT_FALSE(refuses([](Update& m) { m.set_return_value_file("sandboxes/1/2.3/result"); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_return_value_file("/etc/passwd"); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_return_value_file("sandboxes/../../secret"); }));
  EXPECT_TRUE(refuses([](Update& m) { m.set_return_value_file(std::string(5000, 'x')); }));
}

TEST(UpdateRangesTest, NewsOfALivingAttemptAreNoEndWhateverElseTheySay) {
  Update message = Ended(0);
  message.set_exit_status(-7);
  message.set_signal(1000);
  message.set_return_value("x");
  message.set_start_ns(1700000000000000000);
  const absl::StatusOr<AttemptUpdate> update = FromMessage(&message);
  ASSERT_TRUE(update.ok());
  EXPECT_EQ(update->outcome, planner::Outcome::kNone);
  EXPECT_EQ(update->exit_status, 0);
  EXPECT_EQ(update->return_value, "");
  EXPECT_EQ(update->start_time, absl::FromUnixSeconds(1700000000));
}

TEST(UpdateRangesTest, ClocksMayBeWrongButNoAttemptEndsBeforeItStarted) {
  Update message = Ended(1);
  message.set_start_ns(1700000001000000000);
  message.set_end_ns(1700000000000000000);
  message.set_cpu_ns(-5);
  message.set_wall_ns(INT64_MIN);
  message.set_peak_ram_bytes(UINT64_MAX);
  AttemptUpdate update = *FromMessage(&message);
  EXPECT_EQ(update.start_time, absl::FromUnixSeconds(1700000001));
  EXPECT_EQ(update.end_time, update.start_time);
  EXPECT_EQ(update.usage.cpu_time, absl::ZeroDuration());
  EXPECT_EQ(update.usage.wall_time, absl::ZeroDuration());
  EXPECT_LE(update.usage.peak_ram_bytes, uint64_t{1} << 60);
  for (int64_t nanos : {INT64_MIN, int64_t{-1}, int64_t{7258118400000000000}, INT64_MAX}) {
    message.set_start_ns(nanos);
    message.set_end_ns(nanos);
    update = *FromMessage(&message);
    EXPECT_EQ(update.start_time, absl::InfinitePast()) << nanos;
    EXPECT_EQ(update.end_time, absl::InfinitePast()) << nanos;
  }
  EXPECT_EQ(TimeFromSeconds(1.5), absl::FromUnixMillis(1500));
  for (double seconds : {-1.0, 1e30, std::numeric_limits<double>::infinity(),
                         std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(TimeFromSeconds(seconds), std::nullopt) << seconds;
  }
}

TEST(UpdateRangesTest, AnEndThatCannotBeReadIsALossThatSaysWhy) {
  Update message = Ended(99);
  const AttemptUpdate update = UnreadableEnd({12345}, FromMessage(&message).status());
  EXPECT_EQ(update.attempt.value, 12345u);
  EXPECT_EQ(update.outcome, planner::Outcome::kLost);
  EXPECT_THAT(update.message, HasSubstr("the outcome 99 is out of range"));
}

TEST(LaunchTest, CarriesValuesAndThatThereAreNone) {
  const auto passed = [](auto values) {
    executor::Launch launch;
    launch.values = std::move(values);
    Launch message;
    ToMessage(std::move(launch), &message);
    planner::ResourceNames names;
    return FromMessage(&message, &names)->values;
  };
  using Values = std::vector<std::pair<std::string, std::string>>;
  const Values values = {{"a", std::string("\0\xFF", 2)}, {"b/c", ""}};
  EXPECT_EQ(passed(std::optional<Values>(values)), values);
  EXPECT_EQ(passed(std::optional<Values>(Values())), Values());
  EXPECT_EQ(passed(std::optional<Values>()), std::nullopt);
}

TEST(LaunchRangesTest, QuantitiesNamesAndTimesHaveTheirRanges) {
  const auto problem = [](auto set) {
    Launch message;
    set(message);
    planner::ResourceNames names;
    return std::string(FromMessage(&message, &names).status().message());
  };
  const auto asks = [&](const std::string& name, int64_t milli) {
    return problem([&](Launch& m) {
      m.add_consumption()->set_resource(name);
      m.mutable_consumption(0)->set_milli(milli);
    });
  };
  EXPECT_EQ(asks("cpu", 1500), "");
  EXPECT_THAT(asks("cpu", -1), HasSubstr("negative"));
  EXPECT_THAT(asks("ram", INT64_MAX), HasSubstr("over 10^15"));
  EXPECT_THAT(asks("not a name", 1), HasSubstr("not a valid resource name"));
  EXPECT_TRUE(IsValidUtf8(asks("\xFF\xFE", 1)));
  EXPECT_THAT(problem([](Launch& m) { m.set_timeout_ns(0); }), HasSubstr("timeout"));
  EXPECT_THAT(problem([](Launch& m) { m.set_timeout_ns(-1); }), HasSubstr("timeout"));
  EXPECT_THAT(problem([](Launch& m) { m.set_cancel_grace_ns(-1); }), HasSubstr("grace"));
}

TEST(LaunchRangesTest, NamesOfALaunchThatIsNotTakenTakeNoPlace) {
  const size_t before = planner::Resource::Count();
  for (int i = 0; i < 5000; ++i) {
    Launch message;
    message.add_consumption()->set_resource(absl::StrCat("of.no.use.", i));
    message.mutable_consumption(0)->set_milli(1000);
    planner::ResourceNames names;
    ASSERT_TRUE(FromMessage(&message, &names).ok());
  }
  EXPECT_EQ(planner::Resource::Count(), before);
}

TEST(TextTest, WhateverAMessageHoldsItCanBeReadAgain) {
  AttemptUpdate update;
  update.attempt = {12345};
  update.outcome = planner::Outcome::kNotStarted;
  update.message = "searched PATH=/opt/caf\xE9/bin:/tmp/\xFF";
  Update sent, got;
  ToMessage(update, &sent);
  ASSERT_TRUE(got.ParseFromString(sent.SerializeAsString()));
  EXPECT_EQ(FromMessage(&got)->message, "searched PATH=/opt/caf\xEF\xBF\xBD/bin:/tmp/\xEF\xBF\xBD");
  // From a careless peer.
  got.set_message("\xFF");
  Update again;
  ASSERT_TRUE(again.ParseFromString(got.SerializeAsString())) << "it is bytes";
  EXPECT_EQ(FromMessage(&again)->message, "\xEF\xBF\xBD");
}

TEST(TextTest, WhatIsTooLongIsCutBetweenCharacters) {
  EXPECT_EQ(MessageText(std::string(kMaxMessageBytes, 'x')), std::string(kMaxMessageBytes, 'x'));
  for (const std::string& part : {std::string("x"), std::string("\xC3\xA9"), std::string("\xFF"),
                                  std::string("\xF0\x9F\x97\xBA")}) {
    std::string text;
    while (text.size() < 3 * kMaxMessageBytes) text += part;
    const std::string cut = MessageText(text);
    EXPECT_TRUE(IsValidUtf8(cut));
    EXPECT_LE(cut.size(), kMaxMessageBytes);
    EXPECT_GT(cut.size(), kMaxMessageBytes - 10);
    EXPECT_EQ(cut.substr(cut.size() - 3), "...");
  }
}

TEST(HostReportRangesTest, CountsTimesAndLoadsThatAreNoneAreRefused) {
  const auto refuses = [](auto set) {
    HostReport message;
    message.set_time_ns(1700000000000000000);
    set(message);
    return absl::IsInvalidArgument(FromMessage(message).status());
  };
  EXPECT_FALSE(refuses([](HostReport&) {}));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_time_ns(-1); }));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_cpus(-1); }));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_cpus(INT32_MAX); }));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_load(-0.5); }));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_load(std::numeric_limits<double>::quiet_NaN()); }));
  EXPECT_TRUE(refuses([](HostReport& m) { m.set_cpu_idle_ns(-1); }));
  EXPECT_FALSE(refuses([](HostReport& m) { m.set_disk_bytes(UINT64_MAX); }));
}

}  // namespace
}  // namespace kartograph::executor::wire
