#include "train/spacy/write_thinc_model.h"

#include "io/error.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;

// MessagePack (msgpack.org's spec.md), each value as short as it can be. nlohmann/json's writer has no maps whose keys
// are bytes, which msgpack_numpy asks for.
class MsgpackWriter {
 public:
  void nil() { byte(0xc0); }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void unsigned_number(uint64_t value) {
    if (value < 0x80) return byte(static_cast<uint8_t>(value));
    if (value <= UINT8_MAX) return number(0xcc, value, 1);
    if (value <= UINT16_MAX) return number(0xcd, value, 2);
    if (value <= UINT32_MAX) return number(0xce, value, 4);
    number(0xcf, value, 8);
  }
  void string(std::string_view value) {
    if (value.size() < 32) {
      byte(static_cast<uint8_t>(0xa0 | value.size()));
    } else {
      length(0xd9, value.size());
    }
    bytes_ += value;
  }
  void binary(std::string_view value) {
    length(0xc4, value.size());
    bytes_ += value;
  }
  void array(size_t values) { collection(0x90, 0xdc, values); }
  void map(size_t pairs) { collection(0x80, 0xde, pairs); }

  void json(const Json& value) {
    if (value.is_boolean()) return boolean(value.get<bool>());
    if (value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0)) {
      return unsigned_number(value.get<uint64_t>());
    }
    if (value.is_string()) return string(value.get_ref<const std::string&>());
    if (!value.is_array())
      throw io::Error("a model's attribute is " + value.dump() + "; expected a number, a string...");
    array(value.size());
    for (const Json& item : value) json(item);
  }

  std::string take() { return std::move(bytes_); }

 private:
  void byte(uint8_t value) { bytes_ += static_cast<char>(value); }
  void number(uint8_t head, uint64_t value, int size) {
    byte(head);
    for (int i = size - 1; i >= 0; --i) byte(static_cast<uint8_t>(value >> (8 * i)));
  }
  // Heads for lengths of one, two and four bytes follow one another.
  void length(uint8_t head, size_t size) {
    if (size <= UINT8_MAX) return number(head, size, 1);
    if (size <= UINT16_MAX) return number(head + 1, size, 2);
    number(head + 2, size, 4);
  }
  void collection(uint8_t small, uint8_t head, size_t size) {
    if (size < 16) return byte(static_cast<uint8_t>(small | size));
    if (size <= UINT16_MAX) return number(head, size, 2);
    number(head + 1, size, 4);
  }

  std::string bytes_;
};

// Of a layer's extents, what thinc calls each: in the order of its first parameter's shape.
std::vector<std::string> dimensions_of(const std::string& layer) {
  if (layer == "maxout") return {"nO", "nP", "nI"};
  if (layer == "hashembed") return {"nV", "nO"};
  if (layer == "charembed") return {"nC", "nV", "nM"};
  if (layer == "static_vectors") return {"nO", "nM"};
  if (layer == "layernorm" || layer == "para-attn") return {"nO"};
  if (layer == "linear" || layer == "softmax" || layer == "gelu") return {"nO", "nI"};
  return {};
}

void write_dimensions(MsgpackWriter& writer, const ThincNode& node) {
  std::map<std::string, int64_t> dimensions;
  if (node.name == "sparse_linear") {
    const int64_t labels = node.parameters.at(1).shape.at(0);
    dimensions = {{"nO", labels}, {"length", node.parameters.at(0).shape.at(0) / labels}};
  } else if (!node.parameters.empty()) {
    const std::vector<std::string> names = dimensions_of(node.name);
    for (size_t i = 0; i < names.size(); ++i) dimensions[names[i]] = node.parameters.front().shape.at(i);
    if (node.name == "layernorm") dimensions["nI"] = dimensions["nO"];
  }
  writer.map(dimensions.size());
  for (const auto& [name, size] : dimensions) {
    writer.string(name);
    writer.unsigned_number(static_cast<uint64_t>(size));
  }
}

std::string name_of(const ThincNode& node) {
  if (!node.name.empty()) return node.name;
  std::string name;
  for (const ThincNode& child : node.children) name += (name.empty() ? "" : ">>") + name_of(child);
  return name;
}

void write_array(MsgpackWriter& writer, const ThincNode::Parameter& parameter, const std::vector<float>& values) {
  writer.map(5);
  writer.binary("nd");
  writer.boolean(true);
  writer.binary("type");
  writer.string("<f4");
  writer.binary("kind");
  writer.binary("");
  writer.binary("shape");
  writer.array(parameter.shape.size());
  for (const int64_t extent : parameter.shape) writer.unsigned_number(static_cast<uint64_t>(extent));
  writer.binary("data");
  writer.binary({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

}  // namespace

std::string thinc_model_bytes(const ThincNode& tree, const std::map<std::string, std::vector<float>>& values) {
  const std::vector<const ThincNode*> nodes = breadth_first(tree);
  MsgpackWriter writer;
  writer.map(4);
  writer.string("nodes");
  writer.array(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    writer.map(4);
    writer.string("index");
    writer.unsigned_number(i);
    writer.string("name");
    writer.string(name_of(*nodes[i]));
    writer.string("dims");
    write_dimensions(writer, *nodes[i]);
    writer.string("refs");
    writer.map(0);
  }
  writer.string("attrs");
  writer.array(nodes.size());
  for (const ThincNode* node : nodes) {
    writer.map(node->attributes.size());
    for (const auto& [name, value] : node->attributes.items()) {
      MsgpackWriter blob;
      blob.json(value);
      writer.string(name);
      writer.binary(blob.take());
    }
  }
  writer.string("params");
  writer.array(nodes.size());
  for (const ThincNode* node : nodes) {
    writer.map(node->parameters.size());
    for (const ThincNode::Parameter& parameter : node->parameters) {
      writer.string(parameter.name);
      write_array(writer, parameter, values.at(parameter.target));
    }
  }
  writer.string("shims");
  writer.array(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) writer.array(0);
  return writer.take();
}

}  // namespace aid::train
