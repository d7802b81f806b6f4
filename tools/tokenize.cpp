#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "io/error.h"
#include "io/jsonl.h"
#include "tokenizer/spacy/rules.h"
#include "tokenizer/spacy/tokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"
#include "tools/commands.h"

namespace aid::tools {
namespace {

struct TokenizeOptions {
  std::string model, file = "-";
  bool jsonl = false;
  bool nfc = false, special_tokens_in_text = false;
  std::string strip_accents = "config";
  size_t max_length = 0;  // 0: whole texts
  std::vector<std::string> attributes;
};

template <typename Number>
void append_number(std::string& out, Number value) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_offset(std::string& out, const tokenizer::Offset& offset) {
  out += '[';
  append_number(out, offset.begin);
  out += ',';
  append_number(out, offset.end);
  out += ']';
}

// [1,2,3]
template <typename Values, typename Append>
void append_list(std::string& out, const Values& values, Append&& append) {
  out += '[';
  bool first = true;
  for (const auto& value : values) {
    if (!first) out += ',';
    first = false;
    append(out, value);
  }
  out += ']';
}

// Appends a text's line to `out`.
using AppendText = std::function<void(const std::string& text, std::string& out)>;

AppendText word_piece(const TokenizeOptions& options) {
  if (!options.attributes.empty()) {
    throw io::Error("--attributes: " + options.model + " is no spaCy pipeline; its tokens have ids alone");
  }
  tokenizer::LoadOptions load{.nfc = options.nfc, .special_tokens_in_text = options.special_tokens_in_text};
  if (options.strip_accents != "config") load.strip_accents = options.strip_accents == "on";
  const auto tokenizer = tokenizer::Tokenizer::load(options.model, load);
  if (options.max_length == 1) throw io::Error("--max-length 1: no room for [CLS] and [SEP]; 2 is the least");
  const size_t limit = options.max_length > 0 ? options.max_length - 2 : tokenizer::kNoLimit;
  return [tokenizer, limit, ids = std::vector<int32_t>(), offsets = std::vector<tokenizer::Offset>()](
             const std::string& text, std::string& out) mutable {
    ids.assign(1, tokenizer.cls_id());
    offsets.assign(1, {});
    tokenizer.encode_ids(text, ids, offsets, limit);  // reads no further than the limit
    ids.push_back(tokenizer.sep_id());
    offsets.push_back({});
    out += "{\"ids\":";
    append_list(out, ids, append_number<int32_t>);
    out += ",\"offsets\":";
    append_list(out, offsets, append_offset);
    out += "}\n";
  };
}

using AttributeOf = uint64_t (*)(const tokenizer::spacy::Token&);
const std::vector<std::pair<std::string, AttributeOf>> kAttributes = {
    {"ORTH", [](const tokenizer::spacy::Token& token) { return token.lexeme.orth; }},
    {"NORM", [](const tokenizer::spacy::Token& token) { return token.lexeme.norm; }},
    {"LOWER", [](const tokenizer::spacy::Token& token) { return token.lexeme.lower; }},
    {"PREFIX", [](const tokenizer::spacy::Token& token) { return token.lexeme.prefix; }},
    {"SUFFIX", [](const tokenizer::spacy::Token& token) { return token.lexeme.suffix; }},
    {"SHAPE", [](const tokenizer::spacy::Token& token) { return token.lexeme.shape; }},
    {"SPACY", [](const tokenizer::spacy::Token& token) { return uint64_t{token.space}; }},
    {"IS_SPACE", [](const tokenizer::spacy::Token& token) { return uint64_t{token.lexeme.is_space}; }},
};

// The words themselves, as JSON strings.
void append_words(std::string& out, const std::string& text, const std::vector<tokenizer::spacy::Token>& tokens) {
  const char* at = text.data();
  const char* const end = at + text.size();
  uint32_t code_points = 0;  // before `at`
  const auto append_word = [&](std::string& list, const tokenizer::spacy::Token& token) {
    std::string word;
    for (; code_points < token.offset.end; ++code_points) {
      const auto [code_point, length] = tokenizer::decode_utf8(at, end);
      if (code_points >= token.offset.begin) tokenizer::append_utf8(word, code_point);
      at += length;
    }
    list += nlohmann::json(word).dump();
  };
  append_list(out, tokens, append_word);
}

AppendText spacy_rules(const TokenizeOptions& options) {
  if (options.nfc || options.special_tokens_in_text || options.strip_accents != "config" || options.max_length != 0) {
    throw io::Error(options.model +
                    " is a spaCy pipeline, whose tokenizer takes texts as they are and whole; leave out " +
                    "--nfc, --special-tokens-in-text, --strip-accents and --max-length");
  }
  std::vector<std::pair<std::string, AttributeOf>> attributes;
  for (const auto& [name, of] : kAttributes) {
    const auto& wanted = options.attributes;
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) attributes.emplace_back(name, of);
  }
  return [tokenizer = tokenizer::spacy::Tokenizer::load(options.model), attributes,
          tokens = std::vector<tokenizer::spacy::Token>()](const std::string& text, std::string& out) mutable {
    tokenizer.tokenize(text, tokens);
    out += "{\"tokens\":";
    append_words(out, text, tokens);
    out += ",\"offsets\":";
    append_list(out, tokens, [](std::string& list, const auto& token) { append_offset(list, token.offset); });
    out += ",\"spaces\":";
    append_list(out, tokens, [](std::string& list, const auto& token) { list += token.space ? "true" : "false"; });
    for (const auto& [name, of] : attributes) {
      out += ",\"" + name + "\":";
      append_list(out, tokens, [&of = of](std::string& list, const auto& token) { append_number(list, of(token)); });
    }
    out += "}\n";
  };
}

int tokenize(const TokenizeOptions& options) {
  const AppendText append_text =
      tokenizer::spacy::is_pipeline(options.model) ? spacy_rules(options) : word_piece(options);
  std::ifstream opened;
  if (options.file != "-") {
    opened.open(options.file, std::ios::binary);
    if (!opened) throw io::Error(options.file + ": cannot be opened: " + std::strerror(errno));
  }
  std::istream& in = options.file == "-" ? std::cin : opened;
  const std::string name = options.file == "-" ? "stdin" : options.file;
  io::JsonlTextReader jsonl(in, name);
  std::string text, out;
  while (options.jsonl ? jsonl.next(text) : static_cast<bool>(std::getline(in, text))) {
    out.clear();
    append_text(text, out);
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) break;  // main() says why
  }
  if (in.bad()) throw io::Error(name + ": cannot be read: " + std::strerror(errno));
  return kDone;
}

}  // namespace

