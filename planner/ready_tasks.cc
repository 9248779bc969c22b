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
  AppendBigEndian(static_cast<uint64_t>(order.share) ^ uint64_t{1} << 63, &key);
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
  Bucket& bucket = c.lanes[graph.lane][{key.priority, graph.score, key.task.graph()}];
  if (bucket.empty()) graph.places.push_back({consumption, key.priority});
  if (!bucket.insert({key.rank, key.task.index()}).second) return;
  ++c.size;
  ++size_;
}

void ReadyTasks::Erase(ClassId consumption, Lane lane, Buckets::iterator bucket,
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
  if (places.empty() && graph->second.score == 0 && graph->second.lane == Lane()) {
    graphs_.erase(graph);
  }
  auto buckets = c.lanes.find(lane);
  buckets->second.erase(bucket);
  if (buckets->second.empty()) c.lanes.erase(buckets);
}

void ReadyTasks::Remove(ClassId consumption, const ReadyKey& key) {
  if (empty(consumption)) std::abort();
  const Lane lane = LaneOf(key.task.graph());
  auto buckets = classes_[consumption].lanes.find(lane);
  if (buckets == classes_[consumption].lanes.end()) std::abort();
  auto bucket = buckets->second.find({key.priority, ScoreOf(key.task.graph()), key.task.graph()});
  if (bucket == buckets->second.end()) std::abort();
  auto task = bucket->second.find({key.rank, key.task.index()});
  if (task == bucket->second.end()) std::abort();
  Erase(consumption, lane, bucket, task);
}

void ReadyTasks::RemoveFirst(ClassId consumption, Lane lane) {
  auto bucket = classes_[consumption].lanes.find(lane)->second.begin();
  Erase(consumption, lane, bucket, bucket->second.begin());
}

ReadyOrder ReadyTasks::First(const FairShare& shares, ClassId consumption, Lane lane) const {
  return FirstOf(shares.Of(lane.account), classes_[consumption].lanes.find(lane)->second);
}

Score ReadyTasks::ScoreOf(GraphId graph) const {
  auto it = graphs_.find(graph);
  return it == graphs_.end() ? 0 : it->second.score;
}

Lane ReadyTasks::LaneOf(GraphId graph) const {
  auto it = graphs_.find(graph);
  return it == graphs_.end() ? Lane() : it->second.lane;
}

void ReadyTasks::SetAccount(GraphId id, Account account, bool capped) {
  Graph& graph = graphs_[id];
  if (!graph.places.empty()) std::abort();
  graph.lane = {account, capped ? id : 0};
}

void ReadyTasks::SetScore(GraphId id, Score score) {
  Graph& graph = graphs_[id];
  const Score before = std::exchange(graph.score, score);
  if (before == score) return;
  for (const Place& place : graph.places) {
    Buckets& buckets = classes_[place.consumption].lanes.find(graph.lane)->second;
    auto bucket = buckets.find({place.priority, before, id});
    Bucket tasks = std::move(bucket->second);
    buckets.erase(bucket);
    buckets.emplace(BucketKey{place.priority, score, id}, std::move(tasks));
  }
}

}  // namespace kartograph::planner
