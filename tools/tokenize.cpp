#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>

#include "io/error.h"
#include "io/jsonl.h"
#include "tokenizer/tokenizer.h"
#include "tools/commands.h"

namespace aid::tools {
namespace {

struct TokenizeOptions {
  std::string model, file = "-";
  bool jsonl = false;
  bool nfc = false, special_tokens_in_text = false;
  std::string strip_accents = "config";
  size_t max_length = 0;  // 0: whole texts
};

void append_number(std::string& out, int64_t value) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// {"ids":[4,1009,5],"offsets":[[0,0],[0,2],[0,0]]}
void append_line(std::string& out, const tokenizer::Encoding& encoding) {
  out += "{\"ids\":[";
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    if (i > 0) out += ',';
    append_number(out, encoding.ids[i]);
  }
  out += "],\"offsets\":[";
  for (size_t i = 0; i < encoding.offsets.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    append_number(out, encoding.offsets[i].begin);
    out += ',';
    append_number(out, encoding.offsets[i].end);
    out += ']';
  }
  out += "]}\n";
}

int tokenize(const TokenizeOptions& options) {
  tokenizer::LoadOptions load{.nfc = options.nfc, .special_tokens_in_text = options.special_tokens_in_text};
  if (options.strip_accents != "config") load.strip_accents = options.strip_accents == "on";
  const auto tokenizer = tokenizer::Tokenizer::load(options.model, load);
  tokenizer::EncodeOptions encode;
  if (options.max_length > 0) encode.max_length = options.max_length;

  std::ifstream opened;
  if (options.file != "-") {
    opened.open(options.file, std::ios::binary);
    if (!opened) throw io::Error(options.file + ": cannot be opened: " + std::strerror(errno));
  }
  std::istream& in = options.file == "-" ? std::cin : opened;
  io::JsonlTextReader jsonl(in, options.file == "-" ? "stdin" : options.file);
  std::string text, out;
  while (options.jsonl ? jsonl.next(text) : static_cast<bool>(std::getline(in, text))) {
    append_line(out, tokenizer.encode(text, std::nullopt, encode).front());
    if (out.size() < (size_t{1} << 16)) continue;
    std::fwrite(out.data(), 1, out.size(), stdout);
    out.clear();
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  return kDone;
}

}  // namespace

Command add_tokenize(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "tokenize",
      "Turns each line into a line {\"ids\":[...],\"offsets\":[[begin,end],...]}; offsets count code points");
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
      ->check(CLI::IsMember({"config", "on", "off"}))
      ->type_name("")
      ->capture_default_str();
  app->add_flag("--nfc", options->nfc, "Unicode NFC first: a letter and its accent as one character");
  app->add_flag("--special-tokens-in-text", options->special_tokens_in_text,
                "Take \"[SEP]\" and the like in a text for the tokens of that name; for trusted texts only");
  app->footer("Example:\n  echo 'Norma legal' | aid tokenize modelo");
  return {app, [options] { return tokenize(*options); }};
}

}  // namespace aid::tools
