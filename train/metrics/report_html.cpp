#include "train/metrics/report_html.h"

#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/file.h"
#include "io/text.h"
#include "train/metrics/report_page.h"

namespace aid::train {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr size_t kErrorsWithContent = 200, kTextBytes = 1500, kImageBytes = 300'000, kImageBytesTogether = 20'000'000;

bool is_wrong(const ReportedFile& file) { return file.truth != file.predicted; }

const char* image_type(const fs::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (extension == ".png") return "image/png";
  if (extension == ".jpg" || extension == ".jpeg") return "image/jpeg";
  if (extension == ".webp") return "image/webp";
  return extension == ".gif" ? "image/gif" : nullptr;
}

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

// Adds what the file shows, where it can be read: the report is about files that may be elsewhere by now.
void add_content(Json& unit, const fs::path& file, size_t& image_bytes) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) return;
  const char* type = image_type(file);
  try {
    if (type != nullptr) {
      if (size > kImageBytes || image_bytes + size > kImageBytesTogether) return;
      image_bytes += static_cast<size_t>(size);
      unit["i"] = std::string("data:") + type + ";base64," + base64(io::read_text(file));
    } else if (file.extension() == ".txt" || file.extension() == ".TXT") {
      std::string text = io::decode_text(io::read_text(file)).utf8;
      if (text.size() > kTextBytes) {
        text.resize(io::valid_utf8_prefix(std::string_view(text).substr(0, kTextBytes)));
        text += " […]";
      }
      unit["x"] = text;
    }
  } catch (const io::Error&) {
  }
}

Json json_of(const HtmlReport& report) {
  const Interval interval = wilson_interval(report.right, report.total);
  const double accuracy = report.total > 0 ? static_cast<double>(report.right) / static_cast<double>(report.total) : 0;
  Json json{{"title", report.title},
            {"headline",
             {{"name", report.headline},
              {"value", accuracy},
              {"right", report.right},
              {"total", report.total},
              {"low", interval.low},
              {"high", interval.high}}}};
  for (const auto& [name, value] : report.facts) json["facts"].push_back({name, value});
  if (report.facts.empty()) json["facts"] = Json::array();
  const bool unified = std::any_of(report.files.begin(), report.files.end(), [](const ReportedFile& file) {
    return file.truth != file.unified_truth || file.predicted != file.unified_predicted;
  });
  json["unified"] = unified;
  json["units"] = Json::array();
  for (const ReportedFile& file : report.files) {
    Json unit{{"f", file.file.filename().string()}, {"t", file.truth}, {"p", file.predicted}};
    if (unified) unit.update({{"ut", file.unified_truth}, {"up", file.unified_predicted}});
    if (file.score) unit["s"] = *file.score;
    json["units"].push_back(std::move(unit));
  }

  std::vector<size_t> errors;
  for (size_t i = 0; i < report.files.size(); ++i)
    if (is_wrong(report.files[i])) errors.push_back(i);
  std::stable_sort(errors.begin(), errors.end(), [&](size_t a, size_t b) {
    return report.files[a].score.value_or(-1) > report.files[b].score.value_or(-1);
  });
  size_t image_bytes = 0;
  for (size_t i = 0; i < std::min(errors.size(), kErrorsWithContent); ++i)
    add_content(json["units"][errors[i]], report.files[errors[i]].file, image_bytes);
  return json;
}

// JSON inside a script element: "</script>" and "<!--" must not occur in it.
std::string for_script(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

void write_html_report(const fs::path& folder, const HtmlReport& report) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw io::Error("cannot make the folder '" + folder.string() + "': " + error.message());
  const std::string_view page = report_page();
  constexpr std::string_view kPlace = "@DATA@";
  const size_t place = page.find(kPlace);
  std::string html(page.substr(0, place));
  html += for_script(json_of(report));
  html += page.substr(place + kPlace.size());
  io::write_atomically(folder / "report.html", html);
}

}  // namespace aid::train
