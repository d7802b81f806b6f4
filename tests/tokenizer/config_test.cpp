#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model_dir.h"
#include "tokenizer/error.h"
#include "tokenizer/tokenizer.h"

namespace aid::tokenizer {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nel\nni\n##ño\n";

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.encode_ids(text, ids);
  return ids;
}

std::string refusal(const ModelDir& dir, const LoadOptions& options = {}) {
  try {
    Tokenizer::load(dir.path(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

Json tokenizer_json() { return Json::parse(read_whole(golden("tokenizer.json"))); }

TEST(TokenizerConfig, VocabularyAlone) {
  ModelDir dir;
  const auto tokenizer = Tokenizer::load(dir.write("vocab.txt", kVocabulary).path(), {.strip_accents = false});
  EXPECT_THAT(ids_of(tokenizer, "El NIÑO [MASK] x"), ElementsAre(5, 6, 7, 4, 1));
  EXPECT_EQ(tokenizer.vocab_size(), 8u);
  EXPECT_EQ(tokenizer.id_to_token(7), "##ño");
  EXPECT_EQ(tokenizer.pad_id(), 0);
  EXPECT_EQ(tokenizer.model_max_length(), kNoLimit);
  EXPECT_THROW(tokenizer.id_to_token(8), Error);
}

TEST(TokenizerConfig, SettingsOfTheModel) {
  ModelDir dir;
  dir.write("vocab.txt", "<pad>\n<unk>\n<s>\n</s>\nel\nEl\nnino\nniño\n");
  dir.write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 512, "unk_token": "<unk>",
    "cls_token": {"content": "<s>", "lstrip": false}, "sep_token": "</s>"})");
  dir.write("special_tokens_map.json", R"({"pad_token": "<pad>"})");
  const auto tokenizer = Tokenizer::load(dir.path());
  EXPECT_THAT(ids_of(tokenizer, "El el niño </s>[MASK]"),
              ElementsAre(5, 4, 7, 3, 8));  // [MASK] is appended, as in transformers
  EXPECT_EQ(tokenizer.cls_id(), 2);
  EXPECT_EQ(tokenizer.model_max_length(), 512u);
  EXPECT_THAT(ids_of(Tokenizer::load(dir.path(), {.strip_accents = true}), "niño"), ElementsAre(6));
  EXPECT_THAT(ids_of(Tokenizer::load(dir.path(), {.special_tokens_in_text = false}), "</s>"), ElementsAre(1, 1, 1, 1));
}

// `tokenizers` trims line ends and white space, counts empty lines, and lets the last of duplicates win.
TEST(TokenizerConfig, VocabularyLineEnds) {
  ModelDir dir;
  dir.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nel \r\n\r\nel\u00a0\r\nni");
  const auto tokenizer = Tokenizer::load(dir.path());
  EXPECT_THAT(ids_of(tokenizer, "el ni"), ElementsAre(7, 8));
  EXPECT_EQ(tokenizer.id_to_token(5), "");
}

TEST(TokenizerConfig, RefusesBrokenVocabularies) {
  ModelDir dir;
  EXPECT_THAT(refusal(dir), HasSubstr("neither tokenizer.json nor vocab.txt"));
  EXPECT_THAT(refusal(dir.write("vocab.txt", "")), HasSubstr("vocab.txt: is empty"));
  EXPECT_THAT(refusal(dir.write("vocab.txt", "[UNK]\nni\xF1o\n")), HasSubstr("vocab.txt: line 2 is not UTF-8"));
  EXPECT_THAT(refusal(dir.write("vocab.txt", "el\nla\n")), AllOf(HasSubstr("lacks \"[UNK]\""), HasSubstr("unk_token")));
  dir.write("vocab.txt", kVocabulary);
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", "{")), HasSubstr("tokenizer_config.json: is not JSON"));
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", "[]")), HasSubstr("holds no JSON object"));
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", R"({"do_lower_case": "yes"})")),
              HasSubstr("\"do_lower_case\" is \"yes\""));
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", R"({"cls_token": "<s>"})")), HasSubstr("lacks \"<s>\""));
  dir.write("tokenizer_config.json", "{}");
  EXPECT_THAT(refusal(dir.write("added_tokens.json", R"({"niña": 8})")), HasSubstr("added_tokens.json: \"niña\""));
}

