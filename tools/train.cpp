#include <cstdio>
#include <memory>

#include "io/error.h"
#include "io/file.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "train/console/interrupt.h"
#include "train/loop/fine_tune.h"
#include "train/spacy/training/blank_pipeline.h"
#include "train/spacy/training/train_textcat.h"

namespace aid::tools {
namespace {

using train::FineTuneOptions;

struct TrainOptions {
  CommonOptions common;
  FineTuneOptions run;
};

int run_training(const TrainOptions& options, const std::string& command) {
  FineTuneOptions run = options.run;
  run.precision = options.common.precision;
  if (run.precision == train::Precision::f16)
    throw io::Error(
        "--precision f16: small gradients would be zero in training; expected bf16, which has the range of f32, or "
        "f32");
  train::Progress progress(options.common.progress_style());
  Stream stream(options.common.stream());
  const DType compute = train::compute_type(run.precision, stream);
  progress.note(command + " on " + describe(stream, compute));

  ProfileSession profile(options.common.profile, stream);
  const train::InterruptScope interrupts;
  const train::FineTuneResult result = train::fine_tune(stream, run, progress, train::interrupt_requested);
  profile.report(compute);
  if (result.outcome == train::Trainer::Outcome::interrupted) {
    progress.warn("interrupted after step " + std::to_string(result.step) + " of " +
                  std::to_string(result.total_steps) +
                  ", which is saved. The same command with --resume goes on from there");
    return kInterrupted;
  }
  progress.note(run.out.string() + ": the weights of step " + std::to_string(result.best_step) +
                (result.stopped_early ? ", stopped early at step " + std::to_string(result.step) : ""));
  const std::string table = io::read_text(run.out / train::kValidationTable);
  std::fwrite(table.data(), 1, table.size(), stdout);
  return kDone;
}

// Gives the options of the file to those that the command line left out. (CLI11's own set_config() serves the top level
// only.) Before all other options: theirs are evaluated in the order of declaration.
void add_config(CLI::App& app) {
  const auto read = [&app](const std::string& file) {
    for (const CLI::ConfigItem& item : app.get_config_formatter()->from_file(file)) {
      CLI::Option* option = app.get_option_no_throw("--" + item.fullname());
      if (option == nullptr || option->get_name() == "--config")
        throw CLI::ConfigError::Extras(file + ": " + item.fullname());
      if (option->empty()) option->add_result(item.inputs);
    }
  };
  app.add_option_function<std::string>(
         "--config", read, "TOML or INI file with any of these options, such as lr = 2e-5; the command line wins")
      ->check(CLI::ExistingFile.description(""))
      ->type_name("FILE");
}

void add_folders(CLI::App& app, FineTuneOptions& run) {
  app.add_option("--train", run.train, "Texts to learn from: DIR/LABEL/*.txt")->required()->type_name("DIR");
  app.add_option("--val", run.val, "Texts that decide which weights are best")->required()->type_name("DIR");
  app.add_option("--out", run.out, "The model's folder, made when all is done")->required()->type_name("DIR");
  app.add_option("--model", run.model,
                 "Pretrained model: a Hugging Face folder with config.json, weights and tokenizer")
      ->required()
      ->type_name("DIR");
  app.add_flag_callback(
      "--from-scratch", [&run] { run.start = train::TrainingStart::From::scratch; },
      "Begin with random weights: --model needs config.json and the tokenizer only");
  CLI::Option* resume = app.add_flag_callback(
      "--resume", [&run] { run.existing = FineTuneOptions::Existing::resume; },
      "Go on with an interrupted run, bit for bit; the options must be the same");
  app.add_flag_callback(
         "--overwrite", [&run] { run.existing = FineTuneOptions::Existing::overwrite; },
         "Replace the model and discard the interrupted run that are there")
      ->excludes(resume);
}

void add_texts(CLI::App& app, FineTuneOptions& run) {
  app.add_option_function<std::string>(
         "--long", [&run](const std::string& name) { run.texts.policy = *train::long_policy_from_name(name); },
         "What of a text longer than --max-length is read: its head, its tail, head-tail (128 tokens of the head, the "
         "rest from the tail), or all in overlapping windows whose logits are averaged")
      ->check(CLI::IsMember({"head", "tail", "head-tail", "windows"}))
      ->type_name("")
      ->default_str(name_of(run.texts.policy));
  app.add_option("--max-length", run.texts.max_length,
                 "Tokens of a sequence, [CLS] and [SEP] included; 0: 512, or what the model takes where that is less")
      ->type_name("N");
  app.add_option("--stride", run.texts.stride, "windows: tokens that neighbours share")->type_name("N");
  app.add_option("--max-windows", run.texts.max_windows, "windows: at most so many a text, 0: any number")
      ->type_name("N");
  app.add_option_function<std::string>(
         "--strip-accents",
         [&run](const std::string& value) {
           if (value != "config") run.strip_accents = value == "on";
         },
         "Whether the tokenizer strips accents: as its config says, on, or off. BETO uncased never saw accents in its "
         "pretraining, though its config keeps them")
      ->check(CLI::IsMember({"config", "on", "off"}))
      ->type_name("")
      ->default_str("config");
  app.add_flag("--nfc", run.nfc,
               "Compose letters and accents (Unicode NFC) before the tokenizer; the model remembers it");
}

// Where transformers' Trainer calls an option otherwise, its name is understood too.
void add_recipe(CLI::App& app, train::Recipe& recipe, FineTuneOptions& run) {
  using Order = train::BatchPlanOptions::Order;
  app.add_option("--epochs,--num-train-epochs", recipe.epochs, "Passes over the training texts")->type_name("N");
  app.add_option("--lr,--learning-rate", recipe.lr, "Highest learning rate")->type_name("X");
  app.add_option("--batch-size,--per-device-train-batch-size", recipe.batch_size, "Texts")->type_name("N");
  app.add_option("--gradient-accumulation,--gradient-accumulation-steps", recipe.gradient_accumulation,
                 "An optimizer step takes so many batches; its loss is the mean over all their texts")
      ->type_name("N");
  app.add_option("--token-budget", recipe.token_budget,
                 "Above 0: an optimizer step takes texts up to so many tokens, instead of --batch-size")
      ->type_name("N");
  app.add_flag_callback(
      "--group-by-length", [&recipe] { recipe.order = Order::group_by_length; },
      "Texts of a step have similar lengths; the longest comes first");
  app.add_option_function<std::string>(
         "--schedule", [&recipe](const std::string& name) { recipe.schedule = *train::schedule_from_name(name); },
         "Of the learning rate after the warm-up")
      ->check(CLI::IsMember({"linear", "cosine", "constant"}))
      ->type_name("")
      ->default_str(name_of(recipe.schedule));
  app.add_option("--warmup-ratio", recipe.warmup_ratio, "Share of all steps")->type_name("X");
  app.add_option("--warmup-steps", recipe.warmup_steps, "Above 0: instead of the ratio")->type_name("N");
  app.add_option("--weight-decay", recipe.weight_decay, "Not of biases and LayerNorm")->type_name("X");
  app.add_option("--adam-beta1", recipe.adam_beta1, "AdamW: decay of the gradient's mean")->type_name("X");
  app.add_option("--adam-beta2", recipe.adam_beta2, "AdamW: decay of its mean square")->type_name("X");
  app.add_option("--adam-epsilon", recipe.adam_epsilon, "AdamW: added to the root of the mean square")->type_name("X");
  app.add_option("--max-grad-norm", recipe.max_grad_norm, "Gradients are clipped to this L2 norm; 0: not")
      ->type_name("X");
  app.add_option("--label-smoothing,--label-smoothing-factor", recipe.label_smoothing,
                 "Share of the target that goes to all classes alike")
      ->type_name("X");
  app.add_option("--class-weights", run.class_weighting,
                 "Weights of the classes in the loss: none, balanced (texts / classes / texts of the class), or a JSON "
                 "file {\"label\": weight, ...}")
      ->type_name("{none,balanced,FILE}");
  app.add_option("--seed", recipe.seed, "Of new weights, the order of texts and dropout")->type_name("N");
}

void add_evaluation(CLI::App& app, train::Recipe& recipe, FineTuneOptions& run) {
  app.add_option_function<std::string>(
         "--metric-for-best-model",
         [&recipe](const std::string& name) { recipe.best_metric = *train::best_metric_from_name(name); },
         "Of --val, decides which weights are kept; last: those of the last step")
      ->check(CLI::IsMember({"accuracy", "macro-f1", "loss", "last"}))
      ->type_name("")
      ->default_str(name_of(recipe.best_metric));
  app.add_option("--eval-every,--eval-steps", recipe.eval_every, "Steps between evaluations; 0: after every epoch")
      ->type_name("N");
  app.add_option("--early-stopping,--early-stopping-patience", recipe.early_stopping,
                 "Stop after so many evaluations without a better one; 0: never")
      ->type_name("N");
  app.add_option("--save-every,--save-steps", run.save_every,
                 "Steps between checkpoints, besides every epoch's end; 0: none")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N");
  app.add_option("--keep-checkpoints,--save-total-limit", run.keep_checkpoints,
                 "The newest so many, besides the best model")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("N");
  app.add_option("--pass-tokens", run.tokens_per_pass,
                 "Most tokens that go through the network at a time: bounds the memory, whatever the batch size")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("N");
}

struct Kind {
  const char *name, *description;
  nn::BertConfig::Architecture architecture;
};
constexpr Kind kKinds[] = {
    {"beto", "Fine-tunes BETO or another BERT model", nn::BertConfig::Architecture::bert},
    {"distilbeto", "Fine-tunes DistilBETO or another DistilBERT model", nn::BertConfig::Architecture::distilbert}};

std::shared_ptr<TrainOptions> add_kind(CLI::App& app, const Kind& kind) {
  auto options = std::make_shared<TrainOptions>();
  options->run.architecture = kind.architecture;
  app.option_defaults()->always_capture_default();
  add_config(app);
  add_folders(app, options->run);
  add_texts(app, options->run);
  add_recipe(app, options->run.recipe, options->run);
  add_evaluation(app, options->run.recipe, options->run);
  add_common_options(app, options->common);
  app.footer(
      std::string("The defaults are the recipe that BETO's authors found best on document classification\n"
                  "(github.com/gchaperon/beto-benchmarks, MLDoc). Training goes on in OUT.training, with checkpoints\n"
                  "after every epoch; Ctrl-C finishes the step, saves, and tells how to resume.\n"
                  "Example:\n  aid train ") +
      kind.name +
      " --train data_v1/text_dataset/train --val data_v1/text_dataset/val \\\n"
      "      --model beto --out modelo_v1\n"
      "Exit status: 0 done, 1 training diverged or the disk is full, 2 wrong usage or bad input, 130 interrupted");
  return options;
}

struct TextCatOptions {
  CommonOptions common;
  train::TextCatTraining run;
};

int run_textcat(const TextCatOptions& options) {
  if (options.common.precision == train::Precision::bf16 || options.common.precision == train::Precision::f16) {
    throw io::Error("--precision: a text categorizer is trained in f32, as spaCy's are; leave it out");
  }
  train::Progress progress(options.common.progress_style());
  Stream stream(options.common.stream());
  progress.note("textcat on " + describe(stream, DType::f32));
  ProfileSession profile(options.common.profile, stream);
  const train::InterruptScope interrupts;
  const train::TextCatResult result = train_textcat(stream, options.run, progress, train::interrupt_requested);
  profile.report(DType::f32);
  using End = train::TextCatResult::End;
  const bool interrupted = result.end == End::interrupted;
  progress.note(options.run.out.string() + ": the weights of step " + std::to_string(result.best_step) +
                (result.end == End::patience
                     ? ", stopped at step " + std::to_string(result.step) + " without better ones"
                 : interrupted ? ", the best so far; interrupted at step " + std::to_string(result.step)
                               : ""));
  if (interrupted) return kInterrupted;
  const std::string table = io::read_text(options.run.out / train::kTextCatTable);
  std::fwrite(table.data(), 1, table.size(), stdout);
  return kDone;
}

std::shared_ptr<TextCatOptions> add_textcat(CLI::App& app) {
  auto options = std::make_shared<TextCatOptions>();
  train::TextCatTraining& run = options->run;
  app.option_defaults()->always_capture_default();
  app.add_option("--train", run.train, "Texts to learn from: a folder DIR/LABEL/*.txt, or spaCy's .spacy files")
      ->required()
      ->type_name("PATH");
  app.add_option("--val", run.val, "Texts that decide which weights are best")->required()->type_name("PATH");
  app.add_option("--out", run.out, "The pipeline's folder, made when all is done")->required()->type_name("DIR");
  CLI::Option* config =
      app.add_option("--config", run.config, "config.cfg of spaCy's (`spacy init config`): the model and its training")
          ->check(CLI::ExistingFile.description(""))
          ->type_name("FILE");
  CLI::Option* model =
      app.add_option(
             "--model", run.model,
             "A pipeline to begin with: its config.cfg, tokenizer, vectors and, where it has the same labels, weights")
          ->check(CLI::ExistingDirectory.description(""))
          ->type_name("DIR")
          ->excludes(config);
  app.add_flag("--from-scratch", run.from_scratch, "Not the weights of --model")->needs(model);
  app.add_option("--lang", run.language, "Without --config and --model: whose tokenizer")
      ->check(CLI::IsMember(train::known_languages()))
      ->type_name("")
      ->excludes(config)
      ->excludes(model);
  app.add_flag("--overwrite", run.overwrite, "Replace the model and discard the unfinished run that are there");
  // Over what the config says, which remembers them.
  const auto add_setting = [&](const std::string& names, const char* section, const char* key, const char* what,
                               const char* type) {
    app.add_option_function<std::string>(
           names,
           [&run, section, key](const std::string& value) {
             run.settings.push_back({section, key, value});
           },
           what)
        ->check(CLI::Number.description(""))
        ->type_name(type)
        ->default_str("the config's");
  };
  add_setting("--epochs,--max-epochs", "training", "max_epochs",
              "Passes over the training texts, at most; 0: any number", "N");
  add_setting("--max-steps", "training", "max_steps", "Optimizer steps, at most; 0: any number", "N");
  add_setting("--patience", "training", "patience", "Stop after so many steps without a better score; 0: never", "N");
  add_setting("--eval-every,--eval-frequency", "training", "eval_frequency", "Steps between evaluations", "N");
  add_setting("--dropout", "training", "dropout", "Share that is dropped", "X");
  add_setting("--gradient-accumulation,--accumulate-gradient", "training", "accumulate_gradient",
              "A step takes its batch in so many pieces", "N");
  add_setting("--lr,--learn-rate", "training.optimizer", "learn_rate", "Adam's learning rate", "X");
  add_setting("--weight-decay,--l2", "training.optimizer", "L2", "Of all weights", "X");
  add_setting("--seed", "training", "seed", "Of first weights, the order of texts and dropout", "N");
  add_common_options(app, options->common);
  app.footer(
      "Without --config and --model: spaCy's text categorizer as it comes (an ensemble of a convolutional network and "
      "a\n"
      "bag of words), trained as `spacy train` does. The pipeline opens with spacy.load(). Ctrl-C ends the run with "
      "the\n"
      "best weights so far.\n"
      "Example:\n  aid train textcat --train data_v1/text_dataset/train --val data_v1/text_dataset/val --out "
      "modelo_v1\n"
      "Exit status: 0 done, 1 training diverged or the disk is full, 2 wrong usage or bad input, 130 interrupted");
  return options;
}

}  // namespace

Command add_train(CLI::App& program) {
  CLI::App* app = program.add_subcommand("train", "Fine-tunes a pretrained model on folders of texts");
  app->require_subcommand(1);
  struct Choice {
    CLI::App* app;
    std::string name;
    std::shared_ptr<TrainOptions> options;
  };
  std::vector<Choice> choices;
  for (const Kind& kind : kKinds) {
    CLI::App* kind_app = app->add_subcommand(kind.name, kind.description);
    choices.push_back({kind_app, kind.name, add_kind(*kind_app, kind)});
  }
  CLI::App* textcat = app->add_subcommand("textcat", "Trains a text categorizer of spaCy's");
  const auto textcat_options = add_textcat(*textcat);
  return {app, [choices, textcat, textcat_options]() -> int {
            if (textcat->parsed()) return run_textcat(*textcat_options);
            for (const Choice& choice : choices) {
              if (choice.app->parsed()) return run_training(*choice.options, choice.name);
            }
            return kBadInput;
          }};
}

}  // namespace aid::tools
