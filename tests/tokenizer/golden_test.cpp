// Against what Hugging Face's `tokenizers` gave (tests/golden/tokenizer.py, ../shared/golden/tokenizer).
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "model_dir.h"
#include "tokenizer/error.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

using Json = nlohmann::json;

std::vector<Offset> offsets_of(const Json& pairs) {
  std::vector<Offset> offsets;
  for (const Json& pair : pairs) offsets.push_back({pair[0], pair[1]});
  return offsets;
}

std::optional<bool> flag(const Json& row, const char* key) {
  return row.contains(key) && !row[key].is_null() ? std::optional(row[key].get<bool>()) : std::nullopt;
}

// Equal to the row, from the cache too, and without offsets.
void expect_row(const Tokenizer& tokenizer, const Json& row) {
  const auto text = row["text"].get<std::string>();
  std::vector<int32_t> ids, again;
  std::vector<Offset> offsets;
  tokenizer.encode_ids(text, ids, offsets);
  EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>()) << row;
  EXPECT_EQ(offsets, offsets_of(row["offsets"])) << row;
  EXPECT_EQ(tokenizer.encode_ids(text, again), ids.size());
  EXPECT_EQ(again, ids) << row;
}

// As settings of the call, which win over the files.
TEST(TokenizerGolden, IdsAndOffsets) {
  for (const Json& row : lines_of(golden("encodings.jsonl"))) {
    const auto tokenizer = Tokenizer::load(
        golden("").parent_path(),
        {.lowercase = flag(row, "lowercase"),
         .strip_accents =
             row.contains("lowercase") ? std::optional(flag(row, "strip_accents").value_or(row["lowercase"])) : true,
         .special_tokens_in_text = flag(row, "special_in_text").value_or(true)});
    expect_row(tokenizer, row);
    if (HasFailure()) break;
  }
}

// As the files state them, strip_accents on, off, null and not at all, in either of the two forms.
TEST(TokenizerGolden, SettingsInFiles) {
  std::map<std::string, std::vector<Tokenizer>> by_settings;
  std::map<std::string, int> rows;
  for (const Json& row : lines_of(golden("encodings.jsonl"))) {
    if (!row.contains("lowercase")) continue;
    const Json& lowercase = row["lowercase"];
    const Json& strip = row["strip_accents"];
    std::vector<Tokenizer>& tokenizers = by_settings[lowercase.dump() + strip.dump()];
    if (tokenizers.empty()) {
      Json json = Json::parse(read_whole(golden("tokenizer.json")));
      json["normalizer"]["lowercase"] = lowercase;
      json["normalizer"]["strip_accents"] = strip;
      ModelDir in_json("json"), in_settings("settings"), left_out("left_out");
      tokenizers.push_back(Tokenizer::load(in_json.write("tokenizer.json", json.dump()).path()));
      const std::string vocabulary = read_whole(golden("vocab.txt"));
      const Json settings = {{"do_lower_case", lowercase}, {"strip_accents", strip}};
      in_settings.write("vocab.txt", vocabulary).write("tokenizer_config.json", settings.dump());
      tokenizers.push_back(Tokenizer::load(in_settings.path()));
      if (strip.is_null()) {
        const Json without = {{"do_lower_case", lowercase}};
        left_out.write("vocab.txt", vocabulary).write("tokenizer_config.json", without.dump());
        tokenizers.push_back(Tokenizer::load(left_out.path()));
      }
    }
    for (const Tokenizer& tokenizer : tokenizers) expect_row(tokenizer, row);
    ++rows[strip.dump()];
    if (HasFailure()) break;
  }
  for (const char* strip : {"null", "true", "false"}) EXPECT_GT(rows[strip], 100) << strip;
}

