#include "executor/mesos/framework/offered_resources.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using testing::ElementsAre;
using testing::IsEmpty;

// An offer's resources, in protobuf's text format.
kartograph::mesos::Offer OfferOf(const std::string& text) {
  kartograph::mesos::Offer offer;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &offer)) << text;
  return offer;
}

std::string Scalar(const std::string& name, const std::string& value,
                   const std::string& more = "") {
  return absl::StrCat("resources { name: '", name, "' type: SCALAR scalar { value: ", value, " } ",
                      "allocation_info { role: 'maps' } ", more, " } ");
}

OfferedResources From(const std::string& text, OfferedResources::Revocable revocable =
                                                   OfferedResources::Revocable::kIgnored) {
  OfferedResources offered(revocable);
  offered.Add(OfferOf(text).resources());
  return offered;
}

// "cpus=1 mem=64 reserved" of each piece.
std::vector<std::string> Taken(OfferedResources& offered, const ResourceVector& wanted) {
  std::vector<std::string> pieces;
  absl::StatusOr<std::vector<kartograph::mesos::Resource>> taken = offered.Take(wanted);
  if (!taken.ok()) return {std::string(absl::StatusCodeToString(taken.status().code()))};
  for (const kartograph::mesos::Resource& resource : *taken) {
    pieces.push_back(absl::StrCat(resource.name(), "=", resource.scalar().value(),
                                  resource.reservations_size() > 0 ? " reserved" : "",
                                  resource.has_revocable() ? " revocable" : "",
                                  resource.allocation_info().role() == "maps" ? "" : " no role"));
  }
  return pieces;
}

constexpr char kReserved[] = "reservations { type: DYNAMIC role: 'maps' principal: 'p' }";

TEST(OfferedResourcesTest, SpeaksThePlannersTerms) {
  EXPECT_EQ(From(Scalar("cpus", "2.5") + Scalar("mem", "1024") + Scalar("disk", "10") +
                 Scalar("db_connections", "8"))
                .available(),
            (ResourceVector{{Resource::Cpu(), Quantity::FromMilli(2500)},
                            {Resource::Ram(), Quantity::Of(1 << 30)},
                            {Resource::Named("disk"), Quantity::Of(10 << 20)},
                            {Resource::Named("db_connections"), Quantity::Of(8)}}));
}

TEST(OfferedResourcesTest, AnOfferMayLackCpusOrMem) {
  EXPECT_EQ(From(Scalar("mem", "64")).available().Get(Resource::Cpu()), Quantity());
  EXPECT_TRUE(From("").available().empty());
}

TEST(OfferedResourcesTest, RoundsToThousandthsAsMesosDoes) {
  // 0.1 + 0.2 is a little more, 0.3 - 0.1 a little less than what is meant.
  EXPECT_EQ(From(Scalar("cpus", "0.30000000000000004")).available().Get(Resource::Cpu()),
            Quantity::FromMilli(300));
  EXPECT_EQ(From(Scalar("cpus", "0.19999999999999998")).available().Get(Resource::Cpu()),
            Quantity::FromMilli(200));
}

TEST(OfferedResourcesTest, LeavesOutWhatIsNoUse) {
  const std::string text =
      "resources { name: 'ports' type: RANGES ranges { range { begin: 1 end: 9 } } } " +
      Scalar("disk", "10", "disk {}") + Scalar("gpus", "1", "shared {}") +
      Scalar("not a name", "1") + Scalar("cpu", "7") + Scalar("ram", "7") + Scalar("cpus", "nan") +
      Scalar("mem", "-1") + Scalar("mem", "inf") + Scalar("cpus", "1", "revocable {}");
  EXPECT_TRUE(From(text).available().empty()) << From(text).available().ToString();
}

TEST(OfferedResourcesTest, SumsSeveralOffersOfAnAgent) {
  OfferedResources offered = From(Scalar("cpus", "1"));
  offered.Add(OfferOf(Scalar("cpus", "0.5")).resources());
  EXPECT_EQ(offered.available().Get(Resource::Cpu()), Quantity::FromMilli(1500));
  EXPECT_THAT(Taken(offered, {{Resource::Cpu(), Quantity::FromMilli(1250)}}),
              ElementsAre("cpus=1", "cpus=0.25"));
}

TEST(OfferedResourcesTest, UsesWhatIsReservedFirstAndSaysSo) {
  OfferedResources offered =
      From(Scalar("cpus", "2") + Scalar("cpus", "1", kReserved) + Scalar("mem", "64", kReserved));
  EXPECT_THAT(Taken(offered, {{Resource::Cpu(), Quantity::FromMilli(1500)},
                              {Resource::Ram(), Quantity::Of(64 << 20)}}),
              ElementsAre("cpus=1 reserved", "cpus=0.5", "mem=64 reserved"));
  EXPECT_EQ(offered.available(), (ResourceVector{{Resource::Cpu(), Quantity::FromMilli(1500)}}));
}

TEST(OfferedResourcesTest, TakesNothingWhereNotAllIsThere) {
  OfferedResources offered = From(Scalar("cpus", "2"));
  const ResourceVector before = offered.available();
  EXPECT_THAT(
      Taken(offered, {{Resource::Cpu(), Quantity::Of(1)}, {Resource::Ram(), Quantity::Of(1)}}),
      ElementsAre("RESOURCE_EXHAUSTED"));
  EXPECT_EQ(offered.available(), before);
  EXPECT_THAT(Taken(offered, {}), IsEmpty());
}

