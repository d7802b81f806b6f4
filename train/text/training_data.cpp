#include "train/text/training_data.h"

#include "io/error.h"

namespace aid::train {

TrainingData read_training_data(const std::filesystem::path& train, const std::filesystem::path& val,
                                const ThreadTeam& team, Progress& progress) {
  TrainingData data{.train_folder = io::open_labelled_folder(train), .val_folder = io::open_labelled_folder(val)};
  io::check_same_labels(data.train_folder.labels, "--train " + train.string(), data.val_folder.labels,
                        "--val " + val.string());
  data.train = read_texts(data.train_folder, team);
  data.val = read_texts(data.val_folder, team);
  for (const TextData* part : {&data.train, &data.val}) {
    for (const io::Skipped& skipped : part->skipped) {
      progress.warn("left out: " + skipped.path.string() + ": " + skipped.reason);
    }
  }
  if (const size_t skipped = data.train.skipped.size() + data.val.skipped.size(); skipped > 0) {
    progress.warn("files left out: " + std::to_string(skipped));
  }
  const auto counts = count_classes(data.train);
  for (size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] > 0) continue;
    throw io::Error("--train " + train.string() + ": label " + data.train.labels[k] +
                    " has no text that can be read; expected one at least");
  }
  progress.note(describe_classes(data.train, data.val));
  progress.note("encodings: train " + describe_encodings(data.train) + "; val " + describe_encodings(data.val));
  return data;
}

}  // namespace aid::train