// Each code point between two letters, 1,024 of them a line: tests/golden/tokenizer.py, code_points().
TEST(TokenizerGolden, EveryCodePoint) {
  std::ifstream stream(golden("code_points.txt"));
  int64_t seen = 0;
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    uint64_t first, expected[2];
    fields >> std::hex >> first >> expected[0] >> expected[1];
    for (const bool strip : {false, true}) {
      Normalizer normalizer({.strip_accents = strip});
      uint64_t hash = 0xcbf29ce484222325;
      for (uint64_t c = first; c < first + 1024; ++c) {
        char bytes[4];
        normalizer.split("x" + std::string(bytes, write_utf8(static_cast<char32_t>(c), bytes)) + "x", 0);
        for (const Normalizer::Word& word : normalizer.words()) {
          const std::string letters(normalizer.text().substr(word.begin, word.end - word.begin));
          for (const char letter : letters + '\0') hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
        }
      }
      EXPECT_EQ(hash, expected[strip]) << "strip_accents " << strip << ", 1,024 code points from U+" << std::hex
                                       << first;
    }
    seen += 1024;
  }
  EXPECT_EQ(seen, 0x110000 - 0x800);  // all but the surrogates
}

TEST(TokenizerGolden, Windows) {
  const auto tokenizer = Tokenizer::load(golden("").parent_path());
  for (const Json& row : lines_of(golden("windows.jsonl"))) {
    EncodeOptions options{.max_length = row["max_length"], .stride = row["stride"]};
    if (row["truncation"] == "only_first") options.truncation = EncodeOptions::Truncation::kOnlyFirst;
    if (row["truncation"] == "only_second") options.truncation = EncodeOptions::Truncation::kOnlySecond;
    if (row["direction"] == "left") options.direction = EncodeOptions::Direction::kLeft;
    const auto a = row["a"].get<std::string>(), b = row["b"].is_null() ? "" : row["b"].get<std::string>();
    const auto pair = row["b"].is_null() ? std::nullopt : std::optional<std::string_view>(b);
    if (row["windows"].is_null()) {
      EXPECT_THROW(tokenizer.encode(a, pair, options), Error) << row;
      continue;
    }
    const std::vector<Encoding> windows = tokenizer.encode(a, pair, options);
    ASSERT_EQ(windows.size(), row["windows"].size()) << row;
    for (size_t i = 0; i < windows.size(); ++i) {
      const Json& window = row["windows"][i];
      EXPECT_EQ(windows[i].ids, window[0].get<std::vector<int32_t>>()) << row;
      EXPECT_EQ(windows[i].type_ids, window[1].get<std::vector<int32_t>>()) << row;
      EXPECT_EQ(windows[i].offsets, offsets_of(window[2])) << row;
      EXPECT_EQ(windows[i].special, window[3].get<std::vector<uint8_t>>()) << row;
    }
    if (HasFailure()) break;
  }
}

const std::filesystem::path kShared = AID_SHARED_DIR;

TEST(SharedTokenizer, BetoTexts) {
  for (const char* key : {"keep", "strip"}) {
    const auto tokenizer =
        Tokenizer::load(kShared / "vocab/beto-uncased", {.strip_accents = key == std::string("strip")});
    for (const Json& row : lines_of(kShared / "golden/tokenizer/beto_uncased.jsonl")) {
      ASSERT_TRUE(row.contains(key)) << row;
      const Encoding encoding = tokenizer.encode(row["text"].get<std::string>())[0];
      EXPECT_EQ(encoding.ids, row[key]["ids"].get<std::vector<int32_t>>()) << row["text"];
      EXPECT_EQ(encoding.offsets, offsets_of(row[key]["offsets"])) << row["text"];
    }
  }
}

TEST(SharedTokenizer, BetoPairs) {
  const auto tokenizer = Tokenizer::load(kShared / "vocab/beto-uncased", {.strip_accents = false});
  const std::map<std::string, EncodeOptions::Truncation> truncations{
      {"LongestFirst", EncodeOptions::Truncation::kLongestFirst},
      {"OnlyFirst", EncodeOptions::Truncation::kOnlyFirst},
      {"OnlySecond", EncodeOptions::Truncation::kOnlySecond}};
  for (const Json& row : lines_of(kShared / "golden/tokenizer/beto_uncased_pairs.jsonl")) {
    const EncodeOptions options{.max_length = row["max_length"], .truncation = truncations.at(row["strategy"])};
    // These are of 0.23.2, which stops reading each text at max_length tokens and so takes texts longer than that for
    // equally long; 0.23.3 compares their whole lengths, as this library does.
    const auto read = [&](const char* key) {
      std::string text = row[key];
      std::vector<int32_t> ids;
      std::vector<Offset> offsets;
      const bool stops = options.truncation == EncodeOptions::Truncation::kLongestFirst &&
                         tokenizer.encode_ids(text, ids, offsets, options.max_length) == options.max_length;
      return stops ? text.substr(0, offsets.back().end) : text;  // ASCII so far
    };
    const std::string a = read("a"), b = read("b");
    if (row.contains("error")) {
      EXPECT_THROW(tokenizer.encode(a, b, options), Error) << row;
      continue;
    }
    const Encoding encoding = tokenizer.encode(a, b, options)[0];
    EXPECT_EQ(encoding.ids, row["ids"].get<std::vector<int32_t>>()) << row;
    EXPECT_EQ(encoding.type_ids, row["type"].get<std::vector<int32_t>>()) << row;
  }
}

