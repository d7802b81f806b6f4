#pragma once

#include <string>
#include <string_view>

namespace aid::io {

bool is_gzip(std::string_view bytes);

// The content of all members of a gzip file (RFC 1952). `name` is what errors call it. Throws Error for a file that is
// cut off or damaged (each member's CRC-32 is checked) and for more than 4 GiB of content.
std::string gunzip(std::string_view bytes, const std::string& name);

// The same of one zlib stream (RFC 1950), what Python's zlib.compress() writes; its Adler-32 is checked.
std::string inflate_zlib(std::string_view bytes, const std::string& name);

}  // namespace aid::io
