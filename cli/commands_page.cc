#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "api/kartograph/v1/page.pb.h"
#include "base/descriptor.h"
#include "cli/commands.h"
#include "cli/report.h"

namespace kartograph::cli {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool HasDisplay() { return !Variable("DISPLAY").empty() || !Variable("WAYLAND_DISPLAY").empty(); }

// A page that leads to the link, which this user alone can read; empty where there is no place for
// it. The link itself must be no argument of a program: every user sees those, and who is first
// with it is logged in.
std::string WriteLink(const std::string& url) {
  const std::string folder = Variable("XDG_RUNTIME_DIR");
  if (folder.empty() || folder[0] != '/') return "";
  std::string path = absl::StrCat(folder, "/kartograph-page.html");
  unlink(path.c_str());
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const std::string page = absl::StrCat(
      "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Kartograph</title>\n"
      "<meta http-equiv=\"refresh\" content=\"0; url=",
      absl::StrReplaceAll(url, {{"&", "&amp;"}, {"\"", "&quot;"}, {"<", "&lt;"}}), "\">\n");
  const bool written =
      file.ok() && write(file.get(), page.data(), page.size()) == static_cast<ssize_t>(page.size());
  return written ? path : "";
}

// Whether a program that should show the file was started. It is not waited for, and may go on when
// our terminal is closed.
bool Show(const std::string& path) {
  sigset_t as_usual;
  sigemptyset(&as_usual);
  sigaddset(&as_usual, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &as_usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  for (const int fd : {0, 1, 2}) {
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  }
  std::string program = "xdg-open";
  std::string argument = path;
  char* const arguments[] = {program.data(), argument.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, program.c_str(), &files, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return error == 0;
}

// What to do where the browser is on another machine and the page's address is of this one alone;
// empty where it is not. `service`: the address of gRPC, which is that of a host or a socket here.
std::string FromElsewhere(absl::string_view url, absl::string_view service) {
  absl::ConsumePrefix(&url, "http://");
  absl::ConsumePrefix(&url, "https://");
  const absl::string_view address = url.substr(0, url.find('/'));
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return "";
  const absl::string_view host = address.substr(0, colon);
  if (host != "localhost" && host != "[::1]" && !absl::StartsWith(host, "127.")) return "";
  std::string machine(service.substr(0, service.rfind(':')));
  char name[HOST_NAME_MAX + 1] = "";
  if (absl::StartsWith(service, kSocketPrefix) && gethostname(name, sizeof(name)) == 0) {
    machine = name;
  }
  return absl::StrCat("If your browser is on another machine, run this there first: ssh -L ",
                      address.substr(colon + 1), ":", address, " ", machine, "\n");
}

}  // namespace

int Page(const Context& context) {
  const absl::StatusOr<std::string> url = context.client->GetPageLink();
  if (!url.ok()) return ReportError(context, url.status());
  if (context.json) {
    v1::GetPageLinkResponse response;
    response.set_url(*url);
    PrintJson(context, response);
    return kDone;
  }
  *context.out << *url << std::endl;
  // Whatever may be missing here: the link is there to be copied.
  const std::string file = context.out_terminal.interactive && HasDisplay() ? WriteLink(*url) : "";
  const bool shown = !file.empty() && Show(file);
  *context.err << (shown ? "Opened in the browser. " : "Open it in a browser. ")
               << "It works once, within five minutes.\n";
  if (!shown) *context.err << FromElsewhere(*url, context.client->options().address);
  return kDone;
}

}  // namespace kartograph::cli
