#include "planner/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

using ::testing::HasSubstr;

const Resource kDb = Resource::Named("db_connections");

Quantity Units(double units) { return *Quantity::FromUnits(units); }

TEST(QuantityTest, SumsOfDecimalsAreExact) {
  EXPECT_EQ(Units(0.1) + Units(0.2), Units(0.3));
  Quantity sum;
  for (int i = 0; i < 1000; ++i) sum += Units(0.001);
  EXPECT_EQ(sum, Quantity::Of(1));
}

TEST(QuantityTest, TakesEveryThousandthAsItIs) {
  for (int64_t milli = 0; milli <= 100000; ++milli) {
    ASSERT_EQ(Units(static_cast<double>(milli) / 1000).milli(), milli);
  }
}

TEST(QuantityTest, RoundsWhatIsFinerUp) {
  EXPECT_EQ(Units(0.0001).milli(), 1);
  EXPECT_EQ(Units(0.0010001).milli(), 2);
  EXPECT_EQ(Units(1.0005).milli(), 1001);
}

TEST(QuantityTest, RefusesWhatIsNoQuantityOfAnything) {
  const double infinity = std::numeric_limits<double>::infinity();
  const struct {
    double units;
    const char* why;
  } cases[] = {{std::numeric_limits<double>::quiet_NaN(), "not a number"},
               {-0.001, "negative"},
               {-infinity, "negative"},
               {infinity, "over 10^15"},
               {1.1e15, "over 10^15"}};
  for (const auto& c : cases) {
    const absl::Status status = Quantity::FromUnits(c.units).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.units;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.why));
  }
}

TEST(QuantityTest, TakesEverythingFromZeroToTheLimit) {
  EXPECT_TRUE(Units(0).is_zero());
  EXPECT_TRUE(Units(-0.0).is_zero());
  EXPECT_EQ(Units(1e15), Quantity::Of(1000000000000000));
}

TEST(QuantityTest, PrintsTheShortestDecimal) {
  EXPECT_EQ(Quantity().ToString(), "0");
  EXPECT_EQ(Quantity::Of(4).ToString(), "4");
  EXPECT_EQ(Quantity::FromMilli(500).ToString(), "0.5");
  EXPECT_EQ(Quantity::FromMilli(1).ToString(), "0.001");
  EXPECT_EQ(Quantity::FromMilli(12340).ToString(), "12.34");
  EXPECT_EQ(Quantity::FromMilli(-1500).ToString(), "-1.5");
  EXPECT_EQ(Quantity::FromMilli(-20).ToString(), "-0.02");
}

TEST(QuantityTest, OrdersByAmount) {
  EXPECT_LT(Units(0.999), Quantity::Of(1));
  EXPECT_LT(Quantity::FromMilli(-1), Quantity());
  EXPECT_EQ(Quantity::Of(3) - Quantity::Of(5), Quantity::Of(-2));
}

TEST(QuantityTest, SumsStayAtTheEndInsteadOfChangingTheirSign) {
  Quantity sum;
  for (int i = 0; i < 100; ++i) {
    const Quantity before = sum;
    sum += Quantity::Max();
    EXPECT_GE(sum, before);
  }
  EXPECT_EQ(sum, Quantity::FromMilli(INT64_MAX));
  for (int i = 0; i < 100; ++i) sum -= Quantity::Max();
  EXPECT_EQ(sum - Quantity::FromMilli(INT64_MAX), Quantity::FromMilli(INT64_MIN));
  EXPECT_EQ(Quantity() - Quantity::FromMilli(INT64_MIN), Quantity::FromMilli(INT64_MAX));
  EXPECT_EQ(Quantity::FromMilli(INT64_MIN).ToString(), "-9223372036854775.808");
}

TEST(QuantityTest, WhatComesFromOutsideIsFromZeroToTheMost) {
  EXPECT_EQ(*Quantity::FromOutside(0), Quantity());
  EXPECT_EQ(*Quantity::FromOutside(1500), Quantity::FromMilli(1500));
  EXPECT_EQ(*Quantity::FromOutside(Quantity::Max().milli()), Quantity::Max());
  for (int64_t wrong : {INT64_MIN, int64_t{-1}, Quantity::Max().milli() + 1, INT64_MAX}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Quantity::FromOutside(wrong).status())) << wrong;
  }
}

