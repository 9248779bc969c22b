#include "service/access/testing/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <functional>

#include "absl/strings/str_cat.h"

namespace kartograph::service {
namespace {

std::string Written(const std::function<void(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void AddExtension(X509* certificate, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

SelfSigned::SelfSigned(absl::Duration life) {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* own = X509_new();
  X509_set_version(own, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(own), 1);
  X509_gmtime_adj(X509_getm_notBefore(own), -2 * 24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(own), absl::ToInt64Seconds(life));
  X509_set_pubkey(own, pair);
  X509_NAME* name = X509_get_subject_name(own);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(own, name);
  AddExtension(own, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(own, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(own, pair, EVP_sha256());
  certificate = Written([&](BIO* bio) { PEM_write_bio_X509(bio, own); });
  key = Written([&](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, pair, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(own);
  EVP_PKEY_free(pair);
}

std::string WriteTestFile(const std::string& name, const std::string& text, int mode) {
  static const std::string& folder = *[] {
    const char* base = std::getenv("TEST_TMPDIR");
    auto* made = new std::string(absl::StrCat(base != nullptr ? base : "/tmp", "/files.XXXXXX"));
    if (mkdtemp(made->data()) == nullptr) std::abort();
    return made;
  }();
  std::string path = absl::StrCat(folder, "/", name);
  std::ofstream(path) << text;
  chmod(path.c_str(), static_cast<mode_t>(mode));
  return path;
}

}  // namespace kartograph::service
