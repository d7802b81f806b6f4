#include "tokenizer/spacy/config_file.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tokenizer/error.h"

namespace aid::tokenizer::spacy {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string refusal(const ConfigFile& config, const std::string& section, const std::string& key) {
  try {
    config.value(section, key);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(SpacyConfigFile, ValuesAndBlocks) {
  const ConfigFile config(
      "[a]\nn = 1\n[a.b]\n@kind = \"x\"\nlist = [1,\n  2]\n[a.b.c]\nd = null\n[a.bc]\nother = 1\n[empty]\n", "c.cfg");
  EXPECT_EQ(config.value("a", "n"), 1);
  EXPECT_EQ(config.value("a", "b"), json::parse(R"({"@kind":"x","list":[1,2],"c":{"d":null}})"));
  EXPECT_EQ(config.value("a.b", "c"), json::parse(R"({"d":null})"));
  EXPECT_TRUE(config.value("a", "missing").is_null());
  EXPECT_TRUE(config.value("missing", "n").is_null());
  EXPECT_TRUE(config.has("empty"));
  EXPECT_FALSE(config.has("a.b.c.d"));
}

TEST(SpacyConfigFile, Variables) {
  const ConfigFile config(
      "[x]\nwidth = 96\nname = \"ñ \\\" q\"\nnothing = null\nblock = ${y}\n"
      "[y]\na = ${x.width}\nb = \"${x.name}-${x.width}-$${x}\"\nc = [${x:width},{\"n\":${y.a}}]\nd = ${x.nothing}\n"
      "e = ${x.y.z}\n[y.f]\ng = true\n[x.y]\nz = \"deep\"\n"
      "[z]\nself = ${z.self}\nto = ${z.back}\nback = [${z.to}]\nnowhere = ${z.none}\nbroken = {\n",
      "c.cfg");
  EXPECT_EQ(config.value("y", "a"), 96);
  EXPECT_EQ(config.value("y", "b"), "ñ \" q-96-${x}");
  EXPECT_EQ(config.value("y", "c"), json::parse(R"([96,{"n":96}])"));
  EXPECT_TRUE(config.value("y", "d").is_null());
  EXPECT_EQ(config.value("y", "e"), "deep");
  EXPECT_THAT(refusal(config, "x", "block"), HasSubstr("c.cfg: line 1: [x] block stands for ${y}, which is not there"));
  EXPECT_THAT(refusal(config, "z", "self"), HasSubstr("[z] self stands for ${z.self}, which leads in a circle"));
  EXPECT_THAT(refusal(config, "z", "to"), HasSubstr("leads in a circle"));
  EXPECT_THAT(refusal(config, "z", "nowhere"), HasSubstr("[z] nowhere stands for ${z.none}, which is not there"));
  EXPECT_THAT(refusal(config, "z", "broken"), HasSubstr("[z] broken is {; expected JSON"));
}

}  // namespace
}  // namespace aid::tokenizer::spacy
