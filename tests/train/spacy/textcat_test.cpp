#include "train/spacy/pipeline.h"

#include <gtest/gtest.h>

#include "tests/train/spacy/golden_pipeline.h"
#include "tokenizer/error.h"

namespace aid::train::test {
namespace {

namespace fs = std::filesystem;
using io::test::contains;

TEST(SpacyTextCat, ScoresAreSpacys) {
  const TextCatGolden& golden = TextCatGolden::get();
  ASSERT_EQ(golden.scores.size(), 24u);
  for (const auto& [name, scores] : golden.scores) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    TextCatRun run(pipeline.path(), {.threads = 2});
    expect_scores(run.scores(golden.texts), scores, golden.texts);
  }
}

// Documents do not see each other, whatever stands around them and however words are shared.
TEST(SpacyTextCat, AloneAsInABatch) {
  const std::vector<std::string>& texts = TextCatGolden::get().texts;
  for (const char* name : {"ensemble_v2", "reduce_all_multi", "listener_vectors_multi", "characters", "bow_v2"}) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    TextCatRun run(pipeline.path(), {.threads = 2});
    const std::vector<float> together = run.scores(texts);
    const size_t labels = run.pipeline().labels.size();
    for (size_t t = 0; t < texts.size(); ++t) {
      const std::vector<float> alone = run.scores({texts[t]});
      for (size_t label = 0; label < labels; ++label) {
        EXPECT_EQ(alone[label], together[t * labels + label]) << texts[t];
      }
    }
  }
}

// spaCy gives zeros, or fails; these are the scores that it gives such a document in a batch with others.
TEST(SpacyTextCat, DocumentsWithoutTokens) {
  for (const auto& [name, expected] : TextCatGolden::get().scores) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    TextCatRun run(pipeline.path(), {.threads = 2});
    expect_scores(run.scores({"", ""}), {expected.front(), expected.front()}, {"", ""});
  }
}

TEST(SpacyTextCat, LabelsAndArchitecture) {
  const GoldenPipeline pipeline("listener_vectors_multi");
  const TextCatPipeline opened = open_textcat_pipeline(pipeline.path(), Device::cpu);
  EXPECT_EQ(opened.labels, (std::vector<std::string>{"ACTA", "informe", "ñandú"}));
  EXPECT_EQ(opened.architecture.name, "spacy.TextCatEnsemble.v2");
  EXPECT_EQ(opened.architecture.tok2vec_component->name, "palabras");
  EXPECT_EQ(opened.architecture.ngram_size, 1);
  EXPECT_FALSE(opened.architecture.config.exclusive);
  EXPECT_EQ(opened.architecture.config.tok2vec->vector_width, 7);
  EXPECT_EQ(opened.files.size(), 2u);
}

// Of spaCy 3.7.5, some of them trained, one of the default factory's size.
TEST(SharedSpacyTextCat, ScoresAreSpacys) {
  size_t pipelines = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(AID_SHARED_DIR) / "golden/spacy/pipelines")) {
    SCOPED_TRACE(entry.path().filename().string());
    TextCatRun run(entry.path() / "model-last", {.threads = 2});
    const auto golden = nlohmann::json::parse(io::read_text(entry.path() / "golden.json"));
    std::vector<std::string> texts;
    std::vector<std::vector<double>> scores;
    for (const auto& row : golden["pred"]) {
      texts.push_back(row["text"]);
      scores.emplace_back();
      for (const std::string& label : run.pipeline().labels) scores.back().push_back(row["cats"].at(label));
    }
    expect_scores(run.scores(texts), scores, texts);
    ++pipelines;
  }
  EXPECT_GE(pipelines, 7u);
}