TEST(ResourceTest, CpuAndRamAreThereFromTheBeginning) {
  EXPECT_EQ(Resource::Named("cpu"), Resource::Cpu());
  EXPECT_EQ(Resource::Named("ram"), Resource::Ram());
  EXPECT_EQ(Resource::Cpu().name(), "cpu");
  EXPECT_EQ(Resource::Ram().name(), "ram");
}

TEST(ResourceTest, OneNameIsOneResource) {
  EXPECT_EQ(Resource::Named("gpu"), Resource::Named("gpu"));
  EXPECT_NE(Resource::Named("gpu"), Resource::Named("Gpu"));
  EXPECT_EQ(Resource::Named("gpu").name(), "gpu");
}

TEST(ResourceTest, TakesNamesOfLettersDigitsAndAFewSigns) {
  for (const std::string& name : {std::string("a"), std::string("a.b-c_9"), std::string(64, 'x')}) {
    EXPECT_TRUE(Resource::Intern(name).ok()) << name;
  }
}

TEST(ResourceTest, RefusesOtherNamesAndSaysWhatWouldBeRight) {
  for (const std::string& name :
       {std::string(), std::string("1gpu"), std::string("_gpu"), std::string("-gpu"),
        std::string("a b"), std::string("a/b"), std::string("a=1"), std::string("größe"),
        std::string("a\0b", 3), std::string(65, 'x'), std::string(100000, 'x')}) {
    const absl::Status status = Resource::Intern(name).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("starting with a letter"));
    EXPECT_LT(status.message().size(), 300u) << "a long name is not repeated in full";
  }
}

