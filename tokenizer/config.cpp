#include "tokenizer/config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tokenizer/error.h"
#include "tokenizer/read_file.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

using Json = nlohmann::ordered_json;
using std::filesystem::path;

constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kVocabulary = "vocab.txt";
constexpr const char* kSettings = "tokenizer_config.json";
constexpr const char* kSpecialTokens = "special_tokens_map.json";
constexpr const char* kAddedTokens = "added_tokens.json";
constexpr int64_t kMostIds = int64_t{1} << 24;

std::string quote(const std::string& text) { return '"' + text + '"'; }

/// Reads the files of one model directory into a Config.
class Reader {
 public:
  Reader(const path& dir, const LoadOptions& options) : dir_(dir), options_(options) {}
  Config read();

 private:
  [[noreturn]] void refuse(const char* file, const std::string& what) const {
    throw Error((dir_ / file).string() + ": " + what);
  }
  bool has(const char* file) const { return std::filesystem::exists(dir_ / file); }
  const std::string& bytes_of(const char* file);
  Json json_of(const char* file);
  template <typename Value>
  std::optional<Value> setting(const char* key) const;
  std::string special_token(const char* key, const char* otherwise) const;

  void read_tokenizer_json();
  void read_vocabulary(const Json& vocabulary);
  void read_normalizer(const Json& normalizer);
  void read_post_processor(const Json& processor);
  void read_vocabulary_txt();
  void read_settings_of_vocabulary();
  void number_vocabulary();
  void add_token(const char* file, const Json& token);
  void check_settings_agree();
  int32_t id_in_vocabulary(const char* file, const std::string& token, const char* role) const;
  void make_files();

  const path& dir_;
  const LoadOptions& options_;
  Config config_;
  Json settings_ = Json::object();
  Json special_tokens_ = Json::object();
  std::unordered_map<std::string, int32_t> ids_;
  std::optional<bool> strip_accents_;  // as the files say: null is whatever lowercase is
};

const std::string& Reader::bytes_of(const char* file) {
  return config_.files.emplace_back(file, read_file(dir_ / file)).second;
}

Json Reader::json_of(const char* file) {
  try {
    Json json = Json::parse(bytes_of(file));
    if (!json.is_object()) refuse(file, "holds no JSON object; it is not Hugging Face's");
    return json;
  } catch (const Json::parse_error& error) {
    refuse(file, std::string("is not JSON: ") + error.what());
  }
}

template <typename Value>
std::optional<Value> Reader::setting(const char* key) const {
  const auto found = settings_.find(key);
  if (found == settings_.end() || found->is_null()) return std::nullopt;
  try {
    return found->get<Value>();
  } catch (const Json::exception&) {
    refuse(kSettings, quote(key) + " is " + found->dump() + ", of another type than expected");
  }
}

std::string Reader::special_token(const char* key, const char* otherwise) const {
  for (const Json* source : {&settings_, &special_tokens_}) {
    const auto found = source->find(key);
    if (found == source->end() || found->is_null()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("content")) return found->at("content").get<std::string>();
    refuse(source == &settings_ ? kSettings : kSpecialTokens,
           quote(key) + " is neither a string nor a token: " + found->dump());
  }
  return otherwise;
}

Config Reader::read() {
  const bool whole = has(kTokenizer);
  if (!whole && !has(kVocabulary)) {
    throw Error(dir_.string() + ": holds neither tokenizer.json nor vocab.txt; copy one from the pretrained model");
  }
  if (has(kSettings)) settings_ = json_of(kSettings);
  if (has(kSpecialTokens)) special_tokens_ = json_of(kSpecialTokens);
  if (whole) {
    if (has(kVocabulary)) bytes_of(kVocabulary);
    read_tokenizer_json();
    check_settings_agree();
  } else {
    read_vocabulary_txt();
    read_settings_of_vocabulary();
  }
  NormalizerOptions& normalizer = config_.normalizer;
  normalizer.lowercase = options_.lowercase.value_or(normalizer.lowercase);
  normalizer.strip_accents = options_.strip_accents.value_or(strip_accents_.value_or(normalizer.lowercase));
  normalizer.nfc = options_.nfc;
  // transformers writes 1e30 where there is no bound.
  const double length = setting<double>("model_max_length").value_or(1e30);
  if (length < 1e15) config_.model_max_length = static_cast<size_t>(std::max(length, 0.0));
  make_files();
  return std::move(config_);
}

