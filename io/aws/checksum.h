// The checksums that S3 keeps with an object. Values are those of the x-amz-checksum-* headers: base64 of the digest,
// CRCs as big-endian numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aid::io::aws {

enum class ChecksumAlgorithm { crc32, crc32c, crc64nvme, sha1, sha256, md5 };

// "crc64nvme": as in x-amz-checksum-crc64nvme.
std::string_view name_of(ChecksumAlgorithm algorithm);
std::optional<ChecksumAlgorithm> checksum_named(std::string_view name);

struct ChecksumValue {
  ChecksumAlgorithm algorithm;
  std::string base64;
};

// A running checksum of bytes that come piece by piece.
class Checksum {
 public:
  explicit Checksum(ChecksumAlgorithm algorithm);
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  ChecksumAlgorithm algorithm() const { return algorithm_; }
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // The digest of what came so far; the checksum can go on afterwards.
  std::string digest() const;  // bytes
  std::string base64() const;
  std::string hex() const;  // lower case

 private:
  struct Hash;
  ChecksumAlgorithm algorithm_;
  std::uint64_t crc_ = 0;
  std::unique_ptr<Hash> hash_;  // of OpenSSL, for those that are no CRC
};

// The CRC of A followed by B from the CRCs of A and B (bytes, as Checksum::digest() gives them), so that the parts of
// an object can be checked in parallel. The algorithm must be a CRC.
std::string combine_crcs(ChecksumAlgorithm algorithm, const std::string& a, const std::string& b,
                         std::uint64_t size_of_b);

std::string base64_of(std::string_view bytes);
std::optional<std::string> bytes_of_base64(std::string_view text);  // none where it is not base64
std::string hex_of(std::string_view bytes);                         // lower case

}  // namespace aid::io::aws