TEST(ResourceTest, AllThreadsGetTheSameResourceForAName) {
  constexpr int kNames = 200;
  std::vector<std::vector<Resource>> seen(4);
  std::vector<std::thread> threads;
  for (std::vector<Resource>& mine : seen) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < kNames; ++i) mine.push_back(Resource::Named(absl::StrCat("thread.", i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kNames; ++i) {
    EXPECT_EQ(seen[0][i].name(), absl::StrCat("thread.", i));
    for (const std::vector<Resource>& mine : seen) EXPECT_EQ(mine[i], seen[0][i]);
  }
}

TEST(ResourceTest, IsFoundOnlyWhenItIsThere) {
  EXPECT_EQ(Resource::Find("cpu"), Resource::Cpu());
  EXPECT_EQ(Resource::Find("never.named"), std::nullopt);
  EXPECT_EQ(Resource::Find("never.named"), std::nullopt) << "looking adds nothing";
}

TEST(ResourceNamesTest, WhatIsRefusedTakesNoPlace) {
  const size_t before = Resource::Count();
  for (int i = 0; i < 5000; ++i) {
    ResourceNames names;
    ASSERT_TRUE(names.Intern(absl::StrCat("refused.", i)).ok());
    EXPECT_EQ(Resource::Count(), before + 1);
  }
  EXPECT_EQ(Resource::Count(), before);
  EXPECT_EQ(Resource::Find("refused.17"), std::nullopt);
  EXPECT_TRUE(Resource::Intern("good.after.refused").ok());
  EXPECT_EQ(Resource::Count(), before + 1);
}

TEST(ResourceNamesTest, WhatIsAcceptedStays) {
  {
    ResourceNames names;
    const Resource accepted = *names.Intern("accepted");
    EXPECT_TRUE(names.Intern("beside.it").ok());
    ResourceNames::Keep({{accepted, Quantity::Of(1)}, {Resource::Cpu(), Quantity::Of(1)}});
  }
  ASSERT_TRUE(Resource::Find("accepted").has_value());
  EXPECT_EQ(Resource::Find("accepted")->name(), "accepted");
  EXPECT_EQ(Resource::Find("beside.it"), std::nullopt);
  {
    ResourceNames names;
    EXPECT_TRUE(names.Intern("all.kept").ok());
    names.KeepAll();
  }
  EXPECT_TRUE(Resource::Find("all.kept").has_value());
}

TEST(ResourceNamesTest, ANameIsThereAsLongAsSomebodyHoldsIt) {
  auto one = std::make_unique<ResourceNames>();
  auto other = std::make_unique<ResourceNames>();
  const Resource held = *one->Intern("held.twice");
  EXPECT_EQ(*one->Intern("held.twice"), held) << "the same again counts once";
  EXPECT_EQ(*other->Intern("held.twice"), held);
  one.reset();
  EXPECT_EQ(Resource::Find("held.twice"), held);
  EXPECT_EQ(held.name(), "held.twice");
  other.reset();
  EXPECT_EQ(Resource::Find("held.twice"), std::nullopt);
}

TEST(ResourceNamesTest, OneGraphNamesAFew) {
  ResourceNames names;
  for (size_t i = 0; i < ResourceNames::kMaxNames; ++i) {
    ASSERT_TRUE(names.Intern(absl::StrCat("one.graph.", i)).ok());
  }
  const size_t before = Resource::Count();
  EXPECT_TRUE(absl::IsResourceExhausted(names.Intern("one.graph.more").status()));
  EXPECT_EQ(Resource::Count(), before);
  EXPECT_TRUE(names.Intern("one.graph.7").ok()) << "what it has named already it may name again";
}

TEST(ResourceNamesTest, TheTableHasAnEndAndGivesPlacesBack) {
  std::vector<std::unique_ptr<ResourceNames>> graphs;
  for (size_t i = 0; Resource::Count() < Resource::kMaxNames; ++i) {
    if (i % ResourceNames::kMaxNames == 0) graphs.push_back(std::make_unique<ResourceNames>());
    ASSERT_TRUE(graphs.back()->Intern(absl::StrCat("full.", i)).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Resource::Intern("one.more").status()));
  EXPECT_TRUE(Resource::Intern("full.1").ok());
  graphs.clear();
  const absl::StatusOr<Resource> more = Resource::Intern("one.more");
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(more->name(), "one.more");
}

TEST(ResourceVectorTest, WhatIsNotInItIsZero) {
  const ResourceVector v = {{Resource::Cpu(), Quantity::Of(2)}};
  EXPECT_EQ(v.Get(Resource::Cpu()), Quantity::Of(2));
  EXPECT_TRUE(v.Get(kDb).is_zero());
  EXPECT_TRUE(ResourceVector().empty());
}

TEST(ResourceVectorTest, LeavesZerosOut) {
  ResourceVector v = {{Resource::Cpu(), Quantity()}, {kDb, Quantity::Of(1)}};
  EXPECT_EQ(v.size(), 1u);
  v.Set(kDb, Quantity());
  EXPECT_TRUE(v.empty());
  v.Set(kDb, Quantity());
  EXPECT_TRUE(v.empty());
}

TEST(ResourceVectorTest, DoesNotDependOnTheOrderOfSetting) {
  const ResourceVector one = {{kDb, Quantity::Of(1)}, {Resource::Cpu(), Quantity::Of(2)}};
  const ResourceVector other = {{Resource::Cpu(), Quantity::Of(2)}, {kDb, Quantity::Of(1)}};
  EXPECT_EQ(one, other);
  EXPECT_EQ(absl::HashOf(one), absl::HashOf(other));
  EXPECT_EQ(one.begin()->resource, Resource::Cpu());
}

TEST(ResourceVectorTest, FitsWhereEveryResourceFits) {
  const ResourceVector available = {{Resource::Cpu(), Quantity::Of(2)}, {kDb, Quantity::Of(1)}};
  EXPECT_TRUE(ResourceVector().FitsIn(available));
  EXPECT_TRUE(available.FitsIn(available));
  EXPECT_TRUE(ResourceVector({{kDb, Quantity::Of(1)}}).FitsIn(available));
  EXPECT_FALSE(ResourceVector({{Resource::Cpu(), Quantity::FromMilli(2001)}}).FitsIn(available));
  EXPECT_FALSE(ResourceVector({{Resource::Ram(), Quantity::FromMilli(1)}}).FitsIn(available));
  EXPECT_FALSE(available.FitsIn(ResourceVector()));
}

TEST(ResourceVectorTest, OverCommitmentShowsAsNegative) {
  ResourceVector free = {{Resource::Cpu(), Quantity::Of(1)}};
  EXPECT_FALSE(free.HasNegative());
  free -= {{Resource::Cpu(), Quantity::Of(3)}, {kDb, Quantity::Of(1)}};
  EXPECT_TRUE(free.HasNegative());
  EXPECT_EQ(free.Get(Resource::Cpu()), Quantity::Of(-2));
  EXPECT_EQ(free.Get(kDb), Quantity::Of(-1));
  EXPECT_TRUE(ResourceVector().FitsIn(free)) << "what needs nothing fits everywhere";
}

TEST(ResourceVectorTest, AddingAndSubtractingUndoEachOther) {
  std::mt19937_64 random(7);
  auto any = [&] {
    ResourceVector v;
    for (const char* name : {"cpu", "ram", "db_connections", "gpu", "licence"}) {
      if (random() % 2 == 0) {
        v.Set(Resource::Named(name), Quantity::FromMilli(static_cast<int64_t>(random() % 5000)));
      }
    }
    return v;
  };
  for (int i = 0; i < 2000; ++i) {
    const ResourceVector a = any();
    const ResourceVector b = any();
    ResourceVector ab = a;
    ab += b;
    ResourceVector ba = b;
    ba += a;
    EXPECT_EQ(ab, ba);
    EXPECT_TRUE(a.FitsIn(ab));
    EXPECT_TRUE(b.FitsIn(ab));
    ab -= b;
    EXPECT_EQ(ab, a);
    ab -= a;
    EXPECT_TRUE(ab.empty());
  }
}

TEST(ResourceVectorTest, AddsAndSubtractsItself) {
  ResourceVector v = {{Resource::Cpu(), Quantity::Of(1)}, {kDb, Quantity::Of(2)}};
  const ResourceVector copy = v;
  v += copy;
  EXPECT_EQ(v.Get(kDb), Quantity::Of(4));
  v -= copy;
  v -= copy;
  EXPECT_TRUE(v.empty());
}

TEST(ResourceVectorTest, PrintsRamInBytesAndTheRestInUnits) {
  EXPECT_EQ(ResourceVector({{kDb, Quantity::Of(1)},
                            {Resource::Ram(), Quantity::Of(512 << 20)},
                            {Resource::Cpu(), Quantity::FromMilli(1500)}})
                .ToString(),
            "cpu=1.5 ram=512MiB db_connections=1");
  EXPECT_EQ(ResourceVector().ToString(), "");
}

TEST(FormatBytesTest, TakesTheLargestUnitThatIsExact) {
  EXPECT_EQ(FormatBytes(Quantity()), "0");
  EXPECT_EQ(FormatBytes(Quantity::Of(1000)), "1000");
  EXPECT_EQ(FormatBytes(Quantity::Of(1024)), "1KiB");
  EXPECT_EQ(FormatBytes(Quantity::Of(1025)), "1025");
  EXPECT_EQ(FormatBytes(Quantity::Of(1536)), "1.5KiB");
  EXPECT_EQ(FormatBytes(Quantity::Of(int64_t{512} << 20)), "512MiB");
  EXPECT_EQ(FormatBytes(Quantity::Of(int64_t{3} << 29)), "1.5GiB");
  EXPECT_EQ(FormatBytes(Quantity::Of((int64_t{1} << 30) + 1024)), "1048577KiB");
  EXPECT_EQ(FormatBytes(Quantity::Of(int64_t{2} << 40)), "2TiB");
  EXPECT_EQ(FormatBytes(Quantity::Of(-1024)), "-1024");
}

TEST(ParseQuantityTest, KnowsEveryUnit) {
  const struct {
    const char* text;
    int64_t bytes;
  } cases[] = {{"7", 7},
               {"7B", 7},
               {"7kB", 7000},
               {"7MB", 7000000},
               {"7GB", 7000000000},
               {"7TB", 7000000000000},
               {"7KiB", 7 << 10},
               {"7MiB", 7 << 20},
               {"7GiB", int64_t{7} << 30},
               {"7TiB", int64_t{7} << 40},
               {"1.5GiB", int64_t{3} << 29},
               {" 512 MiB ", int64_t{512} << 20},
               {"\t512\tMiB\n", int64_t{512} << 20},
               {"+3", 3},
               {"1e3", 1000},
               {"1E3", 1000},
               {"1e+3MiB", int64_t{1000} << 20},
               {".5kB", 500},
               {"2.", 2}};
  for (const auto& c : cases) {
    absl::StatusOr<Quantity> quantity = ParseQuantity(c.text);
    ASSERT_TRUE(quantity.ok()) << c.text << ": " << quantity.status();
    EXPECT_EQ(*quantity, Quantity::Of(c.bytes)) << c.text;
  }
  EXPECT_EQ(ParseQuantity("0.25")->milli(), 250);
  EXPECT_EQ(ParseQuantity("1e-3")->milli(), 1);
}

TEST(ParseQuantityTest, NamesTheUnitsWhereItKnowsNoSuchUnit) {
  for (const char* text :
       {"5EB", "5EiB", "5eB", "5 apples", "0x10", "5 MiB MiB", "5MiB7", "1,5", "5%"}) {
    const absl::Status status = ParseQuantity(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("GiB and TiB")) << text;
  }
}

TEST(ParseQuantityTest, SaysWhatAQuantityLooksLikeWhereThereIsNoNumber) {
  for (const char* text : {"", " ", "MiB", "-", "+-1", "--1", "1..2", "1e", "1e3e", "e5", ".",
                           "inf", "nan", "1-2", "NaN B"}) {
    const absl::Status status = ParseQuantity(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("512MiB")) << text;
  }
}

TEST(ParseQuantityTest, RefusesWhatIsOutOfRange) {
  for (const char* text : {"-1", "-1MiB", "1e400", "1e15kB", "1000TiB"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseQuantity(text).status())) << text;
  }
}