Command add_tokenize(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "tokenize",
      "Turns each line into a line {\"ids\":[...],\"offsets\":[[begin,end],...]}, or of a spaCy pipeline "
      "{\"tokens\":[...],\"offsets\":[...],\"spaces\":[...]}; offsets count code points");
  const auto options = std::make_shared<TokenizeOptions>();
  app->add_option("MODEL", options->model, "Folder of the model, or of its tokenizer alone")->required()->type_name("");
  app->add_option("FILE", options->file, "Text, UTF-8; -: stdin")->type_name("")->capture_default_str();
  app->add_flag("--jsonl", options->jsonl, "Lines are {\"text\": ...}: for texts that hold line ends");
  app->add_option("--max-length", options->max_length,
                  "At most so many tokens of a text, [CLS] and [SEP] included; 0: all")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--strip-accents", options->strip_accents,
                  "Whether accents are taken off; config: as the tokenizer's files say")
      ->check(CLI::IsMember({"config", "on", "off"}).description(""))
      ->type_name("{config,on,off}")
      ->capture_default_str();
  app->add_flag("--nfc", options->nfc, "Unicode NFC first: a letter and its accent as one character");
  app->add_flag("--special-tokens-in-text", options->special_tokens_in_text,
                "Take \"[SEP]\" and the like in a text for the tokens of that name; for trusted texts only");
  std::vector<std::string> names;
  for (const auto& [attribute, of] : kAttributes) names.push_back(attribute);
  app->add_option("--attributes", options->attributes,
                  "Of a spaCy pipeline, with each token's ids of these attributes: ORTH, NORM, LOWER, PREFIX, SUFFIX, "
                  "SHAPE, SPACY, IS_SPACE")
      ->delimiter(',')
      ->check(CLI::IsMember(names).description(""))
      ->type_name("NAME,...");
  app->footer(
      "Example:\n  echo 'Norma legal' | aid tokenize modelo\n  echo 'El Sr. Gil' | aid tokenize textcat --attributes "
      "NORM,SHAPE");
  return {app, [options] { return tokenize(*options); }};
}

}  // namespace aid::tools
