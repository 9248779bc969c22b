// Launches, updates and host reports from a peer. The first byte says which.
#include <string>

#include "base/utf8.h"
#include "executor/wire/attempt.h"
#include "tests/fuzz/expect.h"

namespace executor = kartograph::executor;
namespace wire = kartograph::executor::wire;
namespace planner = kartograph::planner;

namespace {

void ReadUpdate(const std::string& bytes) {
  wire::Update message;
  if (!message.ParseFromString(bytes)) return;
  const bool ended = message.outcome() != 0;
  const absl::StatusOr<executor::AttemptUpdate> update = wire::FromMessage(&message);
  if (!update.ok()) {
    FUZZ_EXPECT(ended);
    const executor::AttemptUpdate end = wire::UnreadableEnd({1}, update.status());
    FUZZ_EXPECT(kartograph::IsValidUtf8(end.message));
    return;
  }
  FUZZ_EXPECT((update->outcome != planner::Outcome::kNone) == ended);
  FUZZ_EXPECT(static_cast<int>(update->outcome) < planner::kOutcomes);
  FUZZ_EXPECT(kartograph::IsValidUtf8(update->message));
  FUZZ_EXPECT(update->message.size() <= wire::kMaxMessageBytes);
  FUZZ_EXPECT(update->end_time == absl::InfinitePast() || update->end_time >= update->start_time);
  FUZZ_EXPECT(update->usage.wall_time >= absl::ZeroDuration());
  FUZZ_EXPECT(update->usage.cpu_time >= absl::ZeroDuration());
  // It says the same when it is sent on.
  wire::Update sent;
  wire::ToMessage(*update, &sent);
  const absl::StatusOr<executor::AttemptUpdate> again = wire::FromMessage(&sent);
  FUZZ_EXPECT(again.ok());
  FUZZ_EXPECT(again->outcome == update->outcome && again->start_time == update->start_time &&
              again->end_time == update->end_time && again->message == update->message);
}

void ReadLaunch(const std::string& bytes) {
  wire::Launch message;
  if (!message.ParseFromString(bytes)) return;
  const size_t names_before = planner::Resource::Count();
  {
    planner::ResourceNames names;
    const absl::StatusOr<executor::Launch> launch = wire::FromMessage(&message, &names);
    if (!launch.ok()) {
      FUZZ_EXPECT(kartograph::IsValidUtf8(
          {launch.status().message().data(), launch.status().message().size()}));
    } else {
      FUZZ_EXPECT(!launch->consumption.HasNegative());
      FUZZ_EXPECT(launch->timeout > absl::ZeroDuration());
      FUZZ_EXPECT(launch->cancel_grace >= absl::ZeroDuration());
      planner::ResourceVector sum = launch->consumption;
      for (int i = 0; i < 10; ++i) sum += launch->consumption;
      FUZZ_EXPECT(!sum.HasNegative());
    }
  }
  FUZZ_EXPECT(planner::Resource::Count() == names_before);
}

void ReadHostReport(const std::string& bytes) {
  wire::HostReport message;
  if (!message.ParseFromString(bytes)) return;
  const absl::StatusOr<executor::HostReport> report = wire::FromMessage(message);
  if (!report.ok()) return;
  FUZZ_EXPECT(report->load >= 0);
  FUZZ_EXPECT(report->cpus >= 0);
  FUZZ_EXPECT(report->cpu_user + report->cpu_idle >= absl::ZeroDuration());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string bytes(kartograph::InputText(data + 1, size - 1));
  switch (data[0] % 3) {
    case 0:
      ReadUpdate(bytes);
      break;
    case 1:
      ReadLaunch(bytes);
      break;
    default:
      ReadHostReport(bytes);
  }
  return 0;
}
