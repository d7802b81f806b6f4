// Against what spaCy gave (tests/golden/spacy_tokenizer.py, ../shared/golden/spacy).
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tokenizer/model_dir.h"
#include "tokenizer/spacy/tokenizer.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kGolden = std::filesystem::path(AID_SOURCE_DIR) / "tests/golden/spacy";

// FNV-1a of 64-bit numbers, little-endian.
struct Hash {
  uint64_t value = 0xcbf29ce484222325;
  void add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) value = (value ^ (number >> shift & 0xFF)) * 0x100000001b3;
  }
  void add(const Lexeme& lexeme) {
    for (const uint64_t id : {lexeme.orth, lexeme.norm, lexeme.lower, lexeme.prefix, lexeme.suffix, lexeme.shape})
      add(id);
  }
};

// The words that the tokens' offsets cut out of the text.
std::vector<std::string> words_of(const std::string& text, const std::vector<Token>& tokens) {
  const std::u32string code_points = decode_utf8(text);
  std::vector<std::string> words;
  for (const Token& token : tokens) {
    words.emplace_back();
    for (uint32_t i = token.offset.begin; i < token.offset.end; ++i) append_utf8(words.back(), code_points[i]);
  }
  return words;
}

std::string spaces_of(const std::vector<Token>& tokens) {
  std::string spaces;
  for (const Token& token : tokens) spaces += token.space ? '1' : '0';
  return spaces;
}

// Twice: the second time the cache knows the chunks.
TEST(SpacyGolden, TokensSpacesAndIds) {
  for (const char* name : {"es", "xx", "en", "odd", "bare"}) {
    Tokenizer tokenizer = Tokenizer::load(kGolden / name);
    std::vector<Token> tokens;
    const std::vector<Json> rows = lines_of(kGolden / (std::string(name) + ".jsonl"));
    for (int time = 0; time < 2; ++time) {
      for (const Json& row : rows) {
        const auto text = row["text"].get<std::string>();
        tokenizer.tokenize(text, tokens);
        EXPECT_EQ(words_of(text, tokens), row["tokens"].get<std::vector<std::string>>()) << name << ": " << row;
        EXPECT_EQ(spaces_of(tokens), row["spaces"].get<std::string>()) << name << ": " << row;
        Hash hash;
        for (const Token& token : tokens) {
          hash.add(token.lexeme);
          hash.add(token.space);
          hash.add(token.lexeme.is_space);
        }
        EXPECT_EQ(std::to_string(hash.value), row["ids"].get<std::string>()) << name << ": " << row;
        if (HasFailure()) return;
      }
    }
  }
}

// Each code point as a word, and within one, 1,024 of them a line: tests/golden/spacy_tokenizer.py, code_points().
TEST(SpacyGolden, EveryCodePoint) {
  std::ifstream stream(kGolden / "code_points.txt");
  int64_t seen = 0;
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    uint64_t first, expected[2];
    fields >> std::hex >> first >> expected[0] >> expected[1];
    Hash alone, within;
    for (uint64_t c = first; c < first + 1024; ++c) {
      std::string word;
      append_utf8(word, static_cast<char32_t>(c));
      for (Hash* hash : {&alone, &within}) {
        const Lexeme lexeme = make_lexeme(hash == &alone ? word : "aΣ" + word + "1Xǅ", {});
        hash->add(lexeme);
        hash->add(lexeme.is_space);
      }
    }
    EXPECT_EQ(alone.value, expected[0]) << "1,024 code points from U+" << std::hex << first;
    EXPECT_EQ(within.value, expected[1]) << "1,024 code points from U+" << std::hex << first;
    seen += 1024;
  }
  EXPECT_EQ(seen, 0x110000 - 0x800);  // all but the surrogates
}

const std::filesystem::path kShared = std::filesystem::path(AID_SHARED_DIR) / "golden/spacy";

TEST(SharedSpacy, TokensOfSpanishAndMultilingual) {
  for (const std::string language : {"es", "xx"}) {
    ModelDir dir(language);
    dir.write("config.cfg",
              "[nlp]\nlang = \"" + language + "\"\ntokenizer = {\"@tokenizers\":\"spacy.Tokenizer.v1\"}\n");
    dir.write("tokenizer", read_whole(kShared / ("tokenizer_" + language + ".bin")));
    Tokenizer tokenizer = Tokenizer::load(dir.path());
    std::vector<Token> tokens;
    for (const Json& row : lines_of(kShared / ("tokens_" + language + ".jsonl"))) {
      const auto text = row["text"].get<std::string>();
      tokenizer.tokenize(text, tokens);
      const std::vector<std::string> words = words_of(text, tokens);
      ASSERT_EQ(tokens.size(), row["tokens"].size()) << row;
      for (size_t i = 0; i < tokens.size(); ++i) {
        const Json& expected = row["tokens"][i];
        const Lexeme& lexeme = tokens[i].lexeme;
        EXPECT_EQ(words[i], expected["t"].get<std::string>()) << row;
        EXPECT_EQ(tokens[i].space, expected["ws"].get<bool>()) << row;
        EXPECT_EQ(tokens[i].offset.begin, expected["idx"].get<int64_t>()) << row;
        EXPECT_EQ(lexeme.is_space, expected["is_space"].get<bool>()) << row;
        EXPECT_EQ(lexeme.norm, string_id(expected["norm"].get<std::string>())) << row;
        EXPECT_EQ(lexeme.lower, string_id(expected["lower"].get<std::string>())) << row;
        EXPECT_EQ(lexeme.prefix, string_id(expected["prefix"].get<std::string>())) << row;
        EXPECT_EQ(lexeme.suffix, string_id(expected["suffix"].get<std::string>())) << row;
        EXPECT_EQ(lexeme.shape, string_id(expected["shape"].get<std::string>())) << row;
        std::vector<std::string> ids;
        for (const uint64_t id : {lexeme.orth, lexeme.norm, lexeme.lower, lexeme.prefix, lexeme.suffix, lexeme.shape}) {
          ids.push_back(std::to_string(id));
        }
        EXPECT_EQ(ids, expected["ids"].get<std::vector<std::string>>()) << expected;
      }
      if (HasFailure()) return;
    }
  }
}

TEST(SharedSpacy, SymbolsHaveTheirNumbers) {
  const Json symbols = Json::parse(read_whole(kShared / "symbols.json"));
  EXPECT_EQ(symbols.size(), 457u);
  for (const auto& [name, id] : symbols.items()) EXPECT_EQ(string_id(name), id.get<uint64_t>()) << name;
}

// The pipelines as spaCy saved them load, and tokenize as the tokenizer alone does.
TEST(SharedSpacy, SavedPipelinesLoad) {
  int pipelines = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kShared / "pipelines")) {
    Tokenizer tokenizer = Tokenizer::load(entry.path() / "model-last");
    std::vector<Token> tokens;
    const std::string text = "El Sr. Gil, de EE. UU.";
    tokenizer.tokenize(text, tokens);
    EXPECT_EQ(words_of(text, tokens), (std::vector<std::string>{"El", "Sr.", "Gil", ",", "de", "EE. UU."})) << entry;
    ++pipelines;
  }
  EXPECT_GT(pipelines, 5);
}

}  // namespace
}  // namespace aid::tokenizer::spacy
