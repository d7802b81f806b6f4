#include "train/spacy/training/doc_bin.h"

#include <cstring>
#include <unordered_map>

#include "io/error.h"
#include "io/file.h"
#include "io/gzip.h"
#include "tokenizer/spacy/lexeme.h"
#include "tokenizer/spacy/msgpack.h"

namespace aid::train {
namespace {

using Reader = tokenizer::spacy::MsgpackReader;

constexpr uint64_t kOrth = 65;

struct Parts {
  std::vector<uint64_t> attributes;
  std::string_view tokens, spaces, lengths;
  std::unordered_map<uint64_t, std::string_view> strings;
  std::vector<std::vector<std::pair<std::string, double>>> cats;
  bool unknown_spaces = false;
};

std::vector<std::pair<std::string, double>> read_cats(Reader& reader) {
  std::vector<std::pair<std::string, double>> cats;
  for (size_t left = reader.read_map("a document's cats"); left > 0; --left) {
    const std::string label(reader.read_string("a category"));
    cats.emplace_back(label, reader.read_number("the value of " + label));
  }
  return cats;
}

bool read_unknown_spaces(Reader& reader) {
  bool unknown = false;
  for (size_t left = reader.read_map("a document's flags"); left > 0; --left) {
    if (reader.read_string("a flag") == "has_unknown_spaces") {
      unknown = reader.read_bool("has_unknown_spaces");
    } else {
      reader.skip();
    }
  }
  return unknown;
}

Parts read_parts(Reader& reader) {
  Parts parts;
  for (size_t pairs = reader.read_map("the collection"); pairs > 0; --pairs) {
    const std::string_view key = reader.read_string("the name of a part");
    if (key == "attrs") {
      for (size_t left = reader.read_array("attrs"); left > 0; --left) {
        parts.attributes.push_back(reader.read_unsigned("an attribute"));
      }
    } else if (key == "tokens") {
      parts.tokens = reader.read_binary("tokens");
    } else if (key == "spaces") {
      parts.spaces = reader.read_binary("spaces");
    } else if (key == "lengths") {
      parts.lengths = reader.read_binary("lengths");
    } else if (key == "strings") {
      for (size_t left = reader.read_array("strings"); left > 0; --left) {
        const std::string_view text = reader.read_string("a string");
        parts.strings.emplace(tokenizer::spacy::string_id(text), text);
      }
    } else if (key == "cats") {
      for (size_t left = reader.read_array("cats"); left > 0; --left) parts.cats.push_back(read_cats(reader));
    } else if (key == "flags") {
      for (size_t left = reader.read_array("flags"); left > 0; --left) {
        parts.unknown_spaces = read_unknown_spaces(reader) || parts.unknown_spaces;
      }
    } else {
      reader.skip();
    }
  }
  return parts;
}

template <class T>
T at(std::string_view bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

std::vector<DocBinDocument> read_doc_bin(const std::filesystem::path& file) {
  const io::MappedFile mapped(file);
  const std::string content =
      io::inflate_zlib({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()}, file.string());
  return parse_doc_bin(content, file.string());
}

std::vector<DocBinDocument> parse_doc_bin(std::string_view content, const std::string& file) {
  Reader reader(content, file);
  const Parts parts = read_parts(reader);
  const auto refuse = [&file](const std::string& problem) { throw io::Error(file + ": " + problem); };
  if (parts.unknown_spaces) {
    refuse(
        "a document says that its spaces are unknown (has_unknown_spaces), so that it has no text; make it with "
        "spaces");
  }
  size_t orth = 0;
  while (orth < parts.attributes.size() && parts.attributes[orth] != kOrth) ++orth;
  const size_t columns = parts.attributes.size(), documents = parts.lengths.size() / sizeof(int32_t);
  if (orth == columns) refuse("no ORTH among the attributes of its words; expected the words themselves");
  if (parts.cats.size() != documents) {
    refuse(std::to_string(documents) + " documents and the cats of " + std::to_string(parts.cats.size()) +
           "; expected cats for each, as spaCy 3 writes them");
  }
  const size_t tokens = parts.tokens.size() / (columns * sizeof(uint64_t));
  if (parts.tokens.size() != tokens * columns * sizeof(uint64_t) || parts.spaces.size() != tokens) {
    refuse("its words and their spaces are not as many; copy the file again");
  }
  std::vector<DocBinDocument> found;
  size_t token = 0;
  for (size_t d = 0; d < documents; ++d) {
    const auto length = at<int32_t>(parts.lengths, d);
    if (length < 0 || static_cast<size_t>(length) > tokens - token) {
      refuse("document " + std::to_string(d) + " has " + std::to_string(length) +
             " words, more than there are; copy the file again");
    }
    DocBinDocument& document = found.emplace_back();
    document.cats = parts.cats[d];
    for (const size_t end = token + static_cast<size_t>(length); token < end; ++token) {
      const auto word = parts.strings.find(at<uint64_t>(parts.tokens, token * columns + orth));
      if (word == parts.strings.end()) {
        refuse("a word of document " + std::to_string(d) + " is not among its strings; write the file again");
      }
      document.utf8 += word->second;
      if (parts.spaces[token] != 0) document.utf8 += ' ';
    }
  }
  return found;
}

}  // namespace aid::train
