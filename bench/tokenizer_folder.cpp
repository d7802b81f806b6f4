// Times the tokenizer on text files, for bench/compare_tokenizer.py: tokenizer_folder MODEL_DIR LIST_OF_FILES IDS_FILE.
// Writes the ids and offsets of every file, each file's preceded by how many they are, as int32; prints "ready"; then
// does each work that a line of stdin names (ids, cold, offsets, batch) once and prints the milliseconds that it took.
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

using aid::tokenizer::Offset;
using aid::tokenizer::Tokenizer;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_ids(const Tokenizer& tokenizer, const std::vector<std::string>& texts, const char* ids_file) {
  std::ofstream out(ids_file, std::ios::binary);
  const auto write = [&](const void* data, size_t bytes) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  };
  std::vector<int32_t> ids;
  std::vector<Offset> offsets;
  for (const std::string& text : texts) {
    ids.clear();
    offsets.clear();
    const auto count = static_cast<int32_t>(tokenizer.encode_ids(text, ids, offsets));
    write(&count, sizeof(count));
    write(ids.data(), ids.size() * sizeof(ids[0]));
    write(offsets.data(), offsets.size() * sizeof(offsets[0]));
  }
}

void run(const char* model, const char* list, const char* ids_file) {
  std::vector<std::string> texts;
  std::ifstream files(list);
  for (std::string file; std::getline(files, file);) texts.push_back(read_file(file));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const Tokenizer tokenizer = Tokenizer::load(model);
  write_ids(tokenizer, texts, ids_file);

  std::vector<int32_t> ids;
  std::vector<Offset> offsets;
  const auto encode_all = [&](const Tokenizer& with) {
    for (const std::string& text : texts) {
      ids.clear();
      with.encode_ids(text, ids);
    }
  };
  std::optional<Tokenizer> fresh;  // just loaded: nothing in its cache
  const std::map<std::string, std::function<void()>> works = {
      {"ids", [&] { encode_all(tokenizer); }},
      {"cold", [&] { encode_all(*fresh); }},
      {"offsets",
       [&] {
         for (const std::string& text : texts) {
           ids.clear();
           offsets.clear();
           tokenizer.encode_ids(text, ids, offsets);
         }
       }},
      {"batch", [&] { tokenizer.encode_batch(views, 2); }},
  };
  std::puts("ready");
  std::fflush(stdout);
  for (std::string work; std::getline(std::cin, work);) {
    if (work == "cold") fresh.emplace(Tokenizer::load(model));
    const auto start = std::chrono::steady_clock::now();
    works.at(work)();
    std::printf("%f\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: tokenizer_folder MODEL_DIR LIST_OF_FILES IDS_FILE\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_folder: %s\n", error.what());
    return 1;
  }
}
