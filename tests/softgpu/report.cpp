#include "tests/softgpu/report.h"

#include <mutex>
#include <set>
#include <sstream>
#include <tuple>

namespace softgpu {
namespace {

struct Reports {
  std::mutex mutex;
  std::vector<Report> list;
  std::set<std::tuple<Kind, std::string, std::string, int, std::string>> seen;
};
Reports& all() {
  static Reports* reports = new Reports;  // alive for reports at exit
  return *reports;
}

std::string indices(const Dim& d) {
  std::ostringstream out;
  out << '(' << d.x << ',' << d.y << ',' << d.z << ')';
  return out.str();
}

}  // namespace

const char* name(Kind kind) {
  switch (kind) {
    case Kind::out_of_bounds:
      return "out of bounds";
    case Kind::host_pointer:
      return "host pointer";
    case Kind::use_after_free:
      return "use after free";
    case Kind::misaligned:
      return "misaligned";
    case Kind::race:
      return "race";
    case Kind::uninitialised:
      return "uninitialised";
    case Kind::in_flight:
      return "in flight";
    case Kind::divergent_barrier:
      return "divergent barrier";
    case Kind::deadlock:
      return "deadlock";
    case Kind::wrong_mask:
      return "wrong mask";
    case Kind::leak:
      return "leak";
    case Kind::launch:
      return "launch";
    case Kind::runtime:
      return "runtime";
    case Kind::library:
      return "library";
  }
  return "?";
}

std::string Report::str() const {
  std::ostringstream out;
  out << '[' << name(kind) << "] ";
  if (!kernel.empty()) out << kernel << ", block " << indices(block) << ", thread " << indices(thread) << ", ";
  if (!file.empty()) out << file << ':' << line << ": ";
  out << text;
  return out.str();
}

void add_report(Report report) {
  Reports& reports = all();
  const std::lock_guard lock(reports.mutex);
  const std::string key = report.kernel.empty() ? report.text : "";
  if (reports.seen.emplace(report.kind, report.kernel, report.file, report.line, key).second)
    reports.list.push_back(std::move(report));
}

std::vector<Report> reports() {
  const std::lock_guard lock(all().mutex);
  return all().list;
}

void clear_reports() {
  const std::lock_guard lock(all().mutex);
  all().list.clear();
  all().seen.clear();
}

std::string reports_text() {
  std::string text;
  for (const Report& report : reports()) text += report.str() + '\n';
  return text;
}

}  // namespace softgpu
