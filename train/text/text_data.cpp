#include "train/text/text_data.h"

#include <algorithm>
#include <optional>

#include "io/error.h"
#include "train/console/text_width.h"

namespace aid::train {

TextData read_texts(const io::LabelledFolder& folder, const ThreadTeam& team) {
  struct File {
    std::optional<io::Text> text;
    std::vector<io::Skipped> skipped;
  };
  std::vector<File> files(folder.examples.size());
  team.tasks(static_cast<int64_t>(files.size()), [&](int64_t i) {
    File& file = files[static_cast<size_t>(i)];
    file.text = io::load_text(folder.examples[static_cast<size_t>(i)].file, file.skipped);
  });
  TextData data{.labels = folder.labels, .skipped = folder.skipped};
  for (size_t i = 0; i < files.size(); ++i) {
    File& file = files[i];
    data.skipped.insert(data.skipped.end(), file.skipped.begin(), file.skipped.end());
    if (!file.text) continue;
    ++data.encodings[std::string(io::encoding_name(file.text->encoding))];
    data.utf8.push_back(std::move(file.text->utf8));
    data.classes.push_back(folder.examples[i].label);
  }
  if (data.utf8.empty()) {
    throw io::Error(folder.folder.string() + ": none of its " + std::to_string(files.size()) +
                    " texts can be read; the first: " + data.skipped.front().path.string() + ": " +
                    data.skipped.front().reason);
  }
  return data;
}

std::vector<int64_t> count_classes(const TextData& data) {
  std::vector<int64_t> counts(data.labels.size(), 0);
  for (const int32_t k : data.classes) ++counts[static_cast<size_t>(k)];
  return counts;
}

std::string describe_classes(const TextData& train, const TextData& val) {
  size_t width = 5;
  for (const std::string& label : train.labels) width = std::max(width, width_of(label));
  const auto line = [&](const std::string& name, const std::string& a, const std::string& b) {
    return left_aligned(name, width) + right_aligned(a, 9) + right_aligned(b, 9) + "\n";
  };
  const auto in_train = count_classes(train), in_val = count_classes(val);
  std::string text = line("class", "train", "val");
  for (size_t k = 0; k < train.labels.size(); ++k) {
    text += line(train.labels[k], std::to_string(in_train[k]), std::to_string(in_val[k]));
  }
  return text + line("all", std::to_string(train.utf8.size()), std::to_string(val.utf8.size()));
}

std::string describe_encodings(const TextData& data) {
  std::string text;
  for (const auto& [name, count] : data.encodings) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " in " + name;
  }
  return text;
}

}  // namespace aid::train
