#include "train/spacy/training/train_textcat.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

#include "io/dataset.h"
#include "io/error.h"
#include "io/file.h"
#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "train/loop/checkpoint.h"
#include "train/metrics/metrics.h"
#include "train/model/versions.h"
#include "train/spacy/document_features.h"
#include "train/spacy/pipeline.h"
#include "train/spacy/training/blank_pipeline.h"
#include "train/spacy/training/initial_values.h"
#include "train/spacy/training/random.h"
#include "train/spacy/training/textcat_corpus.h"
#include "train/spacy/training/textcat_scores.h"
#include "train/spacy/write_pipeline.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;
using tokenizer::spacy::ConfigFile;

struct Corpus {
  std::vector<DocumentFeatures> documents;
  std::vector<int64_t> words;  // of each document
};

// base gets all of the pipeline but its weights.
void make_base(const TextCatTraining& options, const fs::path& base) {
  std::string config = options.config  ? io::read_text(*options.config)
                       : options.model ? io::read_text(*options.model / "config.cfg")
                                       : default_config(options.language);
  const std::string file = options.config.value_or(options.model ? *options.model / "config.cfg" : base / "config.cfg");
  for (const auto& [section, key, value] : options.settings) {
    // A schedule, which stands in a section of its own.
    if (const ConfigFile given(config, file); given.has(section + "." + key)) {
      given.refuse(section + "." + key, "decides it, not the command line; change it there, or leave the option out");
    }
    config = set_in_config(config, section, key, value);
  }
  io::write_atomically(base / "config.cfg", config);
  if (options.model) {
    fs::copy_file(*options.model / "tokenizer", base / "tokenizer");
    if (fs::exists(*options.model / "vocab")) {
      fs::copy(*options.model / "vocab", base / "vocab", fs::copy_options::recursive);
    }
    return;
  }
  const ConfigFile parsed(config, file);
  const nlohmann::json language = parsed.value("nlp", "lang");
  io::write_atomically(base / "tokenizer", tokenizer_of(language.is_string() ? language.get<std::string>() : ""));
}

// spaCy opens a pipeline whose [nlp] is whole, and aid trains no other component.
void check_config(const ConfigFile& config, const TextCatArchitecture& architecture) {
  for (const char* key : {"lang", "pipeline", "tokenizer"}) {
    if (config.value("nlp", key).is_null()) {
      config.refuse("nlp", std::string("has no ") + key +
                               "; expected a whole configuration: `python -m spacy init fill-config` completes one");
    }
  }
  for (const nlohmann::json& name : config.value("nlp", "pipeline")) {
    const bool known = name == architecture.component ||
                       (architecture.tok2vec_component && name == architecture.tok2vec_component->name);
    if (!known) {
      config.refuse("nlp", "pipeline has " + name.dump() + "; aid trains a text categorizer and its tok2vec alone");
    }
  }
}

Corpus read_corpus(const TextCatTexts& data, const tokenizer::spacy::Tokenizer& tokenizer,
                   const FeatureReader& features, const ThreadTeam& team) {
  Corpus corpus;
  corpus.documents.resize(data.utf8.size());
  team.ranges(static_cast<int64_t>(data.utf8.size()), 1, [&](int64_t begin, int64_t end) {
    tokenizer::spacy::Tokenizer mine(tokenizer);
    std::vector<tokenizer::spacy::Token> tokens;
    for (int64_t i = begin; i < end; ++i) {
      const std::string& text = data.utf8[static_cast<size_t>(i)];
      mine.tokenize(text, tokens);
      corpus.documents[static_cast<size_t>(i)] = features.read(text, tokens);
    }
  });
  for (const DocumentFeatures& document : corpus.documents) corpus.words.push_back(document.tokens);
  return corpus;
}

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

class Training {
 public:
  Training(Stream& s, const TextCatTraining& options, Progress& progress, const std::function<bool()>& stop_requested)
      : s_(s), options_(options), progress_(progress), stop_requested_(stop_requested) {}
  TextCatResult run();

 private:
  void prepare(const fs::path& base);
  void begin_with_weights_of(const fs::path& pipeline);
  void run_step(const std::vector<size_t>& batch);
  void update();
  void evaluate();
  void save(const std::map<std::string, double>& scores, const std::vector<float>& predicted);
  std::string record(const std::map<std::string, double>& scores) const;

  Stream& s_;
  const TextCatTraining& options_;
  Progress& progress_;
  const std::function<bool()>& stop_requested_;

