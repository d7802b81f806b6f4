// Internal: bodies as the wire has them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/aws/body.h"
#include "io/aws/checksum.h"
#include "io/aws/http.h"
#include "io/aws/signer.h"

namespace aid::io::aws {

class PlainReader final : public BodyReader {
 public:
  explicit PlainReader(std::shared_ptr<const BodySource> source) : source_(std::move(source)) {}
  std::uint64_t size() const override { return source_->size(); }
  std::size_t read(std::span<std::byte> bytes) override;
  void rewind() override { at_ = 0; }

 private:
  std::shared_ptr<const BodySource> source_;
  std::uint64_t at_ = 0;
};

// Content-Encoding: aws-chunked (Amazon S3 API Reference, "Signature calculations for the authorization header:
// transferring payload in multiple chunks"): "SIZE[;chunk-signature=HEX]\r\nDATA\r\n" for each 64 KiB, an empty chunk,
// and the checksum as a trailer where one is sent, signed where the chunks are.
class ChunkedReader final : public BodyReader {
 public:
  ChunkedReader(std::shared_ptr<const BodySource> source, std::optional<ChunkSigner> signer,
                std::optional<ChecksumAlgorithm> trailer)
      : source_(std::move(source)), first_signer_(std::move(signer)), trailer_(trailer) {
    rewind();
  }
  std::uint64_t size() const override;
  std::size_t read(std::span<std::byte> bytes) override;
  void rewind() override;

 private:
  void next_chunk();

  std::shared_ptr<const BodySource> source_;
  const std::optional<ChunkSigner> first_signer_;
  const std::optional<ChecksumAlgorithm> trailer_;
  std::optional<ChunkSigner> signer_;
  std::optional<Checksum> checksum_;
  std::uint64_t at_ = 0;  // in the source
  std::string ready_;     // encoded, not yet read
  std::size_t taken_ = 0;
  bool ended_ = false;
};

}  // namespace aid::io::aws
