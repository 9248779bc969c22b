#include "planner/ready_tasks.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace kartograph::planner {
namespace {

template <typename Unsigned>
void AppendBigEndian(Unsigned value, std::string* text) {
  for (int shift = 8 * (sizeof(value) - 1); shift >= 0; shift -= 8) {
    text->push_back(static_cast<char>(value >> shift & 0xFF));
  }
}

}  // namespace

std::string SortKey(const ReadyOrder& order) {
  std::string key;
  // With the sign's bit turned, negative numbers are less; turned as a whole, the highest is first.
  AppendBigEndian(~(static_cast<uint32_t>(order.priority) ^ uint32_t{1} << 31), &key);
  AppendBigEndian(static_cast<uint64_t>(order.score) ^ uint64_t{1} << 63, &key);
  AppendBigEndian(uint32_t{order.task.graph()}, &key);
  AppendBigEndian(~order.rank, &key);
  return key;
}

void ReadyTasks::Add(ClassId consumption, const ReadyKey& key) {
  if (classes_.size() <= consumption) classes_.resize(consumption + 1);
  Class& c = classes_[consumption];
  Graph& graph = graphs_[key.task.graph()];
  Bucket& bucket = c.buckets[{key.priority, graph.score, key.task.graph()}];
  if (bucket.empty()) graph.places.push_back({consumption, key.priority});
  if (!bucket.insert({key.rank, key.task.index()}).second) return;
  ++c.size;
  ++size_;
}

void ReadyTasks::Erase(ClassId consumption, absl::btree_map<BucketKey, Bucket>::iterator bucket,
                       Bucket::iterator task) {
  Class& c = classes_[consumption];
  bucket->second.erase(task);
  --c.size;
  --size_;
  if (!bucket->second.empty()) return;
  auto graph = graphs_.find(bucket->first.graph);
  auto& places = graph->second.places;
  const Place place = {consumption, bucket->first.priority};
  std::swap(*std::find(places.begin(), places.end(), place), places.back());
  places.pop_back();
  if (places.empty() && graph->second.score == 0) graphs_.erase(graph);
  c.buckets.erase(bucket);
}

void ReadyTasks::Remove(ClassId consumption, const ReadyKey& key) {
  if (empty(consumption)) std::abort();
  auto& buckets = classes_[consumption].buckets;
  auto bucket = buckets.find({key.priority, ScoreOf(key.task.graph()), key.task.graph()});
  if (bucket == buckets.end()) std::abort();
  auto task = bucket->second.find({key.rank, key.task.index()});
  if (task == bucket->second.end()) std::abort();
  Erase(consumption, bucket, task);
}

void ReadyTasks::RemoveFirst(ClassId consumption) {
  auto bucket = classes_[consumption].buckets.begin();
  Erase(consumption, bucket, bucket->second.begin());
}

ReadyOrder ReadyTasks::First(ClassId consumption) const {
  const auto& [key, bucket] = *classes_[consumption].buckets.begin();
  const InGraph& first = *bucket.begin();
  return {key.priority, key.score, first.rank, TaskKey::Of(key.graph, first.index)};
}

Score ReadyTasks::ScoreOf(GraphId graph) const {
  auto it = graphs_.find(graph);
  return it == graphs_.end() ? 0 : it->second.score;
}

void ReadyTasks::SetScore(GraphId id, Score score) {
  Graph& graph = graphs_[id];
  const Score before = std::exchange(graph.score, score);
  if (before == score) return;
  for (const Place& place : graph.places) {
    auto& buckets = classes_[place.consumption].buckets;
    auto bucket = buckets.find({place.priority, before, id});
    Bucket tasks = std::move(bucket->second);
    buckets.erase(bucket);
    buckets.emplace(BucketKey{place.priority, score, id}, std::move(tasks));
  }
}

}  // namespace kartograph::planner
