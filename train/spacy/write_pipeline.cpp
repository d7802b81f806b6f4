#include "train/spacy/write_pipeline.h"

#include <nlohmann/json.hpp>

#include "io/file.h"
#include "train/spacy/write_thinc_model.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::map<std::string, std::vector<float>> values_of(Stream& s, nn::TextCat& network) {
  std::map<std::string, std::vector<float>> values;
  for (const nn::Parameter& parameter : network.parameters()) {
    auto& host = values[parameter.name];
    host.resize(static_cast<size_t>(parameter.value.size()));
    s.download(vector(host.data(), parameter.value.size()), parameter.value);
  }
  s.synchronize();
  return values;
}

Json meta_of(const tokenizer::spacy::ConfigFile& config, const TrainedTextCat& trained) {
  Json meta = {{"lang", config.value("nlp", "lang")},
               {"name", "pipeline"},
               {"version", "0.0.0"},
               {"spacy_version", ">=3.5.0,<4.0.0"},
               {"description", ""},
               {"author", ""},
               {"email", ""},
               {"url", ""},
               {"license", ""}};
  meta["labels"] = {{trained.architecture.component, trained.labels}};
  meta["pipeline"] = meta["components"] = config.value("nlp", "pipeline");
  meta["disabled"] = Json::array();
  meta["performance"] = trained.performance;
  return meta;
}

Json component_of(const tokenizer::spacy::ConfigFile& config, const TrainedTextCat& trained) {
  const std::string section = "components." + trained.architecture.component;
  const auto threshold = config.value(section, "threshold");
  Json json = {{"labels", trained.labels}};
  if (!threshold.is_null()) json["threshold"] = threshold;
  return json;
}

void write_json(const fs::path& file, const Json& json) { io::write_atomically(file, json.dump(2) + "\n"); }

}  // namespace

std::string set_in_config(std::string text, const std::string& section, const std::string& key,
                          const std::string& value) {
  const std::string header = "[" + section + "]", line = key + " = " + value + "\n";
  if (!text.empty() && text.back() != '\n') text += '\n';
  for (size_t begin = 0, inside = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    const std::string_view now(text.data() + begin, end - begin - 1);
    if (inside == 1 && now.starts_with("[")) return text.insert(begin, line + "\n");
    if (now == header) inside = 1;
    if (inside == 1 && now.starts_with(key) &&
        now.substr(key.size()).find_first_not_of(' ') != std::string_view::npos &&
        now[now.find_first_not_of(' ', key.size())] == '=') {
      return text.replace(begin, end - begin, line);
    }
    begin = end;
    if (begin == text.size() && inside == 1) return text + line;
  }
  return text + "\n" + header + "\n" + line;
}

void write_pipeline(Stream& s, const fs::path& folder, const fs::path& base, const TrainedTextCat& trained) {
  const fs::path config_file = base / "config.cfg";
  const tokenizer::spacy::ConfigFile config(io::read_text(config_file), config_file.string());
  for (const char* part : {"config.cfg", "tokenizer", "vocab"}) {
    if (fs::exists(base / part)) fs::copy(base / part, folder / part, fs::copy_options::recursive);
  }
  write_json(folder / "meta.json", meta_of(config, trained));
  const auto values = values_of(s, trained.network);
  const TextCatArchitecture& architecture = trained.architecture;
  const fs::path component = folder / architecture.component;
  fs::create_directory(component);
  write_json(component / "cfg", component_of(config, trained));
  io::write_atomically(component / "model", thinc_model_bytes(architecture.tree, values));
  if (const auto& tok2vec = architecture.tok2vec_component) {
    fs::create_directory(folder / tok2vec->name);
    write_json(folder / tok2vec->name / "cfg", Json::object());
    io::write_atomically(folder / tok2vec->name / "model", thinc_model_bytes(tok2vec->tree, values));
  }
}

}  // namespace aid::train
