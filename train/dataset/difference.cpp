#include "train/dataset/difference.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace aid::train::dataset {
namespace {

struct Item {
  const Split* split;
  const File* file;
};

std::map<std::string, Item> items_of(const Version& version) {
  std::map<std::string, Item> items;
  for (const Split& split : version.splits)
    for (const File& file : split.files) items.emplace(split.name + "/" + file.name, Item{&split, &file});
  return items;
}

// `named` is the one that the change is told of: the later, where there are two.
Change change_of(Change::Kind kind, const Item& named, const Item* old) {
  Change change{.kind = kind};
  if (old != nullptr) {
    change.old_split = old->split->name;
    change.old_file = old->file->name;
    change.old_label = old->file->label;
  }
  change.split = named.split->name;
  change.file = named.file->name;
  change.label = named.file->label;
  return change;
}

}  // namespace

const char* name_of(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::added:
      return "added";
    case Change::Kind::removed:
      return "removed";
    case Change::Kind::changed:
      return "changed";
    case Change::Kind::moved_typology:
      return "moved typology";
    case Change::Kind::moved_split:
      return "moved split";
    case Change::Kind::renamed:
      return "renamed";
  }
  return "";
}

std::vector<Change> difference(const Version& before, const Version& after) {
  std::vector<Change> changes;
  std::map<std::string, Item> old = items_of(before), now = items_of(after);
  for (auto it = old.begin(); it != old.end();) {
    const auto same = now.find(it->first);
    if (same == now.end()) {
      ++it;
      continue;
    }
    if (it->second.file->sha256 != same->second.file->sha256)
      changes.push_back(change_of(Change::Kind::changed, same->second, &it->second));
    now.erase(same);
    it = old.erase(it);
  }

  // What is left is matched by its bytes: in the nearest place first.
  const auto match = [&](Change::Kind kind, auto&& place) {
    std::multimap<std::string, std::string> by_place;  // place and bytes -> name in `old`
    for (const auto& [name, item] : old)
      if (const auto where = place(item); item.file->sha256 != "unreadable" && where)
        by_place.emplace(*where + "\n" + item.file->sha256, name);
    for (auto it = now.begin(); it != now.end();) {
      const auto where = place(it->second);
      // lower_bound, not find: of equal keys the first.
      const auto found = where ? by_place.lower_bound(*where + "\n" + it->second.file->sha256) : by_place.end();
      if (found == by_place.end() || found->first != *where + "\n" + it->second.file->sha256) {
        ++it;
        continue;
      }
      const auto source = old.find(found->second);
      changes.push_back(change_of(kind, it->second, &source->second));
      old.erase(source);
      by_place.erase(found);
      it = now.erase(it);
    }
  };
  using Place = std::optional<std::string>;
  match(Change::Kind::renamed, [](const Item& item) { return Place(item.split->name + "/" + item.file->label); });
  match(Change::Kind::moved_typology, [](const Item& item) { return Place(item.split->name); });
  match(Change::Kind::moved_split,
        [](const Item& item) { return item.split->flat || item.split->unified ? std::nullopt : Place(""); });
  for (const auto& [name, item] : old) changes.push_back(change_of(Change::Kind::removed, item, &item));
  for (const auto& [name, item] : now) changes.push_back(change_of(Change::Kind::added, item, nullptr));
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return std::tie(a.kind, a.split, a.file) < std::tie(b.kind, b.split, b.file);
  });
  return changes;
}

}  // namespace aid::train::dataset
