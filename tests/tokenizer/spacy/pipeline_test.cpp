#include <gmock/gmock.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "tests/tokenizer/model_dir.h"
#include "tokenizer/error.h"
#include "tokenizer/spacy/tokenizer.h"

namespace aid::tokenizer::spacy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// MessagePack of short things.
std::string str(std::string_view text) {
  EXPECT_LT(text.size(), 256u);
  return std::string("\xD9") + static_cast<char>(text.size()) + std::string(text);
}
std::string map(const std::vector<std::string>& keys_and_values) {
  std::string bytes(1, static_cast<char>(0x80 + keys_and_values.size() / 2));
  for (const std::string& value : keys_and_values) bytes += value;
  return bytes;
}
std::string array(const std::vector<std::string>& values) {
  std::string bytes(1, static_cast<char>(0x90 + values.size()));
  for (const std::string& value : values) bytes += value;
  return bytes;
}
const std::string kOrth = "\x41", kNorm = "\x43", kNil = "\xC0", kFalse = "\xC2";

std::string config(const std::string& more = "", const std::string& language = "\"es\"") {
  return "[nlp]\nlang = " + language + "\n" + more;
}
const std::string kPlain = "tokenizer = {\"@tokenizers\":\"spacy.Tokenizer.v1\"}\n";

struct Pipeline : ModelDir {
  explicit Pipeline(const std::string& tokenizer, const std::string& settings = config(kPlain)) {
    write("config.cfg", settings).write("tokenizer", tokenizer);
  }
};

std::vector<std::string> words(Tokenizer& tokenizer, const std::string& ascii) {
  std::vector<Token> tokens;
  tokenizer.tokenize(ascii, tokens);
  std::vector<std::string> words;
  for (const Token& token : tokens) {
    words.push_back(ascii.substr(token.offset.begin, token.offset.end - token.offset.begin));
    if (token.space) words.back() += '_';
  }
  return words;
}

std::string refusal(const std::string& tokenizer, const std::string& settings = config(kPlain)) {
  const Pipeline dir(tokenizer, settings);
  try {
    Tokenizer::load(dir.path());
  } catch (const Error& error) {
    std::string message = error.what();
    EXPECT_THAT(message, HasSubstr(dir.path().string()));
    return message;
  }
  return "nothing was refused";
}

