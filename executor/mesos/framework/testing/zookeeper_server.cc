#include "executor/mesos/framework/testing/zookeeper_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace kartograph::executor::mesos {
namespace {

constexpr char kJava[] = "/usr/bin/java";
constexpr char kJars[] = "/usr/share/java/";
constexpr absl::Duration kPatience = absl::Seconds(120);

int Connect(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return connection;
  }
  close(connection);
  return -1;
}

// A socket that keeps a free port of 127.0.0.1 from everyone but those who ask to use it again, as
// the server does: so it stays ours while the server is down.
int KeepPort(int* port) {
  const int keeper = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(keeper, generic, size) == 0 && getsockname(keeper, generic, &size) == 0) {
    *port = ntohs(address.sin_port);
  }
  const int yes = 1;
  setsockopt(keeper, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  return keeper;
}

// The password of a session: the server makes it of the id by Java's generator of random numbers.
clientid_t ClientOf(int64_t session) {
  clientid_t client = {};
  client.client_id = session;
  constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;
  uint64_t seed = ((static_cast<uint64_t>(session) ^ 0xB3415C00) ^ 0x5DEECE66D) & kMask;
  for (int i = 0; i < 16; i += 4) {
    seed = (seed * 0x5DEECE66D + 0xB) & kMask;
    uint32_t number = static_cast<uint32_t>(seed >> 16);
    for (int j = 0; j < 4; ++j, number >>= 8) client.passwd[i + j] = static_cast<char>(number);
  }
  return client;
}

// Notifies whoever waits that a session stands, or never will.
void OnSession(zhandle_t*, int type, int state, const char*, void* context) {
  auto* known = static_cast<absl::Notification*>(context);
  if (type == ZOO_SESSION_EVENT && !known->HasBeenNotified() &&
      (state == ZOO_CONNECTED_STATE || state == ZOO_EXPIRED_SESSION_STATE)) {
    known->Notify();
  }
}

void OnLog(const char*) {}

absl::Status ToStatus(int code, absl::string_view path) {
  if (code == ZOK) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(path, ": ", zerror(code)));
}

}  // namespace

bool ZookeeperServer::IsInstalled() {
  return access(kJava, X_OK) == 0 &&
         access(absl::StrCat(kJars, "zookeeper.jar").c_str(), R_OK) == 0;
}

ZookeeperServer::ZookeeperServer(const std::string& folder)
    : folder_(absl::StrCat(folder, "/zookeeper")), keeper_(KeepPort(&port_)) {
  Wipe();
}

ZookeeperServer::~ZookeeperServer() {
  Kill();
  close(keeper_);
}

std::string ZookeeperServer::hosts() const { return absl::StrCat("127.0.0.1:", port_); }

void ZookeeperServer::Wipe() {
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

bool ZookeeperServer::Spawn() {
  const std::string config = absl::StrCat(folder_, "/zoo.cfg");
  std::ofstream(config) << "tickTime=100\ndataDir=" << folder_
                        << "/data\nclientPortAddress=127.0.0.1\nclientPort=" << port_
                        << "\nminSessionTimeout=200\nmaxSessionTimeout=60000\nmaxClientCnxns=0\n"
                           "admin.enableServer=false\n4lw.commands.whitelist=wchp\n";
  const std::string classes = absl::StrJoin(
      {"zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "netty-all", "snappy-java",
       "metrics-core", "commons-cli", "commons-io"},
      ":", [](std::string* out, const char* jar) { absl::StrAppend(out, kJars, jar, ".jar"); });
  const std::string log = absl::StrCat(folder_, "/log");
  const char* const arguments[] = {kJava,
                                   "-Xmx64m",
                                   "-XX:+UseSerialGC",
                                   "-XX:TieredStopAtLevel=1",
                                   "-XX:-UsePerfData",
                                   "-cp",
                                   classes.c_str(),
                                   "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                                   config.c_str(),
                                   nullptr};
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) return pid_ > 0;
  // A test that crashes leaves no server behind.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(file, 1);
  dup2(file, 2);
  execv(kJava, const_cast<char**>(arguments));
  _exit(127);
}

absl::Status ZookeeperServer::Start() {
  const std::string log = absl::StrCat(folder_, "/log");
  const absl::Time until = absl::Now() + kPatience;
  if (!Spawn()) return absl::UnavailableError("no process for the server");
  // The port answers before the server does; only a session is proof.
  while (absl::Now() < until) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      std::ifstream file(log);
      return absl::UnavailableError(absl::StrCat(
          "the server has ended: ",
          std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>())));
    }
    absl::Notification connected;
    zhandle_t* handle =
        zookeeper_init2(hosts().c_str(), &OnSession, 10000, nullptr, &connected, 0, &OnLog);
    const bool answers =
        handle != nullptr && connected.WaitForNotificationWithTimeout(absl::Seconds(1));
    zookeeper_close(handle);
    if (answers) return absl::OkStatus();
  }
  return absl::UnavailableError("the server does not answer");
}

void ZookeeperServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::vector<int64_t> ZookeeperServer::Watching(absl::string_view path) const {
  std::vector<int64_t> sessions;
  const int connection = Connect(port_);
  if (connection < 0) return sessions;
  std::string answer;
  if (send(connection, "wchp", 4, MSG_NOSIGNAL) == 4) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(connection, buffer, sizeof(buffer))) > 0) answer.append(buffer, got);
  }
  close(connection);
  // A line for each path, and one with a tab for each session after it.
  bool here = false;
  for (absl::string_view line : absl::StrSplit(answer, '\n')) {
    int64_t id = 0;
    if (!absl::ConsumePrefix(&line, "\t")) {
      here = line == path;
    } else if (here && absl::SimpleHexAtoi(line, &id)) {
      sessions.push_back(id);
    }
  }
  return sessions;
}

ZookeeperClient::ZookeeperClient(const std::string& hosts, const std::string& user, int64_t session)
    : known_(std::make_unique<absl::Notification>()) {
  const clientid_t client = ClientOf(session);
  handle_ = zookeeper_init2(hosts.c_str(), &OnSession, 30000, session == 0 ? nullptr : &client,
                            known_.get(), 0, &OnLog);
  if (!user.empty()) {
    zoo_add_auth(handle_, "digest", user.data(), static_cast<int>(user.size()), nullptr, nullptr);
  }
  known_->WaitForNotificationWithTimeout(kPatience);
}

ZookeeperClient::~ZookeeperClient() { zookeeper_close(handle_); }

int64_t ZookeeperClient::session() const { return zoo_client_id(handle_)->client_id; }

absl::Status ZookeeperClient::Create(const std::string& path, absl::string_view data, bool mine) {
  return ToStatus(zoo_create(handle_, path.c_str(), data.data(), static_cast<int>(data.size()),
                             mine ? &ZOO_CREATOR_ALL_ACL : &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0),
                  path);
}

absl::Status ZookeeperClient::Set(const std::string& path, absl::string_view data) {
  return ToStatus(zoo_set(handle_, path.c_str(), data.data(), static_cast<int>(data.size()), -1),
                  path);
}

absl::Status ZookeeperClient::Delete(const std::string& path) {
  return ToStatus(zoo_delete(handle_, path.c_str(), -1), path);
}

}  // namespace kartograph::executor::mesos
