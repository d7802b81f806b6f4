// Internal: the three CRCs that S3 keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace aid::io::aws {

// A CRC whose bits are reflected, that starts from and ends with all ones (zlib's crc32, RFC 3720's CRC32C, NVMe's
// CRC64): all that S3 uses are of this kind.
struct Crc {
  std::uint64_t polynomial;  // reflected: bit 0 is the highest power below the leading one
  int bits;                  // 32 or 64

  // The CRC of the bytes that gave `crc` followed by `bytes`; 0 is that of no bytes.
  std::uint64_t extend(std::uint64_t crc, std::span<const std::byte> bytes) const;
  // The CRC of A followed by B, from the CRCs of both and B's size.
  std::uint64_t combine(std::uint64_t a, std::uint64_t b, std::uint64_t size_of_b) const;
};

inline constexpr Crc kCrc32{0xEDB88320u, 32};
inline constexpr Crc kCrc32c{0x82F63B78u, 32};
inline constexpr Crc kCrc64Nvme{0x9A6C9329AC4BC9B5u, 64};

}  // namespace aid::io::aws
