#include "io/sync/content.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>
#include <vector>

#include "io/aws/s3.h"
#include "io/error.h"

namespace aid::io::sync {
namespace {

using aws::Checksum;
using aws::ChecksumAlgorithm;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::size_t kPiece = 256 << 10;

void update(Checksum& checksum, int descriptor, std::uint64_t first, std::uint64_t count) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, count)));
  while (count > 0) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), count));
    const ssize_t got = ::pread(descriptor, piece.data(), wanted, static_cast<off_t>(first));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error("cannot be read: " + std::generic_category().message(errno));
    if (got == 0) throw Error("became shorter while it was read");
    checksum.update({piece.data(), static_cast<std::size_t>(got)});
    first += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
  }
}

bool is_md5(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string etag_in_parts(int descriptor, std::uint64_t size, std::uint64_t part_size, int parts) {
  Checksum all(ChecksumAlgorithm::md5);
  for (std::uint64_t first = 0; first < size; first += part_size) {
    Checksum part(ChecksumAlgorithm::md5);
    update(part, descriptor, first, std::min(part_size, size - first));
    all.update(part.digest());
  }
  return all.hex() + "-" + std::to_string(parts);
}

}  // namespace

Checksum checksum_of(int descriptor, std::uint64_t size, ChecksumAlgorithm algorithm) {
  Checksum checksum(algorithm);
  update(checksum, descriptor, 0, size);
  return checksum;
}

Content compare_content(int descriptor, std::uint64_t size, const std::string& etag) {
  if (is_md5(etag)) {
    // An object under a key of KMS has 32 hex digits that are no MD5: it is then fetched once, and known afterwards.
    return checksum_of(descriptor, size, ChecksumAlgorithm::md5).hex() == etag ? Content::same : Content::other;
  }
  const std::size_t dash = etag.find('-');
  std::uint64_t parts = 0;
  if (dash != 32 || !is_md5(etag.substr(0, dash)) ||
      std::from_chars(etag.data() + dash + 1, etag.data() + etag.size(), parts).ptr != etag.data() + etag.size() ||
      parts == 0) {
    return Content::unknown;
  }
  bool tried = false;
  for (const std::uint64_t part_size :
       {aws::part_size_for(size), 5 * kMiB, 8 * kMiB, 16 * kMiB, 32 * kMiB, 50 * kMiB, 64 * kMiB, 100 * kMiB}) {
    if (std::max<std::uint64_t>(1, (size + part_size - 1) / part_size) != parts) continue;
    if (etag_in_parts(descriptor, size, part_size, static_cast<int>(parts)) == etag) return Content::same;
    tried = true;
  }
  return tried ? Content::other : Content::unknown;
}

}  // namespace aid::io::sync