std::string refusal(const GoldenPipeline& pipeline) {
  try {
    open_textcat_pipeline(pipeline.path(), Device::cpu);
  } catch (const io::Error& error) {
    return error.what();
  } catch (const tokenizer::Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

struct Change {
  const char *file, *from, *to, *expected;
};

void expect_refused(const std::string& name, const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    const GoldenPipeline pipeline(name);
    pipeline.replace(change.file, change.from, change.to);
    const std::string message = refusal(pipeline);
    EXPECT_TRUE(contains(message, change.expected));
    EXPECT_TRUE(contains(message, pipeline.path().string()));
  }
}

TEST(SpacyTextCat, ArchitecturesThatAreNotReproduced) {
  expect_refused(
      "ensemble_v2",
      {{"config.cfg", "spacy.TextCatEnsemble.v2", "spacy.TextCatEnsemble.v1",
        "[components.clases.model] @architectures is \"spacy.TextCatEnsemble.v1\"; expected one that aid knows"},
       {"config.cfg", "spacy.TextCatBOW.v3", "mine.Bow.v1",
        "[components.clases.model.linear_model] @architectures is \"mine.Bow.v1\""},
       {"config.cfg", "spacy.Tok2Vec.v2", "spacy-transformers.TransformerListener.v1",
        "[components.clases.model.tok2vec] @architectures is \"spacy-transformers.TransformerListener.v1\""},
       {"config.cfg", "spacy.MaxoutWindowEncoder.v2", "spacy.MishWindowEncoder.v2",
        "[components.clases.model.tok2vec.encode] @architectures is \"spacy.MishWindowEncoder.v2\""},
       {"config.cfg", "spacy.MultiHashEmbed.v2", "spacy.CharacterEmbed.v1",
        "[components.clases.model.tok2vec.embed] @architectures is \"spacy.CharacterEmbed.v1\""},
       {"config.cfg", "\"NORM\"", "\"ID\"", "attrs is [\"ID\",\"LOWER\",\"PREFIX\",\"SUFFIX\",\"SHAPE\"]; expected"},
       {"config.cfg", "include_static_vectors = false", "include_static_vectors = true",
        "include_static_vectors is true; expected false: the pipeline's vocab/vectors holds none"},
       {"config.cfg", "depth = 2", "depth = 0", "depth is 0; expected a whole number from 1"},
       {"config.cfg", "factory = \"textcat\"", "factory = \"mine\"",
        "[components.clases] is of the factory \"mine\" and runs before any text categorizer"},
       {"config.cfg", "factory = \"textcat\"", "factory = \"ner\"", "pipeline has no component of the factory textcat"},
       {"config.cfg", "disabled = []", "disabled = [\"clases\"]", "pipeline has no component of the factory textcat"}});
  expect_refused(
      "listener",
      {{"config.cfg", "upstream = \"*\"", "upstream = \"otras\"",
        "[components.clases.model.tok2vec] upstream is \"otras\"; expected the tok2vec before clases"},
       {"config.cfg", "\"palabras\", \"clases\"", "\"clases\", \"palabras\"",
        "listens to a component of the factory tok2vec, and there is none before clases"},
       {"config.cfg", "factory = \"tok2vec\"", "factory = \"textcat\"", "two text categorizers, palabras and clases"},
       {"config.cfg", "${components.palabras.model.encode.width}", "7", "width is 7; expected that of palabras, 6"}});
  expect_refused("vectors",
                 {{"vocab/vectors.cfg", "default", "floret", "vectors of the mode \"floret\" are not reproduced"},
                  {"vocab/vectors", "'<f4'", "'<f8'", "expected a table of <f4"},
                  {"vocab/vectors", "(8, 5)", "(9, 5)", "for a table of 9 x 5 numbers of 4 bytes"},
                  {"config.cfg", "spacy.Vectors.v1", "mine", "vectors is {\"@vectors\":\"mine\"}"}});
}

TEST(SpacyTextCat, FilesThatContradictTheConfiguration) {
  // A file of another shape is told whole: each parameter, each attribute.
  {
    const GoldenPipeline pipeline("ensemble_v2");
    pipeline.replace("config.cfg", "rows = [20, 13, 7, 9, 5]", "rows = [20, 14, 7, 9, 6]");
    pipeline.replace("config.cfg", "\"SUFFIX\", \"SHAPE\"", "\"SHAPE\", \"SUFFIX\"");
    pipeline.replace("clases/cfg", "\"ACTA\",", "\"ACTA\",\"otra\",");
    const std::string message = refusal(pipeline);
    for (const char* problem :
         {"does not hold the model that config.cfg describes", "attribute: node 27 extract_features, columns is",
          "shape: node 49 hashembed, E is [13, 6], by config.cfg [14, 6]",
          "shape: node 55 hashembed, E is [5, 6], by config.cfg [6, 6]",
          "shape: node 2 softmax, W is [3, 9], by config.cfg [4, 10]", "shape: node 20 sparse_linear, b is [3]"}) {
      EXPECT_TRUE(contains(message, problem));
    }
  }
  const std::string w = "\xa1W", v = "\xa1V";
  const GoldenPipeline renamed("reduce_mean");
  renamed.replace("clases/model", w, v);
  const std::string message = refusal(renamed);
  EXPECT_TRUE(contains(message, "missing: node 5 softmax, W"));
  EXPECT_TRUE(contains(message, "spare: node 5 softmax, V"));
  expect_refused(
      "bow_v3", {{"config.cfg", "ngram_size = 1", "ngram_size = 2", "extract_ngrams, ngram_size is 1, by config.cfg 2"},
                 {"clases/model", "\xa3<f4", "\xa3<i4", "type: node 7 sparse_linear, W is <i4, expected <f4"}});
}

}  // namespace
}  // namespace aid::train::test