// ---- tokenizer.json ----

void Reader::read_tokenizer_json() {
  const Json json = json_of(kTokenizer);
  const auto part = [&](const char* name) { return json.contains(name) ? json.at(name) : Json(); };
  const auto type = [](const Json& value) { return value.is_object() ? value.value("type", "") : value.dump(); };
  try {
    const Json model = part("model");
    if (!model.is_object() || model.value("type", "WordPiece") != "WordPiece" || !model.contains("vocab")) {
      refuse(kTokenizer, "the model is " + quote(type(model)) + "; only WordPiece is known");
    }
    if (const Json& vocab = model.at("vocab"); !vocab.is_object()) {
      refuse(kTokenizer,
             "the vocabulary is " + vocab.dump().substr(0, 40) + "; expected an object of tokens and their ids");
    }
    read_vocabulary(model.at("vocab"));
    config_.word_piece.continuing_subword_prefix = model.value("continuing_subword_prefix", "##");
    config_.word_piece.max_input_chars_per_word = model.value("max_input_chars_per_word", size_t{100});
    config_.word_piece.unk_id = id_in_vocabulary(kTokenizer, model.value("unk_token", "[UNK]"), "unk_token");
    read_normalizer(part("normalizer"));
    if (type(part("pre_tokenizer")) != "BertPreTokenizer") {
      refuse(kTokenizer,
             "the pre_tokenizer is " + quote(type(part("pre_tokenizer"))) + "; only BertPreTokenizer is known");
    }
    read_post_processor(part("post_processor"));
    if (json.contains("added_tokens")) {
      for (const Json& token : json.at("added_tokens")) add_token(kTokenizer, token);
    }
  } catch (const Json::exception& error) {
    refuse(kTokenizer, std::string("a field is missing or of another type than expected: ") + error.what());
  }
  const auto pad = ids_.find(special_token("pad_token", "[PAD]"));
  config_.pad_id = pad == ids_.end() ? -1 : pad->second;
}

void Reader::read_vocabulary(const Json& vocabulary) {
  for (const auto& [token, id] : vocabulary.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= kMostIds) {
      refuse(kTokenizer, "the id of " + quote(token) + " is " + id.dump() + "; expected one from 0 to " +
                             std::to_string(kMostIds - 1));
    }
    ids_[token] = id.get<int32_t>();
  }
  number_vocabulary();
}

void Reader::read_normalizer(const Json& normalizer) {
  NormalizerOptions& options = config_.normalizer;
  if (normalizer.is_null()) {
    options = {.clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false};
    strip_accents_ = false;
    return;
  }
  if (normalizer.value("type", "") != "BertNormalizer") {
    refuse(kTokenizer, "the normalizer is " + quote(normalizer.value("type", "")) + "; only BertNormalizer is known");
  }
  options.clean_text = normalizer.value("clean_text", true);
  options.handle_chinese_chars = normalizer.value("handle_chinese_chars", true);
  options.lowercase = normalizer.value("lowercase", true);
  if (normalizer.contains("strip_accents") && !normalizer.at("strip_accents").is_null()) {
    strip_accents_ = normalizer.at("strip_accents").get<bool>();
  }
}

