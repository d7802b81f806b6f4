#include "io/weights/torch_pickle.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "io/error.h"
#include "io/weights/pickle.h"

namespace aid::io {
namespace {

using Bytes = std::span<const std::byte>;
using FindStorage = std::function<Bytes(const PickleStorage&)>;

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::uint64_t storage_bytes(const PickleStorage& storage, const std::string& file) {
  const std::optional<std::uint64_t> bytes = byte_size(storage.dtype, std::span(&storage.elements, 1));
  if (!bytes)
    throw Error(file + ": storage '" + storage.key + "' of " + std::to_string(storage.elements) +
                " elements is too large");
  return *bytes;
}

template <class T>
const T* dict_value(const PickleDict& dict, std::string_view key) {
  const T* found = nullptr;
  for (const auto& [name, value] : dict.items) {
    const auto* text = std::get_if<std::string_view>(&name);
    if (text && *text == key) found = std::get_if<T>(&value);
  }
  return found;
}

// The tensors of a dict by name; a repeated name's last value counts, as in Python.
std::map<std::string_view, const PickleTensor*> tensors_of(const PickleDict& dict) {
  std::map<std::string_view, const PickleTensor*> tensors;
  for (const auto& [name, value] : dict.items) {
    const auto* text = std::get_if<std::string_view>(&name);
    const auto* tensor = std::get_if<const PickleTensor*>(&value);
    if (text && tensor) tensors[*text] = *tensor;
  }
  return tensors;
}

std::map<std::string_view, const PickleTensor*> state_dict(const PickleValue& root, const std::string& file) {
  auto* const* dict = std::get_if<PickleDict*>(&root);
  if (!dict)
    throw Error(file +
                ": holds no dict; expected a state dict {name: tensor}, as torch.save(model.state_dict()) writes it");
  if (auto tensors = tensors_of(**dict); !tensors.empty()) return tensors;

  std::vector<std::string_view> candidates;
  const PickleDict* nested = nullptr;
  for (const std::string_view key : {"state_dict", "model_state_dict", "model"}) {
    auto* const* inner = dict_value<PickleDict*>(**dict, key);
    if (!inner || tensors_of(**inner).empty()) continue;
    candidates.push_back(key);
    nested = *inner;
  }
  if (candidates.size() == 1) return tensors_of(*nested);
  std::string keys;
  for (const auto& [name, value] : (*dict)->items) {
    if (const auto* text = std::get_if<std::string_view>(&name); text && keys.size() < 200)
      keys += (keys.empty() ? "" : ", ") + std::string(*text);
  }
  throw Error(file + (candidates.empty() ? ": holds no tensors" : ": holds more than one state dict") + " (its keys: " +
              keys + "); expected {name: tensor}, or one such dict under state_dict, model_state_dict or model");
}

// Whether the strides are those of a row-major array; a dimension of one element may have any.
bool is_contiguous(const PickleTensor& tensor) {
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// Elements of the tensor, having checked that every one lies in the storage.
std::int64_t checked_elements(const PickleTensor& tensor, const std::string& where) {
  const std::string layout = "shape " + shape_text(tensor.shape) + ", strides " + shape_text(tensor.strides) +
                             ", offset " + std::to_string(tensor.offset) + " in a storage of " +
                             std::to_string(tensor.storage->elements) + " elements";
  bool fits = tensor.shape.size() == tensor.strides.size() && tensor.offset >= 0;
  std::int64_t elements = 1;
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; fits && i < tensor.shape.size(); ++i) {
    std::int64_t reach = 0;
    fits = tensor.shape[i] >= 0 && tensor.strides[i] >= 0 &&
           !__builtin_mul_overflow(elements, tensor.shape[i], &elements) &&
           !__builtin_mul_overflow(std::max<std::int64_t>(tensor.shape[i] - 1, 0), tensor.strides[i], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  if (!fits || (elements > 0 && last >= tensor.storage->elements))
    throw Error(where + ": " + layout + ": it does not lie inside");
  if (elements > tensor.storage->elements) {
    throw Error(where + ": " + layout + ": it repeats elements (Tensor.expand); save it after .contiguous()");
  }
  return elements;
}

std::unique_ptr<std::byte[]> contiguous_copy(const PickleTensor& tensor, Bytes storage, std::int64_t elements) {
  const std::size_t size = dtype_size(tensor.storage->dtype);
  auto copy = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(elements) * size);
  std::vector<std::int64_t> index(tensor.shape.size(), 0);
  std::int64_t from = tensor.offset;
  for (std::int64_t to = 0; to < elements; ++to) {
    std::memcpy(copy.get() + static_cast<std::size_t>(to) * size,
                storage.data() + static_cast<std::size_t>(from) * size, size);
    for (std::size_t i = index.size(); i-- > 0;) {
      from += tensor.strides[i];
      if (++index[i] < tensor.shape[i]) break;
      from -= tensor.strides[i] * tensor.shape[i];
      index[i] = 0;
    }
  }
  return copy;
}

// Views of the state dict's tensors, sorted by name.
std::vector<TensorView> make_views(const PickleValue& root, const FindStorage& find_storage, const std::string& file,
                                   std::vector<std::unique_ptr<std::byte[]>>& owned) {
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : state_dict(root, file)) {
    const std::string where = file + ": tensor '" + std::string(name) + "'";
    const std::int64_t elements = checked_elements(*tensor, where);
    const DType dtype = tensor->storage->dtype;
    const std::size_t bytes = static_cast<std::size_t>(elements) * dtype_size(dtype);
    TensorView view{.name = std::string(name), .dtype = dtype, .shape = tensor->shape, .data = {}};
    if (elements > 0) {
      const Bytes storage = find_storage(*tensor->storage);
      if (is_contiguous(*tensor)) {
        view.data = storage.subspan(static_cast<std::size_t>(tensor->offset) * dtype_size(dtype), bytes);
      } else {
        owned.push_back(contiguous_copy(*tensor, storage, elements));
        view.data = {owned.back().get(), bytes};
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

// The zip form: FOLDER/data.pkl, FOLDER/data/KEY for each storage, FOLDER/byteorder (since PyTorch 2.1), all stored.
class ZipArchive {
 public:
  ZipArchive(Bytes bytes, std::string file) : file_(std::move(file)), file_bytes_(bytes.size()) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    archive_ = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr;
    if (!archive_) {
      const std::string reason = zip_error_strerror(&error);
      zip_source_free(source);
      zip_error_fini(&error);
      throw Error(file_ + ": begins like a zip file, but cannot be opened as one (" + reason +
                  "): it is cut short or damaged, copy or download it again");
    }
    zip_error_fini(&error);
  }
  ~ZipArchive() { zip_discard(archive_); }
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  // The folder that holds the only */data.pkl, with its slash.
  std::string folder() const {
    constexpr std::string_view kPickle = "/data.pkl";
    std::string folder;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive_, 0); ++i) {
      const char* raw = zip_get_name(archive_, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      const std::string_view name = raw ? raw : "";
      if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
      if (!folder.empty()) throw Error(file_ + ": more than one */data.pkl in the zip file; expected one");
      folder = name.substr(0, name.size() - kPickle.size() + 1);
    }
    if (folder.empty()) throw Error(file_ + ": no */data.pkl in the zip file; expected what torch.save writes");
    if (has(folder + "constants.pkl")) {
      throw Error(file_ + ": is a TorchScript program; expected a state dict: save model.state_dict() with torch.save");
    }
    return folder;
  }

  bool has(const std::string& name) const { return zip_name_locate(archive_, name.c_str(), ZIP_FL_ENC_RAW) >= 0; }

  struct Record {
    std::unique_ptr<std::byte[]> data;
    std::size_t size = 0;
    Bytes bytes() const { return {data.get(), size}; }
  };

  // The entry's bytes, its CRC-32 checked.
  Record read(const std::string& name) const {
    const zip_int64_t index = zip_name_locate(archive_, name.c_str(), ZIP_FL_ENC_RAW);
    zip_stat_t status;
    if (index < 0 || zip_stat_index(archive_, static_cast<zip_uint64_t>(index), 0, &status) != 0) {
      throw Error(file_ + ": the entry '" + name + "' is missing from the zip file");
    }
    if (status.comp_method != ZIP_CM_STORE || status.encryption_method != ZIP_EM_NONE) {
      throw Error(file_ + ": the entry '" + name +
                  "' is compressed or encrypted; expected a stored one: save it again with torch.save");
    }
    if (status.size > file_bytes_) {
      throw Error(file_ + ": the entry '" + name + "' claims " + std::to_string(status.size) +
                  " bytes; the whole file has " + std::to_string(file_bytes_));
    }
    Record record{std::make_unique_for_overwrite<std::byte[]>(status.size), status.size};
    zip_file_t* entry = zip_fopen_index(archive_, static_cast<zip_uint64_t>(index), 0);
    if (!entry) throw Error(file_ + ": the entry '" + name + "' cannot be read: " + zip_strerror(archive_));
    const zip_int64_t got = zip_fread(entry, record.data.get(), status.size);
    std::byte beyond;
    const bool ended = got == static_cast<zip_int64_t>(status.size) && zip_fread(entry, &beyond, 1) == 0;
    const std::string reason = zip_file_strerror(entry);
    zip_fclose(entry);
    if (!ended)
      throw Error(file_ + ": the entry '" + name + "' is damaged (" + reason + "): copy or download the file again");
    return record;
  }

 private:
  std::string file_;
  std::uint64_t file_bytes_;
  zip_t* archive_;
};

// 10 bytes of LONG1 and STOP: the magic number 0x1950a86a20f9469cfc6c, whatever the pickle's protocol.
constexpr std::string_view kLegacyMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

// Where the pickle of the magic number ends, or nothing.
std::optional<std::size_t> legacy_start(Bytes bytes) {
  const std::size_t found = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 32))).find(kLegacyMagic);
  if (found == std::string_view::npos) return std::nullopt;
  return found + kLegacyMagic.size();
}

// The plain form after its magic number: pickles of the protocol's version, of the machine's properties, of the object
// and of the storages' keys, then each storage in the keys' order as 8 bytes of element count and its elements.
class PlainFile {
 public:
  PlainFile(Bytes bytes, std::size_t start, const std::string& file)
      : reader_(bytes.subspan(start), file), file_(file) {
    bytes = bytes.subspan(start);
    const PickleValue version = reader_.load();
    constexpr std::int64_t kVersion = 1001;
    if (const auto* number = std::get_if<std::int64_t>(&version); !number || *number != kVersion) {
      throw Error(file_ + ": not the version 1001 of torch.save's plain form");
    }
    const PickleValue machine = reader_.load();
    auto* const* properties = std::get_if<PickleDict*>(&machine);
    const bool* little = properties ? dict_value<bool>(**properties, "little_endian") : nullptr;
    if (!little || !*little) throw Error(file_ + ": not saved on a little-endian machine; save it again on one");
    root_ = reader_.load();
    const PickleValue keys = reader_.load();
    auto* const* list = std::get_if<PickleList*>(&keys);
    if (!list) throw Error(file_ + ": its fifth pickle is not the list of storage keys: the file is damaged");

    std::map<std::string_view, const PickleStorage*> storages;
    for (const PickleStorage& storage : reader_.storages()) storages[storage.key] = &storage;
    std::size_t position = reader_.position();
    for (const PickleValue& item : (*list)->items) {
      const auto* key = std::get_if<std::string_view>(&item);
      const auto found = key ? storages.find(*key) : storages.end();
      if (found == storages.end()) throw Error(file_ + ": a storage key that no tensor uses: the file is damaged");
      const std::uint64_t expected = storage_bytes(*found->second, file_);
      std::int64_t elements = -1;
      if (bytes.size() - position >= sizeof elements) {
        std::memcpy(&elements, bytes.data() + position, sizeof elements);
        position += sizeof elements;
      }
      if (elements != found->second->elements || bytes.size() - position < expected) {
        throw Error(file_ + ": storage '" + found->second->key + "' of " + std::to_string(expected) +
                    " bytes is cut short or damaged at byte " + std::to_string(start + position) +
                    ": copy or download the file again");
      }
      data_[found->second->key] = bytes.subspan(position, expected);
      position += expected;
    }
  }