  fs::path base_, best_;
  TextCatCorpora data_;
  size_t labels_ = 0;
  TextCatRecipe recipe_;
  TextCatArchitecture architecture_;
  std::optional<StaticVectors> vectors_;
  std::optional<FeatureReader> features_;
  std::optional<nn::TextCat> network_;
  Corpus train_, val_;
  std::vector<Tensor> m_, v_;
  int64_t step_ = 0, epoch_ = 0;
  double loss_ = 0;  // since the last evaluation
  std::string log_ = "step,epoch,loss,score";
  double best_score_ = -1;
  int64_t best_step_ = 0, saved_step_ = 0;
};

TextCatResult Training::run() {
  if (!options_.overwrite && fs::exists(options_.out)) {
    throw io::Error("--out " + options_.out.string() +
                    " is there already; expected a new folder. Choose another name, or --overwrite to replace it");
  }
  const io::LockedDirectory work(work_folder_of(options_.out));
  const auto clear = [&work] {
    for (const auto& entry : fs::directory_iterator(work.path())) fs::remove_all(entry.path());
  };
  best_ = work.path() / "best";
  if (!options_.overwrite && fs::exists(best_)) {
    throw io::Error(best_.string() +
                    ": the best model of a run to the same --out that did not end. Move it elsewhere " +
                    "to keep it, or --overwrite to begin anew");
  }
  clear();
  const struct Base {
    fs::path path;
    ~Base() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  } base{work.path() / "base"};
  prepare(base.path);

  PythonRandom random(recipe_.seed);
  Batcher batcher(recipe_.batcher);
  std::vector<size_t> order(train_.documents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [&](size_t d) { return train_.words[d] == 0; });
  TextCatResult::End end = TextCatResult::End::epochs;
  progress_.begin("training", recipe_.max_steps > 0 ? recipe_.max_steps : 1);
  const auto done = [&] {
    if (stop_requested_()) return end = TextCatResult::End::interrupted, true;
    if (recipe_.patience > 0 && step_ - best_step_ >= recipe_.patience) {
      return end = TextCatResult::End::patience, true;
    }
    if (recipe_.max_steps > 0 && step_ >= recipe_.max_steps) return end = TextCatResult::End::steps, true;
    return false;
  };
  for (bool ended = false; !ended && (recipe_.max_epochs == 0 || epoch_ < recipe_.max_epochs); ++epoch_) {
    random.shuffle(order);
    const auto batches = batcher.epoch(order, train_.words);
    if (batches.empty()) throw io::Error("[training.batcher]: every document is larger than a batch; nothing to train");
    if (recipe_.max_steps == 0) {
      progress_.set_total(recipe_.max_epochs > 0 ? recipe_.max_epochs * static_cast<int64_t>(batches.size())
                                                 : step_ * 2);
    }
    for (const std::vector<size_t>& batch : batches) {
      run_step(batch);
      if (step_ % recipe_.eval_frequency == 0) evaluate();
      if ((ended = done())) break;
      ++step_;
    }
  }
  progress_.end();
  if (options_.out.has_parent_path()) fs::create_directories(options_.out.parent_path());
  io::AtomicDirectory out(options_.out);
  fs::copy(best_, out.path(), fs::copy_options::recursive);
  out.commit();
  clear();
  return {.end = end, .step = step_, .best_step = saved_step_, .best_score = best_score_};
}

void Training::prepare(const fs::path& base) {
  base_ = base;
  fs::create_directory(base);
  make_base(options_, base);
  const fs::path shown = options_.config  ? *options_.config
                         : options_.model ? *options_.model / "config.cfg"
                                          : base / "config.cfg";
  const ConfigFile config(io::read_text(base / "config.cfg"), shown.string());
  recipe_ = read_textcat_recipe(config);
  check(recipe_);
  data_ = read_textcat_corpora(options_.train, options_.val, s_.team(), progress_);
  labels_ = data_.labels.size();
  vectors_ = StaticVectors::load(base / "vocab");
  architecture_ = read_architecture(config, find_textcat(config), static_cast<int64_t>(labels_),
                                    [this] { return vectors_ ? vectors_->width() : 0; });
  check_config(config, architecture_);
  if (architecture_.config.exclusive && !single_labels(data_.train, labels_)) {
    throw io::Error("--train " + options_.train.string() + ": a text has several labels, or none, and " +
                    shown.string() +
                    " says that labels exclude each other; expected the component textcat_multilabel with " +
                    "exclusive_classes = false");
  }
  const auto tokenizer = tokenizer::spacy::Tokenizer::load(base);
  features_.emplace(architecture_, vectors_ ? &*vectors_ : nullptr);
  train_ = read_corpus(data_.train, tokenizer, *features_, s_.team());
  val_ = read_corpus(data_.val, tokenizer, *features_, s_.team());
  const auto words = [](const Corpus& corpus) { return std::reduce(corpus.words.begin(), corpus.words.end()); };
  progress_.note(std::to_string(words(train_)) + " words to learn from, " + std::to_string(words(val_)) + " in --val");

  network_.emplace(architecture_.config, s_.device(), nn::Mode::training);
  set_initial_values(*network_, architecture_, recipe_.seed);
  if (options_.model && !options_.from_scratch) begin_with_weights_of(*options_.model);
  network_->update_weights(s_);
  for (const nn::Parameter& parameter : network_->parameters()) {
    const CSpan value = parameter.value;
    m_.push_back(Tensor::zeros(DType::f32, value.rows, value.cols, s_.device()));
    v_.push_back(Tensor::zeros(DType::f32, value.rows, value.cols, s_.device()));
  }
}

