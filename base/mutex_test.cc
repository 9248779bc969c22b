#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace kartograph {
namespace {

class Counter {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++value_;
    changed_.NotifyAll();
  }
  void WaitUntil(int value) {
    MutexLock lock(&mutex_);
    while (value_ < value) changed_.Wait(&mutex_);
  }
  bool WaitFor(int value, absl::Duration timeout) {
    MutexLock lock(&mutex_);
    while (value_ < value) {
      if (!changed_.WaitFor(&mutex_, timeout)) return false;
    }
    return true;
  }
  int value() {
    MutexLock lock(&mutex_);
    return value_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(MutexTest, OneThreadAtATime) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10000; ++n) counter.Add();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 80000);
}

TEST(MutexTest, AWaitEndsWithANotification) {
  Counter counter;
  std::thread other([&] {
    for (int n = 0; n < 3; ++n) counter.Add();
  });
  counter.WaitUntil(3);
  EXPECT_EQ(counter.value(), 3);
  other.join();
  EXPECT_TRUE(counter.WaitFor(3, absl::InfiniteDuration()));
}

TEST(MutexTest, AWaitEndsWithItsTimeout) {
  Counter counter;
  EXPECT_FALSE(counter.WaitFor(1, absl::Milliseconds(1)));
  std::thread other([&] { counter.Add(); });
  EXPECT_TRUE(counter.WaitFor(1, absl::InfiniteDuration()));
  other.join();
}

}  // namespace
}  // namespace kartograph