TEST(SpacyPipeline, NoRulesSplitAtSpaces) {
  const Pipeline dir(map({str("prefix_search"), kNil}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  EXPECT_THAT(words(tokenizer, " (a)  b\n"), ElementsAre(" ", "(a)_", " ", "b", "\n"));
  EXPECT_THAT(words(tokenizer, ""), ElementsAre());
}

TEST(SpacyPipeline, RulesAndExceptions) {
  const std::string exceptions =
      map({str("(a"), array({map({kOrth, str("(")}), map({kOrth, str("a"), kNorm, str("z")})}), str("b)"),
           array({map({str("ORTH"), str("b)")})})});
  const Pipeline dir(
      map({str("suffix_search"), str("\\)$"), str("infix_finditer"), str("[-~]"), str("exceptions"), exceptions,
           str("faster_heuristics"), kFalse, str("unknown"), array({kNil, map({kNil, kNil})})}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  EXPECT_THAT(words(tokenizer, "(a (a) b) b-c) ~d"),
              ElementsAre("(", "a_", "(", "a", ")_", "b)_", "b", "-", "c", ")_", "~d"));
  std::vector<Token> tokens;
  tokenizer.tokenize("(a a", tokens);
  EXPECT_EQ(tokens[1].lexeme.norm, string_id("z"));
  EXPECT_EQ(tokens[1].lexeme.orth, tokens[2].lexeme.orth);
  EXPECT_EQ(tokens[2].lexeme.norm, string_id("a"));
}

TEST(SpacyPipeline, NormsOfTheVocabulary) {
  ModelDir dir;
  std::filesystem::create_directory(dir.path() / "vocab");
  std::string id = "\xCF";
  for (int shift = 56; shift >= 0; shift -= 8) id += static_cast<char>(string_id("casa") >> shift & 0xFF);
  dir.write("config.cfg", config(kPlain)).write("tokenizer", map({}));
  dir.write("vocab/lookups.bin", map({str("other"), map({}), str("lexeme_norm"), map({id, str("hogar")})}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  std::vector<Token> tokens;
  tokenizer.tokenize("casa Casa", tokens);
  EXPECT_EQ(tokens[0].lexeme.norm, string_id("hogar"));
  EXPECT_EQ(tokens[1].lexeme.norm, string_id("casa"));
  dir.write("vocab/lookups.bin", map({str("lexeme_norm"), map({str("casa"), str("hogar")})}));
  EXPECT_THROW(Tokenizer::load(dir.path()), Error);
}

TEST(SpacyPipeline, InvalidUtf8IsReplaced) {
  const Pipeline dir(map({}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  std::vector<Token> broken, replaced;
  tokenizer.tokenize("a\xFF\xE2\x82z \xC3", broken);
  tokenizer.tokenize("a\uFFFD\uFFFDz \uFFFD", replaced);
  ASSERT_EQ(broken.size(), 2u);
  ASSERT_EQ(replaced.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(broken[i].lexeme, replaced[i].lexeme);
    EXPECT_EQ(broken[i].offset, replaced[i].offset);
  }
  EXPECT_EQ(broken[1].offset, (Offset{5, 6}));
}

// Of zeros, which take no memory until they are written.
TEST(SpacyPipeline, TextsThatSpacyRefuses) {
  const Pipeline dir(map({}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  constexpr size_t kSize = size_t{1} << 30;
  void* zeros = ::mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(zeros, MAP_FAILED);
  std::vector<Token> tokens;
  try {
    tokenizer.tokenize({static_cast<const char*>(zeros), kSize}, tokens);
    ADD_FAILURE() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a text of 1073741824 code points"));
  }
  ::munmap(zeros, kSize);
}

// More words than are remembered, and copies that start with none.
TEST(SpacyPipeline, ForgettingChangesNothing) {
  const Pipeline dir(map({str("infix_finditer"), str("-")}));
  Tokenizer tokenizer = Tokenizer::load(dir.path());
  std::string text;
  for (int i = 0; i < 140'000; ++i) text += "w" + std::to_string(i) + "-x ";
  const std::vector<std::string> first = words(tokenizer, text);
  EXPECT_EQ(first.size(), 3u * 140'000);
  Tokenizer copy = tokenizer;
  EXPECT_EQ(words(copy, text), first);
  EXPECT_EQ(words(tokenizer, text), first);
}

TEST(SpacyPipeline, RefusesBrokenFiles) {
  EXPECT_THAT(refusal(""), HasSubstr("tokenizer: byte 0: the file ends where a value was expected"));
  EXPECT_THAT(refusal("\xC1"), HasSubstr("0xC1 begins no value"));
  EXPECT_THAT(refusal(array({})), HasSubstr("the tokenizer is an array; expected a map"));
  EXPECT_THAT(refusal(map({}) + kNil), HasSubstr("byte 1: more follows the tokenizer"));
  EXPECT_THAT(refusal("\xDF\xFF\xFF\xFF\xFF"), HasSubstr("a map of 4294967295, but only 0 bytes are left"));
  EXPECT_THAT(refusal(map({str("url_match"), "\xDB\x7F\xFF\xFF\xFF..."})),
              HasSubstr("\"url_match\" is a string of 2147483647, but only 3 bytes are left"));
  EXPECT_THAT(refusal(map({str("x"), "\xDD\x7F\xFF\xFF\xFF"})), HasSubstr("an array goes on past the end of the file"));
  EXPECT_THAT(refusal(map({str("x"), "\xC9\xFF"})), HasSubstr("the file ends within a value"));
  EXPECT_THAT(refusal(map({str("url_match"), "\x05"})), HasSubstr("\"url_match\" is a number; expected a string"));
  EXPECT_THAT(refusal(map({str("url_match"), str("\xFF")})), HasSubstr("\"url_match\" is not UTF-8"));
  EXPECT_THAT(refusal(map({str("faster_heuristics"), "\x01"})), HasSubstr("expected a boolean"));
  const std::string deep(100'000, '\x91');
  EXPECT_THAT(refusal(map({str("x"), deep})), HasSubstr("an array goes on past the end of the file"));
}

TEST(SpacyPipeline, RefusesPatternsAndExceptions) {
  EXPECT_THAT(refusal(map({str("token_match"), str("(?i)a")})),
              AllOf(HasSubstr("byte 14: \"token_match\" cannot be reproduced: at character 1"),
                    HasSubstr("save the pipeline again")));
  EXPECT_THAT(refusal(map({str("prefix_search"), str("(")})), HasSubstr("nothing closes"));
  const auto exception = [](const std::string& value) {
    return refusal(map({str("exceptions"), map({str("ab"), value})}));
  };
  EXPECT_THAT(exception(array({map({kOrth, str("a")})})), HasSubstr("joined are \"a\"; expected the text itself"));
  EXPECT_THAT(exception(array({})), HasSubstr("joined are \"\""));
  EXPECT_THAT(exception(array({map({kNorm, str("a")})})), HasSubstr("a token without ORTH"));
  EXPECT_THAT(exception(array({map({kOrth, str("ab"), "\x49", str("l")})})),
              HasSubstr("has the attribute 73; expected ORTH"));
  EXPECT_THAT(exception(array({map({kOrth, "\x05"})})), HasSubstr("\"ab\", ORTH is a number; expected a string"));
  EXPECT_THAT(exception(kNil), HasSubstr("the exception \"ab\" is nil; expected an array"));
}

TEST(SpacyPipeline, RefusesTokenizersThatTheFilesDoNotState) {
  const std::string rules = map({});
  EXPECT_THAT(refusal(rules, ""), HasSubstr("config.cfg: has no section [nlp]"));
  EXPECT_THAT(refusal(rules, "x = 1\n"), HasSubstr("config.cfg: line 1: neither [section] nor key"));
  EXPECT_THAT(refusal(rules, config()), HasSubstr("line 1: [nlp] tokenizer is null"));
  EXPECT_THAT(refusal(rules, config("tokenizer = {\"@tokenizers\":\"spacy.ja.JapaneseTokenizer\"}\n")),
              AllOf(HasSubstr("[nlp] tokenizer is {\"@tokenizers\":\"spacy.ja.JapaneseTokenizer\"}"),
                    HasSubstr("can be reproduced")));
  EXPECT_THAT(refusal(rules, config("[nlp.tokenizer]\n@tokenizers = \"mine\"\n")),
              HasSubstr("{\"@tokenizers\":\"mine\"}"));
  EXPECT_THAT(refusal(rules, config(kPlain, "\"hi\"")), HasSubstr("[nlp] lang is \"hi\""));
  EXPECT_THAT(refusal(rules, config(kPlain, "${system.lang}")),
              HasSubstr("[nlp] lang stands for ${system.lang}, which is not there"));
  EXPECT_THAT(refusal(rules, config(kPlain, "es")), HasSubstr("[nlp] lang is es; expected JSON"));
  EXPECT_THAT(refusal(rules, config(kPlain + "before_creation = {\"@callbacks\":\"mine\"}\n")),
              HasSubstr("[nlp] before_creation is {\"@callbacks\":\"mine\"}, Python code"));
  EXPECT_THAT(refusal(rules, config(kPlain + "[nlp.after_creation]\n@callbacks = \"mine\"\n")),
              HasSubstr("[nlp] after_creation"));
  ModelDir empty;
  EXPECT_THROW(Tokenizer::load(empty.path()), Error);
}

TEST(SpacyPipeline, ConfigsAsPythonReadsThem) {
  const Pipeline dir(map({}),
                     "# a comment\n[nlp]\r\n  \nlang: \"es\"\n; another\ntokenizer =\n  {\"@tokenizers\":\n   "
                     "\"spacy.Tokenizer.v1\"}\n"
                     "after_creation = null\n[nlp.other]\nx\t=\t1\n");
  Tokenizer::load(dir.path());
  const Pipeline block(map({}), "[nlp]\nlang = \"es\"\n\n[nlp.tokenizer]\n@tokenizers = \"spacy.Tokenizer.v1\"\n");
  Tokenizer::load(block.path());
}

TEST(SpacyLexeme, LowerCaseIsPythons) {
  for (const auto& [text, lowered] : std::vector<std::pair<std::string, std::string>>{
           {"ÁÑ", "áñ"}, {"İ", "i\u0307"}, {"ΌΣΟΣ", "όσος"}, {"Σ", "σ"}, {"ΑΣ\u0301", "ας\u0301"}, {"1Σ", "1σ"}}) {
    EXPECT_EQ(make_lexeme(text, {}).lower, string_id(lowered)) << text;
  }
}

TEST(SpacyLexeme, ShapesOfLongWords) {
  EXPECT_EQ(make_lexeme(std::string(99, 'a'), {}).shape, string_id("xxxx"));
  EXPECT_EQ(make_lexeme(std::string(100, 'a'), {}).shape, string_id("LONG"));
  EXPECT_EQ(make_lexeme("Ab12²..½", {}).shape, string_id("Xxddd..½"));
}

}  // namespace
}  // namespace aid::tokenizer::spacy
