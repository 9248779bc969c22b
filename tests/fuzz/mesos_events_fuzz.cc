// Events of a Mesos master: what statuses mean, and what offers hold.
#include <string>
#include <vector>

#include "base/utf8.h"
#include "executor/mesos/framework/executors.h"
#include "executor/mesos/framework/open_offers.h"
#include "executor/mesos/framework/task_status.h"
#include "executor/mesos/protocol/scheduler.pb.h"
#include "tests/fuzz/expect.h"

namespace executor = kartograph::executor;
namespace mesos = kartograph::executor::mesos;
namespace planner = kartograph::planner;
using kartograph::mesos::scheduler::Event;

namespace {

void ReadStatus(const kartograph::mesos::TaskStatus& status) {
  for (const bool command : {false, true}) {
    for (const bool confirmed : {false, true}) {
      mesos::StatusContext context;
      context.command = command;
      context.confirmed = confirmed;
      if (confirmed) context.start_time = absl::FromUnixSeconds(1700000000);
      const executor::AttemptUpdate update = mesos::ReadStatus(status, context).update;
      FUZZ_EXPECT(static_cast<int>(update.outcome) < planner::kOutcomes);
      FUZZ_EXPECT(kartograph::IsValidUtf8(update.message));
      FUZZ_EXPECT(update.exit_status >= 0 && update.exit_status <= 255);
      FUZZ_EXPECT(update.signal >= 0 && update.signal <= 64);
      FUZZ_EXPECT(update.end_time == absl::InfinitePast() || update.end_time >= update.start_time);
      FUZZ_EXPECT(update.usage.wall_time >= absl::ZeroDuration());
    }
  }
}

void TakeOffers(const Event::Offers& offers) {
  const planner::ResourceVector own = {
      {planner::Resource::Cpu(), planner::Quantity::FromMilli(10)}};
  for (const auto revocable :
       {mesos::OfferedResources::Revocable::kIgnored, mesos::OfferedResources::Revocable::kUsed}) {
    mesos::Executors executors({"", "/executor", {}, own}, [] { return std::string("x"); });
    executors.SetFramework("f");
    mesos::OpenOffers open({{"a", "b"}, revocable}, &executors);
    std::vector<executor::AgentId> agents;
    for (const auto& offer : offers.offers()) {
      const executor::Offer added = open.Add(offer);
      FUZZ_EXPECT(!added.resources.HasNegative());
      FUZZ_EXPECT(kartograph::IsValidUtf8(added.agent_name));
      agents.push_back(added.agent);
    }
    for (const executor::AgentId& agent : agents) {
      std::optional<mesos::OpenOffers::Taken> taken = open.Take(agent);
      if (!taken) continue;
      const planner::ResourceVector all = taken->resources.available();
      FUZZ_EXPECT(!all.HasNegative());
      FUZZ_EXPECT(all.FitsIn(taken->resources.all()));
      FUZZ_EXPECT(taken->resources.Take(all).ok());
      FUZZ_EXPECT(!taken->resources.available().HasNegative());
    }
    FUZZ_EXPECT(open.size() == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Names of resources in offers stay in the table: not to fill it.
  if (planner::Resource::Count() > planner::Resource::kMaxNames / 2) exit(0);
  Event event;
  if (!event.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (event.has_update()) ReadStatus(event.update().status());
  if (event.has_offers()) TakeOffers(event.offers());
  return 0;
}
