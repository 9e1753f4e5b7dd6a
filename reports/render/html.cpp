// The HTML page: a template whose holes are filled once, so that nothing in a result is ever taken for a hole.
#include <string_view>

#include "bench/harness/compare.h"
#include "reports/render/assets.h"
#include "reports/render/report_json.h"

namespace assay {

namespace {

std::string_view value_of(std::string_view hole, const Report& report, std::string& scratch) {
  if (hole == "title") return scratch = xml_text(report.title);
  if (hole == "summary") return scratch = xml_text(report.summary);
  if (hole == "data") return scratch = to_text(report_json(report));  // '<' is escaped there: it cannot end the script element
  if (hole == "style") return page_style();
  if (hole == "chart") return chart_library();
  if (hole == "charts") return page_charts();
  return page_script();
}

}  // namespace

std::string report_html(const Report& report) {
  std::string out, scratch;
  std::string_view rest = page_template();
  for (std::size_t open; (open = rest.find("{{")) != std::string_view::npos;) {
    const std::size_t close = rest.find("}}", open);
    out += rest.substr(0, open);
    out += value_of(rest.substr(open + 2, close - open - 2), report, scratch);
    rest.remove_prefix(close + 2);
  }
  return out += rest;
}

}  // namespace assay
