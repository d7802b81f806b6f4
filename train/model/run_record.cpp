#include "train/model/run_record.h"

#include "io/error.h"
#include "io/json_file.h"

#include <nlohmann/json.hpp>

namespace aid::train {
namespace {

using nlohmann::json;

// Reads one field of the file; a file from another program or of another time fails with the field's name.
template <class T>
void read(const json& object, const char* name, T& value) {
  const auto field = object.find(name);
  if (field == object.end()) throw std::runtime_error(std::string("\"") + name + "\" is missing");
  try {
    value = field->get<T>();
  } catch (const json::exception&) {
    throw std::runtime_error(std::string("\"") + name + "\" is " + field->dump() + ", which is not what it should be");
  }
}

RunRecord from_json(const json& object) {
  RunRecord record;
  read(object, "kind", record.kind);
  read(object, "labels", record.labels);
  json texts, data;
  read(object, "texts", texts);
  std::string policy;
  read(texts, "long", policy);
  const auto known = long_policy_from_name(policy);
  if (!known) throw std::runtime_error("\"long\" is \"" + policy + "\"; known are head, tail, head-tail and windows");
  record.texts.policy = *known;
  read(texts, "max_length", record.texts.max_length);
  read(texts, "stride", record.texts.stride);
  read(texts, "max_windows", record.texts.max_windows);
  read(texts, "nfc", record.nfc);
  read(object, "data", data);
  if (data.contains("version") && !data["version"].is_null()) read(data, "version", record.data.version.emplace());
  read(data, "train_texts", record.data.train_texts);
  read(data, "val_texts", record.data.val_texts);
  read(data, "train_sha256", record.data.train_sha256);
  read(data, "val_sha256", record.data.val_sha256);
  json hyperparameters;
  read(object, "hyperparameters", hyperparameters);
  for (const auto& [name, value] : hyperparameters.items()) record.hyperparameters[name] = value.dump();
  read(object, "seed", record.seed);
  read(object, "precision", record.precision);
  read(object, "metrics", record.metrics);
  read(object, "step", record.step);
  read(object, "versions", record.versions);
  return record;
}

}  // namespace

std::string to_json(const RunRecord& record) {
  nlohmann::ordered_json object;
  object["kind"] = record.kind;
  object["labels"] = record.labels;
  object["texts"] = {{"long", name_of(record.texts.policy)},
                     {"max_length", record.texts.max_length},
                     {"stride", record.texts.stride},
                     {"max_windows", record.texts.max_windows},
                     {"nfc", record.nfc}};
  object["data"] = {{"version", record.data.version ? json(*record.data.version) : json(nullptr)},
                    {"train_texts", record.data.train_texts},
                    {"val_texts", record.data.val_texts},
                    {"train_sha256", record.data.train_sha256},
                    {"val_sha256", record.data.val_sha256}};
  auto& hyperparameters = object["hyperparameters"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : record.hyperparameters) hyperparameters[name] = json::parse(value);
  object["seed"] = record.seed;
  object["precision"] = record.precision;
  object["metrics"] = record.metrics;
  object["step"] = record.step;
  object["versions"] = record.versions;
  return object.dump(2) + "\n";
}

std::optional<RunRecord> read_run_record(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kRunRecordFile;
  if (!std::filesystem::exists(file)) return std::nullopt;
  const json object = io::parse_json_file(file);
  try {
    if (!object.is_object()) throw std::runtime_error("the file holds no JSON object");
    return from_json(object);
  } catch (const std::runtime_error& error) {
    throw io::Error(file.string() + ": " + error.what() +
                    ". Train the model again, or remove the file to use it as a "
                    "plain Hugging Face model");
  }
}

}  // namespace aid::train
