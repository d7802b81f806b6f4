#include "train/workflow/heat_map.h"

#include <algorithm>
#include <cmath>

#include "train/console/text_width.h"

namespace aid::train::workflow {
namespace {

constexpr int kCell = 44, kLine = 16, kMargin = 12;
constexpr double kLetter = 7.2;  // mean width of a letter at 13 px

std::string escaped(const std::string& text) {
  std::string xml;
  for (const char c : text) {
    switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        // XML 1.0 has no other control characters.
        xml += static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' ? ' ' : c;
    }
  }
  return xml;
}

std::string number(int value) { return std::to_string(value); }

// White to blue, as in the HTML report.
std::string shade(double share) {
  const auto mix = [&](double to) { return number(static_cast<int>(std::lround(255 + share * (to - 255)))); };
  return "rgb(" + mix(31) + "," + mix(95) + "," + mix(168) + ")";
}

std::string text_at(int x, int y, const char* anchor, const std::string& more, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
         escaped(text) + "</text>\n";
}

}  // namespace

std::string heat_map_svg(const LabelReport& report, const std::string& title) {
  std::vector<std::string> columns = report.labels;
  columns.push_back("no prediction");
  size_t longest = 0;
  for (const std::string& label : columns) longest = std::max(longest, width_of(label));
  const int names = static_cast<int>(std::ceil(static_cast<double>(longest) * kLetter)) + kMargin;
  const int left = kMargin + kLine + names, top = kMargin + 2 * kLine + names;
  const int rows = static_cast<int>(report.labels.size());
  const int width = std::max(left + (rows + 1) * kCell + kMargin,
                             static_cast<int>(static_cast<double>(width_of(title)) * kLetter) + 2 * kMargin);
  const int height = top + rows * kCell + kMargin;

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) +
                    "\" width=\"" + number(width) + "\" height=\"" + number(height) +
                    "\" role=\"img\" font-family=\"sans-serif\" font-size=\"13\">\n<title>" + escaped(title) +
                    "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += text_at(kMargin, kMargin + kLine - 3, "start", " font-weight=\"bold\"", title);
  svg += text_at(kMargin, top - 6, "start", " fill=\"#555\"", "truth \\ predicted");
  for (int column = 0; column <= rows; ++column) {
    const int x = left + column * kCell + kCell / 2 + 4, y = top - 6;
    svg += text_at(x, y, "start", " transform=\"rotate(-90 " + number(x) + " " + number(y) + ")\"",
                   columns[static_cast<size_t>(column)]);
  }
  for (int row = 0; row < rows; ++row) {
    const auto truth = static_cast<size_t>(row);
    const int y = top + row * kCell;
    svg += text_at(left - 6, y + kCell / 2 + 5, "end", "", report.labels[truth]);
    for (int column = 0; column <= rows; ++column) {
      const auto predicted = static_cast<size_t>(column);
      const int64_t count = report.confused(truth, predicted);
      const double share =
          report.support[truth] > 0 ? static_cast<double>(count) / static_cast<double>(report.support[truth]) : 0;
      const int x = left + column * kCell;
      svg += "<g><title>" + escaped(report.labels[truth] + " as " + columns[predicted] + ": " + std::to_string(count)) +
             "</title><rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(kCell - 1) +
             "\" height=\"" + number(kCell - 1) + "\" fill=\"" + shade(share) + "\" stroke=\"#ccd3da\"/>\n";
      if (count > 0) {
        svg += text_at(x + kCell / 2, y + kCell / 2 + 5, "middle", share > 0.5 ? " fill=\"white\"" : "",
                       std::to_string(count));
      }
      svg += "</g>\n";
    }
  }
  return svg + "</svg>\n";
}

}  // namespace aid::train::workflow
