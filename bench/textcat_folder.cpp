// Times the text categorizer of a spaCy pipeline on text files, for bench/compare_spacy.py: textcat_folder PIPELINE
// LIST_OF_FILES SCORES_FILE. Writes the scores of each file, float32; prints "ready"; then does each work that a line
// of stdin names (one, all: threads) once and prints the milliseconds that it took.
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "train/model/classifier.h"

namespace {

using aid::train::Classifier;

void run(const char* pipeline, const char* list, const char* scores_file) {
  std::vector<std::filesystem::path> files;
  std::ifstream names(list);
  for (std::string file; std::getline(names, file);) files.emplace_back(file);
  const auto one = aid::train::open_classifier(pipeline, {.stream = {.threads = 1}});
  const auto all = aid::train::open_classifier(pipeline, {});
  std::ofstream out(scores_file, std::ios::binary);
  one->classify(files, [&](size_t, const aid::train::Verdict& verdict) {
    out.write(reinterpret_cast<const char*>(verdict.scores.data()),
              static_cast<std::streamsize>(verdict.scores.size() * sizeof(float)));
    return true;
  });
  out.close();
  std::puts("ready");
  std::fflush(stdout);
  for (std::string work; std::getline(std::cin, work);) {
    Classifier& classifier = work == "one" ? *one : *all;
    const auto start = std::chrono::steady_clock::now();
    classifier.classify(files, [](size_t, const aid::train::Verdict&) { return true; });
    std::printf("%f\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: textcat_folder PIPELINE LIST_OF_FILES SCORES_FILE\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "textcat_folder: %s\n", error.what());
    return 1;
  }
}
