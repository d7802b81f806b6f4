// spaCy's collections of documents, .spacy (spacy/tokens/_serialize.py): texts with the truth of their categories.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aid::train {

struct DocBinDocument {
  std::string utf8;
  std::vector<std::pair<std::string, double>> cats;  // in the file's order
};

// Throws io::Error, tokenizer::Error for what is broken, and for documents whose words do not say where spaces are
// (has_unknown_spaces), which have no text.
std::vector<DocBinDocument> read_doc_bin(const std::filesystem::path& file);
// The same of what the file holds when decompressed; `file`: its name in errors.
std::vector<DocBinDocument> parse_doc_bin(std::string_view content, const std::string& file);

}  // namespace aid::train
