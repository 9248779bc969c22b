#include "planner/packed_project.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"

namespace kartograph::planner {
namespace {

// Where a resource is packed.
struct Field {
  size_t resource;
  int64_t unit;   // the amount that counts as one
  int64_t count;  // how many of that there are
  size_t word = 0;
  int shift = 0;
  int width() const {
    return std::bit_width(static_cast<uint64_t>(count)) + 1;
  }  // with the guard bit
};

// The resources that can run out.
std::vector<Field> FindFields(const Project& project) {
  std::vector<Field> fields;
  for (size_t r = 0; r < project.capacities.size(); ++r) {
    int64_t unit = 0;
    absl::int128 sum = 0;
    for (TaskIndex task = 0; task < project.size(); ++task) {
      unit = std::gcd(unit, project.demand(task)[r]);
      sum += project.demand(task)[r];
    }
    if (sum <= project.capacities[r]) continue;
    fields.push_back({r, unit, project.capacities[r] / unit});
  }
  return fields;
}

// First fit; says how many words it took.
size_t PlaceFields(std::vector<Field>* fields) {
  std::vector<int> used;
  for (Field& field : *fields) {
    while (field.word < used.size() && used[field.word] + field.width() > 64) ++field.word;
    if (field.word == used.size()) used.push_back(0);
    field.shift = used[field.word];
    used[field.word] += field.width();
  }
  return used.size();
}

// The weight of each resource in scarce_energy; they add up to 1.
std::vector<double> FindWeights(const Project& project) {
  std::vector<double> loads;
  for (size_t r = 0; r < project.capacities.size(); ++r) {
    double load = 0;
    for (TaskIndex task = 0; task < project.size(); ++task) {
      load += static_cast<double>(project.durations[task]) *
              static_cast<double>(project.demand(task)[r]);
    }
    loads.push_back(load == 0 ? 0 : load / static_cast<double>(project.capacities[r]));
  }
  double sum = 0;
  for (double& load : loads) sum += load *= load;
  if (sum == 0) return loads;
  for (double& load : loads) load /= sum;
  return loads;
}

}  // namespace

PackedProject::PackedProject(const Project& project) : tasks(TopologicalOrder(project.successors)) {
  std::vector<uint32_t> number(tasks.size());
  for (uint32_t i = 0; i < tasks.size(); ++i) number[tasks[i]] = i;
  std::vector<TaskIndex> list;
  durations.reserve(tasks.size());
  for (TaskIndex task : tasks) {
    durations.push_back(project.durations[task]);
    list.clear();
    for (TaskIndex next : project.successors[task]) list.push_back(number[next]);
    successors.Append(list);
  }
  predecessors = successors.Reversed();

  std::vector<Field> fields = FindFields(project);
  words = std::max<size_t>(1, PlaceFields(&fields));
  // The generation schemes are compiled for these numbers of words.
  words = std::bit_ceil(words);
  capacity.assign(words, 0);
  guards.assign(words, 0);
  demands.assign(tasks.size() * words, 0);
  for (const Field& field : fields) {
    guards[field.word] |= uint64_t{1} << (field.shift + field.width() - 1);
    capacity[field.word] |= static_cast<uint64_t>(field.count) << field.shift;
    for (uint32_t i = 0; i < tasks.size(); ++i) {
      if (durations[i] == 0) continue;
      const int64_t count = project.demand(tasks[i])[field.resource] / field.unit;
      demands[i * words + field.word] |= static_cast<uint64_t>(count) << field.shift;
    }
  }
  for (size_t w = 0; w < words; ++w) capacity[w] |= guards[w];

  absl::flat_hash_map<std::vector<uint64_t>, uint32_t> class_of;
  demand_class.reserve(tasks.size());
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    const auto [it, is_new] =
        class_of.try_emplace(std::vector<uint64_t>(demand(i), demand(i) + words), classes);
    if (is_new) ++classes;
    demand_class.push_back(it->second);
  }

  const std::vector<double> weights = FindWeights(project);
  scarce_energy.assign(tasks.size(), 0);
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    for (size_t r = 0; r < weights.size(); ++r) {
      if (weights[r] == 0) continue;
      const double share = static_cast<double>(project.demand(tasks[i])[r]) /
                           static_cast<double>(project.capacities[r]);
      scarce_energy[i] += weights[r] * share * static_cast<double>(durations[i]);
    }
  }
}

std::vector<uint32_t> PackedProject::Numbers(absl::Span<const TaskIndex> list) const {
  std::vector<uint32_t> number_of(size());
  for (uint32_t i = 0; i < size(); ++i) number_of[tasks[i]] = i;
  std::vector<uint32_t> numbers;
  numbers.reserve(list.size());
  for (TaskIndex task : list) numbers.push_back(number_of[task]);
  return numbers;
}

std::vector<TaskIndex> PackedProject::Tasks(absl::Span<const uint32_t> numbers) const {
  std::vector<TaskIndex> list;
  list.reserve(numbers.size());
  for (uint32_t number : numbers) list.push_back(tasks[number]);
  return list;
}

Schedule PackedProject::ByTask(const Schedule& schedule) const {
  Schedule by_task{std::vector<int64_t>(size()), schedule.makespan};
  for (uint32_t i = 0; i < size(); ++i) by_task.starts[tasks[i]] = schedule.starts[i];
  return by_task;
}

}  // namespace kartograph::planner
