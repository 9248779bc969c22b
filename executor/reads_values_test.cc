#include "executor/reads_values.h"

#include <gtest/gtest.h>

#include <string>

#include "executor/payload.pb.h"

namespace kartograph::executor {
namespace {

TEST(ReadsValuesTest, IsFoundAmongAllThatAPayloadHas) {
  Payload payload;
  EXPECT_FALSE(ReadsValues(payload.SerializeAsString()));
  payload.add_arguments("a");
  payload.add_arguments("b");
  payload.set_shell("true");
  (*payload.mutable_environment())["NAME"] = "value";
  payload.mutable_container()->set_image("alpine");
  payload.set_input(std::string(100000, 'x'));
  payload.set_worker(true);
  EXPECT_FALSE(ReadsValues(payload.SerializeAsString()));
  payload.set_reads_values(true);
  EXPECT_TRUE(ReadsValues(payload.SerializeAsString()));
}

TEST(ReadsValuesTest, WhatIsNoPayloadReadsNone) {
  EXPECT_FALSE(ReadsValues("payload 7"));
  EXPECT_FALSE(ReadsValues(std::string(3, '\xff')));
  Payload payload;
  payload.set_input("x");
  payload.set_reads_values(true);
  const std::string text = payload.SerializeAsString();
  EXPECT_FALSE(ReadsValues(text.substr(0, text.size() - 1)));
}

}  // namespace
}  // namespace kartograph::executor
