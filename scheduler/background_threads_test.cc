#include "scheduler/background_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kartograph::scheduler {
namespace {

// Where the engine would be.
class BackgroundThreadsTest : public ::testing::Test {
 protected:
  void RunDelivered() {
    std::vector<BackgroundThreads::Then> thens;
    {
      std::lock_guard lock(mutex_);
      thens.swap(delivered_);
    }
    for (const BackgroundThreads::Then& then : thens) then(Instant());
  }
  void WaitDelivered(size_t count) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return delivered_.size() >= count; });
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable came_;
  std::vector<BackgroundThreads::Then> delivered_;
  BackgroundThreads background_{[this](BackgroundThreads::Then then) {
    std::lock_guard lock(mutex_);
    delivered_.push_back(std::move(then));
    came_.notify_all();
  }};
};

TEST_F(BackgroundThreadsTest, DoesTheWorkOfALaneInOrderAndDeliversWhatComesThen) {
  std::vector<int> worked;
  std::vector<int> then;
  for (int i = 0; i < 10; ++i) {
    background_.Run(
        Background::kGraphs, Instant(),
        {[&, i] { worked.push_back(i); }, [&, i](const Instant&) { then.push_back(i); }});
  }
  WaitDelivered(10);
  RunDelivered();
  EXPECT_EQ(then, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(worked, then);
}

TEST_F(BackgroundThreadsTest, OneLaneDoesNotWaitForTheOther) {
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  background_.Run(Background::kGraphs, Instant(),
                  {[&] {
                     std::unique_lock lock(mutex);
                     changed.wait(lock, [&] { return released; });
                   },
                   [](const Instant&) {}});
  background_.Run(Background::kDeliveries, Instant(), {[] {}, [](const Instant&) {}});
  WaitDelivered(1);
  {
    std::lock_guard lock(mutex);
    released = true;
  }
  changed.notify_all();
  WaitDelivered(2);
}

TEST_F(BackgroundThreadsTest, StoppingLeavesWorkOutButDeliversEachThenOnce) {
  std::mutex mutex;
  std::condition_variable changed;
  bool begun = false;
  bool released = false;
  std::atomic<int> worked{0};
  std::atomic<int> then{0};
  background_.Run(Background::kGraphs, Instant(),
                  {[&] {
                     std::unique_lock lock(mutex);
                     begun = true;
                     changed.notify_all();
                     changed.wait(lock, [&] { return released; });
                     ++worked;
                   },
                   [&](const Instant&) { ++then; }});
  for (int i = 0; i < 5; ++i) {
    background_.Run(Background::kGraphs, Instant(),
                    {[&] { ++worked; }, [&](const Instant&) { ++then; }});
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return begun; });
  }
  std::thread stopping([&] { background_.Stop(); });
  {
    std::lock_guard lock(mutex);
    released = true;
  }
  changed.notify_all();
  stopping.join();
  background_.Run(Background::kGraphs, Instant(),
                  {[&] { ++worked; }, [&](const Instant&) { ++then; }});
  RunDelivered();
  EXPECT_EQ(then, 7);
  EXPECT_GE(worked, 1);
}

}  // namespace
}  // namespace kartograph::scheduler
