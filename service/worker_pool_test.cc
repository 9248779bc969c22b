#include "service/worker_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace kartograph::service {
namespace {

TEST(WorkerPoolTest, RunsJobsInOrder) {
  std::vector<int> seen;
  {
    WorkerPool pool(1);
    for (int i = 0; i < 100; ++i) pool.Post([&seen, i] { seen.push_back(i); });
  }
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST(WorkerPoolTest, RunsDelayedJobsWhenTheyAreDue) {
  WorkerPool pool(2);
  absl::Notification later;
  absl::Notification sooner;
  const absl::Time start = absl::Now();
  pool.PostAfter(absl::Milliseconds(40), [&] { later.Notify(); });
  pool.PostAfter(absl::Milliseconds(20), [&] { sooner.Notify(); });
  sooner.WaitForNotification();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(20));
  later.WaitForNotification();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(40));
}

TEST(WorkerPoolTest, AdmitsOnlySoMuchFromOutside) {
  WorkerPool pool(1, 2);
  absl::Notification started;
  absl::Notification unblock;
  ASSERT_TRUE(pool.TryPost([&] {
    started.Notify();
    unblock.WaitForNotification();
  }));
  started.WaitForNotification();
  EXPECT_TRUE(pool.TryPost([] {}));
  EXPECT_TRUE(pool.TryPost([] {}));
  EXPECT_FALSE(pool.TryPost([] {}));
  absl::Notification done;
  pool.Post([&] { done.Notify(); });  // what was admitted goes on
  unblock.Notify();
  done.WaitForNotification();
}

TEST(WorkerPoolTest, StopsWithoutWaitingForWhatIsDelayed) {
  auto held = std::make_shared<int>(0);
  WorkerPool pool(2);
  pool.PostAfter(absl::Hours(1), [held] {});
  pool.Stop();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(pool.TryPost([] {}));
}

}  // namespace
}  // namespace kartograph::service
