#include "planner/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

std::string WordProblem(absl::string_view name, absl::string_view kind, size_t most) {
  if (!name.empty() && name.size() <= most &&
      absl::ascii_isalpha(static_cast<unsigned char>(name[0])) &&
      std::all_of(name.begin(), name.end(), IsWordCharacter)) {
    return "";
  }
  return absl::StrCat("is not a valid ", kind, " name; use 1 to ", most,
                      " letters, digits, '_', '-' or '.', starting with a letter");
}

}  // namespace

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("_.-/:+@=,[]").find(c) != absl::string_view::npos;
}

std::string NameProblem(absl::string_view name) {
  if (name.empty())
    return absl::StrCat("is empty; a name has 1 to ", kMaxNameLength, " characters");
  if (name.size() > kMaxNameLength) {
    return absl::StrCat("has ", name.size(), " characters; at most ", kMaxNameLength,
                        " are allowed");
  }
  if (name[0] == '-') return "must not start with '-'";
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return "contains an invalid character; allowed are the letters A to Z and a to z, digits and "
           "_ . - / : + @ = , [ ]";
  }
  return "";
}

bool LooksLikeGraphId(absl::string_view text) {
  return text.size() > 1 && text[0] == 'g' && std::all_of(text.begin() + 1, text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c));
         });
}

std::string GraphNameProblem(absl::string_view name) {
  std::string problem = NameProblem(name);
  if (problem.empty() && LooksLikeGraphId(name)) {
    return "looks like the id of a graph; use a name that is not a 'g' and a number";
  }
  return problem;
}

std::string UserNameProblem(absl::string_view name) {
  return WordProblem(name, "user", kMaxUserNameLength);
}

std::string ShareNameProblem(absl::string_view name) {
  return WordProblem(name, "share", kMaxUserNameLength);
}

std::string ResourceNameProblem(absl::string_view name) {
  return WordProblem(name, "resource", kMaxResourceNameLength);
}

}  // namespace kartograph::planner
