#include "train/loop/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/file.h"
#include "io/json_file.h"
#include "io/weights/safetensors.h"
#include "train/model/host_bytes.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kTensorFile = "training.safetensors";
constexpr const char* kStateFile = "state.json";
constexpr std::string_view kCheckpointName = "checkpoint-", kBestName = "best-";
constexpr const char* kParts[] = {"parameter/", "adam_m/", "adam_v/"};

// "checkpoint-120" -> 120; nothing for other names.
std::optional<int64_t> step_of(const fs::path& folder, std::string_view prefix) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(prefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [parsed, error] = std::from_chars(name.data() + prefix.size(), end, step);
  if (error != std::errc() || parsed != end) return std::nullopt;
  return step;
}

// Steps of the folders of that prefix, ascending.
std::vector<int64_t> steps_in(const fs::path& work_folder, std::string_view prefix) {
  std::vector<int64_t> steps;
  if (!fs::is_directory(work_folder)) return steps;
  for (const auto& entry : fs::directory_iterator(work_folder)) {
    if (const auto step = step_of(entry.path(), prefix); step && entry.is_directory()) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path folder_of(const fs::path& work_folder, std::string_view prefix, int64_t step) {
  return work_folder / (std::string(prefix) + std::to_string(step));
}

json to_json(const TrainingState& state, const std::map<std::string, std::string>& identity) {
  json object = {{"step", state.step},
                 {"epoch", state.epoch},
                 {"step_in_epoch", state.step_in_epoch},
                 {"evaluation_due", state.evaluation_due},
                 {"evaluations_without_better", state.evaluations_without_better},
                 {"stopped_early", state.stopped_early},
                 {"log_lines", state.log_lines},
                 {"identity", identity},
                 {"best", nullptr}};
  if (state.best) {
    object["best"] = {{"step", state.best->step}, {"value", state.best->value}, {"metrics", state.best->metrics}};
  }
  return object;
}

TrainingState state_from(const json& object) {
  TrainingState state;
  object.at("step").get_to(state.step);
  object.at("epoch").get_to(state.epoch);
  object.at("step_in_epoch").get_to(state.step_in_epoch);
  object.at("evaluation_due").get_to(state.evaluation_due);
  object.at("evaluations_without_better").get_to(state.evaluations_without_better);
  object.at("stopped_early").get_to(state.stopped_early);
  object.at("log_lines").get_to(state.log_lines);
  if (const json& best = object.at("best"); !best.is_null()) {
    state.best = TrainingState::Best{.step = best.at("step").get<int64_t>(),
                                     .value = best.at("value").get<double>(),
                                     .metrics = best.at("metrics").get<std::map<std::string, double>>()};
  }
  return state;
}

void check_identity(const fs::path& checkpoint, const std::map<std::string, std::string>& written,
                    const std::map<std::string, std::string>& now) {
  std::string differences;
  const auto value = [](const std::map<std::string, std::string>& fields, const std::string& name) {
    const auto field = fields.find(name);
    return field == fields.end() ? std::string("nothing") : field->second;
  };
  std::map<std::string, std::string> names = written;
  names.insert(now.begin(), now.end());
  for (const auto& [name, unused] : names) {
    if (value(written, name) == value(now, name)) continue;
    differences += "\n  " + name + ": was " + value(written, name) + ", is " + value(now, name);
  }
  if (differences.empty()) return;
  throw io::Error(checkpoint.string() +
                  ": this run differs from the one that wrote the checkpoint, so it cannot resume it:" + differences +
                  "\nResume with the same options and data, or begin anew with --overwrite");
}

void read_tensor(const io::SafeTensors& file, const fs::path& path, const std::string& name, Span out) {
  const io::TensorView* tensor = io::find_tensor(file.tensors(), name);
  const auto bytes = static_cast<size_t>(out.bytes());
  if (tensor == nullptr || tensor->dtype != io::DType::f32 || tensor->data.size() != bytes) {
    throw io::Error(path.string() + ": tensor " + name + " is " +
                    (tensor == nullptr ? std::string("missing") : std::to_string(tensor->data.size()) + " bytes") +
                    ", expected " + std::to_string(bytes) + " bytes of F32: the checkpoint is another model's");
  }
  copy(out, vector(reinterpret_cast<const float*>(tensor->data.data()), out.size()));
}

}  // namespace

fs::path work_folder_of(const fs::path& out) {
  const fs::path absolute = fs::absolute(out).lexically_normal();
  // "models/beto/" names the folder "beto".
  const fs::path folder = absolute.has_filename() ? absolute : absolute.parent_path();
  return folder.string() + ".training";
}

Moments::Moments(std::span<const nn::Parameter> parameters, Device device) {
  int64_t total = 0;
  for (const nn::Parameter& parameter : parameters) total += 2 * parameter.value.size();
  memory_ = Tensor::zeros(DType::f32, 1, std::max<int64_t>(1, total), device);
  int64_t begin = 0;
  for (const nn::Parameter& parameter : parameters) {
    const auto next = [&] {
      Span part = memory_.span().col_slice(begin, begin + parameter.value.size());
      begin += part.cols;
      part.rows = parameter.value.rows;
      part.cols = part.stride = parameter.value.cols;
      return part;
    };
    const Span m = next(), v = next();
    slices_.push_back({m, v});
  }
}

Checkpoints::Checkpoints(fs::path work_folder, std::map<std::string, std::string> identity)
    : work_folder_(std::move(work_folder)), identity_(std::move(identity)) {}

fs::path Checkpoints::best_folder(int64_t step) const { return folder_of(work_folder_, kBestName, step); }

std::optional<fs::path> Checkpoints::newest() const {
  const auto steps = steps_in(work_folder_, kCheckpointName);
  if (steps.empty()) return std::nullopt;
  return folder_of(work_folder_, kCheckpointName, steps.back());
}

void Checkpoints::write(const TrainingState& state, std::span<const nn::Parameter> parameters, const Moments& moments,
                        int64_t keep) const {
  io::AtomicDirectory folder(folder_of(work_folder_, kCheckpointName, state.step));
  std::vector<Tensor> copies;
  std::vector<io::TensorView> tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const CSpan values[] = {parameters[i].value, moments.m(i), moments.v(i)};
    for (size_t part = 0; part < std::size(kParts); ++part) {
      tensors.push_back({.name = kParts[part] + parameters[i].name,
                         .dtype = io::DType::f32,
                         .shape = parameters[i].shape,
                         .data = host_bytes(values[part], copies)});
    }
  }
  io::write_safetensors(folder.path() / kTensorFile, tensors, {});
  io::write_atomically(folder.path() / kStateFile, to_json(state, identity_).dump(2) + "\n");
  folder.commit();
  prune(state, keep);
}

