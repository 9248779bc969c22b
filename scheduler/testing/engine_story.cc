#include "scheduler/testing/engine_story.h"

#include <utility>

namespace kartograph::scheduler {

EngineStory::EngineStory(SchedulerOptions options) : options_(std::move(options)) { Restart(); }

void EngineStory::Restart() {
  engine_ = std::make_unique<Engine>(options_, &history_, &history_, &cluster_, &background_);
  EXPECT_TRUE(engine_->Recover(now_).ok());
}

}  // namespace kartograph::scheduler
