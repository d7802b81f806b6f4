#include "train/spacy/tok2vec_architecture.h"

#include "kernels/core/operands.h"
#include "kernels/rows/maxout_layer_norm.h"
#include "train/spacy/attributes.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostDepth = 256, kMostWindow = 64;
constexpr uint32_t kFirstSeed = 8;      // of MultiHashEmbed's tables: 8, 9, ...
constexpr uint32_t kCharacterSeed = 5;  // of CharacterEmbed's table

std::string target(const std::string& name) { return "tok2vec." + name; }

uint64_t read_attribute(const ConfigBlock& block, const std::string& key, const Json& value) {
  if (value.is_string()) {
    if (const auto number = attribute_number(value.get<std::string>())) return *number;
  } else if (value.is_number_unsigned() && is_attribute(value.get<uint64_t>())) {
    return value.get<uint64_t>();
  }
  block.refuse(key, "attributes of words that aid knows: " + attribute_names());
}

int64_t at_most(const ConfigBlock& block, const std::string& key, int64_t least, int64_t most) {
  const int64_t value = block.integer(key, least);
  if (value > most) block.refuse(key, "at most " + std::to_string(most));
  return value;
}

// chain(ints-getitem, hashembed)
ThincNode table_node(size_t column, const nn::Tok2VecConfig::Table& table, size_t index, int64_t width) {
  return composite(
      {leaf("ints-getitem"), leaf("hashembed", {{"column", column}, {"seed", table.seed}},
                                  {{"E", {table.rows, width}, target("embed.table." + std::to_string(index))}})});
}

ThincNode tables_node(const nn::Tok2VecConfig& config) {
  std::vector<ThincNode> tables;
  for (size_t i = 0; i < config.tables.size(); ++i) {
    tables.push_back(table_node(i, config.tables[i], i, config.width));
  }
  return composite({composite_unless_one(std::move(tables))}, {{"pad", 0}});
}

ThincNode vectors_node(const nn::Tok2VecConfig& config) {
  return leaf("static_vectors", Json::object(),
              {{"W", {config.width, config.vector_width}, target("embed.vectors.weight")}});
}

ThincNode mix_node(const nn::Tok2VecConfig& config) {
  return composite({maxout_node(target("embed"), config.width, config.concatenated(), config.embed_pieces)},
                   {{"pad", 0}});
}

void read_vectors(const ConfigBlock& block, const VectorWidth& vector_width, nn::Tok2VecConfig& config) {
  config.vector_width = vector_width();
  if (config.vector_width == 0) {
    block.refuse("include_static_vectors",
                 "false: the pipeline's vocab/vectors holds none; spaCy fails on this one, too");
  }
}

// MultiHashEmbed's nodes, of whatever architecture says so.
ThincNode multi_hash_embed(TextCatArchitecture& result) {
  const nn::Tok2VecConfig& config = *result.config.tok2vec;
  const ThincNode extract = leaf("extract_features", {{"columns", result.attributes}});
  if (config.vector_width == 0) {
    return composite({extract, leaf("list2ragged"), tables_node(config), mix_node(config), leaf("ragged2list")});
  }
  return composite({composite({composite({extract, leaf("list2ragged"), tables_node(config)}), vectors_node(config)}),
                    mix_node(config), leaf("ragged2list")});
}

ThincNode read_multi_hash_embed(const ConfigBlock& block, const VectorWidth& vector_width,
                                TextCatArchitecture& result) {
  nn::Tok2VecConfig& config = *result.config.tok2vec;
  config.width = at_most(block, "width", 1, kMaxRowColumns);
  const Json attributes = block.at("attrs"), rows = block.at("rows");
  if (!attributes.is_array() || attributes.empty()) block.refuse("attrs", "a list of attributes of words");
  if (!rows.is_array() || rows.size() != attributes.size()) {
    block.refuse("rows", "a list of whole numbers, as many as attrs has");
  }
  for (size_t i = 0; i < attributes.size(); ++i) {
    result.attributes.push_back(read_attribute(block, "attrs", attributes[i]));
    constexpr double kMostRows = 1 << 24;
    if (!rows[i].is_number_integer() || rows[i].get<double>() < 1 || rows[i].get<double>() > kMostRows) {
      block.refuse("rows", "whole numbers from 1 to 16777216");
    }
    config.tables.push_back({rows[i].get<int64_t>(), kFirstSeed + static_cast<uint32_t>(i)});
  }
  if (block.flag("include_static_vectors")) read_vectors(block, vector_width, config);
  result.last_vector_for_unknown = block.architecture() == "spacy.MultiHashEmbed.v1";
  return multi_hash_embed(result);
}

ThincNode read_character_embed(const ConfigBlock& block, const VectorWidth& vector_width, TextCatArchitecture& result) {
  nn::Tok2VecConfig& config = *result.config.tok2vec;
  constexpr int64_t kMostCharacters = 256;
  config.width = at_most(block, "width", 1, kMaxRowColumns);
  config.characters = {at_most(block, "nC", 1, kMostCharacters), block.integer("nM", 1)};
  config.tables.push_back({block.integer("rows", 1), kCharacterSeed});
  const Json feature = block.at("feature");
  result.attributes.push_back(read_attribute(block, "feature", feature.is_null() ? Json("LOWER") : feature));
  if (block.flag("include_static_vectors")) read_vectors(block, vector_width, config);
  const auto& characters = *config.characters;
  std::vector<ThincNode> inputs;
  inputs.push_back(composite({leaf("charembed", Json::object(),
                                   {{"E", {characters.count, 256, characters.width}, target("embed.characters")}}),
                              leaf("list2ragged")}));
  inputs.push_back(composite(
      {leaf("extract_features", {{"columns", result.attributes}}), leaf("list2ragged"), tables_node(config)}));
  if (config.vector_width > 0) inputs.push_back(vectors_node(config));
  return composite({composite(std::move(inputs)), mix_node(config), leaf("ragged2list")});
}

