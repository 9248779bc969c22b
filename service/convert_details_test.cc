#include "service/convert_details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "service/request_digest.h"

namespace kartograph::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> FieldsOf(const v1::TaskSpec& spec) {
  ProblemList problems;
  ConvertDetails(spec, "task", problems);
  std::vector<std::string> fields;
  for (const planner::Problem& problem : problems.problems()) fields.push_back(problem.field);
  return fields;
}

TEST(ConvertDetailsTest, WhatSaysNothingTakesNothing) {
  ProblemList problems;
  EXPECT_EQ(ConvertDetails(v1::TaskSpec(), "task", problems), "");
  EXPECT_EQ(ConvertDetails(v1::GraphSpec(), "graph", problems), "");
  EXPECT_EQ(ClientData(""), "");
  EXPECT_TRUE(HasLabels("", {}));
  EXPECT_FALSE(HasLabels("", {{"a", "b"}}));
}

TEST(ConvertDetailsTest, GoesThereAndBack) {
  v1::TaskSpec spec;
  spec.set_title("Straße");
  (*spec.mutable_labels())["a"] = "b";
  (*spec.mutable_labels())["c"] = "";
  spec.set_client_data(std::string("\0\xff", 2));
  ProblemList problems;
  const std::string details = ConvertDetails(spec, "task", problems);
  EXPECT_TRUE(problems.empty());
  v1::TaskSpec back;
  SetDetails(details, back);
  EXPECT_EQ(back.title(), "Straße");
  EXPECT_EQ(back.labels().at("a"), "b");
  EXPECT_EQ(back.client_data(), std::string("\0\xff", 2));
  EXPECT_EQ(ClientData(details), back.client_data());
  EXPECT_TRUE(HasLabels(details, {{"a", "b"}, {"c", ""}}));
  EXPECT_FALSE(HasLabels(details, {{"a", "b"}, {"d", ""}}));
  EXPECT_FALSE(HasLabels(details, {{"a", ""}}));
  SetDetails("what nobody wrote", back);
}

TEST(ConvertDetailsTest, TextsHaveLimits) {
  v1::TaskSpec spec;
  std::string title;
  for (int i = 0; i < 256; ++i) title += "道";
  spec.set_title(title);
  spec.set_client_data(std::string(4096, 'x'));
  (*spec.mutable_labels())[std::string(63, 'n')] = title;
  EXPECT_THAT(FieldsOf(spec), IsEmpty());
  spec.set_title(title + "x");
  EXPECT_THAT(FieldsOf(spec), ElementsAre("task.title"));
  spec.set_title("a\tb");
  EXPECT_THAT(FieldsOf(spec), ElementsAre("task.title"));
  spec.set_title("");
  spec.set_client_data(std::string(4097, 'x'));
  EXPECT_THAT(FieldsOf(spec), ElementsAre("task.client_data"));
  spec.clear_client_data();
  (*spec.mutable_labels())["two words"] = "";
  EXPECT_THAT(FieldsOf(spec), ElementsAre("task.labels[\"two words\"]"));
}

TEST(RequestDigestTest, SaysWhetherTwoRequestsSayTheSame) {
  v1::ExecuteRequest request;
  EXPECT_EQ(DigestOf(request), 0u) << "nothing to compare without an id";
  request.set_request_id("one");
  for (int i = 0; i < 50; ++i) {
    (*request.mutable_task()
          ->mutable_consumption())[std::string(1, static_cast<char>('a' + i % 26)) +
                                   std::to_string(i)] = i;
  }
  v1::ExecuteRequest other;
  other.set_request_id("two");
  for (int i = 49; i >= 0; --i) {
    (*other.mutable_task()->mutable_consumption())[std::string(1, static_cast<char>('a' + i % 26)) +
                                                   std::to_string(i)] = i;
  }
  EXPECT_NE(DigestOf(request), 0u);
  EXPECT_EQ(DigestOf(request), DigestOf(other));
  other.mutable_task()->set_priority(1);
  EXPECT_NE(DigestOf(request), DigestOf(other));
}

TEST(RequestDigestTest, DividesMessages) {
  v1::TaskSpec ab, a, b;
  ab.add_after("a");
  ab.add_after("b");
  a.add_after("a");
  b.add_after("b");
  RequestDigest one, two;
  one.Add(ab);
  two.Add(a);
  two.Add(b);
  EXPECT_NE(one.Finish(), two.Finish());
}

}  // namespace
}  // namespace kartograph::service
