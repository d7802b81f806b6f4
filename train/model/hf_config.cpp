#include "train/model/hf_config.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "io/error.h"
#include "io/json_file.h"
#include "train/model/as_written.h"

namespace aid::train {
namespace {

using nlohmann::json;

struct NamedActivation {
  const char* name;
  Activation activation;
};
// transformers/activations.py, ACT2CLS. The first name of an activation is the one that is written.
constexpr NamedActivation kActivations[] = {
    {"gelu", Activation::gelu_erf},
    {"gelu_new", Activation::gelu_tanh},
    {"relu", Activation::relu},
    {"tanh", Activation::tanh},
    {"gelu_python", Activation::gelu_erf},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_python_tanh", Activation::gelu_tanh},
    {"gelu_accurate", Activation::gelu_tanh},
};

// The fields of a config.json, with errors that name the file, the field, what was found and what was expected.
class Fields {
 public:
  explicit Fields(std::filesystem::path file) : file_(std::move(file)), json_(io::parse_json_file(file_)) {
    if (!json_.is_object()) throw io::Error(file_.string() + ": found " + json_.type_name() + ", expected an object");
  }

  [[noreturn]] void fail(const std::string& what) const { throw io::Error(file_.string() + ": " + what); }
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const {
    fail("\"" + key + "\" is " + json_.at(key).dump() + ", expected " + expected);
  }
  bool has_null(const std::string& key) const { return json_.contains(key) && json_.at(key).is_null(); }
  // Present and not null.
  bool has(const std::string& key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  const json& at(const std::string& key) const { return json_.at(key); }

  int64_t integer(const std::string& key, int64_t otherwise, int64_t least, int64_t most) const {
    if (!has(key)) return otherwise;
    const json& value = json_.at(key);
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(most)) {
      fail(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value.get<int64_t>();
  }
  float number(const std::string& key, float otherwise, float least, float most) const {
    if (!has(key)) return otherwise;
    const json& value = json_.at(key);
    if (!value.is_number() || value.get<double>() < least || value.get<double>() > most) {
      std::ostringstream expected;
      expected << "a number from " << least << " to " << most;
      fail(key, expected.str());
    }
    return value.get<float>();
  }
  float probability(const std::string& key, float otherwise) const { return number(key, otherwise, 0.0f, 1.0f); }
  std::string text(const std::string& key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    if (!json_.at(key).is_string()) fail(key, "a string");
    return json_.at(key).get<std::string>();
  }
  // Whether the option says something else than nothing: true, a non-empty list or object.
  bool set(const std::string& key) const {
    if (!has(key)) return false;
    const json& value = json_.at(key);
    return value.is_boolean() ? value.get<bool>() : !value.empty();
  }

 private:
  std::filesystem::path file_;
  json json_;
};

nn::BertConfig::Architecture architecture_of(const Fields& fields) {
  using Architecture = nn::BertConfig::Architecture;
  // The first BETO release has no model_type: it is told from its own names of the sizes.
  const std::string type = fields.text("model_type", fields.has("dim")           ? "distilbert"
                                                     : fields.has("hidden_size") ? "bert"
                                                                                 : "");
  if (type == "bert") return Architecture::bert;
  if (type == "distilbert") return Architecture::distilbert;
  if (type.empty())
    fields.fail("has neither \"model_type\" nor \"hidden_size\" nor \"dim\"; expected a BERT's or a DistilBERT's");
  fields.fail("model_type", "\"bert\" or \"distilbert\"");
}

void refuse_what_is_not_computed(const Fields& fields) {
  for (const char* option : {"is_decoder", "is_encoder_decoder", "add_cross_attention", "pruned_heads",
                             "quantization_config", "per_layer_config"}) {
    if (fields.set(option)) fields.fail(option, "none: this engine does not compute it");
  }
  if (fields.text("position_embedding_type", "absolute") != "absolute") {
    fields.fail("position_embedding_type", "\"absolute\": relative positions are not computed");
  }
  if (fields.text("problem_type", "single_label_classification") != "single_label_classification") {
    fields.fail("problem_type", "\"single_label_classification\": a document has one label here");
  }
}

Activation activation_of(const Fields& fields, const std::string& key) {
  const std::string name = fields.text(key, "gelu");
  std::string known;
  for (const auto& [known_name, activation] : kActivations) {
    if (name == known_name) return activation;
    known += (known.empty() ? "" : ", ") + std::string(known_name);
  }
  fields.fail(key, "one of " + known);
}

// id2label is {"0": "a", "1": "b"}; files without it have num_labels, or mean transformers' two.
std::vector<std::string> labels_of(const Fields& fields) {
  std::vector<std::string> labels;
  if (!fields.has("id2label")) {
    const int64_t count = fields.integer("num_labels", 2, 1, 100000);
    for (int64_t i = 0; i < count; ++i) labels.push_back("LABEL_" + std::to_string(i));
  } else {
    const json& names = fields.at("id2label");
    if (!names.is_object()) fields.fail("id2label", "an object {\"0\": \"first label\", ...}");
    std::set<std::string> seen;
    for (size_t i = 0; i < names.size(); ++i) {
      const auto name = names.find(std::to_string(i));
      if (name == names.end() || !name->is_string()) {
        fields.fail("id2label", "a name for each of the keys \"0\" to \"" + std::to_string(names.size() - 1) + "\"");
      }
      labels.push_back(name->get<std::string>());
      if (!seen.insert(labels.back()).second)
        fields.fail("id2label", "each label once (\"" + labels.back() + "\" comes again)");
    }
  }
  if (labels.size() == 1)
    fields.fail("has one label: transformers takes that for regression, which this engine does not compute");
  if (labels.empty()) fields.fail("id2label", "two labels at least");
  return labels;
}

constexpr int64_t kMostRows = int64_t{1} << 24, kMostColumns = int64_t{1} << 16;

nn::BertConfig bert_config(const Fields& fields) {
  nn::BertConfig c;
  c.architecture = nn::BertConfig::Architecture::bert;
  c.vocab_size = fields.integer("vocab_size", 30522, 1, kMostRows);
  c.hidden = fields.integer("hidden_size", 768, 1, kMostColumns);
  c.layers = fields.integer("num_hidden_layers", 12, 1, 1000);
  c.heads = fields.integer("num_attention_heads", 12, 1, kMostColumns);
  c.intermediate = fields.integer("intermediate_size", 3072, 1, kMostColumns);
  c.max_positions = fields.integer("max_position_embeddings", 512, 3, kMostColumns);
  c.types = fields.integer("type_vocab_size", 2, 1, kMostColumns);
  c.activation = activation_of(fields, "hidden_act");
  c.layer_norm_eps = fields.number("layer_norm_eps", 1e-12f, 0.0f, 1.0f);
  c.hidden_dropout = fields.probability("hidden_dropout_prob", 0.1f);
  c.attention_dropout = fields.probability("attention_probs_dropout_prob", 0.1f);
  c.classifier_dropout = fields.probability("classifier_dropout", c.hidden_dropout);
  return c;
}

nn::BertConfig distilbert_config(const Fields& fields) {
  // transformers takes BERT's names of the sizes too (attribute_map).
  const auto either = [&](const char* own, const char* alias) { return fields.has(own) ? own : alias; };
  nn::BertConfig c;
  c.architecture = nn::BertConfig::Architecture::distilbert;
  c.vocab_size = fields.integer("vocab_size", 30522, 1, kMostRows);
  c.hidden = fields.integer(either("dim", "hidden_size"), 768, 1, kMostColumns);
  c.layers = fields.integer(either("n_layers", "num_hidden_layers"), 6, 1, 1000);
  c.heads = fields.integer(either("n_heads", "num_attention_heads"), 12, 1, kMostColumns);
  c.intermediate = fields.integer("hidden_dim", 3072, 1, kMostColumns);
  c.max_positions = fields.integer("max_position_embeddings", 512, 3, kMostColumns);
  c.activation = activation_of(fields, "activation");
  c.hidden_dropout = fields.probability("dropout", 0.1f);
  c.attention_dropout = fields.probability("attention_dropout", 0.1f);
  c.classifier_dropout = fields.probability("seq_classif_dropout", 0.2f);
  return c;
}

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& folder) {
  const Fields fields(folder / "config.json");
  refuse_what_is_not_computed(fields);
  HfConfig config;
  config.model =
      architecture_of(fields) == nn::BertConfig::Architecture::bert ? bert_config(fields) : distilbert_config(fields);
  nn::BertConfig& c = config.model;
  config.sinusoidal_positions = fields.set("sinusoidal_pos_embds");
  if (c.hidden % c.heads != 0) {
    fields.fail("hidden size " + std::to_string(c.hidden) + " and " + std::to_string(c.heads) +
                " attention heads: expected a multiple");
  }
  c.initializer_range = fields.number("initializer_range", 0.02f, 0.0f, 10.0f);
  // null means none here, and missing means 0.
  const bool no_padding_row = fields.has_null("pad_token_id");
  c.padding_idx = no_padding_row ? -1 : static_cast<int>(fields.integer("pad_token_id", 0, 0, c.vocab_size - 1));
  config.labels = labels_of(fields);
  c.labels = static_cast<int64_t>(config.labels.size());
  return config;
}

std::string hf_config_json(const HfConfig& config) {
  const nn::BertConfig& c = config.model;
  json out;
  const char* activation = nullptr;
  for (const auto& named : kActivations) {
    if (named.activation == c.activation) {
      activation = named.name;
      break;
    }
  }
  if (c.architecture == nn::BertConfig::Architecture::bert) {
    out = {{"model_type", "bert"},
           {"architectures", {"BertForSequenceClassification"}},
           {"hidden_size", c.hidden},
           {"num_hidden_layers", c.layers},
           {"num_attention_heads", c.heads},
           {"intermediate_size", c.intermediate},
           {"type_vocab_size", c.types},
           {"hidden_act", activation},
           {"layer_norm_eps", as_written(c.layer_norm_eps)},
           {"hidden_dropout_prob", as_written(c.hidden_dropout)},
           {"attention_probs_dropout_prob", as_written(c.attention_dropout)},
           {"classifier_dropout", as_written(c.classifier_dropout)},
           {"position_embedding_type", "absolute"}};
  } else {
    out = {{"model_type", "distilbert"},
           {"architectures", {"DistilBertForSequenceClassification"}},
           {"dim", c.hidden},
           {"n_layers", c.layers},
           {"n_heads", c.heads},
           {"hidden_dim", c.intermediate},
           {"activation", activation},
           {"dropout", as_written(c.hidden_dropout)},
           {"attention_dropout", as_written(c.attention_dropout)},
           {"seq_classif_dropout", as_written(c.classifier_dropout)},
           {"sinusoidal_pos_embds", config.sinusoidal_positions}};
  }
  out["vocab_size"] = c.vocab_size;
  out["max_position_embeddings"] = c.max_positions;
  out["initializer_range"] = as_written(c.initializer_range);
  out["pad_token_id"] = c.padding_idx < 0 ? json(nullptr) : json(c.padding_idx);
  out["problem_type"] = "single_label_classification";
  out["torch_dtype"] = "float32";
  for (size_t i = 0; i < config.labels.size(); ++i) {
    out["id2label"][std::to_string(i)] = config.labels[i];
    out["label2id"][config.labels[i]] = i;
  }
  return out.dump(2) + "\n";
}

}  // namespace aid::train