ThincNode read_embed(const ConfigBlock& block, const VectorWidth& vector_width, TextCatArchitecture& result) {
  const std::string architecture = block.architecture();
  if (architecture == "spacy.MultiHashEmbed.v1" || architecture == "spacy.MultiHashEmbed.v2") {
    return read_multi_hash_embed(block, vector_width, result);
  }
  if (architecture == "spacy.CharacterEmbed.v2") return read_character_embed(block, vector_width, result);
  block.refuse("@architectures", "one that aid knows: spacy.MultiHashEmbed.v1, .v2, spacy.CharacterEmbed.v2");
}

ThincNode encoder(const nn::Tok2VecConfig& config) {
  std::vector<ThincNode> layers;
  for (int64_t i = 0; i < config.depth; ++i) {
    layers.push_back(composite({composite({leaf("expand_window", {{"window_size", config.window}}),
                                           maxout_node(target("encode." + std::to_string(i)), config.width,
                                                       config.width * (2 * config.window + 1), config.pieces)})}));
  }
  return composite({composite_unless_one(std::move(layers))}, {{"pad", config.padding()}});
}

void read_encoder_numbers(const ConfigBlock& block, nn::Tok2VecConfig& config) {
  config.depth = at_most(block, "depth", 1, kMostDepth);
  config.window = at_most(block, "window_size", 1, kMostWindow);
  config.pieces = at_most(block, "maxout_pieces", 1, kMostPieces);
}

ThincNode read_encode(const ConfigBlock& block, TextCatArchitecture& result) {
  const std::string architecture = block.architecture();
  if (architecture != "spacy.MaxoutWindowEncoder.v1" && architecture != "spacy.MaxoutWindowEncoder.v2") {
    block.refuse("@architectures", "one that aid knows: spacy.MaxoutWindowEncoder.v1, .v2");
  }
  nn::Tok2VecConfig& config = *result.config.tok2vec;
  if (block.integer("width", 1) != config.width) {
    block.refuse("width", "that of the embedding, " + std::to_string(config.width));
  }
  read_encoder_numbers(block, config);
  return encoder(config);
}

ThincNode read_hash_embed_cnn(const ConfigBlock& block, const VectorWidth& vector_width, TextCatArchitecture& result) {
  nn::Tok2VecConfig& config = *result.config.tok2vec;
  config.width = at_most(block, "width", 1, kMaxRowColumns);
  const bool subwords = block.flag("subword_features");
  const int64_t rows = block.integer("embed_size", subwords ? 2 : 1);
  std::vector<const char*> attributes = {"NORM"};
  if (subwords) attributes.insert(attributes.end(), {"PREFIX", "SUFFIX", "SHAPE"});
  for (size_t i = 0; i < attributes.size(); ++i) {
    result.attributes.push_back(*attribute_number(attributes[i]));
    config.tables.push_back({i == 0 ? rows : rows / 2, kFirstSeed + static_cast<uint32_t>(i)});
  }
  if (!block.at("pretrained_vectors").is_null() && block.flag("pretrained_vectors")) {
    read_vectors(block, vector_width, config);
  }
  result.last_vector_for_unknown = block.architecture() == "spacy.HashEmbedCNN.v1";
  read_encoder_numbers(block, config);
  return composite({multi_hash_embed(result), encoder(config)});
}

}  // namespace

ThincNode maxout_node(const std::string& name, int64_t out, int64_t in, int64_t pieces) {
  return composite({composite({leaf("maxout", Json::object(),
                                    {{"W", {out, pieces, in}, name + ".maxout.weight"},
                                     {"b", {out, pieces}, name + ".maxout.bias"}}),
                               leaf("layernorm", Json::object(),
                                    {{"G", {out}, name + ".norm.weight"}, {"b", {out}, name + ".norm.bias"}})}),
                    leaf("dropout")});
}

ThincNode linear_node(const std::string& name, const std::string& of, int64_t out, int64_t in) {
  return leaf(name, Json::object(), {{"W", {out, in}, of + ".weight"}, {"b", {out}, of + ".bias"}});
}

ThincNode read_tok2vec(const ConfigBlock& block, const VectorWidth& vector_width, TextCatArchitecture& result) {
  result.config.tok2vec.emplace();
  const std::string architecture = block.architecture();
  if (architecture == "spacy.HashEmbedCNN.v1" || architecture == "spacy.HashEmbedCNN.v2") {
    return read_hash_embed_cnn(block, vector_width, result);
  }
  if (architecture != "spacy.Tok2Vec.v1" && architecture != "spacy.Tok2Vec.v2") {
    block.refuse("@architectures",
                 "one that aid knows: spacy.Tok2Vec.v1, .v2, spacy.HashEmbedCNN.v1, .v2, spacy.Tok2VecListener.v1");
  }
  ThincNode embed = read_embed(block.block("embed"), vector_width, result);
  return composite({std::move(embed), read_encode(block.block("encode"), result)});
}

}  // namespace aid::train
