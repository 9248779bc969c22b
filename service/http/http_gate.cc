#include "service/http/http_gate.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/access/secret.h"

namespace kartograph::service {
namespace {

// The name in a value of the header Host, in lower case and without its port.
std::string NameOf(absl::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || bracket < colon)) {
    host = host.substr(0, colon);
  }
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return absl::AsciiStrToLower(host);
}

// Of a cookie in the header; empty where it is not there.
absl::string_view CookieOf(absl::string_view header, absl::string_view name) {
  for (absl::string_view cookie : absl::StrSplit(header, ';')) {
    cookie = absl::StripAsciiWhitespace(cookie);
    if (absl::ConsumePrefix(&cookie, name) && absl::ConsumePrefix(&cookie, "=")) return cookie;
  }
  return "";
}

HttpResponse Page(int status, absl::string_view text) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<title>Kartograph</title>\n<h1>Kartograph</h1>\n<p>",
      text, "</p>\n</html>\n");
  return response;
}

constexpr char kHowToEnter[] =
    "As the service's user on its machine, type <code>kartograph page</code> "
    "(with <code>--state-folder DIR</code> where its state folder is not the default one) and open "
    "the "
    "link that it prints.";

bool IsForPrograms(const HttpRequest& request) {
  return absl::StartsWith(request.path, "/api/") || request.path == "/metrics";
}

HttpResponse NotLoggedIn(const HttpRequest& request) {
  HttpResponse response =
      IsForPrograms(request)
          ? ErrorResponse(absl::UnauthenticatedError(
                "this takes the service's token or a user's, in a header Authorization: Bearer "
                "TOKEN, or the session of a browser, which `kartograph page` opens"))
          : Page(401, absl::StrCat("This browser is not logged in. ", kHowToEnter));
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

HttpGate::HttpGate(Options options, const Users* users, PageSessions* sessions, HttpHandler behind)
    : options_(std::move(options)),
      hosts_({absl::AsciiStrToLower(options_.listening.host)}),
      users_(users),
      sessions_(sessions),
      behind_(std::move(behind)) {
  for (const std::string& host : options_.hosts) hosts_.insert(absl::AsciiStrToLower(host));
  if (options_.listening.IsWildcard()) {
    any_address_ = true;
    hosts_.insert(absl::AsciiStrToLower(HostName()));
  }
}

bool HttpGate::IsOurs(absl::string_view host) const {
  const Address named{NameOf(host), 0};
  // An address is no name, so nobody can make it lead here: only which one it is matters.
  return hosts_.count(named.host) > 0 || named.IsLoopback() || (any_address_ && named.IsIp());
}

bool HttpGate::MayEnter(const HttpRequest& request) const {
  if (options_.metrics_open && request.path == "/metrics") return true;
  absl::string_view token = request.authorization;
  if (absl::ConsumePrefix(&token, "Bearer ")) return users_->Find(token).has_value();
  const std::optional<std::string> credential =
      sessions_->CredentialOf(CookieOf(request.cookie, sessions_->cookie_name()));
  return credential && users_->Has(*credential);
}

void HttpGate::Handle(HttpRequest request, HttpReply reply) {
  const bool open = request.path == "/healthz" ||
                    (!options_.open_path.empty() && SameSecret(request.path, options_.open_path));
  if (open) return behind_(std::move(request), std::move(reply));
  if (!IsOurs(request.host)) {
    return reply(ErrorResponse(
        403, absl::PermissionDeniedError(absl::StrCat(
                 "requests for the host \"", NameOf(request.host),
                 "\" are not answered here; where this is a name of this service, start it with "
                 "--http-host NAME"))));
  }
  // Only what comes from a page has an origin; its scheme may be that of a proxy in between.
  const size_t scheme = request.origin.find("://");
  if (!request.origin.empty() &&
      (scheme == std::string::npos ||
       !absl::EqualsIgnoreCase(absl::string_view(request.origin).substr(scheme + 3),
                               request.host))) {
    return reply(ErrorResponse(
        403, absl::PermissionDeniedError("requests of other sites' pages are not answered")));
  }
  if (request.path == kLoginPath) return reply(LogIn(request));
  if (!MayEnter(request)) return reply(NotLoggedIn(request));
  behind_(std::move(request), std::move(reply));
}

std::string HttpGate::LoginTarget(absl::string_view code) {
  return absl::StrCat(kLoginPath, "?code=", code);
}

HttpResponse HttpGate::LogIn(const HttpRequest& request) {
  // Browsers withhold a strict cookie from a navigation that another site began, redirects
  // included. This page begins one of its own.
  if (request.query.empty() || request.head) {
    HttpResponse response = Page(200, "<a href=\"/\">To the status page</a>");
    response.headers.emplace_back("Refresh", "0; url=/");
    return response;
  }
  const std::optional<std::string> session =
      request.query.size() == 1 && request.query[0].first == "code"
          ? sessions_->Redeem(request.query[0].second)
          : std::nullopt;
  if (!session) {
    return Page(401, absl::StrCat("This link has been used, or it is too old. ", kHowToEnter));
  }
  HttpResponse response = Page(303, "<a href=\"/\">To the status page</a>");
  response.headers.emplace_back("Location", kLoginPath);
  response.headers.emplace_back(
      "Set-Cookie", absl::StrCat(sessions_->cookie_name(), "=", *session, "; Path=/; Max-Age=",
                                 absl::ToInt64Seconds(PageSessions::kSessionLife),
                                 "; HttpOnly; SameSite=Strict", options_.tls ? "; Secure" : ""));
  return response;
}

}  // namespace kartograph::service
