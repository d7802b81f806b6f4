#include "io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

#include "io/error.h"

namespace aid::io {
namespace {

constexpr std::uint64_t kMostContent = std::uint64_t{4} << 30;

struct Inflater {
  z_stream stream{};
  explicit Inflater(int window_bits) {
    if (::inflateInit2(&stream, window_bits) != Z_OK) throw Error("zlib cannot begin to decompress");
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

// All streams, one behind the other. format: what errors call it.
std::string inflate_all(std::string_view bytes, int window_bits, const char* format, const std::string& name) {
  Inflater inflater(window_bits);
  z_stream& z = inflater.stream;
  std::string content;
  std::string block(1 << 16, '\0');
  for (;;) {
    if (z.avail_in == 0) {
      const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 << 30);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      z.avail_in = static_cast<uInt>(piece);
      bytes.remove_prefix(piece);
    }
    z.next_out = reinterpret_cast<Bytef*>(block.data());
    z.avail_out = static_cast<uInt>(block.size());
    const int status = ::inflate(&z, Z_NO_FLUSH);
    content.append(block, 0, block.size() - z.avail_out);
    if (content.size() > kMostContent) throw Error(name + ": more than 4 GiB when decompressed; split the export");
    if (status == Z_STREAM_END) {
      if (z.avail_in == 0 && bytes.empty()) return content;
      ::inflateReset(&z);
    } else if (status != Z_OK) {
      const bool cut_off = status == Z_BUF_ERROR;
      throw Error(name + ": the " + format + (cut_off ? " data ends early, after " : " data is damaged after ") +
                  std::to_string(content.size()) + " bytes of content; fetch the file again");
    }
  }
}

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view bytes, const std::string& name) {
  constexpr int kGzipOnly = 16;
  return inflate_all(bytes, MAX_WBITS + kGzipOnly, "gzip", name);
}

std::string inflate_zlib(std::string_view bytes, const std::string& name) {
  return inflate_all(bytes, MAX_WBITS, "zlib", name);
}

}  // namespace aid::io
