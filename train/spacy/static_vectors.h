// Static word vectors of a pipeline: vocab/vectors (NumPy's .npy), vocab/key2row and vocab/vectors.cfg.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <unordered_map>

#include "io/file.h"

namespace aid::train {

class StaticVectors {
 public:
  // Nothing where the pipeline has none. Throws io::Error, tokenizer::Error for files that are broken, and for vectors
  // of another kind than spaCy's table (floret).
  static std::optional<StaticVectors> load(const std::filesystem::path& vocab);

  int64_t width() const { return width_; }
  int64_t rows() const { return rows_; }
  // spacy/attrs.pyx: what of a word is looked up.
  uint64_t attribute() const { return attribute_; }
  // The row of a word's vector, or -1.
  int32_t row_of(uint64_t key) const {
    const auto found = row_of_key_.find(key);
    return found == row_of_key_.end() ? -1 : found->second;
  }
  std::span<const std::byte> row(int64_t row) const {  // f32 [width]
    const auto bytes = static_cast<size_t>(width_) * sizeof(float);
    return values_.subspan(static_cast<size_t>(row) * bytes, bytes);
  }

 private:
  explicit StaticVectors(const std::filesystem::path& file) : file_(file) {}
  void read_header(const std::filesystem::path& file);
  void read_keys(const std::filesystem::path& file);
  void read_settings(const std::filesystem::path& file);

  io::MappedFile file_;
  int64_t rows_ = 0, width_ = 0;
  uint64_t attribute_ = 0;
  std::span<const std::byte> values_;
  std::unordered_map<uint64_t, int32_t> row_of_key_;
};

}  // namespace aid::train