void Reader::read_post_processor(const Json& processor) {
  const std::string type = processor.is_object() ? processor.value("type", "") : processor.dump();
  if (type == "BertProcessing") {
    config_.cls_id = processor.at("cls").at(1).get<int32_t>();
    config_.sep_id = processor.at("sep").at(1).get<int32_t>();
    return;
  }
  if (type != "TemplateProcessing") {
    refuse(kTokenizer,
           "the post_processor is " + quote(type) + "; only TemplateProcessing and BertProcessing are known");
  }
  const auto shape = [&](const Json& pieces) {
    std::string text;
    for (const Json& piece : pieces) {
      const bool special = piece.contains("SpecialToken");
      const Json& body = piece.at(special ? "SpecialToken" : "Sequence");
      text += (special ? body.at("id").get<std::string>() : '$' + body.at("id").get<std::string>()) + ':' +
              body.at("type_id").dump() + ' ';
    }
    return text;
  };
  const Json& single = processor.at("single");
  const auto special = [&](size_t at) {
    return at < single.size() && single[at].contains("SpecialToken") ? single[at]["SpecialToken"].value("id", "")
                                                                     : std::string();
  };
  const std::string cls = special(0), sep = special(2);
  const std::string expected = cls + ":0 $A:0 " + sep + ":0 ";
  if (cls.empty() || sep.empty() || shape(single) != expected ||
      shape(processor.at("pair")) != expected + "$B:1 " + sep + ":1 ") {
    refuse(kTokenizer,
           "the post_processor's templates are " + quote(shape(single)) + " and " + quote(shape(processor.at("pair"))) +
               "; only BERT's are known: \"[CLS]:0 $A:0 [SEP]:0\" and \"[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1\"");
  }
  const auto id_of = [&](const std::string& token) {
    const Json& ids = processor.at("special_tokens").at(token).at("ids");
    if (ids.size() != 1)
      refuse(kTokenizer, "the post_processor's " + quote(token) + " is not one id but " + ids.dump());
    return ids[0].get<int32_t>();
  };
  config_.cls_id = id_of(cls);
  config_.sep_id = id_of(sep);
}

// transformers' BertTokenizer builds its normalizer from tokenizer_config.json, whatever tokenizer.json says: where
// they differ, its two loaders disagree.
void Reader::check_settings_agree() {
  const NormalizerOptions& normalizer = config_.normalizer;
  const std::string tokenizer_class = setting<std::string>("tokenizer_class").value_or("");
  const bool rebuilds =
      tokenizer_class.starts_with("BertTokenizer") || tokenizer_class.starts_with("DistilBertTokenizer");
  const auto check = [&](const char* key, bool in_tokenizer, std::optional<bool> otherwise, bool decided) {
    const std::optional<bool> stated = setting<bool>(key).has_value() ? setting<bool>(key)
                                       : rebuilds                     ? otherwise
                                                                      : std::nullopt;
    if (!stated || *stated == in_tokenizer || decided) return;
    const auto word = [](bool value) { return std::string(value ? "true" : "false"); };
    refuse(kSettings, quote(key) + " is " + word(*stated) + (settings_.contains(key) ? "" : " by default") +
                          ", but tokenizer.json has " + word(in_tokenizer) +
                          "; make them agree with what the model was trained with");
  };
  check("do_lower_case", normalizer.lowercase, true, options_.lowercase.has_value());
  check("tokenize_chinese_chars", normalizer.handle_chinese_chars, true, false);
  check("strip_accents", strip_accents_.value_or(normalizer.lowercase), setting<bool>("do_lower_case").value_or(true),
        options_.strip_accents.has_value());
}

// ---- vocab.txt ----

void Reader::read_vocabulary_txt() {
  const std::string& text = bytes_of(kVocabulary);
  const Unicode unicode;
  int32_t line = 0;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    size_t trimmed = at;  // end of the line less its white space
    for (const char* byte = text.data() + at; byte < text.data() + end;) {
      const auto [code_point, length] = decode_utf8(byte, text.data() + end);
      const std::string_view bytes(byte, length);
      if (code_point == kReplacementCharacter && bytes != "\xEF\xBF\xBD") {
        refuse(kVocabulary,
               "line " + std::to_string(line + 1) + " is not UTF-8; convert the file or take it from the model again");
      }
      byte += length;
      if (!(unicode[code_point].flags & kSpace)) trimmed = static_cast<size_t>(byte - text.data());
    }
    ids_[text.substr(at, trimmed - at)] = line;  // the last of duplicates counts, as in `tokenizers`
    at = end + 1;
  }
  if (line == 0) refuse(kVocabulary, "is empty; expected one token a line");
  number_vocabulary();
}

