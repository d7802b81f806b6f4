#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <vector>

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
void append_line(std::string& out, const std::vector<int32_t>& ids, const std::vector<tokenizer::Offset>& offsets) {
  out += "{\"ids\":[";
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    append_number(out, ids[i]);
  }
  out += "],\"offsets\":[";
  for (size_t i = 0; i < offsets.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    append_number(out, offsets[i].begin);
    out += ',';
    append_number(out, offsets[i].end);
    out += ']';
  }
  out += "]}\n";
}

int tokenize(const TokenizeOptions& options) {
  tokenizer::LoadOptions load{.nfc = options.nfc, .special_tokens_in_text = options.special_tokens_in_text};
  if (options.strip_accents != "config") load.strip_accents = options.strip_accents == "on";
  const auto tokenizer = tokenizer::Tokenizer::load(options.model, load);
  if (options.max_length == 1) throw io::Error("--max-length 1: no room for [CLS] and [SEP]; 2 is the least");
  const size_t limit = options.max_length > 0 ? options.max_length - 2 : tokenizer::kNoLimit;

  std::ifstream opened;
  if (options.file != "-") {
    opened.open(options.file, std::ios::binary);
    if (!opened) throw io::Error(options.file + ": cannot be opened: " + std::strerror(errno));
  }
  std::istream& in = options.file == "-" ? std::cin : opened;
  const std::string name = options.file == "-" ? "stdin" : options.file;
  io::JsonlTextReader jsonl(in, name);
  std::string text, out;
  std::vector<int32_t> ids;
  std::vector<tokenizer::Offset> offsets;
  while (options.jsonl ? jsonl.next(text) : static_cast<bool>(std::getline(in, text))) {
    ids.assign(1, tokenizer.cls_id());
    offsets.assign(1, {});
    tokenizer.encode_ids(text, ids, offsets, limit);  // reads no further than the limit
    ids.push_back(tokenizer.sep_id());
    offsets.push_back({});
    out.clear();
    append_line(out, ids, offsets);
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) break;  // main() says why
  }
  if (in.bad()) throw io::Error(name + ": cannot be read: " + std::strerror(errno));
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
      ->check(CLI::IsMember({"config", "on", "off"}).description(""))
      ->type_name("{config,on,off}")
      ->capture_default_str();
  app->add_flag("--nfc", options->nfc, "Unicode NFC first: a letter and its accent as one character");
  app->add_flag("--special-tokens-in-text", options->special_tokens_in_text,
                "Take \"[SEP]\" and the like in a text for the tokens of that name; for trusted texts only");
  app->footer("Example:\n  echo 'Norma legal' | aid tokenize modelo");
  return {app, [options] { return tokenize(*options); }};
}

}  // namespace aid::tools
