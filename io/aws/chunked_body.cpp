#include "io/aws/chunked_body.h"

#include <algorithm>
#include <cstdio>

namespace aid::io::aws {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;
constexpr std::size_t kSignatureField = sizeof(";chunk-signature=") - 1 + 64;

std::string hex_number(std::uint64_t number) {
  char text[17];
  return {text,
          static_cast<std::size_t>(std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(number)))};
}

}  // namespace

std::size_t PlainReader::read(std::span<std::byte> bytes) {
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), source_->size() - at_));
  source_->read(at_, bytes.first(count));
  at_ += count;
  return count;
}

void ChunkedReader::rewind() {
  signer_ = first_signer_;
  checksum_.reset();
  if (trailer_) checksum_.emplace(*trailer_);
  at_ = 0;
  ready_.clear();
  taken_ = 0;
  ended_ = false;
}

std::uint64_t ChunkedReader::size() const {
  const std::size_t signature = first_signer_ ? kSignatureField : 0;
  const auto chunk = [&](std::uint64_t data) {
    return hex_number(data).size() + signature + 2 + data + (data > 0 ? 2 : 0);
  };
  const std::uint64_t whole = source_->size() / kChunk, rest = source_->size() % kChunk;
  std::uint64_t total = whole * chunk(kChunk) + (rest > 0 ? chunk(rest) : 0) + chunk(0) + 2;
  if (trailer_) {
    const Checksum empty(*trailer_);
    total += std::string("x-amz-checksum-").size() + name_of(*trailer_).size() + 1 + empty.base64().size() + 2;
    if (first_signer_) total += std::string("x-amz-trailer-signature:").size() + 64 + 2;
  }
  return total;
}

void ChunkedReader::next_chunk() {
  const std::uint64_t count = std::min(kChunk, source_->size() - at_);
  std::string data(static_cast<std::size_t>(count), '\0');
  source_->read(at_, std::as_writable_bytes(std::span(data)));
  at_ += count;
  if (checksum_) checksum_->update(data);
  ready_ = hex_number(count);
  if (signer_) (ready_ += ";chunk-signature=") += signer_->sign_chunk(data);
  (ready_ += "\r\n") += data;
  if (count > 0) {
    ready_ += "\r\n";
  } else {
    if (checksum_) {
      const std::string trailer = "x-amz-checksum-" + std::string(name_of(*trailer_)) + ":" + checksum_->base64();
      (ready_ += trailer) += "\r\n";
      if (signer_) ((ready_ += "x-amz-trailer-signature:") += signer_->sign_trailer(trailer + "\n")) += "\r\n";
    }
    ready_ += "\r\n";
    ended_ = true;
  }
  taken_ = 0;
}

std::size_t ChunkedReader::read(std::span<std::byte> bytes) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    if (taken_ == ready_.size()) {
      if (ended_) break;
      next_chunk();
    }
    const std::size_t count =
        ready_.copy(reinterpret_cast<char*>(bytes.data()) + filled, bytes.size() - filled, taken_);
    taken_ += count;
    filled += count;
  }
  return filled;
}

}  // namespace aid::io::aws
