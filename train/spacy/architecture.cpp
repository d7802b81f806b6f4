#include "train/spacy/architecture.h"

#include <bit>
#include <set>

#include "train/spacy/attributes.h"
#include "train/spacy/tok2vec_architecture.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;
using tokenizer::spacy::ConfigFile;
using Pooling = nn::TextCatConfig::Pooling;

constexpr int64_t kOldLength = int64_t{1} << 18;  // of bags before TextCatBOW.v3

constexpr const char* kKnown =
    "one that aid knows: spacy.TextCatBOW.v1, .v2, .v3, spacy.TextCatCNN.v1, .v2, spacy.TextCatReduce.v1, "
    "spacy.TextCatEnsemble.v2, spacy.TextCatParametricAttention.v1";

// Factories of components that change neither a document's tokens nor what a categorizer reads of them.
const std::set<std::string, std::less<>> kHarmless = {"tok2vec",
                                                      "tagger",
                                                      "morphologizer",
                                                      "parser",
                                                      "beam_parser",
                                                      "senter",
                                                      "sentencizer",
                                                      "ner",
                                                      "beam_ner",
                                                      "lemmatizer",
                                                      "trainable_lemmatizer",
                                                      "entity_linker",
                                                      "entity_ruler",
                                                      "future_entity_ruler",
                                                      "span_ruler",
                                                      "span_finder",
                                                      "spancat",
                                                      "spancat_singlelabel"};

std::vector<std::string> names_in(const ConfigFile& config, const std::string& key) {
  const Json value = config.value("nlp", key);
  std::vector<std::string> names;
  if (!value.is_null() && !value.is_array()) config.refuse("nlp", key + " is no list of components' names");
  for (const Json& name : value) {
    if (!name.is_string()) config.refuse("nlp", key + " is no list of components' names");
    names.push_back(name.get<std::string>());
  }
  return names;
}

std::string factory_of(const ConfigFile& config, const std::string& component) {
  const std::string section = "components." + component;
  const Json factory = config.value(section, "factory");
  if (!factory.is_string()) config.refuse(section, "has no factory; expected one, as in what spaCy saves");
  return factory.get<std::string>();
}

ThincNode chain(ThincNode first, ThincNode second) { return composite({std::move(first), std::move(second)}); }

// The head of the network: softmax, or linear and logistic.
ThincNode activation_of(const TextCatArchitecture& result, const char* softmax) {
  return leaf(result.config.exclusive ? softmax : "logistic");
}
ThincNode output_layer(const TextCatArchitecture& result) {
  return linear_node(result.config.exclusive ? "softmax" : "linear", "output", result.config.labels,
                     result.config.features());
}

// TextCatBOW.
ThincNode read_bag(const ConfigBlock& block, TextCatArchitecture& result) {
  const std::string architecture = block.architecture();
  const bool v1 = architecture == "spacy.TextCatBOW.v1", v3 = architecture == "spacy.TextCatBOW.v3";
  if (!v1 && !v3 && architecture != "spacy.TextCatBOW.v2") {
    block.refuse("@architectures", "one that aid knows: spacy.TextCatBOW.v1, .v2, .v3");
  }
  constexpr int64_t kMostWords = 64;
  result.ngram_size = block.integer("ngram_size", 1);
  if (result.ngram_size > kMostWords) block.refuse("ngram_size", "at most " + std::to_string(kMostWords));
  result.config.exclusive = block.flag("exclusive_classes");
  result.bag_attribute = *attribute_number("ORTH");
  // v3 takes the next power of two.
  const int64_t length =
      v3 ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(block.integer("length", 1)))) : kOldLength;
  const auto& bag = result.config.bag.emplace(nn::TextCatConfig::Bag{
      .length = length, .class_stride = v3 ? length : 1, .output_layer = !block.flag("no_output_layer")});
  const int64_t labels = result.config.labels;
  ThincNode linear = leaf("sparse_linear", {{"v1_indexing", !v3}},
                          {{"W", {labels * length}, "bag.weight"}, {"b", {labels}, "bag.bias"}});
  ThincNode core =
      composite({chain(leaf("extract_ngrams", {{"ngram_size", result.ngram_size}, {"attr", result.bag_attribute}}),
                       v1 ? std::move(linear) : composite({std::move(linear)}))});
  const Json attributes = {{"multi_label", !result.config.exclusive}};
  if (!bag.output_layer) {
    core.attributes = attributes;
    return core;
  }
  return composite({std::move(core), composite({activation_of(result, "softmax_activation")})}, attributes);
}

// A tok2vec of the categorizer's own, or the component's that it listens to.
ThincNode read_network(const ConfigBlock& block, const ConfigFile& config, const TextCatComponent& component,
                       const VectorWidth& vector_width, TextCatArchitecture& result) {
  if (block.architecture() != "spacy.Tok2VecListener.v1") return read_tok2vec(block, vector_width, result);
  if (!component.tok2vec) {
    block.refuse("listens to a component of the factory tok2vec, and there is none before " + component.name +
                 " in [nlp] pipeline");
  }
  const std::string upstream = block.text("upstream");
  if (upstream != "*" && upstream != *component.tok2vec) {
    block.refuse("upstream", "the tok2vec before " + component.name + " in the pipeline, " + *component.tok2vec);
  }
  const std::string section = "components." + *component.tok2vec + ".model";
  const ConfigBlock model(config, section, config.value("components." + *component.tok2vec, "model"));
  result.tok2vec_component = {*component.tok2vec, read_tok2vec(model, vector_width, result)};
  if (block.integer("width", 1) != result.config.tok2vec->width) {
    block.refuse("width", "that of " + *component.tok2vec + ", " + std::to_string(result.config.tok2vec->width));
  }
  return leaf("tok2vec-listener");
}

