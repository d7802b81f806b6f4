#include "train/spacy/pipeline.h"

#include <nlohmann/json.hpp>
#include <set>

#include "io/error.h"
#include "io/file.h"
#include "io/json_file.h"
#include "train/spacy/thinc_model.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;

// COMPONENT/cfg
std::vector<std::string> read_labels(const fs::path& file) {
  const nlohmann::json json = io::parse_json_file(file);
  const nlohmann::json found = json.is_object() ? json.value("labels", nlohmann::json()) : nlohmann::json();
  std::vector<std::string> labels;
  std::set<std::string> distinct;
  for (const nlohmann::json& label : found.is_array() ? found : nlohmann::json::array()) {
    if (label.is_string() && distinct.insert(label.get<std::string>()).second) labels.push_back(label);
  }
  if (labels.empty() || labels.size() != found.size()) {
    throw io::Error(file.string() + ": \"labels\" is " +
                    found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                    "; expected a list of one label or more, none twice");
  }
  return labels;
}

}  // namespace

TextCatPipeline open_textcat_pipeline(const fs::path& folder, Device device) {
  auto tokenizer = tokenizer::spacy::Tokenizer::load(folder);
  const fs::path config_file = folder / "config.cfg";
  const tokenizer::spacy::ConfigFile config(io::read_text(config_file), config_file.string());
  const TextCatComponent component = find_textcat(config);
  std::vector<std::string> labels = read_labels(folder / component.name / "cfg");
  std::optional<StaticVectors> vectors;
  const auto vector_width = [&]() -> int64_t {
    const nlohmann::json kind = config.value("nlp", "vectors");
    if (!kind.is_null() && kind != nlohmann::json{{"@vectors", "spacy.Vectors.v1"}}) {
      config.refuse("nlp", "vectors is " + kind.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                               "; expected {\"@vectors\":\"spacy.Vectors.v1\"}");
    }
    vectors = StaticVectors::load(folder / "vocab");
    return vectors ? vectors->width() : 0;
  };
  TextCatArchitecture architecture =
      read_architecture(config, component, static_cast<int64_t>(labels.size()), vector_width);
  std::vector<fs::path> files = {folder / component.name / "model"};
  std::map<std::string, Tensor> values = read_thinc_model(files.front(), architecture.tree);
  if (const auto& tok2vec = architecture.tok2vec_component) {
    files.push_back(folder / tok2vec->name / "model");
    values.merge(read_thinc_model(files.back(), tok2vec->tree));
  }
  nn::TextCat network(architecture.config, device);
  for (nn::Parameter& parameter : network.parameters()) network.set_value(parameter, values.at(parameter.name));
  if (device == Device::cuda) values.clear();  // the network has its own copies
  return {.architecture = std::move(architecture),
          .labels = std::move(labels),
          .vectors = std::move(vectors),
          .tokenizer = std::move(tokenizer),
          .values = std::move(values),
          .network = std::move(network),
          .files = std::move(files)};
}

}  // namespace aid::train
