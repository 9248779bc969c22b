#include "service/access/tls.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/small_file.h"

namespace kartograph::service {
namespace {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

absl::Status Wrong(const std::string& file, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(file, ": ", what));
}

Bio Open(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key with a password is refused: OpenSSL would ask for it at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<Certificate> FirstCertificate(const std::string& file, const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(Open(pem).get(), nullptr, NoPassword, nullptr));
  if (certificate == nullptr) return Wrong(file, "holds no certificate in PEM");
  return certificate;
}

absl::Time EndOf(const X509& certificate) {
  tm end = {};
  // Certificates without an end that can be read have none.
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &end) != 1) return absl::InfiniteFuture();
  return absl::FromTM(end, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Tls> ReadTls(const std::string& certificate_file, const std::string& key_file,
                            const std::string& client_ca_file) {
  Tls tls;
  for (const auto& [file, text] :
       {std::pair(&certificate_file, &tls.certificates), std::pair(&key_file, &tls.key),
        std::pair(&client_ca_file, &tls.client_ca)}) {
    if (file->empty()) continue;
    absl::StatusOr<std::string> read = ReadFile(*file);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  const absl::StatusOr<Certificate> certificate =
      FirstCertificate(certificate_file, tls.certificates);
  if (!certificate.ok()) return certificate.status();
  const Key key(PEM_read_bio_PrivateKey(Open(tls.key).get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) return Wrong(key_file, "holds no private key in PEM without a password");
  if (X509_check_private_key(certificate->get(), key.get()) != 1) {
    return Wrong(key_file, absl::StrCat("is not the key of the certificate in ", certificate_file));
  }
  if (!client_ca_file.empty()) {
    const auto authority = FirstCertificate(client_ca_file, tls.client_ca);
    if (!authority.ok()) return authority.status();
  }
  tls.end = EndOf(**certificate);
  return tls;
}

}  // namespace kartograph::service
