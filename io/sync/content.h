// Whether a file holds an object's bytes.
#pragma once

#include <cstdint>
#include <string>

#include "io/aws/checksum.h"

namespace aid::io::sync {

// The checksum of the open file's first `size` bytes. Throws Error where it is shorter or cannot be read.
aws::Checksum checksum_of(int descriptor, std::uint64_t size, aws::ChecksumAlgorithm algorithm);

enum class Content { same, other, unknown };
// By the object's etag: the MD5 of its bytes, or that of its parts' MD5s followed by their number, in the part sizes
// that programs use. unknown: the etag is none of these, so that only another copy can tell.
Content compare_content(int descriptor, std::uint64_t size, const std::string& etag);

}  // namespace aid::io::sync
