#include "service/access/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "service/access/testing/certificates.h"

namespace kartograph::service {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(TlsTest, ReadsWhatBelongsTogether) {
  const SelfSigned own;
  const std::string certificate = WriteTestFile("own.crt", own.certificate);
  const auto tls = ReadTls(certificate, WriteTestFile("own.key", own.key), certificate);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ(tls->certificates, own.certificate);
  EXPECT_EQ(tls->key, own.key);
  EXPECT_EQ(tls->client_ca, own.certificate);
  EXPECT_GT(tls->end, absl::Now() + absl::Hours(23));
  EXPECT_LT(tls->end, absl::Now() + absl::Hours(25));
}

TEST(TlsTest, SaysWhenACertificateHasEnded) {
  const SelfSigned old(-absl::Hours(1));
  const auto tls =
      ReadTls(WriteTestFile("old.crt", old.certificate), WriteTestFile("old.key", old.key), "");
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_LT(tls->end, absl::Now());
}

TEST(TlsTest, NamesTheFileThatIsWrong) {
  const SelfSigned own;
  const SelfSigned other;
  const std::string certificate = WriteTestFile("a.crt", own.certificate);
  const std::string key = WriteTestFile("a.key", own.key);
  const std::string letter = WriteTestFile("letter", "Dear mother\n");
  const auto problem = [](const auto&... files) {
    return std::string(ReadTls(files...).status().message());
  };
  EXPECT_THAT(problem("/no/such.crt", key, ""), HasSubstr("/no/such.crt"));
  EXPECT_THAT(problem(certificate, "/no/such.key", ""), HasSubstr("/no/such.key"));
  EXPECT_THAT(problem(letter, key, ""), AllOf(HasSubstr(letter), HasSubstr("no certificate")));
  EXPECT_THAT(problem(certificate, letter, ""), AllOf(HasSubstr(letter), HasSubstr("private key")));
  EXPECT_THAT(problem(certificate, key, letter), HasSubstr(letter));
  const std::string foreign = WriteTestFile("foreign.key", other.key);
  EXPECT_THAT(problem(certificate, foreign, ""),
              AllOf(HasSubstr(foreign), HasSubstr("is not the key of the certificate")));
}

}  // namespace
}  // namespace kartograph::service
