#include "scheduler/usage_table.h"

#include <algorithm>
#include <utility>

#include "scheduler/smoothed.h"

namespace kartograph::scheduler {

using planner::TaskKind;
using planner::UsageSketch;

namespace {

std::string Encode(const KindUsage& usage) {
  std::string bytes;
  for (const UsageSketch* sketch : {&usage.wall_us, &usage.cpu_milli, &usage.ram_bytes}) {
    sketch->AppendTo(&bytes);
  }
  return bytes;
}

absl::Status Decode(absl::string_view bytes, KindUsage* usage) {
  for (UsageSketch* sketch : {&usage->wall_us, &usage->cpu_milli, &usage->ram_bytes}) {
    absl::StatusOr<UsageSketch> read = UsageSketch::TakeFrom(&bytes);
    if (!read.ok()) return read.status();
    *sketch = *std::move(read);
  }
  return bytes.empty() ? absl::OkStatus()
                       : absl::DataLossError("what is stored of past runs is damaged");
}

// Of kinds with the same names.
constexpr int kMaxLookedAt = 64;

bool HasNamesOf(const TaskKind& kind, const TaskKind& other) {
  return kind.task == other.task && kind.graph == other.graph;
}

}  // namespace

// --- for the scheduler ---

absl::Status UsageTable::Load(absl::Span<const storage::KindLearnt> kinds) {
  std::vector<const storage::KindLearnt*> by_age;
  for (const storage::KindLearnt& kind : kinds) by_age.push_back(&kind);
  std::sort(by_age.begin(), by_age.end(), [](const auto* a, const auto* b) {
    return a->last_run != b->last_run ? a->last_run < b->last_run : a->id < b->id;
  });
  MutexLock lock(&mutex_);
  entries_.clear();
  free_.clear();
  slots_.clear();
  consumptions_.clear();
  newest_ = oldest_ = kNone;
  last_id_ = 0;
  changed_.clear();
  forgotten_.clear();
  for (const storage::KindLearnt* row : by_age) {
    KindUsage usage;
    usage.kind = {row->graph, row->task, row->consumption};
    usage.runs = row->runs;
    usage.last_run = row->last_run;
    if (absl::Status status = Decode(row->usage, &usage); !status.ok()) return status;
    if (row->id <= 0 || slots_.contains(usage.kind)) {
      return absl::DataLossError("what is stored of past runs is damaged: a kind is there twice");
    }
    last_id_ = std::max(last_id_, row->id);
    const auto median = static_cast<double>(usage.wall_us.Median());
    Entry& entry = entries_[Add(std::move(usage), row->id)];
    if (median > 0) {
      entry.consumption->mean_wall_us = Smoothed(entry.consumption->mean_wall_us, median);
    }
  }
  return absl::OkStatus();
}

void UsageTable::Learn(const TaskKind& kind, const AttemptUsage& used, absl::Time now,
                       Place* place) {
  MutexLock lock(&mutex_);
  if (place->slot >= entries_.size() || place->id == 0 || entries_[place->slot].id != place->id) {
    place->slot = FindOrAdd(kind);
    place->id = entries_[place->slot].id;
  }
  Entry& entry = entries_[place->slot];
  KindUsage& usage = entry.usage;
  const absl::Duration wall = std::max(used.wall_time, kLeastWallTime);
  const double wall_us = absl::ToDoubleMicroseconds(wall);
  ++usage.runs;
  usage.last_run = now;
  usage.wall_us.Add(static_cast<uint64_t>(absl::ToInt64Microseconds(wall)));
  if (used.measured()) {
    usage.cpu_milli.Add(static_cast<uint64_t>(
        1000 * std::max(0.0, absl::ToDoubleMicroseconds(used.cpu_time)) / wall_us));
    usage.ram_bytes.Add(used.peak_ram_bytes);
  }
  entry.consumption->mean_wall_us = Smoothed(entry.consumption->mean_wall_us, wall_us);
  if (newest_ != place->slot) {
    Unlink(place->slot);
    LinkNewest(place->slot);
  }
  if (std::exchange(entry.changed, true)) return;
  changed_.push_back(place->slot);
}

void UsageTable::TakeChanges(std::vector<storage::Record>* records) {
  MutexLock lock(&mutex_);
  for (int64_t id : forgotten_) records->emplace_back(storage::KindForgotten{id});
  for (uint32_t slot : changed_) {
    Entry& entry = entries_[slot];
    // It may be gone, and another one in its place.
    if (!std::exchange(entry.changed, false)) continue;
    const KindUsage& usage = entry.usage;
    records->emplace_back(storage::KindLearnt{entry.id, usage.kind.graph, usage.kind.task,
                                              usage.kind.consumption, usage.runs, Encode(usage),
                                              usage.last_run});
  }
  forgotten_.clear();
  changed_.clear();
}

void UsageTable::SetCapacity(planner::ResourceVector agents, planner::ResourceVector pools) {
  MutexLock lock(&mutex_);
  agents_ = std::move(agents);
  pools_ = std::move(pools);
}

uint32_t UsageTable::FindOrAdd(const TaskKind& kind) {
  if (auto it = slots_.find(kind); it != slots_.end()) return it->second;
  KindUsage usage;
  usage.kind = kind;
  const uint32_t slot = Add(std::move(usage), ++last_id_);
  if (slots_.size() > kMaxKinds) {
    forgotten_.push_back(entries_[oldest_].id);
    Remove(oldest_);
  }
  return slot;
}

uint32_t UsageTable::Add(KindUsage usage, int64_t id) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(entries_.size()));
    entries_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  Entry& entry = entries_[slot];
  slots_[usage.kind] = slot;
  entry.consumption = &consumptions_[usage.kind.consumption];
  ++entry.consumption->kinds;
  entry.usage = std::move(usage);
  entry.id = id;
  LinkNewest(slot);
  return slot;
}

