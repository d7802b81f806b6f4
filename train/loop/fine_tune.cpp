#include "train/loop/fine_tune.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/dataset.h"
#include "io/error.h"
#include "io/file.h"
#include "io/json_file.h"
#include "tokenizer/utf8.h"
#include "train/model/run_record.h"
#include "train/model/versions.h"
#include "train/text/training_data.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;
using Architecture = nn::BertConfig::Architecture;
using Existing = FineTuneOptions::Existing;

const char* kind_of(Architecture architecture) { return architecture == Architecture::bert ? "beto" : "distilbeto"; }

void clear(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
}

// Before the data is read: what would make the result unusable or destroy another one.
void check_output(const FineTuneOptions& options, const fs::path& work_folder) {
  if (options.existing != Existing::overwrite && fs::exists(options.out)) {
    throw io::Error("--out " + options.out.string() +
                    " is there already; expected a new folder. Choose another name, or --overwrite to replace it");
  }
  const auto checkpoint = Checkpoints(work_folder, {}).newest();
  if (options.existing == Existing::refuse && checkpoint) {
    throw io::Error(checkpoint->string() +
                    ": an unfinished run to the same --out. Go on with --resume, or --overwrite to begin anew");
  }
  if (options.existing == Existing::overwrite) clear(work_folder);
}

void check_model(const FineTuneOptions& options, const HfConfig& config) {
  if (config.model.architecture != options.architecture) {
    throw io::Error((options.model / "config.json").string() + ": this is a " + kind_of(config.model.architecture) +
                    " model; train it with `aid train " + kind_of(config.model.architecture) + "`");
  }
  if (options.texts.max_length <= config.model.max_positions) return;
  throw io::Error("--max-length " + std::to_string(options.texts.max_length) + ": " +
                  (options.model / "config.json").string() + " has " + std::to_string(config.model.max_positions) +
                  " positions (max_position_embeddings)");
}

std::vector<float> weights_from_file(const fs::path& file, const std::vector<std::string>& labels) {
  const nlohmann::json json = io::parse_json_file(file);
  std::vector<float> weights;
  for (const std::string& label : labels) {
    const bool known = json.is_object() && json.contains(label) && json[label].is_number();
    const double weight = known ? json[label].get<double>() : 0;
    if (!(weight > 0) || !std::isfinite(weight)) {
      throw io::Error(file.string() + ": label \"" + label + "\" has " +
                      (known ? json[label].dump() : std::string("no number")) +
                      ", expected a weight above 0 for every label, as {\"label\": 1.5, ...}");
    }
    weights.push_back(static_cast<float>(weight));
  }
  if (json.size() != labels.size()) {
    throw io::Error(file.string() + ": " + std::to_string(json.size()) + " weights for " +
                    std::to_string(labels.size()) + " labels");
  }
  return weights;
}

std::vector<float> class_weights(const std::string& weighting, const TextData& train) {
  if (weighting == "none") return {};
  if (weighting == "balanced") return balanced_class_weights(train.classes, train.labels.size());
  return weights_from_file(weighting, train.labels);
}

std::string percent(double part, double whole) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", whole > 0 ? 100 * part / whole : 0);
  return text;
}

void tell_unknown(const tokenizer::Tokenizer& tokenizer, const TextData& data, int threads, Progress& progress) {
  const std::vector<std::string_view> texts(data.utf8.begin(), data.utf8.end());
  const tokenizer::UnknownStats stats = tokenizer.count_unknown(texts, threads);
  std::string line = "[UNK]: " + percent(static_cast<double>(stats.unknown), static_cast<double>(stats.tokens)) +
                     " of " + std::to_string(stats.tokens) + " training tokens";
  for (size_t i = 0; i < stats.characters.size(); ++i) {
    const auto& [character, count] = stats.characters[i];
    char utf8[4];
    line += i == 0 ? "; commonest characters outside the vocabulary: " : ", ";
    line.append(utf8, tokenizer::write_utf8(character, utf8));
    line += " " + std::to_string(count);
  }
  progress.note(line);
}

void tell_lengths(const LabelledTexts& data, const LongOptions& options, Progress& progress) {
  std::vector<int32_t> lengths = text_lengths(data.texts);
  std::sort(lengths.begin(), lengths.end());
  const auto quantile = [&](double q) {
    return std::to_string(lengths[static_cast<size_t>(q * static_cast<double>(lengths.size() - 1))]);
  };
  int64_t several = 0;
  for (int64_t t = 0; t < data.texts.texts(); ++t) {
    several += data.texts.first_sequence[t + 1] - data.texts.first_sequence[t] > 1 ? 1 : 0;
  }
  const auto texts = static_cast<double>(lengths.size());
  progress.note("tokens of a training text as read: median " + quantile(0.5) + ", 95 % at most " + quantile(0.95) +
                ", longest " + quantile(1) + "; longer than --max-length " + std::to_string(options.max_length) + ": " +
                percent(static_cast<double>(options.policy == LongPolicy::windows ? several : data.texts.cut), texts) +
                " of the texts (--long " + name_of(options.policy) + ")");
}

LabelledTexts encode(const TextEncoder& encoder, TextData& data, const ThreadTeam& team) {
  return {.texts = encoder.encode(data.utf8, team), .labels = std::move(data.classes)};
}

