#include "train/spacy/thinc_model.h"

#include <algorithm>
#include <cstring>

#include "io/error.h"
#include "io/file.h"
#include "io/weights/tensor.h"
#include "train/spacy/attributes.h"
#include "train/spacy/thinc_file.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;

// Where columns are named, by their number.
Json plain(const Json& value) {
  if (value.is_string()) {
    if (const auto number = attribute_number(value.get<std::string>())) return *number;
  } else if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) list.push_back(plain(item));
    return list;
  }
  return value;
}

std::string shown(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void check_tree(const std::filesystem::path& file, const std::vector<const ThincNode*>& expected,
                const std::vector<ThincFileNode>& found) {
  for (size_t i = 0; i < std::min(expected.size(), found.size()); ++i) {
    const bool named = !expected[i]->name.empty();
    if (!named || expected[i]->name == found[i].name) continue;
    throw io::Error(file.string() + ": node " + std::to_string(i) + " is \"" + found[i].name +
                    "\"; by config.cfg it is \"" + expected[i]->name +
                    "\": one of the files is another pipeline's, or of a version of spaCy that is not known");
  }
  if (expected.size() != found.size()) {
    throw io::Error(file.string() + ": " + std::to_string(found.size()) + " nodes; by config.cfg there are " +
                    std::to_string(expected.size()) +
                    ": one of the files is another pipeline's, or of a version of spaCy that is not known");
  }
}

void list_problems(const ThincNode& expected, const ThincFileNode& found, const std::string& what,
                   std::vector<std::string>& problems) {
  for (const auto& [name, value] : expected.attributes.items()) {
    const auto its = found.attributes.find(name);
    if (its != found.attributes.end() && plain(its->second) != plain(value)) {
      problems.push_back("attribute: " + what + ", " + name + " is " + shown(its->second) + ", by config.cfg " +
                         shown(value));
    }
  }
  for (const ThincNode::Parameter& parameter : expected.parameters) {
    const auto its = found.parameters.find(parameter.name);
    const std::string name = what + ", " + parameter.name;
    if (its == found.parameters.end() || !its->second) {
      problems.push_back("missing: " + name);
    } else if (its->second->type != "<f4") {
      problems.push_back("type: " + name + " is " + its->second->type + ", expected <f4");
    } else if (its->second->shape != parameter.shape) {
      problems.push_back("shape: " + name + " is " + io::shape_text(its->second->shape) + ", by config.cfg " +
                         io::shape_text(parameter.shape));
    }
  }
  for (const auto& [name, array] : found.parameters) {
    const bool wanted = std::any_of(expected.parameters.begin(), expected.parameters.end(),
                                    [&, &its = name](const auto& parameter) { return parameter.name == its; });
    if (!wanted) problems.push_back("spare: " + what + ", " + name);
  }
}

Tensor copied(std::string_view data) {
  Tensor values(DType::f32, 1, static_cast<int64_t>(data.size() / sizeof(float)));
  std::memcpy(values.span().data, data.data(), data.size());
  return values;
}

}  // namespace

std::map<std::string, Tensor> read_thinc_model(const std::filesystem::path& file, const ThincNode& tree) {
  const io::MappedFile mapped(file);
  const std::string_view bytes(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  const std::vector<ThincFileNode> found = parse_thinc_file(bytes, file.string());
  const std::vector<const ThincNode*> expected = breadth_first(tree);
  check_tree(file, expected, found);
  std::vector<std::string> problems;
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string& name = expected[i]->name;
    list_problems(*expected[i], found[i], "node " + std::to_string(i) + (name.empty() ? "" : " " + name), problems);
  }
  if (!problems.empty()) {
    std::string message = file.string() + " does not hold the model that config.cfg describes:";
    for (const std::string& problem : problems) message += "\n  " + problem;
    throw io::Error(message);
  }
  std::map<std::string, Tensor> values;
  for (size_t i = 0; i < found.size(); ++i) {
    for (const auto& parameter : expected[i]->parameters) {
      values.emplace(parameter.target, copied(found[i].parameters.at(parameter.name)->data));
    }
  }
  return values;
}

}  // namespace aid::train
