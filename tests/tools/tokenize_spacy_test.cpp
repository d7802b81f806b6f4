#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/program.h"
#include "tokenizer/spacy/lexeme.h"

namespace aid::tools {
namespace {

using nlohmann::json;
using test::contains;
using test::Outcome;
using test::put;
using test::quoted;
using test::run_aid;
using test::TemporaryFolder;

const std::filesystem::path kPipeline = AID_SOURCE_DIR "/tests/golden/spacy/es";

TEST(TokenizeSpacy, TokensOffsetsSpacesAndIds) {
  const TemporaryFolder folder;
  put(folder / "in", "El Sr. Núñez,\n\n\"ñ\"  \xFF\n");
  const Outcome run =
      run_aid("tokenize " + quoted(kPipeline) + " " + quoted(folder / "in") + " --attributes SHAPE,NORM");
  EXPECT_EQ(run.status, 0) << run.err;
  std::istringstream lines(run.out);
  std::vector<json> found;
  for (std::string line; std::getline(lines, line);) found.push_back(json::parse(line));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0]["tokens"], (json{"El", "Sr.", "Núñez", ","}));
  EXPECT_EQ(found[0]["offsets"], (json{{0, 2}, {3, 6}, {7, 12}, {12, 13}}));
  EXPECT_EQ(found[0]["spaces"], (json{true, true, false, false}));
  std::vector<uint64_t> shapes, norms;
  for (const char* shape : {"Xx", "Xx.", "Xxxxx", ","}) shapes.push_back(tokenizer::spacy::string_id(shape));
  for (const char* norm : {"el", "sr.", "núñez", ","}) norms.push_back(tokenizer::spacy::string_id(norm));
  EXPECT_EQ(found[0]["SHAPE"], json(shapes));
  EXPECT_EQ(found[0]["NORM"], json(norms));
  EXPECT_EQ(found[0].size(), 5u);  // no other attributes
  EXPECT_EQ(found[1], json::parse(R"({"tokens":[],"offsets":[],"spaces":[],"NORM":[],"SHAPE":[]})"));
  EXPECT_EQ(found[2]["tokens"], (json{"\"", "ñ", "\"", " ", "\uFFFD"}));
  EXPECT_EQ(found[2]["spaces"], (json{false, false, true, false, false}));
}

TEST(TokenizeSpacy, SettingsOfTheOtherTokenizerAreRefused) {
  for (const char* option : {"--nfc", "--strip-accents on", "--max-length 9", "--special-tokens-in-text"}) {
    const Outcome run = run_aid("tokenize " + quoted(kPipeline) + " " + option + " </dev/null");
    EXPECT_EQ(run.status, 2) << option;
    EXPECT_TRUE(contains(run.err, "is a spaCy pipeline")) << run.err;
  }
  const Outcome run = run_aid("tokenize " + quoted(test::kModel) + " --attributes NORM </dev/null");
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "--attributes: " + test::kModel.string() + " is no spaCy pipeline")) << run.err;
}

TEST(TokenizeSpacy, APipelineThatCannotBeReadIsTold) {
  const TemporaryFolder folder;
  put(folder / "config.cfg", "[nlp]\nlang = \"es\"\ntokenizer = {\"@tokenizers\":\"spacy.Tokenizer.v1\"}\n");
  const Outcome run = run_aid("tokenize " + quoted(folder.path()) + " </dev/null");
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, (folder / "tokenizer").string() + ": cannot be read (No such file")) << run.err;
}

}  // namespace
}  // namespace aid::tools