void UsageTable::Remove(uint32_t slot) {
  Unlink(slot);
  Entry& entry = entries_[slot];
  slots_.erase(entry.usage.kind);
  if (--entry.consumption->kinds == 0) consumptions_.erase(entry.usage.kind.consumption);
  entry = Entry();
  free_.push_back(slot);
}

void UsageTable::Unlink(uint32_t slot) {
  Entry& entry = entries_[slot];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  entry.newer = entry.older = kNone;
}

void UsageTable::LinkNewest(uint32_t slot) {
  entries_[slot].older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = slot;
  newest_ = slot;
}

// --- for everybody ---

uint32_t UsageTable::SlotOf(const TaskKind& kind) const {
  if (auto it = slots_.find(kind); it != slots_.end()) return it->second;
  uint32_t best = kNone;
  int left = kMaxLookedAt;
  for (auto it = slots_.lower_bound({kind.graph, kind.task, ""});
       it != slots_.end() && HasNamesOf(it->first, kind) && left > 0; ++it, --left) {
    const KindUsage& usage = entries_[it->second].usage;
    if (best == kNone || usage.last_run > entries_[best].usage.last_run) best = it->second;
  }
  return best;
}

std::optional<absl::Duration> UsageTable::WallTime(const TaskKind& kind) const {
  MutexLock lock(&mutex_);
  const uint32_t slot = SlotOf(kind);
  if (slot == kNone) return std::nullopt;
  return absl::Microseconds(entries_[slot].usage.wall_us.Median());
}

std::optional<absl::Duration> UsageTable::WallTimeOf(absl::string_view consumption) const {
  MutexLock lock(&mutex_);
  auto it = consumptions_.find(consumption);
  if (it == consumptions_.end() || it->second.mean_wall_us == 0) return std::nullopt;
  return absl::Microseconds(it->second.mean_wall_us);
}

double UsageTable::DominantShare(const planner::ResourceVector& consumption) const {
  MutexLock lock(&mutex_);
  double most = 0;
  for (const planner::ResourceVector::Entry& entry : consumption) {
    const planner::Quantity pool = pools_.Get(entry.resource);
    const planner::Quantity all = pool.is_zero() ? agents_.Get(entry.resource) : pool;
    if (all.milli() <= 0) continue;
    most = std::max(most,
                    static_cast<double>(entry.quantity.milli()) / static_cast<double>(all.milli()));
  }
  return std::min(most, 1.0);
}

std::optional<KindUsage> UsageTable::Find(const TaskKind& kind) const {
  MutexLock lock(&mutex_);
  const uint32_t slot = SlotOf(kind);
  if (slot == kNone) return std::nullopt;
  return entries_[slot].usage;
}

std::vector<KindUsage> UsageTable::List(const TaskKind* after, absl::string_view graph,
                                        absl::string_view task, size_t limit) const {
  MutexLock lock(&mutex_);
  std::vector<KindUsage> found;
  for (auto it = after == nullptr ? slots_.begin() : slots_.upper_bound(*after);
       it != slots_.end() && found.size() < limit; ++it) {
    if (!graph.empty() && it->first.graph != graph) continue;
    if (!task.empty() && it->first.task != task) continue;
    found.push_back(entries_[it->second].usage);
  }
  return found;
}

size_t UsageTable::size() const {
  MutexLock lock(&mutex_);
  return slots_.size();
}

}  // namespace kartograph::scheduler