void Training::begin_with_weights_of(const fs::path& pipeline) {
  TextCatPipeline before = open_textcat_pipeline(pipeline, Device::cpu);
  if (before.labels != data_.labels) {
    progress_.note(pipeline.string() + " has other labels: the weights begin anew");
    return;
  }
  for (nn::Parameter& parameter : network_->parameters()) {
    network_->set_value(parameter, before.values.at(parameter.name));
  }
}

void Training::run_step(const std::vector<size_t>& batch) {
  const auto labels = static_cast<int64_t>(labels_);
  auto pass = static_cast<uint32_t>(step_ * recipe_.accumulate_gradient);  // each has its own masks of dropout
  for (const std::vector<size_t>& part : subdivide(batch, train_.words, recipe_.accumulate_gradient)) {
    std::vector<const DocumentFeatures*> documents;
    documents.reserve(part.size());
    for (const size_t d : part) documents.push_back(&train_.documents[d]);
    const auto count = static_cast<int64_t>(part.size());
    const Span scores = network_->forward_training(
        s_, features_->batch(documents), {.seed = recipe_.seed, .step = pass++}, static_cast<float>(recipe_.dropout));
    std::vector<float> difference(static_cast<size_t>(count * labels));
    const Span host = matrix(difference.data(), count, labels);
    s_.download(host, scores);
    s_.synchronize();
    double sum = 0;
    for (size_t i = 0; i < difference.size(); ++i) {
      const size_t cell = part[i / labels_] * labels_ + i % labels_;
      const std::vector<float>& known = data_.train.known;
      difference[i] = known.empty() || architecture_.config.exclusive || known[cell] != 0
                          ? difference[i] - data_.train.truth[cell]
                          : 0;
      sum += static_cast<double>(difference[i]) * static_cast<double>(difference[i]);
    }
    loss_ += sum / static_cast<double>(difference.size());
    if (!std::isfinite(loss_)) {
      throw std::runtime_error("training diverged: at step " + std::to_string(step_) + " the loss is " +
                               formatted("%g", loss_) + ". Try a lower --lr, or grad_clip = 1 in [training.optimizer]");
    }
    network_->backward(s_, s_.upload(host));
    s_.release();
  }
  update();
  progress_.update(step_, "epoch " + std::to_string(epoch_) + ", best score " +
                              formatted("%.3f", std::max(best_score_, 0.0)) + " of step " + std::to_string(best_step_));
}

// thinc's Adam: gradients are clipped tensor by tensor, epsilon is added to the root that is not corrected, and the
// decay comes after the step (thinc/optimizers.py). In adamw.h's terms:
//   p (1 - lr l2) - lr (1 - lr l2) sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)
void Training::update() {
  const double rate = recipe_.rate_at(step_), keep = 1 - rate * recipe_.l2;
  const double correction = std::sqrt(1 - std::pow(recipe_.beta2, static_cast<double>(step_ + 1)));
  const auto parameters = network_->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Span norm = s_.arena().take(DType::f32, 1);
    const CSpan gradient = parameters[i].gradient;
    if (recipe_.grad_clip > 0) global_norm(s_, {.norm = norm, .vectors = {&gradient, 1}});
    const AdamWTensor tensor{.parameter = parameters[i].trained_value,
                             .gradient = parameters[i].gradient,
                             .m = m_[i].span(),
                             .v = v_[i].span(),
                             .weight_decay = static_cast<float>(recipe_.l2 / keep)};
    adamw(s_, {.tensors = {&tensor, 1},
               .lr = rate * keep,
               .beta1 = recipe_.beta1,
               .beta2 = recipe_.beta2,
               .eps = recipe_.epsilon / correction,
               .step = step_ + 1,
               .norm = recipe_.grad_clip > 0 ? CSpan(norm) : CSpan(),
               .max_norm = static_cast<float>(recipe_.grad_clip),
               .clear_gradients = true});
  }
  s_.synchronize();
  s_.release();
}

