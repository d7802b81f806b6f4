// Times the tokenizer on text files, for bench/compare_tokenizer.py: tokenizer_folder MODEL_DIR IDS_FILE < list of
// files. Prints the best milliseconds of each work over several passes; writes the ids of every file, each preceded by
// how many they are, as int32.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

using aid::tokenizer::Tokenizer;

namespace {

template <typename Work>
double best_ms(int passes, const Work& work) {
  double best = 1e300;
  for (int i = 0; i < passes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

void run(const char* model, const char* ids_file) {
  std::vector<std::string> texts;
  for (std::string file; std::getline(std::cin, file);) {
    std::ifstream stream(file, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  constexpr int kPasses = 9;
  std::vector<int32_t> ids;
  std::vector<aid::tokenizer::Offset> offsets;
  const auto encode_all = [&](const Tokenizer& tokenizer) {
    for (const std::string& text : texts) {
      ids.clear();
      tokenizer.encode_ids(text, ids);
    }
  };
  // A tokenizer just loaded has nothing in its cache.
  double cold = 1e300;
  for (int i = 0; i < 3; ++i) {
    const Tokenizer fresh = Tokenizer::load(model);
    cold = std::min(cold, best_ms(1, [&] { encode_all(fresh); }));
  }
  const Tokenizer tokenizer = Tokenizer::load(model);
  const double warm = best_ms(kPasses, [&] { encode_all(tokenizer); });
  const double with_offsets = best_ms(kPasses, [&] {
    for (const std::string& text : texts) {
      ids.clear();
      offsets.clear();
      tokenizer.encode_ids(text, ids, offsets);
    }
  });
  const double batch = best_ms(kPasses, [&] { tokenizer.encode_batch(views, 2); });
  std::printf("{\"cold\": %f, \"encode\": %f, \"offsets\": %f, \"batch\": %f}\n", cold, warm, with_offsets, batch);

  std::ofstream out(ids_file, std::ios::binary);
  const auto write = [&](const void* data, size_t bytes) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  };
  for (const std::string& text : texts) {
    ids.clear();
    offsets.clear();
    const auto count = static_cast<int32_t>(tokenizer.encode_ids(text, ids, offsets));
    write(&count, sizeof(count));
    write(ids.data(), ids.size() * sizeof(ids[0]));
    write(offsets.data(), offsets.size() * sizeof(offsets[0]));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tokenizer_folder MODEL_DIR IDS_FILE < list of files\n");
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_folder: %s\n", error.what());
    return 1;
  }
}
