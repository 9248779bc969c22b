#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {

EngineStory::EngineStory(absl::Duration retention) {
  options_.retention = retention;
  Restart();
}

void EngineStory::Restart() {
  engine_ = std::make_unique<Engine>(options_, &history_, &cluster_);
  EXPECT_TRUE(engine_->Recover(now_).ok());
}

}  // namespace kartograph::scheduler