// attention >> reduce_sum >> residual(maxout >> layernorm >> dropout), on the network
ThincNode attention_nodes(ThincNode network, std::vector<ThincNode> key, const TextCatArchitecture& result) {
  const int64_t width = result.config.tok2vec->width;
  constexpr int64_t kPieces = 3;
  ThincNode attention = leaf("para-attn", Json::object(), {{"Q", {width}, "attention.query"}});
  attention.children = std::move(key);
  return chain(chain(chain(chain(std::move(network), leaf("list2ragged")), std::move(attention)), leaf("reduce_sum")),
               composite({maxout_node("pooled", width, width, kPieces)}));
}

// (features >> softmax) or (features >> (linear >> logistic))
ThincNode with_head(ThincNode features, const TextCatArchitecture& result) {
  const Json attributes = {{"multi_label", !result.config.exclusive}};
  ThincNode output = output_layer(result);
  if (!result.config.exclusive) output = chain(std::move(output), leaf("logistic"));
  return composite({std::move(features), std::move(output)}, attributes);
}

ThincNode ensemble(const ConfigBlock& block, ThincNode network, TextCatArchitecture& result) {
  result.config.pooling = Pooling::attention;
  ThincNode bag = read_bag(block.block("linear_model"), result);
  return with_head(composite({std::move(bag), attention_nodes(std::move(network), {}, result)}), result);
}

ThincNode parametric_attention(ThincNode network, TextCatArchitecture& result) {
  const int64_t width = result.config.tok2vec->width;
  result.config.pooling = Pooling::keyed_attention;
  return with_head(attention_nodes(std::move(network), {linear_node("gelu", "attention.key", width, width)}, result),
                   result);
}

// TextCatReduce and TextCatCNN, whose first version is not resizable.
ThincNode reduction(const ConfigBlock& block, ThincNode network, TextCatArchitecture& result) {
  const std::string architecture = block.architecture();
  std::vector<ThincNode> nodes;
  const auto add = [&](const char* name, Reduction reduction) {
    nodes.push_back(leaf(std::string("reduce_") + name));
    result.config.reductions.push_back(reduction);
  };
  if (architecture == "spacy.TextCatReduce.v1") {
    if (block.flag("use_reduce_first")) add("first", Reduction::first);
    if (block.flag("use_reduce_last")) add("last", Reduction::last);
    if (block.flag("use_reduce_max")) add("max", Reduction::max);
    if (block.flag("use_reduce_mean")) add("mean", Reduction::mean);
    if (nodes.empty()) block.refuse("use_reduce_mean", "true, or another of the four reductions");
  } else {
    add("mean", Reduction::mean);
  }
  ThincNode features = chain(chain(std::move(network), leaf("list2ragged")), composite_unless_one(std::move(nodes)));
  ThincNode output = output_layer(result);
  if (architecture != "spacy.TextCatCNN.v1") output = composite({std::move(output)});
  ThincNode model = chain(std::move(features), std::move(output));
  if (!result.config.exclusive) model = chain(std::move(model), leaf("logistic"));
  model.attributes = {{"multi_label", !result.config.exclusive}};
  return model;
}

}  // namespace

TextCatComponent find_textcat(const ConfigFile& config) {
  const std::vector<std::string> disabled = names_in(config, "disabled");
  std::optional<TextCatComponent> found;
  std::optional<std::string> tok2vec;
  for (const std::string& name : names_in(config, "pipeline")) {
    if (std::find(disabled.begin(), disabled.end(), name) != disabled.end()) continue;
    const std::string factory = factory_of(config, name);
    if (factory == "textcat" || factory == "textcat_multilabel") {
      if (found) {
        config.refuse("nlp", "pipeline has two text categorizers, " + found->name + " and " + name +
                                 "; expected one: add the other to \"disabled\"");
      }
      found = {name, tok2vec};
    } else if (!found && !kHarmless.contains(factory)) {
      config.refuse("components." + name, "is of the factory \"" + factory +
                                              "\" and runs before any text categorizer: it may change the tokens "
                                              "that one reads; move it behind, or add it to [nlp] disabled");
    }
    if (factory == "tok2vec") tok2vec = name;
  }
  if (!found) {
    config.refuse("nlp", "pipeline has no component of the factory textcat or textcat_multilabel; expected one");
  }
  return *found;
}

TextCatArchitecture read_architecture(const ConfigFile& config, const TextCatComponent& component, int64_t labels,
                                      const VectorWidth& vector_width) {
  const std::string section = "components." + component.name;
  const ConfigBlock block(config, section + ".model", config.value(section, "model"));
  TextCatArchitecture result{.name = block.architecture(), .component = component.name};
  result.config.labels = labels;
  if (result.name.starts_with("spacy.TextCatBOW.")) {
    result.tree = read_bag(block, result);
  } else if (result.name == "spacy.TextCatEnsemble.v2") {
    result.tree =
        ensemble(block, read_network(block.block("tok2vec"), config, component, vector_width, result), result);
  } else if (result.name == "spacy.TextCatParametricAttention.v1" || result.name == "spacy.TextCatReduce.v1" ||
             result.name == "spacy.TextCatCNN.v1" || result.name == "spacy.TextCatCNN.v2") {
    result.config.exclusive = block.flag("exclusive_classes");
    ThincNode network = read_network(block.block("tok2vec"), config, component, vector_width, result);
    result.tree = result.name == "spacy.TextCatParametricAttention.v1"
                      ? parametric_attention(std::move(network), result)
                      : reduction(block, std::move(network), result);
  } else {
    block.refuse("@architectures", kKnown);
  }
  return result;
}

}  // namespace aid::train