TEST(OfferedResourcesTest, OfEachNameTheKindIsUsedOfWhichThereIsMore) {
  OfferedResources offered =
      From(Scalar("cpus", "1") + Scalar("cpus", "3", "revocable {}") + Scalar("mem", "64") +
               Scalar("mem", "64", "revocable {}") + Scalar("gpus", "1", "revocable {}"),
           OfferedResources::Revocable::kUsed);
  const ResourceVector usable = {{Resource::Cpu(), Quantity::Of(3)},
                                 {Resource::Ram(), Quantity::Of(64 << 20)},
                                 {Resource::Named("gpus"), Quantity::Of(1)}};
  EXPECT_EQ(offered.available(), usable);
  EXPECT_THAT(Taken(offered, {{Resource::Cpu(), Quantity::Of(4)}}),
              ElementsAre("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Taken(offered, usable),
              ElementsAre("cpus=3 revocable", "mem=64", "gpus=1 revocable"));
  // Also when less is left of it than of the other.
  EXPECT_THAT(Taken(offered, {{Resource::Cpu(), Quantity::Of(1)}}),
              ElementsAre("RESOURCE_EXHAUSTED"));
  EXPECT_TRUE(offered.available().empty()) << offered.available().ToString();
}

TEST(OfferedResourcesTest, GoesWithExecutorsThatHoldTheSameKind) {
  const auto goes = [](const std::string& offered, const std::string& own) {
    return From(offered, OfferedResources::Revocable::kUsed).GoWith(OfferOf(own).resources());
  };
  const std::string firm = Scalar("cpus", "1"), revocable = Scalar("cpus", "1", "revocable {}");
  EXPECT_TRUE(goes(firm, firm));
  EXPECT_TRUE(goes(revocable, revocable + Scalar("mem", "32")));
  EXPECT_FALSE(goes(firm, revocable));
  EXPECT_FALSE(goes(revocable, firm + Scalar("mem", "32")));
  EXPECT_TRUE(goes(Scalar("mem", "1"), revocable)) << "no task takes of it";
  EXPECT_TRUE(goes(firm, ""));
}

TEST(OfferedResourcesTest, PromisesNoLessMemoryThanWasAsked) {
  OfferedResources offered = From(Scalar("mem", "1"));
  // A thousandth of a MiB is some 1,049 bytes.
  EXPECT_THAT(Taken(offered, {{Resource::Ram(), Quantity::Of(1000)}}), ElementsAre("mem=0.001"));
  EXPECT_THAT(Taken(offered, {{Resource::Ram(), Quantity::Of(1049)}}), ElementsAre("mem=0.002"));
  EXPECT_THAT(Taken(offered, {{Resource::Ram(), offered.available().Get(Resource::Ram())}}),
              ElementsAre("mem=0.997"));
  EXPECT_TRUE(offered.available().empty());
}

TEST(OfferedResourcesTest, KeepsWhatItDoesNotKnow) {
  kartograph::mesos::Resource resource = OfferOf(Scalar("cpus", "1", kReserved)).resources(0);
  // Field 12 of Mesos's Resource, which is not among ours.
  resource.GetReflection()->MutableUnknownFields(&resource)->AddLengthDelimited(12, "provider");
  OfferedResources offered;
  offered.Add(std::vector<kartograph::mesos::Resource>{resource});
  absl::StatusOr<std::vector<kartograph::mesos::Resource>> taken =
      offered.Take({{Resource::Cpu(), Quantity::Of(1)}});
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ((*taken)[0].SerializeAsString(), resource.SerializeAsString());
}

TEST(OfferedResourcesTest, WhatIsMoreThanAnythingHasIsAsMuchAsAQuantityCanBe) {
  // An operator who wrote bytes for MiB: 16 GiB became 16 PiB.
  for (const char* mem : {"17179869184", "1e12", "1e18", "1e300"}) {
    OfferedResources offered = From(Scalar("cpus", "4") + Scalar("mem", mem));
    EXPECT_EQ(offered.available().Get(Resource::Ram()), Quantity::Max()) << mem;
    EXPECT_EQ(offered.available().Get(Resource::Cpu()), Quantity::Of(4));
    EXPECT_FALSE(offered.available().HasNegative());
    // A task of a usual size still gets what it asks for.
    EXPECT_THAT(Taken(offered, {{Resource::Ram(), Quantity::Of(64 << 20)}}), ElementsAre("mem=64"));
  }
}

TEST(OfferedResourcesTest, SumsOfManyPiecesStayInRange) {
  OfferedResources offered(OfferedResources::Revocable::kUsed);
  for (int i = 0; i < 100; ++i) {
    offered.Add(
        OfferOf(Scalar("disk", "1e12") + Scalar("disk", "1e12", "revocable { }")).resources());
  }
  const Resource disk = Resource::Named("disk");
  EXPECT_EQ(offered.available().Get(disk), Quantity::Max());
  EXPECT_EQ(offered.all().Get(disk), Quantity::Max());
}

TEST(OfferedResourcesTest, WhatIsMoreThanAQuantityCanBeIsNeverLessThanNothing) {
  OfferedResources offered = From(Scalar("mem", "0.1") + Scalar("mem", "1e300"));
  const ResourceVector all = offered.available();
  ASSERT_TRUE(offered.Take(all).ok());
  EXPECT_FALSE(offered.available().HasNegative()) << offered.available().ToString();
}

TEST(OfferedResourcesTest, WhatIsNoQuantityIsLeftOutAndItsNameWithIt) {
  const size_t names = Resource::Count();
  for (const char* value : {"0", "-1", "-inf", "nan"}) {
    EXPECT_TRUE(From(Scalar(absl::StrCat("odd", value), value)).available().empty()) << value;
  }
  EXPECT_EQ(Resource::Count(), names);
}

}  // namespace
}  // namespace kartograph::executor::mesos
