#include "train/spacy/training/blank_pipeline.h"

#include "io/error.h"

namespace aid::train {
namespace {

struct BlankTokenizer {
  std::string_view language;
  size_t size;
  const char* bytes;
};
constexpr BlankTokenizer kTokenizers[] = {
#include "train/spacy/training/tokenizers.inc"
};

constexpr std::string_view kConfig = R"([paths]
train = null
dev = null
vectors = null
init_tok2vec = null

[system]
gpu_allocator = null
seed = 0

[nlp]
lang = "LANGUAGE"
pipeline = ["textcat"]
batch_size = 1000
disabled = []
before_creation = null
after_creation = null
after_pipeline_creation = null
tokenizer = {"@tokenizers":"spacy.Tokenizer.v1"}
vectors = {"@vectors":"spacy.Vectors.v1"}

[components]

[components.textcat]
factory = "textcat"
scorer = {"@scorers":"spacy.textcat_scorer.v2"}
threshold = 0.0

[components.textcat.model]
@architectures = "spacy.TextCatEnsemble.v2"
nO = null

[components.textcat.model.linear_model]
@architectures = "spacy.TextCatBOW.v3"
exclusive_classes = true
length = 262144
ngram_size = 1
no_output_layer = false
nO = null

[components.textcat.model.tok2vec]
@architectures = "spacy.Tok2Vec.v2"

[components.textcat.model.tok2vec.embed]
@architectures = "spacy.MultiHashEmbed.v2"
width = 64
rows = [2000,2000,500,1000,500]
attrs = ["NORM","LOWER","PREFIX","SUFFIX","SHAPE"]
include_static_vectors = false

[components.textcat.model.tok2vec.encode]
@architectures = "spacy.MaxoutWindowEncoder.v2"
width = 64
window_size = 1
maxout_pieces = 3
depth = 2

[corpora]

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}
max_length = 0
gold_preproc = false
limit = 0
augmenter = null

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}
max_length = 0
gold_preproc = false
limit = 0
augmenter = null

[training]
dev_corpus = "corpora.dev"
train_corpus = "corpora.train"
seed = ${system.seed}
gpu_allocator = ${system.gpu_allocator}
dropout = 0.1
accumulate_gradient = 1
patience = 1600
max_epochs = 0
max_steps = 20000
eval_frequency = 200
frozen_components = []
annotating_components = []
before_to_disk = null
before_update = null

[training.batcher]
@batchers = "spacy.batch_by_words.v1"
discard_oversize = false
tolerance = 0.2
get_length = null

[training.batcher.size]
@schedules = "compounding.v1"
start = 100
stop = 1000
compound = 1.001
t = 0.0

[training.logger]
@loggers = "spacy.ConsoleLogger.v1"
progress_bar = false

[training.optimizer]
@optimizers = "Adam.v1"
beta1 = 0.9
beta2 = 0.999
L2_is_weight_decay = true
L2 = 0.01
grad_clip = 1.0
use_averages = false
eps = 0.00000001
learn_rate = 0.001

[training.score_weights]
cats_score = 1.0

[pretraining]

[initialize]
vectors = ${paths.vectors}
init_tok2vec = ${paths.init_tok2vec}
vocab_data = null
lookups = null
before_init = null
after_init = null

[initialize.components]

[initialize.tokenizer]
)";

}  // namespace

std::vector<std::string> known_languages() {
  std::vector<std::string> languages;
  for (const BlankTokenizer& tokenizer : kTokenizers) languages.emplace_back(tokenizer.language);
  return languages;
}

std::string_view tokenizer_of(std::string_view language) {
  std::string known;
  for (const BlankTokenizer& tokenizer : kTokenizers) {
    if (tokenizer.language == language) return {tokenizer.bytes, tokenizer.size};
    known += (known.empty() ? "" : ", ") + std::string(tokenizer.language);
  }
  throw io::Error("language \"" + std::string(language) + "\": aid has the tokenizers of " + known +
                  " by itself; expected one of them, or --model PIPELINE with a pipeline of that language");
}

std::string default_config(std::string_view language) {
  constexpr std::string_view kPlace = "LANGUAGE";
  std::string config(kConfig);
  return config.replace(config.find(kPlace), kPlace.size(), language);
}

}  // namespace aid::train
