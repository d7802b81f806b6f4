#include <cstdio>
#include <memory>

#include "kernels/core/stream.h"
#include "kernels/device/runtime.h"
#include "tokenizer/tokenizer.h"
#include "tools/commands.h"
#include "train/model/classifier.h"
#include "train/model/hf_model.h"
#include "train/model/run_record.h"
#include "train/model/versions.h"

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

void print_model(const std::string& folder) {
  train::HfModel model = train::open_for_inference(folder, DType::f32);
  const nn::BertConfig& c = model.config.model;
  int64_t parameters = 0;
  for (const nn::Parameter& parameter : model.network.parameters()) parameters += parameter.value.size();
  print("model", folder);
  print("kind", c.architecture == nn::BertConfig::Architecture::bert ? "beto" : "distilbeto");
  print("labels", std::to_string(c.labels) + ": " + joined(model.config.labels));
  print("parameters", std::to_string(parameters));
  print("layers", std::to_string(c.layers) + " of " + std::to_string(c.hidden) + " with " + std::to_string(c.heads) +
                      " heads, inside " + std::to_string(c.intermediate));
  print("vocabulary", std::to_string(c.vocab_size) + " tokens");
  print("positions", std::to_string(c.max_positions));
  std::vector<std::string> files;
  for (const auto& file : model.weights.files()) files.push_back(file.filename().string());
  print("weights", joined(files));
  for (const std::string& note : model.notes) print("note", note);
  if (const auto record = train::read_run_record(folder)) print_record(*record);
}

}  // namespace

Command add_info(CLI::App& program) {
  CLI::App* app = program.add_subcommand("info", "Says what this machine and program can do, and what a model is");
  const auto model = std::make_shared<std::string>();
  app->add_option("MODEL", *model, "Folder of a model")->type_name("");
  app->footer("Example:\n  aid info modelo");
  return {app, [model] {
            print_program();
            if (!model->empty()) print_model(*model);
            return kDone;
          }};
}

}  // namespace aid::tools