// What the table says a code point becomes, as words: DEL, SP, CJK, = or a list of code points.
TEST(SharedTokenizer, EveryCodePoint) {
  std::ifstream stream(kShared / "golden/tokenizer/hf_bert_unicode.tsv");
  Normalizer keep({.strip_accents = false}), strip({.strip_accents = true});
  const Unicode unicode;
  int64_t seen = 0;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string first, last, result[2], pretokenized;
    fields >> first >> last;
    std::getline(fields, result[0], '\t');
    std::getline(fields, result[0], '\t');
    std::getline(fields, result[1], '\t');
    std::getline(fields, pretokenized);
    for (char32_t c = std::stoul(first, nullptr, 16); c <= std::stoul(last, nullptr, 16); ++c, ++seen) {
      const uint8_t flags = unicode[c].flags;
      EXPECT_EQ(pretokenized, flags & kSpace ? "S" : flags & kPunctuation ? "P" : "W") << std::hex << uint32_t{c};
      for (Normalizer* normalizer : {&keep, &strip}) {
        const std::string& expected = result[normalizer == &strip];
        // Between letters, so that splits show: "DEL" joins them, a space parts them.
        char bytes[4];
        std::string raw = "x";
        raw.append(bytes, write_utf8(c, bytes));
        raw += 'x';
        std::string replaced;
        std::istringstream code_points(expected);
        const auto put = [&](char32_t code_point) { replaced.append(bytes, write_utf8(code_point, bytes)); };
        if (expected == "=") {
          if (!(flags & kSpace)) put(c);
        } else if (expected == "SP" || expected == "CJK") {
          replaced = expected == "SP" ? " " : "";
          if (expected == "CJK") put(c);
        } else if (expected != "DEL") {
          for (std::string hex; code_points >> hex;) put(std::stoul(hex, nullptr, 16));
        }
        normalizer->split(raw, 0);
        std::string joined(normalizer->text());
        std::erase(replaced, ' ');
        EXPECT_EQ(joined, "x" + replaced + "x") << line << " at " << std::hex << uint32_t{c};
      }
    }
    if (HasFailure()) break;
  }
  EXPECT_EQ(seen, 0x110000 - 0x800);  // all but the surrogates
}

// A token of letters alone is a word that is its own longest match.
TEST(SharedTokenizer, WholeWordsOfEveryVocabulary) {
  for (const char* name : {"beto-uncased", "beto-cased", "bert-base-uncased", "bert-base-multilingual-cased"}) {
    const bool cased = std::string(name).find("uncased") == std::string::npos;
    const auto tokenizer = Tokenizer::load(kShared / "vocab" / name, {.lowercase = !cased, .strip_accents = false});
    Normalizer normalizer({.strip_accents = false, .lowercase = !cased});
    int32_t words = 0;
    for (int32_t id = 0; id < static_cast<int32_t>(tokenizer.vocab_size()); ++id) {
      const std::string& token = tokenizer.id_to_token(id);
      normalizer.split(token, 0);
      if (normalizer.words().size() != 1 || normalizer.text() != token) continue;
      std::vector<int32_t> ids;
      tokenizer.encode_ids(token, ids);
      EXPECT_EQ(ids, std::vector{id}) << name << ": " << token;
      ++words;
    }
    EXPECT_GT(words, 20000) << name;
  }
}

}  // namespace
}  // namespace aid::tokenizer
