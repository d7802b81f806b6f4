// The models of spaCy's components (COMPONENT/model) as they lie in the file: what thinc.model.Model.to_bytes() writes.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aid::train {

struct ThincArray {
  std::string type;  // numpy's: "<f4"
  std::vector<int64_t> shape;
  std::string_view data;  // lies in the file's bytes; of <f4 as many as the shape says
};
struct ThincFileNode {
  std::string name;
  std::map<std::string, nlohmann::json> attributes;             // null: neither number, string, nor a list of such
  std::map<std::string, std::optional<ThincArray>> parameters;  // none: the parameter has no value
};

// The nodes in their order. `file`: its name in errors. Throws tokenizer::Error for what is broken.
std::vector<ThincFileNode> parse_thinc_file(std::string_view bytes, const std::string& file);

}  // namespace aid::train