void Reader::read_settings_of_vocabulary() {
  config_.normalizer.lowercase = setting<bool>("do_lower_case").value_or(true);
  config_.normalizer.handle_chinese_chars = setting<bool>("tokenize_chinese_chars").value_or(true);
  strip_accents_ = setting<bool>("strip_accents");
  const std::string unk = special_token("unk_token", "[UNK]"), cls = special_token("cls_token", "[CLS]"),
                    sep = special_token("sep_token", "[SEP]"), pad = special_token("pad_token", "[PAD]");
  config_.word_piece.unk_id = id_in_vocabulary(kVocabulary, unk, "unk_token");
  config_.cls_id = id_in_vocabulary(kVocabulary, cls, "cls_token");
  config_.sep_id = id_in_vocabulary(kVocabulary, sep, "sep_token");
  config_.pad_id = id_in_vocabulary(kVocabulary, pad, "pad_token");
  try {
    const Json decoder = settings_.value("added_tokens_decoder", Json::object());
    for (const auto& [id, token] : decoder.items()) {
      Json numbered = token;
      numbered["id"] = std::stoll(id);
      add_token(kSettings, numbered);
    }
    for (const std::string& token : {unk, sep, pad, cls, special_token("mask_token", "[MASK]")}) {
      add_token(kSettings, {{"content", token}, {"special", true}});
    }
    for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
      const Json tokens = settings_.value(key, special_tokens_.value(key, Json::array()));
      for (const Json& token : tokens) {
        add_token(kSettings, token.is_string() ? Json{{"content", token}, {"special", true}} : token);
      }
    }
  } catch (const std::exception& error) {
    if (dynamic_cast<const Error*>(&error) != nullptr) throw;
    refuse(kSettings, std::string("its added tokens are of another form than expected: ") + error.what());
  }
  if (!has(kAddedTokens)) return;
  const Json added_tokens = json_of(kAddedTokens);
  for (const auto& [token, id] : added_tokens.items()) {
    const bool known = std::any_of(config_.added_tokens.begin(), config_.added_tokens.end(),
                                   [&, &name = token](const AddedToken& added) { return added.content == name; });
    if (!known) {
      refuse(kAddedTokens,
             quote(token) + " is looked for in the normalised text, which is not known here; put it into vocab.txt");
    }
  }
}

// ---- both ----

void Reader::number_vocabulary() {
  config_.vocabulary.assign(ids_.begin(), ids_.end());
  std::sort(config_.vocabulary.begin(), config_.vocabulary.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto twice = std::adjacent_find(config_.vocabulary.begin(), config_.vocabulary.end(),
                                        [](const auto& a, const auto& b) { return a.second == b.second; });
  if (twice != config_.vocabulary.end()) {
    refuse(kTokenizer, quote(twice->first) + " and " + quote(std::next(twice)->first) + " have the same id " +
                           std::to_string(twice->second));
  }
}

void Reader::add_token(const char* file, const Json& token) {
  const auto content = token.at("content").get<std::string>();
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
    if (token.value(flag, false)) {
      refuse(file, "the added token " + quote(content) + " has " + quote(flag) + ", which is not known here");
    }
  }
  const bool known = std::any_of(config_.added_tokens.begin(), config_.added_tokens.end(),
                                 [&](const AddedToken& added) { return added.content == content; });
  if (content.empty() || known) return;
  if (content.find_first_of(" \t\n\r") != std::string::npos) {
    refuse(file, "the added token " + quote(content) + " holds white space, which is not known here");
  }
  // A token that the vocabulary lacks gets the next id after all others.
  int32_t id = static_cast<int32_t>(ids_.size());
  for (const AddedToken& added : config_.added_tokens) id = std::max(id, added.id + 1);
  if (const auto found = ids_.find(content); found != ids_.end()) id = found->second;
  if (token.contains("id") && token.at("id") != id) {
    refuse(file, "the added token " + quote(content) + " has the id " + token.at("id").dump() +
                     ", but would be numbered " + std::to_string(id));
  }
  config_.added_tokens.push_back({.content = content, .id = id, .special = token.value("special", false)});
}

