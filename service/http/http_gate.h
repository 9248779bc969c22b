// Who may ask over HTTP: in front of everything else that answers.
#ifndef KARTOGRAPH_SERVICE_HTTP_HTTP_GATE_H_
#define KARTOGRAPH_SERVICE_HTTP_HTTP_GATE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "service/access/page_sessions.h"
#include "service/access/users.h"
#include "service/config/address.h"
#include "service/http/http_server.h"

namespace kartograph::service {

// Lets through what comes from the page itself or carries a user's token, and logs browsers in: a
// GET of kLoginPath with a code of PageSessions is answered with the session's cookie.
//
// A request for another host name is refused, so that a web page whose name is made to lead here
// (DNS rebinding) reads nothing, and so is one from another site's page. Thread-safe.
class HttpGate {
 public:
  static constexpr char kLoginPath[] = "/login";

  struct Options {
    Address listening{};
    // Names under which browsers may ask besides loopback's and `listening`; without ports.
    std::vector<std::string> hosts{};
    // Served to everybody, whatever host name they use; empty: none. Nobody can guess it.
    std::string open_path{};
    bool metrics_open = false;  // /metrics too
    bool tls = false;           // the cookie is then sent over TLS alone
  };
  // `users` and `sessions` outlive this; `behind` is called with what is let through.
  HttpGate(Options options, const Users* users, PageSessions* sessions, HttpHandler behind);

  // An HttpHandler.
  void Handle(HttpRequest request, HttpReply reply);

  // Of a code, below the address of the page.
  static std::string LoginTarget(absl::string_view code);

 private:
  // Whether requests for this value of the header Host are answered.
  bool IsOurs(absl::string_view host) const;
  bool MayEnter(const HttpRequest& request) const;
  HttpResponse LogIn(const HttpRequest& request);

  const Options options_;
  std::set<std::string> hosts_;
  bool any_address_ = false;  // every IP address is this machine's
  const Users* const users_;
  PageSessions* const sessions_;
  const HttpHandler behind_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_HTTP_GATE_H_
