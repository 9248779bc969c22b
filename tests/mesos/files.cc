#include "tests/mesos/files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "tests/mesos/operator_json.h"

namespace kartograph::stand_in {
namespace {

namespace fs = std::filesystem;

// A read is cut to this, as by a real agent.
constexpr int64_t kMaxRead = 16 * 4096;

// Where a path of the files API is, empty where it is nowhere. It begins with the sandbox's own
// path or with the virtual one of the executor's latest run.
fs::path Resolve(const Agent& agent, const std::string& path) {
  const auto within = [&](const std::string& prefix, const Agent::Executor& executor) -> fs::path {
    if (executor.directory.empty()) return {};
    if (path != prefix && !absl::StartsWith(path, prefix + "/")) return {};
    const fs::path root(executor.directory);
    std::error_code error;
    const fs::path found =
        fs::weakly_canonical(root / fs::path(path.substr(prefix.size())).relative_path(), error);
    // Nothing outside of the sandbox.
    const bool inside =
        !error &&
        std::mismatch(root.begin(), root.end(), found.begin(), found.end()).first == root.end();
    return inside ? found : fs::path();
  };
  const auto of = [&](const Agent::Executor& executor) {
    const std::string latest = absl::StrCat("/frameworks/", executor.framework_id, "/executors/",
                                            executor.id, "/runs/latest");
    fs::path found = within(latest, executor);
    return found.empty() ? within(executor.directory, executor) : found;
  };
  for (const auto& [key, executor] : agent.executors()) {
    if (fs::path found = of(*executor); !found.empty()) return found;
  }
  // The latest first.
  for (auto next = agent.completed().rbegin(); next != agent.completed().rend(); ++next) {
    if (fs::path found = of(**next); !found.empty()) return found;
  }
  return {};
}

void Read(const fs::path& path, const HttpRequest& request, const HttpReplier& reply) {
  int64_t offset = -1, length = -1;
  if (const auto text = request.Query("offset")) {
    if (!absl::SimpleAtoi(*text, &offset)) {
      return reply->Reply(400, "Failed to parse offset: " + *text + ".\n");
    }
    if (offset < -1) return reply->Reply(400, "Negative offset provided: " + *text + ".\n");
  }
  if (const auto text = request.Query("length")) {
    if (!absl::SimpleAtoi(*text, &length)) {
      return reply->Reply(400, "Failed to parse length: " + *text + ".\n");
    }
    if (length < -1) return reply->Reply(400, "Negative length provided: " + *text + ".\n");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return reply->Reply(500, "Failed to open file at '" + path.string() + "'.\n");
  const int64_t size = file.tellg();
  std::string data;
  if (offset >= 0 && offset < size && length != 0) {
    data.resize(
        static_cast<size_t>(std::min({length < 0 ? size : length, size - offset, kMaxRead})));
    file.seekg(offset);
    file.read(data.data(), static_cast<std::streamsize>(data.size()));
    data.resize(static_cast<size_t>(file.gcount()));
  }
  reply->Reply(
      200,
      absl::StrCat("{\"data\":", JsonText(data), ",\"offset\":", offset == -1 ? size : offset, "}"),
      {{"Content-Type", "application/json"}});
}

// The v1 API: one call, one answer.
void OnOperatorCall(const Agent& agent, const HttpRequest& request, const HttpReplier& reply) {
  mesos::AgentCall call;
  if (request.method != "POST" || !call.ParseFromString(request.body)) {
    return reply->Reply(400, "Failed to parse body into Call protobuf");
  }
  mesos::AgentResponse response;
  if (call.type() == mesos::AgentCall::GET_EXECUTORS) {
    auto* lists = response.mutable_get_executors();
    for (const auto& [key, executor] : agent.executors()) {
      *lists->add_executors()->mutable_executor_info() = executor->info;
    }
    for (const auto& executor : agent.completed()) {
      *lists->add_completed_executors()->mutable_executor_info() = executor->info;
    }
  } else if (agent.hides_files()) {
    return reply->Reply(agent.files_status());
  } else if (call.type() == mesos::AgentCall::READ_FILE) {
    const fs::path path = Resolve(agent, call.read_file().path());
    std::error_code error;
    if (path.empty() || !fs::exists(path, error)) return reply->Reply(404);
    if (fs::is_directory(path, error)) return reply->Reply(400, "Cannot read a directory.\n");
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return reply->Reply(500, "Failed to open file at '" + path.string() + "'.\n");
    const int64_t size = file.tellg();
    const int64_t offset = static_cast<int64_t>(call.read_file().offset());
    int64_t length = call.read_file().has_length()
                         ? std::min(static_cast<int64_t>(call.read_file().length()), kMaxRead)
                         : kMaxRead;
    length = std::clamp<int64_t>(size - offset, 0, length);
    std::string data(static_cast<size_t>(length), '\0');
    file.seekg(offset);
    file.read(data.data(), length);
    response.mutable_read_file()->set_size(static_cast<uint64_t>(size));
    response.mutable_read_file()->set_data(data);
  } else {
    return reply->Reply(501);
  }
  reply->Reply(200, response.SerializeAsString(), {{"Content-Type", "application/x-protobuf"}});
}

}  // namespace

void OnAgentRequest(Agent* agent, const HttpRequest& request, const HttpReplier& reply) {
  std::string path = request.path;
  // The agent's own name may be before everything, as in its URL.
  if (absl::StartsWith(path, "/slave(1)/")) path = path.substr(strlen("/slave(1)"));
  if (path == "/api/v1/executor") return agent->OnExecutorCall(request, reply);
  // No one receives it.
  if (agent->partitioned() || agent->down()) return reply->Close();
  if (path == "/api/v1") return OnOperatorCall(*agent, request, reply);
  if (path == "/state") {
    return reply->Reply(200, AgentJson(*agent), {{"Content-Type", "application/json"}});
  }
  const std::string name(absl::StripSuffix(path, ".json"));
  if (name != "/files/read" && name != "/files/download") return reply->Reply(404);
  const std::optional<std::string> wanted = request.Query("path");
  if (!wanted || wanted->empty()) return reply->Reply(400, "Expecting 'path=value' in query.\n");
  const fs::path file = Resolve(*agent, *wanted);
  std::error_code error;
  if (file.empty() || !fs::exists(file, error)) return reply->Reply(404);
  if (fs::is_directory(file, error)) {
    return reply->Reply(400, name == "/files/read" ? "Cannot read a directory.\n"
                                                   : "Cannot download a directory.\n");
  }
  if (name == "/files/read") return Read(file, request, reply);
  std::ifstream stream(file, std::ios::binary);
  reply->Reply(
      200, std::string(std::istreambuf_iterator<char>(stream), {}),
      {{"Content-Type", "application/octet-stream"},
       {"Content-Disposition", absl::StrCat("attachment; filename=", file.filename().string())}});
}

}  // namespace kartograph::stand_in
