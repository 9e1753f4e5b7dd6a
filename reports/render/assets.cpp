// Files taken into the program by the assembler; the build names them and rebuilds this file when one changes.
#include "reports/render/assets.h"

#define ASSAY_ASSET(name, file)                                                                                             \
  asm(".section .rodata\n.global assay_asset_" #name "\n.hidden assay_asset_" #name "\nassay_asset_" #name ":\n.incbin \"" file \
      "\"\n.global assay_asset_" #name "_end\n.hidden assay_asset_" #name "_end\nassay_asset_" #name "_end:\n.byte 0\n.text\n"); \
  extern "C" const char assay_asset_##name[], assay_asset_##name##_end[];

ASSAY_ASSET(page, ASSAY_PAGE_DIR "/page.html")
ASSAY_ASSET(style, ASSAY_PAGE_DIR "/page.css")
ASSAY_ASSET(charts, ASSAY_PAGE_DIR "/charts.js")
ASSAY_ASSET(script, ASSAY_PAGE_DIR "/page.js")
ASSAY_ASSET(chart, ASSAY_CHART_JS)

namespace assay {

namespace {
std::string_view text_between(const char* first, const char* end) { return {first, static_cast<std::size_t>(end - first)}; }
}  // namespace

std::string_view page_template() { return text_between(assay_asset_page, assay_asset_page_end); }
std::string_view page_style() { return text_between(assay_asset_style, assay_asset_style_end); }
std::string_view page_charts() { return text_between(assay_asset_charts, assay_asset_charts_end); }
std::string_view page_script() { return text_between(assay_asset_script, assay_asset_script_end); }
std::string_view chart_library() { return text_between(assay_asset_chart, assay_asset_chart_end); }

}  // namespace assay