TEST(TokenizerConfig, RefusesWhatItCannotReproduce) {
  struct Change {
    const char* where;
    Json value;
    const char* message;  // names the part
  };
  const Change changes[] = {
      {"/model/type", "BPE", "the model is \"BPE\"; only WordPiece is known"},
      {"/model/unk_token", "<unk>", "lacks \"<unk>\", its unk_token"},
      {"/model/vocab/el", -1, "the id of \"el\" is -1"},
      {"/model/vocab/el", 3, "\"el\" have the same id 3"},
      {"/normalizer/type", "NFKC", "the normalizer is \"NFKC\"; only BertNormalizer is known"},
      {"/pre_tokenizer/type", "Whitespace", "the pre_tokenizer is \"Whitespace\"; only BertPreTokenizer is known"},
      {"/post_processor/type", "RobertaProcessing", "the post_processor is \"RobertaProcessing\""},
      {"/post_processor/pair/3/Sequence/type_id", 0, "the post_processor's templates are "},
      {"/post_processor/special_tokens/[SEP]/ids", {3, 4}, "the post_processor's \"[SEP]\" is not one id but [3,4]"},
      {"/added_tokens/0/normalized", true, "the added token \"[MASK]\" has \"normalized\""},
      {"/added_tokens/0/lstrip", true, "the added token \"[MASK]\" has \"lstrip\""},
      {"/added_tokens/0/single_word", true, "the added token \"[MASK]\" has \"single_word\""},
      {"/added_tokens/0/content", "[MASK] x", "the added token \"[MASK] x\" holds white space"},
      {"/added_tokens/0/id", 17, "the added token \"[MASK]\" has the id 17, but would be numbered 0"},
      {"/model/vocab", 5, "the vocabulary is 5; expected an object"},
  };
  ModelDir dir;
  for (const auto& [where, value, message] : changes) {
    Json json = tokenizer_json();
    json[Json::json_pointer(where)] = value;
    EXPECT_THAT(refusal(dir.write("tokenizer.json", json.dump())),
                AllOf(HasSubstr("tokenizer.json: "), HasSubstr(message)))
        << where;
  }
}

TEST(TokenizerConfig, OldPostProcessorAndNullNormalizer) {
  ModelDir dir;
  Json json = tokenizer_json();
  json["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"[CLS]", 3}}, {"sep", {"[SEP]", 4}}};
  json["model"].erase("type");
  json["normalizer"] = nullptr;
  const auto tokenizer = Tokenizer::load(dir.write("tokenizer.json", json.dump()).path());
  EXPECT_EQ(tokenizer.cls_id(), 3);
  EXPECT_NE(ids_of(tokenizer, "EL"), ids_of(tokenizer, "el"));
}

TEST(TokenizerConfig, RefusesFilesThatDisagree) {
  ModelDir dir;
  dir.write("tokenizer.json", tokenizer_json().dump());  // lowercase, strip_accents false
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", R"({"do_lower_case": false})")),
              HasSubstr("\"do_lower_case\" is false"));
  EXPECT_THAT(refusal(dir.write("tokenizer_config.json", R"({"strip_accents": true})")),
              HasSubstr("\"strip_accents\" is true"));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "do_lower_case": true})");
  EXPECT_THAT(refusal(dir), HasSubstr("\"strip_accents\" is true by default"));
  EXPECT_THAT(refusal(dir, {.strip_accents = true}), HasSubstr("nothing was refused"));  // decided
}

TEST(TokenizerConfig, SavesFilesUnchanged) {
  ModelDir dir, out("out");
  const std::string settings = R"({ "do_lower_case":true,"strip_accents":false , "model_max_length": 512})";
  dir.write("vocab.txt", kVocabulary).write("tokenizer_config.json", settings).write("special_tokens_map.json", "{}");
  Tokenizer::load(dir.path()).save(out.path());
  EXPECT_EQ(read_whole(out.path() / "vocab.txt"), kVocabulary);
  EXPECT_EQ(read_whole(out.path() / "tokenizer_config.json"), settings);
  EXPECT_EQ(read_whole(out.path() / "special_tokens_map.json"), "{}");
}

TEST(TokenizerConfig, SavesWhatWasDecided) {
  ModelDir dir;
  dir.write("vocab.txt", kVocabulary);
  Tokenizer::load(dir.path(), {.lowercase = false, .strip_accents = true}).save(dir.path());
  const Json settings = Json::parse(read_whole(dir.path() / "tokenizer_config.json"));
  EXPECT_EQ(settings["do_lower_case"], false);
  EXPECT_EQ(settings["strip_accents"], true);
  EXPECT_EQ(settings["cls_token"], "[CLS]");
  EXPECT_EQ(settings["tokenizer_class"], "BertTokenizer");
  EXPECT_TRUE(Tokenizer::load(dir.path()).normalizer().strip_accents);

  ModelDir& whole = dir.write("tokenizer.json", tokenizer_json().dump()).write("tokenizer_config.json", "{}");
  Tokenizer::load(whole.path(), {.strip_accents = true}).save(whole.path());
  EXPECT_EQ(Json::parse(read_whole(whole.path() / "tokenizer.json"))["normalizer"]["strip_accents"], true);
  EXPECT_TRUE(Tokenizer::load(whole.path()).normalizer().strip_accents);
}

TEST(TokenizerConfig, SaysWhyItCannotWrite) {
  ModelDir dir;
  const auto tokenizer = Tokenizer::load(dir.write("vocab.txt", kVocabulary).path());
  try {
    tokenizer.save(dir.path() / "missing");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing/vocab.txt: cannot be written (No such file"));
  }
}

}  // namespace
}  // namespace aid::tokenizer
