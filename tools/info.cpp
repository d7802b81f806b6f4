#include <cstdio>
#include <memory>

#include "kernels/core/stream.h"
#include "kernels/device/runtime.h"
#include "tokenizer/spacy/rules.h"
#include "tokenizer/tokenizer.h"
#include "tools/commands.h"
#include "train/model/classifier.h"
#include "train/model/hf_model.h"
#include "train/model/run_record.h"
#include "train/model/versions.h"
#include "train/spacy/attributes.h"
#include "train/spacy/pipeline.h"

namespace aid::tools {
namespace {

void print(const char* what, const std::string& value) { std::printf("%-18s %s\n", what, value.c_str()); }

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

void print_program() {
  print("aid", train::program_version());
  const Stream stream;
  const std::string why = cuda::unavailable();
  print("device", why.empty() ? "cuda: " + cuda::device_description() : "cpu (" + why + ")");
  print("instruction set",
        std::string(name_of(stream.target())) + " (AID_ISA=avx2, avx512, avx512_bf16 or amx forces one)");
  print("cores", std::to_string(available_cores()));
  print("precision", name_of(why.empty() ? DType::bf16 : train::compute_type(train::Precision::best, stream)));
  for (const train::Library& library : train::libraries()) {
    print(library.name.c_str(), library.version + (library.file.empty() ? "" : "  " + library.file));
  }
}

void print_record(const train::RunRecord& record) {
  print("texts", std::string(name_of(record.texts.policy)) + ", max length " + std::to_string(record.texts.max_length));
  if (record.data.version) print("data version", std::to_string(*record.data.version));
  print("trained on", std::to_string(record.data.train_texts) + " texts, SHA-256 " + record.data.train_sha256);
  print("validated on", std::to_string(record.data.val_texts) + " texts, SHA-256 " + record.data.val_sha256);
  print("steps", std::to_string(record.step) + " in " + record.precision + ", seed " + std::to_string(record.seed));
  for (const auto& [name, value] : record.metrics) print(name.c_str(), std::to_string(value));
  for (const auto& [name, value] : record.hyperparameters) print(("--" + name).c_str(), value);
  for (const auto& [name, value] : record.versions) print(name.c_str(), value + " (in training)");
}

std::string parameters_of(std::span<const nn::Parameter> parameters) {
  int64_t count = 0;
  for (const nn::Parameter& parameter : parameters) count += parameter.value.size();
  return std::to_string(count);
}

std::string file_names(std::span<const std::filesystem::path> files, const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(file.lexically_relative(folder).string());
  return joined(names);
}

void print_bag(const train::TextCatArchitecture& architecture) {
  const auto& bag = *architecture.config.bag;
  print("bag of n-grams", "up to " + std::to_string(architecture.ngram_size) + " words, " + std::to_string(bag.length) +
                              " weights a label" +
                              (bag.class_stride == 1 ? ", of which spaCy's old indexing uses one stretch" : ""));
}

void print_network(const train::TextCatArchitecture& architecture) {
  const nn::Tok2VecConfig& network = *architecture.config.tok2vec;
  std::vector<std::string> inputs;
  if (network.characters) inputs.push_back(std::to_string(network.characters->count) + " characters");
  for (size_t i = 0; i < network.tables.size(); ++i) {
    inputs.push_back(train::attribute_name(architecture.attributes[i]) + " in " +
                     std::to_string(network.tables[i].rows) + " rows");
  }
  if (network.vector_width > 0) inputs.push_back("static vectors of " + std::to_string(network.vector_width));
  print("words", joined(inputs));
  print("layers",
        std::to_string(network.depth) + " of " + std::to_string(network.width) + ", window " +
            std::to_string(network.window) + ", " + std::to_string(network.pieces) + " pieces" +
            (architecture.tok2vec_component ? ", of the component " + architecture.tok2vec_component->name : ""));
}

void print_pipeline(const std::string& folder) {
  train::TextCatPipeline pipeline = train::open_textcat_pipeline(folder, Device::cpu);
  const train::TextCatArchitecture& architecture = pipeline.architecture;
  print("model", folder);
  print("kind", architecture.name + ", component " + architecture.component);
  print("labels", std::to_string(pipeline.labels.size()) + ": " + joined(pipeline.labels));
  print("scores", architecture.config.exclusive ? "of labels that exclude each other" : "of each label by itself");
  print("parameters", parameters_of(pipeline.network.parameters()));
  if (architecture.config.bag) print_bag(architecture);
  if (architecture.config.tok2vec) print_network(architecture);
  print("weights", file_names(pipeline.files, folder));
}

void print_model(const std::string& folder) {
  train::HfModel model = train::open_for_inference(folder, DType::f32);
  const nn::BertConfig& c = model.config.model;
  print("model", folder);
  print("kind", c.architecture == nn::BertConfig::Architecture::bert ? "beto" : "distilbeto");
  print("labels", std::to_string(c.labels) + ": " + joined(model.config.labels));
  print("parameters", parameters_of(model.network.parameters()));
  print("layers", std::to_string(c.layers) + " of " + std::to_string(c.hidden) + " with " + std::to_string(c.heads) +
                      " heads, inside " + std::to_string(c.intermediate));
  print("vocabulary", std::to_string(c.vocab_size) + " tokens");
  print("positions", std::to_string(c.max_positions));
  print("weights", file_names(model.weights.files(), folder));
  for (const std::string& note : model.notes) print("note", note);
  if (const auto record = train::read_run_record(folder)) print_record(*record);
}

}  // namespace

Command add_info(CLI::App& program) {
  CLI::App* app = program.add_subcommand("info", "Says what this machine and program can do, and what a model is");
  const auto model = std::make_shared<std::string>();
  app->add_option("MODEL", *model, "Folder of a model, or of a spaCy pipeline")->type_name("");
  app->footer("Example:\n  aid info modelo");
  return {app, [model] {
            print_program();
            if (model->empty()) return kDone;
            if (tokenizer::spacy::is_pipeline(*model)) {
              print_pipeline(*model);
            } else {
              print_model(*model);
            }
            return kDone;
          }};
}

}  // namespace aid::tools
