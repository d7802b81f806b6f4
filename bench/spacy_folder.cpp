// Times the tokenizer of a spaCy pipeline on text files, for bench/compare_spacy.py: spacy_folder PIPELINE
// LIST_OF_FILES IDS_FILE. Writes how many tokens each file has, then eight ids a token (compare_spacy.py, ATTRIBUTES),
// all as uint64; prints "ready"; then does each work that a line of stdin names (tokens, cold) once and prints the
// milliseconds that it took.
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tokenizer/spacy/tokenizer.h"

using aid::tokenizer::spacy::Token;
using aid::tokenizer::spacy::Tokenizer;

namespace {

void run(const char* pipeline, const char* list, const char* ids_file) {
  std::vector<std::string> texts;
  std::ifstream files(list);
  for (std::string file; std::getline(files, file);) {
    std::ifstream stream(file, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  Tokenizer warm = Tokenizer::load(pipeline);
  std::vector<Token> tokens;
  {
    std::ofstream out(ids_file, std::ios::binary);
    for (const std::string& text : texts) {
      warm.tokenize(text, tokens);
      std::vector<uint64_t> numbers{tokens.size()};
      for (const Token& token : tokens) {
        const auto& word = token.lexeme;
        numbers.insert(numbers.end(), {word.orth, word.norm, word.lower, word.prefix, word.suffix, word.shape,
                                       uint64_t{token.space}, uint64_t{word.is_space}});
      }
      out.write(reinterpret_cast<const char*>(numbers.data()),
                static_cast<std::streamsize>(numbers.size() * sizeof(uint64_t)));
    }
  }
  std::puts("ready");
  std::fflush(stdout);
  for (std::string work; std::getline(std::cin, work);) {
    Tokenizer cold = warm;  // a copy remembers nothing
    Tokenizer& tokenizer = work == "cold" ? cold : warm;
    const auto start = std::chrono::steady_clock::now();
    for (const std::string& text : texts) tokenizer.tokenize(text, tokens);
    std::printf("%f\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: spacy_folder PIPELINE LIST_OF_FILES IDS_FILE\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "spacy_folder: %s\n", error.what());
    return 1;
  }
}
