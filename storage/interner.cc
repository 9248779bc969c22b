#include "storage/interner.h"

#include <optional>

#include "storage/encoding.h"

namespace kartograph::storage {
namespace {

template <typename... Values>
absl::StatusOr<std::optional<int64_t>> FindRow(Connection& connection, const char* select,
                                               const Values&... values) {
  absl::StatusOr<Rows> rows = connection.Query(select, values...);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  return rows->Int(0);
}

// The id a SELECT gives, or that of the row which `insert` then makes.
template <typename... Values>
absl::StatusOr<int64_t> FindOrInsert(Connection& connection, const char* select, const char* insert,
                                     const Values&... values) {
  absl::StatusOr<std::optional<int64_t>> id = FindRow(connection, select, values...);
  if (!id.ok()) return id.status();
  if (id->has_value()) return **id;
  if (absl::Status status = connection.Run(insert, values...); !status.ok()) return status;
  return connection.last_insert_id();
}

// NULL: no limit.
std::optional<int64_t> EncodeLimit(absl::Duration limit) {
  if (limit == absl::InfiniteDuration()) return std::nullopt;
  return EncodeDuration(limit);
}

constexpr char kSelectQueue[] = "SELECT id FROM queues WHERE name = ?";

}  // namespace

absl::StatusOr<int64_t> Interner::SettingsOf(const TaskSubmitted& task) {
  return Given(FindSettings(task), &UsedRows::settings);
}

absl::StatusOr<int64_t> Interner::Agent(absl::string_view agent, absl::string_view name) {
  return Given(FindAgent(agent, name), &UsedRows::agents);
}

absl::StatusOr<int64_t> Interner::Queue(absl::string_view name) {
  return Given(FindOrAddQueue(name), &UsedRows::queues);
}

absl::StatusOr<int64_t> Interner::Given(absl::StatusOr<int64_t> id,
                                        absl::flat_hash_set<int64_t> UsedRows::*table) {
  if (sweeping_ && id.ok()) (used_.*table).insert(*id);
  return id;
}

absl::StatusOr<int64_t> Interner::FindSettings(const TaskSubmitted& task) {
  if (last_settings_id_ != 0 && last_settings_.AreOf(task)) return last_settings_id_;
  Settings settings = Settings::Of(task);
  std::optional<int64_t> id = settings_.Find(settings);
  if (!id.has_value()) {
    const std::string consumption = EncodeConsumption(task.consumption);
    const planner::TaskPolicy& policy = task.policy;
    const std::string retry_rule = EncodeRetryRule(policy.retry);
    const std::string constraints = EncodeConstraints(policy.constraints);
    const std::string spread = EncodeSpread(policy.spread);
    const std::optional<int64_t> timeout = EncodeLimit(policy.timeout);
    const std::optional<int64_t> unreachable = EncodeLimit(policy.unreachable_timeout);
    absl::StatusOr<int64_t> row = FindOrInsert(
        connection_,
        "SELECT id FROM settings WHERE consumption = ? AND timeout_us IS ? AND retry_delay_us = ? "
        "AND max_retry_delay_us = ? AND cancel_grace_us = ? AND max_attempts = ? AND priority = ? "
        "AND unreachable_timeout_us IS ? AND max_losses = ? AND retry_rule = ? AND constraints = ? "
        "AND avoid_last_failure = ? AND preemptible = ? AND spread = ?",
        "INSERT INTO settings (consumption, timeout_us, retry_delay_us, max_retry_delay_us, "
        "cancel_grace_us, max_attempts, priority, unreachable_timeout_us, max_losses, retry_rule, "
        "constraints, avoid_last_failure, preemptible, spread) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        absl::string_view(consumption), timeout, EncodeDuration(policy.retry_delay),
        EncodeDuration(policy.max_retry_delay), EncodeDuration(policy.cancel_grace),
        int64_t{policy.max_attempts}, int64_t{task.priority}, unreachable,
        int64_t{policy.max_losses}, absl::string_view(retry_rule), absl::string_view(constraints),
        int64_t{policy.avoid_last_failure}, int64_t{policy.preemptible}, absl::string_view(spread));
    if (!row.ok()) return row.status();
    id = *row;
    settings_.Add(settings, *id);
  }
  last_settings_ = std::move(settings);
  last_settings_id_ = *id;
  return *id;
}

absl::StatusOr<int64_t> Interner::FindAgent(absl::string_view agent, absl::string_view name) {
  const uint32_t agent_size = static_cast<uint32_t>(agent.size());
  agent_key_.assign(reinterpret_cast<const char*>(&agent_size), sizeof(agent_size));
  agent_key_.append(agent.data(), agent.size());
  agent_key_.append(name.data(), name.size());
  if (std::optional<int64_t> id = agents_.Find(agent_key_)) return *id;
  absl::StatusOr<int64_t> id =
      FindOrInsert(connection_, "SELECT id FROM agents WHERE agent = ? AND name = ?",
                   "INSERT INTO agents (agent, name) VALUES (?, ?)", agent, name);
  if (id.ok()) agents_.Add(agent_key_, *id);
  return id;
}

absl::StatusOr<int64_t> Interner::FindOrAddQueue(absl::string_view name) {
  if (std::optional<int64_t> id = queues_.Find(name)) return *id;
  absl::StatusOr<int64_t> id =
      FindOrInsert(connection_, kSelectQueue, "INSERT INTO queues (name) VALUES (?)", name);
  if (id.ok()) queues_.Add(std::string(name), *id);
  return id;
}

absl::StatusOr<std::optional<int64_t>> Interner::FindQueue(absl::string_view name) {
  if (std::optional<int64_t> id = queues_.Find(name)) return id;
  return FindRow(connection_, kSelectQueue, name);
}

void Interner::BeginSweep() {
  used_ = UsedRows();
  sweeping_ = true;
}

void Interner::EndSweep() {
  used_ = UsedRows();
  sweeping_ = false;
}

void Interner::Removed() {
  settings_.Clear();
  agents_.Clear();
  queues_.Clear();
  last_settings_id_ = 0;
}

void Interner::Committed() {
  settings_.Commit();
  agents_.Commit();
  queues_.Commit();
}

void Interner::RolledBack() {
  settings_.Rollback();
  agents_.Rollback();
  queues_.Rollback();
  last_settings_id_ = 0;
}

}  // namespace kartograph::storage