TrainingState Checkpoints::read(std::span<nn::Parameter> parameters, Moments& moments) const {
  const auto folder = newest();
  if (!folder) {
    throw io::Error(work_folder_.string() +
                    ": no checkpoint to resume; expected a folder checkpoint-STEP. Train without --resume");
  }
  const json object = io::parse_json_file(*folder / kStateFile);
  TrainingState state;
  try {
    check_identity(*folder, object.at("identity").get<std::map<std::string, std::string>>(), identity_);
    state = state_from(object);
  } catch (const json::exception& error) {
    throw io::Error((*folder / kStateFile).string() + ": not the state of a training run: " + error.what());
  }
  const fs::path path = *folder / kTensorFile;
  const io::SafeTensors file = io::SafeTensors::open(path);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Span values[] = {parameters[i].trained_value, moments.m(i), moments.v(i)};
    for (size_t part = 0; part < std::size(kParts); ++part) {
      read_tensor(file, path, kParts[part] + parameters[i].name, values[part]);
    }
  }
  return state;
}

void Checkpoints::prune(const TrainingState& state, int64_t keep) const {
  // What cannot be removed costs room, not correctness: it is left.
  std::error_code ignored;
  auto old = steps_in(work_folder_, kCheckpointName);
  old.resize(old.size() - std::min(old.size(), static_cast<size_t>(keep)));
  for (const int64_t step : old) fs::remove_all(folder_of(work_folder_, kCheckpointName, step), ignored);
  for (const int64_t step : steps_in(work_folder_, kBestName)) {
    if (!state.best || step != state.best->step) fs::remove_all(best_folder(step), ignored);
  }
}

}  // namespace aid::train
