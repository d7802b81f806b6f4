#include "io/aws/checksum.h"

#include <openssl/evp.h>

#include <array>
#include <bit>

#include "io/aws/crc.h"
#include "io/error.h"

namespace aid::io::aws {
namespace {

struct Named {
  ChecksumAlgorithm algorithm;
  std::string_view name;
};
constexpr Named kNames[] = {{ChecksumAlgorithm::crc32, "crc32"},         {ChecksumAlgorithm::crc32c, "crc32c"},
                            {ChecksumAlgorithm::crc64nvme, "crc64nvme"}, {ChecksumAlgorithm::sha1, "sha1"},
                            {ChecksumAlgorithm::sha256, "sha256"},       {ChecksumAlgorithm::md5, "md5"}};

// Null for what is no CRC.
const Crc* crc_of(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::crc32:
      return &kCrc32;
    case ChecksumAlgorithm::crc32c:
      return &kCrc32c;
    case ChecksumAlgorithm::crc64nvme:
      return &kCrc64Nvme;
    default:
      return nullptr;
  }
}

const EVP_MD* hash_of(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::sha1:
      return EVP_sha1();
    case ChecksumAlgorithm::sha256:
      return EVP_sha256();
    default:
      return EVP_md5();
  }
}

std::string big_endian(std::uint64_t value, int bits) {
  std::string bytes;
  for (int shift = bits - 8; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::uint64_t from_big_endian(const std::string& bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

void check(int ok) {
  if (ok != 1) throw Error("OpenSSL refuses a hash that S3 uses: this installation allows only others (FIPS mode?)");
}

}  // namespace

struct Checksum::Hash {
  Context context{EVP_MD_CTX_new()};
};

std::string_view name_of(ChecksumAlgorithm algorithm) {
  for (const Named& named : kNames) {
    if (named.algorithm == algorithm) return named.name;
  }
  return {};
}

std::optional<ChecksumAlgorithm> checksum_named(std::string_view name) {
  for (const Named& named : kNames) {
    if (named.name == name) return named.algorithm;
  }
  return std::nullopt;
}

Checksum::Checksum(ChecksumAlgorithm algorithm) : algorithm_(algorithm) {
  if (crc_of(algorithm) != nullptr) return;
  hash_ = std::make_unique<Hash>();
  check(EVP_DigestInit_ex(hash_->context.get(), hash_of(algorithm), nullptr));
}

Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(std::span<const std::byte> bytes) {
  if (hash_ != nullptr) {
    check(EVP_DigestUpdate(hash_->context.get(), bytes.data(), bytes.size()));
  } else {
    crc_ = crc_of(algorithm_)->extend(crc_, bytes);
  }
}

std::string Checksum::digest() const {
  if (hash_ == nullptr) return big_endian(crc_, crc_of(algorithm_)->bits);
  const Context copy{EVP_MD_CTX_new()};
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  check(EVP_MD_CTX_copy_ex(copy.get(), hash_->context.get()));
  check(EVP_DigestFinal_ex(copy.get(), bytes.data(), &size));
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string Checksum::base64() const { return base64_of(digest()); }
std::string Checksum::hex() const { return hex_of(digest()); }

std::string combine_crcs(ChecksumAlgorithm algorithm, const std::string& a, const std::string& b,
                         std::uint64_t size_of_b) {
  const Crc* crc = crc_of(algorithm);
  if (crc == nullptr) throw Error("the " + std::string(name_of(algorithm)) + " of parts cannot be combined");
  return big_endian(crc->combine(from_big_endian(a), from_big_endian(b), size_of_b), crc->bits);
}

std::string base64_of(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> bytes_of_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

std::string hex_of(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

}  // namespace aid::io::aws
