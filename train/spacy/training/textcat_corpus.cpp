#include "train/spacy/training/textcat_corpus.h"

#include <algorithm>

#include "io/error.h"
#include "io/file.h"
#include "train/spacy/training/doc_bin.h"
#include "train/text/training_data.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;

// Sorted, as spaCy reads them; empty for a labelled folder.
std::vector<fs::path> collections_of(const fs::path& path) {
  if (fs::is_regular_file(path)) return {path};
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file() && it->path().extension() == ".spacy") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Collections {
  std::vector<DocBinDocument> documents;
  std::string sha256;
};

Collections read_collections(const std::vector<fs::path>& files) {
  Collections all;
  std::string hashes;
  for (const fs::path& file : files) {
    for (DocBinDocument& document : read_doc_bin(file)) {
      if (!document.utf8.empty()) all.documents.push_back(std::move(document));
    }
    hashes += io::sha256_hex(io::read_text(file));
  }
  all.sha256 = files.size() == 1 ? hashes : io::sha256_hex(hashes);
  if (all.documents.empty())
    throw io::Error(files.front().string() + ": no document with a text; expected one at least");
  return all;
}

TextCatTexts texts_of(Collections&& all, const std::vector<std::string>& labels, const std::string& name) {
  TextCatTexts texts{.sha256 = std::move(all.sha256)};
  texts.truth.resize(all.documents.size() * labels.size());
  texts.known.resize(texts.truth.size());
  for (size_t d = 0; d < all.documents.size(); ++d) {
    for (const auto& [label, value] : all.documents[d].cats) {
      if (value != 0 && value != 1) {
        throw io::Error(name + ": document " + std::to_string(d) + ": " + label + " is " + std::to_string(value) +
                        "; expected 0 or 1");
      }
      const auto k = static_cast<size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
      if (k == labels.size()) continue;  // of --val alone
      texts.truth[d * labels.size() + k] = static_cast<float>(value);
      texts.known[d * labels.size() + k] = 1;
    }
    texts.utf8.push_back(std::move(all.documents[d].utf8));
  }
  if (std::find(texts.known.begin(), texts.known.end(), 0.0f) == texts.known.end()) texts.known.clear();
  return texts;
}

TextCatTexts texts_of(TextData&& data, const io::LabelledFolder& folder) {
  TextCatTexts texts{.utf8 = std::move(data.utf8), .sha256 = io::fingerprint(folder)};
  texts.truth.resize(texts.utf8.size() * data.labels.size());
  for (size_t d = 0; d < texts.utf8.size(); ++d) {
    texts.truth[d * data.labels.size() + static_cast<size_t>(data.classes[d])] = 1;
  }
  return texts;
}

}  // namespace

TextCatCorpora read_textcat_corpora(const fs::path& train, const fs::path& val, const ThreadTeam& team,
                                    Progress& progress) {
  const std::vector<fs::path> train_files = collections_of(train), val_files = collections_of(val);
  if (train_files.empty() != val_files.empty()) {
    throw io::Error("--train " + train.string() + " and --val " + val.string() +
                    ": one has .spacy files and the other has not; expected two of a kind");
  }
  if (train_files.empty()) {
    TrainingData data = read_training_data(train, val, team, progress);
    TextCatCorpora corpora{.labels = data.train.labels};
    corpora.train = texts_of(std::move(data.train), data.train_folder);
    corpora.val = texts_of(std::move(data.val), data.val_folder);
    return corpora;
  }
  Collections learnt = read_collections(train_files), measured = read_collections(val_files);
  TextCatCorpora corpora;
  for (const DocBinDocument& document : learnt.documents) {
    for (const auto& [label, value] : document.cats) {
      if (std::find(corpora.labels.begin(), corpora.labels.end(), label) == corpora.labels.end()) {
        corpora.labels.push_back(label);
      }
    }
  }
  if (corpora.labels.empty()) throw io::Error("--train " + train.string() + ": no document has cats; expected labels");
  corpora.train = texts_of(std::move(learnt), corpora.labels, "--train " + train.string());
  corpora.val = texts_of(std::move(measured), corpora.labels, "--val " + val.string());
  progress.note(std::to_string(corpora.labels.size()) + " labels; texts: train " +
                std::to_string(corpora.train.utf8.size()) + ", val " + std::to_string(corpora.val.utf8.size()));
  return corpora;
}

std::optional<std::vector<int32_t>> single_labels(const TextCatTexts& texts, size_t labels) {
  std::vector<int32_t> single;
  for (size_t d = 0; d < texts.utf8.size(); ++d) {
    const auto begin = texts.truth.begin() + static_cast<std::ptrdiff_t>(d * labels);
    const auto end = begin + static_cast<std::ptrdiff_t>(labels);
    if (std::count(begin, end, 1.0f) != 1) return std::nullopt;
    single.push_back(static_cast<int32_t>(std::find(begin, end, 1.0f) - begin));
  }
  return single;
}

}  // namespace aid::train
