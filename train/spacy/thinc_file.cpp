#include "train/spacy/thinc_file.h"

#include "io/weights/tensor.h"
#include "tokenizer/spacy/msgpack.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;
using Reader = tokenizer::spacy::MsgpackReader;

// Keys are bytes where msgpack_numpy wrote them.
std::string_view read_key(Reader& reader, const std::string& what) {
  return reader.peek() == Reader::Type::kBinary ? reader.read_binary(what) : reader.read_string(what);
}

ThincArray read_array(Reader& reader, const std::string& what) {
  const size_t begin = reader.position();
  ThincArray array;
  for (size_t pairs = reader.read_map(what); pairs > 0; --pairs) {
    const std::string_view key = read_key(reader, what);
    if (key == "type" && reader.peek() == Reader::Type::kString) {
      array.type = reader.read_string(what + ", the type");
    } else if (key == "shape") {
      for (size_t left = reader.read_array(what + ", the shape"); left > 0; --left) {
        array.shape.push_back(static_cast<int64_t>(reader.read_unsigned(what + ", the shape")));
      }
    } else if (key == "data") {
      array.data = reader.read_binary(what + ", the data");
    } else {
      reader.skip();
    }
  }
  if (array.type == "<f4" && io::byte_size(io::DType::f32, array.shape) != array.data.size()) {
    reader.refuse(begin, what + " is " + io::shape_text(array.shape) + " and has " + std::to_string(array.data.size()) +
                             " bytes; copy the file again");
  }
  return array;
}

// Of an attribute: booleans, whole numbers, strings and lists of them; null for anything else.
Json read_attribute(Reader& reader, bool in_list = false) {
  using Type = Reader::Type;
  switch (reader.peek()) {
    case Type::kBool:
      return reader.read_bool("an attribute");
    case Type::kUnsigned:
      return reader.read_unsigned("an attribute");
    case Type::kString:
      return reader.read_string("an attribute");
    case Type::kArray:
      if (!in_list) {
        Json list = Json::array();
        for (size_t left = reader.read_array("an attribute"); left > 0; --left) {
          list.push_back(read_attribute(reader, true));
        }
        return list;
      }
      [[fallthrough]];
    default:
      reader.skip();
      return {};
  }
}

// Each is MessagePack of its own within the file's.
std::map<std::string, Json> read_attributes(Reader& reader, const std::string& file, const std::string& what) {
  std::map<std::string, Json> attributes;
  for (size_t pairs = reader.read_map(what); pairs > 0; --pairs) {
    const std::string name(reader.read_string(what));
    Reader value(reader.read_binary(what + ", " + name), file + ": " + what + ", " + name);
    attributes.insert_or_assign(name, read_attribute(value));
  }
  return attributes;
}

std::map<std::string, std::optional<ThincArray>> read_parameters(Reader& reader, const std::string& what) {
  std::map<std::string, std::optional<ThincArray>> parameters;
  for (size_t pairs = reader.read_map(what); pairs > 0; --pairs) {
    const std::string name(reader.read_string(what));
    if (reader.peek() == Reader::Type::kNil) {
      reader.skip();
      parameters.insert_or_assign(name, std::nullopt);
    } else {
      parameters.insert_or_assign(name, read_array(reader, what + ", " + name));
    }
  }
  return parameters;
}

std::string read_name(Reader& reader, const std::string& what) {
  std::string name;
  for (size_t pairs = reader.read_map(what); pairs > 0; --pairs) {
    if (reader.read_string(what) == "name") {
      name = reader.read_string(what + ", its name");
    } else {
      reader.skip();
    }
  }
  return name;
}

}  // namespace

std::vector<ThincFileNode> parse_thinc_file(std::string_view bytes, const std::string& file) {
  Reader reader(bytes, file);
  std::vector<ThincFileNode> nodes;
  for (size_t parts = reader.read_map("the model"); parts > 0; --parts) {
    const std::string part(reader.read_string("the name of a part"));
    if (part != "nodes" && part != "attrs" && part != "params") {
      reader.skip();
      continue;
    }
    const size_t begin = reader.position();
    const size_t count = reader.read_array('"' + part + '"');
    if (nodes.empty()) nodes.resize(count);
    if (count != nodes.size()) {
      reader.refuse(begin, '"' + part + "\" is of " + std::to_string(count) + " nodes, another part of " +
                               std::to_string(nodes.size()) + "; copy the file again");
    }
    for (size_t i = 0; i < count; ++i) {
      const std::string what = "node " + std::to_string(i);
      if (part == "nodes") nodes[i].name = read_name(reader, what);
      if (part == "attrs") nodes[i].attributes = read_attributes(reader, file, what);
      if (part == "params") nodes[i].parameters = read_parameters(reader, what);
    }
  }
  if (!reader.at_end()) reader.refuse(reader.position(), "more follows the model; expected the file's end");
  return nodes;
}

}  // namespace aid::train