TEST(ParseQuantityTest, TakesNoBytesForCores) {
  EXPECT_EQ(ParseQuantity("many", "cpu").status().message(),
            "is not a valid number of cores; use one such as 4 or 0.5");
  EXPECT_EQ(*ParseQuantity("0.5", "cpu"), Quantity::FromMilli(500));
  EXPECT_EQ(ParseQuantity("2GB", "cpu").status().message(),
            "has a unit of bytes; cpu is a number of cores");
  EXPECT_EQ(*ParseQuantity("2GB", "ram"), Quantity::Of(2'000'000'000));
}

TEST(ParseQuantityTest, KnowsWhatOthersWrite) {
  const auto problem = [](const char* text, const char* resource) {
    return std::string(ParseQuantity(text, resource).status().message());
  };
  EXPECT_EQ(problem("4G", "ram"), "has an unknown unit \"G\"; did you mean GB or GiB?");
  EXPECT_EQ(problem("512Mi", "ram"), "has an unknown unit \"Mi\"; did you mean MiB?");
  EXPECT_EQ(problem("1.5gi", "disk"), "has an unknown unit \"gi\"; did you mean GiB?");
  EXPECT_EQ(problem("4gb", "ram"), "has an unknown unit \"gb\"; did you mean GB?");
  EXPECT_EQ(problem("5mB", ""), "has an unknown unit \"mB\"; did you mean MB?");
  EXPECT_EQ(problem("5 mib", ""), "has an unknown unit \"mib\"; did you mean MiB?");
  EXPECT_EQ(problem("4KB", "ram"), "has an unknown unit \"KB\"; did you mean kB?");
  EXPECT_EQ(problem("4mib", "disk"), "has an unknown unit \"mib\"; did you mean MiB?");
  EXPECT_THAT(problem("4 floppies", "ram"), HasSubstr("known units are"));
  EXPECT_EQ(problem("500m", "cpu"), "has a unit, but cpu is a number of cores; did you mean 0.5?");
  EXPECT_EQ(problem("2 cores", "cpu"), "has a unit, but cpu is a number of cores");
}

TEST(ParseQuantityTest, ReadsWhatFormatBytesWrites) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 5000; ++i) {
    const int shift = static_cast<int>(random() % 41);
    const Quantity bytes = Quantity::Of(static_cast<int64_t>(random() % 900) << shift);
    absl::StatusOr<Quantity> read = ParseQuantity(FormatBytes(bytes));
    ASSERT_TRUE(read.ok()) << FormatBytes(bytes) << ": " << read.status();
    EXPECT_EQ(*read, bytes) << FormatBytes(bytes);
  }
}

}  // namespace
}  // namespace kartograph::planner