std::string ids_sha256(const EncodedTexts& texts) {
  const auto bytes_of = [](const auto& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  return io::sha256_hex(io::sha256_hex(bytes_of(texts.ids)) + io::sha256_hex(bytes_of(texts.sequence_begin)) +
                        io::sha256_hex(bytes_of(texts.first_sequence)));
}

RunRecord make_record(const FineTuneOptions& options, const TrainingData& data, DType compute) {
  RunRecord record{
      .kind = kind_of(options.architecture), .labels = data.train.labels, .texts = options.texts, .nfc = options.nfc};
  record.data.version = io::data_version_of(fs::absolute(options.train));
  record.data.train_texts = static_cast<int64_t>(data.train.utf8.size());
  record.data.val_texts = static_cast<int64_t>(data.val.utf8.size());
  record.data.train_sha256 = io::fingerprint(data.train_folder);
  record.data.val_sha256 = io::fingerprint(data.val_folder);
  record.hyperparameters = fields_of(options.recipe);
  record.seed = options.recipe.seed;
  record.precision = name_of(compute);
  record.versions["aid"] = program_version();
  for (const Library& library : libraries()) record.versions[library.name] = library.version;
  return record;
}

// What two runs must share for one to go on where the other stopped.
std::map<std::string, std::string> identity_of(const RunRecord& record, const FineTuneOptions& options,
                                               const HfConfig& config, const LabelledTexts& train,
                                               const LabelledTexts& val) {
  std::map<std::string, std::string> identity = record.hyperparameters;
  identity["model"] = record.kind + std::string(", config.json with SHA-256 ") + io::sha256_hex(hf_config_json(config));
  identity["train"] = "texts with SHA-256 " + record.data.train_sha256;
  identity["val"] = "texts with SHA-256 " + record.data.val_sha256;
  identity["train's token ids"] = "SHA-256 " + ids_sha256(train.texts);
  identity["val's token ids"] = "SHA-256 " + ids_sha256(val.texts);
  identity["precision"] = record.precision;
  identity["pass-tokens"] = std::to_string(options.tokens_per_pass);
  return identity;
}

std::string command_line_of(const std::map<std::string, std::string>& fields) {
  std::string line;
  for (const auto& [name, value] : fields) line += " --" + name + " " + value;
  return line;
}

void write_model_folder(const fs::path& out, const fs::path& best, const fs::path& log) {
  if (out.has_parent_path()) fs::create_directories(out.parent_path());
  io::AtomicDirectory folder(out);
  fs::copy(best, folder.path(), fs::copy_options::recursive);
  fs::copy_file(log, folder.path() / log.filename());
  folder.commit();
}

}  // namespace

FineTuneResult fine_tune(Stream& s, const FineTuneOptions& given, Progress& progress,
                         const std::function<bool()>& stop_requested) {
  FineTuneOptions options = given;
  check(options.recipe);
  const io::LockedDirectory work_folder(work_folder_of(options.out));
  check_output(options, work_folder.path());
  const HfConfig config = read_hf_config(options.model);
  check_model(options, config);
  if (options.texts.max_length == 0) options.texts.max_length = std::min<int64_t>(512, config.model.max_positions);
  const auto tokenizer =
      tokenizer::Tokenizer::load(options.model, {.strip_accents = options.strip_accents, .nfc = options.nfc});
  check_vocabulary(options.model, config, tokenizer);
  const TextEncoder encoder(tokenizer, options.texts);

  TrainingData data = read_training_data(options.train, options.val, s.team(), progress);
  options.recipe.class_weights = class_weights(options.class_weighting, data.train);
  const DType compute = compute_type(options.precision, s);
  HfModel model = open_for_training(options.model, {.labels = data.train.labels,
                                                    .compute = compute,
                                                    .device = s.device(),
                                                    .seed = options.recipe.seed,
                                                    .from = options.start});
  for (const std::string& note : model.notes) progress.note(note);
  tell_unknown(tokenizer, data.train, s.threads(), progress);
  RunRecord record = make_record(options, data, compute);
  const LabelledTexts train = encode(encoder, data.train, s.team()), val = encode(encoder, data.val, s.team());
  tell_lengths(train, options.texts, progress);

  const Checkpoints checkpoints(work_folder.path(), identity_of(record, options, model.config, train, val));
  Trainer trainer({.stream = s,
                   .network = model.network,
                   .train = train,
                   .val = val,
                   .labels = record.labels,
                   .recipe = options.recipe,
                   .checkpoints = checkpoints,
                   .save_every = options.save_every,
                   .keep_checkpoints = options.keep_checkpoints,
                   .tokens_per_pass = options.tokens_per_pass,
                   .write_model =
                       [&](const fs::path& folder, const TrainingState::Best& best, const Metrics& metrics) {
                         write_hf_model(folder, model.config, model.network.parameters(), tokenizer);
                         record.step = best.step;
                         record.metrics = best.metrics;
                         io::write_atomically(folder / kRunRecordFile, to_json(record));
                         io::write_atomically(folder / "validation.json", to_json(metrics));
                         io::write_atomically(folder / kValidationTable, to_table(metrics));
                       },
                   .progress = progress,
                   .stop_requested = stop_requested});
  if (options.existing == Existing::resume) {
    trainer.resume();
    progress.note("resumed after step " + std::to_string(trainer.state().step));
  }
  progress.note("recipe:" + command_line_of(record.hyperparameters));
  progress.note(std::to_string(trainer.total_steps()) + " optimizer steps in " + std::to_string(options.recipe.epochs) +
                " epochs; checkpoints in " + work_folder.path().string());

  const Trainer::Outcome outcome = trainer.run();
  if (outcome == Trainer::Outcome::finished) {
    write_model_folder(options.out, checkpoints.best_folder(trainer.state().best->step), checkpoints.log_file());
    clear(work_folder.path());
  }
  return {.outcome = outcome,
          .step = trainer.state().step,
          .total_steps = trainer.total_steps(),
          .best_step = trainer.state().best ? trainer.state().best->step : 0,
          .stopped_early = trainer.state().stopped_early};
}

}  // namespace aid::train