// The scores of the validation documents; the best so far are kept, later ones among equals, as spaCy keeps them.
void Training::evaluate() {
  constexpr int64_t kTokensPerPass = 16384;
  std::vector<float> predicted(val_.documents.size() * labels_);
  for (size_t begin = 0; begin < val_.documents.size();) {
    std::vector<const DocumentFeatures*> documents;
    size_t end = begin;
    for (int64_t tokens = 0; end < val_.documents.size() && (end == begin || tokens < kTokensPerPass); ++end) {
      documents.push_back(&val_.documents[end]);
      tokens += val_.words[end];
    }
    const Span scores = network_->forward(s_, features_->batch(documents));
    s_.download(matrix(predicted.data() + begin * labels_, static_cast<int64_t>(end - begin), scores.cols), scores);
    s_.synchronize();
    s_.release();
    begin = end;
  }
  const auto scores = score_cats({.labels = architecture_.config.labels,
                                  .exclusive = architecture_.config.exclusive,
                                  .scores = predicted,
                                  .truth = data_.val.truth,
                                  .known = data_.val.known});
  double score = 0;
  for (const auto& [name, weight] : recipe_.score_weights) score += weight * scores.at(name);
  char line[160];
  std::snprintf(line, sizeof line, "epoch %3lld  step %6lld  loss %9.2f  macro f %6.2f  score %.4f",
                static_cast<long long>(epoch_), static_cast<long long>(step_), loss_, 100 * scores.at("cats_macro_f"),
                score);
  progress_.note(line);
  if (step_ == 0) {
    for (const auto& [name, value] : scores) log_ += "," + name;
    log_ += "\n";
  }
  log_ += std::to_string(step_) + "," + std::to_string(epoch_) + "," + formatted("%.9g", loss_) + "," +
          formatted("%.9g", score);
  for (const auto& [name, value] : scores) log_ += "," + formatted("%.9g", value);
  log_ += "\n";
  loss_ = 0;
  if (score > best_score_) best_step_ = step_;
  if (score < best_score_) return;
  best_score_ = score;
  saved_step_ = step_;
  save(scores, predicted);
}

std::string Training::record(const std::map<std::string, double>& scores) const {
  nlohmann::ordered_json json = {{"kind", "textcat"}, {"labels", data_.labels}};
  json["architecture"] = architecture_.name;
  const std::optional<int> version = io::data_version_of(fs::absolute(options_.train));
  json["data"] = {{"version", version ? nlohmann::json(*version) : nlohmann::json()},
                  {"train_texts", data_.train.utf8.size()},
                  {"val_texts", data_.val.utf8.size()},
                  {"train_sha256", data_.train.sha256},
                  {"val_sha256", data_.val.sha256}};
  for (const auto& [name, value] : fields_of(recipe_)) json["hyperparameters"][name] = nlohmann::json::parse(value);
  json["seed"] = recipe_.seed;
  json["step"] = step_;
  json["metrics"] = scores;
  json["versions"]["aid"] = program_version();
  for (const Library& library : libraries()) json["versions"][library.name] = library.version;
  return json.dump(2) + "\n";
}

void Training::save(const std::map<std::string, double>& scores, const std::vector<float>& predicted) {
  io::AtomicDirectory folder(best_);
  write_pipeline(s_, folder.path(), base_,
                 {.architecture = architecture_, .labels = data_.labels, .network = *network_, .performance = scores});
  io::write_atomically(folder.path() / "aid.json", record(scores));
  io::write_atomically(folder.path() / "log.csv", log_);
  if (const auto truth = single_labels(data_.val, labels_)) {
    const Metrics metrics = compute_metrics({.labels = data_.labels, .truth = *truth, .probabilities = predicted});
    io::write_atomically(folder.path() / "validation.json", to_json(metrics));
    io::write_atomically(folder.path() / kTextCatTable, to_table(metrics));
  } else {
    std::string table;
    for (const auto& [name, value] : scores) table += name + formatted(" %.4f\n", value);
    io::write_atomically(folder.path() / "validation.json", nlohmann::json(scores).dump(2) + "\n");
    io::write_atomically(folder.path() / kTextCatTable, table);
  }
  folder.commit();
}

}  // namespace

TextCatResult train_textcat(Stream& s, const TextCatTraining& options, Progress& progress,
                            const std::function<bool()>& stop_requested) {
  return Training(s, options, progress, stop_requested).run();
}

}  // namespace aid::train