  const PickleValue& root() const { return root_; }

  Bytes storage(const PickleStorage& storage) const {
    const auto found = data_.find(storage.key);
    if (found == data_.end() || found->second.size() != storage_bytes(storage, file_)) {
      throw Error(file_ + ": the bytes of storage '" + storage.key +
                  "' are missing or of another size: the file is damaged");
    }
    return found->second;
  }

 private:
  PickleReader reader_;
  std::string file_;
  PickleValue root_;
  std::map<std::string, Bytes> data_;
};

}  // namespace

TorchCheckpoint TorchCheckpoint::open(const std::filesystem::path& path) {
  TorchCheckpoint result{MappedFile(path)};
  const std::string file = path.string();
  const Bytes bytes = result.file_.bytes();
  if (const std::optional<std::size_t> start = legacy_start(bytes)) {
    const PlainFile plain(bytes, *start, file);
    result.tensors_ = make_views(
        plain.root(), [&](const PickleStorage& storage) { return plain.storage(storage); }, file, result.owned_);
    return result;
  }
  if (!as_text(bytes).starts_with("PK\x03\x04")) {
    throw Error(file +
                ": begins neither like a zip file (PyTorch 1.6 and later) nor with torch.save's magic number (before); "
                "expected "
                "one of them");
  }

  const ZipArchive zip(bytes, file);
  const std::string folder = zip.folder();
  if (zip.has(folder + "byteorder") && as_text(zip.read(folder + "byteorder").bytes()) != "little") {
    throw Error(file + ": not saved on a little-endian machine; save it again on one");
  }
  const ZipArchive::Record pickle = zip.read(folder + "data.pkl");
  PickleReader reader(pickle.bytes(), file + " (" + folder + "data.pkl)");
  const PickleValue root = reader.load();
  std::map<std::string, Bytes> read;
  const FindStorage find_storage = [&](const PickleStorage& storage) {
    const auto [found, inserted] = read.try_emplace(storage.key);
    if (inserted) {
      ZipArchive::Record record = zip.read(folder + "data/" + storage.key);
      found->second = record.bytes();
      result.owned_.push_back(std::move(record.data));
    }
    if (found->second.size() != storage_bytes(storage, file)) {
      throw Error(file + ": the entry '" + folder + "data/" + storage.key + "' has " +
                  std::to_string(found->second.size()) + " bytes; its " + std::to_string(storage.elements) +
                  " elements of " + std::string(dtype_name(storage.dtype)) + " need " +
                  std::to_string(storage_bytes(storage, file)));
    }
    return found->second;
  };
  result.tensors_ = make_views(root, find_storage, file, result.owned_);
  return result;
}

}  // namespace aid::io
