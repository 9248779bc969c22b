#include "executor/mesos/record_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace kartograph::executor::mesos {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// All whole records, which are taken out.
std::vector<std::string> Records(RecordReader& reader) {
  std::vector<std::string> records;
  std::string record;
  for (;;) {
    absl::StatusOr<bool> next = reader.Next(&record);
    EXPECT_TRUE(next.ok()) << next.status();
    if (!next.ok() || !*next) return records;
    records.push_back(record);
  }
}

absl::Status ErrorOf(absl::string_view stream, size_t max_bytes = 100) {
  RecordReader reader(max_bytes);
  reader.Append(stream);
  std::string record;
  return reader.Next(&record).status();
}

TEST(RecordIoTest, GivesWhatWasEncoded) {
  RecordReader reader;
  reader.Append(EncodeRecord("one") + EncodeRecord("") + EncodeRecord("3\nthree\n"));
  EXPECT_THAT(Records(reader), ElementsAre("one", "", "3\nthree\n"));
  EXPECT_FALSE(reader.in_record());
}

TEST(RecordIoTest, IsTheFormatOfMesos) { EXPECT_EQ(EncodeRecord("hello"), "5\nhello"); }

TEST(RecordIoTest, DoesNotCareWhereTheStreamIsCut) {
  std::mt19937 random(5);
  std::vector<std::string> records;
  std::string stream;
  for (int i = 0; i < 200; ++i) {
    std::string record(random() % (i % 10 == 0 ? 5000 : 20), '\0');
    for (char& c : record) c = static_cast<char>("0123456789\n\r\0ab"[random() % 15]);
    stream += EncodeRecord(record);
    records.push_back(std::move(record));
  }
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{1000}, stream.size(), size_t{0}}) {
    RecordReader reader;
    std::vector<std::string> got;
    for (size_t at = 0; at < stream.size();) {
      const size_t bytes = piece == 0 ? 1 + random() % 300 : piece;
      reader.Append(absl::string_view(stream).substr(at, bytes));
      at += bytes;
      for (std::string& record : Records(reader)) got.push_back(std::move(record));
    }
    EXPECT_EQ(got, records) << "in pieces of " << piece;
    EXPECT_FALSE(reader.in_record());
  }
}

TEST(RecordIoTest, KnowsThatARecordIsNotFinished) {
  RecordReader reader;
  reader.Append("1");
  EXPECT_THAT(Records(reader), IsEmpty());
  EXPECT_TRUE(reader.in_record());
  reader.Append("0\n12345");
  EXPECT_THAT(Records(reader), IsEmpty());
  EXPECT_TRUE(reader.in_record());
  reader.Append("67890");
  EXPECT_THAT(Records(reader), ElementsAre("1234567890"));
  EXPECT_FALSE(reader.in_record());
}

TEST(RecordIoTest, RefusesWhatIsNoLength) {
  for (const char* stream : {"x", "\n", "-1\nx", "+1\nx", " 1\nx", "1 \nx", "1\r\nx", "0x1\nx",
                             "<html>", "123456789012345678901"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ErrorOf(stream))) << stream;
  }
  EXPECT_THAT(std::string(ErrorOf("<html>").message()), HasSubstr("\"<html>\""));
}

TEST(RecordIoTest, RefusesARecordThatIsTooLarge) {
  EXPECT_TRUE(ErrorOf("100\n").ok());
  EXPECT_THAT(std::string(ErrorOf("101\n").message()), HasSubstr("at most 100"));
  EXPECT_FALSE(ErrorOf("18446744073709551615\n").ok());
  EXPECT_FALSE(ErrorOf("99999999999999999999\n").ok()) << "more than 64 bits";
}

TEST(RecordIoTest, StaysBroken) {
  RecordReader reader;
  reader.Append("nonsense");
  std::string record;
  EXPECT_FALSE(reader.Next(&record).ok());
  reader.Append(EncodeRecord("fine"));
  EXPECT_FALSE(reader.Next(&record).ok());
}

}  // namespace
}  // namespace kartograph::executor::mesos
