#include "tokenizer/spacy/rules.h"

#include "tokenizer/error.h"
#include "tokenizer/read_file.h"
#include "tokenizer/spacy/msgpack.h"
#include "tokenizer/spacy/pipeline_config.h"
#include "tokenizer/spacy/python_pattern.h"

namespace aid::tokenizer::spacy {
namespace {

using std::filesystem::path;

constexpr const char* kConfig = "config.cfg";
constexpr const char* kTokenizer = "tokenizer";
constexpr uint64_t kOrth = 65, kNorm = 67;  // spacy/attrs.pyx

std::string quote(std::string_view text) { return '"' + std::string(text) + '"'; }

std::optional<Pattern> read_pattern(MsgpackReader& reader, const std::string& part, Pattern::Where where) {
  if (reader.peek() == MsgpackReader::Type::kNil) {
    reader.skip();
    return std::nullopt;
  }
  const size_t position = reader.position();
  const std::string_view pattern = reader.read_string(quote(part));
  try {
    return Pattern(pattern, where);
  } catch (const PatternError& error) {
    reader.refuse(position, quote(part) + " cannot be reproduced: " + error.what() +
                                "; change the pattern in spaCy and save the pipeline again");
  }
}

Rules::ExceptionToken read_exception_token(MsgpackReader& reader, const std::string& what) {
  Rules::ExceptionToken token;
  for (size_t pairs = reader.read_map(what); pairs > 0; --pairs) {
    const size_t position = reader.position();
    const bool named = reader.peek() == MsgpackReader::Type::kString;
    const std::string name(named ? reader.read_string(what) : "");
    const uint64_t id = named ? 0 : reader.read_unsigned(what + ", the attribute");
    if (id == kOrth || name == "ORTH" || name == "orth") {
      token.orth = reader.read_string(what + ", ORTH");
    } else if (id == kNorm || name == "NORM" || name == "norm") {
      token.norm = reader.read_string(what + ", NORM");
    } else {
      reader.refuse(position, what + " has the attribute " + (named ? quote(name) : std::to_string(id)) +
                                  "; expected ORTH (65) and NORM (67) alone, as spaCy does");
    }
  }
  return token;
}

void read_exceptions(MsgpackReader& reader, Rules& rules) {
  for (size_t count = reader.read_map(quote("exceptions")); count > 0; --count) {
    const size_t position = reader.position();
    const std::string chunk(reader.read_string("the text of an exception"));
    const std::string what = "the exception " + quote(chunk);
    std::vector<Rules::ExceptionToken> tokens;
    std::string joined;
    for (size_t left = reader.read_array(what); left > 0; --left) {
      tokens.push_back(read_exception_token(reader, what));
      if (tokens.back().orth.empty()) reader.refuse(position, what + " has a token without ORTH");
      joined += tokens.back().orth;
    }
    if (joined != chunk || chunk.empty()) {
      reader.refuse(position, what + " has tokens that joined are " + quote(joined) + "; expected the text itself");
    }
    rules.exceptions.insert_or_assign(chunk, std::move(tokens));
  }
}

void read_tokenizer(const path& file, Rules& rules) {
  const std::string bytes = read_file(file);
  MsgpackReader reader(bytes, file.string());
  for (size_t pairs = reader.read_map("the tokenizer"); pairs > 0; --pairs) {
    const std::string part(reader.read_string("the name of a part"));
    if (part == "prefix_search") {
      rules.prefix = read_pattern(reader, part, Pattern::Where::kAnywhere);
    } else if (part == "suffix_search") {
      rules.suffix = read_pattern(reader, part, Pattern::Where::kAnywhere);
    } else if (part == "infix_finditer") {
      rules.infix = read_pattern(reader, part, Pattern::Where::kAnywhere);
    } else if (part == "token_match") {
      rules.token_match = read_pattern(reader, part, Pattern::Where::kAtBegin);
    } else if (part == "url_match") {
      rules.url_match = read_pattern(reader, part, Pattern::Where::kAtBegin);
    } else if (part == "exceptions") {
      read_exceptions(reader, rules);
    } else if (part == "faster_heuristics") {
      rules.faster_heuristics = reader.read_bool(quote(part));
    } else {
      reader.skip();
    }
  }
  if (!reader.at_end()) reader.refuse(reader.position(), "more follows the tokenizer; expected the file's end");
}

Norms read_norms(const path& file) {
  const std::string bytes = read_file(file);
  MsgpackReader reader(bytes, file.string());
  Norms norms;
  for (size_t tables = reader.read_map("the lookups"); tables > 0; --tables) {
    if (reader.read_string("the name of a table") != "lexeme_norm") {
      reader.skip();
      continue;
    }
    for (size_t pairs = reader.read_map(quote("lexeme_norm")); pairs > 0; --pairs) {
      const uint64_t id = reader.read_unsigned("a key of lexeme_norm");
      norms.insert_or_assign(id, std::string(reader.read_string("a value of lexeme_norm")));
    }
  }
  if (!reader.at_end()) reader.refuse(reader.position(), "more follows the lookups; expected the file's end");
  return norms;
}

}  // namespace

bool is_pipeline(const path& folder) { return std::filesystem::exists(folder / kConfig); }

Rules read_rules(const path& folder) {
  const path config = folder / kConfig, lookups = folder / "vocab" / "lookups.bin";
  check_tokenizer_is_spacys(ConfigFile(read_file(config), config.string()));
  Rules rules;
  read_tokenizer(folder / kTokenizer, rules);
  if (std::filesystem::exists(lookups)) rules.norms = read_norms(lookups);
  return rules;
}

}  // namespace aid::tokenizer::spacy