int32_t Reader::id_in_vocabulary(const char* file, const std::string& token, const char* role) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) {
    refuse(file, "the vocabulary of " + std::to_string(ids_.size()) + " tokens lacks " + quote(token) + ", its " +
                     role + "; is this the model's own file, and does tokenizer_config.json name the token otherwise?");
  }
  return found->second;
}

// Copies the files, and makes tokenizer_config.json and tokenizer.json state what was used where they say otherwise.
void Reader::make_files() {
  const NormalizerOptions& normalizer = config_.normalizer;
  const auto write = [&](const char* file, const Json& json) {
    const auto found = std::find_if(config_.files.begin(), config_.files.end(),
                                    [&](const auto& entry) { return entry.first == file; });
    auto& entry = found == config_.files.end() ? config_.files.emplace_back(file, "") : *found;
    entry.second = json.dump(2) + '\n';
  };
  const bool lowercase = setting<bool>("do_lower_case").value_or(true);
  const bool stated = lowercase == normalizer.lowercase &&
                      setting<bool>("strip_accents").value_or(lowercase) == normalizer.strip_accents &&
                      setting<bool>("tokenize_chinese_chars").value_or(true) == normalizer.handle_chinese_chars;
  if (!stated || settings_.empty()) {
    Json settings = settings_;
    settings["do_lower_case"] = normalizer.lowercase;
    settings["strip_accents"] = normalizer.strip_accents;
    settings["tokenize_chinese_chars"] = normalizer.handle_chinese_chars;
    // BertTokenizer rebuilds its parts with these settings alone; the other class takes tokenizer.json as it is.
    const WordPiece::Options& word_piece = config_.word_piece;
    const bool usual = normalizer.clean_text && word_piece.continuing_subword_prefix == "##" &&
                       word_piece.max_input_chars_per_word == 100;
    if (!settings.contains("tokenizer_class"))
      settings["tokenizer_class"] = usual ? "BertTokenizer" : "PreTrainedTokenizerFast";
    const auto name = [&](int32_t id) {
      return std::find_if(config_.vocabulary.begin(), config_.vocabulary.end(),
                          [&](const auto& entry) { return entry.second == id; })
          ->first;
    };
    if (!settings.contains("unk_token")) settings["unk_token"] = name(word_piece.unk_id);
    if (!settings.contains("cls_token")) settings["cls_token"] = name(config_.cls_id);
    if (!settings.contains("sep_token")) settings["sep_token"] = name(config_.sep_id);
    if (!settings.contains("pad_token") && config_.pad_id >= 0) settings["pad_token"] = name(config_.pad_id);
    write(kSettings, settings);
  }
  const auto whole = std::find_if(config_.files.begin(), config_.files.end(),
                                  [](const auto& entry) { return entry.first == kTokenizer; });
  if (whole != config_.files.end() && (options_.lowercase || options_.strip_accents)) {
    Json json = Json::parse(whole->second);
    Json& part = json["normalizer"];
    if (part.is_null()) part = {{"type", "BertNormalizer"}, {"clean_text", false}, {"handle_chinese_chars", false}};
    part["strip_accents"] = normalizer.strip_accents;
    part["lowercase"] = normalizer.lowercase;
    write(kTokenizer, json);
  }
}

}  // namespace

Config read_config(const path& model_dir, const LoadOptions& options) { return Reader(model_dir, options).read(); }

void write_files(const std::vector<std::pair<std::string, std::string>>& files, const path& model_dir) {
  for (const auto& [name, bytes] : files) {
    const std::string final_name = (model_dir / name).string(), temporary = final_name + ".tmp";
    const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written = file >= 0;
    for (size_t at = 0; written && at < bytes.size();) {
      const ssize_t count = ::write(file, bytes.data() + at, bytes.size() - at);
      if (count < 0 && errno == EINTR) continue;
      written = count > 0;
      if (written) at += static_cast<size_t>(count);
    }
    written = written && fsync(file) == 0;
    const int reason = errno;
    if (file >= 0) close(file);
    if (!written || std::rename(temporary.c_str(), final_name.c_str()) != 0) {
      const int why = written ? errno : reason;
      unlink(temporary.c_str());
      throw Error(final_name + ": cannot be written (" + std::strerror(why) + ")");
    }
  }
}

}  // namespace aid::tokenizer
