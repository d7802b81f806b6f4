#include "train/spacy/training/initial_values.h"

#include <cmath>
#include <functional>
#include <map>

#include "train/spacy/training/random.h"

namespace aid::train {
namespace {

class Initialiser {
 public:
  Initialiser(nn::TextCat& network, const TextCatArchitecture& architecture, uint32_t seed)
      : network_(network), config_(architecture.config), architecture_(architecture), random_(seed) {
    for (nn::Parameter& parameter : network.parameters()) {
      values_.emplace(parameter.name, std::vector<float>(static_cast<size_t>(parameter.value.size())));
    }
  }

  void draw() {
    if (config_.tok2vec) draw_network();
    for (auto& [name, values] : values_) {
      if (name.ends_with("norm.weight")) values.assign(values.size(), 1.0f);
    }
  }

  void set() {
    for (nn::Parameter& parameter : network_.parameters()) {
      const std::vector<float>& values = values_.at(parameter.name);
      network_.set_value(parameter, vector(values.data(), static_cast<int64_t>(values.size())));
    }
  }

 private:
  void draw_network() {
    const bool pooled_by_attention = config_.pooling != nn::TextCatConfig::Pooling::reductions;
    const bool resizable =
        architecture_.name == "spacy.TextCatReduce.v1" || architecture_.name == "spacy.TextCatCNN.v2";
    const int64_t features = config_.features();
    if (architecture_.tok2vec_component) draw_tok2vec();
    if (resizable && !config_.exclusive) {
      // Each label that was added made the layer anew.
      for (int64_t labels = 2; labels <= config_.labels; ++labels) draw_linear("output", labels, features);
    }
    if (!architecture_.tok2vec_component) {
      draw_tok2vec();
      if (pooled_by_attention) draw_tok2vec();  // by itself, and then as the first layer of the whole
    }
    if (pooled_by_attention) {
      const int64_t width = config_.tok2vec->width;
      draw_uniform("attention.query", 0.1);
      if (config_.pooling == nn::TextCatConfig::Pooling::keyed_attention) {
        fill("attention.key.weight",
             [&, deviation = std::sqrt(2.0 / static_cast<double>(width))] { return deviation * random_.normal(); });
      }
      draw_maxout("pooled", width, kPooledPieces, width);
    }
    if (!config_.exclusive) draw_linear("output", config_.labels, features);
  }

  void draw_tok2vec() {
    const nn::Tok2VecConfig& config = *config_.tok2vec;
    for (size_t i = 0; i < config.tables.size(); ++i) {
      draw_uniform("tok2vec.embed.table." + std::to_string(i), 0.1);
    }
    if (config.vector_width > 0) {
      draw_linear("tok2vec.embed.vectors", config.width, config.vector_width);
    }
    draw_maxout("tok2vec.embed", config.width, config.embed_pieces, config.concatenated());
    for (int64_t i = 0; i < config.depth; ++i) {
      draw_maxout("tok2vec.encode." + std::to_string(i), config.width, config.pieces,
                  config.width * (2 * config.window + 1));
    }
  }

  void draw_maxout(const std::string& name, int64_t out, int64_t pieces, int64_t in) {
    draw_glorot(name + ".maxout.weight", out + pieces, out * pieces * in);
  }
  void draw_linear(const std::string& name, int64_t out, int64_t in) {
    draw_glorot(name + ".weight", out + in, out * in);
  }
  // extents: the sum of thinc's first two.
  void draw_glorot(const std::string& name, int64_t extents, int64_t count) {
    const double bound = std::sqrt(6.0 / static_cast<double>(extents));
    draw(name, count, [&] { return random_.uniform(-bound, bound); });
  }
  void draw_uniform(const std::string& name, double bound) {
    fill(name, [&] { return random_.uniform(-bound, bound); });
  }
  void fill(const std::string& name, const std::function<double()>& number) {
    draw(name, static_cast<int64_t>(values_.at(name).size()), number);
  }
  // As many numbers as are asked for; what is beyond the parameter's is drawn and dropped.
  void draw(const std::string& name, int64_t count, const std::function<double()>& number) {
    std::vector<float>& values = values_.at(name);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const auto value = static_cast<float>(number());
      if (i < values.size()) values[i] = value;
    }
  }

  static constexpr int64_t kPooledPieces = 3;

  nn::TextCat& network_;
  const nn::TextCatConfig& config_;
  const TextCatArchitecture& architecture_;
  NumpyRandom random_;
  std::map<std::string, std::vector<float>> values_;
};

}  // namespace

void set_initial_values(nn::TextCat& network, const TextCatArchitecture& architecture, uint32_t seed) {
  Initialiser initialiser(network, architecture, seed);
  initialiser.draw();
  initialiser.set();
}

}  // namespace aid::train
