#include "executor/mesos/framework/credentials.h"

#include <fcntl.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::executor::mesos {
namespace {

// What is larger is another file.
constexpr size_t kMaxFileBytes = 64 << 10;

absl::Status FileError(const std::string& path, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("the Mesos secret in ", path, ": ", what));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(path, strerror(errno));
  struct stat about = {};
  if (fstat(file, &about) == 0 && (about.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    spdlog::warn("the Mesos secret in {} can be read by other users: chmod 600 it", path);
  }
  std::string text(kMaxFileBytes + 1, '\0');
  size_t bytes = 0;
  ssize_t got = 0;
  // The file may be a pipe.
  while (bytes < text.size() && ((got = read(file, &text[bytes], text.size() - bytes)) > 0 ||
                                 (got < 0 && errno == EINTR))) {
    if (got > 0) bytes += static_cast<size_t>(got);
  }
  const int error = errno;
  close(file);
  if (got < 0) return FileError(path, strerror(error));
  if (bytes > kMaxFileBytes) return FileError(path, "the file is too large for a secret");
  text.resize(bytes);
  return text;
}

absl::StatusOr<Credentials> ParseJson(const std::string& path, absl::string_view text) {
  google::protobuf::Struct json;
  // The parser's message would show a part of the text.
  if (!google::protobuf::util::JsonStringToMessage(
           google::protobuf::StringPiece(text.data(), text.size()), &json)
           .ok()) {
    return FileError(path, "it begins like JSON and is not");
  }
  Credentials credentials;
  for (auto [name, value] :
       {std::pair("principal", &credentials.principal), std::pair("secret", &credentials.secret)}) {
    const auto field = json.fields().find(name);
    if (field == json.fields().end()) continue;
    if (field->second.kind_case() != google::protobuf::Value::kStringValue) {
      return FileError(path, absl::StrCat("the ", name, " is not a string"));
    }
    *value = field->second.string_value();
  }
  if (credentials.secret.empty()) return FileError(path, "its JSON has no secret");
  return credentials;
}

absl::StatusOr<Credentials> ParseFile(const std::string& path) {
  absl::StatusOr<std::string> content = ReadFile(path);
  if (!content.ok()) return content.status();
  const absl::string_view text = absl::StripAsciiWhitespace(*content);
  if (text.empty()) return FileError(path, "it is empty");
  if (text.front() == '{') return ParseJson(path, text);
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  for (absl::string_view word : words) {
    for (char c : word) {
      if (absl::ascii_iscntrl(c)) return FileError(path, "it is not text");
    }
  }
  if (words.size() == 1) return Credentials{"", words[0]};
  if (words.size() == 2) return Credentials{words[0], words[1]};
  return FileError(
      path, "it has more than a principal and a secret; a secret with spaces goes into JSON");
}

}  // namespace

absl::StatusOr<Credentials> ReadCredentials(absl::string_view principal,
                                            const std::string& secret_file) {
  Credentials credentials;
  if (!secret_file.empty()) {
    absl::StatusOr<Credentials> read = ParseFile(secret_file);
    if (!read.ok()) return read.status();
    credentials = *std::move(read);
  } else if (const char* secret = getenv(kSecretVariable); secret != nullptr) {
    credentials.secret = secret;
  }
  if (!principal.empty()) {
    if (!credentials.principal.empty() && credentials.principal != principal) {
      return absl::InvalidArgumentError(absl::StrCat("the Mesos principal is given as \"",
                                                     principal, "\", but ", secret_file,
                                                     " has the secret of another"));
    }
    credentials.principal = std::string(principal);
  }
  if (credentials.principal.empty() && !credentials.secret.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the secret in ", secret_file.empty() ? kSecretVariable : secret_file,
                     " needs a Mesos principal that it belongs to"));
  }
  if (absl::StrContains(credentials.principal, ':') && !credentials.secret.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the Mesos principal \"", credentials.principal,
                     "\" cannot be sent: HTTP's Basic authentication ends it at the colon"));
  }
  return credentials;
}

std::string BasicAuthorization(const Credentials& credentials) {
  if (credentials.secret.empty()) return "";
  return absl::StrCat(
      "Basic ", absl::Base64Escape(absl::StrCat(credentials.principal, ":", credentials.secret)));
}

}  // namespace kartograph::executor::mesos
